/* SPDX-License-Identifier: MIT
 *
 * time_range.h - "02:00-03:00 Europe/Bucharest", "2026-12-24 - 2026-12-26", "12-25": stretches of
 * local time, once or again and again, in which something is (not) done.
 *
 * Layer:  scheduler (pure).
 * Syntax: one of these, and a zone behind it (an IANA name; default UTC, never the host's):
 *           [DAYS] HH:MM-HH:MM                    each day, or each of these days of the week
 *           DAYS                                  the whole of these days
 *           DAY [HH:MM] - DAY [HH:MM]             from a day of the week to another
 *           MM-DD [HH:MM-HH:MM]                   a day of each year
 *           MM-DD [HH:MM] - MM-DD [HH:MM]         from a day of the year to another
 *           YYYY-MM-DD [HH:MM-HH:MM]              one day
 *           YYYY-MM-DD [HH:MM] - YYYY-MM-DD [HH:MM]
 *         DAYS is a list of Mon..Sun and ranges of them in any case (Fri-Mon is a range too). Times
 *         may have seconds. A start without a time is the start of its day, an end without one the
 *         end of its day (24:00). Of one day's times an end that is not after the start is on the
 *         next day; the day is the one on which it begins. "Sat 22:00 - Mon 06:00" goes on over the
 *         end of the week, and "12-30 - 01-02" over the end of the year.
 * Rule:   an instant is inside when the calendar and the clock on the wall of that zone show a time
 *         in the range. So one in an hour that a clock change leaves out does not happen that day,
 *         one in an hour that is shown twice happens twice, and "12-25" has 23, 24 or 25 hours.
 * 02-29:  a day of leap years only. In other years a range of several days that would begin on it
 *         begins on 03-01, and one that would end on it ends with 02-28.
 */
#ifndef REFRESHD_SCHEDULER_TIME_RANGE_H
#define REFRESHD_SCHEDULER_TIME_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"
#include "base/zone.h"

enum time_range_kind {
    TIME_RANGE_DAILY,  /* on days of the week, or on a day of the year */
    TIME_RANGE_WEEKLY, /* across days of the week */
    TIME_RANGE_YEARLY, /* across days of the year */
    TIME_RANGE_DATES,  /* once */
};

#define TIME_RANGE_EVERY_DAY 0x7F

/* Plain data; the zone is borrowed. Seconds of local time count from the start of the day, of the
 * week (Sunday), of a leap year, or from 1970-01-01. */
struct time_range {
    const struct zone *zone;
    enum time_range_kind kind;
    uint8_t weekdays; /* DAILY: bits 0..6, Sunday 0: the days on which it begins */
    uint8_t month;    /* DAILY: the day of the year on which it begins; 0: every one */
    uint8_t day;
    int64_t start_s;
    int64_t end_s; /* exclusive; but for DATES at or below start_s: over the end of the day, week
                      or year */
};

/* Where the zone's name is written in the text; length 0 when no zone is named. */
struct time_range_zone {
    const char *name; /* points into the text, not ended by a NUL */
    size_t length;
};

/* Read a range. `out->zone` is then zone_utc; where a zone is named the caller looks it up and
 * puts it there. On a fault *error_offset is the byte in `text` where the trouble starts. */
enum result time_range_parse(const char *text, size_t length, struct time_range *out,
                             struct time_range_zone *zone, size_t *error_offset,
                             struct fault *fault) MUST_CHECK;

bool time_range_contains(const struct time_range *range, struct utc_time at);

/* The first instant after `at` at which the range begins or ends, in UTC. UTC_NEVER where that does
 * not happen any more. Called inside of a range, next_end is the end of that one; called outside,
 * the end of the next one. The cost grows with the clock changes up to the answer, not with the
 * time between: some microseconds. */
struct utc_time time_range_next_start(const struct time_range *range, struct utc_time at);
struct utc_time time_range_next_end(const struct time_range *range, struct utc_time at);

#endif
