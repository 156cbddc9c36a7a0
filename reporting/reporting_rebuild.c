/* SPDX-License-Identifier: MIT
 * reporting_rebuild.c - `db rebuild-reporting`: see reporting_rebuild in reporting.h. */
#include "reporting/reporting.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "reporting/reporting_daily.h"
#include "reporting/reporting_delivery.h"
#include "reporting/reporting_publish.h"
#include "reporting/schema_sql.h"
#include "state/state_lock.h"

#define DAILY_ROWS 5000

static struct utc_time utc_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct utc_time){(int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000};
}

/* Is every page of it as it should be? Opening alone would not tell. */
static enum result check_pages(struct reporting_database *database, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    const char *verdict;
    enum result result = RESULT_FAULT;

    if (reporting_database_prepare(database, "PRAGMA quick_check(1)", &statement, fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    if (sqlite3_step(statement) != SQLITE_ROW) {
        (void)reporting_database_fault(database, "check its pages", fault);
    } else {
        verdict = (const char *)sqlite3_column_text(statement, 0);
        if (verdict != NULL && strcmp(verdict, "ok") == 0)
            result = RESULT_OK;
        else
            (void)fault_set(fault, FAULT_IO, "%s is damaged: %s", database->path,
                            verdict == NULL ? "?" : verdict);
    }
    sqlite3_finalize(statement);
    return result;
}

/* Tables that somebody dropped are made anew; a file whose tables are not ours any more is as good
 * as damaged. */
static enum result check_tables(struct reporting_database *database, struct fault *fault)
{
    if (reporting_database_execute(database, reporting_schema_sql, "create its tables", fault) !=
        RESULT_OK)
        goto fail;
    for (int which = 0; which < REPORTING_STATEMENT_COUNT; which++)
        if (reporting_database_statement(database, (enum reporting_statement)which, fault) == NULL)
            goto fail;
    return RESULT_OK;
fail:
    if (fault->code == FAULT_INTERNAL)
        fault->code = FAULT_IO;
    return RESULT_FAULT;
}

/* FAULT_IO: damaged. */
static enum result open_checked(const char *path, struct reporting_database **out,
                                struct fault *fault)
{
    struct reporting_database *database = NULL;

    if (reporting_database_open(path, NULL, &database, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (check_pages(database, fault) != RESULT_OK || check_tables(database, fault) != RESULT_OK) {
        reporting_database_close(database);
        return RESULT_FAULT;
    }
    *out = database;
    return RESULT_OK;
}

/* Its log goes with it: it belongs to no other file, and may hold what the file does not. */
static enum result move_aside(const char *path, char *name, struct fault *fault)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    struct civil_time at = civil_from_utc(utc_now());

    if ((size_t)snprintf(name, REPORTING_PATH_BYTES, "%s.damaged-%04d%02d%02dT%02d%02d%02dZ", path,
                         at.year, at.month, at.day, at.hour, at.minute,
                         at.second) >= REPORTING_PATH_BYTES - 8)
        return fault_set(fault, FAULT_CONFIGURATION, "%.200s...: the path is too long", path);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char from[REPORTING_PATH_BYTES + 8];
        char to[REPORTING_PATH_BYTES + 8];

        (void)snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        (void)snprintf(to, sizeof to, "%s%s", name, suffixes[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return fault_set(fault, FAULT_IO, "%s: cannot rename it to %s: %s", from, to,
                             strerror(errno));
    }
    return RESULT_OK;
}

static enum result open_or_replace(const char *path, char *set_aside,
                                   struct reporting_database **database, struct fault *fault)
{
    char name[REPORTING_PATH_BYTES];

    if (open_checked(path, database, fault) == RESULT_OK)
        return RESULT_OK;
    if (fault->code != FAULT_IO)
        return RESULT_FAULT;
    if (move_aside(path, name, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (set_aside != NULL)
        (void)snprintf(set_aside, REPORTING_PATH_BYTES, "%s", name);
    return open_checked(path, database, fault);
}

static enum result fill(struct reporting_delivery *delivery, const char *snapshot,
                        void (*progress)(void *context, uint64_t rows), void *context,
                        struct fault *fault)
{
    struct reporting_database *database = delivery->database;
    bool more = true;

    if (reporting_delivery_replay(delivery, utc_now(), progress, context, fault) != RESULT_OK ||
        /* Every day, not only those that changed: a row of daily_institution may be the one that
         * is wrong. */
        reporting_database_execute(
            database,
            "INSERT INTO delivery_touched SELECT DISTINCT day, provider, institution"
            " FROM fact_refresh WHERE true ON CONFLICT DO NOTHING;"
            "INSERT INTO delivery_touched SELECT DISTINCT day, provider, institution"
            " FROM fact_skip WHERE provider IS NOT NULL ON CONFLICT DO NOTHING",
            "note which days to count", fault) != RESULT_OK)
        return RESULT_FAULT;
    while (more)
        if (reporting_daily_refresh(database, utc_now(), DAILY_ROWS, &more, fault) != RESULT_OK)
            return RESULT_FAULT;
    if (reporting_publish_snapshot(database, snapshot, fault) != RESULT_OK)
        return RESULT_FAULT;
    return reporting_publish_forget(database, fault);
}

enum result reporting_rebuild(const struct config *config,
                              void (*progress)(void *context, uint64_t rows), void *context,
                              char *set_aside, struct fault *fault)
{
    struct reporting_delivery delivery = {.database = NULL};
    struct state_lock lock = {.fd = -1};
    enum result result = RESULT_FAULT;

    if (set_aside != NULL)
        set_aside[0] = '\0';
    if (config->reporting.database == NULL)
        return fault_set(fault, FAULT_USAGE,
                         "%s names no reporting.database: there is nothing to rebuild",
                         config->root_path);
    if (state_store_open(config->state.database, STATE_READ_ONLY, &delivery.store, fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    /* The daemon writes the reporting database; two writers of one file are one too many. */
    if (state_lock_take(config->state.database, "db rebuild-reporting", &lock, fault) !=
        RESULT_OK) {
        (void)fault_prefix(fault, "stop the daemon first, it writes the reporting database itself");
        goto out;
    }
    if (open_or_replace(config->reporting.database, set_aside, &delivery.database, fault) !=
        RESULT_OK)
        goto out;
    result = fill(&delivery, config->reporting.snapshot, progress, context, fault);
out:
    reporting_database_close(delivery.database);
    state_store_close(delivery.store);
    state_lock_release(&lock);
    return result;
}
