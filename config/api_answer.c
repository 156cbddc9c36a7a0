/* SPDX-License-Identifier: MIT
 * api_answer.c - where an answer keeps what we need: JSON pointers, children, echoes. */
#include <string.h>
#include <strings.h>

#include "config/api_parse.h"

#define POINTER_TOKENS_MAX 16
#define FLAG_NAME_BYTES_MAX 64

/* Undo ~1 and ~0 of one token; false on any other ~. */
static bool unescape_token(const char *in, size_t length, char *out)
{
    for (size_t i = 0; i < length; i++) {
        if (in[i] != '~') {
            *out++ = in[i];
            continue;
        }
        if (++i == length || (in[i] != '0' && in[i] != '1'))
            return false;
        *out++ = in[i] == '0' ? '~' : '/';
    }
    *out = '\0';
    return true;
}

bool api_parse_pointer(struct api_parse *parse, const struct yaml_node *node,
                       struct api_pointer *out)
{
    const char **tokens;
    const char *at;

    if (node->kind != YAML_SCALAR || node->text[0] != '/' || strlen(node->text) != node->length) {
        api_parse_error(parse, node, "a JSON pointer is needed, like /data/status; found \"%s\"",
                        node->kind == YAML_SCALAR ? node->text : "something else");
        return false;
    }
    tokens = api_parse_alloc(parse, POINTER_TOKENS_MAX, sizeof *tokens);
    out->text = api_parse_copy(parse, node->text, node->length);
    if (tokens == NULL || out->text == NULL)
        return false;
    out->tokens = tokens;
    out->token_count = 0;
    for (at = node->text; *at == '/';) {
        size_t length = strcspn(at + 1, "/");
        char *token = api_parse_alloc(parse, length + 1, 1);

        if (token == NULL)
            return false;
        if (out->token_count == POINTER_TOKENS_MAX || !unescape_token(at + 1, length, token)) {
            api_parse_error(parse, node,
                            "\"%s\" is not a JSON pointer: at most %d steps, and ~ "
                            "only as ~0 or ~1",
                            node->text, POINTER_TOKENS_MAX);
            return false;
        }
        tokens[out->token_count++] = token;
        at += 1 + length;
    }
    return true;
}

void api_parse_source(struct api_parse *parse, const struct yaml_node *node, struct api_source *out)
{
    const struct yaml_node *const *items = NULL;
    uint32_t count = api_parse_items(parse, node, "this place in the answer", &items);
    struct api_pointer *pointers = api_parse_alloc(parse, count + 1, sizeof *pointers);

    if (pointers == NULL)
        return;
    out->pointers = pointers;
    out->pointer_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (api_parse_pointer(parse, items[i], &pointers[out->pointer_count]))
            out->pointer_count++;
}

/* Index of a flag's name, added when it is new; -1 after an error. */
static int flag_index(struct api_parse *parse, const struct yaml_node *key)
{
    struct api_definition *definition = parse->definition;
    uint32_t count = definition->flag_count;

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(definition->flag_names[i], key->text) == 0)
            return (int)i;
    if (count == API_FLAGS_MAX || key->length == 0 || key->length > FLAG_NAME_BYTES_MAX) {
        api_parse_error(parse, key, "a definition has at most %d flags with names of 1 to %d bytes",
                        API_FLAGS_MAX, FLAG_NAME_BYTES_MAX);
        return -1;
    }
    definition->flag_names[count] = api_parse_copy(parse, key->text, key->length);
    if (definition->flag_names[count] == NULL)
        return -1;
    parse->flag_places[count] = key->place;
    if (strcmp(key->text, "reconnect_required") == 0)
        definition->flag_reconnect = (int)count;
    if (strcmp(key->text, "has_new_data") == 0)
        definition->flag_new_data = (int)count;
    return (int)definition->flag_count++;
}

static void parse_flags(struct api_parse *parse, const struct yaml_node *node,
                        struct api_source flags[API_FLAGS_MAX])
{
    if (node == NULL)
        return;
    if (node->kind != YAML_MAPPING) {
        api_parse_error(parse, node, "flags is a mapping of names to JSON pointers");
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        int index = flag_index(parse, node->keys[i]);

        if (index >= 0)
            api_parse_source(parse, node->values[i], &flags[index]);
    }
}

/* poll_hint: {at: POINTER, unit: ms|s} */
static void parse_poll_hint(struct api_parse *parse, const struct yaml_node *node,
                            struct api_answer *out)
{
    const struct yaml_node *at;
    const struct yaml_node *unit;

    if (!api_parse_mapping(parse, node, "poll_hint", "at|unit"))
        return;
    at = api_parse_required(parse, node, "poll_hint", "at");
    unit = api_parse_required(parse, node, "poll_hint", "unit");
    if (at != NULL)
        api_parse_source(parse, at, &out->poll_hint);
    if (unit != NULL)
        out->poll_hint_unit_ms = api_parse_word(parse, unit, "unit", "ms|s") == 1 ? 1000 : 1;
}

/* echo: {/consent_id: consent.id} */
static void parse_echoes(struct api_parse *parse, const struct yaml_node *node,
                         enum request_kind kind, struct api_answer *out)
{
    static const char words[] = "consent.id|consent.customer|consent.customer_own_id|"
                                "consent.institution|job.id";
    struct api_echo *echoes;

    if (node->kind != YAML_MAPPING) {
        api_parse_error(parse, node, "echo is a mapping of JSON pointers to what must stand there");
        return;
    }
    echoes = api_parse_alloc(parse, node->count + 1, sizeof *echoes);
    if (echoes == NULL)
        return;
    out->echoes = echoes;
    for (size_t i = 0; i < node->count; i++) {
        struct api_echo *echo = &echoes[out->echo_count];
        int word = api_parse_word(parse, node->values[i], "what an echo must equal", words);

        if (word < 0)
            continue;
        echo->variable = (enum api_variable)(API_VARIABLE_CONSENT_ID + word);
        echo->place = node->keys[i]->place;
        if (echo->variable == API_VARIABLE_JOB_ID && kind != REQUEST_POLL) {
            api_parse_error(parse, node->values[i], "job.id exists only in a poll");
            continue;
        }
        api_parse_source(parse, node->keys[i], &echo->source);
        out->echo_count++;
    }
}

static void parse_children(struct api_parse *parse, const struct yaml_node *node,
                           enum request_kind kind, struct api_answer *out)
{
    static const char what[] = "children";
    struct api_children *children = &out->children;
    const struct yaml_node *at;
    const struct yaml_node *key;
    const struct yaml_node *field;

    if (!api_parse_mapping(parse, node, what,
                           kind == REQUEST_LOOK_UP ? "at|key|status|expires"
                                                   : "at|key|job|status|result|expires|flags"))
        return;
    if (kind == REQUEST_LOOK_UP)
        (void)api_parse_required(parse, node, what, "status");
    at = api_parse_required(parse, node, what, "at");
    key = api_parse_required(parse, node, what, "key");
    if (at != NULL)
        children->is_used = api_parse_pointer(parse, at, &children->array);
    if (key != NULL)
        api_parse_source(parse, key, &children->key);
    if ((field = yaml_get(node, "job")) != NULL)
        api_parse_source(parse, field, &children->job);
    if ((field = yaml_get(node, "status")) != NULL)
        api_parse_source(parse, field, &children->status);
    if ((field = yaml_get(node, "result")) != NULL)
        api_parse_source(parse, field, &children->result);
    if ((field = yaml_get(node, "expires")) != NULL)
        api_parse_source(parse, field, &children->expires);
    parse_flags(parse, yaml_get(node, "flags"), children->flags);
}

/* request_id: a pointer, or {header: NAME} (one per definition). */
static void parse_request_id(struct api_parse *parse, const struct yaml_node *node,
                             struct api_answer *out)
{
    struct api_definition *definition = parse->definition;
    const struct yaml_node *header;
    const char *name;

    if (node->kind != YAML_MAPPING) {
        api_parse_source(parse, node, &out->request_id);
        return;
    }
    if (!api_parse_mapping(parse, node, "request_id", "header"))
        return;
    header = api_parse_required(parse, node, "request_id", "header");
    name = header == NULL ? NULL : api_parse_text(parse, header, "header");
    if (name == NULL)
        return;
    if (definition->request_id_header != NULL &&
        strcasecmp(definition->request_id_header, name) != 0)
        api_parse_error(parse, header,
                        "request_id is read from one header only, and %s is named "
                        "already",
                        definition->request_id_header);
    definition->request_id_header = name;
}

static void parse_fields(struct api_parse *parse, const struct yaml_node *node,
                         struct api_answer *out)
{
    const struct {
        const char *key;
        struct api_source *source;
    } fields[] = {
        {"job", &out->job},
        {"status", &out->status},
        {"result", &out->result},
        {"code", &out->code},
        {"message", &out->message},
        {"error_id", &out->error_id},
        {"job_started", &out->job_started},
        {"expires", &out->expires},
        {"next_allowed", &out->next_allowed},
        {"access_token", &out->access_token},
        {"token_type", &out->token_type},
        {"expires_in", &out->expires_in},
        {"items", &out->maintenance.items},
        {"name", &out->maintenance.name},
        {"windows", &out->maintenance.windows},
        {"start", &out->maintenance.start},
        {"end", &out->maintenance.end},
    };

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct yaml_node *value = yaml_get(node, fields[i].key);

        if (value != NULL)
            api_parse_source(parse, value, fields[i].source);
    }
}

static void parse_verdicts(struct api_parse *parse, const struct yaml_node *node,
                           struct api_answer *out)
{
    static const int values[] = {LOOK_UP_ACTIVE, LOOK_UP_RECONNECT, LOOK_UP_SUSPENDED,
                                 LOOK_UP_NOT_READY};

    api_parse_words(parse, node, "verdicts", "active|reconnect|suspended|not_ready", values,
                    &out->verdicts, &out->verdict_count);
}

/* A status with its words, windows with their ends, or both. */
static void parse_maintenance(struct api_parse *parse, const struct yaml_node *node,
                              struct api_answer *out)
{
    static const int values[] = {1, 0};
    const struct yaml_node *words = yaml_get(node, "statuses");

    if (words != NULL)
        api_parse_words(parse, words, "statuses", "maintenance|open", values, &out->verdicts,
                        &out->verdict_count);
    if ((words != NULL) != (out->status.pointer_count > 0))
        api_parse_error(parse, node, "the answer needs both status and statuses, or neither");
    if (out->maintenance.windows.pointer_count > 0 &&
        (out->maintenance.start.pointer_count == 0 || out->maintenance.end.pointer_count == 0))
        api_parse_error(parse, node, "windows need start and end: where each has its instants");
    if (words == NULL && out->maintenance.windows.pointer_count == 0)
        api_parse_error(parse, node,
                        "the answer tells of no maintenance: it needs status and statuses, or "
                        "windows, or both");
}

void api_parse_errors(struct api_parse *parse, const struct yaml_node *node)
{
    const struct yaml_node *request_id;

    if (!api_parse_mapping(parse, node, "errors", "code|message|error_id|request_id"))
        return;
    parse_fields(parse, node, &parse->errors);
    if ((request_id = yaml_get(node, "request_id")) != NULL)
        parse_request_id(parse, request_id, &parse->errors);
}

void api_parse_answer(struct api_parse *parse, const struct yaml_node *node, enum request_kind kind,
                      struct api_answer *out)
{
    static const struct {
        const char *allowed;
        const char *required;
        const char *required_too;
    } shapes[API_REQUEST_COUNT] = {
        [REQUEST_INITIATE] =
            {"job|job_type|poll_hint|job_started|expires|next_allowed|echo|children|code|"
             "message|error_id|request_id",
             "job", NULL},
        [REQUEST_POLL] = {"status|result|flags|poll_hint|job_started|expires|next_allowed|echo|"
                          "children|code|message|error_id|request_id",
                          "status", NULL},
        [REQUEST_LOOK_UP] = {"status|verdicts|expires|echo|children|code|message|error_id|"
                             "request_id",
                             "status", "verdicts"},
        [REQUEST_TOKEN] = {"access_token|token_type|expires_in|default_lifetime|code|message|"
                           "error_id|request_id",
                           "access_token", NULL},
        [REQUEST_INSTITUTIONS] = {"items|name|status|statuses|windows|start|end|code|message|"
                                  "error_id|request_id",
                                  "items", "name"},
    };
    const struct yaml_node *field;

    *out = parse->errors;
    out->poll_hint_unit_ms = 1;
    out->default_lifetime_ms = 5 * MS_PER_MINUTE;
    if (!api_parse_mapping(parse, node, "answer", shapes[kind].allowed))
        return;
    if (kind != REQUEST_LOOK_UP || yaml_get(node, "children") == NULL)
        (void)api_parse_required(parse, node, "answer", shapes[kind].required);
    if (shapes[kind].required_too != NULL)
        (void)api_parse_required(parse, node, "answer", shapes[kind].required_too);
    parse_fields(parse, node, out);
    if ((field = yaml_get(node, "request_id")) != NULL)
        parse_request_id(parse, field, out);
    parse_flags(parse, yaml_get(node, "flags"), out->flags);
    if ((field = yaml_get(node, "job_type")) != NULL)
        out->job_may_be_integer = api_parse_word(parse, field, "job_type", "text|integer") == 1;
    if ((field = yaml_get(node, "poll_hint")) != NULL)
        parse_poll_hint(parse, field, out);
    if ((field = yaml_get(node, "echo")) != NULL)
        parse_echoes(parse, field, kind, out);
    if ((field = yaml_get(node, "children")) != NULL)
        parse_children(parse, field, kind, out);
    if ((field = yaml_get(node, "verdicts")) != NULL)
        parse_verdicts(parse, field, out);
    if (kind == REQUEST_INSTITUTIONS)
        parse_maintenance(parse, node, out);
    if ((field = yaml_get(node, "default_lifetime")) != NULL)
        (void)api_parse_duration(parse, field, "default_lifetime", MS_PER_SECOND, 30 * MS_PER_DAY,
                                 &out->default_lifetime_ms);
}
