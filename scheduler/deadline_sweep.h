/* SPDX-License-Identifier: MIT
 *
 * deadline_sweep.h - walks the slots of a run for its pace: counts those that may be sent, skips
 * what cannot be sent any more, wakes sleeping ones early.
 *
 * Layer: scheduler (pure), private to this folder. Used by deadline_pace.c alone.
 * Cost:  some ten thousand slots a step; the run's other business goes on in between.
 */
#ifndef REFRESHD_SCHEDULER_DEADLINE_SWEEP_H
#define REFRESHD_SCHEDULER_DEADLINE_SWEEP_H

#include "scheduler/core.h"

/* Is some run being walked? One that has ended meanwhile is let go. */
bool deadline_sweep_is_busy(struct scheduler *scheduler);
/* Begin to count the slots of the run that may be sent. */
void deadline_sweep_census(struct scheduler *scheduler, struct run *run);
/* Slots of an institution, counted by the census, that may be sent. */
uint32_t deadline_sweep_sendable(const struct scheduler *scheduler, uint32_t institution);
/* Skip `excess` of the counted slots at the institution. Only right after the census. */
void deadline_sweep_plan_skip(struct scheduler *scheduler, uint32_t institution, uint64_t excess);
/* Likewise for all institutions of a provider, after the plans of its institutions. */
void deadline_sweep_plan_provider_skip(struct scheduler *scheduler, uint32_t provider,
                                       uint64_t most);
/* Begin to skip what was planned. False: nothing was. */
bool deadline_sweep_skip(struct scheduler *scheduler, struct run *run);
/* Begin to wake early what the pull counters say. False: they are all 0. */
bool deadline_sweep_pull(struct scheduler *scheduler, struct run *run);
/* Go on; true when this run's walk has ended. */
bool deadline_sweep_go_on(struct scheduler *scheduler, struct run *run);

#endif
