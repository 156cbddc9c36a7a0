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
 * Usual:  a bank that has a share of timeouts at any pace keeps its pace: see pace_trouble.c.
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
    int64_t usual_interval_us; /* what other limits let through on the average, in bursts or not;
                                  0: not known. The first estimate begins no faster. */
};

enum pace_signal {
    PACE_SUCCESS, /* the bank did it */
    PACE_REFUSED, /* 429, or a job result that names a request limit */
    PACE_TROUBLE, /* bank timeout or unavailable: overload or noise, only its share tells */
    PACE_NEUTRAL  /* an end that says nothing about load (consent gone, wrong credentials) */
};

enum pace_phase {
    PACE_STEADY, /* at the learned interval, or free */
    PACE_SETTLE, /* dropped; results of the overloaded stretch are still coming in */
    PACE_KNOCK,  /* a few requests go faster, to see whether they are let in */
    PACE_LISTEN, /* they went; their results are awaited at the learned interval */
    PACE_CLIMB,  /* all requests go faster, until the first of them have been let in */
    PACE_RETURN  /* back at the pace from before the troubles: was it their cause? */
};

/* Only pace.c looks inside. Instants (of the monotonic clock) and intervals in microseconds. */
struct pace {
    int64_t interval_us;      /* learned; 0: none */
    int64_t gap_us;           /* from the last grant to the next, while a limit is learned */
    int64_t trial_us;         /* interval being tried out */
    int64_t ceiling_us;       /* interval of the slowest pace known as too fast; 0: none known */
    int64_t peak_us;          /* the fastest interval that held, slowly forgotten; 0: none yet */
    int64_t stored_us;        /* interval when pace_result last returned true */
    int64_t delay_us;         /* almost every result arrives within it */
    int64_t last_us;          /* the last grant */
    int64_t before_us;        /* the grant before it */
    int64_t heard_us;         /* the last result, or the first grant after a long silence */
    int64_t drop_us;          /* results of requests sent before it speak of an older pace */
    int64_t phase_us;         /* begin of the phase */
    int64_t probe_us;         /* no probe before it */
    int64_t knock_us;         /* the first faster request */
    int64_t shadow_us;        /* a refusal until here may be due to the faster requests */
    int64_t stretch_gap_us;   /* overloaded stretch: the interval at which it was sent, */
    int64_t stretch_after_us; /* not before it, */
    int64_t stretch_from_us;  /* its first refusal, */
    int64_t stretch_to_us;    /* and the drop that ended it */
    int64_t count_us[2];      /* begin of this and of the last counting period, */
    uint32_t count[2];        /* and the grants in them */
    int32_t credit_ppm;       /* refusals that probes may cost, in millionths of a request */
    uint32_t stretch_refused;
    uint32_t stretch_accepted; /* reported since the drop */
    uint32_t trial_sent;       /* faster requests whose results decide, */
    uint32_t trial_done;       /* those that have reported, */
    uint32_t trial_accepted;   /* the successes among them, */
    uint32_t trial_troubles;   /* and those in trouble */
    uint32_t knocks_left;
    uint32_t firsts;   /* knocks in a row whose very first request was refused */
    uint32_t depth;    /* how long a knock must be to be noticed: 2^depth seconds; 0: one request */
    uint32_t step;     /* next rise in percent */
    uint32_t fails;    /* probes in a row that failed */
    uint32_t on_time;  /* grants in a row that nothing but the pace held back */
    uint32_t unheard;  /* grants since heard_us */
    uint32_t ends;     /* of late: successes and troubles, */
    uint32_t troubles; /* and the troubles among them */
    int64_t doubt_us; /* troubles slowed the pace down from here on, and went on; 0: they did not */
    int64_t return_us;       /* the last request of the trial at that pace */
    uint32_t doubt_ends;     /* at the slower pace: successes and troubles, */
    uint32_t doubt_troubles; /* and the troubles among them */
    uint32_t doubt_ppm;      /* the share before they slowed it down */
    uint32_t doubts;         /* how often they did */
    uint32_t usual_ppm;      /* the share of troubles that this bank has at any pace, */
    uint32_t tested_ppm;     /* and when it was last put to the test, slowly forgotten */
    bool doubt_was_free;     /* no limit was learned before the troubles */
    enum pace_phase phase;
    bool knows_delay; /* delay_us was learned */
    bool holds;       /* a success of the pace since the last drop is known */
    bool was_proven;  /* the overload began in a climb: the interval below it held before */
    bool is_first;    /* the climb follows a knock, not another climb */
};

/* What is worth storing, without any instant. All zero: nothing was learned. The usual share of
 * troubles is not: it is learned again within some minutes. */
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
 * true when pace_past_get now says something worth storing: a limit was learned, forgotten or
 * changed by more than 1/16 since the last true. */
bool pace_result(struct pace *pace, const struct pace_settings *settings, struct mono_time now,
                 struct mono_time sent, enum pace_signal signal);
/* An outage is over (the breaker of this node has closed): back to half the pace from before the
 * troubles, as far as these slowed it. Half, because the pace may have been what broke the node:
 * then each round asks less. Returns true when there is something worth storing, as above. */
bool pace_outage_over(struct pace *pace, struct mono_time now);
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
