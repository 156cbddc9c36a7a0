/* SPDX-License-Identifier: MIT
 *
 * rate_window.h - exact rolling rate: no half-open interval of the span holds more than `count`
 * requests, timed at their hand-over to the socket.
 *
 * Layer:  scheduler (pure).
 * Why:    a token bucket lets almost twice the rate pass around a refill; keeping the last `count`
 *         instants makes the promise exact, in integers, and a restart can rebuild it.
 * Permit: between the grant and the hand-over nobody knows the instant, so a permit counts in every
 *         interval until rate_window_sent fixes it (a slow connect can never squeeze two requests
 *         together) or rate_window_return gives it back (it never reached the socket).
 * Memory: the caller lends times_us[count] and keeps it as long as the window.
 */
#ifndef REFRESHD_SCHEDULER_RATE_WINDOW_H
#define REFRESHD_SCHEDULER_RATE_WINDOW_H

#include <stdint.h>

#include "base/time_point.h"

struct rate_window {
    int64_t *times_us; /* borrowed ring, oldest first from `first` */
    uint32_t count;    /* N: capacity of the ring, >= 1 */
    uint32_t used;
    uint32_t first;
    uint32_t pending; /* granted, not handed over yet */
    int64_t span_us;  /* > 0 */
};

/* Empty window. Requires: count >= 1, span_us > 0. */
void rate_window_init(struct rate_window *window, int64_t *times_us, uint32_t count,
                      int64_t span_us);
/* Earliest instant at which one more permit may be granted: `now` or later; MONO_NEVER while only
 * the hand-over or return of permits already given can tell. Changes nothing. */
struct mono_time rate_window_earliest(const struct rate_window *window, struct mono_time now);
/* Give one permit. Requires: rate_window_earliest answered `now`. */
void rate_window_grant(struct rate_window *window);
/* The request of one permit was handed over at `at`. Requires: a permit is pending. */
void rate_window_sent(struct rate_window *window, struct mono_time at);
/* One permit comes back unused. Requires: a permit is pending. */
void rate_window_return(struct rate_window *window);
/* A request known from before a restart or from an older window; of more than `count` the newest
 * are kept. */
void rate_window_remember(struct rate_window *window, struct mono_time at);
/* A remembered request may have left as late as `to` instead of at `from`. */
void rate_window_postpone(struct rate_window *window, struct mono_time from, struct mono_time to);
/* The i-th remembered instant, oldest first. Requires: i < used. */
struct mono_time rate_window_at(const struct rate_window *window, uint32_t i);

#endif
