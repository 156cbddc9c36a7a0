/* SPDX-License-Identifier: MIT
 *
 * retry_delay.h - backoff with full jitter at every step, the cap included.
 *
 * Layer:  scheduler (pure).
 * Why:    jitter that vanishes at the cap makes everybody converge on the same instants; so the
 *         delay is uniform in [1 ms, min(max, first * 2^n)] however large n is.
 */
#ifndef REFRESHD_SCHEDULER_RETRY_DELAY_H
#define REFRESHD_SCHEDULER_RETRY_DELAY_H

#include <stdint.h>

#include "base/random.h"

/* first_ms * 2^step, at most max_ms; saturates. first_ms, max_ms >= 0. */
int64_t retry_delay_doubling_ms(int64_t first_ms, int64_t max_ms, uint32_t step);
/* Uniform in [1, max(1, retry_delay_doubling_ms(...))]. */
int64_t retry_delay_ms(struct random *random, int64_t first_ms, int64_t max_ms, uint32_t step);

#endif
