/* SPDX-License-Identifier: MIT
 *
 * room.h - all memory of the core. The only file of scheduler/ that allocates, and it is only
 * called between steps.
 *
 * Layer: scheduler (pure), private to this folder. Each function answers RESULT_FAULT
 *        (FAULT_TEMPORARY) when memory is out; what was there is intact.
 */
#ifndef REFRESHD_SCHEDULER_ROOM_H
#define REFRESHD_SCHEDULER_ROOM_H

#include "scheduler/core.h"

MUST_CHECK enum result room_consents(struct scheduler *scheduler, uint32_t consent_max,
                                     struct fault *fault);
/* Another number of remembered charges a consent; keeps as many as fit. */
MUST_CHECK enum result room_quota_gaps(struct scheduler *scheduler, uint32_t gap_count,
                                       struct fault *fault);
/* At least `wanted` places for jobs, and a quarter more than are live. */
MUST_CHECK enum result room_jobs(struct scheduler *scheduler, uint32_t wanted, struct fault *fault);
/* Lanes for what is at work, and for what the nodes and schedules there are may need at once. */
MUST_CHECK enum result room_lanes(struct scheduler *scheduler, struct fault *fault);
MUST_CHECK enum result room_runs(struct scheduler *scheduler, uint32_t wanted, struct fault *fault);
/* Counters of what is left, for the nodes and runs that there is room for. */
MUST_CHECK enum result room_pace(struct scheduler *scheduler, struct fault *fault);
/* Slots as asked for by slots_wanted; gives all back when no run is open. */
MUST_CHECK enum result room_slots(struct scheduler *scheduler, struct fault *fault);
MUST_CHECK enum result room_nodes(struct scheduler *scheduler, uint32_t providers,
                                  uint32_t institutions, uint32_t schedules, struct fault *fault);
MUST_CHECK enum result room_places(struct scheduler *scheduler,
                                   const struct scheduler_settings *settings, struct fault *fault);
/* The windows of a node become those of `limits`; what the old ones remember is carried over.
 * `pending` permits are given and not handed over. */
MUST_CHECK enum result room_node_rates(struct limit_node *node, const struct limit_settings *limits,
                                       int64_t guard_ms, uint32_t pending, struct mono_time now,
                                       struct fault *fault);
void room_release(struct scheduler *scheduler);

#endif
