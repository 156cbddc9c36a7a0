/* SPDX-License-Identifier: MIT
 * state_run.c - questions about one run: its manifest, its open slots. */
#include "state/state_run.h"

#include <stdio.h>
#include <string.h>

#define MANIFEST_COLUMNS \
    "r.run_no, r.run_id, s.name, r.trigger, r.slot_ms, r.deadline_ms, r.started_ms," \
    " r.finished_ms, r.due, r.config_digest, r.reconciled, r.late,"

/* A closed run says what was counted when it closed. */
static const char closed_sql[] =
    "SELECT " MANIFEST_COLUMNS " r.refreshed, r.partial, r.deduplicated, r.reconnect_required,"
    " r.failed, r.skipped, r.unknown"
    " FROM run AS r JOIN schedule AS s ON s.schedule_no = r.schedule_no WHERE r.run_no = ?1";
/* An open one is counted now. */
static const char open_sql[] =
    "SELECT " MANIFEST_COLUMNS " o.refreshed, o.partial, o.deduplicated, o.reconnect_required,"
    " o.failed, o.skipped, o.unknown"
    " FROM run AS r JOIN schedule AS s ON s.schedule_no = r.schedule_no"
    " LEFT JOIN private_open_run AS o ON o.run_no = r.run_no WHERE r.run_no = ?1";

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from == NULL ? "" : from);
}

static void read_row(sqlite3_stmt *row, struct manifest *manifest)
{
    *manifest = (struct manifest){
        .run = (uint32_t)sqlite3_column_int64(row, 0),
        .trigger = (enum trigger)sqlite3_column_int(row, 3),
        .slot = {sqlite3_column_int64(row, 4)},
        .deadline = state_column_time(row, 5, UTC_NEVER),
        .started = {sqlite3_column_int64(row, 6)},
        .finished = state_column_time(row, 7, UTC_NONE),
        .due = (uint32_t)sqlite3_column_int64(row, 8),
        .reconciled = sqlite3_column_int(row, 10) != 0,
        .late = sqlite3_column_int(row, 11) != 0,
    };
    copy_text(manifest->run_id, sizeof manifest->run_id, state_column_text(row, 1));
    copy_text(manifest->schedule, sizeof manifest->schedule, state_column_text(row, 2));
    copy_text(manifest->config_digest, sizeof manifest->config_digest, state_column_text(row, 9));
    for (int i = OUTCOME_NONE + 1; i < OUTCOME_COUNT; i++)
        manifest->counts[i] = (uint32_t)sqlite3_column_int64(row, 11 + i);
}

enum result state_run_manifest(sqlite3 *db, uint32_t run, struct manifest *manifest, bool *found,
                               struct fault *fault)
{
    sqlite3_stmt *row = NULL;
    enum result result = RESULT_FAULT;
    const char *sql = closed_sql;
    bool is_there = false;

    if (state_sql_prepare(db, sql, &row, "read a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(row, 1, run);
    if (state_sql_step(db, row, &is_there, "read a run", fault) != RESULT_OK)
        goto out;
    if (is_there && sqlite3_column_type(row, 7) == SQLITE_NULL) {
        sqlite3_finalize(row);
        row = NULL;
        if (state_sql_prepare(db, open_sql, &row, "count a run", fault) != RESULT_OK)
            goto out;
        (void)sqlite3_bind_int64(row, 1, run);
        if (state_sql_step(db, row, &is_there, "count a run", fault) != RESULT_OK)
            goto out;
    }
    if (is_there)
        read_row(row, manifest);
    *found = is_there;
    result = RESULT_OK;
out:
    sqlite3_finalize(row);
    return result;
}

enum result state_store_run_manifest(struct state_store *store, uint32_t run,
                                     struct manifest *manifest, struct fault *fault)
{
    bool found = false;

    if (state_run_manifest(store->db, run, manifest, &found, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (!found)
        return fault_set(fault, FAULT_DATA, "%s: there is no run number %u", store->path, run);
    return RESULT_OK;
}

enum result state_store_find_run(struct state_store *store, const char *run_id, uint32_t *run,
                                 struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool is_last = strcmp(run_id, "last") == 0;
    bool found = false;

    if (state_sql_prepare(store->db,
                          is_last ? "SELECT max(run_no) FROM run"
                                  : "SELECT run_no FROM run WHERE run_id = ?1",
                          &statement, "find a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (!is_last)
        state_bind_text(statement, 1, run_id);
    if (state_sql_step(store->db, statement, &found, "find a run", fault) != RESULT_OK)
        goto out;
    if (!found || sqlite3_column_type(statement, 0) == SQLITE_NULL) {
        (void)fault_set(fault, FAULT_DATA,
                        is_last ? "there has been no run yet"
                                : "%s: there is no such run; `refreshd runs` lists them",
                        run_id);
        goto out;
    }
    *run = (uint32_t)sqlite3_column_int64(statement, 0);
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}
