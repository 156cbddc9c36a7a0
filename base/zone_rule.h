/* SPDX-License-Identifier: MIT
 *
 * zone_rule.h - the POSIX TZ text at the end of a TZif file: the rule for all later years.
 *
 * Layer:  base (libc only). Pure: nothing here allocates, reads a clock, a file or the environment.
 * Source: POSIX.1-2024 section 8.3 (TZ), RFC 9636 section 3.3.1 (times from -167 to 167 hours).
 * Units:  all instants are seconds since 1970-01-01T00:00:00Z; offsets are seconds EAST of UTC,
 *         so the sign is the opposite of the one in the text.
 */
#ifndef REFRESHD_BASE_ZONE_RULE_H
#define REFRESHD_BASE_ZONE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

/* How the text names the day of a change. */
enum zone_day_form {
    ZONE_DAY_JULIAN,  /* Jn: 1..365, February 29 is never counted */
    ZONE_DAY_OF_YEAR, /* n: 0..365, February 29 is counted */
    ZONE_DAY_MONTH,   /* Mm.w.d: the w-th weekday d of month m, week 5 is the last */
};

struct zone_day {
    enum zone_day_form form;
    int32_t day;    /* of the year for the first two forms; weekday 0..6, Sunday 0, for M */
    int32_t month;  /* 1..12, M only */
    int32_t week;   /* 1..5, M only */
    int32_t time_s; /* local time of the change, counted from 00:00 of that day; may be negative */
};

#define ZONE_ABBREVIATION_SIZE 16

struct zone_rule {
    int32_t standard_offset_s;
    int32_t daylight_offset_s; /* only where has_daylight; below standard in Dublin */
    bool has_daylight;
    char standard_name[ZONE_ABBREVIATION_SIZE];
    char daylight_name[ZONE_ABBREVIATION_SIZE];
    struct zone_day daylight_start; /* in standard time */
    struct zone_day daylight_end;   /* in daylight time */
};

/* A stretch of time under one offset. */
struct zone_rule_span {
    int64_t start_s; /* first second; INT64_MIN where nothing comes before */
    int64_t end_s;   /* first second after it; INT64_MAX where nothing comes after */
    bool is_daylight;
};

/* Read `text`, for example "IST-1GMT0,M10.5.0,M3.5.0/1". A daylight name must come with both
 * days: a default for them would be a guess. Anything that is not exactly a rule gives a fault
 * and leaves `out` alone. */
enum result zone_rule_parse(const char *text, size_t length, struct zone_rule *out,
                            struct fault *fault) MUST_CHECK;

/* The span that holds `at_s`; any instant of struct utc_time, in seconds, is fine. */
struct zone_rule_span zone_rule_span_at(const struct zone_rule *rule, int64_t at_s);

#endif
