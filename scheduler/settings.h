/* SPDX-License-Identifier: MIT
 *
 * settings.h - what the scheduler is told: limits, quotas, schedules, consents. Plain data.
 *
 * Layer:  scheduler (pure). Filled by config/ (validated there), borrowed by the core: settings
 *         given to the core stay alive and unchanged until the core is given others.
 * Times:  durations in milliseconds; 0 means "none" only where said so.
 */
#ifndef REFRESHD_SCHEDULER_SETTINGS_H
#define REFRESHD_SCHEDULER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_point.h"
#include "scheduler/breaker.h"
#include "scheduler/calendar.h"
#include "scheduler/pace.h"
#include "scheduler/time_range.h"
#include "scheduler/words.h"

#define RATES_MAX 8        /* rates at one node */
#define QUOTA_COUNT_MAX 64 /* N of a consent quota N/D */
#define QUOTA_WINDOW_MS_MAX (INT64_C(31) * MS_PER_DAY)
#define PRIORITY_MAX 9
#define SCHEDULES_PER_CONSENT_MAX 8

/* "N/D": no half-open interval of length D holds more than N requests. */
struct rate {
    uint32_t count;  /* 1.. */
    int64_t span_ms; /* > 0 */
};

/* When something may be initiated. */
struct hours_settings {
    const struct time_range *blackouts; /* nothing is initiated inside any of them */
    const struct time_range *windows;   /* when given, initiations only inside one of them */
    uint32_t blackout_count;
    uint32_t window_count;
};

/* Limits of one node of the tree. */
struct limit_settings {
    struct rate rates[RATES_MAX];
    uint32_t rate_count;
    uint32_t requests_in_flight_max; /* 0: no limit of its own */
    uint32_t jobs_running_max;       /* 0: no limit of its own */
    struct hours_settings hours;
    struct pace_settings pace; /* what may be learned beside all that */
};

struct quota_settings {
    uint32_t count;    /* 0: no quota */
    int64_t window_ms; /* (now - window, now] */
};

/* Spacing after the sending time of the last accepted initiation, by what is known of it. */
struct cooldown_settings {
    int64_t after_accept_ms;  /* while its end is not known */
    int64_t after_success_ms; /* it ended refreshed, partial or deduplicated */
    int64_t after_failure_ms; /* it ended otherwise */
};

enum in_doubt_rule {
    IN_DOUBT_REINITIATE, /* sending again gives the same task back (one re-POST per attempt) */
    IN_DOUBT_AWAIT,      /* a second create would be refused; only a webhook can tell the id */
};

struct completion_settings {
    bool webhook;             /* a webhook can tell us; polls go on as the safety net */
    int64_t poll_first_ms;    /* after acceptance */
    int64_t poll_floor_ms;    /* never closer than this for one job, webhook or not; > 0 */
    int64_t poll_max_ms;      /* delays double up to this */
    int64_t give_up_after_ms; /* since acceptance or doubt; then unknown */
};

struct provider_settings {
    const char *name;
    struct limit_settings limits;
    struct quota_settings quota;
    struct cooldown_settings cooldown;
    struct completion_settings completion;
    enum in_doubt_rule in_doubt;
    int64_t dedupe_window_ms;          /* a job that failed is not tried again sooner; 0: none */
    int64_t cooldown_refused_first_ms; /* wait after a cooldown refusal without an instant... */
    int64_t cooldown_refused_max_ms;   /* ...doubling up to this */
    int64_t pushback_first_ms;         /* wait after a 429 without Retry-After, doubling... */
    int64_t pushback_max_ms;           /* ...up to this; also clamps Retry-After */
    bool pushback_yields; /* nobody wrote that wait: a shorter backoff of the schedule counts */
    int64_t auth_retry_first_ms; /* stopped for credentials: first probe after this, doubling */
    int64_t auth_retry_max_ms;
    int64_t rate_guard_ms;           /* added to each rate span: how much a request may be delayed
                                        on the way, so that the provider's own count agrees */
    bool needs_token;                /* requests wait for EVENT_TOKEN */
    int64_t maintenance_every_ms;    /* the list of institutions is read so often; 0: never */
    bool can_look_up;                /* the definition knows how to ask for a consent's state */
    int64_t recheck_ms;              /* held consents are looked up once in so long; 0: never */
    int64_t expiry_margin_ms;        /* nothing is initiated for a consent that ends so soon */
    struct breaker_settings breaker; /* of the provider and of each of its institutions */
    uint32_t retry_budget_percent;   /* retries for each hundred first attempts; 0: no budget */
    uint64_t revision; /* fingerprint of all that a person wrote about this provider */
};

/* One node per (provider, institution name); "-" where a consent has none. */
struct institution_settings {
    const char *name;
    uint32_t provider; /* index */
    struct limit_settings limits;
};

struct retry_settings {
    uint32_t attempts_max; /* total, the first included; >= 1 */
    int64_t backoff_first_ms;
    int64_t backoff_max_ms;
};

enum misfire_policy { MISFIRE_RUN_ONCE, MISFIRE_SKIP };

struct schedule_settings {
    const char *name;
    uint64_t revision; /* hash of cron, zone and dst policy: a change starts afresh */
    struct calendar calendar;
    int64_t spread_ms; /* 0: all at the slot */
    struct deadline_spec deadline;
    enum misfire_policy misfire;
    int64_t misfire_max_age_ms;
    struct retry_settings retry;
    struct hours_settings hours; /* of its slots; what people start by hand goes anyway */
    uint8_t priority;            /* 0..9, 9 first */
    bool allow_empty;
};

/* What the core needs of a consent. Texts stay with the shell. */
struct consent_settings {
    uint64_t hash;                 /* hash_bytes over "PROVIDER/ID", seed 0: the stable offset */
    uint32_t institution;          /* index of its node; the node knows the provider */
    uint16_t schedule_set;         /* index into scheduler_settings.schedule_sets;
                                      UINT16_MAX: in no schedule */
    uint8_t priority;              /* 0..9, or PRIORITY_FROM_SCHEDULE */
    uint8_t mode;                  /* enum consent_mode */
    struct utc_time expires;       /* nothing is sent from then on; UTC_NEVER */
    struct utc_time authorized_at; /* UTC_NONE when not given */
};
#define PRIORITY_FROM_SCHEDULE 255

/* The schedules of a consent, interned: most of a population shares a few sets. */
struct schedule_set {
    uint16_t schedules[SCHEDULES_PER_CONSENT_MAX]; /* indexes */
    uint8_t count;
};

struct scheduler_settings {
    const struct provider_settings *providers;
    uint32_t provider_count;
    const struct institution_settings *institutions;
    uint32_t institution_count;
    const struct schedule_settings *schedules;
    uint32_t schedule_count;
    const struct schedule_set *schedule_sets;
    uint32_t schedule_set_count;
};

#define SPREAD_MARGIN_OF_WINDOW 20
#define SPREAD_MARGIN_LEAST_MS (2 * MS_PER_MINUTE)
#define SPREAD_MARGIN_MOST_OF_WINDOW 4

/* The spread of a run whose time, from its start to its deadline, is `window_ms`: longer ones are
 * shortened. A twentieth of the window is kept free, so that the jobs that begin last can end and
 * be tried again in time; at least two minutes, of short windows a quarter. */
static inline int64_t spread_within_ms(int64_t spread_ms, int64_t window_ms)
{
    int64_t margin_ms = window_ms / SPREAD_MARGIN_OF_WINDOW;

    if (margin_ms < SPREAD_MARGIN_LEAST_MS)
        margin_ms = SPREAD_MARGIN_LEAST_MS;
    if (margin_ms > window_ms / SPREAD_MARGIN_MOST_OF_WINDOW)
        margin_ms = window_ms / SPREAD_MARGIN_MOST_OF_WINDOW;
    return spread_ms < window_ms - margin_ms ? spread_ms : window_ms - margin_ms;
}

/* Offset of a consent inside the spread of a schedule: (consent + schedule) rotates each
 * schedule's order by a fixed amount, so that SQL can compute it too:
 * phase = (hash(consent) + hash(schedule)) mod 2^32, offset = phase * spread / 2^32, from the upper
 * 24 bits of the phase, so that the product of the longest spread fits into SQL's 63 bits. */
static inline uint32_t spread_phase(uint64_t consent_hash, uint64_t schedule_hash)
{
    return (uint32_t)(consent_hash >> 32) + (uint32_t)(schedule_hash >> 32);
}
static inline int64_t spread_offset_ms(uint32_t phase, int64_t spread_ms)
{
    return (int64_t)(((uint64_t)(phase >> 8) * (uint64_t)spread_ms) >> 24);
}

#endif
