/* SPDX-License-Identifier: MIT
 *
 * judge.h - what must always hold, judged from the outside: by committed records, by the moments at
 * which requests were handed over, and by what providers said.
 *
 * Layer: tests (simulation). Trusts neither the core nor the store: it remembers for itself.
 * Rules: slots      every slot of a run ends exactly once, and the manifest adds up
 *        flight     one live job for a consent, one request for a job, nothing after its end
 *        limits     no window of any rate holds too many hand-overs, also over restarts; no quota,
 *                   cooldown, concurrency, in-flight limit is overstepped
 *        times      nothing is initiated after the deadline, in a blackout, outside windows, while
 *                   paused, held, expired, removed; nor before a wait is over
 *        firings    every due firing leaves one run for its (schedule, local time, fold)
 *        truth      success is what a provider said of that job, never a default
 *        sleep      the daemon neither spins nor oversleeps; work with every gate open is sent
 *        end        when faults stop, everything drains
 */
#ifndef REFRESHD_TESTS_SIMULATION_JUDGE_H
#define REFRESHD_TESTS_SIMULATION_JUDGE_H

#include "tests/simulation/virtual_shell.h"
#include "tests/simulation/world.h"

struct simulation;

#define JUDGE_CHARGES 16
/* A look-up that says nothing is tried three times; one that had to wait may come near the next. */
#define JUDGE_LOOK_UPS 6

struct judged_run {
    uint32_t number;
    uint32_t schedule; /* identity */
    uint32_t generation;
    enum trigger trigger;
    struct utc_time slot;
    struct utc_time base;
    int64_t local_ms;
    int fold;
    struct utc_time deadline;
    int64_t spread_ms;
    uint32_t due;
    bool is_open;
    bool is_missed;
    uint32_t counts[OUTCOME_COUNT];
    uint8_t slots[WORLD_CONSENTS + 1];
};

struct judged_job {
    bool is_open;
    bool is_running; /* counts against jobs_running */
    bool is_answered;
    bool is_repeat;
    bool is_forced;
    bool is_blind; /* begun in a life that nobody had told of what was sent before */
    bool success_told;
    bool reconnect_told;
    uint32_t consent;
    uint32_t run;
    uint32_t institution; /* identity */
    uint16_t attempts;
    uint16_t counted;
    uint16_t repeats; /* since the last first sending */
    enum answer_class class_;
    enum reason reason;
    enum outcome outcome;
    struct utc_time doubt_sent;
    int64_t first_sent_us; /* true time */
    struct utc_time wait_until;
};

/* One charge of a consent's quota. */
struct judged_charge {
    struct utc_time sent;
    uint64_t job;
    uint16_t attempt;
    int64_t true_us;
    uint32_t life;
};

struct judged_pause {
    struct utc_time until; /* UTC_NONE */
    bool is_ended;         /* when this life began: it knows nothing of it */
    int64_t since_us;      /* the core heard of it */
};

struct judged_consent {
    uint64_t live_job;
    bool is_held;
    bool is_forced; /* its next job may ignore the cooldown */
    struct utc_time learned_expires;
    int64_t checked_us[JUDGE_LOOK_UPS];          /* look-ups by the provider's hand, newest first */
    struct utc_time doubt_until;                 /* closed in doubt: nothing before */
    struct judged_charge charges[JUDGE_CHARGES]; /* newest first */
    uint32_t charge_count;
    struct judged_pause paused;
    int64_t accepted_us[JUDGE_CHARGES]; /* new jobs at the provider, newest first */
    uint32_t accepted_count;
};

struct judged_send {
    int64_t true_us;
    uint32_t life;
    enum request_kind kind;
    uint32_t consent;
};

/* One node of the limit tree, and all hand-overs since its limits were set. */
struct judged_node {
    bool is_there;
    struct limit_settings limits;
    struct world_hours hours;
    int64_t changed_us;
    struct judged_send *sends;
    uint32_t send_count;
    uint32_t send_capacity;
    bool is_new_to_life; /* the daemon began without it */
    uint32_t running;
    struct judged_pause paused;
};

struct judged_schedule {
    bool is_there;
    uint64_t revision;
    uint32_t generation;
    struct utc_time accounted;
    int64_t local_ms;
    int fold;
    struct utc_time opened_for; /* slot of the last run */
    uint32_t attempts_max;      /* the most that was ever allowed */
    struct world_hours hours;
    struct judged_pause paused;
};

struct judge {
    struct judged_run *runs;
    uint32_t run_count;
    uint32_t run_capacity;
    struct judged_job *jobs; /* by number */
    uint64_t job_max;
    uint64_t job_capacity;
    struct judged_consent consents[WORLD_CONSENTS + 1];
    struct judged_node providers[WORLD_PROVIDERS];
    struct judged_node institutions[WORLD_INSTITUTIONS];
    struct judged_schedule schedules[WORLD_SCHEDULES];
    struct judged_pause paused_all;
    int64_t adopted_us; /* when the settings in force were taken */
    int64_t step_before_life_us;
    int64_t drain_heard_us; /* INT64_MAX: not in this life */
};

void judge_init(struct judge *judge);
void judge_deinit(struct judge *judge);

/* Print what is wrong, the seed, the moment and how to see it again; ends the process. */
_Noreturn void judge_fail(struct simulation *simulation, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- what happens ---- */

/* A record is committed; `next` follows it in the batch (may be NULL). */
void judge_record(struct simulation *simulation, const struct record *record,
                  const struct record *next);
/* An event goes into the core. */
void judge_told(struct simulation *simulation, const struct event *event);
/* A request leaves the daemon, is handed to the socket, was accepted as a new job, was answered. */
void judge_effect(struct simulation *simulation, const struct sim_request *request);
void judge_sent(struct simulation *simulation, const struct sim_request *request);
void judge_accepted(struct simulation *simulation, const struct sim_request *request);
void judge_answered(struct simulation *simulation, const struct sim_request *request);
/* The configuration in force is another one; a life begins. */
void judge_reloaded(struct simulation *simulation);
void judge_restarting(struct simulation *simulation);
void judge_job_recovered(struct simulation *simulation, uint64_t job, uint32_t institution_index);
void judge_dates_changed(struct simulation *simulation, uint32_t consent);

/* ---- now and then ---- */

/* Everything that is expensive to look at. */
void judge_look(struct simulation *simulation);
/* Faults have stopped: latest instant (wall clock) at which all has to be done. */
struct utc_time judge_drain_bound(struct simulation *simulation);
void judge_drained(struct simulation *simulation);

#endif
