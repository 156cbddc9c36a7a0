/* SPDX-License-Identifier: MIT
 *
 * time_point.h - instants of two clocks that cannot be mixed by accident.
 *
 * Layer:  base (libc only). Nothing here reads a clock: `now` is always passed in.
 * UTC:    milliseconds since 1970-01-01T00:00:00Z, for calendar, quota, deadlines, storage.
 * Mono:   microseconds of the monotonic clock, for rates, backoff, polls. Never stored.
 * Durations are plain int64_t with the unit in the name (_ms, _us).
 */
#ifndef REFRESHD_BASE_TIME_POINT_H
#define REFRESHD_BASE_TIME_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

struct utc_time {
    int64_t ms;
};
struct mono_time {
    int64_t us;
};

/* Both clocks read once, at the same moment. */
struct time_now {
    struct utc_time utc;
    struct mono_time mono;
};

/* [start, end) */
struct utc_span {
    struct utc_time start;
    struct utc_time end; /* UTC_NEVER: until further notice */
};

#define UTC_NEVER ((struct utc_time){INT64_MAX})
#define UTC_NONE ((struct utc_time){INT64_MIN}) /* "no such instant": nothing happened yet */
#define MONO_NEVER ((struct mono_time){INT64_MAX})

#define MS_PER_SECOND INT64_C(1000)
#define MS_PER_MINUTE INT64_C(60000)
#define MS_PER_HOUR INT64_C(3600000)
#define MS_PER_DAY INT64_C(86400000)
#define US_PER_MS INT64_C(1000)
#define US_PER_SECOND INT64_C(1000000)

/* Saturating sum: "never" plus anything stays never. */
int64_t time_add_saturating(int64_t a, int64_t b);

static inline struct utc_time utc_add_ms(struct utc_time t, int64_t ms)
{
    return (struct utc_time){time_add_saturating(t.ms, ms)};
}
static inline struct mono_time mono_add_us(struct mono_time t, int64_t us)
{
    return (struct mono_time){time_add_saturating(t.us, us)};
}

/* A broken-down date and time, proleptic Gregorian, without a zone. */
struct civil_time {
    int32_t year;        /* 1..9999 where texts are made or read */
    int32_t month;       /* 1..12 */
    int32_t day;         /* 1..31 */
    int32_t hour;        /* 0..23 */
    int32_t minute;      /* 0..59 */
    int32_t second;      /* 0..59 */
    int32_t millisecond; /* 0..999 */
};

/* Days since 1970-01-01 of a civil date, and back (the well-known era algorithm). */
int64_t civil_to_days(int32_t year, int32_t month, int32_t day);
void civil_from_days(int64_t days, int32_t *year, int32_t *month, int32_t *day);

/* Civil time read as UTC, and back. Floors towards the past for instants before 1970. */
struct utc_time civil_to_utc(const struct civil_time *civil);
struct civil_time civil_from_utc(struct utc_time t);

#define UTC_TEXT_SIZE 32
/* "2026-11-20T23:41:40.123Z" (always milliseconds), the form of every X_at column. Years
 * outside 1..9999 are clamped. Returns `text`. */
char *utc_text(struct utc_time t, char text[UTC_TEXT_SIZE]);
/* "2026-11-20T23:41:40Z": seconds only, as in run ids and `next`. */
char *utc_text_seconds(struct utc_time t, char text[UTC_TEXT_SIZE]);

/* Read an ISO 8601 instant: date, 'T' or blank, time, optional fraction, then Z, +00:00 or
 * +0000 (all three occur at providers), or a bare date (00:00 UTC). Returns false and leaves
 * `out` alone when the text is anything else or its date does not exist. */
bool utc_parse(const char *text, size_t length, struct utc_time *out);

/* Duration as in the configuration: "300ms", "90s", "15m", "6h", "7d", "0s". Integers with one
 * unit only. Returns false on anything else or beyond 100 years. */
bool duration_parse(const char *text, size_t length, int64_t *ms);
#define DURATION_TEXT_SIZE 32
/* The shortest exact form that duration_parse reads back: 90000 gives "90s". */
char *duration_text(int64_t ms, char text[DURATION_TEXT_SIZE]);

#endif
