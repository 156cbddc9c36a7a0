/* SPDX-License-Identifier: MIT
 *
 * rate_text.h - a learned pace as people read it: "1.2/s", "12/min", "4/h".
 *
 * Layer: daemon.
 */
#ifndef REFRESHD_DAEMON_RATE_TEXT_H
#define REFRESHD_DAEMON_RATE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "scheduler/settings.h"

#define RATE_TEXT_SIZE 32

/* The rate of one in each `interval_us`, rounded, in the largest unit in which it is at least one.
 * NULL where the interval is 0: no limit was learned. */
const char *rate_text(int64_t interval_us, char text[RATE_TEXT_SIZE]);

/* "20/s 600/m": configured rates as people write them; one of a unit is written without its number.
 * NULL: there are none. */
const char *rates_text(const struct limit_settings *limits, char *text, size_t size);

#endif
