/* SPDX-License-Identifier: MIT
 * state_sql.c - SQLite from close by: statements, transactions, errors turned into faults. */
#include "state/state_load.h"

#include <errno.h>
#include <string.h>

/* Written for the b-tree: no text of a row is touched that did not change, keys only ever grow. */
static const char *const statement_texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_RUN_OPEN] =
        "INSERT INTO run (run_no, run_id, schedule_no, trigger, slot_ms, local_ms, fold,"
        " deadline_ms, spread_ms, started_ms, due, is_missed, first_job_no, config_digest,"
        " only_consent_no, only_institution)"
        " VALUES (?1, CASE WHEN EXISTS (SELECT 1 FROM run WHERE run_id = ?2)"
        " THEN ?2 || '~' || ?1 ELSE ?2 END," /* an edited schedule, and a clock put back */
        " ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [STATEMENT_RUN_RANGE] = "SELECT first_job_no, due FROM run WHERE run_no = ?1",
    [STATEMENT_RUN_COUNT_JOBS] =
        "SELECT sum(outcome = 1), sum(outcome = 2), sum(outcome = 3), sum(outcome = 4),"
        " sum(outcome = 5), sum(outcome = 6), sum(outcome = 7) FROM job"
        " WHERE job_no >= ?2 AND run_no = ?1",
    [STATEMENT_RUN_COUNT_SKIPS] = "SELECT sum(count) FROM skip WHERE run_no = ?1",
    [STATEMENT_RUN_CLOSE] =
        "UPDATE run SET finished_ms = ?2, last_job_no = ?3, late = ?4, reconciled = ?5,"
        " refreshed = ?6, partial = ?7, deduplicated = ?8, reconnect_required = ?9, failed = ?10,"
        " skipped = ?11, unknown = ?12 WHERE run_no = ?1",
    [STATEMENT_JOB_OPEN] =
        "INSERT INTO job (job_no, consent_no, run_no, trigger, state, due_ms, attempts)"
        " VALUES (?1, ?2, ?3, ?4, 1, ?5, 1)",
    [STATEMENT_JOB_AGAIN] = "UPDATE job SET attempts = ?2, state = 1, next_attempt_ms = NULL,"
                            " wait_reason = NULL WHERE job_no = ?1",
    [STATEMENT_JOB_STATE] = "UPDATE job SET state = ?2, next_attempt_ms = ?3, wait_reason = ?4"
                            " WHERE job_no = ?1",
    [STATEMENT_JOB_CLOSE] =
        "UPDATE job SET state = 7, finished_ms = ?2, closed_seq = ?3, outcome = ?4, reason = ?5,"
        " has_new_data = ?6, error_code = ?7, error_message = ?8 WHERE job_no = ?1",
    [STATEMENT_ATTEMPT] =
        "INSERT INTO attempt (attempt_key, sent_ms, is_repeat) VALUES (?1, ?2, ?3)",
    [STATEMENT_ANSWER] =
        "UPDATE attempt SET sent_ms = ?2, answered_ms = ?3, class = ?4, reason = ?5,"
        " http_status = ?6, is_charged = ?7, reference_hash = coalesce(?8, reference_hash),"
        " provider_job_id = coalesce(?9, provider_job_id), error_code = ?10, error_id = ?11,"
        " error_message = ?12, request_id = ?13, retry_after_raw = ?14 WHERE attempt_key = ?1",
    [STATEMENT_REFERENCE] = "UPDATE attempt SET reference_hash = ?2,"
                            " provider_job_id = coalesce(?3, provider_job_id)"
                            " WHERE attempt_key = ?1",
    [STATEMENT_SKIP] =
        "INSERT INTO skip (run_no, consent_no, due_ms, at_ms, reason, count, seq, detail)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [STATEMENT_LEDGER] = "INSERT INTO ledger (seq, kind, ref, more) VALUES (?1, ?2, ?3, ?4)",
    /* A hold whose cause is refined goes on from when it began. */
    [STATEMENT_HOLD] = "UPDATE consent SET held_ms = CASE WHEN ?2 IS NULL THEN NULL ELSE "
                       "coalesce(held_ms, ?2) END,"
                       " is_suspended = ?3 WHERE consent_no = ?1",
    [STATEMENT_EXPIRES] = "UPDATE consent SET learned_expires_ms = ?2 WHERE consent_no = ?1",
    [STATEMENT_CHECKED] = "UPDATE consent SET checked_ms = ?2 WHERE consent_no = ?1",
    [STATEMENT_RECHECK] = "INSERT OR REPLACE INTO recheck (provider_no, consent_no, at_ms)"
                          " VALUES (?1, ?2, ?3)",
    [STATEMENT_CALLS] = "INSERT INTO calls (provider_no, second, count) VALUES (?1, ?2, ?3)"
                        " ON CONFLICT DO UPDATE SET count = count + excluded.count",
    [STATEMENT_SCHEDULE] = "UPDATE schedule SET accounted_ms = ?2, accounted_local_ms = ?3,"
                           " accounted_fold = ?4 WHERE schedule_no = ?1",
    [STATEMENT_NODE] = "INSERT OR REPLACE INTO node (provider_no, institution_no, at_ms,"
                       " interval_us, ceiling_us, probe_fails, credit_ppm, is_open,"
                       " is_configuration, revision, breaker_streak, opened_ms, probe_ms,"
                       " pushback_ms, pushback_streak, retry_balance) VALUES (?1, ?2, ?3, ?4, ?5,"
                       " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    [STATEMENT_SLOT_CLEAR] = "DELETE FROM schedule_slot WHERE schedule_no = ?1",
    [STATEMENT_SLOT] =
        "INSERT INTO schedule_slot (schedule_no, slot_ms, spread_ms) VALUES (?1, ?2, ?3)",
    [STATEMENT_EVIDENCE] = "INSERT INTO evidence (at_ms, job_no, attempt, http_status, body_head)"
                           " VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_AUDIT] = "INSERT INTO audit (at_ms, who, action, subject, reason)"
                        " VALUES (?1, ?2, ?3, ?4, ?5)",
    [STATEMENT_FOLD] = "INSERT OR REPLACE INTO consent_past (consent_no, folded_seq, last_outcome,"
                       " last_success_ms, last_attempt_ms, consecutive_failures, cooldown_refusals,"
                       " not_before_ms, not_before_reason, reference_hash)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [STATEMENT_WEBHOOK] =
        "INSERT INTO webhook (at_ms, provider, job_no, attempt, provider_job_id, status)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [STATEMENT_WEBHOOK_SEEN] = "SELECT 1 FROM webhook WHERE provider = ?1 AND provider_job_id = ?2"
                               " AND at_ms > ?3 LIMIT 1",
    [STATEMENT_CONSENT_NAME] = "SELECT consent FROM consent WHERE consent_no = ?1",
    [STATEMENT_CONSENT] =
        "INSERT INTO consent (consent_no, institution_no, set_no, mode, priority, customer,"
        " customer_is_own_id, expires_ms, authorized_ms, tags, consent, provider_no, phase,"
        " since_run_no) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    [STATEMENT_FIND_CONSENT] = "SELECT consent_no FROM consent WHERE consent = ?1",
};

/* Space that somebody can make free, as told by the operating system. */
static bool is_out_of_space(int system_errno)
{
    return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

/* The system's error behind a failed write. sqlite3_system_errno forgets it while SQLite rolls
 * back; the files remember: the database and its log. */
static int system_errno_of(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    int found = sqlite3_system_errno(db);

    if (found == 0 &&
        sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK &&
        log != NULL && log->pMethods != NULL)
        (void)log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &found);
    if (found == 0)
        (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &found);
    return found;
}

static enum fault_code fault_code_of(sqlite3 *db, int system_errno)
{
    int extended = sqlite3_extended_errcode(db);

    switch (extended & 0xff) {
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM: return FAULT_TEMPORARY;
    case SQLITE_IOERR:
        if (extended == SQLITE_IOERR_NOMEM)
            return FAULT_TEMPORARY;
        /* After a failed fsync nobody knows what is on the disk: never just try again. */
        if (extended != SQLITE_IOERR_FSYNC && extended != SQLITE_IOERR_DIR_FSYNC &&
            is_out_of_space(system_errno))
            return FAULT_TEMPORARY;
        return FAULT_IO;
    case SQLITE_CORRUPT: return FAULT_IO;
    case SQLITE_NOTADB: return FAULT_DATA;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return FAULT_PERMISSION;
    case SQLITE_CANTOPEN:
        return is_out_of_space(system_errno) ? FAULT_TEMPORARY : FAULT_CANNOT_CREATE;
    default: return FAULT_INTERNAL;
    }
}

enum result state_sql_fault(sqlite3 *db, struct fault *fault, const char *doing)
{
    const char *file = sqlite3_db_filename(db, "main");
    int system_errno = system_errno_of(db);
    enum fault_code code = fault_code_of(db, system_errno);
    bool is_io = (sqlite3_extended_errcode(db) & 0xff) == SQLITE_IOERR;

    return fault_set(fault, code, "%s: %s: %s%s%s%s", file == NULL ? "state database" : file, doing,
                     sqlite3_errmsg(db), is_io && system_errno != 0 ? ": " : "",
                     is_io && system_errno != 0 ? strerror(system_errno) : "",
                     code == FAULT_TEMPORARY && (is_io || sqlite3_errcode(db) == SQLITE_FULL)
                         ? "; make room, it goes on by itself"
                         : "");
}

enum result state_sql_execute(sqlite3 *db, const char *sql, const char *doing, struct fault *fault)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return state_sql_fault(db, fault, doing);
    return RESULT_OK;
}

enum result state_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement,
                              const char *doing, struct fault *fault)
{
    if (sqlite3_prepare_v2(db, sql, -1, statement, NULL) != SQLITE_OK)
        return state_sql_fault(db, fault, doing);
    return RESULT_OK;
}

enum result state_sql_integer(sqlite3 *db, const char *sql, int64_t otherwise, int64_t *value,
                              const char *doing, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(db, sql, &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_step(db, statement, &found, doing, fault) == RESULT_OK) {
        *value = found && sqlite3_column_type(statement, 0) != SQLITE_NULL
                     ? sqlite3_column_int64(statement, 0)
                     : otherwise;
        result = RESULT_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

sqlite3_stmt *state_sql_statement(struct state_store *store, enum statement which,
                                  struct fault *fault)
{
    if (store->statements[which] == NULL &&
        sqlite3_prepare_v3(store->db, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT,
                           &store->statements[which], NULL) != SQLITE_OK) {
        (void)state_sql_fault(store->db, fault, "prepare");
        return NULL;
    }
    return store->statements[which];
}

enum result state_sql_run(struct state_store *store, sqlite3_stmt *statement, const char *doing,
                          struct fault *fault)
{
    int code;

    if (store->has_lost_a_write)
        return fault_set(fault, FAULT_IO, "%s: %s: not after a write that was lost", store->path,
                         doing);
    code = sqlite3_step(statement);
    if (code != SQLITE_DONE) {
        (void)state_sql_fault(store->db, fault, doing);
        store->has_lost_a_write = store->has_lost_a_write || fault->code == FAULT_IO;
        (void)sqlite3_reset(statement);
        return RESULT_FAULT;
    }
    (void)sqlite3_reset(statement);
    return RESULT_OK;
}

enum result state_sql_step(sqlite3 *db, sqlite3_stmt *statement, bool *found, const char *doing,
                           struct fault *fault)
{
    int code = sqlite3_step(statement);

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return state_sql_fault(db, fault, doing);
    *found = code == SQLITE_ROW;
    return RESULT_OK;
}

enum result state_sql_begin(struct state_store *store, struct fault *fault)
{
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_BEGIN, fault);

    REQUIRE(sqlite3_get_autocommit(store->db));
    if (statement == NULL)
        return RESULT_FAULT;
    return state_sql_run(store, statement, "begin a transaction", fault);
}

enum result state_sql_commit(struct state_store *store, struct fault *fault)
{
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_COMMIT, fault);

    if (statement == NULL || state_sql_run(store, statement, "commit", fault) != RESULT_OK) {
        state_sql_rollback(store);
        return RESULT_FAULT;
    }
    state_load_committed(store);
    return RESULT_OK;
}

void state_sql_rollback(struct state_store *store)
{
    state_load_rolled_back(store);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        if (store->statements[i] != NULL)
            (void)sqlite3_reset(store->statements[i]);
    /* SQLite has rolled back by itself after some errors. */
    if (!sqlite3_get_autocommit(store->db))
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

void state_bind_time(sqlite3_stmt *statement, int index, struct utc_time at)
{
    if (at.ms == UTC_NEVER.ms || at.ms == UTC_NONE.ms)
        (void)sqlite3_bind_null(statement, index);
    else
        (void)sqlite3_bind_int64(statement, index, at.ms);
}

void state_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC); /* NULL binds NULL */
}

void state_bind_word(sqlite3_stmt *statement, int index, unsigned word)
{
    if (word == 0)
        (void)sqlite3_bind_null(statement, index);
    else
        (void)sqlite3_bind_int(statement, index, (int)word);
}

struct utc_time state_column_time(sqlite3_stmt *statement, int column, struct utc_time otherwise)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return otherwise;
    return (struct utc_time){sqlite3_column_int64(statement, column)};
}

const char *state_column_text(sqlite3_stmt *statement, int column)
{
    return (const char *)sqlite3_column_text(statement, column);
}
