/* SPDX-License-Identifier: MIT
 *
 * pace_internal.h - what the parts of the learned pace share: pace.c (events), pace_climb.c (the
 * way up), pace_drop.c (the way down) and pace_trouble.c (whether troubles ask for it). Instants
 * and intervals in microseconds.
 */
#ifndef REFRESHD_SCHEDULER_PACE_INTERNAL_H
#define REFRESHD_SCHEDULER_PACE_INTERNAL_H

#include "scheduler/pace.h"

#define PACE_NEVER_US INT64_MIN
#define PACE_FASTEST_US (10 * US_PER_MS)   /* a faster pace is no limit */
#define PACE_SHADOW_US (6 * US_PER_SECOND) /* the longest memory of an overload */
#define PACE_PROBE_US (60 * US_PER_SECOND)
#define PACE_STEP 10        /* percent */
#define PACE_STEP_BLIND 100 /* after an outage */
#define PACE_DEPTH_MOST 5
#define PACE_REFUSAL_PPM 1000000
#define PACE_RETURN_SENT 48 /* requests that tell whether the pace was the cause of troubles */
#define PACE_CREDIT_MOST_PPM (24 * PACE_REFUSAL_PPM)

static inline int64_t pace_slower(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

static inline int64_t pace_faster(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* Send at this interval from now on, or at the floor. */
static inline void pace_set(struct pace *pace, const struct pace_settings *settings,
                            int64_t interval_us)
{
    pace->interval_us = pace_faster(interval_us, settings->floor_interval_us);
    pace->gap_us = pace->interval_us;
}

/* So long a bank may remember an overload: a quarter of the delay of its results, since a bank that
 * answers at once is heard at once. */
static inline int64_t pace_shadow_us(const struct pace *pace)
{
    return pace_faster(PACE_SHADOW_US, pace->delay_us / 4);
}

/* --- pace_climb.c --- */

/* Credit for refusals by probes; negative `ppm` spends it. */
void pace_earn(struct pace *pace, int64_t ppm);
/* Begin a phase, with the gap that belongs to it. */
void pace_enter(struct pace *pace, enum pace_phase phase, int64_t now_us);
/* Begin a phase that tries `trial_us` out. */
void pace_try(struct pace *pace, enum pace_phase phase, int64_t trial_us, int64_t now_us);
/* Back to the learned interval; says when the next probe is due. */
void pace_steady(struct pace *pace, int64_t now_us);
/* In PACE_STEADY: begin a knock when it is due, affordable and there is demand for it. */
void pace_probe(struct pace *pace, int64_t now_us);
/* In PACE_LISTEN and PACE_CLIMB: go on once the results say how; else nothing. */
void pace_judge(struct pace *pace, int64_t now_us);
/* A request is given away: does it belong to the trial under way? */
void pace_sent_faster(struct pace *pace, int64_t now_us);
/* Whether the request sent at `sent_us` is one of those that decide the trial under way. */
bool pace_is_trial(const struct pace *pace, int64_t sent_us);
/* A request of a knock, or one close behind it, was refused. */
void pace_knock_failed(struct pace *pace, int64_t sent_us, int64_t now_us);

/* --- pace_drop.c --- */

/* A request is given away: count it, for the pace at which a bank without a learned limit is
 * asked. */
void pace_count(struct pace *pace, int64_t now_us);
/* A request was refused: drop, refine the last drop, give up a knock or nothing. */
void pace_refused(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                  int64_t now_us);
/* A request was accepted: does it tell about the last drop? */
void pace_settle_accepted(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                          int64_t now_us);
/* End PACE_SETTLE: all results are in, so what was sent in the stretch and not refused was
 * accepted. */
void pace_settle_end(struct pace *pace, const struct pace_settings *settings, int64_t now_us);
/* Slower, without knowing by how much. `ceiling_us` 0: more likely an outage than a limit. */
void pace_slow_down(struct pace *pace, const struct pace_settings *settings, int64_t interval_us,
                    int64_t ceiling_us, int64_t now_us);
/* The interval at which a bank without a learned limit was asked of late. */
int64_t pace_measured(const struct pace *pace, const struct pace_settings *settings);
/* A request is given away: slow down when there was no result for too long. */
void pace_listen_for_silence(struct pace *pace, const struct pace_settings *settings,
                             int64_t now_us);

/* --- pace_trouble.c --- */

/* A success or a trouble of this pace: slow down when troubles are too many, or find out whether
 * that helps. */
void pace_ended(struct pace *pace, const struct pace_settings *settings, int64_t now_us,
                bool is_trouble);
/* How many troubles among so many results are no reason to slow down at this bank, beside the few
 * that are none at any bank. */
uint32_t pace_usual(const struct pace *pace, uint32_t ends);
/* Whether it waits for results that tell if slower helps: no time for probes. */
bool pace_is_looking(const struct pace *pace);
/* In PACE_RETURN: decide once the results say enough. */
void pace_judge_return(struct pace *pace, const struct pace_settings *settings, int64_t now_us);

#endif
