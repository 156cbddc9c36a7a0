/* SPDX-License-Identifier: MIT
 * retry_delay.c - see retry_delay.h. */
#include "scheduler/retry_delay.h"

int64_t retry_delay_doubling_ms(int64_t first_ms, int64_t max_ms, uint32_t step)
{
    int64_t delay_ms = first_ms;

    for (uint32_t i = 0; i < step && delay_ms < max_ms; i++)
        delay_ms = delay_ms > max_ms / 2 ? max_ms : delay_ms * 2;
    return delay_ms < max_ms ? delay_ms : max_ms;
}

int64_t retry_delay_ms(struct random *random, int64_t first_ms, int64_t max_ms, uint32_t step)
{
    int64_t cap_ms = retry_delay_doubling_ms(first_ms, max_ms, step);

    return 1 + (int64_t)random_below(random, cap_ms > 1 ? (uint64_t)cap_ms : 1);
}
