/* SPDX-License-Identifier: MIT
 *
 * backlog.h - what waits, for how long, because of what, and when it should be done.
 *
 * Layer:  scheduler (pure). On demand: one walk over the slots of open runs and the live jobs
 *         (about 10 ms for a million slots); nothing is counted for it while the core steps.
 */
#ifndef REFRESHD_SCHEDULER_BACKLOG_H
#define REFRESHD_SCHEDULER_BACKLOG_H

#include "scheduler/scheduler.h"

/* Time since it was due: below 1 m, 5 m, 15 m, 1 h, 6 h, and more. */
#define BACKLOG_AGES 6
extern const int64_t backlog_age_ms[BACKLOG_AGES]; /* upper bounds; the last one: INT64_MAX */

struct backlog {
    uint32_t waiting; /* due, and nothing of it is under way */
    uint32_t coming;  /* of open runs, not due yet */
    uint32_t ages[BACKLOG_AGES];
    uint32_t reasons[REASON_COUNT]; /* what it waits for; REASON_NONE: its turn */
    bool is_asked;          /* institutions: `queued` says why what is queued here does not start */
    enum reason queued;     /* REASON_NONE: it does, in its turn */
    struct utc_time oldest; /* due instant of what waits longest; UTC_NEVER: nothing */
    struct utc_time deadline; /* the last deadline of what waits or comes; UTC_NONE */
    /* What is to be expected of `waiting` and `coming` together, going by the slowest of the known
     * limits: an estimate. */
    int64_t interval_us;     /* between initiations at best; 0: no limit is known */
    enum reason bound;       /* that limit: rate, concurrency; REASON_NONE */
    struct utc_time done_by; /* the last one sent; UTC_NEVER: not known */
    uint32_t by_deadline;    /* sent before `deadline`; all where no limit is known */
};

/* Fill one for each provider and one for each institution of the settings, by index. */
void scheduler_backlog(const struct scheduler *scheduler, struct time_now now,
                       struct backlog *providers, struct backlog *institutions);

#endif
