/* SPDX-License-Identifier: MIT
 *
 * retry_gate.h - retries wait here until their provider's budget can pay for them.
 *
 * Layer:  scheduler (pure), private to this folder. The budget itself: retry_budget.h.
 * Who:    attempts after one that counted as failed. What is sent again because it was in doubt, or
 *         because nothing was accepted (pushback, credentials), is no retry.
 * Turn:   first come, first paid. A paid retry passes the other gates like any work; what it did
 *         not use is given back.
 */
#ifndef REFRESHD_SCHEDULER_RETRY_GATE_H
#define REFRESHD_SCHEDULER_RETRY_GATE_H

#include "scheduler/core.h"

/* May the next attempt of a waiting job pass? False: it waits in the queue of its provider. */
bool retry_gate_pass(struct scheduler *scheduler, uint32_t job);
/* Take it out of that queue. Requires: it waits there. */
void retry_gate_leave(struct scheduler *scheduler, uint32_t job);
/* Its attempt goes out: earned, or spent. */
void retry_gate_initiated(struct scheduler *scheduler, uint32_t job);
/* It ends, whatever became of what it was paid. */
void retry_gate_ended(struct scheduler *scheduler, uint32_t job);
/* Pay for those that wait. */
void retry_gate_advance(struct scheduler *scheduler);

#endif
