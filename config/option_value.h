/* SPDX-License-Identifier: MIT
 *
 * option_value.h - one scalar of the configuration: from text to a typed value and back.
 *
 * Layer:  config. Pure: no files, no zones, no clock. What needs those (a zone's existence, a
 *         relative path) is settled by config_zones.c and config_path.c.
 */
#ifndef REFRESHD_CONFIG_OPTION_VALUE_H
#define REFRESHD_CONFIG_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "base/text.h"
#include "base/time_point.h"
#include "config/option_table.h"
#include "scheduler/settings.h"

struct option_value {
    int64_t number; /* integer, ms, bytes, percent, 0 or 1, or which of the words (from 0) */
    struct rate rate;
    struct utc_time instant;
    struct deadline_spec deadline;
    bool is_word;       /* one of option->words, where the type is another than OPTION_ENUM */
    bool is_clear_http; /* a URL whose http:// leads beyond this machine */
};

/* Read `text` as the type of `option` says. False: `problem` (a message without place or key) says
 * what was found and what is allowed. `canonical` receives the one way to write the value. Both
 * may be NULL. */
bool option_value_parse(const struct config_option *option, const char *text, size_t length,
                        struct option_value *value, struct text *canonical, struct text *problem);

/* The same for a value that is known to be good, such as a default. */
struct option_value option_value_of(const struct config_option *option, const char *text);

/* "4/24h", "50/s": as option_value_parse reads it. */
void option_rate_text(const struct rate *rate, struct text *out);

/* Whole UTF-8 without control characters. */
bool option_text_is_clean(const char *text, size_t length);

#endif
