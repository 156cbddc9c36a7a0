/* SPDX-License-Identifier: MIT
 *
 * consent_build.h - from rows as they were written to a finished consent table.
 *
 * Layer:  config, internal. Rows come from `consents:`, CSV and SQLite alike; every field is
 *         checked here, once, with the place of its cell. The configuration is only read.
 */
#ifndef REFRESHD_CONFIG_CONSENT_BUILD_H
#define REFRESHD_CONFIG_CONSENT_BUILD_H

#include "config/config_consents.h"
#include "config/consent_pack.h"
#include "config/intern.h"
#include "config/option_table.h"

/* A table in the making. */
struct consent_build {
    const struct config *config;
    struct diagnostics *diagnostics;
    struct consent_table *table;
    size_t record_capacity;
    size_t text_capacity;
    uint32_t *places; /* per row: where it was written, see place_of_row in consent_finish.c */
    struct intern institutions; /* key: provider index, name */
    struct intern set_texts;    /* as written; value: set */
    struct intern sets;         /* key: sorted indexes */
    uint32_t last_provider;
    const struct config_option *options[CONSENT_FIELD_COUNT];
};

struct consent_build *consent_build_create(const struct config *config,
                                           struct diagnostics *diagnostics);
void consent_build_destroy(struct consent_build *build);

/* Take a row of source `source` (index in config->sources; source_count: inline). `origin` finds it
 * again: the row in tables, the offset in the store for inline ones. Errors go to diagnostics. */
void consent_build_add(struct consent_build *build, uint32_t source, uint32_t origin,
                       const struct consent_row *row);

/* Sort, find duplicates, index. The table, or NULL after an error anywhere in the build. */
struct consent_table *consent_build_finish(struct consent_build *build, size_t errors_before);

/* --- consent_csv.c, consent_sqlite.c --------------------------------------------------------- */

/* Add all rows of a source. A source that cannot be read at all is a fault; rows that are wrong
 * are diagnostics. `path` is what to open, `source->csv_path` the name in messages. */
MUST_CHECK enum result consent_csv_read(struct consent_build *build, uint32_t source,
                                        const char *path, struct fault *fault);
MUST_CHECK enum result consent_sqlite_read(struct consent_build *build, uint32_t source,
                                           struct fault *fault);

/* Which field a column holds, or CONSENT_FIELD_COUNT. */
enum consent_field consent_field_find(const char *name, size_t length);
/* Report an unknown column, with a suggestion and what is allowed. */
void consent_column_unknown(struct consent_build *build, struct place place, const char *name);

/* --- consent_checks.c ----------------------------------------------------------------------------
 */

/* Warnings that need the whole population: schedules denser than the quota, things unused. */
void consent_checks(const struct config *config, const struct consent_table *table,
                    struct diagnostics *diagnostics);

/* --- consent_load.c -------------------------------------------------------------------------- */

/* What of the population is wanted. */
enum consent_wanted {
    CONSENTS_INLINE, /* check `consents:` only */
    CONSENTS_ALL,
    CONSENTS_ALL_WITH_WARNINGS /* and consent_checks */
};

/* consent_table_load with the file of --as: `as_path` (absolute, or NULL) is read from
 * options->as_path; `*as_was_used` tells. */
MUST_CHECK enum result consent_load(const struct config *config,
                                    const struct config_options *options, const char *as_path,
                                    bool *as_was_used, enum consent_wanted wanted,
                                    struct consent_table **out, struct diagnostics *diagnostics,
                                    struct fault *fault);

#endif
