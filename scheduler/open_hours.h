/* SPDX-License-Identifier: MIT
 *
 * open_hours.h - when something may be initiated: not in a blackout, not in maintenance, and where
 * windows are given only in one of them. A provider, an institution and a schedule each have some.
 *
 * Layer: scheduler (pure).
 */
#ifndef REFRESHD_SCHEDULER_OPEN_HOURS_H
#define REFRESHD_SCHEDULER_OPEN_HOURS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_point.h"
#include "scheduler/record.h"
#include "scheduler/settings.h"
#include "scheduler/words.h"

/* Plain data; zeroed is always open. The ranges are borrowed from the settings. */
struct open_hours {
    const struct time_range *blackouts;
    const struct time_range *windows;
    uint32_t blackout_count;
    uint32_t window_count;
    uint32_t maintenance_count;
    struct utc_span maintenance[MAINTENANCE_MAX];
    /* The last answer, good in [known_from, known_until). */
    struct utc_time known_from;
    struct utc_time known_until;
    enum reason known_reason;
};

/* Take the ranges of new settings; maintenance stays. NULL: none of them. */
void open_hours_set(struct open_hours *hours, const struct hours_settings *settings);
/* Take what the provider tells (at most MAINTENANCE_MAX). */
void open_hours_set_maintenance(struct open_hours *hours, const struct utc_span *spans,
                                uint32_t count);
/* Forget the last answer: the clock was set. */
void open_hours_forget(struct open_hours *hours);

/* REASON_NONE while open, else why it is closed; then *opens is when that ends (UTC_NEVER: not as
 * far as is known). Ranges that follow each other without a gap count as one, up to a bound: so
 * *opens is an instant at which to ask again. The answer is kept until it can change. */
enum reason open_hours_closed(struct open_hours *hours, struct utc_time now,
                              struct utc_time *opens);

/* The first instant after `now` at which the answer may change; UTC_NEVER: none. Keeps nothing. */
struct utc_time open_hours_next_change(const struct open_hours *hours, struct utc_time now);

#endif
