/* SPDX-License-Identifier: MIT
 * state_windows.c - see state_windows.h. */
#include "state/state_windows.h"

#include <string.h>

static const char doing[] = "write maintenance";

static enum result write_span(struct state_store *store, int64_t institution_no, uint32_t place,
                              const struct utc_span *span, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db,
                          "INSERT INTO maintenance (institution_no, place, start_ms, end_ms)"
                          " VALUES (?1, ?2, ?3, ?4)",
                          &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, institution_no);
    (void)sqlite3_bind_int64(statement, 2, place);
    (void)sqlite3_bind_int64(statement, 3, span->start.ms);
    state_bind_time(statement, 4, span->end);
    result = state_sql_run(store, statement, doing, fault);
    sqlite3_finalize(statement);
    return result;
}

enum result state_windows_commit(struct state_store *store, const struct record *record,
                                 struct fault *fault)
{
    uint32_t index = record->as.maintenance.institution;
    sqlite3_stmt *statement = NULL;
    enum result result;

    REQUIRE(index < store->institution_count);
    if (state_sql_prepare(store->db, "DELETE FROM maintenance WHERE institution_no = ?1",
                          &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, store->institution_nos[index]);
    result = state_sql_run(store, statement, doing, fault);
    sqlite3_finalize(statement);
    for (uint32_t i = 0; result == RESULT_OK && i < record->as.maintenance.count; i++)
        result = write_span(store, store->institution_nos[index], i,
                            &record->as.maintenance.spans[i], fault);
    return result;
}

/* Index of an institution whose list is still read; UINT32_MAX: of none. */
static uint32_t index_of(const struct state_store *store, const struct config *config,
                         const char *provider, int64_t institution_no)
{
    uint32_t index = config_find_provider(config, provider);

    if (index == UINT32_MAX || config->provider_settings[index].maintenance_every_ms == 0)
        return UINT32_MAX;
    for (uint32_t i = 0; i < store->institution_count; i++)
        if (store->institution_nos[i] == institution_no)
            return i;
    return UINT32_MAX;
}

enum result state_windows_recover(struct state_store *store, struct scheduler *scheduler,
                                  const struct config *config, struct fault *fault)
{
    static const char reading[] = "read maintenance";
    struct utc_span spans[MAINTENANCE_MAX];
    sqlite3_stmt *statement = NULL;
    uint32_t count = 0;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db,
                          "SELECT p.name, m.institution_no, m.place, m.start_ms, m.end_ms"
                          " FROM maintenance AS m"
                          " JOIN institution AS i ON i.institution_no = m.institution_no"
                          " JOIN provider AS p ON p.provider_no = i.provider_no"
                          " ORDER BY m.institution_no, m.place",
                          &statement, reading, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        uint32_t index;

        if (state_sql_step(store->db, statement, &found, reading, fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        count = sqlite3_column_int(statement, 2) == 0 ? 0 : count;
        if (count == MAINTENANCE_MAX)
            continue;
        spans[count].start = state_column_time(statement, 3, UTC_NONE);
        spans[count].end = state_column_time(statement, 4, UTC_NEVER);
        count++;
        index = index_of(store, config, state_column_text(statement, 0),
                         sqlite3_column_int64(statement, 1));
        if (index != UINT32_MAX)
            scheduler_recover_maintenance(scheduler, index, spans, count);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}
