/* SPDX-License-Identifier: MIT
 * config_consents.c - take items of `consents:` out of the YAML stream and pack them. */
#include "config/config_consents.h"

#include <stdlib.h>
#include <string.h>

#include "config/config_load.h"
#include "config/config_walk.h"

static const char *const field_names[CONSENT_FIELD_COUNT] = {
    [CONSENT_FIELD_ID] = "id",
    [CONSENT_FIELD_PROVIDER] = "provider",
    [CONSENT_FIELD_CUSTOMER] = "customer",
    [CONSENT_FIELD_CUSTOMER_OWN_ID] = "customer_own_id",
    [CONSENT_FIELD_INSTITUTION] = "institution",
    [CONSENT_FIELD_SCHEDULE] = "schedule",
    [CONSENT_FIELD_EXPIRES] = "expires",
    [CONSENT_FIELD_AUTHORIZED_AT] = "authorized_at",
    [CONSENT_FIELD_PRIORITY] = "priority",
    [CONSENT_FIELD_TAGS] = "tags",
    [CONSENT_FIELD_CUSTOMER_SECRET] = "customer_secret",
    [CONSENT_FIELD_MODE] = "mode",
};

const char *consent_field_name(enum consent_field field)
{
    return field_names[field];
}

struct place consent_row_place(const struct consent_row *row, enum consent_field field)
{
    const struct consent_cell *cell = &row->cells[field];

    if (row->is_table)
        return (struct place){row->file, row->line, 0, field_names[field]};
    if (cell->text != NULL)
        return (struct place){row->file, cell->line, cell->column, NULL};
    return (struct place){row->file, row->line, row->column, NULL};
}

/* --- Packing: a header, then (field, line, column, length, bytes) for each field ----------------
 */

struct record_header {
    uint32_t line;
    uint32_t column;
    uint32_t file;
    uint8_t field_count;
    uint8_t is_override;
    uint8_t is_broken;
};

struct record_field {
    uint32_t line;
    uint32_t column;
    uint32_t length;
    uint8_t field;
};

static void append(struct inline_consents *consents, const void *bytes, size_t length)
{
    if (consents->capacity - consents->length < length) {
        size_t capacity = consents->capacity * 2 + length + 65536;
        unsigned char *grown = realloc(consents->bytes, capacity);

        REQUIRE(grown != NULL);
        consents->bytes = grown;
        consents->capacity = capacity;
    }
    memcpy(consents->bytes + consents->length, bytes, length);
    consents->length += length;
}

static void append_field(struct inline_consents *consents, enum consent_field field,
                         const struct yaml_node *node, const char *text, size_t length)
{
    const struct record_field head = {.line = node->place.line,
                                      .column = node->place.column,
                                      .length = (uint32_t)length,
                                      .field = (uint8_t)field};

    append(consents, &head, sizeof head);
    append(consents, text, length);
}

bool inline_consents_next(const struct inline_consents *consents, size_t *offset,
                          struct consent_row *row)
{
    struct record_header head;

    if (consents == NULL || *offset >= consents->length)
        return false;
    memcpy(&head, consents->bytes + *offset, sizeof head);
    *offset += sizeof head;
    *row = (struct consent_row){.file = consents->files[head.file],
                                .line = head.line,
                                .column = head.column,
                                .is_override = head.is_override != 0,
                                .is_broken = head.is_broken != 0};
    for (unsigned i = 0; i < head.field_count; i++) {
        struct record_field field;

        memcpy(&field, consents->bytes + *offset, sizeof field);
        *offset += sizeof field;
        row->cells[field.field] = (struct consent_cell){(const char *)consents->bytes + *offset,
                                                        field.length, field.line, field.column};
        *offset += field.length;
    }
    return true;
}

void inline_consents_free(struct inline_consents *consents)
{
    if (consents == NULL)
        return;
    free(consents->bytes);
    free(consents->files);
    free(consents);
}

/* --- From YAML ------------------------------------------------------------------------------- */

/* All consents of a file come together, so only the last name needs to be compared. */
static uint32_t file_index(struct inline_consents *consents, const char *file)
{
    const char **files;

    if (consents->file_count > 0 && strcmp(consents->files[consents->file_count - 1], file) == 0)
        return consents->file_count - 1;
    files = realloc(consents->files, (consents->file_count + 1) * sizeof *files);
    REQUIRE(files != NULL);
    consents->files = files;
    files[consents->file_count] = file;
    return consents->file_count++;
}

/* A secret reference as one text. */
static void append_secret(struct load *load, const struct yaml_node *node, struct text *out)
{
    const char *name = node->values[0]->text;

    if (strcmp(node->keys[0]->text, "file") == 0)
        name = config_path_resolve(load->arena, node->place.file, name);
    text_append_format(out, "%s:%s", node->keys[0]->text, name == NULL ? "" : name);
}

/* A list of words; a blank inside of one would make two of it. */
static void append_words(struct load *load, const struct yaml_node *list, struct text *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct yaml_node *item = list->values[i];

        if (strpbrk(item->text, " \t\r\n") != NULL)
            diagnostics_error(load->diagnostics, item->place,
                              "\"%.80s\" holds a blank: one word per item", item->text);
        if (i > 0)
            text_append(out, " ", 1);
        text_append(out, item->text, item->length);
    }
}

static void take_field(struct load *load, enum consent_field field, const struct yaml_node *node)
{
    struct inline_consents *consents = load->config->inline_consents;
    struct text joined;

    if (node->kind == YAML_SCALAR) {
        append_field(consents, field, node, node->text, node->length);
        return;
    }
    text_init(&joined, 60 * 1024);
    if (node->kind == YAML_SEQUENCE)
        append_words(load, node, &joined);
    else
        append_secret(load, node, &joined);
    if (joined.is_cut)
        diagnostics_error(load->diagnostics, node->place, "too long");
    append_field(consents, field, node, joined.bytes == NULL ? "" : joined.bytes, joined.length);
    text_deinit(&joined);
}

/* Of an item with errors only its names are kept, and only where they are names. */
static bool is_usable(const struct record_header *head, enum consent_field field,
                      const struct yaml_node *value)
{
    if (yaml_is_empty(value))
        return false;
    return !head->is_broken || (value->kind == YAML_SCALAR && (field == CONSENT_FIELD_PROVIDER ||
                                                               field == CONSENT_FIELD_SCHEDULE));
}

void config_consents_take(struct load *load, const struct yaml_node *item)
{
    struct inline_consents *consents = load->config->inline_consents;
    size_t errors_before = load->diagnostics->error_count;
    struct record_header head = {0};
    size_t start;

    config_walk(option_find("consents[]"), item, "consents", item->place, false, load->diagnostics);
    if (item->kind != YAML_MAPPING)
        return;
    head.is_broken = load->diagnostics->error_count > errors_before;
    head.line = item->place.line;
    head.column = item->place.column;
    head.file = file_index(consents, item->place.file);
    start = consents->length;
    append(consents, &head, sizeof head);
    for (size_t i = 0; i < item->count; i++) {
        const struct yaml_node *value = item->values[i];

        if (strcmp(item->keys[i]->text, "override") == 0 && value->kind == YAML_SCALAR)
            head.is_override = strcmp(value->text, "true") == 0;
        for (unsigned field = 0; field < CONSENT_FIELD_COUNT; field++)
            if (strcmp(item->keys[i]->text, field_names[field]) == 0 &&
                is_usable(&head, (enum consent_field)field, value)) {
                take_field(load, (enum consent_field)field, value);
                head.field_count++;
            }
    }
    memcpy(consents->bytes + start, &head, sizeof head);
    consents->count++;
}
