/* SPDX-License-Identifier: MIT
 * config_print.c - the effective configuration as YAML, the same bytes for the same meaning. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/config_consents.h"
#include "config/config_load.h"
#include "config/consent_table.h"
#include "config/option_value.h"
#include "config/yaml_tree.h"

#define WORDS_MAX 64

struct print {
    const struct config *config;
    const struct consent_table *consents; /* NULL: no counts */
    struct text *out;
    bool with_origin;
    bool is_json; /* everything on one line, everything in quotes */
};

/* --- Scalars --------------------------------------------------------------------------------- */

static bool is_plain_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_./+-@%:", c) != NULL);
}

/* Text that every YAML reader takes for itself, in block and in flow. */
static bool is_plain_safe(const char *text, size_t length)
{
    if (length == 0 || strchr("@%:.+", text[0]) != NULL || text[length - 1] == ':' ||
        (length == 1 && text[0] == '-') || (length == 4 && memcmp(text, "null", 4) == 0) ||
        (length >= 3 && memcmp(text, "---", 3) == 0))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_plain_byte(text[i]))
            return false;
    return true;
}

/* Characters that JSON leaves alone and YAML does not. */
static size_t special_sequence(const char *text, size_t left, unsigned *code)
{
    const unsigned char *p = (const unsigned char *)text;

    if (left >= 2 && p[0] == 0xC2 && p[1] < 0xA0) {
        *code = p[1];
        return 2;
    }
    if (left >= 3 && p[0] == 0xE2 && p[1] == 0x80 && (p[2] == 0xA8 || p[2] == 0xA9)) {
        *code = 0x2000u + (p[2] & 0x3Fu);
        return 3;
    }
    if (left >= 3 && p[0] == 0xEF && p[1] == 0xBB && p[2] == 0xBF) {
        *code = 0xFEFF;
        return 3;
    }
    return 0;
}

static void put_scalar(struct print *print, const char *text, size_t length)
{
    size_t start = 0;
    unsigned code = 0;

    if (!print->is_json && is_plain_safe(text, length)) {
        text_append(print->out, text, length);
        return;
    }
    text_append(print->out, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t special = special_sequence(text + i, length - i, &code);

        if (special == 0) {
            i++;
            continue;
        }
        text_append_json(print->out, text + start, i - start);
        text_append_format(print->out, "\\u%04x", code);
        i += special;
        start = i;
    }
    text_append_json(print->out, text + start, length - start);
    text_append(print->out, "\"", 1);
}

static void put_key(struct print *print, const char *key)
{
    put_scalar(print, key, strlen(key));
    text_append(print->out, ": ", 2);
}

static void put_indent(struct print *print, unsigned indent)
{
    for (unsigned i = 0; i < indent; i++)
        text_append(print->out, "  ", 2);
}

static void put_origin(struct print *print, const struct place *place)
{
    if (print->with_origin && place->line == 0)
        text_append_format(print->out, "  # %s", place->file);
    else if (print->with_origin)
        text_append_format(print->out, "  # %s:%u:%u", place->file, place->line, place->column);
    text_append(print->out, "\n", 1);
}

/* --- The tree ------------------------------------------------------------------------------------
 */

static void put_mapping(struct print *print, const struct yaml_node *node, unsigned indent,
                        bool first_is_open);

static bool is_flow_mapping(const struct yaml_node *node)
{
    return node->count == 0 || (node->count == 1 && node->values[0]->kind == YAML_SCALAR &&
                                option_word_allowed("env|file|credential|calendar",
                                                    node->keys[0]->text, node->keys[0]->length));
}

static bool has_mappings(const struct yaml_node *list)
{
    return list->count > 0 && list->values[0]->kind == YAML_MAPPING &&
           !is_flow_mapping(list->values[0]);
}

static void put_flow(struct print *print, const struct yaml_node *node)
{
    bool is_mapping = node->kind == YAML_MAPPING;

    text_append(print->out, is_mapping ? "{" : "[", 1);
    for (size_t i = 0; i < node->count; i++) {
        if (i > 0)
            text_append(print->out, ", ", 2);
        if (is_mapping)
            put_key(print, node->keys[i]->text);
        if (node->values[i]->kind == YAML_SCALAR)
            put_scalar(print, node->values[i]->text, node->values[i]->length);
        else
            put_flow(print, node->values[i]);
    }
    text_append(print->out, is_mapping ? "}" : "]", 1);
}

static void put_sources(struct print *print, const struct yaml_node *list, unsigned indent)
{
    for (size_t i = 0; i < list->count; i++) {
        put_indent(print, indent);
        text_append(print->out, "- ", 2);
        put_mapping(print, list->values[i], indent + 1, true);
        if (print->consents == NULL)
            continue;
        put_indent(print, indent + 1);
        text_append_format(print->out, "# %" PRIu32 " consents\n",
                           consent_table_source_count(print->consents, (uint32_t)i));
    }
}

static void put_value(struct print *print, const struct yaml_node *node, unsigned indent)
{
    if (node->kind == YAML_MAPPING && !is_flow_mapping(node)) {
        text_append(print->out, "\n", 1);
        put_mapping(print, node, indent + 1, false);
    } else if (node->kind == YAML_SEQUENCE && has_mappings(node)) {
        text_append(print->out, "\n", 1);
        put_sources(print, node, indent + 1);
    } else {
        text_append(print->out, " ", 1);
        if (node->kind == YAML_SCALAR)
            put_scalar(print, node->text, node->length);
        else
            put_flow(print, node);
        put_origin(print, &node->place);
    }
}

static void put_mapping(struct print *print, const struct yaml_node *node, unsigned indent,
                        bool first_is_open)
{
    for (size_t i = 0; i < node->count; i++) {
        if (strcmp(node->keys[i]->text, "override") == 0)
            continue;
        if (!first_is_open)
            put_indent(print, indent);
        first_is_open = false;
        put_scalar(print, node->keys[i]->text, node->keys[i]->length);
        text_append(print->out, ":", 1);
        put_value(print, node->values[i], indent);
    }
}

void config_print_value(const struct yaml_node *node, struct text *out)
{
    struct print print = {.out = out};

    if (node->kind == YAML_SCALAR)
        put_scalar(&print, node->text, node->length);
    else
        put_flow(&print, node);
}

/* --- Inline consents ------------------------------------------------------------------------- */

static int compare_cells(const struct consent_cell *a, const struct consent_cell *b)
{
    size_t length = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->text, b->text, length);

    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static bool is_same_consent(const struct consent_row *a, const struct consent_row *b)
{
    return compare_cells(&a->cells[CONSENT_FIELD_PROVIDER], &b->cells[CONSENT_FIELD_PROVIDER]) ==
               0 &&
           compare_cells(&a->cells[CONSENT_FIELD_ID], &b->cells[CONSENT_FIELD_ID]) == 0;
}

struct sorted_row {
    struct consent_row row;
    size_t order;
};

static int compare_rows(const void *a_pointer, const void *b_pointer)
{
    const struct sorted_row *a = *(const struct sorted_row *const *)a_pointer;
    const struct sorted_row *b = *(const struct sorted_row *const *)b_pointer;
    int order =
        compare_cells(&a->row.cells[CONSENT_FIELD_PROVIDER], &b->row.cells[CONSENT_FIELD_PROVIDER]);

    if (order == 0)
        order = compare_cells(&a->row.cells[CONSENT_FIELD_ID], &b->row.cells[CONSENT_FIELD_ID]);
    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static int compare_words(const void *a_pointer, const void *b_pointer)
{
    return compare_cells(a_pointer, b_pointer);
}

/* "b a" as [a, b]. */
static void put_words(struct print *print, const struct consent_cell *cell)
{
    struct consent_cell words[WORDS_MAX];
    size_t count = 0;
    uint32_t i = 0;

    while (i < cell->length && count < WORDS_MAX) {
        uint32_t start = i;

        while (i < cell->length && cell->text[i] != ' ')
            i++;
        if (i > start)
            words[count++] = (struct consent_cell){.text = cell->text + start, .length = i - start};
        i++;
    }
    qsort(words, count, sizeof words[0], compare_words);
    text_append(print->out, "[", 1);
    for (size_t j = 0; j < count; j++) {
        if (j > 0)
            text_append(print->out, ", ", 2);
        put_scalar(print, words[j].text, words[j].length);
    }
    text_append(print->out, "]", 1);
}

static void put_cell(struct print *print, enum consent_field field, const struct consent_cell *cell)
{
    const char *colon = memchr(cell->text, ':', cell->length);
    struct option_value value;
    struct text canonical;

    if (field == CONSENT_FIELD_SCHEDULE || field == CONSENT_FIELD_TAGS) {
        put_words(print, cell);
    } else if (field == CONSENT_FIELD_CUSTOMER_SECRET && colon != NULL) {
        size_t word = (size_t)(colon - cell->text);

        text_append(print->out, "{", 1);
        put_scalar(print, cell->text, word);
        text_append(print->out, ": ", 2);
        put_scalar(print, colon + 1, cell->length - word - 1);
        text_append(print->out, "}", 1);
    } else if (field == CONSENT_FIELD_EXPIRES || field == CONSENT_FIELD_AUTHORIZED_AT) {
        text_init(&canonical, 64);
        (void)option_value_parse(option_find("consents[].expires"), cell->text, cell->length,
                                 &value, &canonical, NULL);
        put_scalar(print, canonical.bytes == NULL ? "" : canonical.bytes, canonical.length);
        text_deinit(&canonical);
    } else {
        put_scalar(print, cell->text, cell->length);
    }
}

/* Fields in the order of their names, as everything else. */
static void put_consent(struct print *print, const struct consent_row *row)
{
    static const enum consent_field in_order[] = {
        CONSENT_FIELD_AUTHORIZED_AT,   CONSENT_FIELD_CUSTOMER, CONSENT_FIELD_CUSTOMER_OWN_ID,
        CONSENT_FIELD_CUSTOMER_SECRET, CONSENT_FIELD_EXPIRES,  CONSENT_FIELD_ID,
        CONSENT_FIELD_INSTITUTION,     CONSENT_FIELD_MODE,     CONSENT_FIELD_PRIORITY,
        CONSENT_FIELD_PROVIDER,        CONSENT_FIELD_SCHEDULE, CONSENT_FIELD_TAGS,
    };
    const char *separator = "";

    _Static_assert(sizeof in_order / sizeof in_order[0] == CONSENT_FIELD_COUNT, "all fields");
    text_append(print->out, "{", 1);
    for (unsigned i = 0; i < CONSENT_FIELD_COUNT; i++) {
        const struct consent_cell *cell = &row->cells[in_order[i]];

        if (cell->text == NULL || cell->length == 0)
            continue;
        text_append_string(print->out, separator);
        put_key(print, consent_field_name(in_order[i]));
        put_cell(print, in_order[i], cell);
        separator = ", ";
    }
    text_append(print->out, "}", 1);
}

/* One of the list `consents`, as the form of the output wants it. */
static void put_item(struct print *print, const struct consent_row *row, bool is_first)
{
    const struct place place = {row->file, row->line, row->column, NULL};

    text_append_string(print->out, !print->is_json ? "  - " : is_first ? "" : ",\n");
    put_consent(print, row);
    if (!print->is_json)
        put_origin(print, &place);
}

static void put_consents(struct print *print)
{
    const struct inline_consents *consents = print->config->inline_consents;
    struct sorted_row *rows = calloc((size_t)consents->count + 1, sizeof *rows);
    struct sorted_row **order = calloc((size_t)consents->count + 1, sizeof *order);
    size_t offset = 0;
    size_t count = 0;
    bool is_first = true;

    REQUIRE(rows != NULL && order != NULL);
    while (inline_consents_next(consents, &offset, &rows[count].row)) {
        rows[count].order = count;
        order[count] = &rows[count];
        count++;
    }
    qsort(order, count, sizeof *order, compare_rows);
    if (print->is_json)
        text_append_string(print->out, "\"consents\": [");
    else if (count > 0)
        text_append_string(print->out, "consents:\n");
    for (size_t i = 0; i < count; i++)
        /* Of several with one id the last one overrides the others. */
        if (i + 1 == count || !is_same_consent(&order[i]->row, &order[i + 1]->row)) {
            put_item(print, &order[i]->row, is_first);
            is_first = false;
        }
    if (print->is_json)
        text_append(print->out, "]", 1);
    free(order);
    free(rows);
}

void config_print(const struct config *config, bool with_origin,
                  const struct consent_table *consents, struct text *out)
{
    struct print print = {config, consents, out, with_origin, false};
    const struct yaml_node *tree = config->tree;
    bool consents_are_due = true;

    for (size_t i = 0; i < tree->count; i++) {
        if (consents_are_due && strcmp(tree->keys[i]->text, "consents") > 0) {
            put_consents(&print);
            consents_are_due = false;
        }
        text_append_format(out, "%s:", tree->keys[i]->text);
        put_value(&print, tree->values[i], 0);
    }
}

/* --- As JSON --------------------------------------------------------------------------------- */

/* Numbers and booleans are JSON's own; all other values are the texts of the YAML form. */
static void put_json(struct print *print, const struct config_option *option,
                     const struct yaml_node *node)
{
    bool is_mapping = node->kind == YAML_MAPPING;
    bool is_first = true;

    if (node->kind == YAML_SCALAR) {
        if (option != NULL && (option->type == OPTION_INTEGER || option->type == OPTION_BOOLEAN))
            text_append(print->out, node->text, node->length);
        else
            put_scalar(print, node->text, node->length);
        return;
    }
    text_append(print->out, is_mapping ? "{" : "[", 1);
    for (size_t i = 0; i < node->count; i++) {
        const char *key = is_mapping ? node->keys[i]->text : "[]";

        if (strcmp(key, "override") == 0)
            continue;
        if (!is_first)
            text_append(print->out, ", ", 2);
        is_first = false;
        if (is_mapping)
            put_key(print, key);
        /* Below a secret reference there is no row: its name is a text. */
        put_json(print, option == NULL ? NULL : option_child(option, key), node->values[i]);
    }
    text_append(print->out, is_mapping ? "}" : "]", 1);
}

void config_print_json(const struct config *config, struct text *out)
{
    struct print print = {.config = config, .out = out, .is_json = true};
    const struct yaml_node *tree = config->tree;

    text_append(out, "{", 1);
    put_consents(&print);
    for (size_t i = 0; i < tree->count; i++) {
        const char *key = tree->keys[i]->text;

        text_append(out, ",\n", 2);
        put_key(&print, key);
        put_json(&print, option_child(NULL, key), tree->values[i]);
    }
    text_append(out, "}\n", 2);
}
