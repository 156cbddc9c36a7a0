/* SPDX-License-Identifier: MIT
 *
 * capacity.h - how much a limit node lets through until an instant: at the very most, and as one
 * has to expect.
 *
 * Layer:  scheduler (pure), private to this folder. Reads nodes, changes nothing.
 * Most:   an upper bound from the configured rates alone: what exceeds it cannot be sent, whatever
 *         happens. Running jobs have no such bound, since a job may end at any moment.
 * Expect: steady rates, running jobs at their usual duration, the learned pace.
 */
#ifndef REFRESHD_SCHEDULER_CAPACITY_H
#define REFRESHD_SCHEDULER_CAPACITY_H

#include "scheduler/core.h"

/* Whatever has to be open for an initiation: the hours of its provider, institution and schedule.
 */
#define CAPACITY_HOURS_MAX 3
struct capacity_hours {
    const struct open_hours *list[CAPACITY_HOURS_MAX];
    uint32_t count;
};

/* For how long all hours are open at once within [from, to). */
struct open_time {
    int64_t open_ms;
    uint32_t stretches; /* parts, each without a gap */
};
struct open_time capacity_open_time(const struct capacity_hours *hours, struct utc_time from,
                                    struct utc_time to);
/* The instant at which `need_ms` of open time have passed since `from`; from `to` on everything is
 * taken to stay open. */
struct utc_time capacity_open_instant(const struct capacity_hours *hours, struct utc_time from,
                                      int64_t need_ms, struct utc_time to);

/* No more requests than this can be sent in [now, now + ahead_ms); UINT64_MAX: no rate. */
uint64_t capacity_most(const struct limit_node *node, struct mono_time now, int64_t ahead_ms,
                       const struct open_time *open);

/* a * b / c without overflow: at most INT64_MAX / 4. Requires: b >= 0, c > 0. */
int64_t capacity_scaled(uint64_t a, int64_t b, uint64_t c);

/* What one initiation costs at a node. */
struct capacity_cost {
    uint32_t requests_16; /* requests in sixteenths: polls pay at the provider, too */
    int64_t job_us;       /* usual duration of a job; 0: not known */
    int64_t pace_us;      /* learned interval between initiations; 0: none */
    uint32_t jobs_max;    /* places for running jobs; 0: no limit */
};
/* The open time that `count` initiations need from now on, and the limit that decides it
 * (REASON_RATE, also for a learned pace, REASON_CONCURRENCY; REASON_NONE: 0 ms). */
int64_t capacity_need_ms(const struct limit_node *node, struct mono_time now,
                         const struct capacity_cost *cost, uint32_t count, enum reason *limit);

#endif
