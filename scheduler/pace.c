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
 * Silence. No result at all for 15 minutes and four delays halves the pace, again and again.
 *
 * Measured (tests/simulation/pace_lab; the limit redrawn every hour, log-uniform 0.2-5/s, results
 * after 5-30 s, 40 banks x 24 h): 93-94 % of an all-knowing sender, 0.65-0.76 % refused. */
#include "scheduler/pace.h"

#include "base/result.h"

#define PACE_NEVER_US INT64_MIN
#define PACE_FASTEST_US (10 * US_PER_MS) /* a faster pace is no limit */
#define PACE_COUNT_US (4 * US_PER_SECOND)
#define PACE_WATCH_US (6 * US_PER_SECOND)  /* a climb is judged by what it sent in this time */
#define PACE_WATCH_GAPS 4                  /* or by so many requests */
#define PACE_SHADOW_US (6 * US_PER_SECOND) /* a bank remembers an overload at least so long */
#define PACE_UNHEARD 8
#define PACE_SILENCE_US (15 * 60 * US_PER_SECOND)

#define PACE_DELAY_FIRST_US (30 * US_PER_SECOND)
#define PACE_DELAY_LEAST_US (100 * US_PER_MS)

#define PACE_PROBE_US \
    (60 * US_PER_SECOND) /* from one probe to the next, doubled while they fail \
                          */
#define PACE_PROBE_SOFT_US (120 * US_PER_SECOND) /* a longer knock costs more refusals */
#define PACE_PROBE_DOUBLINGS 3
#define PACE_ON_TIME 3

#define PACE_STEP 10 /* percent */
#define PACE_STEP_MOST 60
#define PACE_STEP_BLIND 100
#define PACE_FAR 32 /* so much slower than ever: rather an outage than a limit */
#define PACE_DEPTH_MOST 5
#define PACE_DEPTH_SOFT 4 /* from here on the bank has a deep bucket */
#define PACE_STEP_SOFT 20 /* percent; or the longest knock would not empty it */

#define PACE_REFUSAL_PPM 1000000
#define PACE_DROP_PPM 500000
#define PACE_EARNED_PPM 6000
#define PACE_EARNED_EVERY_US 600 /* one millionth in so many microseconds: a refusal in 10 min */
#define PACE_CREDIT_FIRST_PPM (4 * PACE_REFUSAL_PPM)
#define PACE_CREDIT_MOST_PPM (24 * PACE_REFUSAL_PPM)
#define PACE_CREDIT_LEAST_PPM (-8 * PACE_REFUSAL_PPM)
#define PACE_DEBT_PPM (-6 * PACE_REFUSAL_PPM)

#define PACE_KNOCK_EIGHTHS 6 /* of the results must have come */
#define PACE_CLIMB_EIGHTHS 4

#define PACE_ENDS 128
#define PACE_TROUBLES 4
#define PACE_TROUBLES_PER 32

/* --- Small sums ------------------------------------------------------------------------------ */

static int64_t slower(int64_t a_us, int64_t b_us)
{
    return a_us > b_us ? a_us : b_us;
}

static int64_t faster(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

static void pace_set(struct pace *pace, const struct pace_settings *settings, int64_t interval_us)
{
    pace->interval_us = faster(interval_us, settings->floor_interval_us);
    pace->gap_us = pace->interval_us;
}

static void pace_earn(struct pace *pace, int64_t ppm)
{
    int64_t credit_ppm = pace->credit_ppm + ppm;

    credit_ppm = faster(slower(credit_ppm, PACE_CREDIT_LEAST_PPM), PACE_CREDIT_MOST_PPM);
    pace->credit_ppm = (int32_t)credit_ppm;
}

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
                          faster(pace->gap_us, settings->floor_interval_us));
    return free_at.us > now.us ? free_at : now;
}

/* Grants of the last 4-8 s, for the pace at which a bank without a learned limit was asked. */
static void pace_count(struct pace *pace, int64_t now_us)
{
    if (pace->count[0] == 0 || now_us - pace->count_us[0] >= PACE_COUNT_US) {
        bool is_recent = pace->count[0] > 0 && now_us - pace->count_us[0] < 2 * PACE_COUNT_US;

        pace->count[1] = is_recent ? pace->count[0] : 0;
        pace->count_us[1] = is_recent ? pace->count_us[0] : now_us;
        pace->count[0] = 0;
        pace->count_us[0] = now_us;
    }
    pace->count[0]++;
}

static int64_t pace_measured(const struct pace *pace)
{
    uint32_t count = pace->count[0] + pace->count[1];

    if (count < 2)
        return US_PER_SECOND;
    return slower((pace->last_us - pace->count_us[1]) / (count - 1), PACE_FASTEST_US);
}

/* --- The way up ------------------------------------------------------------------------------ */

static void pace_enter(struct pace *pace, enum pace_phase phase, int64_t now_us)
{
    bool is_faster = phase == PACE_KNOCK || phase == PACE_CLIMB;

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

static void pace_steady(struct pace *pace, int64_t now_us)
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
        pace_earn(pace, slower(PACE_REFUSAL_PPM - pace->credit_ppm, 0));
    }
    pace_enter(pace, PACE_STEADY, now_us);
}

/* The interval to try next: some percent faster, but at most half-way to a ceiling. */
static int64_t pace_next(const struct pace *pace, uint32_t percent)
{
    int64_t next_us = pace->interval_us * 100 / (100 + (int64_t)percent);

    if (pace_is_wide(pace))
        return slower(next_us, (pace->interval_us + pace->ceiling_us) / 2);
    return next_us;
}

static void pace_try(struct pace *pace, enum pace_phase phase, int64_t trial_us, int64_t now_us)
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
    bool is_troubled = pace->trial_troubles * 8 > pace->trial_done;

    if (pace->trial_accepted > 0 && pace->trial_done * 8 >= pace->trial_sent * eighths &&
        !is_troubled)
        return false;
    if (is_troubled && pace->trial_troubles >= 2) {
        pace->ceiling_us = slower(pace->ceiling_us, pace->trial_us);
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

static int64_t pace_watch_us(const struct pace *pace)
{
    return slower(PACE_WATCH_US, PACE_WATCH_GAPS * pace->trial_us);
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

/* A faster request of a knock, or one close behind it, was refused. */
static void pace_knock_failed(struct pace *pace, int64_t sent_us, int64_t now_us)
{
    if (sent_us != pace->knock_us) {
        pace->firsts = 0;
    } else if (++pace->firsts >= 2) {
        pace->firsts = 0;
        if (pace->depth > 0)
            pace->depth--;
    }
    pace->ceiling_us = slower(pace->ceiling_us, pace->trial_us);
    pace->fails++;
    pace->drop_us = pace->shadow_us;
    pace_steady(pace, now_us);
}

/* --- The way down ---------------------------------------------------------------------------- */

/* While the results of the overloaded stretch come in: its interval divided by the share that was
 * accepted so far. */
static void pace_settle_move(struct pace *pace, const struct pace_settings *settings,
                             int64_t now_us)
{
    int64_t accepted = 1 + pace->stretch_accepted;
    int64_t us = pace->stretch_gap_us * (accepted + pace->stretch_refused) / accepted;

    if (pace->was_proven)
        return;
    if (us > pace->interval_us)
        pace->drop_us = now_us + 2 * us + PACE_SHADOW_US / 2;
    pace_set(pace, settings, us);
}

/* All results are in: what was sent in the stretch and not refused was accepted. */
static void pace_settle_end(struct pace *pace, const struct pace_settings *settings, int64_t now_us)
{
    int64_t gap_us = pace->stretch_gap_us;
    int64_t sent = (pace->stretch_to_us - pace->stretch_from_us) / gap_us + 1;
    int64_t accepted = sent - pace->stretch_refused;
    int64_t most_us = gap_us * (sent < 4 ? 2 : 16);
    int64_t us = accepted > 0 ? faster(gap_us * sent / accepted, most_us) : most_us;
    int64_t above_us = us - gap_us;

    us += us / 32;
    if (pace->was_proven)
        us = faster(us, pace->interval_us);
    if (above_us < us)
        pace->ceiling_us = slower(pace->ceiling_us, above_us);
    if (us > pace->ceiling_us)
        pace_set(pace, settings, us);
    else if (!pace->was_proven)
        pace_set(pace, settings, pace->ceiling_us + pace->ceiling_us / 32);
    pace_steady(pace, now_us);
}

static void pace_drop(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                      int64_t now_us)
{
    bool climbed = pace->phase == PACE_CLIMB && sent_us >= pace->phase_us;
    int64_t from_us = pace->interval_us;

    if (climbed)
        from_us = pace->trial_us;
    else if (from_us == 0)
        from_us = pace_measured(pace);
    pace->stretch_gap_us = from_us;
    pace->stretch_after_us = pace->drop_us;
    pace->stretch_from_us = sent_us;
    pace->stretch_to_us = now_us;
    pace->stretch_refused = 1;
    pace->stretch_accepted = 0;
    pace->was_proven = climbed;
    pace->holds = false;
    if (pace->peak_us == 0)
        pace->peak_us = from_us;
    pace->ceiling_us = from_us;
    pace->drop_us = now_us + 2 * from_us + PACE_SHADOW_US;
    pace_settle_move(pace, settings, now_us);
    if (climbed && pace->is_first && pace->depth < PACE_DEPTH_MOST)
        pace->depth++;
    pace->fails = climbed ? pace->fails + 1 : 0;
    pace_enter(pace, PACE_SETTLE, now_us);
}

static void pace_refused(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                         int64_t now_us)
{
    bool is_trial = pace->phase >= PACE_LISTEN || (pace->phase == PACE_SETTLE && pace->was_proven);

    pace_earn(pace, is_trial ? -PACE_REFUSAL_PPM : -PACE_DROP_PPM);
    if (pace->phase == PACE_SETTLE && sent_us <= pace->stretch_to_us) {
        if (sent_us < pace->stretch_after_us || sent_us < pace->stretch_from_us - pace->delay_us)
            return;
        pace->stretch_from_us = faster(pace->stretch_from_us, sent_us);
        pace->stretch_refused++;
        pace_settle_move(pace, settings, now_us);
        return;
    }
    if (sent_us < pace->drop_us)
        return;
    if (pace->phase >= PACE_KNOCK && sent_us >= pace->knock_us && sent_us < pace->shadow_us)
        pace_knock_failed(pace, sent_us, now_us);
    else
        pace_drop(pace, settings, sent_us, now_us);
}

/* --- Troubles and silence -------------------------------------------------------------------- */

/* Slower, without knowing by how much. */
static void pace_slow_down(struct pace *pace, const struct pace_settings *settings,
                           int64_t interval_us, int64_t ceiling_us, int64_t now_us)
{
    pace->holds = false;
    pace->ceiling_us = ceiling_us;
    pace->ends = 0;
    pace->troubles = 0;
    pace->drop_us = now_us;
    pace->fails = 0;
    pace_set(pace, settings, interval_us);
    pace_steady(pace, now_us);
    if (ceiling_us == 0) /* an outage more likely than a limit: come back with long steps */
        pace->step = PACE_STEP_BLIND;
}

static void pace_ended(struct pace *pace, const struct pace_settings *settings, int64_t now_us,
                       bool is_trouble)
{
    int64_t from_us = pace->interval_us > 0 ? pace->interval_us : pace_measured(pace);
    int64_t slower_us;

    if (pace->peak_us == 0 && is_trouble)
        pace->peak_us = from_us;
    pace->ends++;
    pace->troubles += is_trouble;
    if (pace->troubles < PACE_TROUBLES + pace->ends / PACE_TROUBLES_PER) {
        if (pace->ends >= PACE_ENDS) {
            pace->ends /= 2;
            pace->troubles /= 2;
        }
        return;
    }
    if (pace->phase == PACE_CLIMB) {
        pace_slow_down(pace, settings, from_us, pace->trial_us, now_us);
        return;
    }
    slower_us = from_us * pace->ends / slower(pace->ends - pace->troubles, 1);
    slower_us = faster(slower_us + slower_us / 32, 2 * from_us);
    pace_slow_down(pace, settings, slower_us, pace->troubles * 2 < pace->ends ? from_us : 0,
                   now_us);
}

/* --- Events ---------------------------------------------------------------------------------- */

/* What time alone changes. */
static void pace_pass(struct pace *pace, const struct pace_settings *settings, int64_t now_us)
{
    if (pace->interval_us == 0)
        return;
    if (pace->phase == PACE_SETTLE && now_us - pace->phase_us > pace->delay_us)
        pace_settle_end(pace, settings, now_us);
    else if (pace->phase == PACE_LISTEN)
        pace_judge_knock(pace, now_us);
    else if (pace->phase == PACE_CLIMB)
        pace_judge_climb(pace, now_us);
    if (pace->phase == PACE_STEADY && now_us >= pace->probe_us && pace->holds &&
        pace->on_time >= PACE_ON_TIME &&
        pace->credit_ppm >= (pace_is_wide(pace) ? PACE_DEBT_PPM : PACE_REFUSAL_PPM))
        pace_knock(pace, now_us);
}

static void pace_listen_for_silence(struct pace *pace, const struct pace_settings *settings,
                                    int64_t now_us)
{
    if (pace->unheard++ == 0 && pace->heard_us == PACE_NEVER_US)
        pace->heard_us = now_us;
    if (pace->unheard < PACE_UNHEARD ||
        now_us - pace->heard_us < PACE_SILENCE_US + 4 * pace->delay_us)
        return;
    pace->unheard = 0;
    pace->heard_us = now_us;
    pace_slow_down(pace, settings,
                   2 * (pace->interval_us > 0 ? pace->interval_us : pace_measured(pace)), 0,
                   now_us);
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
    if (pace->phase == PACE_KNOCK && pace->on_time > 0) {
        if (pace->trial_sent++ == 0)
            pace->knock_us = now.us;
        pace->shadow_us = now.us + 3 * pace->interval_us;
        if (pace->depth > 0)
            pace->shadow_us += PACE_SHADOW_US / 2;
        if (--pace->knocks_left == 0)
            pace_enter(pace, PACE_LISTEN, now.us);
        return;
    }
    if (pace->phase == PACE_CLIMB && now.us - pace->phase_us <= pace_watch_us(pace))
        pace->trial_sent++;
    pace_pass(pace, settings, now.us);
}

/* Whether the request sent at `sent_us` is one of those that decide the trial under way. */
static bool pace_is_trial(const struct pace *pace, int64_t sent_us)
{
    switch (pace->phase) {
    case PACE_KNOCK: return pace->trial_sent > 0 && sent_us >= pace->knock_us;
    case PACE_LISTEN: return sent_us >= pace->knock_us && sent_us <= pace->phase_us;
    case PACE_CLIMB:
        return sent_us > pace->phase_us && sent_us - pace->phase_us <= pace_watch_us(pace);
    default: return false;
    }
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
    if (delay_us > pace->delay_us)
        pace->delay_us +=
            faster(pace->delay_us / 16 + (delay_us - pace->delay_us) / 16, pace->delay_us / 2);
    else if (pace->delay_us > PACE_DELAY_LEAST_US)
        pace->delay_us -= pace->delay_us / 400;
}

static void pace_not_refused(struct pace *pace, const struct pace_settings *settings,
                             int64_t sent_us, int64_t now_us, enum pace_signal signal)
{
    if (signal == PACE_SUCCESS) {
        pace_earn(pace, PACE_EARNED_PPM);
        pace->holds = pace->holds || sent_us >= pace->drop_us;
        if (pace->phase == PACE_SETTLE && sent_us >= pace->stretch_from_us &&
            sent_us <= pace->stretch_to_us) {
            pace->stretch_accepted++;
            pace_settle_move(pace, settings, now_us);
        }
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
    pace_set(pace, settings, slower(past->interval_us, PACE_FASTEST_US));
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
