/* SPDX-License-Identifier: MIT
 * engine_clock.c - a wall clock that was set and a machine that slept are noticed at once: the
 * kernel wakes the loop, and each turn looks. */
#include "daemon/engine_internal.h"

void engine_look_at_clocks(struct engine *engine, struct time_now now)
{
    struct clock_change change;
    struct time_now slept = now;

    if (!clock_drift_look(&engine->clock_drift, now, clock_suspended_us(), &change))
        return;
    slept.utc = utc_add_ms(now.utc, -change.step_ms);
    if (change.suspended_ms != 0) {
        engine->clock_resumes++;
        log_begin(engine->log, now.utc, LOG_WARNING, "clock_resumed");
        log_integer(engine->log, "suspended_ms", change.suspended_ms);
        log_end(engine->log);
        scheduler_clock_resumed(engine->scheduler, slept);
    }
    if (change.step_ms == 0)
        return;
    engine->clock_steps++;
    engine->clock_step_ms = change.step_ms;
    log_begin(engine->log, now.utc, LOG_WARNING, "clock_stepped");
    log_integer(engine->log, "step_ms", change.step_ms);
    log_end(engine->log);
    scheduler_clock_stepped(engine->scheduler, now);
}
