/* SPDX-License-Identifier: MIT
 *
 * state_maintain.h - care of the state database by hand: verify, back up, prune, migrate.
 *
 * Layer: state; behind `refreshd db`.
 */
#ifndef REFRESHD_STATE_STATE_MAINTAIN_H
#define REFRESHD_STATE_STATE_MAINTAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"
#include "state/state_store.h"

/* One thing that is wrong. `what` is one line. */
typedef void state_problem_function(void *context, const char *what);

/* Read everything and test every invariant that SQL can state: page structure, keys, each closed
 * run adds up, no consent with two open jobs, every job has an attempt, the ledger and the
 * rows agree. Read-only, beside a running daemon too. `*problems` counts; each is also given to
 * `on_problem` (at most 20 of one kind). */
MUST_CHECK enum result state_maintain_verify(const char *database,
                                             state_problem_function *on_problem, void *context,
                                             uint32_t *problems, struct fault *fault);

/* A consistent copy at `target` (refused when it exists), made in steps of 256 pages from a
 * read-only connection, written under a temporary name, synced, renamed. Mode 0640. */
MUST_CHECK enum result state_maintain_backup(const char *database, const char *target,
                                             struct fault *fault);

/* "DATABASE.backup-20261120T234140Z" into `path`. */
void state_maintain_backup_name(const char *database, struct utc_time now, char *path,
                                size_t path_size);

struct prune_counts {
    uint64_t jobs;
    uint64_t attempts;
    uint64_t skips;
    uint64_t runs;
    uint64_t ledger;
    uint64_t consents; /* removed long ago and without history */
    uint64_t others;   /* webhooks, calls, evidence */
};
/* Apply the retention of `store`'s configuration now, to the end, and give free pages back. */
MUST_CHECK enum result state_maintain_prune(struct state_store *store, struct utc_time now,
                                            struct prune_counts *counts, struct fault *fault);

#endif
