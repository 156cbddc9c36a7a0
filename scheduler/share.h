/* SPDX-License-Identifier: MIT
 *
 * share.h - how much of its provider's concurrency one institution may hold.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Why:    turns alone make starts equal, not places held: a bank whose jobs never end keeps each
 *         place that it gets, until it has them all and its neighbours wait for its give-ups.
 * Base:   each institution with consents has a base share of its provider's jobs_running (and of
 *         its requests_in_flight): the limit / such institutions, at least 1. Nobody else's work
 *         takes it away.
 * Earned: each end that the bank answered for, while at least half of its room is in use, adds a
 *         place (so a lone bank doubles its room with each round of jobs). A bank from which
 *         nothing has ended for `patience` (four times what its jobs take, at least a minute) has
 *         earned nothing. One that hangs from its first job on never holds more than the base
 *         share, even when nobody else is there.
 * Stuck:  jobs that run for more than eight of the bank's usual durations, at least two minutes.
 *         Each halves what the bank has earned. A bank with more of them than its base share (or a
 *         32nd of the limit) has earned nothing: its other jobs have the base share. With an
 *         eighth of the limit more it starts nothing until one of its jobs ends.
 * Kept:   the last eighth of the places, as far as institutions with unsent slots of open runs
 *         have base shares to come, is not lent. A bank that earned everything while it was alone
 *         and then hangs does not keep the others from starting.
 * Order:  who holds more than the limit / institutions at work goes after those that hold less, at
 *         the same level (work.h). What nobody else can use is theirs.
 * Wake:   an institution without room holds at least one place, and its end opens the institution
 *         again; who is kept out comes in when places are free and nobody else is ready. No clock
 *         is needed.
 */
#ifndef REFRESHD_SCHEDULER_SHARE_H
#define REFRESHD_SCHEDULER_SHARE_H

#include "scheduler/core.h"

/* REASON_FAIRNESS when the institution has no room for one more initiation. A repeat has its place
 * among the running jobs already. */
struct obstacle share_obstacle(const struct scheduler *scheduler,
                               const struct institution *institution, bool is_repeat);
/* Does it hold more than an equal part among the institutions at work? */
bool share_is_beyond(const struct scheduler *scheduler, const struct institution *institution);
/* Work or running jobs came or went: is the institution one of those at work? */
void share_note_active(struct scheduler *scheduler, uint32_t institution);
/* Consents to refresh came (+1) or went (-1). */
void share_note_population(struct scheduler *scheduler, uint32_t institution, int change);

/* Its provider has other limits: what was earned fits into them. */
void share_note_limits(struct scheduler *scheduler, uint32_t institution);

/* `change` more or fewer slots of open runs wait for a job. */
void share_note_unsent(struct scheduler *scheduler, uint32_t institution, int64_t change);
/* The institution was refused: it may have to wait for places that are kept free. */
void share_refused(struct scheduler *scheduler, uint32_t institution);
/* Nobody else is ready: let in one of those that are kept out, if a place is free for it. */
bool share_let_in(struct scheduler *scheduler, struct provider *provider);
/* Which of its running jobs are stuck by now? */
void share_look_for_stuck(struct scheduler *scheduler, uint32_t institution);

/* A job takes its place among the running ones of its institution, or gives it back. */
void share_job_begins(struct scheduler *scheduler, uint32_t job);
void share_job_ends(struct scheduler *scheduler, uint32_t job);
/* The request of an initiation goes out, and was answered. */
void share_request_begins(struct scheduler *scheduler, uint32_t institution);
void share_request_answered(struct scheduler *scheduler, uint32_t institution);

#endif
