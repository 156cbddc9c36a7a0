/* SPDX-License-Identifier: MIT
 * reporting_row.c - see reporting_row.h. */
#include "reporting/reporting_row.h"

#include <stdio.h>

#define COLUMNS_MAX 26

/* Key columns first, then the others; loaded_at and loaded_ms come by themselves. */
struct table {
    const char *name;
    int key_count;
    const char *columns[COLUMNS_MAX]; /* the rest is NULL */
};

static const struct table tables[] = {
    [REPORTING_PUT_REFRESH] = {"fact_refresh", 1, {"job_uid",     "run_id",       "consent",
                                                   "schedule",    "trigger",      "due_at",
                                                   "due_ms",      "started_at",   "started_ms",
                                                   "finished_at", "finished_ms",  "wait_ms",
                                                   "duration_ms", "attempts",     "outcome",
                                                   "reason",      "has_new_data", "error_code",
                                                   "provider",    "institution",  "day"}},
    [REPORTING_PUT_SKIP] = {"fact_skip",
                            2,
                            {"run_id", "consent", "schedule", "slot_at", "slot_ms", "due_at",
                             "due_ms", "reason", "detail", "count", "decided_at", "decided_ms",
                             "provider", "institution", "day"}},
    [REPORTING_PUT_CONSENT] = {"dim_consent",
                               1,
                               {"consent", "provider", "consent_id", "customer", "institution",
                                "schedules", "mode", "is_held", "expires_at", "expires_ms",
                                "removed_at", "removed_ms"}},
    [REPORTING_PUT_INSTITUTION] = {"dim_institution", 2, {"provider", "institution"}},
    [REPORTING_PUT_RUN] = {"run_summary", 1, {"run_id",       "schedule",     "slot_at",
                                              "slot_ms",      "due",          "refreshed",
                                              "partial",      "deduplicated", "reconnect_required",
                                              "failed",       "skipped",      "unknown",
                                              "reconciled",   "late",         "started_at",
                                              "started_ms",   "finished_at",  "finished_ms",
                                              "trigger",      "deadline_at",  "deadline_ms",
                                              "config_digest"}},
    [REPORTING_PUT_DAILY] = {"daily_institution",
                             3,
                             {"day", "provider", "institution", "refreshed", "partial",
                              "deduplicated", "reconnect_required", "failed", "skipped", "unknown",
                              "duration_p50_ms", "duration_p95_ms"}},
};

/* "first, second, ..." of the columns from `first` on, each with `prefix` in front. */
static void append_columns(struct text *sql, const struct table *table, int first, int end,
                           const char *prefix)
{
    for (int i = first; i < end && table->columns[i] != NULL; i++)
        text_append_format(sql, "%s%s%s", i == first ? "" : ", ", prefix, table->columns[i]);
}

void reporting_row_upsert(enum reporting_statement which, struct text *sql)
{
    const struct table *table = &tables[which];
    int key = table->key_count;
    int count = 0;

    while (table->columns[count] != NULL)
        count++;
    text_append_format(sql, "INSERT INTO %s (", table->name);
    append_columns(sql, table, 0, COLUMNS_MAX, "");
    text_append_string(sql, ", loaded_at, loaded_ms) VALUES (?1");
    for (int i = 2; i <= count + 2; i++)
        text_append_format(sql, ", ?%d", i);
    text_append_string(sql, ") ON CONFLICT (");
    append_columns(sql, table, 0, key, "");
    if (count == key) {
        text_append_string(sql, ") DO NOTHING");
        return;
    }
    text_append_string(sql, ") DO UPDATE SET ");
    for (int i = key; i < count; i++)
        text_append_format(sql, "%s = excluded.%s, ", table->columns[i], table->columns[i]);
    text_append_string(sql, "loaded_at = excluded.loaded_at, loaded_ms = excluded.loaded_ms"
                            " WHERE (");
    append_columns(sql, table, key, COLUMNS_MAX, "");
    text_append_string(sql, ") IS NOT (");
    append_columns(sql, table, key, COLUMNS_MAX, "excluded.");
    text_append_string(sql, ")");
}

enum result reporting_row_begin(struct reporting_database *database, enum reporting_statement which,
                                struct reporting_row *row, struct fault *fault)
{
    row->database = database;
    row->index = 0;
    row->copy_count = 0;
    row->statement = reporting_database_statement(database, which, fault);
    return row->statement == NULL ? RESULT_FAULT : RESULT_OK;
}

/* Return codes of the binds are looked at by the step: one that failed (out of memory) leaves NULL
 * in a column that does not take it, or SQLite's error in the connection. */
void reporting_row_text(struct reporting_row *row, const char *text)
{
    (void)sqlite3_bind_text(row->statement, ++row->index, text, -1, SQLITE_STATIC);
}

/* Room for a text that lives as long as the row. */
static char *copy_room(struct reporting_row *row)
{
    REQUIRE(row->copy_count < REPORTING_ROW_COPIES);
    return row->copies[row->copy_count++];
}

void reporting_row_integer(struct reporting_row *row, int64_t value)
{
    (void)sqlite3_bind_int64(row->statement, ++row->index, value);
}

void reporting_row_null(struct reporting_row *row)
{
    (void)sqlite3_bind_null(row->statement, ++row->index);
}

static bool is_instant(struct utc_time at)
{
    return at.ms != UTC_NONE.ms && at.ms != UTC_NEVER.ms;
}

void reporting_row_date(struct reporting_row *row, const struct civil_time *date)
{
    char *text = copy_room(row);

    (void)snprintf(text, UTC_TEXT_SIZE, "%04d-%02d-%02d", (int)date->year % 10000,
                   (int)date->month % 100, (int)date->day % 100);
    reporting_row_text(row, text);
}

void reporting_row_instant(struct reporting_row *row, struct utc_time at)
{
    if (is_instant(at)) {
        reporting_row_text(row, utc_text(at, copy_room(row)));
        reporting_row_integer(row, at.ms);
    } else {
        reporting_row_null(row);
        reporting_row_null(row);
    }
}

void reporting_row_span(struct reporting_row *row, struct utc_time from, struct utc_time to)
{
    if (is_instant(from) && is_instant(to))
        reporting_row_integer(row, to.ms < from.ms ? 0 : to.ms - from.ms);
    else
        reporting_row_null(row);
}

enum result reporting_row_write(struct reporting_row *row, struct fault *fault)
{
    struct reporting_database *database = row->database;

    reporting_row_text(row, database->loaded_text);
    reporting_row_integer(row, database->loaded.ms);
    REQUIRE(row->index == sqlite3_bind_parameter_count(row->statement));
    return reporting_database_run(database, row->statement, fault);
}
