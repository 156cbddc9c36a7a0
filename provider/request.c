/* SPDX-License-Identifier: MIT
 * request.c - run the programs of a plan: append bytes, escape values, leave absent ones out. */
#include "provider/request.h"

#include <string.h>

#include "provider/base64.h"
#include "provider/request_plan.h"

/* Room made once, so that a typical request never moves and leaves no copies of secrets behind. */
#define URL_ROOM 512
#define HEADERS_ROOM 4096
#define BODY_ROOM 4096

static const char *const request_names[] = {"initiate", "poll", "look_up", "token"};

/* Values of one build: the caller's, and those made here. */
struct build {
    const struct request_variables *variables;
    struct request *request;
    struct fault *fault;
    enum request_kind kind;
    struct request_value from;
    struct request_value to;
    struct request_value basic;
    char from_text[UTC_TEXT_SIZE];
    char to_text[UTC_TEXT_SIZE];
    char basic_text[REQUEST_BASIC_SIZE];
};

static void make_room(struct text *text, size_t room)
{
    static const char nothing[HEADERS_ROOM];

    text_append(text, nothing, room);
    text_clear(text);
}

void request_init(struct request *request)
{
    *request = (struct request){0};
    text_init(&request->url, REQUEST_URL_BYTES_MAX);
    text_init(&request->headers, REQUEST_HEADER_BYTES_MAX);
    text_init(&request->body, REQUEST_BODY_BYTES_MAX);
    make_room(&request->url, URL_ROOM);
    make_room(&request->headers, HEADERS_ROOM);
    make_room(&request->body, BODY_ROOM);
}

static void wipe(struct text *text)
{
    if (text->bytes != NULL)
        memory_wipe(text->bytes, text->length);
    text_clear(text);
}

void request_clear(struct request *request)
{
    wipe(&request->url);
    wipe(&request->headers);
    wipe(&request->body);
    request->method = NULL;
    request->header_count = 0;
    request->has_body = false;
}

void request_deinit(struct request *request)
{
    text_wipe(&request->url);
    text_wipe(&request->headers);
    text_wipe(&request->body);
}

/* ---- values ---- */

/* base64(client_id:client_secret), RFC 7617. Stays absent when either is or both are too long. */
size_t request_basic(const struct request_variables *variables, char out[REQUEST_BASIC_SIZE])
{
    const struct request_value *id = &variables->values[API_VARIABLE_CLIENT_ID];
    const struct request_value *secret = &variables->values[API_VARIABLE_CLIENT_SECRET];
    char pair[REQUEST_BASIC_SIZE / 4 * 3];
    size_t length = id->length + 1 + secret->length;
    size_t written;

    if (id->length == 0 || secret->length == 0 || length > sizeof pair)
        return 0;
    memcpy(pair, id->bytes, id->length);
    pair[id->length] = ':';
    memcpy(pair + id->length + 1, secret->bytes, secret->length);
    written = base64_encode(pair, length, out);
    memory_wipe(pair, length);
    return written;
}

/* The window from..to inside the provider's limit at this moment. */
static enum result make_window(struct build *build, const struct request_plan *plan)
{
    const struct request_variables *variables = build->variables;
    int64_t from = variables->from.ms;
    int64_t to = variables->to.ms;
    const int64_t now = variables->now.ms;

    if (plan->look_back_max_ms > 0 && from != UTC_NONE.ms &&
        from < now - plan->look_back_max_ms + REQUEST_LOOK_BACK_MARGIN_MS)
        from = now - plan->look_back_max_ms + REQUEST_LOOK_BACK_MARGIN_MS;
    if (to != UTC_NONE.ms && to > now)
        to = now;
    if (from != UTC_NONE.ms && from >= (to == UTC_NONE.ms ? now : to))
        return fault_set(build->fault, FAULT_CONFIGURATION,
                         "the window from..to of the request \"%s\" is empty: check look_back and "
                         "look_until of the schedule",
                         request_names[build->kind]);
    if (from != UTC_NONE.ms) {
        build->from.bytes = utc_text_seconds((struct utc_time){from}, build->from_text);
        build->from.length = strlen(build->from_text);
    }
    if (to != UTC_NONE.ms) {
        build->to.bytes = utc_text_seconds((struct utc_time){to}, build->to_text);
        build->to.length = strlen(build->to_text);
    }
    return RESULT_OK;
}

static const struct request_value *value_of(struct build *build, enum api_variable variable)
{
    switch (variable) {
    case API_VARIABLE_FROM: return &build->from;
    case API_VARIABLE_TO: return &build->to;
    case API_VARIABLE_BASIC:
        if (build->basic.length == 0)
            build->basic = (struct request_value){
                build->basic_text, request_basic(build->variables, build->basic_text)};
        return &build->basic;
    default: return &build->variables->values[variable];
    }
}

/* ---- escaping ---- */

enum byte_kind {
    BYTE_CONTROL = 1,    /* 0x00-0x1F, 0x7F */
    BYTE_UNRESERVED = 2, /* RFC 3986 2.3 */
    BYTE_JSON_PLAIN = 4, /* stands for itself inside a JSON string; ASCII only */
};

static uint8_t byte_kind(unsigned char byte)
{
    uint8_t kind = 0;

    if (byte < 0x20 || byte == 0x7F)
        return BYTE_CONTROL;
    if (byte < 0x80 && byte != '"' && byte != '\\')
        kind |= BYTE_JSON_PLAIN;
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~')
        kind |= BYTE_UNRESERVED;
    return kind;
}

/* How many bytes from the start are all of `kind`. */
static size_t span(const struct request_value *value, uint8_t kind)
{
    size_t i = 0;

    while (i < value->length && (byte_kind((unsigned char)value->bytes[i]) & kind) != 0)
        i++;
    return i;
}

static void append_percent(struct text *text, const struct request_value *value)
{
    static const char hex[] = "0123456789ABCDEF";

    if (span(value, BYTE_UNRESERVED) == value->length) {
        text_append(text, value->bytes, value->length);
        return;
    }
    for (size_t i = 0; i < value->length; i++) {
        unsigned char byte = (unsigned char)value->bytes[i];
        const char escaped[3] = {'%', hex[byte >> 4], hex[byte & 15]};

        if ((byte_kind(byte) & BYTE_UNRESERVED) != 0)
            text_append(text, value->bytes + i, 1);
        else
            text_append(text, escaped, 3);
    }
}

static bool has_control(const struct request_value *value)
{
    for (size_t i = 0; i < value->length; i++)
        if ((byte_kind((unsigned char)value->bytes[i]) & BYTE_CONTROL) != 0)
            return true;
    return false;
}

static bool is_dots(const struct request_value *value)
{
    return (value->length == 1 && value->bytes[0] == '.') ||
           (value->length == 2 && value->bytes[0] == '.' && value->bytes[1] == '.');
}

static enum result append_value(struct build *build, struct text *text, const struct step *step)
{
    const struct request_value *value = value_of(build, (enum api_variable)step->variable);
    const char *name = api_variable_text((enum api_variable)step->variable);

    if (value->length == 0)
        return fault_set(build->fault, FAULT_DATA,
                         "the request \"%s\" needs {%s}, and this refresh has none",
                         request_names[build->kind], name);
    switch ((enum escape)step->escape) {
    case ESCAPE_JSON:
        if (span(value, BYTE_JSON_PLAIN) == value->length)
            text_append(text, value->bytes, value->length);
        else
            text_append_json(text, value->bytes, value->length);
        return RESULT_OK;
    case ESCAPE_FORM: append_percent(text, value); return RESULT_OK;
    case ESCAPE_HEADER:
        if (has_control(value))
            return fault_set(build->fault, FAULT_DATA,
                             "{%s} holds a control byte and cannot stand in a header", name);
        text_append(text, value->bytes, value->length);
        return RESULT_OK;
    case ESCAPE_PATH: break;
    }
    if (has_control(value) || is_dots(value))
        return fault_set(build->fault, FAULT_DATA,
                         "{%s} is \".\" or \"..\" or holds a control byte: it cannot stand in a "
                         "path",
                         name);
    append_percent(text, value);
    return RESULT_OK;
}

/* ---- programs ---- */

static void separate(struct text *text, char separator)
{
    const char last = text->length == 0 ? '{' : text->bytes[text->length - 1];

    if (last != '{' && last != '[')
        text_append(text, &separator, 1);
}

static void truncate_to(struct text *text, size_t length)
{
    text->length = length;
    text->bytes[length] = '\0';
}

static enum result run(struct build *build, const struct program *program, struct text *text)
{
    struct {
        size_t before; /* length before the list... */
        size_t opened; /* ...and behind its opening bracket */
    } groups[GROUP_DEPTH_MAX];
    uint32_t depth = 0;

    for (uint32_t i = 0; i < program->count; i++) {
        const struct step *step = &program->steps[i];

        switch ((enum step_kind)step->kind) {
        case STEP_BYTES: text_append(text, step->bytes, step->length); break;
        case STEP_VALUE:
            if (append_value(build, text, step) != RESULT_OK)
                return RESULT_FAULT;
            break;
        case STEP_SKIP:
            if (value_of(build, (enum api_variable)step->variable)->length == 0)
                i += step->skip;
            break;
        case STEP_SEPARATE: separate(text, step->bytes[0]); break;
        case STEP_LINE_END:
            text_append(text, "", 1);
            build->request->header_count++;
            break;
        case STEP_GROUP:
            REQUIRE(depth < GROUP_DEPTH_MAX);
            groups[depth++].before = text->length;
            break;
        case STEP_GROUP_OPEN: groups[depth - 1].opened = text->length; break;
        case STEP_GROUP_CLOSE:
            depth--;
            if (text->length == groups[depth].opened) {
                truncate_to(text, groups[depth].before);
                i += step->skip;
            }
            break;
        }
    }
    return RESULT_OK;
}

/* The lines lie one after the other, each with its NUL. */
static void point_at_lines(struct request *request)
{
    const char *at = request->headers.bytes;

    for (uint32_t i = 0; i < request->header_count; i++) {
        request->header_lines[i] = at;
        at += strlen(at) + 1;
    }
}

enum result request_build(const struct request_plan *plan, enum request_kind kind,
                          const struct request_variables *variables, struct request *request,
                          struct fault *fault)
{
    const struct compiled_request *compiled = &plan->requests[kind];
    struct build build;
    enum result result = RESULT_FAULT;

    build.variables = variables;
    build.request = request;
    build.fault = fault;
    build.kind = kind;
    build.from = build.to = build.basic = (struct request_value){NULL, 0};
    request_clear(request);
    if (!compiled->is_used)
        return fault_set(fault, FAULT_INTERNAL, "this API definition has no request \"%s\"",
                         request_names[kind]);
    if (kind == REQUEST_INITIATE && plan->uses_look_back && make_window(&build, plan) != RESULT_OK)
        return RESULT_FAULT;
    if (run(&build, &compiled->url, &request->url) != RESULT_OK ||
        run(&build, &compiled->headers, &request->headers) != RESULT_OK ||
        run(&build, &compiled->body, &request->body) != RESULT_OK)
        goto out;
    if (request->url.is_cut || request->headers.is_cut || request->body.is_cut) {
        (void)fault_set(fault, FAULT_DATA, "the request \"%s\" is larger than is sensible",
                        request_names[kind]);
        goto out;
    }
    point_at_lines(request);
    request->method = compiled->method;
    request->has_body = compiled->has_body;
    result = RESULT_OK;
out:
    if (build.basic.length > 0)
        memory_wipe(build.basic_text, sizeof build.basic_text);
    if (result != RESULT_OK)
        request_clear(request);
    return result;
}
