/* SPDX-License-Identifier: MIT
 *
 * job_state.h - which moves of a job are legal, and what holds in each state.
 *
 * Layer: scheduler (pure).
 *
 *   NEW --> INITIATING --> RUNNING <--> POLLING --> CLOSED
 *    |        |  |  ^  \      ^  \        |  \
 *    |        |  |  |   \     |   \       v   \
 *    |        |  |  |    \    |    +-> LOOKING_UP --> CLOSED
 *    |        |  v  |     v   |                ^
 *    |        | RETRY_WAIT  IN_DOUBT --> (repeat) INITIATING
 *    +--------+-----+---------+----> CLOSED
 *
 * NEW         a manual job that waits for its first attempt; nothing is recorded yet
 * INITIATING  an initiation is outstanding; counts as a running job
 * RUNNING     accepted; waits for its poll time or for its turn to poll; counts as running
 * POLLING     a poll is outstanding; counts as running
 * LOOKING_UP  waits for or has outstanding a consent look-up; its job has ended. A failure that the
 *             look-up does not blame on the consent goes on to RETRY_WAIT
 * RETRY_WAIT  waits for a time, a limit or a turn for its next attempt
 * IN_DOUBT    sent, fate unknown: waits for a webhook or for its repeat; counts as running
 */
#ifndef REFRESHD_SCHEDULER_JOB_STATE_H
#define REFRESHD_SCHEDULER_JOB_STATE_H

#include <stdbool.h>

#include "scheduler/words.h"

/* Is the move legal? Staying where one is never is. */
bool job_state_may_move(enum job_state from, enum job_state to);
/* Does a job in this state count against jobs_running? */
bool job_state_is_running(enum job_state state);

#endif
