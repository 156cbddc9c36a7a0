/* SPDX-License-Identifier: MIT
 *
 * share.h - how much of its provider's concurrency one institution may hold.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Why:    turns alone make starts equal, not places held: a bank whose jobs never end keeps each
 *         place that it gets, until it has them all and its neighbours wait for its give-ups.
 * Base:   each institution with consents has a base share of the provider's jobs_running (and of
 * its requests_in_flight): the limit / such institutions, at least 1. It is never refused. Earned:
 * places beyond the base are earned: each end that the bank answered for, while at least half of
 * the room is in use, adds one (so a lone bank doubles its room with each round of jobs). A bank
 * from which nothing has ended for `patience` (four times what its jobs take, at least a minute)
 * has earned nothing: it falls back to its base share, and so a bank that hangs from its first job
 * never holds more than that, even when nobody else is there. Order:  who holds more than the limit
 * / institutions at work goes after those that hold less, at the same level (work.h); what nobody
 * else can use is theirs. Wake:   an institution without room holds at least one place, and its end
 * opens the institution again: no clock is needed.
 */
#ifndef REFRESHD_SCHEDULER_SHARE_H
#define REFRESHD_SCHEDULER_SHARE_H

#include "scheduler/core.h"

/* REASON_FAIRNESS when the institution has no room for one more initiation. A repeat has its place
 * among the running jobs already. */
struct obstacle share_obstacle(const struct scheduler *scheduler,
                               const struct institution *institution, bool is_repeat);
/* Jobs that the institution may have running now; 0: its provider has no limit. */
uint32_t share_jobs_room(const struct scheduler *scheduler, const struct institution *institution);
/* Does it hold more than an equal part among the institutions at work? */
bool share_is_beyond(const struct scheduler *scheduler, const struct institution *institution);
/* Work or running jobs came or went: is the institution one of those at work? */
void share_note_active(struct scheduler *scheduler, uint32_t institution);
/* Consents to refresh came (+1) or went (-1). */
void share_note_population(struct scheduler *scheduler, uint32_t institution, int change);

/* Its provider has other limits: what was earned fits into them. */
void share_note_limits(struct scheduler *scheduler, uint32_t institution);

/* A job takes its place among the running ones of its institution, or gives it back. */
void share_job_begins(struct scheduler *scheduler, uint32_t job);
void share_job_ends(struct scheduler *scheduler, uint32_t job);
/* The request of an initiation goes out, and was answered. */
void share_request_begins(struct scheduler *scheduler, uint32_t institution);
void share_request_answered(struct scheduler *scheduler, uint32_t institution);

#endif
