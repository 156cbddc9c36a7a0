/* SPDX-License-Identifier: MIT
 *
 * pace_fixture.h - a learned pace against simulated banks whose limits nobody tells.
 *
 * Each bank draws a new true limit every hour (or as asked), log-uniform between 0.2/s and 5/s, and
 * takes or refuses each request in the way of its kind. What became of a request is known 5-30 s
 * later, good or bad. The sender has more to send at any time, or a given demand. The same seed
 * gives the same numbers on every machine.
 */
#ifndef REFRESHD_TESTS_UNIT_PACE_FIXTURE_H
#define REFRESHD_TESTS_UNIT_PACE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "scheduler/pace.h"

enum pace_bank_kind {
    PACE_BANK_STRICT,   /* no request sooner than 1/limit after the last accepted one */
    PACE_BANK_WINDOW,   /* so many in any 3 s */
    PACE_BANK_BUCKET_1, /* a token bucket that holds 1 s of the limit */
    PACE_BANK_BUCKET_5, /* 5 s */
    PACE_BANK_FRAME,    /* so many in each 10 s by the clock */
    PACE_BANK_DIRECT,   /* strict, and a refusal is known after 80 ms */
    PACE_BANK_TIMEOUT,  /* a bucket of 1 s that lets run into a timeout what is too much */
    PACE_BANK_OPEN,     /* none: takes all */
    PACE_BANK_KINDS
};

extern const char *const pace_bank_kinds[PACE_BANK_KINDS];

struct pace_world {
    uint64_t seed;
    int64_t hours;
    int64_t redraw_minutes;
    int64_t delay_least_ms; /* from the bank's decision until it is known */
    int64_t delay_most_ms;
    int64_t jitter_ms;          /* at most so long from the sender to the bank */
    int64_t noise_ppm;          /* accepted requests that end in trouble nevertheless */
    int64_t lost_ppm;           /* results that never arrive */
    int64_t cap_per_minute;     /* the configured limit beside the learned one */
    int64_t demand_per_minute;  /* 0: always full */
    int64_t silent_from_minute; /* from then on no result arrives; 0: never */
    enum pace_bank_kind kind;
    struct pace_settings settings;
    FILE *trace; /* NULL, or one line a minute: the true and the learned limit, and counts so far */
};

struct pace_world_sum {
    double possible; /* what an all-knowing sender would have got accepted */
    int64_t sent;
    int64_t accepted;
    int64_t refused; /* or driven into a timeout */
    int64_t last_interval_us;
};

/* The world of issue and design: 24 h, an hour for each limit, results after 5-30 s. */
struct pace_world pace_world_usual(enum pace_bank_kind kind, uint64_t seed);
/* Run one bank and add what happened to `sum`. */
void pace_world_run(const struct pace_world *world, struct pace_world_sum *sum);

static inline double pace_efficiency(const struct pace_world_sum *sum)
{
    return (double)sum->accepted / sum->possible;
}
static inline double pace_refused_share(const struct pace_world_sum *sum)
{
    return sum->sent == 0 ? 0 : (double)sum->refused / (double)sum->sent;
}

#endif
