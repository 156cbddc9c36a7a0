/* SPDX-License-Identifier: MIT
 *
 * progress_bar.h - one line on a terminal that shows how far the work is.
 *
 * Layer: command. Draws on standard error and only where that is a terminal; elsewhere every call
 *        does nothing.
 */
#ifndef REFRESHD_COMMAND_PROGRESS_BAR_H
#define REFRESHD_COMMAND_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/time_point.h"

struct progress_bar {
    bool is_terminal;
    bool is_drawn;
    struct mono_time started;
    struct mono_time next_draw;
};

/* The caller sets `started` when the work begins. */
void progress_bar_init(struct progress_bar *bar);
/* Draw at most ten times a second: `done` of `total`, rate and ETA, then `note` ("" for none). */
void progress_bar_draw(struct progress_bar *bar, struct mono_time now, uint64_t done,
                       uint64_t total, const char *note);
/* Take the line away, so that something else can be printed. */
void progress_bar_clear(struct progress_bar *bar);

#endif
