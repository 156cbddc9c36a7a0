/* SPDX-License-Identifier: MIT
 *
 * firing.h - calendars become runs: on time, as a catch-up, or accounted for as missed.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Once:   each firing is accounted for exactly once, in order. The accounted slot only moves
 *         forward, so a clock that is set back fires nothing again.
 */
#ifndef REFRESHD_SCHEDULER_FIRING_H
#define REFRESHD_SCHEDULER_FIRING_H

#include "scheduler/core.h"

/* Start the schedule's accounting at `accounted`; nothing at or before it fires. */
void firing_start(struct schedule *schedule, struct utc_time accounted);
/* Open or miss what is due, as far as the batch and the slot pool have room. */
void firing_advance_all(struct scheduler *scheduler);
/* Set the fields of a new run but its slots. `length_ms` of a catch-up run is capped. */
void firing_init_run(struct scheduler *scheduler, struct run *run, uint32_t schedule,
                     enum trigger trigger, const struct calendar_firing *firing);
/* Unsent slots of open runs of the schedule give way to a new run. */
void firing_supersede(struct scheduler *scheduler, uint32_t schedule, const struct run *by);

#endif
