/* SPDX-License-Identifier: MIT
 *
 * state_store.h - the state database: what was intended, what happened, what people changed.
 *
 * Layer:  state; the only code that writes state.db. Exactly one connection ever writes or
 *         checkpoints (a safety rule: the WAL-reset bug of SQLite before 3.51.3 needs two), and
 *         only the holder of the lock (state_lock.h) opens it for writing.
 * Order:  open -> set_config -> sync_consents -> recover -> { commit, fold, care } -> close. A
 *         reload is sync_consents with the new configuration.
 * Commit: state_store_commit_records writes the records of one or more batches in one transaction
 *         with synchronous=FULL: durable when it returns RESULT_OK, without effect when not.
 * Faults: a full disk gives FAULT_TEMPORARY (try the same records again later); a failed fsync or
 *         a corrupt page gives FAULT_IO: stop, exit 74, check at the next start.
 * Thread: one store belongs to one thread at a time.
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
#include "state/manifest.h"

struct state_store;

enum state_access { STATE_READ_WRITE, STATE_READ_ONLY };

/* Open or create `path`. Read-write: takes no lock itself (state_lock.h does), creates with mode
 * 0640, refuses network file systems, migrates forward after a backup, refuses a newer schema
 * (FAULT_DATA naming both versions) and a file that is not ours, runs quick_check after an unclean
 * stop. Read-only: mode=ro, never immutable; FAULT_UNAVAILABLE when there is no database yet. */
MUST_CHECK enum result state_store_open(const char *path, enum state_access access,
                                        struct state_store **store, struct fault *fault);
/* Last checkpoint where writing; the WAL stays (PERSIST_WAL) so that readers can open it. NULL is
 * ignored. */
void state_store_close(struct state_store *store);
const char *state_store_path(const struct state_store *store);
/* The last open found that the database had not been closed (kill, power loss). */
bool state_store_was_unclean(const struct state_store *store);
/* Schema version before this open (0: the file was new), and the backup made before a migration
 * ("" when there was none). */
int state_store_schema_version(void); /* that this program brings */
int state_store_migrated_from(const struct state_store *store);
const char *state_store_migration_backup(const struct state_store *store);

/* Names for the indexes that records carry; `config` is borrowed until the next call. Writes
 * providers, schedules and their coming slots. A schedule first seen, or whose revision changed, is
 * accounted for up to `now`: it has nothing to catch up. */
MUST_CHECK enum result state_store_set_config(struct state_store *store,
                                              const struct config *config, struct utc_time now,
                                              struct fault *fault);

/* Commit any run of records in the order in which the core gave them (several batches of one loop
 * turn are one group commit). No records: does nothing. */
MUST_CHECK enum result state_store_commit_records(struct state_store *store,
                                                  const struct record *records, uint32_t count,
                                                  struct fault *fault);

/* ---- population ---- */

/* Make the consents table say what `table` says: new rows get numbers, changed ones are
 * updated, missing ones marked removed (they keep their number and history, and get it back when
 * they return). Answers, per row of `table`, its consent number (`numbers`, borrowed until the next
 * call), and calls `on_removed` (may be NULL) for each number that is gone now. One transaction; on
 * a fault nothing has changed. Of a first load of many, rows are written as records name them, the
 * others by state_store_care: `table` has to live until then, the next sync or close. A `config`
 * that is not the one of set_config is taken with it (a reload needs no set_config of its own):
 * both or none. Call it before the core is told: a run that opens later has these consents. */
MUST_CHECK enum result state_store_sync_consents(
    struct state_store *store, const struct config *config, const struct consent_table *table,
    struct utc_time now, const uint32_t **numbers, uint32_t *number_max,
    void (*on_removed)(void *context, uint32_t consent), void *context, struct fault *fault);

/* Number of "PROVIDER/ID" as of the last sync, removed ones too; 0: unknown. */
uint32_t state_store_find_consent(struct state_store *store, const char *consent);

/* Write the past of consents that changed since their last fold back into their rows, in number
 * order, at most `rows_max` of them in one transaction. The store knows which they are. Call
 * repeatedly until `*is_complete`, at the end of a run and at least every ten minutes, with nothing
 * uncommitted in the core. */
MUST_CHECK enum result state_store_fold(struct state_store *store,
                                        const struct scheduler *scheduler, uint32_t rows_max,
                                        bool *is_complete, struct fault *fault);

/* ---- recovery ---- */

/* Texts that the shell needs for an open job. */
struct open_job_texts {
    const char *provider; /* name */
    const char *consent_id;
    const char *customer; /* "" */
    bool customer_is_own_id;
    const char *institution;     /* name; "-" none */
    const char *provider_job_id; /* NULL: not known */
};
typedef void state_open_job_function(void *context, const struct recovered_job *job,
                                     uint32_t job_slot, const struct open_job_texts *texts);

/* Feed everything that is remembered into the core (scheduler_recover_*), after consent_put of the
 * whole population and before the first step, ending with scheduler_recover_done. Whatever the
 * configuration became meanwhile: the members of an open run are those that it opened with; a run
 * whose schedule is gone is closed, its unsent slots skipped as `removed`, and so are slots of
 * consents that are gone. An open job of a consent that is gone is followed to its end as long
 * as its provider is configured, else closed `unknown`/`configuration`. */
MUST_CHECK enum result state_store_recover(struct state_store *store, const struct config *config,
                                           struct scheduler *scheduler, struct time_now now,
                                           state_open_job_function *on_open_job, void *context,
                                           struct fault *fault);

/* Each pause that is in force at `now`, by the indexes of the configuration and the population that
 * were written last. One of something that is not there is left out: ask again when they change. */
typedef void state_pause_function(void *context, enum scope_kind scope, uint32_t index,
                                  struct utc_time until);
MUST_CHECK enum result state_store_each_pause(struct state_store *store, struct utc_time now,
                                              state_pause_function *on_pause, void *context,
                                              struct fault *fault);

/* The run of `once` over `schedule` (a name) that was not finished: the newest. `*run` is 0 when
 * there is none. state_store_recover has fed it; it goes on by itself if its deadline is ahead. */
MUST_CHECK enum result state_store_find_unfinished(struct state_store *store, const char *schedule,
                                                   uint32_t *run, struct utc_time *deadline,
                                                   struct fault *fault);
/* `once --new`, or a deadline that has passed: before recover, close every unfinished run of
 * `once` over `schedule`: unsent slots become `skipped`/`superseded`; open jobs go on alone. */
MUST_CHECK enum result state_store_abandon_unfinished(struct state_store *store,
                                                      const char *schedule, struct utc_time now,
                                                      struct fault *fault);
/* What `once` narrows its next runs to, so that recovery knows their members: NULL: everything.
 * Call before the step that opens the run. */
MUST_CHECK enum result state_store_narrow_once(struct state_store *store, const char *consent,
                                               const char *institution, struct fault *fault);

/* ---- runs ---- */

/* Counted from rows while open, as recorded when closed. FAULT_DATA: no such run. */
MUST_CHECK enum result state_store_run_manifest(struct state_store *store, uint32_t run,
                                                struct manifest *manifest, struct fault *fault);
/* By run id, or "last": the one that opened last. */
MUST_CHECK enum result state_store_find_run(struct state_store *store, const char *run_id,
                                            uint32_t *run, struct fault *fault);
/* Slots of a run that have no outcome: "PROVIDER/ID", at most `limit`; `*count` is all of them. */
MUST_CHECK enum result state_store_open_slots(struct state_store *store, uint32_t run,
                                              uint32_t limit,
                                              void (*on_slot)(void *context, const char *consent),
                                              void *context, uint32_t *count, struct fault *fault);

/* ---- what people change (written at once, each with an audit row) ---- */

struct audit {
    const char *who;     /* "uid 1000 (anna)" */
    const char *action;  /* pause, resume, release, trigger, drain, reload */
    const char *subject; /* finq/7d3e, provider finq, all */
    const char *reason;  /* NULL */
};
MUST_CHECK enum result state_store_audit(struct state_store *store, struct utc_time at,
                                         const struct audit *audit, struct fault *fault);
/* `subject` as SCOPE_ALL "", SCOPE_PROVIDER "finq", SCOPE_INSTITUTION "finq/BRD", SCOPE_SCHEDULE
 * "nightly", SCOPE_CONSENT "finq/7d3e". A second pause of the same replaces the first. */
MUST_CHECK enum result state_store_pause(struct state_store *store, struct utc_time at,
                                         enum scope_kind scope, const char *subject,
                                         struct utc_time until, const struct audit *audit,
                                         struct fault *fault);
MUST_CHECK enum result state_store_resume(struct state_store *store, struct utc_time at,
                                          enum scope_kind scope, const char *subject,
                                          const struct audit *audit, struct fault *fault);

/* Has there ever been an institution "PROVIDER/NAME"? */
MUST_CHECK enum result state_store_knows_institution(struct state_store *store, const char *name,
                                                     bool *known, struct fault *fault);

/* Forget what was learned about a provider's node and all its institutions, or about one of them
 * (`institution` not NULL). FAULT_USAGE where the database does not know the institution. */
MUST_CHECK enum result state_store_reset_node(struct state_store *store, struct utc_time at,
                                              const char *provider, const char *institution,
                                              const struct audit *audit, struct fault *fault);

/* ---- webhooks ---- */

struct webhook_row {
    const char *provider;
    uint64_t job; /* of its token; 0: it has none */
    uint16_t attempt;
    const char *provider_job_id; /* NULL */
    const char *status;          /* NULL */
};

/* Webhooks, stored in one transaction before they are answered; kept for ten minutes. */
MUST_CHECK enum result state_store_webhooks(struct state_store *store, struct utc_time at,
                                            const struct webhook_row *rows, uint32_t count,
                                            struct fault *fault);
/* Call `told` for each provider job id that a webhook has told of an open job by its token, oldest
 * first. */
MUST_CHECK enum result state_store_webhooks_told(struct state_store *store,
                                                 void (*told)(void *context, uint64_t job,
                                                              uint16_t attempt,
                                                              const char *provider_job_id),
                                                 void *context, struct fault *fault);
/* Was a webhook for this provider job id stored in the last ten minutes? */
bool state_store_webhook_seen(struct state_store *store, struct utc_time now, const char *provider,
                              const char *provider_job_id);

/* ---- limits, for v1_limits ---- */

struct limit_row {
    const char *provider;
    const char *institution;     /* NULL: the provider's own node */
    const char *configured_rate; /* "20/s 600/min"; NULL: none */
    const char *learned_rate;    /* NULL: none */
    uint32_t requests_in_flight;
    uint32_t jobs_running;
    uint32_t waiting;
    const char *breaker;        /* closed, open, probing */
    struct utc_time not_before; /* UTC_NONE: open */
    enum reason not_before_reason;
};
/* Replace what v1_limits shows. */
MUST_CHECK enum result state_store_limits(struct state_store *store, struct utc_time at,
                                          const struct limit_row *rows, uint32_t count,
                                          struct fault *fault);

/* ---- warnings ---- */

/* Up to when, and for consents up to which number, people were warned of ends to come; UTC_NONE:
 * never. */
MUST_CHECK enum result state_store_warned(struct state_store *store, struct utc_time *until,
                                          uint32_t *number, struct fault *fault);
MUST_CHECK enum result state_store_set_warned(struct state_store *store, struct utc_time until,
                                              uint32_t number, struct fault *fault);

/* ---- care ---- */

/* Retention alone, for `db prune`, which needs nothing else of the configuration. */
void state_store_set_retention(struct state_store *store, const struct config *config);

/* One step of the background care: passive checkpoint when enough has been written, retention in
 * batches of at most 5,000 rows, trimming of the ledger, hourly marks. Cheap when there is nothing
 * to do; call every few seconds. `*more`: there is more to do now. */
MUST_CHECK enum result state_store_care(struct state_store *store, struct utc_time now, bool *more,
                                        struct fault *fault);
/* Passive checkpoint when the log has grown beyond its mark (about 64 MB); call after a commit.
 * Never fails a commit: trouble shows at the next one. */
void state_store_checkpoint_if_due(struct state_store *store);

struct state_store_metrics {
    uint64_t commits;
    int64_t commit_us_last;
    int64_t commit_us_max;
    int64_t wal_bytes;
    int64_t database_bytes;
    int64_t ledger_last;
    int64_t ledger_delivered; /* to reporting */
    uint32_t unfolded;        /* consents whose row lags */
};
void state_store_metrics(struct state_store *store, struct state_store_metrics *metrics);

/* Instance id of this database (8 hex digits): first part of each job_uid and attempt_uid. */
const char *state_store_instance(const struct state_store *store);
#define STATE_UID_SIZE 40
/* "INSTANCE-00000000002a" and "INSTANCE-00000000002a-1" (attempt 0: the job's). */
char *state_store_uid(const struct state_store *store, uint64_t job, uint16_t attempt,
                      char text[STATE_UID_SIZE]);

#endif
