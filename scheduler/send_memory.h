/* SPDX-License-Identifier: MIT
 *
 * send_memory.h - how much left through a node, whatever its rates were: minutes of the last hour,
 * quarters of the last day.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Why:    a rate that a reload adds has to hold for what was sent before it was known, too. Keeping
 *         every instant for a day would cost megabytes for each node; these counts cost 700 bytes
 *         and err on the careful side only: a request counts as sent at the end of its bucket.
 */
#ifndef REFRESHD_SCHEDULER_SEND_MEMORY_H
#define REFRESHD_SCHEDULER_SEND_MEMORY_H

#include "scheduler/rate_window.h"

#define SEND_MEMORY_MINUTES 64
#define SEND_MEMORY_QUARTERS 100

struct send_memory {
    uint32_t minutes[SEND_MEMORY_MINUTES];
    uint32_t quarters[SEND_MEMORY_QUARTERS];
    int64_t minute; /* number of the newest bucket; INT64_MIN: nothing noted */
    int64_t quarter;
};

void send_memory_clear(struct send_memory *memory);
/* One request left at `at`. One that is older than what is kept is forgotten. */
void send_memory_note(struct send_memory *memory, struct mono_time at);
/* Fill an empty window with what it would remember, had it been there. A span below a minute is
 * taken as used up now: it is over soon. */
void send_memory_fill(const struct send_memory *memory, struct mono_time now,
                      struct rate_window *window);

#endif
