/* SPDX-License-Identifier: MIT
 * reporting_publish.c - see reporting_publish.h. */
#include "reporting/reporting_publish.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "reporting/csv_line.h"
#include "reporting/publish_file.h"

enum result reporting_publish_waiting(struct reporting_database *database, bool *wants_export,
                                      bool *wants_snapshot, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (reporting_database_prepare(database,
                                   "SELECT coalesce(max(is_exported = 0), 0),"
                                   " coalesce(max(is_in_snapshot = 0), 0) FROM delivery_run",
                                   &statement, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (sqlite3_step(statement) != SQLITE_ROW) {
        (void)reporting_database_fault(database, "read which runs are published", fault);
    } else {
        *wants_export = sqlite3_column_int(statement, 0) != 0;
        *wants_snapshot = sqlite3_column_int(statement, 1) != 0;
        result = RESULT_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

static const char forget_done[] =
    "DELETE FROM delivery_run WHERE is_exported = 1 AND is_in_snapshot = 1";

/* Run `sql` with `run_id` (may be NULL) as ?1, and drop runs that are done with. */
static enum result mark(struct reporting_database *database, const char *sql, const char *run_id,
                        struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (reporting_database_prepare(database, sql, &statement, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (run_id != NULL)
        (void)sqlite3_bind_text(statement, 1, run_id, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        (void)reporting_database_fault(database, "note that a run is published", fault);
    else
        result = reporting_database_execute(database, forget_done, "note that a run is published",
                                            fault);
    sqlite3_finalize(statement);
    return result;
}

enum result reporting_publish_forget(struct reporting_database *database, struct fault *fault)
{
    return reporting_database_execute(database, "DELETE FROM delivery_run",
                                      "note that old runs are published", fault);
}

/* ---- export ---- */

static const char export_sql[] =
    "SELECT f.run_id, f.consent, f.provider, f.institution, f.schedule, f.trigger, f.outcome,"
    " f.reason, NULL AS detail, 1 AS count, f.job_uid, r.slot_at, f.due_at, f.started_at,"
    " f.finished_at, f.wait_ms, f.duration_ms, f.attempts, f.has_new_data, f.error_code"
    " FROM fact_refresh AS f JOIN run_summary AS r ON r.run_id = f.run_id WHERE f.run_id = ?1"
    " UNION ALL "
    "SELECT s.run_id, s.consent, s.provider, s.institution, s.schedule, r.trigger, 'skipped',"
    " s.reason, s.detail, s.count, NULL, s.slot_at, s.due_at, NULL, s.decided_at, NULL, NULL, 0,"
    " NULL, NULL"
    " FROM fact_skip AS s JOIN run_summary AS r ON r.run_id = s.run_id WHERE s.run_id = ?1";

static void csv_row(sqlite3_stmt *statement, struct csv_line *line)
{
    csv_line_begin(line);
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_INTEGER)
            csv_line_integer(line, sqlite3_column_int64(statement, i));
        else
            csv_line_text(line, (const char *)sqlite3_column_text(statement, i));
    }
    csv_line_end(line);
}

static void csv_heading(sqlite3_stmt *statement, struct csv_line *line)
{
    csv_line_begin(line);
    for (int i = 0; i < sqlite3_column_count(statement); i++)
        csv_line_text(line, sqlite3_column_name(statement, i));
    csv_line_end(line);
}

static void json_row(sqlite3_stmt *statement, struct text *text)
{
    text_clear(text);
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *value = (const char *)sqlite3_column_text(statement, i);

        text_append_format(text, "%s\"%s\":", i == 0 ? "{" : ",",
                           sqlite3_column_name(statement, i));
        if (value == NULL) {
            text_append_string(text, "null");
        } else if (sqlite3_column_type(statement, i) == SQLITE_INTEGER) {
            text_append_string(text, value);
        } else {
            text_append_string(text, "\"");
            text_append_json(text, value, strlen(value));
            text_append_string(text, "\"");
        }
    }
    text_append_string(text, "}\n");
}

/* All rows of `statement` into `stream`; what could not be written shows in ferror. */
static enum result write_rows(struct reporting_database *database, sqlite3_stmt *statement,
                              enum export_format format, FILE *stream, struct fault *fault)
{
    struct csv_line line;
    enum result result = RESULT_OK;
    int code;

    csv_line_init(&line);
    if (format == EXPORT_CSV) {
        csv_heading(statement, &line);
        (void)fwrite(line.text.bytes, 1, line.text.length, stream);
    }
    while ((code = sqlite3_step(statement)) == SQLITE_ROW && !line.text.is_cut) {
        if (format == EXPORT_CSV)
            csv_row(statement, &line);
        else
            json_row(statement, &line.text);
        (void)fwrite(line.text.bytes, 1, line.text.length, stream);
    }
    if (line.text.is_cut)
        result = fault_set(fault, FAULT_TEMPORARY, "out of memory");
    else if (code != SQLITE_DONE)
        result = reporting_database_fault(database, "read a run", fault);
    csv_line_deinit(&line);
    return result;
}

/* Names of schedules are harmless in file names; the colons of an instant are not everywhere. */
static void export_path(const char *directory, const char *run_id, enum export_format format,
                        char path[PUBLISH_PATH_BYTES])
{
    size_t start = strlen(directory) + 1;

    (void)snprintf(path, PUBLISH_PATH_BYTES, "%s/%s%s", directory, run_id,
                   format == EXPORT_CSV ? ".csv" : ".jsonl");
    for (size_t i = start; path[i] != '\0'; i++) {
        char c = path[i];

        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '@' || c == '_' || c == '.' || c == '-'))
            path[i] = '-';
    }
}

static enum result export_run(struct reporting_database *database, const char *directory,
                              enum export_format format, const char *run_id, struct fault *fault)
{
    char path[PUBLISH_PATH_BYTES];
    char temporary[PUBLISH_PATH_BYTES];
    sqlite3_stmt *statement = NULL;
    FILE *stream = NULL;
    enum result result = RESULT_FAULT;
    int fd = -1;

    export_path(directory, run_id, format, path);
    if (publish_file_create(path, temporary, &fd, fault) != RESULT_OK)
        return RESULT_FAULT;
    stream = fdopen(fd, "w");
    if (stream == NULL) {
        (void)fault_set(fault, FAULT_TEMPORARY, "%s: %s", temporary, strerror(errno));
        (void)close(fd);
        goto out;
    }
    if (reporting_database_prepare(database, export_sql, &statement, fault) != RESULT_OK)
        goto out;
    (void)sqlite3_bind_text(statement, 1, run_id, -1, SQLITE_STATIC);
    result = write_rows(database, statement, format, stream, fault);
out:
    sqlite3_finalize(statement);
    if (stream != NULL) {
        bool has_error = ferror(stream) != 0;

        if ((fclose(stream) != 0 || has_error) && result == RESULT_OK)
            result = fault_set(fault, FAULT_IO, "%s: cannot write the export: %s", temporary,
                               strerror(errno));
    }
    if (result == RESULT_OK)
        return publish_file_commit(temporary, path, fault);
    publish_file_abandon(temporary);
    return RESULT_FAULT;
}

/* The next run without a file into `run_id`; "" when there is none. */
static enum result next_unexported(struct reporting_database *database, char *run_id, size_t size,
                                   struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_OK;
    int code;

    if (reporting_database_prepare(database,
                                   "SELECT run_id FROM delivery_run WHERE is_exported = 0 LIMIT 1",
                                   &statement, fault) != RESULT_OK)
        return RESULT_FAULT;
    code = sqlite3_step(statement);
    run_id[0] = '\0';
    if (code == SQLITE_ROW)
        (void)snprintf(run_id, size, "%s", (const char *)sqlite3_column_text(statement, 0));
    else if (code != SQLITE_DONE)
        result = reporting_database_fault(database, "read which runs are published", fault);
    sqlite3_finalize(statement);
    return result;
}

enum result reporting_publish_exports(struct reporting_database *database, const char *directory,
                                      enum export_format format, struct fault *fault)
{
    char run_id[MANIFEST_NAME_BYTES];

    if (directory == NULL)
        return mark(database, "UPDATE delivery_run SET is_exported = 1", NULL, fault);
    for (;;) {
        if (next_unexported(database, run_id, sizeof run_id, fault) != RESULT_OK)
            return RESULT_FAULT;
        if (run_id[0] == '\0')
            return RESULT_OK;
        if (export_run(database, directory, format, run_id, fault) != RESULT_OK)
            return fault_prefix(fault, "export of run %s", run_id);
        if (mark(database, "UPDATE delivery_run SET is_exported = 1 WHERE run_id = ?1", run_id,
                 fault) != RESULT_OK)
            return RESULT_FAULT;
    }
}

/* ---- snapshot ---- */

static enum result vacuum_into(struct reporting_database *database, const char *temporary,
                               struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_OK;

    if (reporting_database_prepare(database, "VACUUM INTO ?1", &statement, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_text(statement, 1, temporary, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) != SQLITE_DONE)
        result = reporting_database_fault(database, "copy itself into the snapshot", fault);
    sqlite3_finalize(statement);
    return result;
}

enum result reporting_publish_snapshot(struct reporting_database *database, const char *path,
                                       struct fault *fault)
{
    char temporary[PUBLISH_PATH_BYTES];
    int fd;

    if (path != NULL) {
        /* VACUUM INTO accepts an empty file: this one has the right mode. */
        if (publish_file_create(path, temporary, &fd, fault) != RESULT_OK)
            return RESULT_FAULT;
        (void)close(fd);
        if (vacuum_into(database, temporary, fault) != RESULT_OK) {
            publish_file_abandon(temporary);
            return RESULT_FAULT;
        }
        if (publish_file_commit(temporary, path, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return mark(database, "UPDATE delivery_run SET is_in_snapshot = 1", NULL, fault);
}
