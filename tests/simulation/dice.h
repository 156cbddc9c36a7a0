/* SPDX-License-Identifier: MIT
 *
 * dice.h - what chance decides in a simulation; everything comes from the seed.
 *
 * Layer: tests (simulation).
 */
#ifndef REFRESHD_TESTS_SIMULATION_DICE_H
#define REFRESHD_TESTS_SIMULATION_DICE_H

#include <stdbool.h>

#include "base/random.h"

static inline int64_t dice_below(struct random *random, int64_t bound)
{
    return (int64_t)random_below(random, (uint64_t)bound);
}

/* Uniform in [low, high]. */
static inline int64_t dice_between(struct random *random, int64_t low, int64_t high)
{
    return low + dice_below(random, high - low + 1);
}

static inline bool dice_one_in(struct random *random, int64_t n)
{
    return dice_below(random, n) == 0;
}

static inline bool dice_permille(struct random *random, uint32_t permille)
{
    return dice_below(random, 1000) < (int64_t)permille;
}

/* Roughly log-uniform in [low, low << doublings]. */
static inline int64_t dice_log(struct random *random, int64_t low, int64_t doublings)
{
    int64_t base = low << dice_below(random, doublings);

    return base + dice_below(random, base > 0 ? base : 1);
}

#endif
