/* SPDX-License-Identifier: MIT
 * api_body.c - headers and bodies of a request template. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "config/api_parse.h"

#define BODY_DEPTH_MAX 16

/* Headers that say how the request travels: the transport's alone. */
static const char transport_headers[] =
    "host|content-length|content-type|transfer-encoding|connection|expect|te|trailer|upgrade|"
    "keep-alive|proxy-authorization|proxy-connection|cookie|accept-encoding";

/* Does a name tell a person's address ("X-Customer-Ip-Address", "psu_ip", "X-Forwarded-For")?
 * Refreshes here are unattended: nobody pressed a button, so no such address may be sent. */
static bool names_address(const char *name)
{
    size_t length;

    for (const char *word = name; *word != '\0'; word += length + (word[length] != '\0')) {
        length = strcspn(word, "-_.");
        if ((length == 2 && strncasecmp(word, "ip", 2) == 0) ||
            (length == 9 && strncasecmp(word, "forwarded", 9) == 0) ||
            (length == 9 && strncasecmp(word, "ipaddress", 9) == 0))
            return true;
    }
    return false;
}

static bool check_not_address(struct api_parse *parse, const struct yaml_node *key)
{
    if (!names_address(key->text))
        return true;
    api_parse_error(parse, key,
                    "\"%s\" looks like the address of a person; it is never sent, "
                    "because refreshes here run without the customer: remove it",
                    key->text);
    return false;
}

static bool check_header_name(struct api_parse *parse, const struct yaml_node *key)
{
    char lower[64];
    size_t length = key->length;

    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)key->text[i]) &&
            strchr("!#$%&'*+-.^_`|~", key->text[i]) == NULL)
            length = 0;
    if (length == 0 || length >= sizeof lower) {
        api_parse_error(parse, key, "\"%s\" is not a header name", key->text);
        return false;
    }
    for (size_t i = 0; i <= length; i++)
        lower[i] = (char)tolower((unsigned char)key->text[i]);
    if (api_word_index(transport_headers, lower, length) >= 0) {
        api_parse_error(parse, key,
                        "the header %s is made by the transport (Content-Type follows "
                        "from `json:` or `form:`); remove it",
                        key->text);
        return false;
    }
    return check_not_address(parse, key);
}

static void check_header_twice(struct api_parse *parse, const struct yaml_node *key,
                               const struct api_header *headers, uint32_t count, api_mode_set modes)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcasecmp(headers[i].name, key->text) == 0 && (headers[i].modes & modes) != 0) {
            api_parse_error(parse, key, "the header %s would be sent twice", key->text);
            return;
        }
}

/* One value of a header: a text, or {value:, when:}. */
static void parse_header(struct api_parse *parse, const struct yaml_node *key,
                         const struct yaml_node *node, enum request_kind kind, api_mode_set modes,
                         struct api_header *headers, uint32_t *count)
{
    struct api_header *header = &headers[*count];

    if (node->kind == YAML_MAPPING) {
        const struct yaml_node *value;

        if (!api_parse_mapping(parse, node, "a header", "value|when"))
            return;
        value = api_parse_required(parse, node, "a header", "value");
        modes = api_parse_when(parse, yaml_get(node, "when"), modes);
        if (value == NULL)
            return;
        node = value;
    }
    if (!api_parse_template(parse, node, kind, API_IN_HEADER, modes, &header->value))
        return;
    if (node->length == 0) {
        api_parse_error(parse, node, "the header %s has no value; remove it", key->text);
        return;
    }
    check_header_twice(parse, key, headers, *count, modes);
    header->name = api_parse_copy(parse, key->text, key->length);
    header->modes = modes;
    (*count)++;
}

void api_parse_headers(struct api_parse *parse, const struct yaml_node *node,
                       enum request_kind kind, api_mode_set modes, struct api_request *out)
{
    struct api_header *headers;
    size_t total = 0;

    if (node->kind != YAML_MAPPING) {
        api_parse_error(parse, node, "headers is a mapping of names to values");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        total += node->values[i]->kind == YAML_SEQUENCE ? node->values[i]->count : 1;
    headers = api_parse_alloc(parse, total + 1, sizeof *headers);
    if (headers == NULL)
        return;
    out->headers = headers;
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *value = node->values[i];

        if (!check_header_name(parse, node->keys[i]))
            continue;
        if (value->kind == YAML_SEQUENCE)
            for (size_t k = 0; k < value->count; k++)
                parse_header(parse, node->keys[i], value->values[k], kind, modes, headers,
                             &out->header_count);
        else
            parse_header(parse, node->keys[i], value, kind, modes, headers, &out->header_count);
    }
}

/* A plain scalar that JSON reads as something else than a string. */
static bool is_json_literal(const char *text)
{
    const char *p = text;

    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || strcmp(text, "null") == 0)
        return true;
    if (*p == '-')
        p++;
    if (*p == '0')
        p++;
    else if (*p >= '1' && *p <= '9')
        p += strspn(p, "0123456789");
    else
        return false;
    if (*p == '.') {
        size_t digits = strspn(p + 1, "0123456789");

        if (digits == 0)
            return false;
        p += 1 + digits;
    }
    return *p == '\0';
}

/* {value:, when:} and nothing else: a member that is sent in some auth modes only. */
static bool is_conditional(const struct yaml_node *node)
{
    return node->kind == YAML_MAPPING && yaml_get(node, "value") != NULL &&
           (node->count == 1 || (node->count == 2 && yaml_get(node, "when") != NULL));
}

static void parse_node(struct api_parse *parse, const struct yaml_node *node,
                       enum request_kind kind, enum api_where where, api_mode_set modes,
                       unsigned depth, struct api_node *out);

static void parse_children(struct api_parse *parse, const struct yaml_node *node,
                           enum request_kind kind, enum api_where where, unsigned depth,
                           struct api_node *out)
{
    struct api_node *children = api_parse_alloc(parse, node->count + 1, sizeof *children);

    if (children == NULL)
        return;
    out->children = children;
    for (size_t i = 0; i < node->count; i++) {
        struct api_node *child = &children[out->child_count];

        if (node->kind == YAML_MAPPING) {
            if (!check_not_address(parse, node->keys[i]))
                continue;
            child->key = api_parse_copy(parse, node->keys[i]->text, node->keys[i]->length);
            if (child->key == NULL)
                continue;
        }
        parse_node(parse, node->values[i], kind, where, out->modes, depth + 1, child);
        out->child_count++;
    }
}

static void parse_node(struct api_parse *parse, const struct yaml_node *node,
                       enum request_kind kind, enum api_where where, api_mode_set modes,
                       unsigned depth, struct api_node *out)
{
    out->modes = modes;
    if (depth > BODY_DEPTH_MAX) {
        api_parse_error(parse, node, "a body may be nested %d deep", BODY_DEPTH_MAX);
        return;
    }
    if (depth > 0 && is_conditional(node)) {
        out->modes = api_parse_when(parse, yaml_get(node, "when"), modes);
        node = yaml_get(node, "value");
    }
    if (where == API_IN_FORM && depth > 0 && node->kind != YAML_SCALAR) {
        api_parse_error(parse, node, "a form value is a text");
        return;
    }
    switch (node->kind) {
    case YAML_SCALAR:
        if (where == API_IN_JSON && node->is_plain && is_json_literal(node->text)) {
            out->kind = API_NODE_LITERAL;
            out->literal = api_parse_copy(parse, node->text, node->length);
            return;
        }
        out->kind = API_NODE_TEXT;
        (void)api_parse_template(parse, node, kind, where, out->modes, &out->value);
        return;
    case YAML_SEQUENCE: out->kind = API_NODE_ARRAY; break;
    case YAML_MAPPING: out->kind = API_NODE_OBJECT; break;
    }
    parse_children(parse, node, kind, where, depth, out);
}

void api_parse_body(struct api_parse *parse, const struct yaml_node *node, enum request_kind kind,
                    enum api_where where, api_mode_set modes, struct api_node *out)
{
    if (node->kind != YAML_MAPPING) {
        api_parse_error(parse, node, "%s is a mapping; write {} for an empty one",
                        where == API_IN_JSON ? "json" : "form");
        return;
    }
    parse_node(parse, node, kind, where, modes, 0, out);
}
