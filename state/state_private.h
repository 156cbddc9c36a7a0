/* SPDX-License-Identifier: MIT
 *
 * state_private.h - what the files of the store share; nobody outside state/ includes it.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_STATE_PRIVATE_H
#define REFRESHD_STATE_STATE_PRIVATE_H

#include <stddef.h>

#include <sqlite3.h>

#include "state/state_store.h"

#define STATE_APPLICATION_ID 0x72667364 /* "rfsd" */
#define STATE_SCHEMA_VERSION 2
#define STATE_PATH_BYTES 4096
#define STATE_BUSY_MS 5000
#define STATE_WAL_BYTES_MAX (64 * 1024 * 1024)
#define STATE_WAL_PAGES_DUE 16000

#define ATTEMPTS_PER_JOB INT64_C(65536) /* attempt_key = job_no * this + attempt */

/* ledger.kind */
enum ledger_kind { LEDGER_JOB = 1, LEDGER_SKIP, LEDGER_RUN, LEDGER_CONSENT };

/* Statements of the hot path and of other frequent work: prepared once, on first use. */
enum statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_RUN_OPEN,
    STATEMENT_RUN_RANGE,
    STATEMENT_RUN_COUNT_JOBS,
    STATEMENT_RUN_COUNT_SKIPS,
    STATEMENT_RUN_CLOSE,
    STATEMENT_JOB_OPEN,
    STATEMENT_JOB_AGAIN,
    STATEMENT_JOB_STATE,
    STATEMENT_JOB_CLOSE,
    STATEMENT_ATTEMPT,
    STATEMENT_ANSWER,
    STATEMENT_REFERENCE,
    STATEMENT_SKIP,
    STATEMENT_LEDGER,
    STATEMENT_HOLD,
    STATEMENT_EXPIRES,
    STATEMENT_CHECKED,
    STATEMENT_RECHECK,
    STATEMENT_CALLS,
    STATEMENT_SCHEDULE,
    STATEMENT_NODE,
    STATEMENT_SLOT_CLEAR,
    STATEMENT_SLOT,
    STATEMENT_EVIDENCE,
    STATEMENT_AUDIT,
    STATEMENT_FOLD,
    STATEMENT_WEBHOOK,
    STATEMENT_WEBHOOK_SEEN,
    STATEMENT_CONSENT_NAME,
    STATEMENT_FIND_CONSENT,
    STATEMENT_CONSENT,
    STATEMENT_COUNT
};

/* Consents whose rows lag behind what was committed: one bit a number. */
struct number_set {
    uint64_t *words;
    uint32_t word_count;
    uint32_t count; /* bits set */
};

/* A first load that is not written to its end (state_load.h). */
struct consent_load {
    const struct consent_table *table; /* borrowed; NULL: nothing is under way */
    uint32_t *rows;                    /* of the table, by number - 1 */
    uint32_t count;
    uint32_t next;           /* rows of numbers before it are written... */
    struct number_set early; /* ...and these */
    uint32_t *tentative;     /* of `early`: by the transaction that is open */
    uint32_t tentative_count;
    uint32_t tentative_capacity;
    int64_t since_run_no;
};

/* Row numbers by configuration index. */
struct config_names {
    const struct config *config; /* borrowed */
    int64_t *provider_nos;
    int64_t *schedule_nos;
};

struct state_store {
    sqlite3 *db;
    enum state_access access;
    char path[STATE_PATH_BYTES];
    char instance[9];
    bool was_unclean;
    bool has_lost_a_write; /* nobody knows what is on the disk: nothing more is written */
    int migrated_from;
    char backup[STATE_PATH_BYTES + 64];
    sqlite3_stmt *statements[STATEMENT_COUNT];

    struct config_names names; /* since set_config */
    /* Since sync_consents: row numbers by index in the table, numbers by row. */
    int64_t *institution_nos;
    uint32_t institution_count;
    int64_t *set_nos;
    uint32_t set_count;
    uint32_t *numbers;
    uint32_t number_max;
    bool needs_name_index; /* left out by a first load; state_care.c makes it */
    struct consent_load load;
    uint32_t orphan_count;        /* runs that close with the last of their jobs */
    bool is_recovered;            /* the core knows the holds: from now on it ends them itself */
    struct number_set look_dates; /* state_look.h: these have other dates than in their rows */

    /* Last numbers given; what a rolled back transaction took is given again. */
    int64_t last_seq;
    int64_t last_job_no;
    uint32_t last_run_no;

    /* `once` narrowed to these. */
    int64_t only_consent_no;
    char only_institution[192];

    /* Fold: closes since the pass began are in `dirty`, those being written in `folding`. */
    struct number_set dirty;
    struct number_set folding;
    uint32_t fold_cursor;
    int64_t fold_seq; /* ledger and job marks to record when this pass is complete */
    int64_t fold_job_no;
    int64_t fold_run_no;

    /* Care. */
    int64_t care_mark_ms;
    int64_t care_retention_ms;
    int64_t retain_jobs_ms;
    int64_t retain_attempts_ms;
    bool has_reporting; /* somebody reads the ledger */
    int wal_pages;
    int64_t delivered_seq;

    uint64_t commits;
    int64_t commit_us_last;
    int64_t commit_us_max;
};

/* ---- state_sql.c ---- */

/* Turn the last error of `db` into a fault: "DOING: what SQLite says"; the code says whether it
 * passes (full disk, busy), is for ever (damage), or is our bug. */
enum result state_sql_fault(sqlite3 *db, struct fault *fault, const char *doing);
/* Run statements that give no rows. */
MUST_CHECK enum result state_sql_execute(sqlite3 *db, const char *sql, const char *doing,
                                         struct fault *fault);
/* Prepare for one use. */
MUST_CHECK enum result state_sql_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement,
                                         const char *doing, struct fault *fault);
/* First column of the first row of `sql`, or `otherwise` where there is none or it is NULL. */
MUST_CHECK enum result state_sql_integer(sqlite3 *db, const char *sql, int64_t otherwise,
                                         int64_t *value, const char *doing, struct fault *fault);
/* A statement that lives as long as the store; NULL after filling `fault`. */
sqlite3_stmt *state_sql_statement(struct state_store *store, enum statement which,
                                  struct fault *fault);
/* Step a statement that gives no rows, and reset it. */
MUST_CHECK enum result state_sql_run(struct state_store *store, sqlite3_stmt *statement,
                                     const char *doing, struct fault *fault);
/* The next row: *found says whether there is one. The statement is left as it is. */
MUST_CHECK enum result state_sql_step(sqlite3 *db, sqlite3_stmt *statement, bool *found,
                                      const char *doing, struct fault *fault);

MUST_CHECK enum result state_sql_begin(struct state_store *store, struct fault *fault);
/* Commit; on a fault the transaction is rolled back. */
MUST_CHECK enum result state_sql_commit(struct state_store *store, struct fault *fault);
/* Leave no transaction and no statement half done. Keeps the fault that led here. */
void state_sql_rollback(struct state_store *store);

/* Values: NULL for "never", "none" and absent texts. Return codes of bind are looked at by the
 * step: a failed bind (out of memory) leaves SQLite's error in the connection. */
void state_bind_time(sqlite3_stmt *statement, int index, struct utc_time at);
void state_bind_text(sqlite3_stmt *statement, int index, const char *text);
void state_bind_word(sqlite3_stmt *statement, int index, unsigned word); /* 0: NULL */
struct utc_time state_column_time(sqlite3_stmt *statement, int column, struct utc_time otherwise);
/* NULL where the column is. Valid until the next step. */
const char *state_column_text(sqlite3_stmt *statement, int column);

/* ---- state_open.c ---- */

struct state_migration {
    int version;     /* that the database has afterwards */
    const char *sql; /* run in one transaction */
};
/* Bring `store` (open, read-write) to the last of `steps`: each in one transaction, after a backup
 * when there is something to lose. */
MUST_CHECK enum result state_open_migrate(struct state_store *store,
                                          const struct state_migration *steps, size_t step_count,
                                          struct fault *fault);
/* Open `path` and set what every connection of ours sets. */
MUST_CHECK enum result state_open_connection(const char *path, enum state_access access,
                                             sqlite3 **db, struct fault *fault);
/* Read the last numbers given. */
MUST_CHECK enum result state_open_read_meta(struct state_store *store, struct fault *fault);
/* Put the file into WAL mode. */
MUST_CHECK enum result state_open_log(struct state_store *store, struct fault *fault);
struct utc_time state_open_now(void);
/* The directory of a file: "." for a bare name. */
void state_open_directory(const char *path, char directory[STATE_PATH_BYTES]);

/* ---- state_numbers.c ---- */

/* Set a bit, growing as needed; false when memory is out. */
bool number_set_add(struct number_set *set, uint32_t number);
void number_set_remove(struct number_set *set, uint32_t number);
bool number_set_has(const struct number_set *set, uint32_t number);
/* The first number at or after `from`; 0 when there is none (numbers count from 1). */
uint32_t number_set_next(const struct number_set *set, uint32_t from);
void number_set_clear(struct number_set *set);
void number_set_deinit(struct number_set *set);

/* ---- state_people.c ---- */

/* Inside a transaction. */
MUST_CHECK enum result state_people_audit(struct state_store *store, struct utc_time at,
                                          const struct audit *audit, struct fault *fault);

/* ---- state_config.c ---- */

/* Take `config` into the tables and the store. Inside a transaction; afterwards either _keep or
 * _undo (also after a fault): `old` is what was there before. */
MUST_CHECK enum result state_config_write(struct state_store *store, const struct config *config,
                                          struct utc_time now, struct config_names *old,
                                          struct fault *fault);
void state_config_keep(struct state_store *store, struct config_names *old);
void state_config_undo(struct state_store *store, struct config_names *old);

/* The numbers that the tables have for the names of `config`, 0 where there is none yet. Writes
 * nothing. */
MUST_CHECK enum result state_config_look(struct state_store *store, const struct config *config,
                                         struct fault *fault);

/* Write the last slot and the coming ones of schedule `index`. Inside a transaction. */
MUST_CHECK enum result state_slots_write(struct state_store *store, uint32_t index,
                                         struct utc_time accounted, struct fault *fault);

/* ---- state_commit.c ---- */

/* Give the next ledger number to a fact; `more` (0: none) as in schema.sql. Inside a transaction.
 */
MUST_CHECK enum result state_commit_ledger(struct state_store *store, enum ledger_kind kind,
                                           int64_t ref, int64_t more, struct fault *fault);
/* One record; `batch` (count records from `index` on) lets neighbours be written together and is
 * advanced past what was. Inside a transaction. */
MUST_CHECK enum result state_commit_record(struct state_store *store, const struct record *records,
                                           uint32_t count, uint32_t *index, struct fault *fault);
/* Count a run's rows and close it. Inside a transaction. */
MUST_CHECK enum result state_commit_run_close(struct state_store *store, uint32_t run,
                                              struct utc_time at, bool late, struct fault *fault);

#endif
