/* SPDX-License-Identifier: MIT
 *
 * pace.h - learns how fast a bank lets itself be asked, from what became of each request.
 *
 * Layer:  scheduler (pure; integers only, no clock, no memory of its own).
 * Use:    one struct pace per node that has an own limit (institution, provider). Ask
 *         pace_earliest before an initiation, say pace_granted when it is given away, and
 *         pace_result once when its fate is known: milliseconds later (direct refusal), seconds or
 *         minutes later (job result), or never.
 * Spaced: requests are spread evenly, one each interval, and time not used is not saved up: a
 *         bank that counts over one second sees the same rate as one that counts over an hour.
 * Nested: requests of several paces may be the same ones (institution below provider). Each pace
 *         only raises while its own interval is what holds the requests back.
 * Times:  `sent` is the instant that pace_granted was told. The hand-over to the socket, somewhat
 *         later, does as well, except that a refusal handed over after a drop counts once more.
 *
 * The reasoning is in pace.c.
 */
#ifndef REFRESHD_SCHEDULER_PACE_H
#define REFRESHD_SCHEDULER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_point.h"

#define PACE_FLOOR_DEFAULT_US (60 * US_PER_SECOND)

struct pace_settings {
    bool learns;               /* false: nothing is learned and nothing is held back */
    int64_t floor_interval_us; /* the slowest pace: the longest interval that still probes; > 0 */
};

enum pace_signal {
    PACE_SUCCESS, /* the bank did it */
    PACE_REFUSED, /* 429, or a job result that names a request limit */
    PACE_TROUBLE, /* bank timeout or unavailable: overload or noise, only its share tells */
    PACE_NEUTRAL  /* an end that says nothing about load (consent gone, wrong credentials) */
};

struct pace {
    int64_t interval_us; /* 0: no learned limit */
    int64_t last_us;     /* the last grant; INT64_MIN: none */
    int64_t before_us;   /* the grant before it */
    int64_t drop_us;     /* results of requests sent before belong to an older pace */
    uint32_t successes;  /* of this cohort */
    uint32_t troubles;
};

/* What is worth storing, without any instant. All zero: nothing was learned. */
struct pace_past {
    int64_t interval_us; /* 0: no learned limit */
    int64_t ceiling_us;  /* interval of the pace that was last refused; 0: none remembered */
    uint32_t fails;      /* probes in a row that failed */
    uint32_t credit_ppm; /* refusals that probes may still cost, in millionths of a request */
};

/* Nothing learned yet. */
void pace_init(struct pace *pace);
/* Earliest instant of the next initiation: `now` or later, `now` while no limit is learned.
 * Changes nothing. */
struct mono_time pace_earliest(const struct pace *pace, const struct pace_settings *settings,
                               struct mono_time now);
/* An initiation is given away at `now`. `now` never goes backwards. A grant earlier than
 * pace_earliest (an operator's trigger that passes the limits) is counted like any other. */
void pace_granted(struct pace *pace, const struct pace_settings *settings, struct mono_time now);
/* The initiation granted at `granted` never reached the socket: it is not counted and its place
 * may be used again. No pace_result follows. */
void pace_returned(struct pace *pace, struct mono_time granted);
/* The fate of the initiation sent at `sent` is known at `now`. At most once per initiation; results
 * of initiations from before pace_init or pace_past_set are welcome and change little. Returns
 * true when pace_past_get would now say something worth storing: a limit was learned, changed
 * or forgotten. */
bool pace_result(struct pace *pace, const struct pace_settings *settings, struct mono_time now,
                 struct mono_time sent, enum pace_signal signal);
/* The learned interval between initiations (1e6 / interval is the rate per second); 0: no limit is
 * learned. The rate to show: short probes above it do not change it. */
int64_t pace_interval_us(const struct pace *pace);
/* Whether a faster pace than the learned one is being tried out or waits for its results. */
bool pace_is_probing(const struct pace *pace);
/* Take out what must survive a restart, and put it back into a pace after pace_init.
 * Conservative: the pace starts at the learned interval, with a full interval from `now` to its
 * first request and a pause before the first probe. Values out of range are made to fit. */
void pace_past_get(const struct pace *pace, struct pace_past *past);
void pace_past_set(struct pace *pace, const struct pace_settings *settings,
                   const struct pace_past *past, struct mono_time now);

#endif
