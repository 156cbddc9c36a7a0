/* SPDX-License-Identifier: MIT
 * pace.c - see pace.h. */
#include "scheduler/pace.h"

#include "base/result.h"

#define PACE_NEVER_US INT64_MIN
#define PACE_COHORT 16
#define PACE_FASTEST_US (10 * US_PER_MS) /* faster than this is no limit */

void pace_init(struct pace *pace)
{
    *pace = (struct pace){
        .last_us = PACE_NEVER_US, .before_us = PACE_NEVER_US, .drop_us = PACE_NEVER_US};
}

struct mono_time pace_earliest(const struct pace *pace, const struct pace_settings *settings,
                               struct mono_time now)
{
    struct mono_time free_at;

    if (!settings->learns || pace->interval_us == 0 || pace->last_us == PACE_NEVER_US)
        return now;
    free_at = mono_add_us((struct mono_time){pace->last_us}, pace->interval_us);
    return free_at.us > now.us ? free_at : now;
}

void pace_granted(struct pace *pace, const struct pace_settings *settings, struct mono_time now)
{
    (void)settings;
    pace->before_us = pace->last_us;
    pace->last_us = now.us;
}

void pace_returned(struct pace *pace, struct mono_time granted)
{
    if (granted.us == pace->last_us)
        pace->last_us = pace->before_us;
}

static int64_t pace_limited(const struct pace_settings *settings, int64_t interval_us)
{
    return interval_us < settings->floor_interval_us ? interval_us : settings->floor_interval_us;
}

static bool pace_drop(struct pace *pace, const struct pace_settings *settings, struct mono_time now)
{
    int64_t from_us = pace->interval_us;

    if (from_us == 0)
        from_us =
            pace->before_us == PACE_NEVER_US ? US_PER_SECOND : pace->last_us - pace->before_us;
    if (from_us < PACE_FASTEST_US)
        from_us = PACE_FASTEST_US;
    pace->interval_us = pace_limited(settings, from_us * 2);
    pace->drop_us = now.us;
    pace->successes = 0;
    pace->troubles = 0;
    return true;
}

bool pace_result(struct pace *pace, const struct pace_settings *settings, struct mono_time now,
                 struct mono_time sent, enum pace_signal signal)
{
    if (!settings->learns || signal == PACE_NEUTRAL || sent.us < pace->drop_us)
        return false;
    if (signal == PACE_REFUSED)
        return pace_drop(pace, settings, now);
    if (signal == PACE_TROUBLE)
        return ++pace->troubles >= 4 && pace_drop(pace, settings, now);
    if (++pace->successes < PACE_COHORT)
        return false;
    pace->successes = 0;
    pace->troubles = 0;
    if (pace->interval_us == 0)
        return false;
    pace->drop_us = now.us;
    pace->interval_us -= pace->interval_us / 16;
    if (pace->interval_us < PACE_FASTEST_US)
        pace->interval_us = 0;
    return true;
}

int64_t pace_interval_us(const struct pace *pace)
{
    return pace->interval_us;
}

bool pace_is_probing(const struct pace *pace)
{
    return pace->interval_us != 0 && pace->successes != 0;
}

void pace_past_get(const struct pace *pace, struct pace_past *past)
{
    *past = (struct pace_past){.interval_us = pace->interval_us};
}

void pace_past_set(struct pace *pace, const struct pace_settings *settings,
                   const struct pace_past *past, struct mono_time now)
{
    pace_init(pace);
    pace->interval_us = past->interval_us > 0 ? pace_limited(settings, past->interval_us) : 0;
    pace->last_us = now.us;
    pace->drop_us = now.us;
}
