/* SPDX-License-Identifier: MIT
 *
 * breaker.h - the pace at zero: a bank or provider that answers nothing but trouble is left alone
 * and asked again with few, leased probes.
 *
 * Layer:   scheduler (pure; integers only, no clock, no memory of its own).
 *
 *              failures          wait over, first probe
 *     CLOSED ------------> OPEN ------------------------> PROBING
 *        ^                  ^                              |   |
 *        |                  +--- a probe failed (doubled) -+   |
 *        +---------------------- a probe succeeded ------------+
 *
 * Cohorts: what was sent before the last failure was known says nothing new. A failure only counts
 *          as a further failed cohort when its request was sent after the one before was known, and
 *          is known itself BREAKER_COHORT_US later, so neither a burst of a thousand in flight nor
 * a blip opens the breaker, and a slow bank opens it after as many round trips as a fast one. Long:
 * where one round trip takes ten minutes and more (jobs that hang until they are given up), as many
 * single failures in a row are enough. Leases:  each probe has a lease. One that never tells its
 * fate loses its place when the lease ends, and another may go: the breaker cannot stay half-open
 * for ever, and there are never more probes out than allowed. Old:     results of requests from
 * before it opened change nothing. Waits:   double from `first` to `max`, the upper half drawn at
 * random, so that the breakers of many banks do not probe at one moment. They go on doubling when
 * it opens again within `max` after it closed.
 */
#ifndef REFRESHD_SCHEDULER_BREAKER_H
#define REFRESHD_SCHEDULER_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/time_point.h"

#define BREAKER_COHORT_US US_PER_SECOND
#define BREAKER_LONG_US (600 * US_PER_SECOND)
#define BREAKER_CONSENTS_MAX \
    16 /* distinct consents that a configuration error is remembered of \
        */

struct breaker_settings {
    uint32_t failures;      /* failed cohorts in a row that open it; 0: they never do */
    uint32_t configuration; /* consents with a configuration error and none accepted in between that
                               open it; 0: they never do; <= BREAKER_CONSENTS_MAX */
    uint32_t probes_max;    /* out at the same time; >= 1 */
    int64_t probe_first_ms; /* wait before the first probe, > 0... */
    int64_t probe_max_ms;   /* ...doubling up to this */
    int64_t lease_ms;       /* > 0 */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING, BREAKER_STATE_COUNT };

enum breaker_signal {
    BREAKER_SUCCESS, /* it works */
    BREAKER_FAILED,
    BREAKER_NEUTRAL /* says nothing about it; a probe is free again */
};

struct breaker {
    enum breaker_state state;
    bool is_configuration; /* opened by configuration errors */
    uint32_t streak;       /* times it opened in a row */
    int64_t opened_us;     /* last change to OPEN, or to CLOSED */
    int64_t until_us;      /* OPEN: no probe before */
    /* PROBING */
    uint32_t round;      /* of probes; a lost lease begins a new one */
    uint32_t probes_out; /* of this round */
    int64_t lease_us;    /* end of the lease of the last probe of this round */
    /* CLOSED: the run of failures */
    uint32_t failures;
    uint32_t cohorts;
    int64_t run_sent_us; /* sending of its first request */
    int64_t cohort_us;   /* when the last counted failure was known */
    /* and of configuration errors */
    uint32_t consent_count;
    uint32_t consents[BREAKER_CONSENTS_MAX];
};

/* What must survive a restart; all zero: closed. */
struct breaker_past {
    enum breaker_state state;
    bool is_configuration;
    uint32_t streak;
    int64_t opened_us;
    int64_t until_us;
};

const char *breaker_state_text(enum breaker_state state); /* closed, open, probing */

void breaker_init(struct breaker *breaker);
/* Closed, nothing remembered; probes that are out are not known any more. */
void breaker_reset(struct breaker *breaker);
/* As it is to be shown: an open one whose wait is over is probing. */
enum breaker_state breaker_state_at(const struct breaker *breaker, struct mono_time now);
/* Earliest instant of the next initiation: `now` while it is closed or a probe may go; else the end
 * of the wait, or of the lease after which a lost probe is replaced (a result may come first).
 * Changes nothing. */
struct mono_time breaker_earliest(const struct breaker *breaker,
                                  const struct breaker_settings *settings, struct mono_time now);
/* An initiation goes out at `now`. Answers its ticket: 0 where it is no probe. */
uint32_t breaker_granted(struct breaker *breaker, const struct breaker_settings *settings,
                         struct mono_time now);
/* The probe with this ticket (0: none) never reached the socket: another one may go. */
void breaker_returned(struct breaker *breaker, uint32_t ticket);
/* The fate of the request sent at `sent` with `ticket` is known. True: the state changed. */
bool breaker_result(struct breaker *breaker, const struct breaker_settings *settings,
                    struct random *random, struct mono_time now, struct mono_time sent,
                    uint32_t ticket, enum breaker_signal signal);
/* An initiation for `consent`, sent at `sent`, was refused as wrongly asked; breaker_accepted: one
 * was accepted. True: the state changed. */
bool breaker_misconfigured(struct breaker *breaker, const struct breaker_settings *settings,
                           struct random *random, struct mono_time now, struct mono_time sent,
                           uint32_t ticket, uint32_t consent);
bool breaker_accepted(struct breaker *breaker, struct mono_time now, struct mono_time sent);

/* A wait that is over at `now` lets its first probe go; probes from before are not known any more.
 */
void breaker_past_get(const struct breaker *breaker, struct breaker_past *past);
void breaker_past_set(struct breaker *breaker, const struct breaker_past *past);

#endif
