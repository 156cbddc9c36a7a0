/* SPDX-License-Identifier: MIT
 *
 * clocks.h - the two clocks of a simulated machine: set, drifting, suspended.
 *
 * Layer: tests (simulation). `true_us` is real time since the seed began and is what providers go
 *        by; the machine only ever sees its own clocks. The monotonic clock stands still while the
 *        machine is suspended and starts anew with each boot; both drift alike.
 */
#ifndef REFRESHD_TESTS_SIMULATION_CLOCKS_H
#define REFRESHD_TESTS_SIMULATION_CLOCKS_H

#include "scheduler/scheduler.h"

#define CLOCKS_DRIFT_MAX_PPM 200

struct clocks {
    int64_t true_us;  /* now, in truth */
    int64_t since_us; /* true instant at which the next two were right */
    int64_t utc_us;
    int64_t mono_us;
    int32_t drift_ppm;
    int64_t stepped_us; /* true instant of the last step of the wall clock; INT64_MIN: none */
};

void clocks_init(struct clocks *clocks, int64_t utc_ms, int32_t drift_ppm);
struct time_now clocks_now(const struct clocks *clocks);
/* The true instant at which the sooner of the two wakes is reached; INT64_MAX: never. */
int64_t clocks_true_of(const struct clocks *clocks, struct wake wake);
void clocks_set_drift(struct clocks *clocks, int32_t drift_ppm);
/* Somebody sets the wall clock. */
void clocks_step(struct clocks *clocks, int64_t ms);
/* Real time passes, the wall clock with it, and the monotonic clock stands still. */
void clocks_suspend(struct clocks *clocks, int64_t us);
/* The machine boots: its monotonic clock counts from anywhere. */
void clocks_boot(struct clocks *clocks, int64_t mono_us);

#endif
