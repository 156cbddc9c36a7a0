/* SPDX-License-Identifier: MIT
 *
 * pace.c - see pace.h. Each part of the algorithm, and what fails without it.
 *
 * The bank's limit is unknown, moves without notice, and an answer speaks of the pace that was
 * kept 5-30 s (or minutes) ago. Two goods are weighed: throughput, and refusals, which cost the
 * customer a slot and the operator the bank's patience.
 *
 * Spacing. One request each interval, nothing saved up. A bank that wants a distance between two
 * requests refuses the second of any burst, however low the average.
 *
 * Drop and estimate (PACE_SETTLE). The first refusal drops the pace at once. By how much, a fixed
 * factor cannot know: halving falls short of a limit that fell to a twentieth and wastes minutes
 * after one that fell by a twentieth. But what was sent too fast is an experiment that has been
 * paid for: interval / accepted share = the bank's own interval. So the pace follows the share of
 * this stretch while its results come in, starting at one half, and when all are in it takes
 * sent/(sent - refused), which needs no result of the accepted ones. A bank that wants a distance
 * accepts every k-th request, so the truth may be up to interval/(k-1): that is the ceiling.
 * Refusals of requests sent before the drop belong to this stretch; counting them against the new
 * pace would drop it a second time for one cause. A refusal of the settled pace is a new overload.
 *
 * Knock before climbing (PACE_KNOCK, PACE_LISTEN). Going faster until a refusal comes costs all
 * refusals of a whole delay, half of all requests at a strict bank. One request that goes a tenth
 * early costs at most one, and a strict bank needs no more to show its limit. A bank with a bucket
 * or a window lets it in and then refuses the climb: then knocks were too short for this bank, and
 * the next are longer: 2, 4 ... 32 s (`depth`). When twice in a row the very first was refused they
 * were longer than needed. The results are awaited at the old pace.
 *
 * Climb (PACE_CLIMB). After a knock all requests go faster, and the pace is learned when all that
 * was sent in the first seconds has been let in (the cohort). The interval that held before is
 * remembered: a refusal in the climb returns to it, not to half of the faster one. Steps grow from
 * a tenth to 60 % while no ceiling is known: a bank that lets in 20 times more is reached in some
 * minutes. Below a known ceiling a step goes at most half-way, until little room is left.
 *
 * Rhythm of probes. Without probes a bank that recovered is never noticed. They come after 1, 2, 4
 * and at most 8 minutes while they fail, twice as often far below what the bank once let in (there
 * is more to gain), half as often where a knock must be long (it costs more).
 *
 * Credit. Rhythm alone would refuse a slow bank too large a share. So each success earns 0.6 % of a
 * refusal, each ten minutes of sending another one, and a refusal during a probe costs one (any
 * other one half: the bank moved, not we). Probes beyond the ceiling need credit; narrowing the
 * room below a fresh ceiling may go into debt, since its gain is certain. Far below all experience
 * (1/32: an outage rather than a limit) one probe is always free and steps double.
 *
 * Demand. A climb that was not used proves nothing: probes start only after some requests in a row
 * that nothing but this pace held back, and a climb counts only with most of its requests sent.
 *
 * Troubles. A timeout may be overload or noise, so only their share speaks: four of the last
 * 64-128 results and one more in each 32, which 2 % of noise seldom reaches and 10 % of
 * overload soon. Then the pace drops by their share. Half or more looks like an outage: no
 * ceiling is believed, and the way back goes in doubled steps. A trial with an eighth of troubles
 * is no success.
 *
 * Usual troubles (PACE_RETURN). Many a bank lets a tenth or a quarter of all requests run into a
 * timeout whatever the pace. Each drop leaves that share as it was, so drop followed drop down to
 * the floor, and the night was lost for nothing. But an overloaded bank does as much in a second at
 * either pace: a slower one must cut the share, a faster one must raise it. So when the share after
 * a drop is still more than half of that before, and the pace is slow enough for the difference to
 * show, 48 requests go at the pace from before the first drop, and their results are awaited at the
 * slower one. Less than half-way to the share that an overload would show: then the troubles are
 * this bank's usual ones, and that pace is taken back. Else it was overload, and the pace drops
 * further. From then on troubles count only beyond twice the usual share (half-way to all of them
 * where that is less). The usual share follows what is seen, but never beyond the tested one, which
 * is slowly forgotten, so that the test is repeated. More than five eighths are always an outage.
 *
 * Silence. No result at all for 15 minutes and four delays halves the pace, again and again.
 *
 * Measured (tests/simulation/pace_lab; the limit redrawn every hour, log-uniform 0.2-5/s, results
 * after 5-30 s, 40 banks x 24 h): 93-94 % of an all-knowing sender, 0.65-0.76 % refused; a bank
 * that times out what is too much: 95 %, 5 % timed out. With 10 % of usual troubles beside the
 * limit:
 * 91-92 %, 0.7-0.8 % refused; with 10, 25, 50 % and no limit at all: 96, 96, 97 % of what may be
 * sent (5 h at one in 4 s: 99, 97, 92 %). */
#include "scheduler/pace.h"

#include "scheduler/pace_internal.h"

#define PACE_DELAY_FIRST_US (30 * US_PER_SECOND)
#define PACE_DELAY_LEAST_US (100 * US_PER_MS)
#define PACE_CREDIT_FIRST_PPM (4 * PACE_REFUSAL_PPM)
#define PACE_EARNED_PPM 6000
#define PACE_EARNED_EVERY_US 600 /* one millionth in so many microseconds: a refusal in 10 min */

void pace_init(struct pace *pace)
{
    *pace = (struct pace){.last_us = PACE_NEVER_US,
                          .before_us = PACE_NEVER_US,
                          .heard_us = PACE_NEVER_US,
                          .drop_us = PACE_NEVER_US,
                          .delay_us = PACE_DELAY_FIRST_US,
                          .credit_ppm = PACE_CREDIT_FIRST_PPM,
                          .step = PACE_STEP};
}

struct mono_time pace_earliest(const struct pace *pace, const struct pace_settings *settings,
                               struct mono_time now)
{
    struct mono_time free_at;

    if (!settings->learns || pace->interval_us == 0 || pace->last_us == PACE_NEVER_US)
        return now;
    free_at = mono_add_us((struct mono_time){pace->last_us},
                          pace_faster(pace->gap_us, settings->floor_interval_us));
    return free_at.us > now.us ? free_at : now;
}

/* What time alone changes. */
static void pace_pass(struct pace *pace, const struct pace_settings *settings, int64_t now_us)
{
    if (pace->interval_us == 0)
        return;
    if (pace->phase == PACE_SETTLE && now_us - pace->phase_us > pace->delay_us)
        pace_settle_end(pace, settings, now_us);
    else if (pace->phase == PACE_RETURN)
        pace_judge_return(pace, settings, now_us);
    else
        pace_judge(pace, now_us);
    if (pace->phase == PACE_STEADY)
        pace_probe(pace, now_us);
}

void pace_granted(struct pace *pace, const struct pace_settings *settings, struct mono_time now)
{
    int64_t gap_us = pace->last_us == PACE_NEVER_US ? INT64_MAX : now.us - pace->last_us;

    if (!settings->learns)
        return;
    pace->on_time = gap_us <= pace->gap_us + pace->gap_us / 8 ? pace->on_time + 1 : 0;
    if (gap_us <= 2 * settings->floor_interval_us)
        pace_earn(pace, gap_us / PACE_EARNED_EVERY_US);
    pace->before_us = pace->last_us;
    pace->last_us = now.us;
    pace_count(pace, now.us);
    pace_listen_for_silence(pace, settings, now.us);
    pace_sent_faster(pace, now.us);
    pace_pass(pace, settings, now.us);
}

void pace_returned(struct pace *pace, struct mono_time granted)
{
    if (pace_is_trial(pace, granted.us) && pace->trial_sent > pace->trial_done)
        pace->trial_sent--;
    if (pace->unheard > 0)
        pace->unheard--;
    if (granted.us == pace->last_us)
        pace->last_us = pace->before_us;
}

/* Follows the upper end of the delays: long ones push it up, each other lets it sink a little. */
static void pace_learn_delay(struct pace *pace, int64_t delay_us)
{
    if (!pace->knows_delay)
        pace->delay_us = pace_slower(2 * delay_us, PACE_DELAY_LEAST_US);
    else if (delay_us > pace->delay_us)
        pace->delay_us +=
            pace_faster(pace->delay_us / 16 + (delay_us - pace->delay_us) / 16, pace->delay_us / 2);
    else if (pace->delay_us > PACE_DELAY_LEAST_US)
        pace->delay_us -= pace->delay_us / 400;
    pace->knows_delay = true;
}

static void pace_not_refused(struct pace *pace, const struct pace_settings *settings,
                             int64_t sent_us, int64_t now_us, enum pace_signal signal)
{
    if (signal == PACE_SUCCESS) {
        pace_earn(pace, PACE_EARNED_PPM);
        pace->holds = pace->holds || sent_us >= pace->drop_us;
        pace_settle_accepted(pace, settings, sent_us, now_us);
    }
    if (pace_is_trial(pace, sent_us)) {
        pace->trial_done++;
        pace->trial_accepted += signal == PACE_SUCCESS;
        pace->trial_troubles += signal == PACE_TROUBLE;
    }
    if (signal != PACE_NEUTRAL && sent_us >= pace->drop_us)
        pace_ended(pace, settings, now_us, signal == PACE_TROUBLE);
}

bool pace_result(struct pace *pace, const struct pace_settings *settings, struct mono_time now,
                 struct mono_time sent, enum pace_signal signal)
{
    int64_t change_us;

    if (!settings->learns)
        return false;
    pace->heard_us = now.us;
    pace->unheard = 0;
    pace_learn_delay(pace, now.us - sent.us);
    if (signal == PACE_REFUSED)
        pace_refused(pace, settings, sent.us, now.us);
    else
        pace_not_refused(pace, settings, sent.us, now.us, signal);
    pace_pass(pace, settings, now.us);
    change_us = pace->interval_us - pace->stored_us;
    if (change_us == 0 || (pace->interval_us > 0 && pace->stored_us > 0 &&
                           change_us <= pace->stored_us / 16 && -change_us <= pace->stored_us / 16))
        return false;
    pace->stored_us = pace->interval_us;
    return true;
}

int64_t pace_interval_us(const struct pace *pace)
{
    return pace->interval_us;
}

bool pace_is_probing(const struct pace *pace)
{
    return pace->phase >= PACE_KNOCK;
}

void pace_past_get(const struct pace *pace, struct pace_past *past)
{
    *past = (struct pace_past){.interval_us = pace->interval_us,
                               .ceiling_us = pace->ceiling_us,
                               .fails = pace->fails,
                               .credit_ppm = pace->credit_ppm > 0 ? (uint32_t)pace->credit_ppm : 0};
}

void pace_past_set(struct pace *pace, const struct pace_settings *settings,
                   const struct pace_past *past, struct mono_time now)
{
    pace_init(pace);
    if (past->interval_us <= 0)
        return;
    pace_set(pace, settings, pace_slower(past->interval_us, PACE_FASTEST_US));
    pace->stored_us = pace->interval_us;
    if (past->ceiling_us > 0 && past->ceiling_us < pace->interval_us)
        pace->ceiling_us = past->ceiling_us;
    pace->fails = past->fails;
    pace->credit_ppm =
        past->credit_ppm < PACE_CREDIT_MOST_PPM ? (int32_t)past->credit_ppm : PACE_CREDIT_MOST_PPM;
    pace->last_us = now.us;
    pace->drop_us = now.us;
    pace_steady(pace, now.us);
    pace->probe_us = now.us + PACE_PROBE_US;
}
