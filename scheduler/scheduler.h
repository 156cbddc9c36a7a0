/* SPDX-License-Identifier: MIT
 *
 * scheduler.h - the pure core's facade: same state + same (now, event) = same batch.
 *
 * Layer:  scheduler. No clock, I/O or logging; memory only in _create, _reserve, _configure and the
 *         load/recover calls, never inside a step.
 * Use:    create -> configure -> consent_put for each consent -> recover_* -> recover_done ->
 *         { step; commit batch.records; perform batch.effects } for ever.
 *         `plan` and the simulation drive the same calls with a virtual clock.
 * Record, then act: an effect is only ever given in the batch that holds its record.
 */
#ifndef REFRESHD_SCHEDULER_SCHEDULER_H
#define REFRESHD_SCHEDULER_SCHEDULER_H

#include "base/result.h"
#include "scheduler/record.h"
#include "scheduler/settings.h"

struct scheduler;

/* `seed` drives backoff jitter only. NULL when memory is out. */
struct scheduler *scheduler_create(uint64_t seed);
void scheduler_destroy(struct scheduler *scheduler);

/* Take new settings (borrowed until the next call). Providers, institutions and schedules are
 * matched with the old ones by name, so windows, waits, tokens, paces and open runs survive. A
 * provider or institution that is gone keeps a node until its last job is closed. A schedule whose
 * revision changed starts from `now`; one that is gone ends its runs: their unsent slots are
 * skipped as `removed` by the next step. Every consent has to be put again before the next step:
 * one that is not is in no schedule any more. A rate that is new counts what left before it was
 * known: by the minute for an hour, by the quarter for a day; one below a minute begins used up.
 * After a fault (out of memory) only scheduler_destroy is legal. */
MUST_CHECK enum result scheduler_configure(struct scheduler *scheduler, struct time_now now,
                                           const struct scheduler_settings *settings,
                                           struct fault *fault);

/* Room for consents numbered up to `consent_max`; live jobs up to what the settings allow plus
 * waiting retries; slots of runs about to open. Call after configure, before put, and whenever
 * batch.needs_reserve is set. */
MUST_CHECK enum result scheduler_reserve(struct scheduler *scheduler, uint32_t consent_max,
                                         struct fault *fault);

/* Add or change a consent (number 1..consent_max), or remove it. A removed or re-scheduled
 * consent's unsent slots of open runs are skipped as `removed` by the next step; its live job
 * is followed to its end. A changed `expires` or `authorized_at` lets a held consent go (record
 * in the next step's batch). Cheap: a million puts take well under a second. */
void scheduler_consent_put(struct scheduler *scheduler, uint32_t consent,
                           const struct consent_settings *settings);
void scheduler_consent_remove(struct scheduler *scheduler, uint32_t consent);

/* ---- recovery: what the store remembers, before the first step ---- */

/* Folded past of a consent; also what is written back. */
struct consent_past {
    enum outcome last_outcome;
    struct utc_time last_success; /* UTC_NONE */
    struct utc_time last_attempt; /* UTC_NONE */
    uint32_t consecutive_failures;
    uint32_t cooldown_refusals; /* in a row: drives the doubling wait */
    struct utc_time not_before; /* UTC_NONE; of its own, beyond quota and cooldown */
    enum reason not_before_reason;
    uint64_t reference_hash;         /* of the last recorded provider job id; 0 none */
    struct utc_time learned_expires; /* UTC_NEVER */
    bool is_held;
    bool is_suspended;
};
void scheduler_recover_consent(struct scheduler *scheduler, uint32_t consent,
                               const struct consent_past *past);
/* Attempts of the last window, in sending order: rebuilds quota, cooldown and node windows.
 * `outcome` is how its job ended (OUTCOME_NONE: still open): picks the cooldown. Of a consent that
 * was not put only quota and cooldown: the core does not know where it belonged, so give its
 * attempts to scheduler_recover_calls as well. */
void scheduler_recover_attempt(struct scheduler *scheduler, uint32_t consent, struct utc_time sent,
                               bool is_charged, enum outcome outcome);
void scheduler_recover_calls(struct scheduler *scheduler, uint32_t provider, struct utc_time at,
                             uint32_t count);
/* The last look-up without a job that the provider's hand asked for (RECORD_RECHECK with
 * is_by_hand): the round goes on from there. */
void scheduler_recover_recheck(struct scheduler *scheduler, uint32_t provider, uint32_t consent,
                               struct utc_time at);
/* Whoever ran before may have sent requests that left no record (polls) until `last`; UTC_NONE:
 * nobody did. Rates shorter than a minute then begin full. */
void scheduler_recover_activity(struct scheduler *scheduler, struct utc_time last);
/* A pause that was in force. */
void scheduler_recover_pause(struct scheduler *scheduler, enum scope_kind scope, uint32_t index,
                             struct utc_time until);
/* The maintenance of an institution (by index) that its provider told last. */
void scheduler_recover_maintenance(struct scheduler *scheduler, uint32_t institution,
                                   const struct utc_span *spans, uint32_t count);
/* What was learned about a node, as the last RECORD_NODE of it told (indexes; institution
 * UINT32_MAX: the provider's own). Instants that have passed are fine. */
void scheduler_recover_node(struct scheduler *scheduler, uint32_t provider, uint32_t institution,
                            const struct node_past *past);
/* The last accounted firing of a schedule (by index), with its local time and fold as in
 * RECORD_SCHEDULE (INT64_MIN: not known): zone data that changed meanwhile must not fire it twice.
 */
void scheduler_recover_schedule(struct scheduler *scheduler, uint32_t schedule, uint64_t revision,
                                struct utc_time accounted, int64_t local_ms, int fold);

struct recovered_run {
    uint32_t run;
    uint32_t schedule; /* index */
    enum trigger trigger;
    struct utc_time slot;
    int64_t local_ms;
    int fold;
    struct utc_time deadline;
    int64_t spread_ms;
    uint32_t due;
    struct utc_time started; /* the offsets of a catch-up run count from here; 0: not known */
};
/* An open run. Its population is given as scheduler_recover_slot for each member:
 * OUTCOME_NONE for one not accounted for yet. Memory is reserved from `due`. */
MUST_CHECK enum result scheduler_recover_run(struct scheduler *scheduler,
                                             const struct recovered_run *run, struct fault *fault);
void scheduler_recover_slot(struct scheduler *scheduler, uint32_t run, uint32_t consent,
                            enum outcome outcome);

struct recovered_job {
    uint64_t job;
    uint32_t consent;
    uint32_t run;
    enum trigger trigger;
    struct utc_time due;
    struct utc_time opened;    /* first attempt */
    uint16_t attempts;         /* recorded so far */
    uint16_t attempts_counted; /* those that used up an attempt, one without an answer
                                     too; re-POSTs never */
    bool is_answered;          /* the last attempt has its answer */
    bool is_repeat;            /* the last attempt was a re-POST */
    bool is_attached;          /* it was accepted as a job that somebody had started before */
    struct utc_time last_sent;
    enum answer_class last_class; /* of the last answer */
    enum reason last_reason;
    uint64_t reference_hash;      /* that the last attempt (a re-POST: and its first sending)
                                     learned; 0: none, whatever earlier attempts learned */
    struct utc_time next_attempt; /* of a job that waited; UTC_NONE */
};
/* An open job. Gives the job slot it got. A job whose last attempt has no answer is in doubt. One
 * of a consent that is gone keeps its place at its bank only if the consent is put before the call
 * (mode off) and removed after it. */
MUST_CHECK enum result scheduler_recover_job(struct scheduler *scheduler,
                                             const struct recovered_job *job, uint32_t *job_slot,
                                             struct fault *fault);
/* Numbers to go on from, and the end of recovery: misfires are judged by the next steps. */
void scheduler_recover_done(struct scheduler *scheduler, struct time_now now, uint32_t next_run,
                            uint64_t next_job);

/* ---- running ---- */

/* Open one run of `schedule` now, outside its calendar (`once`). `filter` (may be NULL) keeps a
 * consent when it answers true. keep_spread false: everything is due at once. The run opens in
 * the next step. Fails when a run of the same (schedule, slot) exists. */
MUST_CHECK enum result scheduler_open_once(struct scheduler *scheduler, struct time_now now,
                                           uint32_t schedule, bool keep_spread,
                                           bool (*filter)(void *context, uint32_t consent),
                                           void *context, uint32_t *run, struct fault *fault);
/* With false, calendars fire nothing (`once`): only runs opened by hand or recovered are worked. */
void scheduler_set_calendars(struct scheduler *scheduler, bool enabled);

/* With true, the lists of institutions are read for their maintenance, where the settings say so
 * (REQUEST_INSTITUTIONS). Initially not: a core that only looks ahead asks nobody. */
void scheduler_read_maintenance(struct scheduler *scheduler, bool enabled);

/* The one entry. Clears and fills `batch`. Any event is legal at any time; one about a job that
 * is gone does nothing. Returns when to call again with EVENT_TIME at the latest (both clocks:
 * whichever comes first); "never" when only events can change anything. */
struct wake {
    struct utc_time utc;
    struct mono_time mono;
};
struct wake scheduler_step(struct scheduler *scheduler, struct time_now now,
                           const struct event *event, struct batch *batch);

/* The wall clock was set since the last step: by how much, the two clocks of `now` tell. Sendings
 * keep their distance to now (a step forward frees no quota, one back blocks for no longer than the
 * window); waits are judged anew by the next step. Walks all consents. */
void scheduler_clock_stepped(struct scheduler *scheduler, struct time_now now);
/* The machine slept: the wall clock moved on rightly, the monotonic one stood still. */
void scheduler_clock_resumed(struct scheduler *scheduler, struct time_now now);

/* ---- looking ---- */

/* Folded past for the write-back. */
void scheduler_consent_past(const struct scheduler *scheduler, uint32_t consent,
                            struct consent_past *past);

/* Gates in the order in which they are asked, with verdict and earliest time. */
enum gate {
    GATE_STATUS, /* removed, mode, expired, not ready */
    GATE_HELD,
    GATE_PAUSED,
    GATE_SINGLE_FLIGHT,
    GATE_WINDOW,     /* windows and blackouts */
    GATE_NOT_BEFORE, /* refused cooldown, dedupe window, retry wait */
    GATE_COOLDOWN,
    GATE_QUOTA,
    GATE_RETRY_BUDGET, /* of the consent's job, when that waits for another attempt */
    GATE_AUTH,
    GATE_BREAKER, /* of provider and institution */
    GATE_PUSHBACK,
    GATE_PROVIDER_RATE,
    GATE_PROVIDER_CONCURRENCY,
    GATE_INSTITUTION_RATE,
    GATE_INSTITUTION_CONCURRENCY,
    GATE_FAIRNESS, /* its institution's share of the provider's running jobs and requests */
    GATE_COUNT
};
const char *gate_text(enum gate gate);
struct gate_verdict {
    bool is_open;
    enum reason reason;          /* REASON_NONE when open */
    struct utc_time earliest;    /* `now` when open; UTC_NEVER when only a person or event helps */
    int64_t learned_interval_us; /* rates: time between initiations that was learned; 0: none */
};
/* Fills GATE_COUNT verdicts; answers the earliest instant at which all are open, as far as
 * time alone decides. */
struct utc_time scheduler_why(const struct scheduler *scheduler, struct time_now now,
                              uint32_t consent, struct gate_verdict verdicts[GATE_COUNT]);

/* Live numbers of a run, for progress and status. */
struct run_view {
    uint32_t run;
    uint32_t schedule;
    enum trigger trigger;
    struct utc_time slot;
    struct utc_time deadline;
    struct utc_time started;
    uint32_t due;
    uint32_t counts[OUTCOME_COUNT]; /* closed slots by outcome */
    uint32_t open_jobs;             /* slots with a live job */
    uint32_t waiting;               /* slots not accounted for and without a job */
    /* What is to be expected, as of the last review of its pace (deadline_pace.h). */
    struct utc_time finish;     /* the last job should have ended; UTC_NONE: not known. The run's
                                   slack is its deadline less this */
    uint32_t will_miss;         /* slots that should not be sent before the deadline; 0: it fits */
    uint32_t skipped_early;     /* slots skipped because nothing could send them in time any more */
    enum reason limit;          /* that decides both: `rate`, `concurrency`, `window`, ... */
    uint32_t limit_provider;    /* settings index; UINT32_MAX: none, or gone */
    uint32_t limit_institution; /* settings index; UINT32_MAX: at the provider itself */
};

/* How a consent is on the way to its end. */
struct consent_life {
    bool is_there;           /* in the population, and not switched off */
    bool needs_customer;     /* held, and not only suspended */
    uint32_t provider;       /* index */
    struct utc_time expires; /* UTC_NEVER */
};
void scheduler_consent_life(const struct scheduler *scheduler, uint32_t consent,
                            struct consent_life *life);

uint32_t scheduler_run_count(const struct scheduler *scheduler);
void scheduler_run_view(const struct scheduler *scheduler, uint32_t index,
                        struct run_view *view); /* index < run_count */

struct node_view {
    uint32_t requests_in_flight;
    uint32_t jobs_running;
    uint32_t waiting;              /* slots and retries queued at this node */
    enum reason blocked_reason;    /* REASON_NONE: open */
    struct utc_time blocked_until; /* UTC_NONE: open */
    int64_t learned_interval_us;   /* time between initiations that was learned; 0: none */
    enum breaker_state breaker;
    bool is_configuration;    /* it opened for configuration errors */
    uint32_t retries_waiting; /* providers: for the retry budget */
    int64_t retry_balance;    /* providers: retries that may be sent; -1: no budget */
};
void scheduler_provider_view(const struct scheduler *scheduler, struct time_now now,
                             uint32_t provider, struct node_view *view);
void scheduler_institution_view(const struct scheduler *scheduler, struct time_now now,
                                uint32_t institution, struct node_view *view);
/* Has the provider stopped because our credentials were refused? */
bool scheduler_credentials_are_refused(const struct scheduler *scheduler, uint32_t provider);
/* The maintenance of an institution as it is known now, at most MAINTENANCE_MAX; how many. */
uint32_t scheduler_maintenance(const struct scheduler *scheduler, uint32_t institution,
                               struct utc_span spans[MAINTENANCE_MAX]);
/* Next slot of a schedule; UTC_NEVER when calendars are off. */
struct utc_time scheduler_next_firing(const struct scheduler *scheduler, uint32_t schedule);
/* Jobs in the pool: requests outstanding, and all live ones. */
uint32_t scheduler_requests_outstanding(const struct scheduler *scheduler);
uint32_t scheduler_jobs_live(const struct scheduler *scheduler);
/* Slot of the live job of a consent, or UINT32_MAX. */
uint32_t scheduler_job_of_consent(const struct scheduler *scheduler, uint32_t consent);
/* Draining has ended: no request is outstanding. */
bool scheduler_is_drained(const struct scheduler *scheduler);

/* Every invariant of the core; aborts through REQUIRE on the first that does not hold. Run after
 * every step in tests. */
void scheduler_check(const struct scheduler *scheduler);

#endif
