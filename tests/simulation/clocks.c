/* SPDX-License-Identifier: MIT
 * clocks.c - see clocks.h. */
#include "tests/simulation/clocks.h"

#define MILLION INT64_C(1000000)

/* What a clock that showed `base_us` at `since_us` shows at `at_us`. */
static int64_t shown_us(const struct clocks *clocks, int64_t base_us, int64_t at_us)
{
    int64_t passed_us = at_us - clocks->since_us;

    return base_us + passed_us + passed_us / MILLION * clocks->drift_ppm +
           passed_us % MILLION * clocks->drift_ppm / MILLION;
}

static void rebase(struct clocks *clocks)
{
    clocks->utc_us = shown_us(clocks, clocks->utc_us, clocks->true_us);
    clocks->mono_us = shown_us(clocks, clocks->mono_us, clocks->true_us);
    clocks->since_us = clocks->true_us;
}

void clocks_init(struct clocks *clocks, int64_t utc_ms, int32_t drift_ppm)
{
    *clocks = (struct clocks){
        .utc_us = utc_ms * US_PER_MS,
        .mono_us = 1000,
        .drift_ppm = drift_ppm,
        .stepped_us = INT64_MIN,
    };
}

struct time_now clocks_now(const struct clocks *clocks)
{
    return (struct time_now){{shown_us(clocks, clocks->utc_us, clocks->true_us) / US_PER_MS},
                             {shown_us(clocks, clocks->mono_us, clocks->true_us)}};
}

/* When a clock shows `wanted_us`. */
static int64_t when_shown(const struct clocks *clocks, int64_t base_us, int64_t wanted_us)
{
    int64_t ahead_us = wanted_us - base_us;
    int64_t at_us = clocks->since_us + ahead_us - ahead_us / MILLION * clocks->drift_ppm;

    at_us -= 2;
    while (shown_us(clocks, base_us, at_us) < wanted_us)
        at_us += 1 + (wanted_us - shown_us(clocks, base_us, at_us)) / 2;
    while (shown_us(clocks, base_us, at_us - 1) >= wanted_us)
        at_us -= 1 + (shown_us(clocks, base_us, at_us - 1) - wanted_us) / 2;
    return at_us;
}

int64_t clocks_true_of(const struct clocks *clocks, struct wake wake)
{
    int64_t first_us = INT64_MAX;

    if (wake.utc.ms != UTC_NEVER.ms)
        first_us = when_shown(clocks, clocks->utc_us, wake.utc.ms * US_PER_MS);
    if (wake.mono.us != MONO_NEVER.us) {
        int64_t mono_us = when_shown(clocks, clocks->mono_us, wake.mono.us);

        first_us = mono_us < first_us ? mono_us : first_us;
    }
    return first_us;
}

void clocks_set_drift(struct clocks *clocks, int32_t drift_ppm)
{
    rebase(clocks);
    clocks->drift_ppm = drift_ppm;
}

void clocks_step(struct clocks *clocks, int64_t ms)
{
    rebase(clocks);
    clocks->utc_us += ms * US_PER_MS;
    clocks->stepped_us = clocks->true_us;
}

void clocks_suspend(struct clocks *clocks, int64_t us)
{
    int64_t mono_us;

    rebase(clocks);
    mono_us = clocks->mono_us;
    clocks->true_us += us;
    rebase(clocks);
    clocks->mono_us = mono_us;
}

void clocks_boot(struct clocks *clocks, int64_t mono_us)
{
    rebase(clocks);
    clocks->mono_us = mono_us;
}
