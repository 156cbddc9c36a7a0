/* SPDX-License-Identifier: MIT
 * state_node.c - see state_node.h. */
#include "state/state_node.h"

enum result state_node_commit(struct state_store *store, const struct record *record,
                              struct fault *fault)
{
    const struct node_past *past = &record->as.node.past;
    uint32_t provider = record->as.node.provider;
    uint32_t institution = record->as.node.institution;
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_NODE, fault);

    REQUIRE(store->names.config != NULL && provider < store->names.config->provider_count);
    REQUIRE(institution == UINT32_MAX || institution < store->institution_count);
    if (statement == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, store->names.provider_nos[provider]);
    (void)sqlite3_bind_int64(statement, 2,
                             institution == UINT32_MAX ? 0 : store->institution_nos[institution]);
    (void)sqlite3_bind_int64(statement, 3, record->at.ms);
    (void)sqlite3_bind_int64(statement, 4, past->pace.interval_us);
    (void)sqlite3_bind_int64(statement, 5, past->pace.ceiling_us);
    (void)sqlite3_bind_int64(statement, 6, past->pace.fails);
    (void)sqlite3_bind_int64(statement, 7, past->pace.credit_ppm);
    (void)sqlite3_bind_int(statement, 8, past->breaker == BREAKER_CLOSED ? 0 : 1);
    (void)sqlite3_bind_int(statement, 9, past->is_configuration ? 1 : 0);
    (void)sqlite3_bind_int64(statement, 10, (int64_t)past->revision);
    (void)sqlite3_bind_int64(statement, 11, past->breaker_streak);
    state_bind_time(statement, 12, past->opened);
    state_bind_time(statement, 13, past->probe);
    state_bind_time(statement, 14, past->pushback);
    (void)sqlite3_bind_int64(statement, 15, past->pushback_streak);
    if (past->retry_balance < 0)
        (void)sqlite3_bind_null(statement, 16);
    else
        (void)sqlite3_bind_int64(statement, 16, past->retry_balance);
    return state_sql_run(store, statement, "write what a node learned", fault);
}

static uint32_t provider_index(const struct recovery *recovery, int64_t number)
{
    for (uint32_t i = 0; i < recovery->config->provider_count; i++)
        if (recovery->store->names.provider_nos[i] == number)
            return i;
    return UINT32_MAX;
}

static uint32_t institution_index(const struct state_store *store, int64_t number)
{
    for (uint32_t i = 0; i < store->institution_count; i++)
        if (store->institution_nos[i] == number)
            return i;
    return UINT32_MAX;
}

static void recover_row(struct recovery *recovery, sqlite3_stmt *row)
{
    uint32_t provider = provider_index(recovery, sqlite3_column_int64(row, 0));
    int64_t institution_no = sqlite3_column_int64(row, 1);
    uint32_t institution =
        institution_no == 0 ? UINT32_MAX : institution_index(recovery->store, institution_no);
    struct node_past past = {
        .pace = {.interval_us = sqlite3_column_int64(row, 2),
                 .ceiling_us = sqlite3_column_int64(row, 3),
                 .fails = (uint32_t)sqlite3_column_int64(row, 4),
                 .credit_ppm = (uint32_t)sqlite3_column_int64(row, 5)},
        .breaker = sqlite3_column_int(row, 6) != 0 ? BREAKER_OPEN : BREAKER_CLOSED,
        .is_configuration = sqlite3_column_int(row, 7) != 0,
        .revision = (uint64_t)sqlite3_column_int64(row, 8),
        .breaker_streak = (uint32_t)sqlite3_column_int64(row, 9),
        .opened = state_column_time(row, 10, UTC_NONE),
        .probe = state_column_time(row, 11, UTC_NONE),
        .pushback = state_column_time(row, 12, UTC_NONE),
        .pushback_streak = (uint32_t)sqlite3_column_int64(row, 13),
        .retry_balance =
            sqlite3_column_type(row, 14) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, 14),
    };

    if (provider != UINT32_MAX && (institution_no == 0 || institution != UINT32_MAX))
        scheduler_recover_node(recovery->scheduler, provider, institution, &past);
}

enum result state_node_recover(struct recovery *recovery, struct fault *fault)
{
    static const char doing[] = "read what the nodes learned";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(recovery->store->db,
                          "SELECT provider_no, institution_no, interval_us, ceiling_us,"
                          " probe_fails, credit_ppm, is_open, is_configuration, revision,"
                          " breaker_streak, opened_ms, probe_ms, pushback_ms, pushback_streak,"
                          " retry_balance FROM node ORDER BY provider_no, institution_no",
                          &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        if (state_sql_step(recovery->store->db, statement, &found, doing, fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        recover_row(recovery, statement);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

/* ---- by hand ---- */

static enum result institution_is_known(struct state_store *store, const char *provider,
                                        const char *institution, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;
    bool found = false;

    if (state_sql_prepare(store->db,
                          "SELECT 1 FROM institution AS i JOIN provider AS p"
                          " ON p.provider_no = i.provider_no WHERE p.name = ?1 AND i.name = ?2",
                          &statement, "look for an institution", fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, provider);
    state_bind_text(statement, 2, institution);
    result = state_sql_step(store->db, statement, &found, "look for an institution", fault);
    sqlite3_finalize(statement);
    if (result == RESULT_OK && !found)
        return fault_set(fault, FAULT_USAGE, "there is no institution %s/%s in the state database",
                         provider, institution);
    return result;
}

static enum result forget(struct state_store *store, const char *provider, const char *institution,
                          struct fault *fault)
{
    static const char sql[] =
        "UPDATE node SET interval_us = 0, ceiling_us = 0, probe_fails = 0, credit_ppm = 0,"
        " is_open = 0, is_configuration = 0, breaker_streak = 0, opened_ms = NULL,"
        " probe_ms = NULL, pushback_ms = NULL, pushback_streak = 0"
        " WHERE provider_no = (SELECT provider_no FROM provider WHERE name = ?1)"
        " AND (?2 IS NULL OR institution_no = (SELECT i.institution_no FROM institution AS i"
        " WHERE i.provider_no = node.provider_no AND i.name = ?2))";
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db, sql, &statement, "forget what a node learned", fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, provider);
    state_bind_text(statement, 2, institution);
    result = state_sql_run(store, statement, "forget what a node learned", fault);
    sqlite3_finalize(statement);
    return result;
}

enum result state_store_reset_node(struct state_store *store, struct utc_time at,
                                   const char *provider, const char *institution,
                                   const struct audit *audit, struct fault *fault)
{
    if (institution != NULL &&
        institution_is_known(store, provider, institution, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (forget(store, provider, institution, fault) != RESULT_OK ||
        state_people_audit(store, at, audit, fault) != RESULT_OK) {
        state_sql_rollback(store);
        return RESULT_FAULT;
    }
    return state_sql_commit(store, fault);
}
