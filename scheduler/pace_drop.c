/* SPDX-License-Identifier: MIT
 * pace_drop.c - the way down: overload and silence. See pace.c for why, pace_internal.h for
 * what. */
#include "scheduler/pace_internal.h"

#define PACE_COUNT_US (4 * US_PER_SECOND)
#define PACE_DROP_PPM (PACE_REFUSAL_PPM / 2)

#define PACE_UNHEARD 8
#define PACE_SILENCE_US (15 * 60 * US_PER_SECOND)

void pace_count(struct pace *pace, int64_t now_us)
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

/* A limit that lets ten through at once and then nothing for a second looks like thousands a
 * second from inside the burst: what it lets through on the average is known better. */
int64_t pace_measured(const struct pace *pace, const struct pace_settings *settings)
{
    uint32_t count = pace->count[0] + pace->count[1];
    int64_t usual_us = pace_slower(settings->usual_interval_us, PACE_FASTEST_US);

    if (count < 2)
        return pace_slower(US_PER_SECOND, usual_us);
    return pace_slower((pace->last_us - pace->count_us[1]) / (count - 1), usual_us);
}

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
        pace->drop_us = now_us + 2 * us + pace_shadow_us(pace) / 2;
    pace_set(pace, settings, us);
}

void pace_settle_accepted(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                          int64_t now_us)
{
    if (pace->phase != PACE_SETTLE || sent_us < pace->stretch_from_us ||
        sent_us > pace->stretch_to_us)
        return;
    pace->stretch_accepted++;
    pace_settle_move(pace, settings, now_us);
}

void pace_settle_end(struct pace *pace, const struct pace_settings *settings, int64_t now_us)
{
    int64_t gap_us = pace->stretch_gap_us;
    int64_t sent = (pace->stretch_to_us - pace->stretch_from_us) / gap_us + 1;
    int64_t accepted = sent - pace->stretch_refused;
    int64_t most_us = gap_us * (sent < 4 ? 2 : 16);
    int64_t us = accepted > 0 ? pace_faster(gap_us * sent / accepted, most_us) : most_us;
    int64_t above_us = us - gap_us;

    us += us / 32;
    if (pace->was_proven)
        us = pace_faster(us, pace->interval_us);
    if (above_us < us)
        pace->ceiling_us = pace_slower(pace->ceiling_us, above_us);
    if (us > pace->ceiling_us)
        pace_set(pace, settings, us);
    else if (!pace->was_proven)
        pace_set(pace, settings, pace->ceiling_us + pace->ceiling_us / 32);
    pace_steady(pace, now_us);
}

static void pace_drop(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                      int64_t now_us)
{
    bool climbed = pace->phase >= PACE_CLIMB && sent_us >= pace->phase_us;
    int64_t from_us = pace->interval_us;

    if (climbed)
        from_us = pace->trial_us;
    else if (from_us == 0)
        from_us = pace_measured(pace, settings);
    pace->stretch_gap_us = from_us;
    pace->stretch_after_us = pace->drop_us;
    pace->stretch_from_us = sent_us;
    pace->stretch_to_us = now_us;
    pace->stretch_refused = 1;
    pace->stretch_accepted = 0;
    pace->was_proven = climbed;
    pace->holds = false;
    if (pace->phase != PACE_CLIMB)
        pace->doubt_us = 0;
    if (pace->peak_us == 0)
        pace->peak_us = from_us;
    pace->ceiling_us = from_us;
    pace->drop_us = now_us + 2 * from_us + pace_shadow_us(pace);
    pace_settle_move(pace, settings, now_us);
    if (climbed && pace->phase == PACE_CLIMB && pace->is_first && pace->depth < PACE_DEPTH_MOST)
        pace->depth++;
    pace->fails = climbed ? pace->fails + 1 : 0;
    pace_enter(pace, PACE_SETTLE, now_us);
}

void pace_refused(struct pace *pace, const struct pace_settings *settings, int64_t sent_us,
                  int64_t now_us)
{
    bool is_trial = pace->phase >= PACE_LISTEN || (pace->phase == PACE_SETTLE && pace->was_proven);

    pace_earn(pace, is_trial ? -PACE_REFUSAL_PPM : -PACE_DROP_PPM);
    if (pace->phase == PACE_SETTLE && sent_us <= pace->stretch_to_us) {
        if (sent_us < pace->stretch_after_us || sent_us < pace->stretch_from_us - pace->delay_us)
            return;
        pace->stretch_from_us = pace_faster(pace->stretch_from_us, sent_us);
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

void pace_slow_down(struct pace *pace, const struct pace_settings *settings, int64_t interval_us,
                    int64_t ceiling_us, int64_t now_us)
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

void pace_listen_for_silence(struct pace *pace, const struct pace_settings *settings,
                             int64_t now_us)
{
    if (pace->unheard++ == 0 && pace->heard_us == PACE_NEVER_US)
        pace->heard_us = now_us;
    if (pace->unheard < PACE_UNHEARD ||
        now_us - pace->heard_us < PACE_SILENCE_US + 4 * pace->delay_us)
        return;
    pace->unheard = 0;
    pace->heard_us = now_us;
    pace->doubt_us = 0;
    pace_slow_down(pace, settings,
                   2 * (pace->interval_us > 0 ? pace->interval_us : pace_measured(pace, settings)),
                   0, now_us);
}
