/* SPDX-License-Identifier: MIT
 *
 * state_store.h - the state database: what was intended, what happened, what people changed.
 *
 * Layer:  state; the only code that writes state.db. Exactly one connection ever writes or
 *         checkpoints (a safety rule: the WAL-reset bug of SQLite before 3.51.3 needs two), and
 * only the holder of the lock opens it for writing. Commit: state_store_commit writes the records
 * of one batch in one transaction with synchronous=FULL: durable when it returns RESULT_OK, without
 * effect when it does not. Trouble: a full disk gives FAULT_TEMPORARY (try the same batch again
 * later); a failed fsync or a corrupt page gives FAULT_IO: stop, exit 74, check at the next start.
 */
#ifndef REFRESHD_STATE_STATE_STORE_H
#define REFRESHD_STATE_STATE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"
#include "config/config.h"
#include "config/consent_table.h"
#include "scheduler/scheduler.h"
#include "state/evidence.h"

struct state_store;

enum state_access { STATE_READ_WRITE, STATE_READ_ONLY };

/* Open or create `path`. Read-write: takes no lock itself (state_lock.h does), creates with mode
 * 0640, refuses network file systems, migrates forward after a backup, refuses a newer schema
 * (FAULT_DATA naming both versions), runs quick_check after an unclean stop. Read-only: mode=ro,
 * never immutable; FAULT_UNAVAILABLE when there is no database yet. */
MUST_CHECK enum result state_store_open(const char *path, enum state_access access,
                                        struct state_store **store, struct fault *fault);
/* Last checkpoint where writing; the WAL stays (PERSIST_WAL) so that readers can open it. */
void state_store_close(struct state_store *store);

/* Names for the indexes that records carry; borrowed until the next call. Also writes the
 * schedules table (name, revision, spread, timezone, next slot). */
MUST_CHECK enum result state_store_set_config(struct state_store *store,
                                              const struct config *config, struct fault *fault);

/* Commit one batch. `at` stamps rows whose record does not. */
MUST_CHECK enum result state_store_commit(struct state_store *store, const struct batch *batch,
                                          struct fault *fault);
/* After a FAULT_TEMPORARY: can a small transaction be committed again? */
bool state_store_probe(struct state_store *store);

/* ---- population ---- */

/* Make the consents table say what `table` says: new rows get numbers, changed ones are
 * updated, missing ones marked removed. Answers, per row of `table`, its consent number
 * (`numbers`, borrowed until the next call), and calls `on_removed` for each number that is gone.
 * First load of 1M rows: about a second. One transaction. */
MUST_CHECK enum result state_store_sync_consents(
    struct state_store *store, const struct config *config, const struct consent_table *table,
    struct utc_time now, const uint32_t **numbers, uint32_t *number_max,
    void (*on_removed)(void *context, uint32_t consent), void *context, struct fault *fault);

/* Fold the past of consents back into their rows, in number order: at the end of a run and at
 * least every ten minutes. `count` numbers, sorted. All closes up to the last committed ledger
 * number count as folded when `is_complete`. */
MUST_CHECK enum result state_store_fold(struct state_store *store,
                                        const struct scheduler *scheduler, const uint32_t *consents,
                                        uint32_t count, bool is_complete, struct fault *fault);

/* ---- recovery ---- */

/* Texts that the shell needs for an open job. */
struct open_job_texts {
    const char *provider; /* name */
    const char *consent_id;
    const char *customer; /* "" */
    bool customer_is_own_id;
    const char *institution;     /* name */
    const char *provider_job_id; /* NULL: not known */
};
typedef void state_open_job_function(void *context, const struct recovered_job *job,
                                     uint32_t job_slot, const struct open_job_texts *texts);

/* Feed everything that is remembered into the core (scheduler_recover_*), between consent_put
 * and the first step, ending with scheduler_recover_done. Runs of schedules that are gone are
 * closed. `old_member` rows: run membership is judged by the consents table as it was before
 * state_store_sync_consents: see state_recover.c. */
MUST_CHECK enum result state_store_recover(struct state_store *store, const struct config *config,
                                           struct scheduler *scheduler, struct time_now now,
                                           state_open_job_function *on_open_job, void *context,
                                           struct fault *fault);

/* ---- what people change (written at once, each with an audit row) ---- */

struct audit {
    const char *who;     /* "uid 1000 (anna)" */
    const char *action;  /* pause, resume, release, trigger, drain, reload */
    const char *subject; /* finq/7d3e, provider finq, all */
    const char *reason;  /* NULL */
};
MUST_CHECK enum result state_store_audit(struct state_store *store, struct utc_time at,
                                         const struct audit *audit, struct fault *fault);
MUST_CHECK enum result state_store_pause(struct state_store *store, struct utc_time at,
                                         enum scope_kind scope, const char *subject,
                                         struct utc_time until, const struct audit *audit,
                                         struct fault *fault);
MUST_CHECK enum result state_store_resume(struct state_store *store, struct utc_time at,
                                          enum scope_kind scope, const char *subject,
                                          const struct audit *audit, struct fault *fault);

/* ---- webhooks ---- */

/* A webhook, stored before it is answered; `provider_job_id` may be NULL, `job` 0. Kept for ten
 * minutes when its job is not known. */
MUST_CHECK enum result state_store_webhook(struct state_store *store, struct utc_time at,
                                           const char *provider, uint64_t job, uint16_t attempt,
                                           const char *provider_job_id, const char *status,
                                           struct fault *fault);
/* Was a webhook for this provider job id stored in the last ten minutes? */
bool state_store_webhook_seen(struct state_store *store, struct utc_time now, const char *provider,
                              const char *provider_job_id);

/* ---- care ---- */

/* One step of the background care: passive checkpoint, retention in batches of at most 5,000 rows,
 * trimming of the ledger. Cheap when there is nothing to do. */
MUST_CHECK enum result state_store_care(struct state_store *store, struct utc_time now,
                                        struct fault *fault);

/* Instance id of this database (8 hex digits): first part of each job_uid and attempt_uid. */
const char *state_store_instance(const struct state_store *store);

#endif
