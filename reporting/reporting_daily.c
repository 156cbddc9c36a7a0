/* SPDX-License-Identifier: MIT
 * reporting_daily.c - see reporting_daily.h. */
#include "reporting/reporting_daily.h"

#include "reporting/reporting_row.h"

struct daily {
    const char *key[3]; /* day, provider, institution */
    int64_t counts[OUTCOME_COUNT];
    int64_t durations;
    int64_t rows;
};

static sqlite3_stmt *keyed_statement(struct reporting_database *database,
                                     enum reporting_statement which, const struct daily *daily,
                                     struct fault *fault)
{
    sqlite3_stmt *statement = reporting_database_statement(database, which, fault);

    if (statement != NULL)
        for (int i = 0; i < 3; i++)
            (void)sqlite3_bind_text(statement, i + 1, daily->key[i], -1, SQLITE_STATIC);
    return statement;
}

static enum result count_daily(struct reporting_database *database, struct daily *daily,
                               struct fault *fault)
{
    sqlite3_stmt *jobs = keyed_statement(database, REPORTING_DAILY_COUNT, daily, fault);
    sqlite3_stmt *skips = keyed_statement(database, REPORTING_DAILY_SKIPPED, daily, fault);
    enum result result = RESULT_FAULT;

    if (jobs == NULL || skips == NULL)
        return RESULT_FAULT;
    if (sqlite3_step(jobs) != SQLITE_ROW || sqlite3_step(skips) != SQLITE_ROW) {
        (void)reporting_database_fault(database, "count a day", fault);
    } else {
        daily->durations = sqlite3_column_int64(jobs, 0);
        daily->rows = sqlite3_column_int64(jobs, 1) + sqlite3_column_int64(skips, 0);
        for (int i = OUTCOME_REFRESHED; i < OUTCOME_COUNT; i++)
            daily->counts[i] = sqlite3_column_int64(jobs, 1 + i);
        daily->counts[OUTCOME_SKIPPED] += sqlite3_column_int64(skips, 1);
        result = RESULT_OK;
    }
    (void)sqlite3_reset(jobs);
    (void)sqlite3_reset(skips);
    return result;
}

/* Nearest rank: the smallest duration that `percent` of all do not exceed. -1: no durations. */
static enum result daily_rank(struct reporting_database *database, const struct daily *daily,
                              int percent, int64_t *duration_ms, struct fault *fault)
{
    sqlite3_stmt *statement = keyed_statement(database, REPORTING_DAILY_RANK, daily, fault);
    enum result result = RESULT_OK;
    int code;

    if (statement == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 4, (daily->durations * percent + 99) / 100 - 1);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *duration_ms = sqlite3_column_int64(statement, 0);
    else if (code == SQLITE_DONE)
        *duration_ms = -1;
    else
        result = reporting_database_fault(database, "rank a day", fault);
    (void)sqlite3_reset(statement);
    return result;
}

static enum result put_daily(struct reporting_database *database, const struct daily *daily,
                             struct fault *fault)
{
    static const int percents[] = {50, 95};
    struct reporting_row row;

    if (reporting_row_begin(database, REPORTING_PUT_DAILY, &row, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (int i = 0; i < 3; i++)
        reporting_row_text(&row, daily->key[i]);
    for (int i = OUTCOME_REFRESHED; i < OUTCOME_COUNT; i++)
        reporting_row_integer(&row, daily->counts[i]);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        int64_t duration_ms = -1;

        if (daily_rank(database, daily, percents[i], &duration_ms, fault) != RESULT_OK)
            return RESULT_FAULT;
        if (duration_ms < 0)
            reporting_row_null(&row);
        else
            reporting_row_integer(&row, duration_ms);
    }
    return reporting_row_write(&row, fault);
}

/* Compute one touched row; *found is false when there is none left. */
static enum result refresh_one(struct reporting_database *database, bool *found,
                               struct fault *fault)
{
    sqlite3_stmt *touched = reporting_database_statement(database, REPORTING_TOUCHED, fault);
    struct daily daily = {.rows = 0};
    sqlite3_stmt *statement;
    enum result result = RESULT_FAULT;
    int code;

    if (touched == NULL)
        return RESULT_FAULT;
    code = sqlite3_step(touched);
    *found = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        (void)reporting_database_fault(database, "read what was touched", fault);
        goto out;
    }
    if (!*found) {
        result = RESULT_OK;
        goto out;
    }
    for (int i = 0; i < 3; i++)
        daily.key[i] = (const char *)sqlite3_column_text(touched, i);
    if (count_daily(database, &daily, fault) != RESULT_OK)
        goto out;
    if (daily.rows > 0) {
        if (put_daily(database, &daily, fault) != RESULT_OK)
            goto out;
    } else {
        statement = keyed_statement(database, REPORTING_DAILY_DROP, &daily, fault);
        if (statement == NULL || reporting_database_run(database, statement, fault) != RESULT_OK)
            goto out;
    }
    statement = keyed_statement(database, REPORTING_UNTOUCH, &daily, fault);
    if (statement == NULL || reporting_database_run(database, statement, fault) != RESULT_OK)
        goto out;
    result = RESULT_OK;
out:
    (void)sqlite3_reset(touched);
    return result;
}

enum result reporting_daily_refresh(struct reporting_database *database, struct utc_time loaded,
                                    uint32_t rows_max, bool *more, struct fault *fault)
{
    bool found = true;

    if (reporting_database_begin(database, loaded, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < rows_max && found; i++)
        if (refresh_one(database, &found, fault) != RESULT_OK) {
            reporting_database_rollback(database);
            return RESULT_FAULT;
        }
    if (reporting_database_commit(database, fault) != RESULT_OK)
        return RESULT_FAULT;
    *more = found;
    return RESULT_OK;
}
