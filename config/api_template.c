/* SPDX-License-Identifier: MIT
 * api_template.c - texts with {placeholders}: which exist, and where each may stand. */
#include <stdio.h>
#include <string.h>

#include "config/api_parse.h"

#define BIT(kind) (1u << (kind))
#define IN_ALL (BIT(REQUEST_INITIATE) | BIT(REQUEST_POLL) | BIT(REQUEST_LOOK_UP))
/* Requests that are about no consent. */
#define OF_ACCOUNT (BIT(REQUEST_TOKEN) | BIT(REQUEST_INSTITUTIONS))
#define ANYWHERE (BIT(API_IN_PATH) | BIT(API_IN_HEADER) | BIT(API_IN_JSON) | BIT(API_IN_FORM))
#define NOT_IN_PATH (ANYWHERE & ~BIT(API_IN_PATH))

struct variable_rule {
    const char *name;
    unsigned requests;    /* bits: where it exists */
    unsigned places;      /* bits: where it may stand */
    bool is_often_absent; /* must be written {name?} */
};

static const struct variable_rule variable_rules[API_VARIABLE_COUNT] = {
    [API_VARIABLE_NONE] = {"", 0, 0, false},
    [API_VARIABLE_CONSENT_ID] = {"consent.id", IN_ALL, ANYWHERE, false},
    [API_VARIABLE_CUSTOMER] = {"consent.customer", IN_ALL, ANYWHERE, false},
    [API_VARIABLE_CUSTOMER_OWN_ID] = {"consent.customer_own_id", IN_ALL, ANYWHERE, true},
    [API_VARIABLE_INSTITUTION] = {"consent.institution", IN_ALL, ANYWHERE, false},
    [API_VARIABLE_JOB_ID] = {"job.id", BIT(REQUEST_POLL), ANYWHERE, false},
    [API_VARIABLE_CALLBACK_URL] = {"callback_url", BIT(REQUEST_INITIATE), NOT_IN_PATH, true},
    [API_VARIABLE_FROM] = {"from", BIT(REQUEST_INITIATE), NOT_IN_PATH, true},
    [API_VARIABLE_TO] = {"to", BIT(REQUEST_INITIATE), NOT_IN_PATH, true},
    [API_VARIABLE_CLIENT_ID] = {"client_id", IN_ALL | OF_ACCOUNT, ANYWHERE, false},
    [API_VARIABLE_SCOPE] = {"scope", BIT(REQUEST_TOKEN), NOT_IN_PATH, true},
    [API_VARIABLE_CLIENT_SECRET] = {"client_secret", IN_ALL | OF_ACCOUNT, NOT_IN_PATH, false},
    [API_VARIABLE_BASIC] = {"basic_credentials", IN_ALL | OF_ACCOUNT, BIT(API_IN_HEADER), false},
    [API_VARIABLE_TOKEN] = {"token", IN_ALL | BIT(REQUEST_INSTITUTIONS), NOT_IN_PATH, false},
    [API_VARIABLE_CUSTOMER_SECRET] = {"customer_secret", IN_ALL, NOT_IN_PATH, true},
};

static const char *const request_names[] = {"initiate", "poll", "look_up", "token", "institutions"};

const char *api_variable_text(enum api_variable variable)
{
    return (unsigned)variable < API_VARIABLE_COUNT ? variable_rules[variable].name : "?";
}

static enum api_variable variable_find(const char *name, size_t length)
{
    for (int i = 1; i < API_VARIABLE_COUNT; i++)
        if (strlen(variable_rules[i].name) == length &&
            memcmp(variable_rules[i].name, name, length) == 0)
            return (enum api_variable)i;
    return API_VARIABLE_NONE;
}

static void error_unknown(struct api_parse *parse, const struct yaml_node *node, const char *name,
                          size_t length)
{
    char known[512] = "";
    size_t used = 0;

    for (int i = 1; i < API_VARIABLE_COUNT; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s{%s}", i == 1 ? "" : ", ",
                                 variable_rules[i].name);
    api_parse_error(parse, node,
                    "unknown placeholder {%.*s}; known: %s; a literal brace is "
                    "written {{ or }}",
                    (int)length, name, known);
}

/* The modes in which {token} would be sent though no token is obtained. */
static void check_token(struct api_parse *parse, const struct yaml_node *node, api_mode_set modes)
{
    const struct api_definition *definition = parse->definition;

    for (uint32_t i = 0; i < definition->mode_count; i++)
        if ((modes & BIT(i)) != 0 && !definition->modes[i].has_token)
            api_parse_error(parse, node,
                            "{token} would be sent in auth mode \"%s\", which obtains "
                            "no token; add `when: auth.MODE` with a mode that has one",
                            definition->modes[i].name);
}

static bool check_variable(struct api_parse *parse, const struct yaml_node *node,
                           enum request_kind kind, enum api_where where, api_mode_set modes,
                           const struct api_part *part)
{
    const struct variable_rule *rule = &variable_rules[part->variable];
    size_t errors_before = parse->diagnostics->error_count;

    if ((rule->requests & BIT(kind)) == 0) {
        char where_text[64] = "";
        size_t used = 0;

        for (int i = 0; i < API_REQUEST_COUNT; i++)
            if ((rule->requests & BIT(i)) != 0)
                used += (size_t)snprintf(where_text + used, sizeof where_text - used, "%s%s",
                                         used == 0 ? "" : ", ", request_names[i]);
        api_parse_error(parse, node, "{%s} does not exist in the request \"%s\"; it exists in: %s",
                        rule->name, request_names[kind], where_text);
        return false;
    }
    if ((rule->places & BIT(where)) == 0)
        api_parse_error(parse, node, "{%s} cannot stand %s; %s", rule->name,
                        where == API_IN_PATH ? "in a path" : "in a body",
                        part->variable == API_VARIABLE_BASIC ? "it belongs in a header"
                        : part->variable >= API_VARIABLE_CLIENT_SECRET
                            ? "a secret belongs in a header or a body"
                            : "put it in a header or a body");
    else if (where == API_IN_PATH && part->is_optional)
        api_parse_error(parse, node, "{%s?} cannot stand in a path: nothing there can be left out",
                        rule->name);
    else if (rule->is_often_absent && !part->is_optional)
        api_parse_error(parse, node,
                        "{%s} is not there in every refresh; write {%s?}, which "
                        "leaves the member out then",
                        rule->name, rule->name);
    if (part->variable == API_VARIABLE_INSTITUTION && !part->is_optional &&
        (parse->definition->consent_requires & API_KEY_INSTITUTION) == 0)
        api_parse_error(parse, node,
                        "{consent.institution} is not there in every consent; write "
                        "{consent.institution?}, or add institution to consent.requires");
    if (part->variable == API_VARIABLE_CUSTOMER && !part->is_optional &&
        (parse->definition->consent_requires & API_KEY_CUSTOMER) == 0)
        api_parse_error(parse, node,
                        "{consent.customer} is not there in every consent; write "
                        "{consent.customer?}, or add customer to consent.requires");
    if (part->variable == API_VARIABLE_TOKEN)
        check_token(parse, node, modes);
    return parse->diagnostics->error_count == errors_before;
}

/* The path's literal bytes are sent as they are, so they must be fit for it. */
static bool check_path_literal(struct api_parse *parse, const struct yaml_node *node)
{
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-._~/?=&%:@!$'()*+,;{}";
    size_t fitting = strspn(node->text, fit);

    if (node->text[0] != '/' || node->text[1] == '/') {
        api_parse_error(parse, node, "a path begins with one slash; found \"%s\"", node->text);
        return false;
    }
    if (fitting != node->length) {
        api_parse_error(parse, node,
                        "a path cannot hold the byte at column %zu of \"%s\"; write "
                        "it percent-encoded",
                        fitting + 1, node->text);
        return false;
    }
    if (strstr(node->text, "/../") != NULL || strstr(node->text, "/./") != NULL) {
        api_parse_error(parse, node, "a path cannot hold \"..\" or \".\" as a segment");
        return false;
    }
    return true;
}

struct part_list {
    struct api_part *parts;
    uint32_t count;
};

static void add_literal(struct api_parse *parse, struct part_list *list, const char *bytes,
                        size_t length)
{
    struct api_part *part = &list->parts[list->count];

    if (length == 0)
        return;
    part->literal = api_parse_copy(parse, bytes, length);
    if (part->literal == NULL)
        return;
    part->length = length;
    list->count++;
}

/* One {placeholder} at `text` (behind its brace). Answers the byte behind its closing brace, or
 * NULL after an error. */
static const char *add_variable(struct api_parse *parse, struct part_list *list,
                                const struct yaml_node *node, const char *text)
{
    const char *end = strchr(text, '}');
    struct api_part *part = &list->parts[list->count];
    size_t length;

    if (end == NULL) {
        api_parse_error(parse, node, "a { without its } in \"%s\"; a literal brace is written {{",
                        node->text);
        return NULL;
    }
    length = (size_t)(end - text);
    part->is_optional = length > 0 && text[length - 1] == '?';
    if (part->is_optional)
        length--;
    part->variable = variable_find(text, length);
    if (part->variable == API_VARIABLE_NONE) {
        error_unknown(parse, node, text, length);
        return NULL;
    }
    list->count++;
    return end + 1;
}

static bool split(struct api_parse *parse, const struct yaml_node *node, struct part_list *list)
{
    const char *start = node->text;
    const char *at = node->text;

    while (*at != '\0') {
        if ((at[0] == '{' && at[1] == '{') || (at[0] == '}' && at[1] == '}')) {
            add_literal(parse, list, start, (size_t)(at - start) + 1);
            at += 2;
            start = at;
        } else if (*at == '{') {
            add_literal(parse, list, start, (size_t)(at - start));
            at = add_variable(parse, list, node, at + 1);
            if (at == NULL)
                return false;
            start = at;
        } else if (*at == '}') {
            api_parse_error(parse, node,
                            "a } without its { in \"%s\"; a literal brace is written "
                            "}}",
                            node->text);
            return false;
        } else {
            at++;
        }
    }
    add_literal(parse, list, start, (size_t)(at - start));
    return true;
}

bool api_parse_template(struct api_parse *parse, const struct yaml_node *node,
                        enum request_kind kind, enum api_where where, api_mode_set modes,
                        struct api_template *out)
{
    struct part_list list = {NULL, 0};
    bool is_good = true;

    if (node->kind != YAML_SCALAR || strlen(node->text) != node->length) {
        api_parse_error(parse, node, "a text with {placeholders} is needed here");
        return false;
    }
    if (where == API_IN_PATH && !check_path_literal(parse, node))
        return false;
    list.parts = api_parse_alloc(parse, node->length + 1, sizeof *list.parts);
    if (list.parts == NULL || !split(parse, node, &list))
        return false;
    for (uint32_t i = 0; i < list.count; i++) {
        const struct api_part *part = &list.parts[i];

        if (part->variable == API_VARIABLE_NONE)
            continue;
        if (!check_variable(parse, node, kind, where, modes, part))
            is_good = false;
        parse->variables_seen |= BIT(part->variable);
        if (part->variable == API_VARIABLE_CALLBACK_URL && parse->callback_place.file == NULL)
            parse->callback_place = node->place;
    }
    *out = (struct api_template){list.parts, list.count, node->place};
    return is_good;
}

api_mode_set api_parse_when(struct api_parse *parse, const struct yaml_node *node,
                            api_mode_set outer)
{
    const struct yaml_node *const *items = NULL;
    uint32_t count;
    api_mode_set modes = 0;

    if (node == NULL)
        return outer;
    count = api_parse_items(parse, node, "when", &items);
    for (uint32_t i = 0; i < count; i++) {
        int mode = -1;

        if (items[i]->kind == YAML_SCALAR && strncmp(items[i]->text, "auth.", 5) == 0)
            mode = api_definition_mode(parse->definition, items[i]->text + 5);
        if (mode < 0)
            api_parse_error(parse, items[i],
                            "when: needs auth.MODE with a mode of this "
                            "definition's auth; found \"%s\"",
                            items[i]->kind == YAML_SCALAR ? items[i]->text : "something else");
        else
            modes |= (api_mode_set)BIT(mode);
    }
    return modes & outer;
}
