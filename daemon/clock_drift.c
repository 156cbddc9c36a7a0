/* SPDX-License-Identifier: MIT
 * clock_drift.c - see clock_drift.h. */
#include "daemon/clock_drift.h"

bool clock_drift_look(struct clock_drift *drift, struct time_now now, int64_t suspended_us,
                      struct clock_change *change)
{
    struct clock_drift before = *drift;
    int64_t least_ms;

    *change = (struct clock_change){0};
    *drift = (struct clock_drift){
        .is_known = true,
        .offset_ms = now.utc.ms - now.mono.us / US_PER_MS,
        .suspended_us = suspended_us,
        .looked_us = now.mono.us,
    };
    if (!before.is_known)
        return false;
    change->suspended_ms = (suspended_us - before.suspended_us) / US_PER_MS;
    if (change->suspended_ms < CLOCK_SUSPEND_MS_MIN)
        change->suspended_ms = 0;
    change->step_ms = drift->offset_ms - before.offset_ms - change->suspended_ms;
    least_ms = CLOCK_STEP_MS_MIN + (now.mono.us - before.looked_us) / US_PER_MS / 1000;
    if (change->step_ms < least_ms && change->step_ms > -least_ms)
        change->step_ms = 0;
    return change->suspended_ms != 0 || change->step_ms != 0;
}
