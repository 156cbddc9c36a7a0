/* SPDX-License-Identifier: MIT
 * random.c - see random.h. */
#include "base/random.h"

#include "base/result.h"

void random_init(struct random *random, uint64_t seed)
{
    uint64_t z = seed + UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    random->state = z == 0 ? 1 : z;
}

uint64_t random_next(struct random *random)
{
    uint64_t x = random->state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* gcc calls 128-bit integers an extension; both compilers that we support have them. */
__extension__ typedef unsigned __int128 wide_unsigned;

uint64_t random_below(struct random *random, uint64_t bound)
{
    REQUIRE(bound >= 1);
    /* The high half of a 128-bit product; its bias is below 2^-40 for bounds below 2^24. */
    return (uint64_t)(((wide_unsigned)random_next(random) * bound) >> 64);
}
