/* SPDX-License-Identifier: MIT
 *
 * core.h - what the scheduler knows: its structures, shared by the files of the core and by nobody
 * else.
 *
 * Layer:    scheduler (pure), private to this folder.
 * Indexes:  providers, institutions and schedules have inner places that survive a change of
 *           settings; the indexes of the settings are translated at the border (configure.c).
 * Work:     what waits for its turn is a slot or, for later attempts and manual triggers, a job.
 *           One is in exactly one place: sleeping in its run, in a ready queue, parked by time,
 *           in its run's list of paused slots, or owned by a job.
 * Order:    queues are first in, first out; heaps are ordered by (time, index); hashes are only
 *           looked up, never walked. Nothing depends on addresses or on hash order, so equal inputs
 *           give equal batches.
 */
#ifndef REFRESHD_SCHEDULER_CORE_H
#define REFRESHD_SCHEDULER_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/random.h"
#include "scheduler/open_hours.h"
#include "scheduler/quota.h"
#include "scheduler/rate_window.h"
#include "scheduler/retry_budget.h"
#include "scheduler/scheduler.h"
#include "scheduler/send_memory.h"

#define NONE_INDEX UINT32_MAX
/* Catch-up 0..9, normal 10..19, manual, and above all what is sent again because it was in doubt.
 */
#define QUEUE_LEVELS (2 * (PRIORITY_MAX + 1) + 2)
#define QUEUE_LEVEL_MANUAL (QUEUE_LEVELS - 2)
#define QUEUE_LEVEL_REPEAT (QUEUE_LEVELS - 1)
#define WORK_JOB_BIT UINT32_C(0x80000000) /* a work reference names a job, else a slot */

/* A slot that fired no longer ago than this is on time, if we ran then; later it is a misfire. */
#define ON_TIME_MS (60 * MS_PER_SECOND)
/* A manual trigger that could not start for so long is given up. */
#define MANUAL_PATIENCE_MS MS_PER_HOUR
/* Clocks of a provider may be this far behind ours before "started before our sending" counts. */
#define JOB_STARTED_SLACK_MS (2 * MS_PER_SECOND)
/* Recorded polls and tokens left their batch no later than this after its record. */
#define RECOVERED_CALL_SLACK_MS (30 * MS_PER_SECOND)
/* Rates with at least this span survive a restart. */
#define LONG_SPAN_MS MS_PER_MINUTE
/* Slots looked at in one step before it says "call again". */
#define SLOTS_PER_STEP 16384
#define SLOTS_SWEPT_PER_STEP 65536
/* Timers of jobs that one step serves. */
#define TIMERS_PER_STEP 16384
/* Records that any single decision may need; loops stop when fewer are free. */
#define DECISION_RECORDS_MAX 12

/* ---- consents: 64 bytes each, plus 4 * quota_gaps ---- */

struct instant {
    uint16_t part[3]; /* 48 bits: UTC ms + 1; 0 none, all ones never */
};

enum consent_flag {
    CONSENT_IN_USE = 1,
    CONSENT_IS_HELD = 2,
    CONSENT_IS_SUSPENDED = 4,
    CONSENT_LET_GO = 8,   /* its row changed while held: released by the next step */
    CONSENT_HAS_ROW = 16, /* its dates are those of a row seen since the start */
};

/* What is known of the charge that the cooldown counts from. */
enum cooldown_kind { COOLDOWN_AFTER_ACCEPT, COOLDOWN_AFTER_SUCCESS, COOLDOWN_AFTER_FAILURE };

struct consent {
    uint32_t hash_high;         /* upper half of the consent's hash */
    uint32_t institution;       /* inner place */
    uint32_t expires_s;         /* in its row; UINT32_MAX: never; rounded down */
    uint32_t learned_expires_s; /* what its provider said last; likewise */
    uint32_t paused_until_s;    /* 0: not paused, UINT32_MAX: until resumed; rounded up */
    uint32_t job;               /* its live job; NONE_INDEX */
    struct instant last_attempt;
    struct instant last_success;
    struct instant not_before;
    struct instant charged;   /* newest charge of the quota */
    struct instant reference; /* lower 48 bits of the last job id's hash; 0 none */
    uint16_t schedule_set;    /* UINT16_MAX: none */
    uint16_t authorized_mark; /* lower half of the seconds of authorized_at in its row */
    uint8_t priority;
    uint8_t failures; /* consecutive, saturates */
    uint8_t refusals; /* for cooldown, consecutive, saturates */
    uint8_t flags;
    uint8_t not_before_reason : 6;
    uint8_t mode : 2;
    uint8_t last_outcome : 3;
    uint8_t cooldown_kinds : 4; /* of the newest charge, and of the one before in the upper half */
};
_Static_assert(sizeof(struct consent) == 64, "a consent is one cache line");
_Static_assert(REASON_COUNT <= 64 && OUTCOME_COUNT <= 8 && MODE_COUNT <= 4, "they fit their bits");

/* ---- limit nodes ---- */

struct limit_node {
    struct rate_window windows[RATES_MAX];
    struct send_memory sent; /* for rates that are not known yet */
    uint32_t window_count;
    uint32_t requests_in_flight;
    uint32_t jobs_running;
    uint32_t requests_max; /* 0: none */
    uint32_t jobs_max;     /* 0: none */
    struct open_hours hours;
    struct utc_time paused_until; /* UTC_NONE */
    struct mono_time pushback_until;
    uint32_t pushback_streak;
    enum reason last_blocked; /* what work last waited for here */
    /* What was learned (feedback.h), and how it is remembered (node_record.h). */
    struct pace pace;
    struct pace_settings pace_settings;
    struct breaker breaker;
    struct breaker_settings breaker_settings;
    bool was_open;             /* so said its last RECORD_NODE of the breaker */
    bool is_marked;            /* owes a RECORD_NODE; in the list of such nodes */
    uint32_t next_marked;      /* node reference; NONE_INDEX */
    struct mono_time recorded; /* its last RECORD_NODE */
};
/* A node reference is the place of an institution, or that of a provider with this bit. */
#define NODE_PROVIDER_BIT UINT32_C(0x80000000)

/* Why something may not start now, and until when as far as time decides. */
struct obstacle {
    enum reason reason;    /* REASON_NONE: nothing stands in the way */
    struct utc_time utc;   /* earliest by the wall clock; UTC_NEVER: an event decides */
    struct mono_time mono; /* earliest by the monotonic clock; MONO_NEVER likewise */
};

/* What the credentials' gate has to know of one request that is out, and of those before it. */
struct gate_pass {
    uint32_t token_number;     /* the token that the request carries */
    uint32_t answers_accepted; /* the provider's count at its last refusal */
    uint8_t strikes;
    bool is_probe; /* the request probes stopped credentials */
};

/* ---- look-ups without a job (recheck.h) ---- */

#define RECHECK_CALLS_MAX 4
#define RECHECK_PROMPTS_MAX 64

struct recheck_call {
    uint32_t consent; /* 0: the place is free */
    bool is_out;      /* its request is out, else it waits for its turn */
    bool is_sent;     /* the request was handed over */
    bool is_by_hand;  /* the hand came to it, else a webhook asked */
    bool was_held;    /* when it was asked for */
    uint8_t tries;
    struct mono_time not_before;
    struct gate_pass pass;
};

/* A consent that a webhook told something about. */
struct recheck_prompt {
    uint32_t consent; /* 0: free */
    bool is_waiting;
    struct mono_time not_before; /* waiting or not: no look-up for it sooner */
};

struct recheck {
    struct recheck_call calls[RECHECK_CALLS_MAX];
    struct recheck_prompt prompts[RECHECK_PROMPTS_MAX];
    uint32_t prompts_waiting;
    uint32_t hand;            /* the consent that it comes to next */
    struct mono_time hand_at; /* and when, at the earliest */
    bool has_begun;
};

/* The call for a provider's list of institutions (maintenance.h). */
struct list_call {
    bool is_out;
    bool is_sent;
    uint32_t failures; /* in a row */
    struct mono_time next;
    struct gate_pass pass;
};

struct work_queue {
    uint32_t head; /* work references; NONE_INDEX */
    uint32_t tail;
};

/* Ready work of one schedule at one level of one institution (lane.h). */
struct lane {
    uint32_t institution; /* NONE_INDEX: free */
    uint32_t schedule;    /* inner place; NONE_INDEX: manual */
    uint32_t level;
    struct work_queue queue;
    uint32_t next, prev; /* ring of the lanes of this institution and level */
    uint32_t chain;      /* the next one with the same hash; of a free one the next free */
};

/* Whose turn it is between levels: of every few turns one goes to those below the highest. */
struct level_turn {
    uint8_t high_turns; /* turns of the highest level while lower ones waited */
    uint8_t low_level;  /* that had the last turn of the lower ones */
};

/* What an institution has earned of a concurrency limit of its provider, beyond its base share
 * (share.h). */
struct share {
    uint32_t earned;
    int64_t usual_us;            /* how long one holds its place, smoothed; 0: not known */
    struct mono_time ended_last; /* when one ended, or the first one of a busy time began */
};

/* Institutions with ready work, in a ring for each level. */
struct turn_rings {
    uint32_t levels;             /* bit set of levels with a ring */
    uint32_t turn[QUEUE_LEVELS]; /* institution whose turn it is; NONE_INDEX */
};
enum turn_kind { TURN_WITHIN_SHARE, TURN_BEYOND_SHARE, TURN_KINDS };

struct provider {
    bool is_configured;
    uint32_t settings_index;
    uint64_t name_hash;
    struct provider_settings settings; /* copy; texts inside are only valid while configured */
    struct limit_node node;
    uint32_t troubled;       /* of its institutions */
    struct work_queue calls; /* jobs that want to poll or look up */
    uint32_t calls_waiting;
    uint32_t jobs;         /* live jobs of this provider in the pool */
    uint32_t work_waiting; /* initiations queued at its institutions */
    struct turn_rings rings[TURN_KINDS];
    struct level_turn level_turn;
    uint32_t populated; /* institutions with consents to refresh */
    uint32_t active;    /* institutions with work waiting or jobs running */
    uint32_t owed; /* places that institutions with unsent slots have left of their base shares */
    bool owed_is_stale;         /* the base share has changed */
    struct work_queue kept_out; /* institutions for which no place may be lent just now */
    int64_t usual_us;           /* how long its jobs run, smoothed; 0: not known */
    uint32_t initiations;       /* lately, and polls and look-ups beside them */
    uint32_t other_calls;
    bool last_was_call;
    struct retry_budget budget;
    int64_t balance_recorded;  /* of the budget, when it was last recorded */
    struct work_queue retries; /* jobs whose next attempt waits for the budget */
    uint32_t retries_waiting;
    bool pays_long; /* has a rate whose calls are recorded */
    bool was_busy;  /* a moment before the start, as far as what is recovered tells */
    /* credentials */
    bool has_token;
    bool is_token_proven; /* an answer other than a refusal came with this token */
    bool is_token_second; /* this token was asked for because the one before was refused */
    bool token_requested;
    bool token_is_sent;
    bool is_stopped; /* reason auth */
    bool probe_is_out;
    uint32_t token_number;
    uint32_t auth_streak;
    uint32_t answers_accepted; /* answers that did not refuse the credentials; wraps */
    struct mono_time token_until;
    struct mono_time token_renew_at;
    struct mono_time auth_retry_at;
    struct recheck recheck;
    struct list_call list;
    /* place of this provider's RECORD_CALLS in the batch being filled; NONE_INDEX */
    uint32_t calls_record;
};

struct institution {
    bool is_configured;
    bool is_default; /* "-": pushback blocks the provider */
    bool is_blocked; /* left the rings; comes back by time or event */
    bool is_active;
    bool is_troubled; /* what came last of an initiation was trouble of it or the provider */
    enum turn_kind turn_kind; /* in which rings it is or would be */
    uint32_t provider;
    uint32_t settings_index;
    uint64_t name_hash;
    struct limit_node node;
    uint32_t population;              /* consents to refresh */
    uint32_t unsent;                  /* slots of open runs that have no job yet */
    uint32_t owed;                    /* of the provider's sum */
    uint32_t stuck;                   /* running jobs that run much longer than usual */
    uint32_t young_first, young_last; /* the others in the order in which they began */
    bool is_kept_out;                 /* in the provider's list */
    uint32_t kept_out_next;
    struct share jobs_share;
    struct share requests_share;
    uint32_t jobs;
    uint32_t waiting; /* queued here */
    uint32_t levels;  /* bit set of levels with work */
    struct level_turn level_turn;
    uint32_t lanes[QUEUE_LEVELS];          /* lane whose turn it is; NONE_INDEX */
    struct work_queue spill[QUEUE_LEVELS]; /* work that came when no lane was free */
    uint32_t spill_turn;                   /* bit set of levels where it is the spill's turn */
    uint32_t ring_next[QUEUE_LEVELS];
    uint32_t ring_prev[QUEUE_LEVELS]; /* NONE_INDEX: not in the ring */
};

/* ---- pace towards the deadline (deadline_pace.h) ---- */

/* Slots of one run at one institution that have neither a job nor an end. */
struct deadline_cell {
    uint32_t unsent;
    uint32_t refused; /* of these, when they were last looked at: nothing may be sent for them */
};

/* What a run has to expect. */
struct forecast {
    struct utc_time goal;   /* the deadline less a margin */
    struct utc_time finish; /* when the last job should have ended; UTC_NONE: not known */
    uint32_t will_miss;     /* slots that will not be sent before the deadline */
    uint32_t skipped;       /* of the run's skipped_early, when this was found */
    enum reason limit;      /* because of this */
    uint32_t institution;   /* at this one; NONE_INDEX: at the provider itself */
    uint32_t provider;      /* place; NONE_INDEX: no limit decides */
};

/* One run at a time is looked at slot by slot, as far as each step has time. */
enum walk_phase { WALK_IDLE, WALK_CENSUS, WALK_SKIP, WALK_PULL };

struct deadline_pace {
    struct deadline_cell *cells; /* by run place and institution */
    uint32_t *census;            /* by institution and priority: slots that may be sent, then those
                                    to be skipped */
    uint32_t *pull;              /* by institution: slots to be woken early */
    uint32_t *provider_skip;     /* by provider and priority */
    uint32_t *provider_pull;     /* by provider */
    uint32_t institutions;       /* room */
    uint32_t providers;          /* room */
    uint32_t runs;               /* room */
    enum walk_phase phase;
    uint32_t run;    /* place; while not idle */
    uint32_t number; /* its number: the place may be used again */
    uint32_t cursor;
    uint32_t unsent; /* of the run when the census began */
    uint64_t left;   /* slots still to be skipped or pulled */
};

/* ---- schedules, runs, slots ---- */

struct schedule {
    bool is_configured;
    bool is_new; /* its accounted slot is owed a record */
    uint32_t settings_index;
    uint64_t name_hash;
    struct schedule_settings settings;
    struct open_hours hours;
    struct utc_time accounted;
    int64_t accounted_local_ms; /* INT64_MIN: not known */
    int accounted_fold;
    struct calendar_firing next;
    struct utc_time paused_until;
    uint32_t population; /* consents that belong to it */
};

enum slot_state {
    SLOT_SLEEPING, /* not due yet */
    SLOT_READY,    /* in a ready queue */
    SLOT_PARKED,   /* waits for an instant; `next` is its place in the heap */
    SLOT_PAUSED,   /* in its run's list until the schedule goes on or opens */
    SLOT_JOB,      /* a job works on it */
    SLOT_DONE,
};

struct slot {
    uint32_t consent;
    uint32_t phase;
    uint32_t next;
    uint32_t prev;
    uint16_t run; /* place */
    uint8_t state;
    uint8_t outcome;
};

enum sweep { SWEEP_NONE, SWEEP_MEMBERS, SWEEP_SUPERSEDED, SWEEP_DEADLINE };

struct run {
    bool in_use;
    bool is_opened; /* RECORD_RUN_OPEN was given */
    bool is_once;
    uint32_t number;
    uint32_t schedule; /* inner place */
    enum trigger trigger;
    struct utc_time slot;
    int64_t local_ms;
    int fold;
    struct utc_time base; /* offsets count from here */
    struct utc_time deadline;
    struct utc_time started;
    int64_t spread_ms;
    uint32_t due;
    uint32_t counts[OUTCOME_COUNT];
    uint32_t first; /* its slots: first .. first + count - 1 */
    uint32_t count;
    uint32_t room;
    uint32_t open;   /* slots not done */
    uint32_t unsent; /* slots not done and without a job */
    uint32_t cursor; /* slots before it are awake */
    struct work_queue paused;
    uint32_t paused_count;
    enum sweep sweep;
    uint32_t sweep_cursor;
    bool deadline_swept;
    bool is_superseded;        /* the next run of its schedule has fired */
    struct utc_time review_at; /* of its pace */
    struct utc_time census_at; /* when its slots were last looked at for that; UTC_NONE */
    struct forecast forecast;
    uint32_t skipped_early; /* slots that could not be sent any more, skipped before the deadline */
};

struct park_entry {
    int64_t key_ms;
    uint32_t slot;
};

/* ---- jobs ---- */

struct job {
    enum job_state state;
    bool in_use;
    bool is_queued; /* in a ready queue or a provider's queue of calls */
    bool is_outstanding;
    bool is_sent;      /* the outstanding request was handed over */
    bool is_repeat;    /* the last attempt was a re-POST of one in doubt */
    bool wants_repeat; /* in doubt, and the next attempt will be the re-POST */
    bool is_charged;   /* its last attempt is the consent's newest charge */
    bool is_attached;  /* somebody else's run of the job: success means deduplicated */
    bool is_ours;      /* learned by sending again: never attached */
    bool was_accepted;
    bool is_forced;    /* ignore the cooldown */
    bool is_last_poll; /* followed for long enough: one more answer, then it is given up */
    bool poll_asked;   /* a webhook wants a poll as soon as the floor allows */
    bool owes_fate;    /* the nodes wait to hear what became of its last initiation */
    bool is_paced;     /* that one counts at their paces */
    bool is_funded;    /* the budget has paid for its next attempt */
    bool waits_for_budget;
    uint8_t level;
    uint8_t failure;  /* enum reason: failed for this, unless the look-up blames the consent */
    uint16_t charges; /* of its attempts that stand; the newest is the consent's newest */
    enum request_kind request; /* of the outstanding request, or of the queued call */
    enum trigger trigger;
    uint64_t number; /* 0: nothing recorded yet */
    uint32_t consent;
    uint32_t institution;
    uint32_t slot;       /* NONE_INDEX: manual */
    uint32_t next, prev; /* queue links */
    uint16_t attempts;
    uint16_t attempts_counted;
    struct utc_time due;
    struct utc_time opened;
    struct utc_time deadline;  /* manual jobs only; others have their run's */
    struct utc_time last_sent; /* hand-over of the last attempt */
    struct mono_time granted;  /* when it was given away */
    uint32_t provider_ticket;  /* it is a probe of the provider's breaker; 0: it is not */
    uint32_t institution_ticket;
    struct utc_time doubt_sent; /* of the attempt that is in doubt */
    struct utc_time not_before; /* dedupe window; UTC_NONE */
    bool is_stuck;
    uint32_t younger, older;  /* in its institution's list of young ones */
    struct mono_time started; /* since when it holds its place among the running jobs */
    struct mono_time give_up_at;
    struct mono_time last_poll_at;
    int64_t poll_delay_ms;
    uint64_t reference;
    uint64_t hinted_reference; /* from a webhook that came before the answer */
    struct gate_pass pass;
    enum outcome verdict; /* of the last attempt that counted; OUTCOME_NONE */
    enum reason verdict_reason;
    enum reason wait_reason; /* what it waits for, when no attempt counted */
    enum reason trouble;     /* of the last poll; REASON_NONE */
    enum tristate has_new_data;
};

struct scheduler {
    struct random random;
    struct time_now now; /* of the current step, or of the last call */
    struct batch *batch; /* being filled */
    uint64_t steps;
    struct utc_time awake_since; /* end of recovery; whatever fired before was missed */
    bool is_recovering;
    bool was_active; /* whoever ran before may have sent requests within LONG_SPAN_MS */
    bool is_draining;
    bool calendars_enabled;
    bool reads_maintenance;
    bool needs_reserve;
    bool wants_step; /* something is left for an immediate next step */
    struct utc_time paused_until;
    uint32_t next_run;
    uint64_t next_job;

    struct consent *consents; /* 1..consent_max */
    uint32_t *quota_gaps;     /* quota_gap_count per consent */
    uint32_t quota_gap_count;
    uint32_t consent_max;
    bool has_released;    /* some consent has CONSENT_LET_GO */
    bool members_changed; /* open runs may hold slots of consents that left */
    bool has_orphans;     /* jobs of a provider that is gone */

    struct provider *providers;
    uint32_t provider_count;
    uint32_t *provider_places; /* settings index -> place */
    uint32_t provider_places_count;
    uint32_t provider_turn;

    struct institution *institutions;
    uint32_t institution_count;
    uint32_t *institution_places;
    uint32_t institution_places_count;
    struct lane *lanes;   /* a power of two of them */
    uint32_t *lane_heads; /* as many: the first lane of each hash */
    uint32_t lane_capacity;
    uint32_t lanes_used;
    uint32_t lane_free;           /* list through chain */
    struct heap institutions_utc; /* blocked ones, by the instant that opens them */
    struct heap institutions_mono;

    struct schedule *schedules;
    uint32_t schedule_count;
    uint32_t *schedule_places;
    uint32_t schedule_places_count;
    struct schedule_set *sets; /* with inner places */
    uint32_t *set_population;
    uint32_t set_count;

    struct run *runs;
    uint32_t run_capacity;
    uint32_t run_count; /* in use */
    struct deadline_pace pace;

    struct slot *slots;
    uint32_t slot_capacity;
    uint32_t slots_wanted; /* room that a run about to open asks for */
    struct park_entry *parked;
    uint32_t parked_count;

    struct job *jobs;
    uint32_t job_capacity;
    uint32_t jobs_live;
    uint32_t job_free;  /* list through next */
    uint32_t job_freed; /* freed in this step: free from the next step on */
    uint32_t requests_outstanding;
    struct heap jobs_utc;
    struct heap jobs_mono;

    uint32_t marked_first; /* nodes that owe a record; NONE_INDEX */
    uint32_t marked_last;

    struct wake wake;
};

/* ---- shared helpers (core.c) ---- */

/* Room for one more decision in the batch; says is_full otherwise. */
bool core_has_room(struct scheduler *scheduler);
/* A zeroed record at the end of the batch, stamped with now. */
struct record *core_record(struct scheduler *scheduler, enum record_kind kind,
                           const struct evidence *evidence);
struct effect *core_effect(struct scheduler *scheduler);
void core_wake_utc(struct scheduler *scheduler, struct utc_time at);
void core_wake_mono(struct scheduler *scheduler, struct mono_time at);
static inline struct mono_time core_mono_in_ms(const struct scheduler *scheduler, int64_t ms)
{
    return mono_add_us(scheduler->now.mono,
                       ms > INT64_MAX / US_PER_MS ? INT64_MAX : ms * US_PER_MS);
}
/* The same moment on the other clock, as both run now. */
struct mono_time core_mono_of(const struct scheduler *scheduler, struct utc_time at);
struct utc_time core_utc_of(const struct scheduler *scheduler, struct mono_time at);

static inline struct utc_time utc_later(struct utc_time a, struct utc_time b)
{
    return a.ms > b.ms ? a : b;
}
static inline struct utc_time utc_sooner(struct utc_time a, struct utc_time b)
{
    return a.ms < b.ms ? a : b;
}

#endif
