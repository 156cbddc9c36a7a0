/* SPDX-License-Identifier: MIT
 * quota.c - see quota.h. */
#include "scheduler/quota.h"

#include "base/result.h"

void quota_clear(struct quota *quota)
{
    quota->newest = UTC_NONE;
    for (uint32_t i = 0; i < quota->gap_count; i++)
        quota->gaps[i] = QUOTA_GAP_LONG_AGO;
}

static uint32_t quota_gap(int64_t ms)
{
    return ms < (int64_t)QUOTA_GAP_LONG_AGO ? (uint32_t)ms : QUOTA_GAP_LONG_AGO;
}

void quota_charge(struct quota *quota, struct utc_time at)
{
    if (quota->newest.ms == UTC_NONE.ms) {
        quota->newest = at;
        return;
    }
    if (at.ms < quota->newest.ms)
        at = quota->newest;
    for (uint32_t i = quota->gap_count; i > 1; i--)
        quota->gaps[i - 1] = quota->gaps[i - 2];
    if (quota->gap_count > 0)
        quota->gaps[0] = quota_gap(at.ms - quota->newest.ms);
    quota->newest = at;
}

void quota_uncharge(struct quota *quota, int64_t window_ms)
{
    struct utc_time uncharged = quota->newest;
    int64_t edge_ms;

    if (uncharged.ms == UTC_NONE.ms)
        return;
    if (quota->gap_count == 0 || quota->gaps[0] == QUOTA_GAP_LONG_AGO) {
        quota_clear(quota);
        return;
    }
    quota->newest.ms -= quota->gaps[0];
    for (uint32_t i = 1; i < quota->gap_count; i++)
        quota->gaps[i - 1] = quota->gaps[i];
    quota->gaps[quota->gap_count - 1] = QUOTA_GAP_LONG_AGO;
    edge_ms = quota->newest.ms;
    for (uint32_t i = 0; i + 1 < quota->gap_count; i++) {
        if (quota->gaps[i] == QUOTA_GAP_LONG_AGO)
            return; /* it drove nothing out */
        edge_ms -= quota->gaps[i];
    }
    if (edge_ms > uncharged.ms - window_ms)
        quota->gaps[quota->gap_count - 1] = quota_gap(edge_ms - (uncharged.ms - window_ms));
}

void quota_postpone(struct quota *quota, struct utc_time at)
{
    if (quota->newest.ms == UTC_NONE.ms || at.ms <= quota->newest.ms)
        return;
    if (quota->gap_count > 0 && quota->gaps[0] != QUOTA_GAP_LONG_AGO)
        quota->gaps[0] = quota_gap(quota->gaps[0] + (at.ms - quota->newest.ms));
    quota->newest = at;
}

struct utc_time quota_earliest(const struct quota *quota, uint32_t count, int64_t window_ms,
                               struct utc_time now)
{
    struct utc_time nth = quota->newest;

    REQUIRE(count <= quota->gap_count + 1);
    if (count == 0 || nth.ms == UTC_NONE.ms)
        return now;
    for (uint32_t i = 0; i + 1 < count; i++) {
        if (quota->gaps[i] == QUOTA_GAP_LONG_AGO)
            return now;
        nth.ms -= quota->gaps[i];
    }
    nth = utc_add_ms(nth, window_ms);
    return nth.ms > now.ms ? nth : now;
}

uint32_t quota_used(const struct quota *quota, int64_t window_ms, struct utc_time now)
{
    struct utc_time charge = quota->newest;
    uint32_t used = 0;

    if (charge.ms == UTC_NONE.ms)
        return 0;
    while (charge.ms > now.ms - window_ms) {
        used++;
        if (used > quota->gap_count || quota->gaps[used - 1] == QUOTA_GAP_LONG_AGO)
            break;
        charge.ms -= quota->gaps[used - 1];
    }
    return used;
}
