/* SPDX-License-Identifier: MIT
 *
 * daily_window.h - "02:00-03:00 Europe/Bucharest": times of day at which something is (not) done.
 *
 * Layer:  scheduler (pure).
 * Syntax: [DAYS] HH:MM[:SS]-HH:MM[:SS] [ZONE], separated by blanks. DAYS is a list of Mon..Sun and
 *         ranges of them in any case (Fri-Mon is a range too); default every day. An end that is
 *         not after the start is on the next day; DAYS name the day on which the window begins.
 *         24:00 is allowed as the end. ZONE is an IANA name; default UTC, never the host's.
 * Rule:   an instant is inside when a clock on the wall of that zone shows a time in the window.
 *         So a window in an hour that a clock change leaves out does not happen that day, and one
 *         in an hour that is shown twice happens twice.
 */
#ifndef REFRESHD_SCHEDULER_DAILY_WINDOW_H
#define REFRESHD_SCHEDULER_DAILY_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"
#include "base/zone.h"

/* Plain data; the zone is borrowed. */
struct daily_window {
    const struct zone *zone;
    int32_t start_s;  /* 0..86399, local time of day */
    int32_t end_s;    /* 0..86400, exclusive; at or below start_s: on the next day */
    uint8_t weekdays; /* bits 0..6, Sunday 0: the days on which it begins */
};

/* Where the zone's name is written in the text; length 0 when no zone is named. */
struct daily_window_zone {
    const char *name; /* points into the text, not ended by a NUL */
    size_t length;
};

/* Read a window. `out->zone` is then zone_utc; where a zone is named the caller looks it up and
 * puts it there. On a fault *error_offset is the byte in `text` where the trouble starts. */
enum result daily_window_parse(const char *text, size_t length, struct daily_window *out,
                               struct daily_window_zone *zone, size_t *error_offset,
                               struct fault *fault) MUST_CHECK;

bool daily_window_contains(const struct daily_window *window, struct utc_time at);

/* The first instant after `at` at which the window opens or closes, in UTC. UTC_NEVER for a
 * window that is never closed ("00:00-24:00"). Called inside of a window, next_end is the end of
 * that one; called outside, the end of the next one. */
struct utc_time daily_window_next_start(const struct daily_window *window, struct utc_time at);
struct utc_time daily_window_next_end(const struct daily_window *window, struct utc_time at);

#endif
