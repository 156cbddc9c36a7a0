/* SPDX-License-Identifier: MIT
 *
 * job.h - the life of a job: creation, its one outstanding request, waits, its end.
 *
 * Layer:  scheduler (pure), private to this folder. Moves: job_state.h. Judging answers: answer.h.
 * Timers: a job has at most one wait on each clock: jobs_mono (backoff, poll time, give-up) and
 *         jobs_utc (cooldown and quota waits, pauses, deadline). A request outstanding has none, so
 * a job is never closed under a request.
 */
#ifndef REFRESHD_SCHEDULER_JOB_H
#define REFRESHD_SCHEDULER_JOB_H

#include "scheduler/core.h"

/* Take a free place; NONE_INDEX when none is free (and says needs_reserve early enough). */
uint32_t job_create(struct scheduler *scheduler, uint32_t consent, uint32_t slot,
                    enum trigger trigger, enum job_state state);
/* The only function that changes a state. */
void job_set_state(struct scheduler *scheduler, uint32_t job, enum job_state state);

struct run *job_run(const struct scheduler *scheduler, const struct job *job); /* NULL: manual */
struct provider *job_provider(const struct scheduler *scheduler, const struct job *job);
struct utc_time job_deadline(const struct scheduler *scheduler, const struct job *job);
const struct retry_settings *job_retry_settings(const struct scheduler *scheduler,
                                                const struct job *job);
/* The node that a pushback blocks: the institution, or the provider where there is none. */
struct limit_node *job_pushback_node(struct scheduler *scheduler, const struct job *job);
/* Until when the provider asked for a pause there; now, or earlier: it asks for none. */
struct utc_time job_pushed_back_until(struct scheduler *scheduler, const struct job *job);

/* Record the next attempt and ask for its request. Limits were asked before. */
void job_initiate(struct scheduler *scheduler, uint32_t job);
/* Ask for the queued poll or look-up. */
void job_call(struct scheduler *scheduler, uint32_t job);
void job_request_sent(struct scheduler *scheduler, uint32_t job, struct mono_time at,
                      struct utc_time at_utc);
/* The outstanding request has ended. */
void job_request_ended(struct scheduler *scheduler, uint32_t job, bool reached_socket);

/* Wait for the turn to poll or look up. */
void job_queue_call(struct scheduler *scheduler, uint32_t job, enum request_kind request);
/* Take it out of whatever queue it waits in. */
void job_unqueue(struct scheduler *scheduler, uint32_t job);

/* Everything but the limit nodes' gates for the next attempt of a waiting job. True: it may go
 * now. False: it was parked or closed. */
bool job_judge(struct scheduler *scheduler, uint32_t job);
/* Judge, and queue it if it may go. */
void job_consider(struct scheduler *scheduler, uint32_t job);
/* Waiting jobs that a pause or closed hours hold, and no backoff, are judged again; of one consent,
 * or with NONE_INDEX of all. */
void job_reconsider_closed(struct scheduler *scheduler, uint32_t consent);
/* Its waits on both clocks are due. */
void job_on_time(struct scheduler *scheduler, uint32_t job);

/* The attempt ended with `verdict`/`reason`: try again after backoff, or close. */
void job_retry(struct scheduler *scheduler, uint32_t job, const struct evidence *evidence);
/* The attempt was refused without counting (pushback, credentials): again when its gate opens. */
void job_replay(struct scheduler *scheduler, uint32_t job, enum reason reason);
/* Tell people what it waits for. */
void job_record_state(struct scheduler *scheduler, uint32_t job, struct utc_time next,
                      enum reason reason, const struct evidence *evidence);
/* Close with the last counted attempt's verdict, or skipped/`reason` when none counted. */
void job_close_waiting(struct scheduler *scheduler, uint32_t job, enum reason reason,
                       const struct evidence *evidence);
void job_close(struct scheduler *scheduler, uint32_t job, enum outcome outcome, enum reason reason,
               const struct evidence *evidence);
/* The job was followed for as long as the settings say: look-ups end without a verdict, jobs close
 * unknown. */
void job_give_up(struct scheduler *scheduler, uint32_t job);
/* unknown/in_doubt, and nothing else for this consent until the doubt is over. */
void job_close_in_doubt(struct scheduler *scheduler, uint32_t job, const struct evidence *evidence);

#endif
