/* SPDX-License-Identifier: MIT
 * request_compile.c - the templates of a definition as programs that only append bytes. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "provider/request_plan.h"

#define STEPS_MAX 4096

/* A program being written. Literal bytes gather in `pending` until something else comes. */
struct writer {
    struct arena *arena;
    struct step *steps; /* STEPS_MAX of them, scratch */
    uint32_t count;
    struct text pending;
    int mode;
    bool is_failed; /* too long, or memory is out */
};

static void flush(struct writer *writer)
{
    char *copy;

    if (writer->pending.length == 0)
        return;
    copy = arena_copy_packed(writer->arena, writer->pending.bytes, writer->pending.length);
    if (copy == NULL || writer->pending.is_cut || writer->count == STEPS_MAX) {
        writer->is_failed = true;
        return;
    }
    writer->steps[writer->count++] = (struct step){
        .kind = STEP_BYTES, .bytes = copy, .length = (uint32_t)writer->pending.length};
    text_clear(&writer->pending);
}

/* Add a step; answers its index, for a skip to be set later. */
static uint32_t add(struct writer *writer, struct step step)
{
    flush(writer);
    if (writer->count == STEPS_MAX) {
        writer->is_failed = true;
        return 0;
    }
    writer->steps[writer->count] = step;
    return writer->count++;
}

/* Let the step at `index` skip to here. */
static void land(struct writer *writer, uint32_t index)
{
    flush(writer);
    if (!writer->is_failed)
        writer->steps[index].skip = (uint16_t)(writer->count - index - 1);
}

static struct program finish(struct writer *writer)
{
    struct program program = {NULL, 0};
    struct step *steps;

    flush(writer);
    steps = arena_alloc(writer->arena, (writer->count + 1) * sizeof *steps);
    if (steps == NULL) {
        writer->is_failed = true;
    } else {
        memcpy(steps, writer->steps, writer->count * sizeof *steps);
        program = (struct program){steps, writer->count};
    }
    writer->count = 0;
    return program;
}

static void write_template(struct writer *writer, const struct api_template *template,
                           enum escape escape)
{
    for (uint32_t i = 0; i < template->part_count; i++) {
        const struct api_part *part = &template->parts[i];

        if (part->variable != API_VARIABLE_NONE)
            (void)add(writer, (struct step){.kind = STEP_VALUE,
                                            .escape = (uint8_t)escape,
                                            .variable = (uint8_t)part->variable});
        else if (escape == ESCAPE_JSON)
            text_append_json(&writer->pending, part->literal, part->length);
        else
            text_append(&writer->pending, part->literal, part->length);
    }
}

static bool has_optional(const struct api_template *template)
{
    for (uint32_t i = 0; i < template->part_count; i++)
        if (template->parts[i].is_optional)
            return true;
    return false;
}

#define SKIPS_MAX 16

/* One skip for each optional placeholder; land them all behind what is to be left out. */
static uint32_t write_skips(struct writer *writer, const struct api_template *template,
                            uint32_t skips[SKIPS_MAX])
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < template->part_count; i++)
        if (template->parts[i].is_optional) {
            if (count == SKIPS_MAX) {
                writer->is_failed = true;
                break;
            }
            skips[count++] =
                add(writer, (struct step){.kind = STEP_SKIP,
                                          .variable = (uint8_t) template->parts[i].variable});
        }
    return count;
}

static void land_all(struct writer *writer, const uint32_t *skips, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        land(writer, skips[i]);
}

/* ---- headers ---- */

static void write_fixed_header(struct writer *writer, const char *line, uint32_t *count)
{
    text_append_string(&writer->pending, line);
    (void)add(writer, (struct step){.kind = STEP_LINE_END});
    (*count)++;
}

static bool names_header(const struct api_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return true;
    return false;
}

static void write_headers(struct writer *writer, const struct api_request *request,
                          struct compiled_request *out)
{
    uint32_t skips[SKIPS_MAX];

    if (!names_header(request, "Accept"))
        write_fixed_header(writer, "Accept: application/json", &out->header_count);
    if (request->body_kind == API_BODY_JSON)
        write_fixed_header(writer, "Content-Type: application/json", &out->header_count);
    if (request->body_kind == API_BODY_FORM)
        write_fixed_header(writer, "Content-Type: application/x-www-form-urlencoded",
                           &out->header_count);
    for (uint32_t i = 0; i < request->header_count; i++) {
        const struct api_header *header = &request->headers[i];
        uint32_t skip_count;

        if ((header->modes & 1u << writer->mode) == 0)
            continue;
        skip_count = write_skips(writer, &header->value, skips);
        text_append_string(&writer->pending, header->name);
        text_append_string(&writer->pending, ": ");
        write_template(writer, &header->value, ESCAPE_HEADER);
        (void)add(writer, (struct step){.kind = STEP_LINE_END});
        land_all(writer, skips, skip_count);
        out->header_count++;
    }
}

/* ---- bodies ---- */

/* What is known, when a member is written, of the members before it. */
enum filled { FILLED_NO, FILLED_MAYBE, FILLED_YES };

static void write_separator(struct writer *writer, enum filled filled, const char *separator)
{
    if (filled == FILLED_YES)
        text_append_string(&writer->pending, separator);
    else if (filled == FILLED_MAYBE)
        (void)add(writer, (struct step){.kind = STEP_SEPARATE, .bytes = separator, .length = 1});
}

/* Can this member be missing? Then what holds only such members can be empty, and is left out. */
static bool may_vanish(const struct api_node *node, int mode)
{
    if ((node->modes & 1u << mode) == 0)
        return true;
    if (node->kind == API_NODE_TEXT)
        return has_optional(&node->value);
    if (node->kind == API_NODE_LITERAL || node->child_count == 0)
        return false;
    for (uint32_t i = 0; i < node->child_count; i++)
        if (!may_vanish(&node->children[i], mode))
            return false;
    return true;
}

static void write_members(struct writer *writer, const struct api_node *node);

static void write_key(struct writer *writer, const struct api_node *node)
{
    if (node->key == NULL)
        return;
    text_append_string(&writer->pending, "\"");
    text_append_json(&writer->pending, node->key, strlen(node->key));
    text_append_string(&writer->pending, "\":");
}

/* One JSON member or item, with the separator before it. */
static void write_json(struct writer *writer, const struct api_node *node, enum filled filled)
{
    const bool is_group = node->kind == API_NODE_OBJECT || node->kind == API_NODE_ARRAY;
    const bool is_dropped = is_group && may_vanish(node, writer->mode);
    uint32_t skips[SKIPS_MAX];
    uint32_t skip_count = 0;

    if (node->kind == API_NODE_TEXT)
        skip_count = write_skips(writer, &node->value, skips);
    if (is_dropped)
        (void)add(writer, (struct step){.kind = STEP_GROUP});
    write_separator(writer, filled, ",");
    write_key(writer, node);
    switch (node->kind) {
    case API_NODE_TEXT:
        text_append_string(&writer->pending, "\"");
        write_template(writer, &node->value, ESCAPE_JSON);
        text_append_string(&writer->pending, "\"");
        break;
    case API_NODE_LITERAL: text_append_string(&writer->pending, node->literal); break;
    case API_NODE_OBJECT:
    case API_NODE_ARRAY:
        text_append_string(&writer->pending, node->kind == API_NODE_OBJECT ? "{" : "[");
        if (is_dropped)
            (void)add(writer, (struct step){.kind = STEP_GROUP_OPEN});
        write_members(writer, node);
        if (is_dropped)
            skips[skip_count++] = add(writer, (struct step){.kind = STEP_GROUP_CLOSE});
        text_append_string(&writer->pending, node->kind == API_NODE_OBJECT ? "}" : "]");
        break;
    }
    land_all(writer, skips, skip_count);
}

static void write_members(struct writer *writer, const struct api_node *node)
{
    enum filled filled = FILLED_NO;

    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct api_node *child = &node->children[i];

        if ((child->modes & 1u << writer->mode) == 0)
            continue;
        write_json(writer, child, filled);
        if (!may_vanish(child, writer->mode))
            filled = FILLED_YES;
        else if (filled == FILLED_NO)
            filled = FILLED_MAYBE;
    }
}

static void append_percent(struct text *text, const char *bytes)
{
    for (; *bytes != '\0'; bytes++)
        text_append_format(text, "%%%02X", (unsigned)(unsigned char)*bytes);
}

/* Names and fixed parts of a form are written by people: escape what is not plainly harmless. */
static void append_form(struct text *text, const char *bytes, size_t length)
{
    static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-._~";

    for (size_t i = 0; i < length; i++) {
        char one[2] = {bytes[i], '\0'};

        if (strchr(harmless, bytes[i]) != NULL)
            text_append(text, one, 1);
        else
            append_percent(text, one);
    }
}

static void write_form(struct writer *writer, const struct api_node *root)
{
    enum filled filled = FILLED_NO;

    for (uint32_t i = 0; i < root->child_count; i++) {
        const struct api_node *child = &root->children[i];
        uint32_t skips[SKIPS_MAX];
        uint32_t skip_count;

        if ((child->modes & 1u << writer->mode) == 0)
            continue;
        skip_count = write_skips(writer, &child->value, skips);
        write_separator(writer, filled, "&");
        append_form(&writer->pending, child->key, strlen(child->key));
        text_append_string(&writer->pending, "=");
        for (uint32_t k = 0; k < child->value.part_count; k++) {
            const struct api_part *part = &child->value.parts[k];

            if (part->variable == API_VARIABLE_NONE)
                append_form(&writer->pending, part->literal, part->length);
            else
                (void)add(writer, (struct step){.kind = STEP_VALUE,
                                                .escape = ESCAPE_FORM,
                                                .variable = (uint8_t)part->variable});
        }
        land_all(writer, skips, skip_count);
        if (skip_count == 0)
            filled = FILLED_YES;
        else if (filled == FILLED_NO)
            filled = FILLED_MAYBE;
    }
}

/* ---- one request, all requests ---- */

static void compile_one(struct writer *writer, const struct api_request *request,
                        const char *base_url, const char *token_url, struct compiled_request *out)
{
    out->is_used = true;
    out->method = request->method;
    text_append_string(&writer->pending, token_url != NULL ? token_url : base_url);
    if (token_url == NULL)
        write_template(writer, &request->path, ESCAPE_PATH);
    out->url = finish(writer);
    write_headers(writer, request, out);
    out->headers = finish(writer);
    out->has_body = request->body_kind != API_BODY_NONE;
    if (request->body_kind == API_BODY_JSON) {
        text_append_string(&writer->pending, "{");
        write_members(writer, &request->body);
        text_append_string(&writer->pending, "}");
    } else if (request->body_kind == API_BODY_FORM) {
        write_form(writer, &request->body);
    }
    out->body = finish(writer);
    if (out->header_count > REQUEST_HEADERS_MAX)
        writer->is_failed = true;
}

enum result request_compile(const struct api_definition *definition, int mode, const char *base_url,
                            const char *token_url, struct arena *arena,
                            const struct request_plan **plan, struct fault *fault)
{
    struct request_plan *made = arena_alloc(arena, sizeof *made);
    struct writer writer = {.arena = arena, .mode = mode};
    const struct api_mode *auth;
    enum result result = RESULT_FAULT;

    REQUIRE(mode >= 0 && (uint32_t)mode < definition->mode_count);
    auth = &definition->modes[mode];
    text_init(&writer.pending, REQUEST_BODY_BYTES_MAX);
    writer.steps = malloc(STEPS_MAX * sizeof *writer.steps);
    if (made == NULL || writer.steps == NULL) {
        result = fault_set(fault, FAULT_UNAVAILABLE, "out of memory for the requests of %s",
                           definition->name);
        goto out;
    }
    if (auth->has_token && auth->token.uses_configured_url && token_url == NULL) {
        result = fault_set(fault, FAULT_CONFIGURATION,
                           "auth mode \"%s\" of %s needs auth.token_url in the provider",
                           auth->name, definition->name);
        goto out;
    }
    made->look_back_max_ms = definition->look_back_max_ms;
    made->uses_look_back = definition->uses_look_back;
    for (int kind = REQUEST_INITIATE; kind < API_REQUEST_COUNT; kind++)
        if (kind != REQUEST_TOKEN && definition->requests[kind].is_used)
            compile_one(&writer, &definition->requests[kind], base_url, NULL,
                        &made->requests[kind]);
    if (auth->has_token)
        compile_one(&writer, &auth->token, base_url, token_url, &made->requests[REQUEST_TOKEN]);
    if (writer.is_failed) {
        result =
            fault_set(fault, FAULT_CONFIGURATION,
                      "the requests of %s are too large: at most %d headers, %d bytes of fixed "
                      "text",
                      definition->name, REQUEST_HEADERS_MAX, REQUEST_BODY_BYTES_MAX);
        goto out;
    }
    *plan = made;
    result = RESULT_OK;
out:
    text_deinit(&writer.pending);
    free(writer.steps);
    return result;
}
