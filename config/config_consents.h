/* SPDX-License-Identifier: MIT
 *
 * config_consents.h - the consents of `consents:` as the configuration keeps them.
 *
 * Layer:  config, internal. A packed record of texts each, so that 100,000 of them are a few
 *         megabytes and a table can be made of them again whenever a source is read anew.
 */
#ifndef REFRESHD_CONFIG_CONFIG_CONSENTS_H
#define REFRESHD_CONFIG_CONFIG_CONSENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/text.h"
#include "config/diagnostics.h"

enum consent_field {
    CONSENT_FIELD_ID,
    CONSENT_FIELD_PROVIDER,
    CONSENT_FIELD_CUSTOMER,
    CONSENT_FIELD_CUSTOMER_OWN_ID,
    CONSENT_FIELD_INSTITUTION,
    CONSENT_FIELD_SCHEDULE, /* several: separated by blanks */
    CONSENT_FIELD_EXPIRES,
    CONSENT_FIELD_AUTHORIZED_AT,
    CONSENT_FIELD_PRIORITY,
    CONSENT_FIELD_TAGS,            /* separated by blanks */
    CONSENT_FIELD_CUSTOMER_SECRET, /* "env:NAME", "file:PATH" (absolute), "credential:NAME" */
    CONSENT_FIELD_MODE,
    CONSENT_FIELD_COUNT
};

/* The key in YAML and the column elsewhere. */
const char *consent_field_name(enum consent_field field);

struct consent_cell {
    const char *text; /* not ended by a NUL; NULL: not given */
    uint32_t length;
    uint32_t line; /* inline consents: where the value stands */
    uint32_t column;
};

/* One consent as it was written. */
struct consent_row {
    const char *file;
    uint32_t line;   /* of the item; in tables the row */
    uint32_t column; /* 0 in tables */
    bool is_table;   /* from CSV or SQLite: places name row and column */
    bool is_override;
    bool is_broken; /* something in it was reported already; only its names are looked at */
    struct consent_cell cells[CONSENT_FIELD_COUNT];
};

/* Where the value of `field` stands; the item itself when it was not given. */
struct place consent_row_place(const struct consent_row *row, enum consent_field field);

struct inline_consents {
    unsigned char *bytes;
    size_t length;
    size_t capacity;
    const char **files;
    uint32_t file_count;
    uint32_t count;
};

/* The row at `*offset` (start with 0), and on to the next. False at the end. */
bool inline_consents_next(const struct inline_consents *consents, size_t *offset,
                          struct consent_row *row);
void inline_consents_free(struct inline_consents *consents);

#endif
