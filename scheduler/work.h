/* SPDX-License-Identifier: MIT
 *
 * work.h - where work waits: ready queues by institution and priority, rings of institutions,
 * slots parked by time.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Fair:   each provider holds, for each priority level, a ring of its institutions with ready work.
 *         The highest level goes first; within a level institutions take turns; within an
 *         institution work is first in, first out.
 * Block:  an institution that cannot start anything leaves all rings and comes back when time
 *         (two heaps, one a clock) or an event (work_unblock) opens it.
 */
#ifndef REFRESHD_SCHEDULER_WORK_H
#define REFRESHD_SCHEDULER_WORK_H

#include "scheduler/core.h"

static inline bool work_is_job(uint32_t work)
{
    return (work & WORK_JOB_BIT) != 0;
}

/* Plain list operations over the links of slots and jobs. */
void work_queue_push(struct scheduler *scheduler, struct work_queue *queue, uint32_t work);
void work_queue_unlink(struct scheduler *scheduler, struct work_queue *queue, uint32_t work);

/* Put work into the ready queue of its institution, or take it out. */
void work_push(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work);
void work_unlink(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work);

/* The institution at the turn on the provider's highest level, or NONE_INDEX. */
uint32_t work_turn(const struct provider *provider, uint32_t *level);
/* The turn goes on to the next institution of the ring. */
void work_pass_turn(struct scheduler *scheduler, struct provider *provider, uint32_t level);

/* The institution cannot start anything before the obstacle is gone. */
void work_block(struct scheduler *scheduler, uint32_t institution, const struct obstacle *obstacle);
/* Something changed: let it be asked again. Does nothing when it is not blocked. */
void work_unblock(struct scheduler *scheduler, uint32_t institution);

/* Park a slot until an instant, take it out, or look at the first. */
void park_set(struct scheduler *scheduler, uint32_t slot, struct utc_time until);
void park_remove(struct scheduler *scheduler, uint32_t slot);

#endif
