/* SPDX-License-Identifier: MIT
 * consent_load.c - all sources of a configuration, one after the other, into one table. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/consent_build.h"

enum consent_field consent_field_find(const char *name, size_t length)
{
    for (unsigned field = 0; field < CONSENT_FIELD_COUNT; field++) {
        const char *own = consent_field_name((enum consent_field)field);

        if (strlen(own) == length && memcmp(own, name, length) == 0)
            return (enum consent_field)field;
    }
    return CONSENT_FIELD_COUNT;
}

void consent_column_unknown(struct consent_build *build, struct place place, const char *name)
{
    const char *suggestion = option_suggest(option_find("consents[]"), name);
    struct text allowed;

    text_init(&allowed, 1000);
    for (unsigned field = 0; field < CONSENT_FIELD_COUNT; field++)
        text_append_format(&allowed, "%s%s", field == 0 ? "" : ", ",
                           consent_field_name((enum consent_field)field));
    if (suggestion != NULL)
        diagnostics_error(build->diagnostics, place,
                          "unknown column \"%.70s\"; did you mean \"%s\"? Allowed: %s", name,
                          suggestion, allowed.bytes);
    else if (strchr(name, ';') != NULL)
        diagnostics_error(build->diagnostics, place,
                          "unknown column \"%.70s\"; columns are separated by commas, not by "
                          "semicolons",
                          name);
    else
        diagnostics_error(build->diagnostics, place, "unknown column \"%.70s\". Allowed: %s", name,
                          allowed.bytes);
    text_deinit(&allowed);
}

static void add_inline(struct consent_build *build)
{
    const struct config *config = build->config;
    struct consent_row row;
    size_t offset = 0;

    for (;;) {
        size_t start = offset;

        if (!inline_consents_next(config->inline_consents, &offset, &row))
            break;
        REQUIRE(start <= UINT32_MAX);
        consent_build_add(build, config->source_count, (uint32_t)start, &row);
    }
}

/* A source that was not read at all: what it gives is not known. */
enum reading { READ, NOT_READ, FAILED };

static enum reading add_source(struct consent_build *build, uint32_t index,
                               const struct config_options *options, const char *as_path,
                               bool *as_was_used, struct fault *fault)
{
    const struct consent_source *source = &build->config->sources[index];
    const char *path = source->csv_path;
    enum result result;

    if (path == NULL && source->sqlite_path == NULL)
        return NOT_READ; /* reported with the source */
    if (path == NULL) {
        if (options->check_only)
            return NOT_READ;
        result = consent_sqlite_read(build, index, fault);
    } else {
        if (as_path != NULL && strcmp(as_path, path) == 0) {
            path = options->as_path;
            *as_was_used = true;
        }
        if (options->check_only && access(path, R_OK) != 0) {
            diagnostics_warning(build->diagnostics, source->place,
                                "consents_from: %s cannot be read here; its rows are not checked",
                                source->csv_path);
            return NOT_READ;
        }
        result = consent_csv_read(build, index, path, fault);
    }
    if (result == RESULT_OK)
        return READ;
    diagnostics_error(build->diagnostics, source->place, "consents_from: %s", fault->text);
    return FAILED;
}

/* The first error of this load, for callers that show a single line. */
static enum result first_error(const struct diagnostics *diagnostics, size_t items_before,
                               struct fault *fault)
{
    struct text line;

    text_init(&line, sizeof fault->text - 1);
    for (size_t i = items_before; i < diagnostics->count && line.length == 0; i++)
        if (diagnostics->items[i].is_error)
            diagnostic_format(&diagnostics->items[i], &line);
    (void)fault_set(fault, FAULT_DATA, "%s", line.bytes == NULL ? "invalid consents" : line.bytes);
    text_deinit(&line);
    return RESULT_FAULT;
}

enum result consent_load(const struct config *config, const struct config_options *options,
                         const char *as_path, bool *as_was_used, enum consent_wanted wanted,
                         struct consent_table **out, struct diagnostics *diagnostics,
                         struct fault *fault)
{
    size_t errors_before = diagnostics->error_count;
    size_t items_before = diagnostics->count;
    struct consent_build *build = consent_build_create(config, diagnostics);
    struct consent_table *table = NULL;
    struct fault source_fault = {0};
    bool has_failed = false;

    add_inline(build);
    for (uint32_t i = 0; wanted != CONSENTS_INLINE && i < config->source_count; i++) {
        enum reading reading = add_source(build, i, options, as_path, as_was_used, &source_fault);

        if (reading == FAILED && !has_failed && fault != NULL)
            *fault = source_fault;
        has_failed = has_failed || reading == FAILED;
    }
    table = consent_build_finish(build, errors_before);
    consent_build_destroy(build);
    if (table == NULL)
        return has_failed ? RESULT_FAULT : first_error(diagnostics, items_before, fault);
    if (wanted == CONSENTS_ALL_WITH_WARNINGS)
        consent_checks(config, table, diagnostics);
    *out = table;
    return RESULT_OK;
}

enum result consent_table_load(const struct config *config, const struct config_options *options,
                               struct consent_table **out, struct diagnostics *diagnostics,
                               struct fault *fault)
{
    static const struct config_options plain = {0};
    bool unused;

    return consent_load(config, options == NULL ? &plain : options, NULL, &unused, CONSENTS_ALL,
                        out, diagnostics, fault);
}
