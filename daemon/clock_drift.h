/* SPDX-License-Identifier: MIT
 *
 * clock_drift.h - was the wall clock set, or did the machine sleep, since we last looked?
 *
 * Layer:  daemon. Only compares what it is told, so that tests can tell it anything. Slewing (NTP:
 * at most 1 ms a second) is no step.
 */
#ifndef REFRESHD_DAEMON_CLOCK_DRIFT_H
#define REFRESHD_DAEMON_CLOCK_DRIFT_H

#include <stdbool.h>

#include "base/time_point.h"

#define CLOCK_STEP_MS_MIN 100
#define CLOCK_SUSPEND_MS_MIN 1000

/* All zero: nothing was looked at yet. */
struct clock_drift {
    bool is_known;
    int64_t offset_ms;    /* wall clock minus monotonic clock */
    int64_t suspended_us; /* time asleep since the machine started */
    int64_t looked_us;    /* monotonic */
};

struct clock_change {
    int64_t step_ms;      /* the wall clock moved by so much more than time; 0: not set */
    int64_t suspended_ms; /* the machine slept; 0: it did not */
};

/* Compare with the last look. True: one of `change` is not 0. */
bool clock_drift_look(struct clock_drift *drift, struct time_now now, int64_t suspended_us,
                      struct clock_change *change);

#endif
