/* SPDX-License-Identifier: MIT
 *
 * calendar.h - when a schedule fires: a cron expression, a zone and what to do when clocks change.
 *
 * Layer:  scheduler (pure). Time is always passed in; nothing here allocates.
 * Rules:  design section 4. Firings are strictly increasing in UTC and fall on whole seconds.
 *         - An hour field that begins with * is matched against local time as it passes: an hour
 *           that does not exist has no firing, an hour that is shown twice fires in both.
 *         - Otherwise a local time that does not exist fires at the instant the gap ends (several
 *           of them once) or not at all, and one that is shown twice fires the first time or both.
 *         - @every counts from 1970-01-01T00:00:00Z and knows no zone.
 *         A run is known by (schedule, local time, fold), see struct calendar_firing.
 */
#ifndef REFRESHD_SCHEDULER_CALENDAR_H
#define REFRESHD_SCHEDULER_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time_point.h"
#include "base/zone.h"
#include "scheduler/cron.h"

enum calendar_gap { CALENDAR_GAP_RUN_AFTER, CALENDAR_GAP_SKIP };
enum calendar_overlap { CALENDAR_OVERLAP_FIRST, CALENDAR_OVERLAP_BOTH };

/* Plain data; the zone is borrowed and must live as long as the calendar. */
struct calendar {
    struct cron cron;
    const struct zone *zone;
    enum calendar_gap gap;
    enum calendar_overlap overlap;
};

struct calendar_firing {
    bool found; /* false: nothing else in here is set */
    struct utc_time at;
    struct civil_time local; /* what the wall clock shows at `at`: behind a gap, its end */
    int32_t offset_s;        /* local minus UTC */
    int fold;                /* 0 the first time `local` is shown, 1 when it is shown again */
};

/* The first firing strictly after `after`. Not found: none in the 400 years after it (a whole turn
 * of the calendar), none before the year 10000. Such a calendar never fires again; configuration
 * refuses it. */
struct calendar_firing calendar_next(const struct calendar *calendar, struct utc_time after);

/* The latest firing in (after, until]: what a stopped daemon has missed last. Cost grows with the
 * number of clock changes in between, not with the number of firings. */
struct calendar_firing calendar_latest(const struct calendar *calendar, struct utc_time after,
                                       struct utc_time until);

enum deadline_kind {
    DEADLINE_NEXT_FIRING, /* the default */
    DEADLINE_DURATION,    /* elapsed time from the slot */
    DEADLINE_WALL_CLOCK,  /* the first such local time after the slot */
};

struct deadline_spec {
    enum deadline_kind kind;
    int64_t duration_ms;   /* DEADLINE_DURATION: > 0 */
    int32_t time_of_day_s; /* DEADLINE_WALL_CLOCK: 0..86399 */
};

/* Read "5h" or "06:00" or "06:00:30". False, and `out` untouched, on anything else. */
bool deadline_parse(const char *text, size_t length, struct deadline_spec *out);

/* The deadline of the run that fired at `slot`, always after it. A wall-clock time that does not
 * exist that day counts as the end of the gap. UTC_NEVER where the default finds no next firing. */
struct utc_time deadline_at(const struct calendar *calendar, const struct deadline_spec *spec,
                            struct utc_time slot);

#endif
