/* SPDX-License-Identifier: MIT
 *
 * deadline_pace.h - the pace of a run follows what is left of its work and of its time.
 *
 * Layer:    scheduler (pure), private to this folder.
 * Count:    what is unsent is counted per run and institution as it happens.
 * Review:   about once a minute (a hundredth of shorter windows) each open run is compared with
 *           what its nodes let through until the deadline: configured rates, learned paces, running
 *           jobs at their usual duration, closed hours. It costs a look at each institution, not at
 *           each slot.
 * Pull:     slots keep their stable offsets while the work fits. Where what is left would not fit
 *           any more if one more review passed idly, sleeping slots of that institution (or
 *           provider) are woken early, those with the latest offsets, as many as keep it busy. The
 *           goal is the deadline less a margin of a twentieth of the window, at least the usual
 *           duration of a job. Slots whose own offset lies behind it, or in hours that stay
 *           closed until then, are woken early at an even pace, begun when that is twice their own.
 * Skip:     what exceeds the most that the configured rates let through cannot be sent any more,
 *           whatever happens: it is skipped at once with reason `deadline`, lowest priority first,
 *           latest offset first. Slots for which nothing would be sent anyway (held, expired, ...)
 *           are counted out before, by a census of the run's slots, at most every ten minutes.
 * Warn:     what only should not fit (running jobs, usual durations, other runs) is never skipped
 *           early: the forecast says so (scheduler_run_view), and the shell tells people.
 */
#ifndef REFRESHD_SCHEDULER_DEADLINE_PACE_H
#define REFRESHD_SCHEDULER_DEADLINE_PACE_H

#include "scheduler/core.h"

/* A slot without a job came into a run, or got a job or an end. */
void deadline_pace_slot_came(struct scheduler *scheduler, uint32_t slot);
void deadline_pace_slot_went(struct scheduler *scheduler, uint32_t slot);
/* The consent's institution becomes `to`: its unsent slots count there. */
void deadline_pace_consent_moves(struct scheduler *scheduler, uint32_t consent, uint32_t to);
/* Start counting a run whose place may have been used before. */
void deadline_pace_begin(struct scheduler *scheduler, struct run *run);
/* Count a recovered run, of which no slot has a job yet, anew. */
void deadline_pace_recount(struct scheduler *scheduler, struct run *run);
/* A request goes out: how many polls a job takes is learned. */
void deadline_pace_request(struct provider *provider, enum request_kind request);
/* Review the run when it is time to, and go on with what follows from it. Requires: opened, before
 * its deadline. */
void deadline_pace_advance(struct scheduler *scheduler, struct run *run);
/* The count of a run at an institution. */
struct deadline_cell *deadline_pace_cell(const struct scheduler *scheduler, const struct run *run,
                                         uint32_t institution);

#endif
