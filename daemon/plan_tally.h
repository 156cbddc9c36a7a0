/* SPDX-License-Identifier: MIT
 *
 * plan_tally.h - what a planned night adds up to: runs, losses, waits, peaks.
 *
 * Layer: daemon, of plan.c alone. Counts what the core says and what the shell hands over; judges
 *        nothing that the core judges.
 */
#ifndef REFRESHD_DAEMON_PLAN_TALLY_H
#define REFRESHD_DAEMON_PLAN_TALLY_H

#include "daemon/plan.h"

/* How waits and losses are told apart. */
enum plan_wait {
    PLAN_WAIT_RATE,
    PLAN_WAIT_CONCURRENCY,
    PLAN_WAIT_FAIRNESS, /* an institution's share of its provider's concurrency */
    PLAN_WAIT_OTHER,
    PLAN_WAIT_COUNT
};

struct plan_open_run {
    uint32_t index;   /* in plan->runs */
    uint32_t unsent;  /* slots without a job or an outcome */
    uint64_t *waits;  /* consents times milliseconds: node * PLAN_WAIT_COUNT + wait */
    uint32_t *lost;   /* by institution */
    uint8_t *reasons; /* of these, the last */
};

struct plan_meter {
    struct plan_node node;
    int64_t second;
    int64_t minute;
    uint32_t in_second;
    uint32_t in_minute;
    uint32_t jobs;
    uint8_t other_reason; /* enum reason that PLAN_WAIT_OTHER last stood for */
};

struct plan_tally {
    struct plan *plan;
    const struct config *config;
    const struct population *population;
    struct plan_meter *meters; /* providers, then institutions */
    uint32_t meter_count;
    uint8_t *uses; /* schedule * institution_count + institution: has members there */
    struct plan_open_run *open;
    uint32_t open_count;
    uint32_t open_capacity;
    uint32_t run_capacity;
    uint32_t jobs;       /* running now */
    uint32_t unfinished; /* reported runs that are open */
    bool is_broken;      /* out of memory */
};

MUST_CHECK enum result plan_tally_init(struct plan_tally *tally, struct plan *plan,
                                       const struct config *config,
                                       const struct population *population, struct fault *fault);
void plan_tally_deinit(struct plan_tally *tally);

enum plan_wait plan_wait_of(enum reason reason);

/* A run that was open at the start. */
void plan_tally_recovered(struct plan_tally *tally, const struct run_view *view);
void plan_tally_record(struct plan_tally *tally, const struct record *record);
/* A request leaves. `institution` UINT32_MAX: it pays at the provider only. */
void plan_tally_sent(struct plan_tally *tally, struct utc_time now, uint32_t provider,
                     uint32_t institution);
void plan_tally_refused(struct plan_tally *tally, uint32_t provider, uint32_t institution);
/* A job begins or ends to count as running. */
void plan_tally_job(struct plan_tally *tally, struct utc_time now, uint32_t provider,
                    uint32_t institution, bool is_running);
/* What work has waited for in the last `span_ms`. */
void plan_tally_waits(struct plan_tally *tally, const struct scheduler *scheduler,
                      struct time_now now, int64_t span_ms);
/* Make the lists of the plan. */
MUST_CHECK enum result plan_tally_finish(struct plan_tally *tally, struct fault *fault);

#endif
