/* SPDX-License-Identifier: MIT
 *
 * reporting.h - the reporting database: facts and dimensions for pipelines and BI tools.
 *
 * Layer:  reporting. One thread of its own reads the outbox through a read-only connection to the
 *         state database and writes the reporting database in batches; a slow disk or a long reader
 *         there never slows a night. Everything is written by key, so delivering twice is the same
 *         as delivering once.
 * Runs:   once all facts of a finished run are delivered, its export file is written and the
 *         snapshot is renamed into place; the outbox says when, nobody has to.
 * Healing: a reporting database that is new, was moved away or is older than what was delivered is
 *         filled from everything that the state database still holds, by itself.
 * Thread: all calls come from one thread, the main one.
 */
#ifndef REFRESHD_REPORTING_REPORTING_H
#define REFRESHD_REPORTING_REPORTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"
#include "config/config.h"

struct reporting;

/* Start delivering; the state database of `config` must exist. With no reporting database
 * configured `*reporting` is NULL and that is fine: every call below takes NULL.
 * A fault is something that a person has to mend first: the file cannot be made
 * (FAULT_CANNOT_CREATE, FAULT_PERMISSION), belongs to another program or a newer version
 * (FAULT_DATA). Everything else (locked, full, damaged) shows in reporting_trouble and is tried
 * again: facts wait in the outbox meanwhile. */
MUST_CHECK enum result reporting_start(const struct config *config, int64_t delivered,
                                       struct reporting **reporting, struct fault *fault);
/* After a reload: where exports and snapshot go from now on. reporting.database itself needs a
 * restart. On a fault (out of memory) everything stays as it was. */
MUST_CHECK enum result reporting_configure(struct reporting *reporting, const struct config *config,
                                           struct fault *fault);
/* There may be new facts; cheap, call after commits. */
void reporting_wake(struct reporting *reporting);
/* Highest sequence that is durable in the reporting database: give it to outbox_delivered. Starts
 * at the `delivered` of reporting_start, never goes back. */
int64_t reporting_delivered(const struct reporting *reporting);
/* The last trouble, once: true and why, when there is something that was not told yet. */
bool reporting_trouble(struct reporting *reporting, struct fault *fault);
/* Deliver what is there, publish exports and snapshot, for at most `wait_ms`, and end the thread;
 * `reporting` is gone afterwards. `*delivered` (may be NULL; untouched where `reporting` is) gets
 * what reporting_delivered would say then. True: everything up to `sequence` is durable there. */
bool reporting_stop(struct reporting *reporting, int64_t sequence, int64_t wait_ms,
                    int64_t *delivered);

/* `db rebuild-reporting`: bring the reporting database to what the state database says, and
 * publish the snapshot. Rows that are older than what state still holds stay. A damaged file is
 * renamed to DATABASE.damaged-TIME, and a new one is made; `set_aside` (REPORTING_PATH_BYTES, may
 * be NULL) gets that name, or "". Holds the state lock meanwhile: FAULT_TEMPORARY while a daemon
 * runs, FAULT_USAGE where no reporting database is configured. `progress` may be NULL. */
#define REPORTING_PATH_BYTES 4096
MUST_CHECK enum result reporting_rebuild(const struct config *config,
                                         void (*progress)(void *context, uint64_t rows),
                                         void *context, char *set_aside, struct fault *fault);

#endif
