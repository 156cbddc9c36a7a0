/* SPDX-License-Identifier: MIT
 *
 * scheduler_fixture.h - a shell around the core for tests: settings, a store in memory that judges
 * every record by the rules of design section 4, and the requests that are out.
 *
 * Layer: tests. The judge is naive on purpose: it keeps everything and looks at all of it.
 * Clocks: `true_us` is real time; what the core is told differs by an offset for each clock.
 */
#ifndef REFRESHD_TESTS_UNIT_SCHEDULER_FIXTURE_H
#define REFRESHD_TESTS_UNIT_SCHEDULER_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/scheduler.h"

#define FIXTURE_PROVIDERS 2
#define FIXTURE_INSTITUTIONS 5
#define FIXTURE_SCHEDULES 3
#define FIXTURE_SETS 4
#define FIXTURE_CONSENTS 64
#define FIXTURE_JOBS 8192
#define FIXTURE_ATTEMPTS 16384
#define FIXTURE_RUNS 2048
#define FIXTURE_SENDS 65536
#define FIXTURE_REQUESTS 1024

#define NOT_A_MEMBER 255

struct fixture_consent {
    bool is_there;
    struct consent_settings settings;
    bool is_held;
    bool is_suspended;
    struct utc_time learned_expires; /* UTC_NEVER */
    struct utc_time paused_until;    /* UTC_NONE */
    uint64_t live_job;               /* 0: none */
    uint32_t closes_seen;
    struct consent_past past;     /* folded from the records, as a store would */
    bool is_forced;               /* its next attempt may ignore the cooldown */
    enum hold_source hold_source; /* of its last hold or release */
    uint32_t looked_up;           /* times, without a job */
    int64_t looked_up_us;         /* the last time */
    int64_t look_up_gap_us;       /* the shortest time between two by the hand; INT64_MAX */
};

struct fixture_attempt {
    uint64_t job;
    uint32_t consent;
    uint16_t number;
    bool is_repeat;
    bool is_answered;
    bool is_charged; /* until an answer says otherwise */
    enum answer_class class_;
    enum reason reason;
    struct utc_time sent;
    uint64_t reference_hash;
    int64_t recorded_true_us;
    int64_t handed_true_us; /* 0: not handed over */
    int64_t sent_true_us;   /* as far as a store would know */
};

struct fixture_job {
    uint64_t job; /* 0: unused */
    uint32_t job_slot;
    uint32_t consent;
    uint32_t run;
    enum trigger trigger;
    struct utc_time due;
    struct utc_time opened;
    uint16_t attempts;
    bool is_open;
    bool is_running; /* counts against jobs_running */
    enum outcome outcome;
    enum reason reason;
    enum job_state state;
    struct utc_time next_attempt; /* UTC_NONE */
    enum reason wait_reason;
};

struct fixture_run {
    uint32_t run;
    uint32_t schedule; /* settings index when it opened */
    enum trigger trigger;
    struct utc_time slot;
    int64_t local_ms;
    int fold;
    struct utc_time deadline;
    int64_t spread_ms;
    struct utc_time started;
    uint32_t due;
    bool is_open;
    bool is_missed;
    bool late;
    uint8_t slots[FIXTURE_CONSENTS + 1]; /* outcome of each member, or NOT_A_MEMBER */
    uint8_t skip_reasons[FIXTURE_CONSENTS + 1];
    uint32_t counts[OUTCOME_COUNT];
};

struct fixture_request {
    bool is_out;
    enum request_kind kind;
    uint32_t provider;
    uint32_t job_slot;
    uint64_t job;
    uint32_t consent;
    uint16_t attempt;
    bool is_sent;
    int64_t since_us; /* true time of the effect */
};

struct fixture_send {
    int64_t true_us;
    uint32_t consent; /* 0: none */
    uint32_t provider;
    uint32_t institution; /* UINT32_MAX: pays at the provider only */
    uint32_t start;       /* which life of the process */
    bool is_recorded;     /* an initiation or a recorded call */
};

struct fixture {
    struct scheduler *scheduler;
    struct batch *batch;
    struct scheduler_settings settings;
    struct provider_settings providers[FIXTURE_PROVIDERS];
    struct institution_settings institutions[FIXTURE_INSTITUTIONS];
    struct schedule_settings schedules[FIXTURE_SCHEDULES];
    struct schedule_set sets[FIXTURE_SETS];
    struct fixture_consent consents[FIXTURE_CONSENTS + 1];
    uint32_t consent_max;

    int64_t true_us;
    int64_t utc_offset_ms; /* wall clock minus true time */
    int64_t mono_offset_us;
    uint32_t start; /* counts restarts */
    bool clock_was_stepped;
    bool is_draining;
    bool is_once; /* calendars are off from the start on */

    struct fixture_job jobs[FIXTURE_JOBS]; /* job n at n % FIXTURE_JOBS */
    uint64_t job_max;
    struct fixture_attempt attempts[FIXTURE_ATTEMPTS];
    uint32_t attempt_count;
    struct fixture_run runs[FIXTURE_RUNS];
    uint32_t run_count;
    uint32_t run_max;
    struct fixture_send sends[FIXTURE_SENDS];
    uint32_t send_count;
    struct fixture_request requests[FIXTURE_REQUESTS];
    uint32_t requests_out;
    struct utc_time paused_all;
    struct utc_time paused_provider[FIXTURE_PROVIDERS];
    struct utc_time paused_institution[FIXTURE_INSTITUTIONS];
    struct utc_time paused_schedule[FIXTURE_SCHEDULES];
    struct utc_time accounted[FIXTURE_SCHEDULES];
    int64_t accounted_local_ms[FIXTURE_SCHEDULES];
    int accounted_fold[FIXTURE_SCHEDULES];
    uint64_t accounted_revision[FIXTURE_SCHEDULES];
    struct {
        uint32_t provider;
        uint32_t count;
        struct utc_time at;
    } calls[FIXTURE_SENDS];
    uint32_t call_count;
    struct {
        uint32_t consent; /* 0: never */
        struct utc_time at;
    } hands[FIXTURE_PROVIDERS];
    uint32_t look_ups; /* without a job */
    struct {
        bool is_known;
        uint32_t records;
        struct node_past past;
    } nodes[FIXTURE_INSTITUTIONS + FIXTURE_PROVIDERS];    /* institutions, then providers */
    bool (*once_filter)(void *context, uint32_t consent); /* of the next run opened by hand */
    uint64_t trace;                                       /* hash over all batches */
    uint64_t steps;
    struct wake wake;
    /* the last batch, for tests that look at it */
    uint32_t record_count;
};

/* One provider "finq", institutions "-", "A", "B"; schedule "nightly" at 01:00 UTC; `consents`
 * consents of institution "A"; no limits worth mentioning. Starts at 2026-01-01T00:00:00Z. Change
 * the settings, then call fixture_start. */
struct fixture *fixture_create(uint32_t consents);
void fixture_destroy(struct fixture *fixture);
/* Make the core (again): configure, put all consents, recover everything recorded. */
void fixture_start(struct fixture *fixture, uint64_t seed);
/* Configure the running core with the settings as they are now and put all consents again. */
void fixture_reload(struct fixture *fixture);

struct time_now fixture_now(const struct fixture *fixture);
/* One event, and as many steps as it takes until the core has said all. Judges every batch and runs
 * scheduler_check. */
void fixture_event(struct fixture *fixture, const struct event *event);
void fixture_time(struct fixture *fixture);
/* Let `ms` pass, waking the core whenever it asks to be woken. */
void fixture_advance(struct fixture *fixture, int64_t ms);
/* The true instant at which the core wants to be woken; INT64_MAX. */
int64_t fixture_wake_us(const struct fixture *fixture);

/* The request of a consent that is out, or NULL. */
struct fixture_request *fixture_request_of(struct fixture *fixture, uint32_t consent);
struct fixture_request *fixture_token_request(struct fixture *fixture, uint32_t provider);
void fixture_send(struct fixture *fixture, struct fixture_request *request);
struct answer fixture_answer(enum answer_class class_);
void fixture_deliver(struct fixture *fixture, struct fixture_request *request,
                     const struct answer *answer);
void fixture_deliver_token(struct fixture *fixture, struct fixture_request *request,
                           bool is_granted, int64_t lifetime_ms);
/* The last job of a consent, or NULL. */
const struct fixture_job *fixture_job_of(const struct fixture *fixture, uint32_t consent);
struct fixture_run *fixture_last_run(struct fixture *fixture);
uint32_t fixture_open_runs(const struct fixture *fixture);

#endif
