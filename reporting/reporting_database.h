/* SPDX-License-Identifier: MIT
 *
 * reporting_database.h - the file of the star schema: open, transactions, position, statements.
 *
 * Layer:  reporting, internal. The only connection that writes the reporting database, used by one
 *         thread at a time.
 * Writes: begin -> reporting_facts_put... -> set_position -> commit, one transaction.
 */
#ifndef REFRESHD_REPORTING_REPORTING_DATABASE_H
#define REFRESHD_REPORTING_REPORTING_DATABASE_H

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/result.h"
#include "base/time_point.h"
#include "base/zone_file.h"
#include "state/outbox.h"

#define REPORTING_APPLICATION_ID 0x72667372 /* "rfsr" */
#define REPORTING_SCHEMA_VERSION 1
#define REPORTING_KNOWN_INSTITUTIONS 1024

enum reporting_statement {
    REPORTING_PUT_REFRESH,
    REPORTING_PUT_SKIP,
    REPORTING_PUT_CONSENT,
    REPORTING_PUT_INSTITUTION,
    REPORTING_PUT_RUN,
    REPORTING_PUT_DAILY,
    REPORTING_POSITION,
    REPORTING_SET_POSITION,
    REPORTING_TOUCHED,
    REPORTING_DAILY_COUNT,
    REPORTING_DAILY_SKIPPED,
    REPORTING_DAILY_RANK,
    REPORTING_DAILY_DROP,
    REPORTING_UNTOUCH,
    REPORTING_STATEMENT_COUNT
};

/* A time zone that a schedule named. */
struct reporting_zone {
    const char *name;
    const struct zone *zone; /* UTC where the name could not be read */
    struct reporting_zone *next;
};

struct reporting_database {
    sqlite3 *db;
    char *path;
    sqlite3_stmt *statements[REPORTING_STATEMENT_COUNT];
    struct arena zones_arena;
    struct reporting_zone *zones;
    struct fault zone_fault; /* the first zone that could not be read; text "" when none */
    struct utc_time loaded;  /* of the transaction that is open */
    char loaded_text[UTC_TEXT_SIZE];
    uint64_t institutions[REPORTING_KNOWN_INSTITUTIONS]; /* hashes: in this transaction */
    const atomic_bool *is_stopping; /* ends waiting for a lock early; may be NULL */
};

/* Open or create. FAULT_CANNOT_CREATE or FAULT_PERMISSION where the file cannot be made; FAULT_DATA
 * where it is another program's database or a newer version's; FAULT_IO where it is damaged;
 * FAULT_TEMPORARY otherwise. */
MUST_CHECK enum result reporting_database_open(const char *path, const atomic_bool *is_stopping,
                                               struct reporting_database **database,
                                               struct fault *fault);
/* NULL is ignored. */
void reporting_database_close(struct reporting_database *database);
/* The file was moved away or replaced since it was opened. */
bool reporting_database_has_moved(struct reporting_database *database);

/* How far the outbox of the state database `instance` has been taken in; -1: never heard of it. */
MUST_CHECK enum result reporting_database_position(struct reporting_database *database,
                                                   const char *instance, int64_t *sequence,
                                                   struct fault *fault);

/* Begin to write: takes the write lock. `loaded` becomes loaded_at of what changes. */
MUST_CHECK enum result reporting_database_begin(struct reporting_database *database,
                                                struct utc_time loaded, struct fault *fault);
MUST_CHECK enum result reporting_database_set_position(struct reporting_database *database,
                                                       const char *instance, int64_t sequence,
                                                       struct fault *fault);
/* Durable when it answers RESULT_OK; else rolled back. */
MUST_CHECK enum result reporting_database_commit(struct reporting_database *database,
                                                 struct fault *fault);
void reporting_database_rollback(struct reporting_database *database);

/* Run statements that give no rows. */
MUST_CHECK enum result reporting_database_execute(struct reporting_database *database,
                                                  const char *sql, const char *doing,
                                                  struct fault *fault);
/* Fill `fault` with "PATH: cannot DOING: what SQLite says". */
enum result reporting_database_fault(struct reporting_database *database, const char *doing,
                                     struct fault *fault);
/* A statement for one use; the caller finalizes it. */
MUST_CHECK enum result reporting_database_prepare(struct reporting_database *database,
                                                  const char *sql, sqlite3_stmt **statement,
                                                  struct fault *fault);
/* A statement that lives as long as the connection; NULL after filling `fault`. */
sqlite3_stmt *reporting_database_statement(struct reporting_database *database,
                                           enum reporting_statement which, struct fault *fault);
/* Step a statement that gives no rows, and make it ready for the next use. */
MUST_CHECK enum result reporting_database_run(struct reporting_database *database,
                                              sqlite3_stmt *statement, struct fault *fault);

#endif
