/* SPDX-License-Identifier: MIT
 *
 * cron.h - cron expressions: which local dates and times of day they name.
 *
 * Layer:   scheduler (pure). Knows no zone: calendar.h brings the two together.
 * Units:   "local seconds" are seconds since 1970-01-01T00:00:00 on a wall clock, as if that
 *          clock never jumped.
 * Source:  design section 4. Five fields (minute, hour, day of month, month, day of week), or six
 *          with seconds first:
 *            *        every value           a-b     range             a-b/n  every n-th of a range
 *            a/n      from a to the end     a,b     list              JAN-DEC, SUN-SAT in any case
 *            ?        as *, in the two day fields
 *          day of month:  L last day, L-3 three days before it, 15W the Monday to Friday nearest to
 *            the 15th in the same month, LW and L-3W the same from the end
 *          day of week:   0 and 7 Sunday, 5L last Friday, 5#2 second Friday (FRIL, FRI#2 too)
 *          @yearly @annually @monthly @weekly @daily @midnight @hourly, and @every DURATION.
 *          Day of month and day of week: either matches when both are restricted; both must when
 *          one of them begins with * or ? (Vixie's rule, so a step on a star counts as a star).
 */
#ifndef REFRESHD_SCHEDULER_CRON_H
#define REFRESHD_SCHEDULER_CRON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

#define CRON_NTH_MAX 5

/* Plain data; bit v of a set stands for the value v. */
struct cron {
    int64_t every_s; /* > 0: @every, and nothing else in here counts */
    uint64_t seconds;
    uint64_t minutes;
    uint32_t hours;
    uint32_t days;            /* bits 1..31 */
    uint32_t days_from_last;  /* bit n: n days before the last day of the month */
    uint32_t nearest;         /* bits 1..31: the working day nearest to that day */
    uint32_t nearest_to_last; /* bit n: the working day nearest to n days before the last */
    uint16_t months;          /* bits 1..12 */
    uint8_t weekdays;         /* bits 0..6, Sunday 0 */
    uint8_t last_weekdays;    /* the last such weekday of the month */
    uint8_t nth_weekdays[CRON_NTH_MAX]; /* [n-1]: the n-th such weekday of the month */
    bool hour_is_star;                  /* the hour field begins with * */
    bool day_is_star;                   /* day of month begins with * or ? */
    bool weekday_is_star;               /* day of week begins with * or ? */
};

/* Read an expression. A fault says which field is wrong, what was found and what is allowed;
 * `*error_offset` is then the byte in `text` at which the trouble starts. An expression that names
 * no date at all ("0 0 30 2 *") is a fault too. On success *error_offset is left alone. */
enum result cron_parse(const char *text, size_t length, struct cron *out, size_t *error_offset,
                       struct fault *fault) MUST_CHECK;

/* The days of a month that match, bits 1..31; months of the expression are not looked at. */
uint32_t cron_days(const struct cron *cron, int32_t year, int32_t month);

/* The first matching local second in [from_s, limit_s). False when there is none. Not for
 * @every. Steps by months and days, never by minutes. */
bool cron_next_local(const struct cron *cron, int64_t from_s, int64_t limit_s, int64_t *out_s);

#endif
