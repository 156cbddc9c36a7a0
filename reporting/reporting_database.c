/* SPDX-License-Identifier: MIT
 * reporting_database.c - see reporting_database.h: open, statements, transactions. */
#include "reporting/reporting_database.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "reporting/reporting_row.h"
#include "reporting/schema_sql.h"

#define BUSY_MS 5000
#define BUSY_STEP_MS 20

/* ---- SQLite ---- */

enum result reporting_database_fault(struct reporting_database *database, const char *doing,
                                     struct fault *fault)
{
    int code = sqlite3_errcode(database->db);
    enum fault_code fault_code = FAULT_TEMPORARY;
    const char *advice = "";

    switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        fault_code = FAULT_IO;
        advice = "; run `refreshd db rebuild-reporting` while the daemon is stopped";
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: advice = "; another program holds its write lock: end it"; break;
    case SQLITE_FULL: advice = "; make room on its disk"; break;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        fault_code = FAULT_PERMISSION;
        advice = "; the file and its folder must be writable for the daemon";
        break;
    case SQLITE_CANTOPEN: fault_code = FAULT_CANNOT_CREATE; break;
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE: fault_code = FAULT_INTERNAL; break;
    default: break;
    }
    return fault_set(fault, fault_code, "%s: cannot %s: %s%s", database->path, doing,
                     sqlite3_errmsg(database->db), advice);
}

enum result reporting_database_execute(struct reporting_database *database, const char *sql,
                                       const char *doing, struct fault *fault)
{
    if (sqlite3_exec(database->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return reporting_database_fault(database, doing, fault);
    return RESULT_OK;
}

enum result reporting_database_prepare(struct reporting_database *database, const char *sql,
                                       sqlite3_stmt **statement, struct fault *fault)
{
    if (sqlite3_prepare_v2(database->db, sql, -1, statement, NULL) != SQLITE_OK)
        return reporting_database_fault(database, "read its tables", fault);
    return RESULT_OK;
}

/* Wait for a foreign writer, but never longer than the daemon wants to live. */
static int on_busy(void *context, int count)
{
    const struct reporting_database *database = context;
    const struct timespec step = {0, BUSY_STEP_MS * 1000000L};

    if (count >= BUSY_MS / BUSY_STEP_MS)
        return 0;
    if (database->is_stopping != NULL && atomic_load(database->is_stopping))
        return 0;
    (void)nanosleep(&step, NULL);
    return 1;
}

static enum result read_integer(struct reporting_database *database, const char *sql,
                                int64_t *value, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (reporting_database_prepare(database, sql, &statement, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (sqlite3_step(statement) != SQLITE_ROW) {
        (void)reporting_database_fault(database, "read what kind of database it is", fault);
    } else {
        *value = sqlite3_column_int64(statement, 0);
        result = RESULT_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

/* ---- open and close ---- */

/* The mode that readers of the group need; SQLite gives its side files the same. */
static enum result create_file(const char *path, struct fault *fault)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

    if (fd < 0) {
        enum fault_code code = errno == EACCES || errno == EPERM || errno == EROFS
                                   ? FAULT_PERMISSION
                                   : FAULT_CANNOT_CREATE;

        if (errno == EEXIST)
            return RESULT_OK;
        return fault_set(fault, code, "%s: cannot create the reporting database: %s%s", path,
                         strerror(errno),
                         errno == ENOENT ? "; make its directory with `install -d -m 2750`" : "");
    }
    (void)fchmod(fd, 0640);
    (void)close(fd);
    return RESULT_OK;
}

static enum result set_up_connection(struct reporting_database *database, struct fault *fault)
{
    int persist = 1;

    (void)sqlite3_extended_result_codes(database->db, 1);
    (void)sqlite3_busy_handler(database->db, on_busy, database);
    (void)sqlite3_db_config(database->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_file_control(database->db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    /* The state database forgets what is delivered: it has to be on the disk by then. */
    return reporting_database_execute(database,
                                      "PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON;"
                                      "PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;"
                                      "PRAGMA wal_autocheckpoint = 4000;"
                                      "PRAGMA journal_size_limit = 67108864;"
                                      "PRAGMA temp_store = MEMORY",
                                      "set up the connection", fault);
}

static enum result create_tables(struct reporting_database *database, struct fault *fault)
{
    char sql[128];

    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   REPORTING_APPLICATION_ID, REPORTING_SCHEMA_VERSION);
    if (reporting_database_execute(database, "BEGIN IMMEDIATE", "write", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (reporting_database_execute(database, reporting_schema_sql, "create its tables", fault) !=
            RESULT_OK ||
        reporting_database_execute(database, sql, "create its tables", fault) != RESULT_OK) {
        reporting_database_rollback(database);
        return RESULT_FAULT;
    }
    return reporting_database_commit(database, fault);
}

static enum result set_up_tables(struct reporting_database *database, struct fault *fault)
{
    int64_t application = 0;
    int64_t version = 0;
    int64_t tables = 0;

    if (read_integer(database, "PRAGMA application_id", &application, fault) != RESULT_OK ||
        read_integer(database, "PRAGMA user_version", &version, fault) != RESULT_OK ||
        read_integer(database, "SELECT count(*) FROM sqlite_schema", &tables, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (tables > 0 && application != REPORTING_APPLICATION_ID)
        return fault_set(fault, FAULT_DATA,
                         "%s is not a reporting database of refreshd: name another file in "
                         "reporting.database",
                         database->path);
    if (version > REPORTING_SCHEMA_VERSION)
        return fault_set(fault, FAULT_DATA,
                         "%s has schema version %" PRId64 ", this program knows versions up to %d: "
                         "use the newer program",
                         database->path, version, REPORTING_SCHEMA_VERSION);
    if (tables == 0 && reporting_database_execute(database, "PRAGMA auto_vacuum = INCREMENTAL",
                                                  "set up the file", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (reporting_database_execute(database, "PRAGMA journal_mode = WAL", "set up the file",
                                   fault) != RESULT_OK)
        return RESULT_FAULT;
    return tables == 0 ? create_tables(database, fault) : RESULT_OK;
}

enum result reporting_database_open(const char *path, const atomic_bool *is_stopping,
                                    struct reporting_database **out, struct fault *fault)
{
    struct reporting_database *database = calloc(1, sizeof *database);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;

    if (database == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    arena_init(&database->zones_arena);
    database->is_stopping = is_stopping;
    database->path = strdup(path);
    if (database->path == NULL) {
        (void)fault_set(fault, FAULT_TEMPORARY, "out of memory");
        goto fail;
    }
    if (create_file(path, fault) != RESULT_OK)
        goto fail;
    if (sqlite3_open_v2(path, &database->db, flags, NULL) != SQLITE_OK) {
        (void)reporting_database_fault(database, "open the reporting database", fault);
        goto fail;
    }
    if (set_up_connection(database, fault) != RESULT_OK ||
        set_up_tables(database, fault) != RESULT_OK)
        goto fail;
    *out = database;
    return RESULT_OK;
fail:
    reporting_database_close(database);
    return RESULT_FAULT;
}

void reporting_database_close(struct reporting_database *database)
{
    if (database == NULL)
        return;
    for (int i = 0; i < REPORTING_STATEMENT_COUNT; i++)
        sqlite3_finalize(database->statements[i]);
    (void)sqlite3_close(database->db);
    arena_deinit(&database->zones_arena);
    free(database->path);
    free(database);
}

bool reporting_database_has_moved(struct reporting_database *database)
{
    int has_moved = 0;

    (void)sqlite3_file_control(database->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return has_moved != 0;
}

/* ---- statements ---- */

static const char *const statement_texts[REPORTING_STATEMENT_COUNT] = {
    [REPORTING_POSITION] = "SELECT sequence FROM delivery_position WHERE instance = ?1",
    [REPORTING_SET_POSITION] = "INSERT INTO delivery_position (instance, sequence) VALUES (?1, ?2)"
                               " ON CONFLICT (instance) DO UPDATE SET sequence = excluded.sequence",
    [REPORTING_TOUCHED] = "SELECT day, provider, institution FROM delivery_touched LIMIT 1",
    [REPORTING_DAILY_COUNT] =
        "SELECT count(duration_ms), count(*), sum(outcome = 'refreshed'),"
        " sum(outcome = 'partial'), sum(outcome = 'deduplicated'),"
        " sum(outcome = 'reconnect_required'), sum(outcome = 'failed'),"
        " sum(outcome = 'skipped'), sum(outcome = 'unknown')"
        " FROM fact_refresh WHERE day = ?1 AND provider = ?2 AND institution = ?3",
    [REPORTING_DAILY_SKIPPED] = "SELECT count(*), sum(count) FROM fact_skip"
                                " WHERE day = ?1 AND provider = ?2 AND institution = ?3",
    [REPORTING_DAILY_RANK] =
        "SELECT duration_ms FROM fact_refresh"
        " WHERE day = ?1 AND provider = ?2 AND institution = ?3 AND duration_ms IS NOT NULL"
        " ORDER BY duration_ms LIMIT 1 OFFSET ?4",
    [REPORTING_DAILY_DROP] =
        "DELETE FROM daily_institution WHERE day = ?1 AND provider = ?2 AND institution = ?3",
    [REPORTING_UNTOUCH] =
        "DELETE FROM delivery_touched WHERE day = ?1 AND provider = ?2 AND institution = ?3",
};

sqlite3_stmt *reporting_database_statement(struct reporting_database *database,
                                           enum reporting_statement which, struct fault *fault)
{
    struct text sql;

    if (database->statements[which] != NULL)
        return database->statements[which];
    text_init(&sql, 16384);
    if (statement_texts[which] == NULL)
        reporting_row_upsert(which, &sql);
    else
        text_append_string(&sql, statement_texts[which]);
    if (sqlite3_prepare_v3(database->db, sql.bytes, -1, SQLITE_PREPARE_PERSISTENT,
                           &database->statements[which], NULL) != SQLITE_OK)
        (void)reporting_database_fault(database, "use its tables", fault);
    text_deinit(&sql);
    return database->statements[which];
}

enum result reporting_database_run(struct reporting_database *database, sqlite3_stmt *statement,
                                   struct fault *fault)
{
    enum result result = RESULT_OK;

    if (sqlite3_step(statement) != SQLITE_DONE)
        result = reporting_database_fault(database, "write", fault);
    (void)sqlite3_reset(statement);
    return result;
}

enum result reporting_database_position(struct reporting_database *database, const char *instance,
                                        int64_t *sequence, struct fault *fault)
{
    sqlite3_stmt *statement = reporting_database_statement(database, REPORTING_POSITION, fault);
    enum result result = RESULT_OK;
    int code;

    if (statement == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_text(statement, 1, instance, -1, SQLITE_STATIC);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *sequence = sqlite3_column_int64(statement, 0);
    else if (code == SQLITE_DONE)
        *sequence = -1;
    else
        result = reporting_database_fault(database, "read how far it is", fault);
    (void)sqlite3_reset(statement);
    return result;
}

/* ---- transactions ---- */

enum result reporting_database_begin(struct reporting_database *database, struct utc_time loaded,
                                     struct fault *fault)
{
    REQUIRE(sqlite3_get_autocommit(database->db));
    database->loaded = loaded;
    (void)utc_text(loaded, database->loaded_text);
    memset(database->institutions, 0, sizeof database->institutions);
    return reporting_database_execute(database, "BEGIN IMMEDIATE", "begin to write", fault);
}

enum result reporting_database_commit(struct reporting_database *database, struct fault *fault)
{
    if (reporting_database_execute(database, "COMMIT", "commit", fault) == RESULT_OK)
        return RESULT_OK;
    reporting_database_rollback(database);
    return RESULT_FAULT;
}

void reporting_database_rollback(struct reporting_database *database)
{
    /* SQLite has rolled back by itself after some errors. */
    if (!sqlite3_get_autocommit(database->db))
        (void)sqlite3_exec(database->db, "ROLLBACK", NULL, NULL, NULL);
}

enum result reporting_database_set_position(struct reporting_database *database,
                                            const char *instance, int64_t sequence,
                                            struct fault *fault)
{
    sqlite3_stmt *statement = reporting_database_statement(database, REPORTING_SET_POSITION, fault);

    if (statement == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_text(statement, 1, instance, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, sequence);
    return reporting_database_run(database, statement, fault);
}
