/* SPDX-License-Identifier: MIT
 *
 * run.h - one firing over its population: slots sorted by their offset, woken in that order, each
 * accounted for exactly once.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Slots:  a run owns a range of the slot pool. Slots are ordered by (phase, consent); the cursor
 *         wakes them as they come due, so sleeping slots cost nothing.
 * Sweeps: what ends many slots at once (deadline, superseded, members gone) walks the range with a
 *         cursor of its own, as far as each batch has room.
 */
#ifndef REFRESHD_SCHEDULER_RUN_H
#define REFRESHD_SCHEDULER_RUN_H

#include "scheduler/core.h"

/* A free place for a run and for `due` slots; false, with needs_reserve set, when there is none. */
bool run_find_room(struct scheduler *scheduler, uint32_t due, uint32_t *place, uint32_t *first);
/* Fill the run's range with the members of its schedule and sort them. */
void run_fill(struct scheduler *scheduler, struct run *run,
              bool (*filter)(void *context, uint32_t consent), void *context);
/* Append one slot to a run that is being recovered; run_sort when all are there. */
void run_append(struct scheduler *scheduler, struct run *run, uint32_t consent);
void run_sort(struct scheduler *scheduler, struct run *run);
/* The slot of a consent, or NONE_INDEX. */
uint32_t run_find_slot(const struct scheduler *scheduler, const struct run *run, uint32_t consent);
struct run *run_of_slot(const struct scheduler *scheduler, uint32_t slot);
struct utc_time run_slot_due(const struct scheduler *scheduler, uint32_t slot);
uint32_t run_slot_level(const struct scheduler *scheduler, uint32_t slot);

void run_record_open(struct scheduler *scheduler, struct run *run);
struct record *run_record_skip(struct scheduler *scheduler, uint32_t run, uint32_t consent,
                               struct utc_time due, enum reason reason, uint32_t count);

/* A job takes the slot over, and gives it back ended. */
void run_slot_to_job(struct scheduler *scheduler, uint32_t slot);
void run_slot_done(struct scheduler *scheduler, uint32_t slot, enum outcome outcome);
/* End a slot that has no job. */
void run_slot_skip(struct scheduler *scheduler, uint32_t slot, enum reason reason);
/* Is the schedule at this place paused, or outside of its open hours? */
struct obstacle run_schedule_obstacle(const struct scheduler *scheduler, uint32_t schedule);
/* All gates but those of the limit nodes. True: it may start. False: skipped or put elsewhere.
 * Requires: the slot is in no queue. */
bool run_slot_judge(struct scheduler *scheduler, uint32_t slot);
/* Take it out of whatever list or heap it is in. */
void run_slot_detach(struct scheduler *scheduler, uint32_t slot);
/* Take it out of whatever it waits in, then judge it and queue it if it may start. */
void run_slot_consider(struct scheduler *scheduler, uint32_t slot);

/* Slots of this consent that wait for an instant are judged anew, in this step or the next. */
void run_ask_parked(struct scheduler *scheduler, uint32_t consent);

/* Start a sweep; one that ends more wins over one that ends less. */
void run_start_sweep(struct run *run, enum sweep sweep);
/* Timers, sweeps and wake-ups of all runs, as far as the batch has room. */
void run_advance_all(struct scheduler *scheduler);
/* Close runs whose slots are all accounted for. */
void run_close_finished(struct scheduler *scheduler);

#endif
