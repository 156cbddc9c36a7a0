/* SPDX-License-Identifier: MIT
 *
 * quota.h - the last charged sending times of one consent: rolling quota N/D and cooldown base.
 *
 * Layer:  scheduler (pure).
 * Rule:   the window is (now - D, now]: with N charges in it the next is allowed at the N-th
 *         newest charge + D.
 * Memory: the newest time is 48 bits in the consent, the others are 32-bit gaps in milliseconds
 *         (chained backwards) in an array lent by the caller: 4 bytes a charge. A gap that does
 *         not fit (49 days, more than QUOTA_WINDOW_MS_MAX) means "long ago".
 */
#ifndef REFRESHD_SCHEDULER_QUOTA_H
#define REFRESHD_SCHEDULER_QUOTA_H

#include <stdint.h>

#include "base/time_point.h"

#define QUOTA_GAP_LONG_AGO UINT32_MAX

struct quota {
    struct utc_time newest; /* UTC_NONE: nothing charged */
    uint32_t *gaps;         /* borrowed; gaps[i]: from charge i+1 (older) to charge i */
    uint32_t gap_count;     /* charges remembered: gap_count + 1 */
};

/* No charge known. */
void quota_clear(struct quota *quota);
/* Charge one sending. An instant before the newest charge (the clock was set back) counts as
 * the newest: never earlier than it was. */
void quota_charge(struct quota *quota, struct utc_time at);
/* Take the newest charge back: it was refused or attached. The oldest one, which it drove out, was
 * outside of the window then; it is put back at the window's edge, so that a clock that is set
 * back finds it there. */
void quota_uncharge(struct quota *quota, int64_t window_ms);
/* The newest charge was handed over later than thought. */
void quota_postpone(struct quota *quota, struct utc_time at);
/* Earliest instant for one more: `now` or later. Requires: count <= gap_count + 1. */
struct utc_time quota_earliest(const struct quota *quota, uint32_t count, int64_t window_ms,
                               struct utc_time now);
/* Charges in (now - window, now] and later, at most gap_count + 1. */
uint32_t quota_used(const struct quota *quota, int64_t window_ms, struct utc_time now);

#endif
