/* SPDX-License-Identifier: MIT
 *
 * plan.h - a night before it happens: the real core on a virtual clock.
 *
 * Layer:  daemon. Not the daemon itself: no loop, no network, nothing written. The core is filled
 *         from the same configuration, consents and state database as the daemon's, by the same
 *         code; then the shell jumps from wake time to wake time and answers each request as
 *         plan_world.h assumes. There is no second implementation of the schedule.
 * Start:  at `from`, with what the database knows. Where `from` lies ahead, what happens before it
 *         is played too (at most PLAN_LEAD_MS of it), because quota and cooldown depend on it.
 * End:    when the runs that fired before `until` are over, at most PLAN_TAIL_MS later.
 */
#ifndef REFRESHD_DAEMON_PLAN_H
#define REFRESHD_DAEMON_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "config/consent_table.h"
#include "daemon/population.h"
#include "state/state_history.h"

#define PLAN_LEAD_MS (2 * MS_PER_DAY)
#define PLAN_TAIL_MS (7 * MS_PER_DAY)
#define PLAN_TOP 5
#define PLAN_BUCKETS_MAX 48
#define PLAN_LIMIT_SIZE 64

struct plan_request {
    struct utc_time now;
    struct utc_time from;
    struct utc_time until;
    bool ignores_history; /* assumptions instead: for comparison */
    /* Heard of while it takes long: what is done, and the share of it in percent. */
    void (*on_progress)(void *context, const char *doing, int percent);
    void *context;
};

/* What a run waited for most, or what cost it most slots. */
struct plan_binding {
    enum reason reason;   /* REASON_NONE: nothing but its own spread and the jobs' durations */
    uint32_t provider;    /* index of the configuration; UINT32_MAX: no node, e.g. superseded */
    uint32_t institution; /* index of the table; UINT32_MAX: the provider's own node */
    char limit[PLAN_LIMIT_SIZE]; /* "1/s", "jobs_running 50"; "" where it is not a number */
    uint32_t other_count;        /* institutions of which the same may be said */
    int64_t waited_s;            /* consents times seconds, over the run */
    uint32_t short_count;        /* consents that it keeps out */
};

struct plan_loss {
    uint32_t provider;
    uint32_t institution;
    enum reason reason;
    uint32_t count;
};

struct plan_run {
    uint32_t number;
    uint32_t schedule; /* index of the configuration */
    enum trigger trigger;
    struct utc_time slot;
    struct utc_time deadline; /* UTC_NEVER: none */
    struct utc_time start;    /* first request handed over; UTC_NONE: none */
    struct utc_time finish;   /* the last slot accounted for; UTC_NONE: not in the time looked at */
    bool was_open;            /* already going on when the plan began */
    bool is_missed;
    uint32_t due;
    uint32_t accounted; /* slots with an outcome */
    uint32_t outcomes[OUTCOME_COUNT];
    uint32_t failed[REASON_COUNT];  /* failed and unknown, by cause */
    uint32_t skipped[REASON_COUNT]; /* by a state of the consent: held, expired, quota... */
    uint32_t lost[REASON_COUNT];    /* will not fit, by the limit that kept them out */
    uint32_t lost_count;
    struct plan_loss losses[PLAN_TOP]; /* largest first; count 0: no more */
    struct plan_binding binding;
    bool fits; /* nothing lost, and over by its deadline */
};

struct plan_node {
    uint32_t provider;
    uint32_t institution; /* UINT32_MAX: the provider's own node */
    uint64_t initiations;
    uint64_t calls;       /* polls, look-ups, tokens: paid by the provider's own node */
    uint32_t peak_second; /* requests that pay at this node, in one second */
    uint32_t peak_minute;
    uint32_t peak_jobs;
    uint64_t refused; /* initiations answered by "slow down" */
    struct utc_time first;
    struct utc_time last;
    char limit[PLAN_LIMIT_SIZE]; /* the tightest rate over time, "" without any */
    int64_t learned_interval_us; /* time between initiations that was learned; 0: none */
    int utilisation;             /* percent of that rate between first and last; -1: no rate */
};

struct plan_bucket {
    struct utc_time at;
    uint64_t initiations;
    uint64_t calls;
    uint32_t peak_jobs;
};

struct plan {
    struct population population; /* owned: the names of consents and institutions */
    struct utc_time from;
    struct utc_time until;
    uint32_t consents;
    const struct institution_settings *institutions; /* of the table */
    uint32_t institution_count;
    bool has_state;
    uint64_t history_jobs; /* that were looked at */
    struct utc_time history_since;
    struct plan_run *runs; /* in the order in which they opened */
    uint32_t run_count;
    struct plan_node *nodes; /* providers, then institutions, that were called */
    uint32_t node_count;
    int64_t bucket_ms;
    struct plan_bucket buckets[PLAN_BUCKETS_MAX];
    uint32_t bucket_count;
    uint64_t steps; /* of the core */
};

/* Takes `consents` over, whatever comes of it. `config` stays the caller's and outlives the plan.
 */
MUST_CHECK enum result plan_make(const struct config *config, struct consent_table *consents,
                                 const struct plan_request *request, struct plan **plan,
                                 struct fault *fault);
void plan_free(struct plan *plan);

#endif
