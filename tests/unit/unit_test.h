/* SPDX-License-Identifier: MIT
 *
 * unit_test.h - what every unit test includes: cmocka with the headers that it needs, table
 * sizes, and a seed for randomised tests.
 *
 * Layer: tests.
 */
#ifndef REFRESHD_TESTS_UNIT_UNIT_TEST_H
#define REFRESHD_TESTS_UNIT_UNIT_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define ROW_COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The seed of this run: TEST_SEED from the environment, else a new one. It is printed, so that
 * the log of a failure always says how to have it again. */
static inline uint64_t unit_seed(void)
{
    const char *given = getenv("TEST_SEED");
    struct timespec now;
    uint64_t seed;

    if (given != NULL) {
        seed = strtoull(given, NULL, 10);
    } else {
        (void)clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_sec * UINT64_C(1000000007) ^ (uint64_t)now.tv_nsec;
    }
    print_message("seed: run again with TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

#endif
