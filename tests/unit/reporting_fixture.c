/* SPDX-License-Identifier: MIT
 * reporting_fixture.c - see reporting_fixture.h. */
#include "tests/unit/reporting_fixture.h"

#include <string.h>
#include <unistd.h>

#include "reporting/reporting.h"
#include "state/outbox.h"

void reporting_fixture_init(struct reporting_fixture *fixture, const char *csv)
{
    fixture_init(&fixture->state);
    fixture_configure(&fixture->state, csv);
    (void)snprintf(fixture->database, sizeof fixture->database, "%s/reporting.db",
                   fixture->state.folder);
    (void)snprintf(fixture->snapshot, sizeof fixture->snapshot, "%s/snapshot.db",
                   fixture->state.folder);
    fixture->state.config->reporting.database = fixture->database;
    fixture->state.config->reporting.snapshot = fixture->snapshot;
    fixture_open(&fixture->state, utc_add_ms(SLOT, -MS_PER_DAY));
}

void reporting_fixture_deinit(struct reporting_fixture *fixture)
{
    fixture_deinit(&fixture->state);
}

int64_t reporting_fixture_last(struct reporting_fixture *fixture, int64_t *delivered)
{
    int64_t told;
    int64_t last;
    struct fault fault;

    if (outbox_position(fixture->state.store, &told, &last, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    if (delivered != NULL)
        *delivered = told;
    return last;
}

void reporting_fixture_deliver(struct reporting_fixture *fixture, bool tell_state)
{
    struct reporting *reporting;
    int64_t delivered;
    int64_t last = reporting_fixture_last(fixture, &delivered);
    bool is_delivered;
    struct fault fault;

    if (reporting_start(fixture->state.config, delivered, &reporting, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    is_delivered = reporting_stop(reporting, last, 30000, &delivered);
    assert_true(is_delivered);
    assert_int_equal(delivered, last);
    if (tell_state && outbox_delivered(fixture->state.store, delivered, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

static sqlite3 *open_database(const char *path, int flags)
{
    sqlite3 *db = NULL;

    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK)
        fail_msg("%s: %s", path, sqlite3_errmsg(db));
    (void)sqlite3_busy_timeout(db, 5000);
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return statement;
}

static void dump_table(sqlite3 *db, const char *table, bool with_loaded, struct text *dump)
{
    char sql[128];
    sqlite3_stmt *statement;
    int code;

    (void)snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1, 2, 3", table);
    statement = prepare(db, sql);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        text_append_format(dump, "%s:", table);
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *value = (const char *)sqlite3_column_text(statement, i);

            if (with_loaded || strncmp(sqlite3_column_name(statement, i), "loaded_", 7) != 0)
                text_append_format(dump, "|%s", value == NULL ? "~" : value);
        }
        text_append_string(dump, "\n");
    }
    assert_int_equal(code, SQLITE_DONE);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
}

void reporting_fixture_dump(const char *path, bool with_loaded, struct text *dump)
{
    static const char *const tables[] = {"fact_refresh",    "fact_skip",   "dim_consent",
                                         "dim_institution", "run_summary", "daily_institution"};
    sqlite3 *db = open_database(path, SQLITE_OPEN_READONLY);

    text_init(dump, (size_t)16 * 1024 * 1024);
    for (size_t i = 0; i < ROW_COUNT(tables); i++)
        dump_table(db, tables[i], with_loaded, dump);
    assert_false(dump->is_cut);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

void reporting_fixture_execute(const char *path, const char *sql)
{
    sqlite3 *db = open_database(path, SQLITE_OPEN_READWRITE);

    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static char read_text[8192];

const char *reporting_fixture_text(const char *path, const char *sql)
{
    sqlite3 *db = open_database(path, SQLITE_OPEN_READONLY);
    sqlite3_stmt *statement = prepare(db, sql);

    read_text[0] = '\0';
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        (void)snprintf(read_text, sizeof read_text, "%s",
                       (const char *)sqlite3_column_text(statement, 0));
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return read_text;
}

int64_t reporting_fixture_integer(const char *path, const char *sql)
{
    const char *text = reporting_fixture_text(path, sql);

    if (text[0] == '\0')
        fail_msg("%s: nothing", sql);
    return strtoll(text, NULL, 10);
}

void reporting_fixture_remove(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[600];

    for (size_t i = 0; i < ROW_COUNT(suffixes); i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
}
