/* SPDX-License-Identifier: MIT
 * state_open.c - open, create, check, migrate and close the state database. */
#include "state/state_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "state/migrate_2_sql.h"
#include "state/schema_sql.h"
#include "state/state_load.h"
#include "state/state_maintain.h"
#include "state/views_sql.h"

/* One entry per schema version. A change of the views is a version too: an older program must
 * not put its own back. */
static const struct state_migration migrations[] = {
    {1, state_schema_sql},
    {2, state_migrate_2_sql},
};

struct utc_time state_open_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct utc_time){(int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000};
}

/* ---- the file ---- */

void state_open_directory(const char *path, char directory[STATE_PATH_BYTES])
{
    char *slash;

    (void)snprintf(directory, STATE_PATH_BYTES, "%s", path);
    slash = strrchr(directory, '/');
    if (slash == NULL)
        (void)snprintf(directory, STATE_PATH_BYTES, ".");
    else
        slash[slash == directory ? 1 : 0] = '\0';
}

/* The write-ahead log shares memory between processes: that does not work across machines. */
static enum result refuse_network_file_system(const char *path, struct fault *fault)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } refused[] = {
        {NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"},     {CIFS_SUPER_MAGIC, "CIFS"},
        {SMB2_SUPER_MAGIC, "SMB2"}, {FUSE_SUPER_MAGIC, "FUSE"},   {V9FS_MAGIC, "9P"},
        {AFS_SUPER_MAGIC, "AFS"},   {AFS_FS_MAGIC, "AFS"},        {CODA_SUPER_MAGIC, "Coda"},
        {CEPH_SUPER_MAGIC, "Ceph"}, {OCFS2_SUPER_MAGIC, "OCFS2"}, {0x0BD00BD0UL, "Lustre"},
        {0x47504653UL, "GPFS"},     {0x01161970UL, "GFS2"},       {0x564cUL, "NCP"},
    };
    char directory[STATE_PATH_BYTES];
    struct statfs status;

    state_open_directory(path, directory);
    if (statfs(directory, &status) != 0) {
        if (errno == ENOENT)
            return fault_set(fault, FAULT_CANNOT_CREATE,
                             "%s: the directory %s does not exist: make it with "
                             "`install -d -m 2750 %s`",
                             path, directory, directory);
        return fault_set(fault, errno == EACCES ? FAULT_PERMISSION : FAULT_CANNOT_CREATE, "%s: %s",
                         directory, strerror(errno));
    }
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if ((unsigned long)status.f_type == refused[i].magic)
            return fault_set(fault, FAULT_CANNOT_CREATE,
                             "%s is on a %s file system, where the write-ahead log is not safe: "
                             "put state.database on a local disk",
                             path, refused[i].name);
    return RESULT_OK;
}

/* Make the file with the mode that readers of the group need; SQLite gives its log files the same.
 * A file that is there keeps its own. */
static enum result create_file(const char *path, struct fault *fault)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);

    if (fd < 0) {
        if (errno == EEXIST)
            return RESULT_OK;
        return fault_set(fault, errno == EACCES ? FAULT_PERMISSION : FAULT_CANNOT_CREATE,
                         "%s: cannot create the state database: %s", path, strerror(errno));
    }
    (void)fchmod(fd, 0640);
    (void)close(fd);
    return RESULT_OK;
}

static enum result set_up_connection(sqlite3 *db, enum state_access access, struct fault *fault)
{
    int persist = 1;

    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, STATE_BUSY_MS);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    if (state_sql_execute(db,
                          "PRAGMA mmap_size = 0; PRAGMA foreign_keys = ON;"
                          "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;"
                          "PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384;"
                          "PRAGMA secure_delete = FAST; PRAGMA temp_store = MEMORY",
                          "set up the connection", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (access == STATE_READ_ONLY)
        return state_sql_execute(db, "PRAGMA query_only = ON", "set up the connection", fault);
    return RESULT_OK;
}

static bool is_missing(const char *path)
{
    struct stat status;

    return stat(path, &status) != 0 && errno == ENOENT;
}

enum result state_open_connection(const char *path, enum state_access access, sqlite3 **db,
                                  struct fault *fault)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
                (access == STATE_READ_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
    sqlite3 *opened = NULL;

    if (access == STATE_READ_ONLY && is_missing(path))
        return fault_set(fault, FAULT_UNAVAILABLE,
                         "%s: there is no state database yet: `refreshd serve` or `refreshd once` "
                         "makes it",
                         path);
    /* Counting its memory costs SQLite a lock for each piece; nobody reads the count. Refused, as
     * it should be, where SQLite is in use already. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    if (sqlite3_open_v2(path, &opened, flags, NULL) != SQLITE_OK) {
        (void)fault_set(fault, errno == EACCES ? FAULT_PERMISSION : FAULT_CANNOT_CREATE,
                        "%s: cannot open the state database: %s", path,
                        opened == NULL ? "out of memory" : sqlite3_errmsg(opened));
        goto out;
    }
    if (set_up_connection(opened, access, fault) != RESULT_OK)
        goto out;
    *db = opened;
    return RESULT_OK;
out:
    (void)sqlite3_close(opened);
    return RESULT_FAULT;
}

/* ---- what is in it ---- */

struct identity {
    int64_t application;
    int64_t version;
    int64_t tables;
};

static enum result read_identity(sqlite3 *db, struct identity *identity, struct fault *fault)
{
    static const char doing[] = "read what kind of database this is";

    if (state_sql_integer(db, "PRAGMA application_id", 0, &identity->application, doing, fault) !=
            RESULT_OK ||
        state_sql_integer(db, "PRAGMA user_version", 0, &identity->version, doing, fault) !=
            RESULT_OK ||
        state_sql_integer(db, "SELECT count(*) FROM sqlite_schema", 0, &identity->tables, doing,
                          fault) != RESULT_OK)
        return RESULT_FAULT;
    return RESULT_OK;
}

static enum result judge_identity(const char *path, const struct identity *identity,
                                  int latest_version, struct fault *fault)
{
    if (identity->tables == 0 && identity->version == 0)
        return RESULT_OK;
    if (identity->application != STATE_APPLICATION_ID)
        return fault_set(fault, FAULT_DATA,
                         "%s is not a state database of refreshd: name another file in "
                         "state.database",
                         path);
    if (identity->version > latest_version)
        return fault_set(fault, FAULT_DATA,
                         "%s has schema version %" PRId64 ", this program knows versions up to %d: "
                         "use the newer program, or restore the backup that it made",
                         path, identity->version, latest_version);
    return RESULT_OK;
}

/* ---- migration ---- */

static enum result write_words(sqlite3 *db, const char *table, unsigned first, unsigned count,
                               const char *(*text)(unsigned word), struct fault *fault)
{
    char sql[128];
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    (void)snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO %s (code, word) VALUES (?1, ?2)",
                   table);
    if (state_sql_prepare(db, sql, &statement, "write the words", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (unsigned word = first; word < count; word++) {
        (void)sqlite3_bind_int(statement, 1, (int)word);
        state_bind_text(statement, 2, text(word));
        if (sqlite3_step(statement) != SQLITE_DONE) {
            (void)state_sql_fault(db, fault, "write the words");
            goto out;
        }
        (void)sqlite3_reset(statement);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static const char *outcome_word(unsigned word)
{
    return outcome_text((enum outcome)word);
}
static const char *reason_word(unsigned word)
{
    return reason_text((enum reason)word);
}
static const char *class_word(unsigned word)
{
    return answer_class_text((enum answer_class)word);
}
static const char *job_state_word(unsigned word)
{
    return job_state_text((enum job_state)word);
}
static const char *trigger_word(unsigned word)
{
    return trigger_text((enum trigger)word);
}
static const char *mode_word(unsigned word)
{
    return consent_mode_text((enum consent_mode)word);
}

/* Views and words say what this program says; both are made anew at each migration. */
static enum result write_public_face(sqlite3 *db, struct fault *fault)
{
    static const char doing[] = "make the views";
    char sql[160];
    sqlite3_stmt *statement = NULL;
    bool found = true;

    /* Backwards: a view that others use goes after them. SQLite does not mind the order. */
    while (found) {
        if (state_sql_prepare(db, "SELECT name FROM sqlite_schema WHERE type = 'view' LIMIT 1",
                              &statement, doing, fault) != RESULT_OK)
            return RESULT_FAULT;
        if (state_sql_step(db, statement, &found, doing, fault) != RESULT_OK) {
            sqlite3_finalize(statement);
            return RESULT_FAULT;
        }
        if (found)
            (void)snprintf(sql, sizeof sql, "DROP VIEW \"%s\"", state_column_text(statement, 0));
        sqlite3_finalize(statement);
        if (found && state_sql_execute(db, sql, doing, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    if (state_sql_execute(db, state_views_sql, doing, fault) != RESULT_OK ||
        write_words(db, "word_outcome", 1, OUTCOME_COUNT, outcome_word, fault) != RESULT_OK ||
        write_words(db, "word_reason", 1, REASON_COUNT, reason_word, fault) != RESULT_OK ||
        write_words(db, "word_class", 1, CLASS_COUNT, class_word, fault) != RESULT_OK ||
        write_words(db, "word_job_state", 0, JOB_STATE_COUNT, job_state_word, fault) != RESULT_OK ||
        write_words(db, "word_trigger", 0, TRIGGER_COUNT, trigger_word, fault) != RESULT_OK ||
        write_words(db, "word_mode", 0, MODE_COUNT, mode_word, fault) != RESULT_OK)
        return RESULT_FAULT;
    return RESULT_OK;
}

static enum result write_first_rows(sqlite3 *db, struct fault *fault)
{
    char sql[256];
    uint32_t instance = 0;

    if (getrandom(&instance, sizeof instance, 0) != (ssize_t)sizeof instance)
        return fault_set(fault, FAULT_INTERNAL, "the system gives no random bytes: %s",
                         strerror(errno));
    (void)snprintf(sql, sizeof sql,
                   "INSERT INTO meta VALUES (1, '%08" PRIx32 "', %" PRId64
                   ", 0, 0, 0, 0, 0, NULL, NULL);"
                   "INSERT INTO job_mark (at_ms, job_no) VALUES (0, 0)",
                   instance, state_open_now().ms);
    return state_sql_execute(db, sql, "write the first rows", fault);
}

static enum result migrate_one(struct state_store *store, const struct state_migration *step,
                               bool is_new, bool is_last, struct fault *fault)
{
    char sql[128];

    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   STATE_APPLICATION_ID, step->version);
    if (state_sql_execute(store->db, step->sql, "migrate", fault) != RESULT_OK ||
        (is_new && write_first_rows(store->db, fault) != RESULT_OK) ||
        (is_last && write_public_face(store->db, fault) != RESULT_OK) ||
        state_sql_execute(store->db, sql, "migrate", fault) != RESULT_OK) {
        state_sql_rollback(store);
        return fault_prefix(fault, "migration to version %d", step->version);
    }
    return state_sql_commit(store, fault);
}

enum result state_open_migrate(struct state_store *store, const struct state_migration *steps,
                               size_t step_count, struct fault *fault)
{
    struct identity identity = {0};
    bool is_new;

    if (read_identity(store->db, &identity, fault) != RESULT_OK ||
        judge_identity(store->path, &identity, steps[step_count - 1].version, fault) != RESULT_OK)
        return RESULT_FAULT;
    store->migrated_from = (int)identity.version;
    if (identity.version == steps[step_count - 1].version)
        return RESULT_OK;
    is_new = identity.tables == 0;
    if (!is_new) {
        state_maintain_backup_name(store->path, state_open_now(), store->backup,
                                   sizeof store->backup);
        if (state_maintain_backup(store->path, store->backup, fault) != RESULT_OK)
            return fault_prefix(fault, "backup before the migration");
    }
    for (size_t i = 0; i < step_count; i++) {
        if (steps[i].version <= identity.version)
            continue;
        if (migrate_one(store, &steps[i], is_new && i == 0, i + 1 == step_count, fault) !=
            RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

/* ---- open and close ---- */

enum result state_open_log(struct state_store *store, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, "PRAGMA journal_mode = WAL", &statement, "set up the file",
                          fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_step(store->db, statement, &found, "set up the file", fault) == RESULT_OK) {
        const char *mode = found ? state_column_text(statement, 0) : NULL;

        if (mode != NULL && strcmp(mode, "wal") == 0)
            result = RESULT_OK;
        else
            (void)fault_set(fault, FAULT_CANNOT_CREATE,
                            "%s: the file system does not allow a write-ahead log", store->path);
    }
    sqlite3_finalize(statement);
    return result;
}

/* The order matters: auto_vacuum before the first table, WAL after it. */
static enum result prepare_file(struct state_store *store, struct fault *fault)
{
    struct identity identity = {0};

    if (read_identity(store->db, &identity, fault) != RESULT_OK ||
        judge_identity(store->path, &identity, STATE_SCHEMA_VERSION, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (identity.tables == 0 && state_sql_execute(store->db, "PRAGMA auto_vacuum = INCREMENTAL",
                                                  "set up the file", fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_open_log(store, fault);
}

/* After a crash: SQLite has recovered from its log; is what it finds whole? */
static enum result quick_check(struct state_store *store, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, "PRAGMA quick_check(1)", &statement, "check", fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_step(store->db, statement, &found, "check", fault) == RESULT_OK) {
        const char *text = found ? state_column_text(statement, 0) : NULL;

        if (text != NULL && strcmp(text, "ok") == 0)
            result = RESULT_OK;
        else
            (void)fault_set(fault, FAULT_IO,
                            "%s is damaged (%s): stop here, keep the file, and restore a backup "
                            "(`refreshd db verify` tells more)",
                            store->path, text == NULL ? "no answer" : text);
    }
    sqlite3_finalize(statement);
    return result;
}

enum result state_open_read_meta(struct state_store *store, struct fault *fault)
{
    static const char sql[] =
        "SELECT instance, is_open, delivered_seq,"
        " (SELECT coalesce(max(seq), 0) FROM ledger), (SELECT coalesce(max(job_no), 0) FROM job),"
        " (SELECT coalesce(max(run_no), 0) FROM run),"
        " (SELECT coalesce(max(consent_no), 0) FROM consent),"
        " NOT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'consent_by_name') FROM meta";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, sql, &statement, "read the last numbers", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_step(store->db, statement, &found, "read the last numbers", fault) != RESULT_OK)
        goto out;
    if (!found) {
        (void)fault_set(fault, FAULT_DATA, "%s: the meta row is missing: restore a backup",
                        store->path);
        goto out;
    }
    (void)snprintf(store->instance, sizeof store->instance, "%s", state_column_text(statement, 0));
    store->was_unclean = sqlite3_column_int(statement, 1) != 0;
    store->delivered_seq = sqlite3_column_int64(statement, 2);
    store->last_seq = sqlite3_column_int64(statement, 3);
    store->last_job_no = sqlite3_column_int64(statement, 4);
    store->last_run_no = (uint32_t)sqlite3_column_int64(statement, 5);
    store->number_max = (uint32_t)sqlite3_column_int64(statement, 6);
    store->needs_name_index = sqlite3_column_int(statement, 7) != 0;
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static int on_commit(void *context, sqlite3 *db, const char *name, int pages)
{
    struct state_store *store = context;

    (void)db;
    (void)name;
    store->wal_pages = pages;
    return SQLITE_OK;
}

static enum result open_writer(struct state_store *store, struct fault *fault)
{
    if (refuse_network_file_system(store->path, fault) != RESULT_OK ||
        create_file(store->path, fault) != RESULT_OK ||
        state_open_connection(store->path, STATE_READ_WRITE, &store->db, fault) != RESULT_OK ||
        prepare_file(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_wal_hook(store->db, on_commit, store);
    if (state_open_migrate(store, migrations, sizeof migrations / sizeof *migrations, fault) !=
            RESULT_OK ||
        state_open_read_meta(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (store->was_unclean && quick_check(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    /* On a full disk the mark cannot be made: no harm, the next start only checks less. */
    (void)sqlite3_exec(store->db, "UPDATE meta SET is_open = 1", NULL, NULL, NULL);
    return RESULT_OK;
}

static enum result open_reader(struct state_store *store, struct fault *fault)
{
    struct identity identity = {0};

    if (state_open_connection(store->path, STATE_READ_ONLY, &store->db, fault) != RESULT_OK ||
        read_identity(store->db, &identity, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (identity.tables == 0)
        return fault_set(fault, FAULT_UNAVAILABLE,
                         "%s: the state database is still empty: `refreshd serve` or `refreshd "
                         "once` fills it",
                         store->path);
    if (judge_identity(store->path, &identity, STATE_SCHEMA_VERSION, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (identity.version < STATE_SCHEMA_VERSION)
        return fault_set(fault, FAULT_DATA,
                         "%s has schema version %" PRId64 ": run `refreshd db migrate` first",
                         store->path, identity.version);
    return state_open_read_meta(store, fault);
}

enum result state_store_open(const char *path, enum state_access access, struct state_store **store,
                             struct fault *fault)
{
    struct state_store *opened = calloc(1, sizeof *opened);
    enum result result;

    if (opened == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    opened->access = access;
    if (strlen(path) >= sizeof opened->path) {
        free(opened);
        return fault_set(fault, FAULT_CONFIGURATION, "the path of the state database is too long");
    }
    (void)snprintf(opened->path, sizeof opened->path, "%s", path);
    result = access == STATE_READ_WRITE ? open_writer(opened, fault) : open_reader(opened, fault);
    if (result != RESULT_OK) {
        for (int i = 0; i < STATEMENT_COUNT; i++)
            (void)sqlite3_finalize(opened->statements[i]);
        (void)sqlite3_close(opened->db);
        free(opened);
        return RESULT_FAULT;
    }
    *store = opened;
    return RESULT_OK;
}

void state_store_close(struct state_store *store)
{
    struct fault ignored;

    if (store == NULL)
        return;
    state_sql_rollback(store);
    /* Only a store that was recovered still has its table; else the next start ends the load. */
    if (store->is_recovered && !store->has_lost_a_write &&
        state_load_finish(store, &ignored) != RESULT_OK)
        state_sql_rollback(store);
    state_load_deinit(store);
    for (int i = 0; i < STATEMENT_COUNT; i++)
        (void)sqlite3_finalize(store->statements[i]);
    if (store->has_lost_a_write) {
        /* The next start finds the mark of an unclean end and checks. */
        (void)sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    } else if (store->access == STATE_READ_WRITE) {
        (void)sqlite3_exec(store->db, "UPDATE meta SET is_open = 0", NULL, NULL, NULL);
        /* Waits for nobody: where a reader is in the way the log simply stays longer. */
        (void)sqlite3_busy_timeout(store->db, 0);
        (void)sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    }
    (void)sqlite3_close(store->db);
    number_set_deinit(&store->dirty);
    number_set_deinit(&store->folding);
    number_set_deinit(&store->look_dates);
    free(store->names.provider_nos);
    free(store->names.schedule_nos);
    free(store->institution_nos);
    free(store->set_nos);
    free(store->numbers);
    free(store);
}

/* ---- small answers ---- */

const char *state_store_path(const struct state_store *store)
{
    return store->path;
}

bool state_store_was_unclean(const struct state_store *store)
{
    return store->was_unclean;
}

int state_store_schema_version(void)
{
    return STATE_SCHEMA_VERSION;
}

int state_store_migrated_from(const struct state_store *store)
{
    return store->migrated_from;
}

const char *state_store_migration_backup(const struct state_store *store)
{
    return store->backup;
}

const char *state_store_instance(const struct state_store *store)
{
    return store->instance;
}

char *state_store_uid(const struct state_store *store, uint64_t job, uint16_t attempt,
                      char text[STATE_UID_SIZE])
{
    if (attempt == 0)
        (void)snprintf(text, STATE_UID_SIZE, "%s-%012" PRIx64, store->instance, job);
    else
        (void)snprintf(text, STATE_UID_SIZE, "%s-%012" PRIx64 "-%u", store->instance, job,
                       (unsigned)attempt);
    return text;
}
