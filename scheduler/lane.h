/* SPDX-License-Identifier: MIT
 *
 * lane.h - ready work of one institution and level, a lane for each schedule; schedules take turns.
 *
 * Layer:  scheduler (pure), private to this folder. The institutions' own turns: work.h.
 * Why:    with one queue, a hundred slots of a small schedule stand behind a hundred thousand of a
 *         large one that fired a second earlier. Manual triggers share one lane.
 * Memory: lanes come from a pool that grows between steps. When it is empty, work goes into the
 *         level's spill, which takes turns with the lanes like one more schedule: some fairness is
 *         lost until the pool has grown, never work or order within a schedule's lane.
 * Cost:   O(1) for each call: a lane is found by a hash of its key.
 */
#ifndef REFRESHD_SCHEDULER_LANE_H
#define REFRESHD_SCHEDULER_LANE_H

#include "scheduler/core.h"

/* The schedule (by place) that work belongs to; NONE_INDEX: a manual job. */
uint32_t lane_schedule(const struct scheduler *scheduler, uint32_t work);
/* The lane of a key, or NONE_INDEX. */
uint32_t lane_find(const struct scheduler *scheduler, uint32_t institution, uint32_t level,
                   uint32_t schedule);
/* Behind the others of its schedule; its schedule's turn comes last. */
void lane_push(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work);
/* Take it out, wherever in its lane it is. */
void lane_unlink(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work);
/* The work whose turn it is, or NONE_INDEX. */
uint32_t lane_first(const struct scheduler *scheduler, uint32_t institution, uint32_t level);
/* Whose turn it is: a lane, or NONE_INDEX for the spill. */
uint32_t lane_turn(const struct scheduler *scheduler, uint32_t institution, uint32_t level);
/* The schedule that had its turn (as lane_turn said) was served: the next one's comes. */
void lane_pass_turn(struct scheduler *scheduler, uint32_t institution, uint32_t level,
                    uint32_t served);
/* The pool has memory for `capacity` lanes now (a power of two): room.c. */
void lane_pool_grown(struct scheduler *scheduler, uint32_t capacity);

#endif
