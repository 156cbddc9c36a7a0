/* SPDX-License-Identifier: MIT
 *
 * record.h - what goes into a step (events) and what comes out of it (records, effects).
 *
 * Layer:   scheduler (pure).
 * Order:   the shell commits all records of a batch in one transaction, in the order given, and
 *          only then performs the effects. If the commit fails, the batch is kept and tried
 *          again; nothing of it leaves meanwhile.
 * Numbers: consent numbers, run numbers, job numbers count from 1 and are never used twice in
 *          one state database; 0 means "none". job_slot is the place of a live job in the
 *          core's pool: valid from its first record until its RECORD_JOB_CLOSE is performed.
 * Evidence: texts of an answer (provider job id, codes, messages) are not the core's business:
 *          the event carries an opaque pointer, the records made from it carry it on. The shell
 *          keeps it alive until the batch is committed.
 */
#ifndef REFRESHD_SCHEDULER_RECORD_H
#define REFRESHD_SCHEDULER_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_point.h"
#include "scheduler/breaker.h"
#include "scheduler/pace.h"
#include "scheduler/words.h"

struct evidence; /* defined by the shell (state/evidence.h) */

/* Stretches of maintenance of one institution that a provider tells ahead; the sooner ones count.
 */
#define MAINTENANCE_MAX 4

/* ---- events ---- */

enum event_kind {
    EVENT_TIME,    /* nothing but `now`: always legal, early, late or twice */
    EVENT_SENT,    /* a request was handed to the socket */
    EVENT_ANSWER,  /* the answer to an initiation, poll or look-up, classified */
    EVENT_WEBHOOK, /* somebody told us something about a job: a hint */
    EVENT_TOKEN,   /* a token renewal ended */
    EVENT_TRIGGER, /* a person wants a consent refreshed now */
    EVENT_PAUSE,   /* a person paused something; EVENT_RESUME lets it go */
    EVENT_RESUME,
    EVENT_RELEASE,      /* a person, a source or a look-up lets a held consent go */
    EVENT_INSTITUTIONS, /* a call for a provider's list of institutions ended */
    EVENT_MAINTENANCE,  /* what the list tells of an institution */
    EVENT_CONSENT,      /* a webhook tells something about a consent */
    EVENT_RESET,        /* a person wants what was learned about a node forgotten */
    EVENT_DRAIN,        /* initiate nothing from now on */
};

/* The kinds of request; also what an effect asks for. */
enum request_kind {
    REQUEST_INITIATE,
    REQUEST_POLL,
    REQUEST_LOOK_UP,
    REQUEST_TOKEN,
    REQUEST_INSTITUTIONS, /* the provider's list of institutions, for their maintenance */
};

/* What a consent look-up said. */
enum look_up_verdict {
    LOOK_UP_NONE, /* no answer, or a word nobody knows: changes nothing */
    LOOK_UP_ACTIVE,
    LOOK_UP_RECONNECT, /* revoked, expired, deactivated, failed */
    LOOK_UP_SUSPENDED, /* hold, check again slowly */
    LOOK_UP_NOT_READY, /* not authorised yet */
};

/* A classified answer. Made by provider/, judged by the core. */
struct answer {
    enum answer_class class_;
    enum reason reason;  /* the cause when it is a failure, else REASON_NONE */
    bool reached_socket; /* false: certainly never sent (refused, no route, no token) */
    bool answered;       /* a complete HTTP answer arrived */
    bool wants_look_up;  /* the definition says: ask for the consent before judging */
    bool is_about_job;   /* polls: this is the job's own end, not a failed request */
    enum tristate has_new_data;
    uint64_t reference_hash;      /* hash of the provider's job id; 0: none in this answer */
    struct utc_time job_started;  /* start as the provider tells it; UTC_NONE */
    int64_t retry_after_ms;       /* clamped >= 0; -1: none */
    struct utc_time not_before;   /* an instant for this consent named by the provider; UTC_NONE */
    struct utc_time expires;      /* end of the consent learned from the answer; UTC_NONE */
    int64_t poll_hint_ms;         /* suggested delay until the next poll; -1: none */
    enum look_up_verdict look_up; /* answers to look-ups only */
};
/* Tells nothing, and was never sent. */
#define ANSWER_NONE \
    ((struct answer){.has_new_data = TRI_UNKNOWN, \
                     .job_started = UTC_NONE, \
                     .retry_after_ms = -1, \
                     .not_before = UTC_NONE, \
                     .expires = UTC_NONE, \
                     .poll_hint_ms = -1})

/* What a pause covers. */
enum scope_kind { SCOPE_ALL, SCOPE_PROVIDER, SCOPE_INSTITUTION, SCOPE_SCHEDULE, SCOPE_CONSENT };

/* The job slot of what belongs to no job. */
#define NO_JOB UINT32_MAX

struct event {
    enum event_kind kind;
    union {
        struct {
            uint32_t job_slot; /* NO_JOB: a look-up without a job, of `consent` */
            uint32_t provider; /* for REQUEST_TOKEN and REQUEST_INSTITUTIONS: no job either */
            enum request_kind request;
            struct mono_time at; /* the hand-over itself */
            struct utc_time at_utc;
            uint32_t consent;
        } sent;
        struct {
            uint32_t job_slot;         /* NO_JOB: a look-up without a job, of `consent` */
            enum request_kind request; /* not REQUEST_TOKEN */
            struct answer answer;
            const struct evidence *evidence;
            uint32_t consent;
        } answer;
        struct {
            uint32_t job_slot;
            uint64_t reference_hash; /* learned through the attempt token; 0: none */
            const struct evidence *evidence;
        } webhook;
        struct {
            uint32_t provider;
            bool is_granted;
            bool reached_socket;
            int64_t lifetime_ms;    /* > 0 when granted */
            int64_t retry_after_ms; /* -1: none */
        } token;
        struct {
            uint32_t consent;
            bool force; /* ignore the cooldown (never the quota) */
        } trigger;
        struct {
            enum scope_kind scope;
            uint32_t index;        /* provider, institution, schedule index or consent number */
            struct utc_time until; /* UTC_NEVER: until resumed */
        } pause;                   /* also resume */
        struct {
            uint32_t provider;
            struct answer answer; /* CLASS_SUCCESS: the list was read */
        } institutions;
        struct {
            uint32_t institution; /* index */
            uint32_t count;
            struct utc_span spans[MAINTENANCE_MAX];
        } maintenance;
        struct {
            uint32_t consent;
        } release;
        struct {
            uint32_t consent;
            bool is_verified; /* its signature is the provider's; else it only prompts a look-up */
            enum look_up_verdict verdict; /* LOOK_UP_ACTIVE or LOOK_UP_RECONNECT */
            struct utc_time expires;      /* UTC_NONE: not told */
        } consent;
        struct {
            uint32_t provider;    /* index */
            uint32_t institution; /* index; UINT32_MAX: the provider and all its institutions */
        } reset;
    } as;
};

/* ---- records ---- */

enum record_kind {
    RECORD_RUN_OPEN,
    RECORD_RUN_CLOSE,
    RECORD_JOB_OPEN,    /* always followed by its first RECORD_ATTEMPT in the same batch */
    RECORD_ATTEMPT,     /* the intent: committed before the request leaves */
    RECORD_ANSWER,      /* the attempt's answer */
    RECORD_REFERENCE,   /* the provider's job id is known (evidence) */
    RECORD_JOB_STATE,   /* for people: waits until, because of */
    RECORD_JOB_CLOSE,   /* outcome */
    RECORD_SKIP,        /* a slot without a job */
    RECORD_HOLD,        /* consent held */
    RECORD_RELEASE,     /* consent let go */
    RECORD_RECHECK,     /* a look-up without a job, before it leaves */
    RECORD_EXPIRES,     /* end of a consent learned from its provider */
    RECORD_CALLS,       /* polls, look-ups, tokens about to be sent: for long windows */
    RECORD_SCHEDULE,    /* firings up to `slot` are accounted for */
    RECORD_MAINTENANCE, /* what a provider tells ahead of an institution has changed */
    RECORD_NODE,        /* what was learned about a provider or institution */
};

/* What was learned about a node of the limit tree and must survive a restart. */
struct node_past {
    struct pace_past pace;
    enum breaker_state breaker; /* BREAKER_CLOSED or BREAKER_OPEN */
    bool is_configuration;      /* opened by configuration errors... */
    uint64_t revision;          /* ...under settings with this fingerprint */
    uint32_t breaker_streak;    /* times it opened in a row */
    struct utc_time opened;     /* UTC_NONE: closed */
    struct utc_time probe;      /* no probe before; UTC_NONE */
    struct utc_time pushback;   /* the end of the pause asked for; UTC_NONE */
    uint32_t pushback_streak;   /* such pauses in a row */
    int64_t retry_balance;      /* providers: thousandths of a retry; -1: none */
};

/* Where a hold or its end comes from. */
enum hold_source {
    HOLD_BY_JOB,     /* the job that `job` names */
    HOLD_BY_PERSON,  /* asked for: it has its audit row already */
    HOLD_BY_ROW,     /* its row has another `expires` or `authorized_at` */
    HOLD_BY_LOOK_UP, /* the provider was asked */
    HOLD_BY_WEBHOOK, /* the provider told us, and signed it */
    HOLD_SOURCE_COUNT
};

struct record {
    enum record_kind kind;
    struct utc_time at;
    const struct evidence *evidence; /* NULL: none */
    union {
        struct {
            uint32_t run;
            uint32_t schedule; /* index */
            enum trigger trigger;
            struct utc_time slot;
            int64_t local_ms; /* local civil time of the slot as if it were UTC */
            int fold;
            struct utc_time deadline;
            int64_t spread_ms; /* as its deadline shortens it */
            uint32_t due;
            bool is_missed; /* wholly missed: closes in the same batch */
        } run_open;
        struct {
            uint32_t run;
            uint32_t schedule;
            uint32_t counts[OUTCOME_COUNT]; /* as the core counted; the store recounts rows */
            bool late;
        } run_close;
        struct {
            uint64_t job;
            uint32_t job_slot;
            uint32_t consent;
            uint32_t run; /* 0: manual */
            enum trigger trigger;
            struct utc_time due;
        } job_open;
        struct {
            uint64_t job;
            uint32_t job_slot;
            uint32_t consent;
            uint16_t attempt; /* 1.. within the job; refused ones count here too */
            bool is_repeat;   /* a re-POST of an attempt in doubt */
        } attempt;            /* sent time = record.at until RECORD_ANSWER says better */
        struct {
            uint64_t job;
            uint32_t job_slot;
            uint32_t consent;
            uint16_t attempt;
            enum answer_class class_;
            enum reason reason;
            struct utc_time sent; /* the hand-over */
            bool is_charged;      /* counts on the quota */
        } answer;
        struct {
            uint64_t job;
            uint32_t job_slot;
            uint32_t consent;
            uint16_t attempt;
            uint64_t reference_hash;
        } reference;
        struct {
            uint64_t job;
            uint32_t job_slot;
            enum job_state state;
            struct utc_time next_attempt; /* UTC_NEVER: waits for something else than time */
            enum reason reason;
        } job_state;
        struct {
            uint64_t job;
            uint32_t job_slot;
            uint32_t consent;
            uint32_t run;
            enum outcome outcome;
            enum reason reason;
            enum tristate has_new_data;
        } job_close;
        struct {
            uint32_t run;     /* 0: a manual trigger that was given up before its first attempt */
            uint32_t consent; /* 0: a wholly missed run */
            struct utc_time due;
            enum reason reason;
            enum reason waited_for; /* REASON_DEADLINE: the limit that kept it; else NONE */
            bool is_learned;        /* REASON_RATE: one that was learned */
            uint32_t count;
        } skip;
        struct {
            uint32_t consent;
            enum reason reason; /* REASON_HELD */
            bool is_suspended;  /* hold_reason `suspended`, else `reconnect_required` */
            enum hold_source source;
            uint64_t job; /* what it followed from; 0 none */
        } hold;           /* also release */
        struct {
            uint32_t provider;
            uint32_t consent;
            bool is_by_hand; /* the provider's hand stood there: a restart goes on from it */
        } recheck;
        struct {
            uint32_t consent;
            struct utc_time expires; /* as the provider says */
            struct utc_time before;  /* the end that counted until now; UTC_NEVER */
        } expires;
        struct {
            uint32_t provider;
            uint32_t count;
        } calls;
        struct {
            uint32_t schedule;
            struct utc_time slot;
            int64_t local_ms;
            int fold;
        } schedule;
        struct {
            uint32_t provider;    /* index */
            uint32_t institution; /* index; UINT32_MAX: the provider's own node */
            bool is_breaker_news; /* its breaker opened or closed since its last record */
            struct node_past past;
        } node;
        struct {
            uint32_t institution; /* index */
            uint32_t count;       /* 0: none */
            struct utc_span spans[MAINTENANCE_MAX];
        } maintenance;
    } as;
};

/* ---- effects ---- */

struct effect {
    enum request_kind request;
    uint32_t provider;
    uint32_t job_slot; /* not for REQUEST_TOKEN; NO_JOB: a look-up of `consent`, without a job */
    uint64_t job;
    uint32_t consent;
    uint16_t attempt;
};

#define BATCH_RECORDS_MAX 8192
#define BATCH_EFFECTS_MAX 2048

/* Filled by scheduler_step; the caller owns it (about 1 MiB) and reuses it. */
struct batch {
    struct record records[BATCH_RECORDS_MAX];
    uint32_t record_count;
    struct effect effects[BATCH_EFFECTS_MAX];
    uint32_t effect_count;
    bool is_full;       /* call again with EVENT_TIME once this batch is committed */
    bool needs_reserve; /* call scheduler_reserve before the next step */
};

#endif
