/* SPDX-License-Identifier: MIT
 * state_care.c - checkpoints, retention, trimming: a little at a time, off the hot path. */
#include "state/state_care.h"

#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>

#include "state/state_load.h"

#define CARE_BATCH 5000
#define LOAD_ROWS 10000 /* of a first load, at a time: about 20 ms */
#define RETENTION_EVERY_MS (10 * MS_PER_MINUTE)
#define WEBHOOK_KEPT_MS (10 * MS_PER_MINUTE)
#define CALLS_KEPT_MS (2 * MS_PER_DAY)

void state_store_checkpoint_if_due(struct state_store *store)
{
    int log_pages = 0;
    int done_pages = 0;

    if (store->wal_pages < STATE_WAL_PAGES_DUE)
        return;
    (void)sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_PASSIVE, &log_pages,
                                    &done_pages);
    /* Pages that a reader holds back are tried again after as many more. */
    store->wal_pages = log_pages > 0 ? log_pages - done_pages : 0;
}

/* Run `sql` with ?1 bound to `value`; how many rows it changed. */
static enum result change_rows(struct state_store *store, const char *sql, int64_t value,
                               uint64_t *rows, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db, sql, &statement, "tidy up", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, value);
    result = state_sql_run(store, statement, "tidy up", fault);
    if (result == RESULT_OK)
        *rows += (uint64_t)sqlite3_changes(store->db);
    sqlite3_finalize(statement);
    return result;
}

/* ---- marks and the ledger ---- */

static enum result write_mark(struct state_store *store, struct utc_time now, struct fault *fault)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO job_mark (at_ms, job_no) SELECT ?1, coalesce("
        "(SELECT job_no FROM job WHERE job_no >="
        " (SELECT job_no FROM job_mark ORDER BY at_ms DESC LIMIT 1) AND finished_ms IS NULL"
        " ORDER BY job_no LIMIT 1), (SELECT coalesce(max(job_no), 0) + 1 FROM job))";
    uint64_t rows = 0;

    return change_rows(store, sql, now.ms, &rows, fault);
}

/* Without a reporting database nobody waits for the ledger. */
static enum result skip_delivery(struct state_store *store, struct fault *fault)
{
    uint64_t rows = 0;

    if (store->has_reporting)
        return RESULT_OK;
    store->delivered_seq = store->last_seq;
    return change_rows(store, "UPDATE meta SET delivered_seq = ?1", store->last_seq, &rows, fault);
}

/* When nothing waits to be folded, everything is. */
static enum result advance_watermark(struct state_store *store, struct fault *fault)
{
    uint64_t rows = 0;

    if (store->dirty.count != 0 || store->folding.count != 0 || !store->is_recovered)
        return RESULT_OK;
    return change_rows(store,
                       "UPDATE meta SET folded_seq = ?1, folded_job_no = coalesce("
                       "(SELECT job_no FROM job WHERE job_no >= folded_job_no"
                       " AND finished_ms IS NULL ORDER BY job_no LIMIT 1),"
                       " (SELECT coalesce(max(job_no), 0) + 1 FROM job)), folded_run_no = coalesce("
                       "(SELECT min(run_no) FROM run WHERE finished_ms IS NULL),"
                       " (SELECT coalesce(max(run_no), 0) + 1 FROM run))"
                       " WHERE folded_seq < ?1",
                       store->last_seq, &rows, fault);
}

enum result state_care_trim_ledger(struct state_store *store, uint64_t *rows, struct fault *fault)
{
    static const char sql[] =
        "DELETE FROM ledger WHERE seq <= (SELECT min(folded_seq, delivered_seq) FROM meta)"
        " AND seq < (SELECT max(seq) FROM ledger)"
        " AND seq < (SELECT min(seq) FROM ledger) + ?1";

    return change_rows(store, sql, CARE_BATCH, rows, fault);
}

/* ---- retention ---- */

/* A job whose attempts go keeps what the views show of them. */
static enum result prune_attempts(struct state_store *store, struct utc_time now,
                                  struct prune_counts *counts, struct fault *fault)
{
    static const char keep_sql[] =
        "UPDATE job SET"
        " started_ms = coalesce(started_ms, (SELECT min(a.sent_ms) FROM attempt AS a"
        "  WHERE a.attempt_key BETWEEN job.job_no << 16 AND (job.job_no << 16) + 65535)),"
        " provider_job_id = coalesce(provider_job_id, (SELECT a.provider_job_id FROM attempt AS a"
        "  WHERE a.attempt_key BETWEEN job.job_no << 16 AND (job.job_no << 16) + 65535"
        "  AND a.provider_job_id IS NOT NULL ORDER BY a.attempt_key DESC LIMIT 1)),"
        " error_code = coalesce(error_code, (SELECT a.error_code FROM attempt AS a"
        "  WHERE a.attempt_key = (job.job_no << 16) + job.attempts)),"
        " error_message = coalesce(error_message, (SELECT a.error_message FROM attempt AS a"
        "  WHERE a.attempt_key = (job.job_no << 16) + job.attempts))"
        " WHERE job_no IN (SELECT DISTINCT attempt_key >> 16 FROM (SELECT attempt_key FROM attempt"
        "  ORDER BY attempt_key LIMIT 5000)) AND finished_ms < ?1";
    static const char delete_sql[] =
        "DELETE FROM attempt WHERE attempt_key IN (SELECT attempt_key FROM attempt"
        " ORDER BY attempt_key LIMIT 5000) AND EXISTS (SELECT 1 FROM job AS j"
        " WHERE j.job_no = attempt_key >> 16 AND j.finished_ms < ?1)";
    int64_t before = now.ms - store->retain_attempts_ms;
    uint64_t kept = 0;

    if (change_rows(store, keep_sql, before, &kept, fault) != RESULT_OK)
        return RESULT_FAULT;
    return change_rows(store, delete_sql, before, &counts->attempts, fault);
}

/* Only what is folded and delivered; the last row of a table stays, so that numbers go on. */
static enum result prune_jobs(struct state_store *store, struct utc_time now,
                              struct prune_counts *counts, struct fault *fault)
{
    int64_t before = now.ms - store->retain_jobs_ms;

    if (change_rows(store,
                    "DELETE FROM job WHERE job_no IN (SELECT job_no FROM job ORDER BY job_no"
                    " LIMIT 5000) AND finished_ms < ?1"
                    " AND closed_seq <= (SELECT min(folded_seq, delivered_seq) FROM meta)"
                    " AND job_no < (SELECT max(job_no) FROM job)"
                    " AND NOT EXISTS (SELECT 1 FROM attempt AS a WHERE a.attempt_key"
                    " BETWEEN job.job_no << 16 AND (job.job_no << 16) + 65535)"
                    " AND NOT EXISTS (SELECT 1 FROM run AS r WHERE r.run_no = job.run_no"
                    " AND r.finished_ms IS NULL)",
                    before, &counts->jobs, fault) != RESULT_OK ||
        change_rows(store,
                    "DELETE FROM skip WHERE (run_no, consent_no) IN (SELECT k.run_no, k.consent_no"
                    " FROM skip AS k ORDER BY k.run_no LIMIT 5000) AND run_no IN (SELECT run_no"
                    " FROM run WHERE finished_ms < ?1)"
                    " AND seq <= (SELECT min(folded_seq, delivered_seq) FROM meta)",
                    before, &counts->skips, fault) != RESULT_OK)
        return RESULT_FAULT;
    return change_rows(store,
                       "DELETE FROM run WHERE finished_ms < ?1"
                       " AND run_no < (SELECT max(run_no) FROM run)"
                       " AND NOT EXISTS (SELECT 1 FROM skip AS k WHERE k.run_no = run.run_no)"
                       " AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.job_no"
                       " BETWEEN run.first_job_no AND run.last_job_no AND j.run_no = run.run_no)"
                       " AND run_no IN (SELECT run_no FROM run ORDER BY run_no LIMIT 100)",
                       before, &counts->runs, fault);
}

static enum result prune_others(struct state_store *store, struct utc_time now,
                                struct prune_counts *counts, struct fault *fault)
{
    const struct {
        const char *sql;
        int64_t value;
    } steps[] = {
        {"DELETE FROM webhook WHERE webhook_no IN (SELECT webhook_no FROM webhook"
         " ORDER BY webhook_no LIMIT 5000) AND at_ms < ?1",
         now.ms - WEBHOOK_KEPT_MS},
        {"DELETE FROM calls WHERE second < ?1 AND second < (SELECT min(second) FROM calls) + 5000",
         (now.ms - CALLS_KEPT_MS) / MS_PER_SECOND},
        {"DELETE FROM evidence WHERE evidence_no IN (SELECT evidence_no FROM evidence"
         " ORDER BY evidence_no LIMIT 5000) AND at_ms < ?1",
         now.ms - store->retain_attempts_ms},
        {"DELETE FROM job_mark WHERE at_ms > 0 AND at_ms < ?1",
         now.ms - QUOTA_WINDOW_MS_MAX - MS_PER_DAY},
        {"DELETE FROM pause WHERE until_ms < ?1", now.ms},
    };

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (change_rows(store, steps[i].sql, steps[i].value, &counts->others, fault) != RESULT_OK)
            return RESULT_FAULT;
    if (change_rows(store,
                    "DELETE FROM membership_past WHERE until_run_no < (SELECT coalesce("
                    "(SELECT min(run_no) FROM run WHERE finished_ms IS NULL), ?1))",
                    INT64_MAX, &counts->others, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (change_rows(store,
                    "DELETE FROM consent WHERE removed_ms < ?1"
                    " AND consent_no < (SELECT max(consent_no) FROM consent)"
                    " AND NOT EXISTS (SELECT 1 FROM job AS j"
                    " WHERE j.consent_no = consent.consent_no)"
                    " AND NOT EXISTS (SELECT 1 FROM membership_past AS m"
                    " WHERE m.consent_no = consent.consent_no)"
                    " AND NOT EXISTS (SELECT 1 FROM skip)"
                    " AND (SELECT max(seq) FROM ledger) <= (SELECT delivered_seq FROM meta)",
                    now.ms - store->retain_jobs_ms, &counts->consents, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (counts->consents == 0)
        return RESULT_OK;
    return change_rows(store,
                       "DELETE FROM consent_past WHERE consent_no <= ?1 AND consent_no NOT IN"
                       " (SELECT consent_no FROM consent)",
                       INT64_MAX, &counts->others, fault);
}

enum result state_care_prune_step(struct state_store *store, struct utc_time now,
                                  struct prune_counts *counts, bool *more, struct fault *fault)
{
    struct prune_counts before = *counts;

    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (write_mark(store, now, fault) != RESULT_OK || skip_delivery(store, fault) != RESULT_OK ||
        advance_watermark(store, fault) != RESULT_OK ||
        state_care_trim_ledger(store, &counts->ledger, fault) != RESULT_OK ||
        prune_attempts(store, now, counts, fault) != RESULT_OK ||
        prune_jobs(store, now, counts, fault) != RESULT_OK ||
        prune_others(store, now, counts, fault) != RESULT_OK) {
        state_sql_rollback(store);
        *counts = before;
        return RESULT_FAULT;
    }
    if (state_sql_commit(store, fault) != RESULT_OK) {
        *counts = before;
        return RESULT_FAULT;
    }
    *more = counts->ledger - before.ledger >= CARE_BATCH - 1 ||
            counts->attempts > before.attempts || counts->jobs > before.jobs ||
            counts->skips > before.skips || counts->runs > before.runs;
    return RESULT_OK;
}

/* Sorted in a file: in memory a million names would cost 70 MB. */
static enum result build_name_index(struct state_store *store, struct fault *fault)
{
    enum result result;

    (void)sqlite3_exec(store->db, "PRAGMA temp_store = FILE", NULL, NULL, NULL);
    result = state_sql_execute(store->db,
                               "CREATE UNIQUE INDEX IF NOT EXISTS consent_by_name"
                               " ON consent (consent)",
                               "index the consents by name", fault);
    (void)sqlite3_exec(store->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
    store->needs_name_index = result != RESULT_OK;
    (void)malloc_trim(0);
    return result;
}

enum result state_store_care(struct state_store *store, struct utc_time now, bool *more,
                             struct fault *fault)
{
    struct prune_counts counts = {0};
    bool again = false;

    *more = false;
    state_store_checkpoint_if_due(store);
    if (state_load_step(store, LOAD_ROWS, more, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (*more)
        return RESULT_OK;
    if (store->needs_name_index && build_name_index(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (store->retain_jobs_ms == 0) /* no configuration yet */
        return RESULT_OK;
    if (now.ms >= store->care_retention_ms || now.ms < store->care_mark_ms) {
        if (state_care_prune_step(store, now, &counts, &again, fault) != RESULT_OK)
            return RESULT_FAULT;
        store->care_mark_ms = now.ms;
        store->care_retention_ms = again ? 0 : now.ms + RETENTION_EVERY_MS;
        *more = again;
        /* Freed pages go back to the file system a little at a time. */
        if (counts.attempts + counts.jobs + counts.ledger > 0)
            return state_sql_execute(store->db, "PRAGMA incremental_vacuum(256)", "give pages back",
                                     fault);
    }
    return RESULT_OK;
}

/* ---- figures ---- */

static int64_t file_bytes(const char *path, const char *suffix)
{
    char name[STATE_PATH_BYTES + 8];
    struct stat status;

    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &status) == 0 ? (int64_t)status.st_size : 0;
}

void state_store_metrics(struct state_store *store, struct state_store_metrics *metrics)
{
    *metrics = (struct state_store_metrics){
        .commits = store->commits,
        .commit_us_last = store->commit_us_last,
        .commit_us_max = store->commit_us_max,
        .wal_bytes = file_bytes(store->path, "-wal"),
        .database_bytes = file_bytes(store->path, ""),
        .ledger_last = store->last_seq,
        .ledger_delivered = store->delivered_seq,
        .unfolded = store->dirty.count + store->folding.count,
    };
}
