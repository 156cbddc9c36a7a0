/* SPDX-License-Identifier: MIT
 *
 * sandbox_rates.h - exact sliding windows over arrival times, for every configured N/D.
 *
 * Layer:  sandbox. Pure: times are passed in.
 * Rule:   no half-open interval of length D may hold more than N arrivals (design section 4).
 *         An arrival is a break when some such interval with it holds more than N, D shortened
 *         by the tolerance. Peaks are kept for the exact D as well.
 * Order:  arrivals may come slightly out of order (several connections); each is put in place.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_RATES_H
#define REFRESHD_SANDBOX_SANDBOX_RATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SANDBOX_RATES_MAX 8

struct sandbox_rate {
    uint32_t count;
    int64_t period_us;
    char text[24]; /* as written: "20/s" */
};

struct sandbox_rates {
    struct sandbox_rate entries[SANDBOX_RATES_MAX];
    size_t count;
};

struct sandbox_window {
    int64_t *times_us; /* sorted; [first, last) are within the longest period */
    size_t first;
    size_t last;
    size_t capacity;
    uint32_t peaks[SANDBOX_RATES_MAX];          /* most arrivals in any exact window */
    uint32_t tolerant_peaks[SANDBOX_RATES_MAX]; /* the same with D - tolerance */
};

/* "20/s", "600/min", "4/24h", "100/500ms", "2000/day". False on anything else. */
bool sandbox_rates_parse(const char *text, struct sandbox_rate *out);

/* Record one arrival. Answers the index of a rate that is broken by it, or -1. Memory that cannot
 * be had leaves the arrival out. */
int sandbox_window_arrive(struct sandbox_window *window, const struct sandbox_rates *rates,
                          int64_t at_us, int64_t tolerance_us);
/* Forget arrivals and peaks and give the memory back. */
void sandbox_window_reset(struct sandbox_window *window);

#endif
