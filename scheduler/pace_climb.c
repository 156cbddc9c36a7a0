/* SPDX-License-Identifier: MIT
 * pace_climb.c - the way up: probes, knocks, climbs. See pace.c for why, pace_internal.h for what.
 */
#include "scheduler/pace_internal.h"

#define PACE_WATCH_US (6 * US_PER_SECOND) /* a climb is judged by what it sent in this time */
#define PACE_WATCH_GAPS 4                 /* or by so many requests */
#define PACE_KNOCK_EIGHTHS 6              /* of the results must have come */
#define PACE_CLIMB_EIGHTHS 4

/* From one probe to the next, doubled while they fail; a longer knock costs more refusals. */
#define PACE_PROBE_SOFT_US (120 * US_PER_SECOND)
#define PACE_PROBE_DOUBLINGS 3
#define PACE_ON_TIME 3

#define PACE_STEP_MOST 60 /* percent */
#define PACE_STEP_SOFT 20 /* less, and the longest knock would not empty a deep bucket */
#define PACE_DEPTH_SOFT 4 /* from here on the bucket is deep */
#define PACE_FAR 32       /* so much slower than ever: rather an outage than a limit */

#define PACE_CREDIT_LEAST_PPM (-8 * PACE_REFUSAL_PPM)
#define PACE_DEBT_PPM (-6 * PACE_REFUSAL_PPM)

void pace_earn(struct pace *pace, int64_t ppm)
{
    int64_t credit_ppm = pace->credit_ppm + ppm;

    credit_ppm = pace_faster(pace_slower(credit_ppm, PACE_CREDIT_LEAST_PPM), PACE_CREDIT_MOST_PPM);
    pace->credit_ppm = (int32_t)credit_ppm;
}

static int64_t pace_watch_us(const struct pace *pace)
{
    return pace_slower(PACE_WATCH_US, PACE_WATCH_GAPS * pace->trial_us);
}

void pace_enter(struct pace *pace, enum pace_phase phase, int64_t now_us)
{
    bool is_faster = phase == PACE_KNOCK || phase == PACE_CLIMB || phase == PACE_RETURN;

    pace->phase = phase;
    pace->phase_us = now_us;
    pace->gap_us = is_faster ? pace->trial_us : pace->interval_us;
}

/* Whether a known ceiling leaves enough room to be worth narrowing down at once. */
static bool pace_is_wide(const struct pace *pace)
{
    int64_t part = pace->depth >= PACE_DEPTH_SOFT ? 12 : 32;

    return pace->ceiling_us > 0 && pace->interval_us - pace->ceiling_us > pace->interval_us / part;
}

void pace_steady(struct pace *pace, int64_t now_us)
{
    uint32_t doublings = PACE_PROBE_DOUBLINGS;
    int64_t wait_us;

    if (pace->interval_us >= 2 * pace->peak_us)
        doublings--;
    if (pace->peak_us == 0 || pace->interval_us < pace->peak_us)
        pace->peak_us = pace->interval_us;
    else
        pace->peak_us += pace->peak_us / 256;
    if (pace->fails < doublings)
        doublings = pace->fails;
    wait_us = pace->depth >= PACE_DEPTH_SOFT ? PACE_PROBE_SOFT_US : PACE_PROBE_US;
    pace->probe_us = pace_is_wide(pace) ? now_us : now_us + (wait_us << doublings);
    pace->step = PACE_STEP;
    if (pace->interval_us >= PACE_FAR * pace->peak_us) {
        pace->step = PACE_STEP_BLIND;
        pace_earn(pace, pace_slower(PACE_REFUSAL_PPM - pace->credit_ppm, 0));
    }
    pace_enter(pace, PACE_STEADY, now_us);
}

/* The interval to try next: some percent faster, but at most half-way to a ceiling. */
static int64_t pace_next(const struct pace *pace, uint32_t percent)
{
    int64_t next_us = pace->interval_us * 100 / (100 + (int64_t)percent);

    if (pace_is_wide(pace))
        return pace_slower(next_us, (pace->interval_us + pace->ceiling_us) / 2);
    return next_us;
}

void pace_try(struct pace *pace, enum pace_phase phase, int64_t trial_us, int64_t now_us)
{
    pace->trial_us = trial_us;
    pace->trial_sent = 0;
    pace->trial_done = 0;
    pace->trial_accepted = 0;
    pace->trial_troubles = 0;
    pace_enter(pace, phase, now_us);
}

static void pace_knock(struct pace *pace, int64_t now_us)
{
    uint32_t percent = pace->depth >= PACE_DEPTH_MOST ? PACE_STEP_SOFT : PACE_STEP;

    pace_try(pace, PACE_KNOCK, pace_next(pace, percent > pace->step ? percent : pace->step),
             now_us);
    pace->knocks_left = 1;
    if (pace->depth > 0)
        pace->knocks_left += (uint32_t)((US_PER_SECOND << pace->depth) / pace->trial_us);
}

static void pace_promote(struct pace *pace, int64_t now_us)
{
    pace->interval_us = pace->trial_us;
    pace->fails = 0;
    if (pace->ceiling_us >= pace->interval_us)
        pace->ceiling_us = 0;
    if (pace->interval_us < PACE_FASTEST_US) {
        pace->interval_us = 0;
        pace_enter(pace, PACE_STEADY, now_us);
        return;
    }
    if (!pace->is_first && pace->step < PACE_STEP_MOST)
        pace->step = pace->step * 2 < PACE_STEP_MOST ? pace->step * 2 : PACE_STEP_MOST;
    pace->is_first = false;
    if (pace->ceiling_us == 0)
        pace_try(pace, PACE_CLIMB, pace_next(pace, pace->step), now_us);
    else
        pace_steady(pace, now_us);
}

/* The trial ends without a rise: not used, not answered or not clean enough to prove something.
 * More than one trouble among few results is taken as the bank's way to refuse. */
static bool pace_is_void(struct pace *pace, uint32_t eighths, int64_t now_us)
{
    uint32_t usual = pace_usual(pace, pace->trial_done);
    bool is_troubled =
        pace->trial_troubles > usual && (pace->trial_troubles - usual) * 8 > pace->trial_done;

    if (pace->trial_accepted > 0 && pace->trial_done * 8 >= pace->trial_sent * eighths &&
        !is_troubled)
        return false;
    if (is_troubled && pace->trial_troubles >= 2) {
        pace->ceiling_us = pace_slower(pace->ceiling_us, pace->trial_us);
        pace->fails++;
    }
    pace_steady(pace, now_us);
    return true;
}

/* None of the knock was refused so far. A few of its results may never come. */
static void pace_judge_knock(struct pace *pace, int64_t now_us)
{
    if (pace->trial_done < pace->trial_sent && now_us - pace->phase_us <= 2 * pace->delay_us)
        return;
    if (pace_is_void(pace, PACE_KNOCK_EIGHTHS, now_us))
        return;
    pace->is_first = true;
    pace_try(pace, PACE_CLIMB, pace->trial_us, now_us);
}

static void pace_judge_climb(struct pace *pace, int64_t now_us)
{
    int64_t watch_us = pace_watch_us(pace);
    int64_t watched_us = now_us - pace->phase_us;

    if (watched_us < watch_us)
        return;
    if (pace->trial_done < pace->trial_sent && watched_us < watch_us + pace->delay_us)
        return;
    if (pace->trial_sent * pace->trial_us < watch_us * 3 / 4)
        pace_steady(pace, now_us); /* demand did not use it */
    else if (!pace_is_void(pace, PACE_CLIMB_EIGHTHS, now_us))
        pace_promote(pace, now_us);
}

void pace_probe(struct pace *pace, int64_t now_us)
{
    int64_t credit_ppm = pace_is_wide(pace) ? PACE_DEBT_PPM : PACE_REFUSAL_PPM;

    if (now_us >= pace->probe_us && pace->holds && pace->on_time >= PACE_ON_TIME &&
        pace->credit_ppm >= credit_ppm && !pace_is_looking(pace))
        pace_knock(pace, now_us);
}

void pace_judge(struct pace *pace, int64_t now_us)
{
    if (pace->phase == PACE_LISTEN)
        pace_judge_knock(pace, now_us);
    else if (pace->phase == PACE_CLIMB)
        pace_judge_climb(pace, now_us);
}

void pace_sent_faster(struct pace *pace, int64_t now_us)
{
    if (pace->phase == PACE_CLIMB && now_us - pace->phase_us <= pace_watch_us(pace))
        pace->trial_sent++;
    if (pace->phase == PACE_RETURN && pace->trial_sent < PACE_RETURN_SENT) {
        pace->return_us = now_us;
        if (++pace->trial_sent == PACE_RETURN_SENT)
            pace->gap_us = pace->interval_us; /* the results are awaited at the slower pace */
    }
    if (pace->phase != PACE_KNOCK || pace->on_time == 0)
        return;
    if (pace->trial_sent++ == 0)
        pace->knock_us = now_us;
    pace->shadow_us = now_us + 3 * pace->interval_us;
    if (pace->depth > 0)
        pace->shadow_us += pace_shadow_us(pace) / 2;
    if (--pace->knocks_left == 0)
        pace_enter(pace, PACE_LISTEN, now_us);
}

bool pace_is_trial(const struct pace *pace, int64_t sent_us)
{
    switch (pace->phase) {
    case PACE_KNOCK: return pace->trial_sent > 0 && sent_us >= pace->knock_us;
    case PACE_LISTEN: return sent_us >= pace->knock_us && sent_us <= pace->phase_us;
    case PACE_CLIMB:
        return sent_us > pace->phase_us && sent_us - pace->phase_us <= pace_watch_us(pace);
    case PACE_RETURN: return sent_us > pace->phase_us && sent_us <= pace->return_us;
    default: return false;
    }
}

void pace_knock_failed(struct pace *pace, int64_t sent_us, int64_t now_us)
{
    if (sent_us != pace->knock_us) {
        pace->firsts = 0;
    } else if (++pace->firsts >= 2) {
        pace->firsts = 0;
        if (pace->depth > 0)
            pace->depth--;
    }
    pace->ceiling_us = pace_slower(pace->ceiling_us, pace->trial_us);
    pace->fails++;
    pace->drop_us = pace->shadow_us;
    pace_steady(pace, now_us);
}
