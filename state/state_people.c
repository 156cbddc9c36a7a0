/* SPDX-License-Identifier: MIT
 * state_people.c - what people change, written at once, each with its audit row; webhooks; limits.
 */
#include "state/state_private.h"

#define WEBHOOK_KEPT_MS (10 * MS_PER_MINUTE)

enum result state_people_audit(struct state_store *store, struct utc_time at,
                               const struct audit *audit, struct fault *fault)
{
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_AUDIT, fault);

    if (statement == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, at.ms);
    state_bind_text(statement, 2, audit->who);
    state_bind_text(statement, 3, audit->action);
    state_bind_text(statement, 4, audit->subject);
    state_bind_text(statement, 5, audit->reason);
    return state_sql_run(store, statement, "write an audit row", fault);
}

enum result state_store_audit(struct state_store *store, struct utc_time at,
                              const struct audit *audit, struct fault *fault)
{
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_people_audit(store, at, audit, fault) != RESULT_OK) {
        state_sql_rollback(store);
        return RESULT_FAULT;
    }
    return state_sql_commit(store, fault);
}

/* Run `sql` with (scope, subject, since, until, who, reason) and write the audit row with it. */
static enum result change_pause(struct state_store *store, const char *sql, struct utc_time at,
                                enum scope_kind scope, const char *subject, struct utc_time until,
                                const struct audit *audit, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_prepare(store->db, sql, &statement, "write a pause", fault) != RESULT_OK)
        goto undo;
    (void)sqlite3_bind_int(statement, 1, (int)scope);
    state_bind_text(statement, 2, subject);
    if (sqlite3_bind_parameter_count(statement) > 2) {
        (void)sqlite3_bind_int64(statement, 3, at.ms);
        state_bind_time(statement, 4, until);
        state_bind_text(statement, 5, audit->who);
        state_bind_text(statement, 6, audit->reason);
    }
    if (state_sql_run(store, statement, "write a pause", fault) != RESULT_OK ||
        state_people_audit(store, at, audit, fault) != RESULT_OK)
        goto undo;
    result = state_sql_commit(store, fault);
    goto out;
undo:
    state_sql_rollback(store);
out:
    sqlite3_finalize(statement);
    return result;
}

enum result state_store_pause(struct state_store *store, struct utc_time at, enum scope_kind scope,
                              const char *subject, struct utc_time until, const struct audit *audit,
                              struct fault *fault)
{
    return change_pause(store,
                        "INSERT OR REPLACE INTO pause (scope, subject, since_ms, until_ms, who,"
                        " reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        at, scope, subject, until, audit, fault);
}

enum result state_store_resume(struct state_store *store, struct utc_time at, enum scope_kind scope,
                               const char *subject, const struct audit *audit, struct fault *fault)
{
    return change_pause(store, "DELETE FROM pause WHERE scope = ?1 AND subject = ?2", at, scope,
                        subject, UTC_NEVER, audit, fault);
}

enum result state_store_knows_institution(struct state_store *store, const char *name, bool *known,
                                          struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db,
                          "SELECT 1 FROM institution AS i"
                          " JOIN provider AS p ON p.provider_no = i.provider_no"
                          " WHERE p.name || '/' || i.name = ?1",
                          &statement, "look for an institution", fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, name);
    result = state_sql_step(store->db, statement, known, "look for an institution", fault);
    sqlite3_finalize(statement);
    return result;
}

/* ---- webhooks ---- */

static enum result write_webhook(struct state_store *store, struct utc_time at,
                                 const struct webhook_row *row, struct fault *fault)
{
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_WEBHOOK, fault);

    if (statement == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, at.ms);
    state_bind_text(statement, 2, row->provider);
    if (row->job == 0) {
        (void)sqlite3_bind_null(statement, 3);
        (void)sqlite3_bind_null(statement, 4);
    } else {
        (void)sqlite3_bind_int64(statement, 3, (int64_t)row->job);
        (void)sqlite3_bind_int(statement, 4, row->attempt);
    }
    state_bind_text(statement, 5, row->provider_job_id);
    state_bind_text(statement, 6, row->status);
    return state_sql_run(store, statement, "store a webhook", fault);
}

enum result state_store_webhooks(struct state_store *store, struct utc_time at,
                                 const struct webhook_row *rows, uint32_t count,
                                 struct fault *fault)
{
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < count; i++) {
        if (write_webhook(store, at, &rows[i], fault) != RESULT_OK) {
            state_sql_rollback(store);
            return RESULT_FAULT;
        }
    }
    return state_sql_commit(store, fault);
}

enum result state_store_webhooks_told(struct state_store *store,
                                      void (*told)(void *context, uint64_t job, uint16_t attempt,
                                                   const char *provider_job_id),
                                      void *context, struct fault *fault)
{
    static const char sql[] =
        "SELECT w.job_no, w.attempt, w.provider_job_id FROM webhook AS w"
        " JOIN job AS j ON j.job_no = w.job_no"
        " WHERE j.finished_ms IS NULL AND w.provider_job_id IS NOT NULL ORDER BY w.webhook_no";
    sqlite3_stmt *statement = NULL;
    enum result result;
    bool found = false;

    if (state_sql_prepare(store->db, sql, &statement, "read the webhooks", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        result = state_sql_step(store->db, statement, &found, "read the webhooks", fault);
        if (result != RESULT_OK || !found)
            break;
        told(context, (uint64_t)sqlite3_column_int64(statement, 0),
             (uint16_t)sqlite3_column_int(statement, 1), state_column_text(statement, 2));
    }
    sqlite3_finalize(statement);
    return result;
}

bool state_store_webhook_seen(struct state_store *store, struct utc_time now, const char *provider,
                              const char *provider_job_id)
{
    struct fault ignored;
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_WEBHOOK_SEEN, &ignored);
    bool found = false;

    if (statement == NULL)
        return false;
    state_bind_text(statement, 1, provider);
    state_bind_text(statement, 2, provider_job_id);
    (void)sqlite3_bind_int64(statement, 3, now.ms - WEBHOOK_KEPT_MS);
    if (state_sql_step(store->db, statement, &found, "look for a webhook", &ignored) != RESULT_OK)
        found = false;
    (void)sqlite3_reset(statement);
    return found;
}

/* ---- limits ---- */

static enum result write_limits(struct state_store *store, struct utc_time at,
                                const struct limit_row *rows, uint32_t count, struct fault *fault)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO limit_node VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_execute(store->db, "DELETE FROM limit_node", "write the limits", fault) !=
            RESULT_OK ||
        state_sql_prepare(store->db, sql, &statement, "write the limits", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < count; i++) {
        const struct limit_row *row = &rows[i];

        state_bind_text(statement, 1, row->provider);
        state_bind_text(statement, 2, row->institution == NULL ? "" : row->institution);
        (void)sqlite3_bind_int64(statement, 3, at.ms);
        state_bind_text(statement, 4, row->configured_rate);
        state_bind_text(statement, 5, row->learned_rate);
        (void)sqlite3_bind_int64(statement, 6, row->requests_in_flight);
        (void)sqlite3_bind_int64(statement, 7, row->jobs_running);
        (void)sqlite3_bind_int64(statement, 8, row->waiting);
        state_bind_text(statement, 9, row->breaker == NULL ? "closed" : row->breaker);
        state_bind_time(statement, 10, row->not_before);
        state_bind_word(statement, 11, row->not_before_reason);
        if (state_sql_run(store, statement, "write the limits", fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

enum result state_store_limits(struct state_store *store, struct utc_time at,
                               const struct limit_row *rows, uint32_t count, struct fault *fault)
{
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (write_limits(store, at, rows, count, fault) != RESULT_OK) {
        state_sql_rollback(store);
        return RESULT_FAULT;
    }
    return state_sql_commit(store, fault);
}
