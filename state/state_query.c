/* SPDX-License-Identifier: MIT
 * state_query.c - see state_query.h. */
#include "state/state_query.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "state/state_private.h"

#define COLUMNS_MAX 64

struct state_query {
    struct state_store *store;
};

static const struct {
    const char *name;
    const char *order;
} views[QUERY_VIEW_COUNT] = {
    [QUERY_CONSENTS] = {"v1_consents", "consent"},
    [QUERY_RUNS] = {"v1_runs", "started_ms DESC, run_id DESC"},
    [QUERY_JOBS] = {"v1_jobs", "job_no DESC"},
    [QUERY_ATTEMPTS] = {"v1_attempts", "job_uid DESC, sent_ms DESC"},
    [QUERY_SKIPS] = {"v1_skips", "slot_ms DESC, consent"},
    [QUERY_LIMITS] = {"v1_limits", "provider, institution"},
    [QUERY_RECONNECT] =
        {"v1_reconnect",
         "CASE urgency WHEN 'now' THEN 0 WHEN 'soon' THEN 1 ELSE 2 END,"
         " CASE WHEN cause = 'expiring' THEN expires_ms ELSE since_ms END, consent"},
    [QUERY_AUDIT] = {"v1_audit", "at_ms DESC"},
};

enum result state_query_open(const char *database, struct state_query **query, struct fault *fault)
{
    struct state_query *opened = calloc(1, sizeof *opened);

    if (opened == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (state_store_open(database, STATE_READ_ONLY, &opened->store, fault) != RESULT_OK) {
        free(opened);
        return RESULT_FAULT;
    }
    *query = opened;
    return RESULT_OK;
}

void state_query_close(struct state_query *query)
{
    if (query == NULL)
        return;
    state_store_close(query->store);
    free(query);
}

static struct query_value value_of(sqlite3_stmt *statement, int column)
{
    struct query_value value = {.type = QUERY_NULL};

    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
        value.type = QUERY_INTEGER;
        value.integer = sqlite3_column_int64(statement, column);
        break;
    case SQLITE_FLOAT:
        value.type = QUERY_REAL;
        value.real = sqlite3_column_double(statement, column);
        break;
    case SQLITE_TEXT:
        value.type = QUERY_TEXT;
        value.text = state_column_text(statement, column);
        break;
    default: break;
    }
    return value;
}

/* Give every row of a bound statement. */
static enum result give_rows(sqlite3 *db, sqlite3_stmt *statement, state_query_row_function *on_row,
                             void *context, struct fault *fault)
{
    const char *columns[COLUMNS_MAX] = {0};
    struct query_value values[COLUMNS_MAX];
    int count = sqlite3_column_count(statement);
    bool found = false;

    if (count > COLUMNS_MAX)
        return fault_set(fault, FAULT_USAGE, "a query may have %d columns", COLUMNS_MAX);
    for (int i = 0; i < count; i++)
        columns[i] = sqlite3_column_name(statement, i);
    for (;;) {
        if (state_sql_step(db, statement, &found, "read", fault) != RESULT_OK)
            return RESULT_FAULT;
        if (!found)
            return RESULT_OK;
        for (int i = 0; i < count; i++)
            values[i] = value_of(statement, i);
        if (on_row(context, (uint32_t)count, columns, values, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
}

/* ---- lists ---- */

/* Is `column` one of the view's? Else a fault that names them. */
static enum result check_column(sqlite3 *db, enum query_view view, const char *column,
                                struct fault *fault)
{
    char *sql = sqlite3_mprintf("SELECT * FROM %s LIMIT 0", views[view].name);
    sqlite3_stmt *statement = NULL;
    struct text names;
    enum result result = RESULT_FAULT;

    if (sql == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    text_init(&names, 800);
    if (state_sql_prepare(db, sql, &statement, "read", fault) != RESULT_OK)
        goto out;
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        if (strcmp(sqlite3_column_name(statement, i), column) == 0) {
            result = RESULT_OK;
            goto out;
        }
        text_append_format(&names, "%s%s", i == 0 ? "" : ", ", sqlite3_column_name(statement, i));
    }
    (void)fault_set(fault, FAULT_USAGE, "%s has no column %s; it has %s", views[view].name, column,
                    names.bytes == NULL ? "" : names.bytes);
out:
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    text_deinit(&names);
    return result;
}

static const char *const operators[] = {
    [QUERY_EQUAL] = " = ?",       [QUERY_NOT_BEFORE] = " >= ?",      [QUERY_BEFORE] = " < ?",
    [QUERY_IS_NULL] = " IS NULL", [QUERY_NOT_NULL] = " IS NOT NULL",
};

static bool has_value(const struct query_filter *filter)
{
    return filter->operator_ != QUERY_IS_NULL && filter->operator_ != QUERY_NOT_NULL;
}

enum result state_query_list(struct state_query *query, enum query_view view,
                             const struct query_filter *filters, uint32_t filter_count,
                             uint32_t limit, state_query_row_function *on_row, void *context,
                             struct fault *fault)
{
    sqlite3 *db = query->store->db;
    sqlite3_stmt *statement = NULL;
    struct text sql;
    enum result result = RESULT_FAULT;
    int bound = 0;

    text_init(&sql, 4096);
    text_append_format(&sql, "SELECT * FROM %s", views[view].name);
    for (uint32_t i = 0; i < filter_count; i++) {
        if (check_column(db, view, filters[i].column, fault) != RESULT_OK)
            goto out;
        text_append_format(&sql, "%s %s%s", i == 0 ? " WHERE" : " AND", filters[i].column,
                           operators[filters[i].operator_]);
    }
    text_append_format(&sql, " ORDER BY %s", views[view].order);
    if (limit > 0)
        text_append_format(&sql, " LIMIT %u", limit);
    if (sql.is_cut) {
        (void)fault_set(fault, FAULT_TEMPORARY, "out of memory");
        goto out;
    }
    if (state_sql_prepare(db, sql.bytes, &statement, "read", fault) != RESULT_OK)
        goto out;
    for (uint32_t i = 0; i < filter_count; i++) {
        if (!has_value(&filters[i]))
            continue;
        bound++;
        if (filters[i].text != NULL)
            state_bind_text(statement, bound, filters[i].text);
        else
            (void)sqlite3_bind_int64(statement, bound, filters[i].integer);
    }
    result = give_rows(db, statement, on_row, context, fault);
out:
    sqlite3_finalize(statement);
    text_deinit(&sql);
    return result;
}

enum result state_query_sql(struct state_query *query, const char *sql,
                            const char *const *parameters, uint32_t parameter_count,
                            state_query_row_function *on_row, void *context, struct fault *fault)
{
    sqlite3 *db = query->store->db;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_prepare(db, sql, &statement, "read", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (statement == NULL || !sqlite3_stmt_readonly(statement)) {
        (void)fault_set(fault, FAULT_USAGE, "only a SELECT can be read");
        goto out;
    }
    for (uint32_t i = 0; i < parameter_count; i++)
        state_bind_text(statement, (int)i + 1, parameters[i]);
    result = give_rows(db, statement, on_row, context, fault);
out:
    sqlite3_finalize(statement);
    return result;
}
