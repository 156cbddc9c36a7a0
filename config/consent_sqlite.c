/* SPDX-License-Identifier: MIT
 * consent_sqlite.c - consents from a query on somebody else's SQLite database, opened read-only. */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "config/consent_build.h"

#define BUSY_TIMEOUT_MS 5000
#define COLUMNS_MAX 64

struct columns {
    int count;
    enum consent_field fields[COLUMNS_MAX];
};

/* A database in WAL mode whose folder we may not write is the usual reason for these two. */
static const char *hint_for(int code)
{
    switch (code & 0xFF) {
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return "; if it is in WAL mode, its -wal and -shm files must be there and readable";
    case SQLITE_BUSY: return "; another program holds it locked";
    default: return "";
    }
}

static enum result database_fault(struct fault *fault, const char *name, sqlite3 *database,
                                  int code)
{
    return fault_set(fault, FAULT_UNAVAILABLE, "%s: %s%s", name,
                     database == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(database),
                     hint_for(code));
}

static bool read_columns(struct consent_build *build, const char *name, sqlite3_stmt *statement,
                         struct columns *columns)
{
    struct place place = {name, 0, 0, NULL};
    size_t errors_before = build->diagnostics->error_count;
    bool seen[CONSENT_FIELD_COUNT + 1] = {false};

    columns->count = sqlite3_column_count(statement);
    if (columns->count > COLUMNS_MAX) {
        diagnostics_error(build->diagnostics, place, "the query gives more than %d columns",
                          COLUMNS_MAX);
        return false;
    }
    for (int i = 0; i < columns->count; i++) {
        const char *column = sqlite3_column_name(statement, i);

        if (column == NULL)
            column = "";
        columns->fields[i] = consent_field_find(column, strlen(column));
        if (columns->fields[i] == CONSENT_FIELD_COUNT)
            consent_column_unknown(build, place, column);
        else if (seen[columns->fields[i]])
            diagnostics_error(build->diagnostics, place, "the query gives column \"%s\" twice",
                              column);
        seen[columns->fields[i]] = true;
    }
    for (int field = CONSENT_FIELD_ID; field <= CONSENT_FIELD_PROVIDER; field++)
        if (!seen[field])
            diagnostics_error(build->diagnostics, place,
                              "column \"%s\" is missing in what the query gives",
                              consent_field_name((enum consent_field)field));
    return build->diagnostics->error_count == errors_before;
}

static void add_row(struct consent_build *build, uint32_t source, sqlite3_stmt *statement,
                    const struct columns *columns, uint32_t number)
{
    struct consent_row row = {
        .file = build->config->sources[source].sqlite_path, .line = number, .is_table = true};

    for (int i = 0; i < columns->count; i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        size_t length = (size_t)sqlite3_column_bytes(statement, i);

        if (text == NULL)
            continue;
        if (length > UINT16_MAX || memchr(text, '\0', length) != NULL) {
            diagnostics_error(build->diagnostics, consent_row_place(&row, columns->fields[i]),
                              "the value is longer than 65535 bytes or holds a NUL");
            return;
        }
        row.cells[columns->fields[i]] =
            (struct consent_cell){.text = text, .length = (uint32_t)length};
    }
    consent_build_add(build, source, number, &row);
}

static enum result run_query(struct consent_build *build, uint32_t source, sqlite3 *database,
                             struct fault *fault)
{
    const struct consent_source *from = &build->config->sources[source];
    sqlite3_stmt *statement = NULL;
    const char *rest = NULL;
    enum result result = RESULT_OK;
    struct columns columns;
    uint32_t number = 0;
    int code = sqlite3_prepare_v2(database, from->query, -1, &statement, &rest);

    if (code != SQLITE_OK) {
        result = database_fault(fault, from->sqlite_path, database, code);
        goto out;
    }
    if (statement == NULL || !sqlite3_stmt_readonly(statement) ||
        sqlite3_column_count(statement) == 0 || rest[strspn(rest, " \t\r\n;")] != '\0') {
        diagnostics_error(build->diagnostics, from->place,
                          "consents_from: the query must be a single SELECT");
        goto out;
    }
    if (!read_columns(build, from->sqlite_path, statement, &columns))
        goto out;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        add_row(build, source, statement, &columns, ++number);
    if (code != SQLITE_DONE)
        result = database_fault(fault, from->sqlite_path, database, code);
out:
    (void)sqlite3_finalize(statement);
    return result;
}

enum result consent_sqlite_read(struct consent_build *build, uint32_t source, struct fault *fault)
{
    const char *name = build->config->sources[source].sqlite_path;
    sqlite3 *database = NULL;
    enum result result;
    int code = sqlite3_open_v2(name, &database, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

    if (code != SQLITE_OK) {
        result = database_fault(fault, name, database, code);
    } else {
        (void)sqlite3_busy_timeout(database, BUSY_TIMEOUT_MS);
        (void)sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        (void)sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        result = run_query(build, source, database, fault);
    }
    (void)sqlite3_close(database);
    return result;
}
