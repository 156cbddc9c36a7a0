/* SPDX-License-Identifier: MIT
 *
 * retry_budget.h - retries may be at most a share of first attempts, so that they cannot finish off
 * a service that struggles.
 *
 * Layer:   scheduler (pure; integers only, no clock, no memory of its own).
 * Earned:  each first attempt earns `percent` hundredths of a retry. What was earned is kept long
 *          enough for retries that come late (an hour's backoff, an hour's dedupe window), and
 *          melts by an eighth each hour, so that yesterday's quiet night does not pay for tonight's
 *          storm.
 * Reserve: a constant trickle fills the budget up to a reserve, so that a night of a few consents
 *          can try again too.
 * Figures: a night with 5 % failures and three attempts asks for some 5.3 retries per hundred first
 *          attempts, about a quarter of the default budget of 20 %; a night in which everything
 *          fails asks for 200 and gets 20.
 */
#ifndef REFRESHD_SCHEDULER_RETRY_BUDGET_H
#define REFRESHD_SCHEDULER_RETRY_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_point.h"

#define RETRY_BUDGET_ONE 1000                                  /* a retry, in thousandths */
#define RETRY_BUDGET_RESERVE (INT64_C(100) * RETRY_BUDGET_ONE) /* also what one begins with */
#define RETRY_BUDGET_TRICKLE_US (6 * US_PER_SECOND)            /* a retry each */
#define RETRY_BUDGET_MELT_US (INT64_C(3600) * US_PER_SECOND)   /* an eighth each */
#define RETRY_BUDGET_MAX \
    (INT64_C(1000000000) * RETRY_BUDGET_ONE) /* keeps sums far from overflow \
                                              */

struct retry_budget {
    int64_t balance;    /* thousandths of a retry; 0..RETRY_BUDGET_MAX */
    int64_t trickle_us; /* the trickle is counted in up to here */
    int64_t melt_us;    /* and the melting */
};

void retry_budget_init(struct retry_budget *budget, struct mono_time now);
/* With the balance that was stored. */
void retry_budget_restore(struct retry_budget *budget, struct mono_time now, int64_t balance);
/* Time has passed. Call before any of the below. */
void retry_budget_advance(struct retry_budget *budget, struct mono_time now);
/* A first attempt goes out; `percent` 1..100. */
void retry_budget_earn(struct retry_budget *budget, uint32_t percent);
/* Is there one to spend? */
bool retry_budget_has(const struct retry_budget *budget);
/* When the trickle alone will have filled up one; MONO_NEVER never happens. */
struct mono_time retry_budget_next(const struct retry_budget *budget);
/* Requires: retry_budget_has. */
void retry_budget_spend(struct retry_budget *budget);
/* One that was spent was not used after all. */
void retry_budget_refund(struct retry_budget *budget);

#endif
