/* SPDX-License-Identifier: MIT
 *
 * state_recover.h - what the files of recovery share; nobody outside state/ includes it.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_STATE_RECOVER_H
#define REFRESHD_STATE_STATE_RECOVER_H

#include "state/state_private.h"

struct recovery {
    struct state_store *store;
    const struct config *config;
    struct scheduler *scheduler;
    struct time_now now;
    state_open_job_function *on_open_job;
    void *context;
    uint8_t *slots;               /* by consent number, of the run at hand: enum slot_mark */
    struct number_set unfollowed; /* consents whose open job nobody can follow */
    /* Only looking (state_look.h): what a start would write is left out. */
    bool is_looking;
    bool is_live; /* looking while somebody works on it: what has no answer yet is under way */
};

/* state_recover_past.c: consents, attempts, calls. */
MUST_CHECK enum result state_recover_past(struct recovery *recovery, struct fault *fault);
/* state_recover_run.c: open runs and their members. Writes the skips of members that are gone. */
MUST_CHECK enum result state_recover_runs(struct recovery *recovery, struct fault *fault);
/* state_recover_job.c: open jobs. Those that nobody can follow are closed before the runs are read:
 * their slots have ended. */
MUST_CHECK enum result state_recover_unfollowed(struct recovery *recovery, struct fault *fault);
MUST_CHECK enum result state_recover_jobs(struct recovery *recovery, struct fault *fault);

/* Take a run out of the core's hands: unsent slots are skipped for `reason`, jobs go on alone, it
 * closes with the last of them (at once when there is none). Inside a transaction. */
MUST_CHECK enum result state_recover_orphan(struct recovery *recovery, uint32_t run,
                                            enum reason reason, struct fault *fault);
/* Close orphans whose last job has closed. Inside a transaction. */
MUST_CHECK enum result state_recover_close_orphans(struct state_store *store, struct utc_time at,
                                                   struct fault *fault);
/* Index in the configuration, or UINT32_MAX. */
uint32_t state_recover_schedule_index(const struct state_store *store, int64_t schedule_no);

#endif
