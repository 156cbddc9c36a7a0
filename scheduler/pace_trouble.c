/* SPDX-License-Identifier: MIT
 * pace_trouble.c - troubles: overload, outage, or what this bank always has. See pace.c for why,
 * pace_internal.h for what. */
#include "scheduler/pace_internal.h"

#define PACE_ENDS 128
#define PACE_TROUBLES 4 /* so many, and one more in each 32 results, are noise at any bank */
#define PACE_TROUBLES_PER 32

#define PACE_DOUBTS 3         /* slowed down so often, it waits for enough results */
#define PACE_LOOK 32          /* results at the slower pace that tell whether slower helps */
#define PACE_LOOK_OUTAGE 16   /* so many tell an outage */
#define PACE_OUTAGE_EIGHTHS 5 /* of the results in trouble: an outage, no bank's usual share */
#define PACE_LOOK_ON_TIME 4   /* requests in a row: it is the pace that slows down */
#define PACE_TELLS 5          /* sixteenths of more trouble that an overload would show */
#define PACE_TELLS_LEAST 3
#define PACE_RETURN_FIRST 8
#define PACE_RETURN_DONE 40

#define PACE_USUAL_PART 8 /* what is usual follows an eighth of the way in each 64 results, */
#define PACE_FORGET 512   /* and so much of the share it may reach is forgotten */

uint32_t pace_usual(const struct pace *pace, uint32_t ends)
{
    uint32_t ppm = pace->usual_ppm;
    uint32_t more_ppm = (1000000 - ppm) / 2 < ppm ? (1000000 - ppm) / 2 : ppm;

    return (uint32_t)(((uint64_t)ends * (ppm + more_ppm) + 999999) / 1000000);
}

/* A quiet window: what is usual follows the share seen, never beyond the one that was put to the
 * test. That one is forgotten little by little, so that the test is repeated. */
static void pace_follow_usual(struct pace *pace)
{
    int64_t seen_ppm = (int64_t)pace->troubles * 1000000 / pace->ends;
    int64_t usual_ppm = pace->usual_ppm;

    pace->tested_ppm -= (pace->tested_ppm + PACE_FORGET - 1) / PACE_FORGET;
    usual_ppm += (seen_ppm - usual_ppm) / PACE_USUAL_PART;
    pace->usual_ppm = (uint32_t)pace_faster(usual_ppm, pace->tested_ppm);
}

/* At an overloaded bank what succeeds in a second stays the same whatever the pace; its share
 * falls with the interval. Whether that fall, from the one interval to the other (faster) one, is
 * so many sixteenths of all results: else the results would not tell it from chance. */
static bool pace_tells(uint32_t ends, uint32_t troubles, int64_t slow_us, int64_t fast_us,
                       int64_t sixteenths)
{
    int64_t good = (int64_t)ends - (int64_t)troubles;

    return fast_us < slow_us && good * (slow_us - fast_us) * 16 >= sixteenths * ends * slow_us;
}

static bool pace_is_outage(uint32_t ends, uint32_t troubles)
{
    return ends >= PACE_LOOK_OUTAGE && troubles * 8 > ends * PACE_OUTAGE_EIGHTHS;
}

/* At most half of the troubles are gone since the pace was slowed down for them. */
static bool pace_goes_on(const struct pace *pace)
{
    return (uint64_t)pace->troubles * 2000000 >= (uint64_t)pace->ends * pace->doubt_ppm;
}

bool pace_is_looking(const struct pace *pace)
{
    return pace->doubt_us > 0 && pace->doubts >= PACE_DOUBTS &&
           (pace->ends < PACE_LOOK || pace_goes_on(pace));
}

/* The pace was slowed down for troubles, and less than half of them are gone: going back would tell
 * whether it is their cause. */
static bool pace_is_doubtful(const struct pace *pace)
{
    return pace->doubt_us > 0 && pace->phase != PACE_SETTLE && pace->ends >= PACE_LOOK &&
           pace->on_time >= PACE_LOOK_ON_TIME && !pace_is_outage(pace->ends, pace->troubles) &&
           pace_goes_on(pace) &&
           pace_tells(pace->ends, pace->troubles, pace->interval_us, pace->doubt_us, PACE_TELLS);
}

static bool pace_is_troubled(const struct pace *pace)
{
    return pace->troubles >=
           PACE_TROUBLES + pace->ends / PACE_TROUBLES_PER + pace_usual(pace, pace->ends);
}

/* Few results at a pace that was slowed down for troubles, some of them in trouble again: more of
 * them will tell whether slower helps. */
static bool pace_is_early(const struct pace *pace)
{
    return pace->doubt_us > 0 && pace->doubts >= PACE_DOUBTS && pace->ends < PACE_LOOK &&
           !pace_is_outage(pace->ends, pace->troubles);
}

/* Slower by the share of troubles; when that did not help before, far enough to tell more. */
static void pace_yield(struct pace *pace, const struct pace_settings *settings, uint32_t ends,
                       uint32_t troubles, int64_t now_us)
{
    int64_t from_us = pace->interval_us > 0 ? pace->interval_us : pace_measured(pace, settings);
    int64_t slower_us = from_us * ends / pace_slower((int64_t)ends - (int64_t)troubles, 1);
    int64_t times = 2;

    slower_us = pace_faster(slower_us + slower_us / 32, 2 * from_us);
    if (pace->doubt_us == 0 || from_us < pace->doubt_us) {
        pace->doubt_us = from_us;
        pace->doubt_was_free = pace->interval_us == 0;
        pace->doubts = 0;
    }
    pace->doubt_ppm = (uint32_t)((uint64_t)troubles * 1000000 / ends);
    if (pace->tested_ppm > 0)
        times += (troubles * 3 > ends) + (troubles * 2 > ends);
    if (++pace->doubts >= PACE_DOUBTS || pace->tested_ppm > 0)
        slower_us = pace_slower(slower_us, times * pace->doubt_us);
    pace_slow_down(pace, settings, slower_us, troubles * 2 < ends ? from_us : 0, now_us);
}

void pace_ended(struct pace *pace, const struct pace_settings *settings, int64_t now_us,
                bool is_trouble)
{
    if (pace->phase == PACE_RETURN)
        return;
    if (pace->peak_us == 0 && is_trouble)
        pace->peak_us = pace->interval_us > 0 ? pace->interval_us : pace_measured(pace, settings);
    pace->ends++;
    pace->troubles += is_trouble;
    if (pace->phase == PACE_CLIMB) {
        if (pace_is_troubled(pace))
            pace_slow_down(pace, settings, pace->interval_us, pace->trial_us, now_us);
    } else if (pace_is_doubtful(pace)) {
        pace->doubt_ends = pace->ends;
        pace->doubt_troubles = pace->troubles;
        pace->return_us = now_us;
        pace->ends = 0;
        pace->troubles = 0;
        pace_try(pace, PACE_RETURN, pace->doubt_us, now_us);
    } else if (pace_is_troubled(pace) && !pace_is_early(pace)) {
        pace_yield(pace, settings, pace->ends, pace->troubles, now_us);
    }
    if (pace->ends >= PACE_ENDS) {
        pace_follow_usual(pace);
        pace->ends /= 2;
        pace->troubles /= 2;
        pace->doubt_us = 0;
    }
}

/* The troubles are no more than at the slower pace: it is not their cause. */
static void pace_accept_usual(struct pace *pace, int64_t now_us)
{
    pace->tested_ppm =
        (uint32_t)((uint64_t)(pace->doubt_troubles + pace->trial_troubles) * 1000000 /
                   (pace->doubt_ends + pace->trial_accepted + pace->trial_troubles));
    pace->usual_ppm = pace->tested_ppm;
    pace->interval_us = pace->doubt_us;
    pace->ceiling_us = 0;
    pace->doubt_us = 0;
    pace->ends = 0;
    pace->troubles = 0;
    pace->holds = true;
    pace_steady(pace, now_us);
    if (pace->doubt_was_free) {
        pace->interval_us = 0;
        pace_enter(pace, PACE_STEADY, now_us);
    }
}

void pace_judge_return(struct pace *pace, const struct pace_settings *settings, int64_t now_us)
{
    int64_t slow_us = pace->interval_us;
    int64_t done = (int64_t)pace->trial_accepted + (int64_t)pace->trial_troubles;
    int64_t good = (int64_t)pace->doubt_ends - (int64_t)pace->doubt_troubles;
    int64_t gap_us;
    int64_t most;
    bool is_enough = done >= PACE_RETURN_DONE || (pace->trial_sent >= PACE_RETURN_SENT &&
                                                  now_us - pace->return_us > 2 * pace->delay_us);

    if (done < PACE_RETURN_FIRST && !is_enough)
        return;
    gap_us = (pace->return_us - pace->phase_us) / pace_slower(pace->trial_sent, 1);
    /* Half-way from the share seen at the slower pace to that of an overload at this. */
    most = done - done * good * (slow_us + gap_us) / (2 * slow_us * pace->doubt_ends);
    if (pace->trial_troubles <= most + PACE_TROUBLES && !is_enough)
        return;
    if (pace->trial_troubles <= most && done > 0 &&
        pace_tells(pace->doubt_ends, pace->doubt_troubles, slow_us, gap_us, PACE_TELLS_LEAST)) {
        pace_accept_usual(pace, now_us);
        return;
    }
    pace->doubt_us = slow_us;
    pace->doubt_was_free = false;
    pace_yield(pace, settings, pace->doubt_ends, pace->doubt_troubles, now_us);
}

bool pace_outage_over(struct pace *pace, struct mono_time now)
{
    int64_t back_us = 2 * pace->doubt_us;

    if (back_us == 0 || pace->interval_us <= back_us)
        return false;
    pace->interval_us = back_us;
    pace->stored_us = back_us;
    pace->doubt_us = 0;
    pace->doubts = 0;
    pace->ends = 0;
    pace->troubles = 0;
    pace_steady(pace, now.us);
    return true;
}
