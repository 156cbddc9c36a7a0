/* SPDX-License-Identifier: MIT
 * state_warned.c - up to when people were warned of consents that come to their end. */
#include "state/state_private.h"

enum result state_store_warned(struct state_store *store, struct utc_time *until, uint32_t *number,
                               struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, "SELECT warned_ms, warned_consent_no FROM meta", &statement,
                          "read the warnings", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_step(store->db, statement, &found, "read the warnings", fault) == RESULT_OK) {
        *until = found ? state_column_time(statement, 0, UTC_NONE) : UTC_NONE;
        *number = found ? (uint32_t)sqlite3_column_int64(statement, 1) : 0;
        result = RESULT_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

enum result state_store_set_warned(struct state_store *store, struct utc_time until,
                                   uint32_t number, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_prepare(store->db, "UPDATE meta SET warned_ms = ?1, warned_consent_no = ?2",
                          &statement, "remember the warnings", fault) != RESULT_OK)
        goto undo;
    state_bind_time(statement, 1, until);
    (void)sqlite3_bind_int64(statement, 2, number);
    if (state_sql_run(store, statement, "remember the warnings", fault) != RESULT_OK)
        goto undo;
    result = state_sql_commit(store, fault);
    goto out;
undo:
    state_sql_rollback(store);
out:
    sqlite3_finalize(statement);
    return result;
}
