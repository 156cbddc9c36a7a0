/* SPDX-License-Identifier: MIT
 *
 * answer.h - what an answer means for its job: the judge of design section 4.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Counts: an attempt is used up by every answer but pushback, cooldown and refused credentials.
 * Charge: an initiation is charged when it goes out; an answer that refuses it, or attaches it to a
 *         job that was there before, takes the charge back.
 */
#ifndef REFRESHD_SCHEDULER_ANSWER_H
#define REFRESHD_SCHEDULER_ANSWER_H

#include "scheduler/core.h"

/* The answer to the outstanding request of `job`. An answer that nobody waits for does nothing. */
void answer_take(struct scheduler *scheduler, uint32_t job, enum request_kind request,
                 const struct answer *answer, const struct evidence *evidence);
/* Somebody told us something about the job: poll soon, or learn the id of a job in doubt. */
void answer_take_webhook(struct scheduler *scheduler, uint32_t job, uint64_t reference_hash,
                         const struct evidence *evidence);
/* A consent look-up ended (LOOK_UP_NONE: without a word): close what waited for it. A job that
 * needs its customer may be refined to suspended; one that failed, to one that needs its customer.
 */
void answer_looked_up(struct scheduler *scheduler, uint32_t job, enum look_up_verdict verdict,
                      const struct evidence *evidence);

/* Shared by the answers to initiations (answer.c) and to polls (answer_poll.c). */
void answer_to_poll(struct scheduler *scheduler, uint32_t job, const struct answer *answer,
                    const struct evidence *evidence);
void answer_end_job(struct scheduler *scheduler, uint32_t job, enum outcome outcome,
                    const struct answer *answer, const struct evidence *evidence);
void answer_reconnect(struct scheduler *scheduler, uint32_t job, const struct answer *answer,
                      const struct evidence *evidence);
/* An accepted job failed, and maybe only for want of its customer: look that up, if the definition
 * says so, before it is tried again. */
void answer_job_failed(struct scheduler *scheduler, uint32_t job, const struct answer *answer,
                       const struct evidence *evidence);
/* The job failed for a passing reason: again, if the retry rules allow. */
void answer_fail_and_retry(struct scheduler *scheduler, uint32_t job, enum reason reason,
                           const struct evidence *evidence);
/* Follow an accepted job: first poll and give-up. */
void answer_follow(struct scheduler *scheduler, uint32_t job, int64_t poll_hint_ms);
/* The provider told an instant or a wait for this consent. */
void answer_push_consent(struct scheduler *scheduler, uint32_t job, const struct answer *answer,
                         enum reason reason);

#endif
