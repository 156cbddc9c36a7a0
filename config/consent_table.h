/* SPDX-License-Identifier: MIT
 *
 * consent_table.h - a whole population of consents in little memory, looked up by id.
 *
 * Layer:  config. Filled from YAML, CSV and SQLite; given to the daemon, which keeps the newest
 *         table as the living population.
 * Memory: at most about 90 bytes a consent with 36-character ids and customers: texts are packed (a
 *         canonical UUID takes 16 bytes), institutions and schedule sets interned, the hash
 *         index holds 32-bit rows. Large arrays come straight from mmap-sized blocks so that
 *         freeing a table gives its memory back.
 * Rows:   0..count-1 in the order (provider, id): a first load then writes its rows in key order.
 */
#ifndef REFRESHD_CONFIG_CONSENT_TABLE_H
#define REFRESHD_CONFIG_CONSENT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

#define CONSENT_ID_BYTES_MAX 128 /* longer ids are refused, never cut (provider-apis, C notes) */
#define CONSENT_NAME_BYTES 384   /* room for "PROVIDER/ID" and its NUL */

struct consent_table;

/* One consent with its texts unpacked; valid until the next call with the same view. */
struct consent_view {
    uint32_t row;
    uint32_t provider;            /* index in config */
    uint32_t institution;         /* index in the table's institutions */
    const char *institution_name; /* "-" when none was given */
    char id[CONSENT_ID_BYTES_MAX + 1];
    char customer[CONSENT_ID_BYTES_MAX + 1]; /* "" when none */
    bool customer_is_own_id;                 /* given as customer_own_id */
    struct secret_reference customer_secret; /* of its own; SECRET_NONE: the provider's */
    const char *tags;                        /* "" when none; words separated by spaces */
    struct consent_settings settings; /* ready for the core; indexes fit this config + table */
};

uint32_t consent_table_count(const struct consent_table *table);
void consent_table_get(const struct consent_table *table, uint32_t row, struct consent_view *view);
/* Only what the core needs: cheap, for a million rows. */
void consent_table_settings(const struct consent_table *table, uint32_t row,
                            struct consent_settings *settings);
/* Cheaper still: where it belongs. */
void consent_table_place(const struct consent_table *table, uint32_t row, uint32_t *institution,
                         uint16_t *schedule_set);
/* Row of (provider index, id), or UINT32_MAX. */
uint32_t consent_table_find(const struct consent_table *table, uint32_t provider, const char *id);

/* Institution nodes: one per (provider, name) in use or named in the configuration. */
const struct institution_settings *consent_table_institutions(const struct consent_table *table,
                                                              uint32_t *count);
const struct schedule_set *consent_table_schedule_sets(const struct consent_table *table,
                                                       uint32_t *count);
/* Consents per source (index as in config->sources; source_count = the inline ones), for the
 * shrink guard. */
uint32_t consent_table_source_count(const struct consent_table *table, uint32_t source);
void consent_table_destroy(struct consent_table *table);

/* Read all sources of `config` anew: `consents:` as it is in the configuration, CSV, SQLite.
 * `options` as for config_load (may be NULL). RESULT_FAULT leaves `*out` alone; then
 * `fault->code` is FAULT_UNAVAILABLE where a source cannot be read at all, FAULT_DATA where a
 * row is wrong; all errors are in `diagnostics`, the first is in `fault`. May run on any thread:
 * the configuration is only read. */
MUST_CHECK enum result consent_table_load(const struct config *config,
                                          const struct config_options *options,
                                          struct consent_table **out,
                                          struct diagnostics *diagnostics, struct fault *fault);

/* What the shrink guard found. */
struct consent_shrink {
    uint32_t source; /* index in config->sources */
    uint32_t before; /* consents it had */
    uint32_t lost;   /* of these, no longer anywhere in the new table */
    int allowed_percent;
};

/* Has one of the sources of `old`, which `config` still names, lost more of its consents in `new`
 * than it may? Consents that moved to another source are not lost; `consents:` and sources taken
 * out of the configuration are edits of a person and not looked at. */
bool consent_table_shrink(const struct consent_table *old, const struct consent_table *new,
                          const struct config *config, struct consent_shrink *shrink);

/* Bytes of memory that the table takes. */
size_t consent_table_bytes(const struct consent_table *table);

#endif
