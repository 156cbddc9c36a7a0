/* SPDX-License-Identifier: MIT
 *
 * random.h - seeded generator, integers only, always passed in.
 *
 * Layer: base (libc only). Same seed, same numbers, everywhere: what makes a simulated night
 *        replayable. Not for keys or tokens: those come from the operating system.
 * Source: xorshift64* (Vigna, 2014), seeded through a splitmix64 step so that 0 is a fine seed.
 */
#ifndef REFRESHD_BASE_RANDOM_H
#define REFRESHD_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* never 0 after random_init */
};

void random_init(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/* Uniform in [0, bound); bound >= 1. */
uint64_t random_below(struct random *random, uint64_t bound);

#endif
