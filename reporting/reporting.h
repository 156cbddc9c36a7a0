/* SPDX-License-Identifier: MIT
 *
 * reporting.h - the reporting database: facts and dimensions for pipelines and BI tools.
 *
 * Layer:  reporting. One thread of its own reads the outbox through a read-only connection to the
 *         state database and writes the reporting database in batches; a slow disk or a long reader
 *         there never slows a night. Everything is written by key, so delivering twice is the same
 *         as delivering once.
 * Thread: _start, _wake, _delivered, _stop are called from the main thread only.
 */
#ifndef REFRESHD_REPORTING_REPORTING_H
#define REFRESHD_REPORTING_REPORTING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"
#include "config/config.h"

struct reporting;

/* Start delivering (state database of `config` must exist). With no reporting database configured
 * `*reporting` is NULL and that is fine: every call below takes NULL. `delivered`: where the outbox
 * says that delivery stands. */
MUST_CHECK enum result reporting_start(const struct config *config, int64_t delivered,
                                       struct reporting **reporting, struct fault *fault);
/* There may be new facts; cheap, call after commits. */
void reporting_wake(struct reporting *reporting);
/* Highest sequence that is durable in the reporting database: give it to outbox_delivered. */
int64_t reporting_delivered(struct reporting *reporting);
/* The last trouble, once ("" when there was none since the last call): for the log. */
bool reporting_trouble(struct reporting *reporting, struct fault *fault);
/* Deliver what is there, for at most `wait_ms`, publish the snapshot, and end the thread. True:
 * everything up to `sequence` is delivered. */
bool reporting_stop(struct reporting *reporting, int64_t sequence, int64_t wait_ms);

/* A run has closed: publish snapshot and export once its facts are delivered. */
void reporting_run_closed(struct reporting *reporting, uint32_t run);

/* `db rebuild-reporting`: make the reporting database anew from the state database, keeping facts
 * that are older than what state still holds. Works without the lock (reads a snapshot). */
MUST_CHECK enum result reporting_rebuild(const struct config *config,
                                         void (*progress)(void *context, uint64_t rows),
                                         void *context, struct fault *fault);

#endif
