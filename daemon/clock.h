/* SPDX-License-Identifier: MIT
 *
 * clock.h - the clocks of the machine; the only place that reads them.
 *
 * Layer: daemon. Everybody else is given `now`.
 */
#ifndef REFRESHD_DAEMON_CLOCK_H
#define REFRESHD_DAEMON_CLOCK_H

#include "base/result.h"
#include "base/time_point.h"

/* Wall clock (milliseconds, UTC) and monotonic clock (microseconds, not counting suspension). */
struct time_now clock_now(void);

/* How long the machine has slept since it was started: time that the monotonic clock leaves out. */
int64_t clock_suspended_us(void);

/* Sleep; returns early when a signal arrives. Nothing happens for values below 1. */
void clock_sleep_us(int64_t duration_us);

/* A descriptor that becomes readable when the wall clock is set, or 25 hours pass. */
enum result clock_watch_open(int *fd, struct fault *fault) MUST_CHECK;
/* To be called when it is readable. True: the wall clock was set. Also watches anew. */
bool clock_watch_read(int fd);

#endif
