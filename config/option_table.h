/* SPDX-License-Identifier: MIT
 *
 * option_table.h - every option of the configuration, once: the single source for parsing,
 * defaults, `refreshd config`, and the option reference in docs/.
 *
 * Layer: config. A row is (path, type, unit, default, range, reloadable, help). Paths use `*` for
 *        a name chosen by the user and `[]` for list items: `providers.*.limits.rate[]`.
 */
#ifndef REFRESHD_CONFIG_OPTION_TABLE_H
#define REFRESHD_CONFIG_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_MAPPING,
    OPTION_LIST,
    OPTION_TEXT,
    OPTION_INTEGER,
    OPTION_BOOLEAN,
    OPTION_DURATION,
    OPTION_RATE,
    OPTION_ENUM,
    OPTION_SECRET,
    OPTION_URL,
    OPTION_ADDRESS, /* host:port or unix:/path */
    OPTION_PATH,
    OPTION_DATE,
    OPTION_CRON,
    OPTION_ZONE,
    OPTION_TIME_OR_DURATION,
    OPTION_PERCENT,
    OPTION_NAME,
};

struct option {
    const char *path;
    enum option_type type;
    bool is_required;
    bool is_reloadable;
    const char *default_text; /* NULL: none */
    int64_t min;              /* numbers and durations (ms) */
    int64_t max;
    const char *words; /* enums: "a|b|c" */
    const char *help;  /* one sentence */
};

extern const struct option option_table[];
extern const size_t option_table_count;

#endif
