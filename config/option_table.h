/* SPDX-License-Identifier: MIT
 *
 * option_table.h - every option of the configuration, once: the single source for parsing,
 * defaults, `refreshd config`, and the option reference in docs/.
 *
 * Layer: config. A row is (path, type, default, range, reloadable, help). Paths use `*` for a
 *        name chosen by the user and `[]` for list items: `providers.*.limits.rate[]`. Rows that
 *        belong to a mapping follow its own row.
 */
#ifndef REFRESHD_CONFIG_OPTION_TABLE_H
#define REFRESHD_CONFIG_OPTION_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

enum option_type {
    OPTION_MAPPING,
    OPTION_LIST,
    OPTION_TEXT,
    OPTION_INTEGER,
    OPTION_BOOLEAN,
    OPTION_DURATION,
    OPTION_RATE,
    OPTION_SIZE,
    OPTION_ENUM,
    OPTION_SECRET,
    OPTION_URL,
    OPTION_ADDRESS, /* host:port or unix:/path */
    OPTION_PATH,
    OPTION_DATE,
    OPTION_CRON,
    OPTION_ZONE,
    OPTION_TIME_RANGE, /* as scheduler/time_range.h */
    OPTION_TIME_OR_DURATION,
    OPTION_PERCENT,
    OPTION_NAME,        /* [a-z0-9_-]+ */
    OPTION_INSTITUTION, /* the provider's own word for a bank */
    OPTION_TYPE_COUNT
};

struct config_option {
    const char *path;
    enum option_type type;
    bool is_required;
    bool is_fixed;            /* a change needs a restart; all others follow a reload */
    bool one_or_list;         /* lists: a single item may stand without brackets */
    const char *default_text; /* NULL: none */
    const char *default_note; /* what holds where there is neither value nor default_text */
    int64_t min;              /* numbers, sizes and durations (ms); the count of a rate */
    int64_t max;
    const char *words; /* enums: "a|b|c"; other types: words allowed beside the type's own */
    const char *help;  /* one sentence */
};

extern const struct config_option option_table[];
extern const size_t option_table_count;

/* Row of `path`, or NULL. */
const struct config_option *option_find(const char *path);
/* Row of `key` directly under `parent` (NULL: the root). A key that the user chooses is looked up
 * as `*` where no row names it; list items are the key `[]`. NULL: no such option. */
const struct config_option *option_child(const struct config_option *parent, const char *key);
/* Walk the rows directly under `parent` in table order: start with NULL, ends with NULL. */
const struct config_option *option_next_child(const struct config_option *parent,
                                              const struct config_option *previous);
/* The last part of the path: "rate[]" of "limits.rate[]" gives "[]". */
const char *option_key(const struct config_option *option);

/* Is `word` (length bytes) one of "a|b|c"? */
bool option_word_allowed(const char *words, const char *word, size_t length);
/* The allowed key under `parent` that `key` was probably meant to be, or NULL. */
const char *option_suggest(const struct config_option *parent, const char *key);

/* The whole reference as Markdown: what docs/OPTIONS.md must hold. */
void option_reference(struct text *out);

#endif
