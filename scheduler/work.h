/* SPDX-License-Identifier: MIT
 *
 * work.h - where work waits: ready work by institution and level, rings of institutions, slots
 * parked by time.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Fair:   each provider holds, for each level, a ring of its institutions with ready work.
 *         Institutions take turns; those within their share of the provider's running jobs and
 *         requests go before those beyond it (share.h), which have a ring of their own. Within an
 *         institution schedules take turns (lane.h); within a schedule it is first in, first out.
 * Levels: the highest goes first, but of every LEVEL_TURNS_MAX + 1 turns one goes to the levels
 *         below, each of them in its turn: nothing starves. That holds between the institutions of
 *         a provider and between the levels of an institution, whichever limit is the narrow one.
 *         What is sent again because it was in doubt goes before all that.
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

/* Which of the levels (a bit set, not empty) has its turn; and: it was served. */
uint32_t work_level_turn(const struct level_turn *turn, uint32_t levels);
void work_level_served(struct level_turn *turn, uint32_t levels, uint32_t level);

/* Put work among the ready work of its institution, or take it out. */
void work_push(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work);
void work_unlink(struct scheduler *scheduler, uint32_t institution, uint32_t level, uint32_t work);

/* Levels at which the provider has an institution that is not blocked (a bit set). */
uint32_t work_levels(const struct provider *provider);
/* The institution whose turn it is, and the level; NONE_INDEX. */
uint32_t work_turn(const struct provider *provider, uint32_t *level);
/* It was served at this level: the turn goes on to the next institution of its ring. */
void work_pass_turn(struct scheduler *scheduler, uint32_t institution, uint32_t level);
/* Within its share, or beyond it? Puts it into the rings where it belongs. True: it moved. */
bool work_place(struct scheduler *scheduler, uint32_t institution);

/* The institution cannot start anything before the obstacle is gone. */
void work_block(struct scheduler *scheduler, uint32_t institution, const struct obstacle *obstacle);
/* Something changed: let it be asked again. Does nothing when it is not blocked. */
void work_unblock(struct scheduler *scheduler, uint32_t institution);

/* Park a slot until an instant, take it out, or look at the first. */
void park_set(struct scheduler *scheduler, uint32_t slot, struct utc_time until);
void park_remove(struct scheduler *scheduler, uint32_t slot);

#endif
