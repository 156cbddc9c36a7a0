/* SPDX-License-Identifier: MIT
 * state_consents.c - the population as rows: numbers for new consents, history for gone ones. */
#include "state/state_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "state/state_look.h"

/* From here on a first load is left to state_load.c: nothing that is due has to wait for it. */
#define BULK_ROWS 10000
#define SET_NAMES_BYTES (SCHEDULES_PER_CONSENT_MAX * MANIFEST_NAME_BYTES)

/* What changed about a row that is there. */
struct change {
    uint32_t number;
    uint32_t row;         /* in the table; UINT32_MAX: gone */
    bool ends_membership; /* of old_set_no, since old_since */
    bool begins_membership;
    bool changes_dates; /* the customer was here: what was learned of its end is void */
    bool releases;      /* it was held, and nobody was looking when the dates changed */
    int64_t old_set_no;
    int64_t old_since;
};

struct sync {
    struct state_store *store;
    const struct config *config;
    const struct consent_table *table;
    struct utc_time now;
    uint32_t *numbers; /* by row; 0: new */
    uint32_t row_count;
    int64_t *institution_nos;
    uint32_t institution_count;
    int64_t *set_nos;
    uint32_t set_count;
    struct change *changes;
    size_t change_count;
    size_t change_capacity;
    uint32_t number_max;
    bool is_bulk;         /* a first load, of many */
    uint32_t *load_rows;  /* then: rows in the order of their numbers, to be written later */
    int64_t since_run_no; /* new rows are members of the runs after this one */
    struct consent_view view;
};

/* ---- institutions and schedule sets ---- */

/* The number of each institution of the table; 0: it has none, and nothing is written. */
static enum result number_institutions(struct sync *sync, bool only_looks, struct fault *fault)
{
    static const char write[] = "INSERT INTO institution (provider_no, name) VALUES (?1, ?2)"
                                " ON CONFLICT (provider_no, name) DO UPDATE SET name = name"
                                " RETURNING institution_no";
    static const char look[] = "SELECT institution_no FROM institution"
                               " WHERE provider_no = ?1 AND name = ?2";
    const char *doing = only_looks ? "read the institutions" : "write the institutions";
    const struct institution_settings *institutions =
        consent_table_institutions(sync->table, &sync->institution_count);
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    sync->institution_nos = calloc(sync->institution_count + 1, sizeof *sync->institution_nos);
    if (sync->institution_nos == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (state_sql_prepare(sync->store->db, only_looks ? look : write, &statement, doing, fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < sync->institution_count; i++) {
        (void)sqlite3_bind_int64(statement, 1,
                                 sync->store->names.provider_nos[institutions[i].provider]);
        state_bind_text(statement, 2, institutions[i].name);
        if (state_sql_step(sync->store->db, statement, &found, doing, fault) != RESULT_OK)
            goto out;
        REQUIRE(found || only_looks);
        sync->institution_nos[i] = found ? sqlite3_column_int64(statement, 0) : 0;
        (void)sqlite3_reset(statement);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void set_names(const struct sync *sync, const struct schedule_set *set, char *names,
                      size_t size)
{
    const char *sorted[SCHEDULES_PER_CONSENT_MAX] = {0};
    size_t length = 0;

    for (int i = 0; i < set->count; i++)
        sorted[i] = sync->config->schedules[set->schedules[i]].name;
    qsort(sorted, set->count, sizeof *sorted, compare_names);
    names[0] = '\0';
    for (int i = 0; i < set->count && length < size; i++)
        length +=
            (size_t)snprintf(names + length, size - length, "%s%s", i == 0 ? "" : " ", sorted[i]);
}

static enum result sync_one_set(struct sync *sync, const struct schedule_set *set,
                                sqlite3_stmt *upsert, sqlite3_stmt *member, int64_t *set_no,
                                struct fault *fault)
{
    char names[SET_NAMES_BYTES];
    bool found = false;

    set_names(sync, set, names, sizeof names);
    state_bind_text(upsert, 1, names);
    if (state_sql_step(sync->store->db, upsert, &found, "write a schedule set", fault) != RESULT_OK)
        return RESULT_FAULT;
    REQUIRE(found);
    *set_no = sqlite3_column_int64(upsert, 0);
    (void)sqlite3_reset(upsert);
    for (int i = 0; i < set->count; i++) {
        (void)sqlite3_bind_int64(member, 1, *set_no);
        (void)sqlite3_bind_int64(member, 2, sync->store->names.schedule_nos[set->schedules[i]]);
        if (state_sql_run(sync->store, member, "write a schedule set", fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return RESULT_OK;
}

static enum result sync_sets(struct sync *sync, struct fault *fault)
{
    const struct schedule_set *sets = consent_table_schedule_sets(sync->table, &sync->set_count);
    sqlite3_stmt *upsert = NULL;
    sqlite3_stmt *member = NULL;
    enum result result = RESULT_FAULT;

    sync->set_nos = calloc(sync->set_count + 1, sizeof *sync->set_nos);
    if (sync->set_nos == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (state_sql_prepare(sync->store->db,
                          "INSERT INTO schedule_set (names) VALUES (?1)"
                          " ON CONFLICT (names) DO UPDATE SET names = names RETURNING set_no",
                          &upsert, "write the schedule sets", fault) != RESULT_OK ||
        state_sql_prepare(sync->store->db,
                          "INSERT OR IGNORE INTO schedule_set_member VALUES (?1, ?2)", &member,
                          "write the schedule sets", fault) != RESULT_OK)
        goto out;
    for (uint32_t i = 0; i < sync->set_count; i++)
        if (sync_one_set(sync, &sets[i], upsert, member, &sync->set_nos[i], fault) != RESULT_OK)
            goto out;
    result = RESULT_OK;
out:
    sqlite3_finalize(upsert);
    sqlite3_finalize(member);
    return result;
}

/* ---- what is there already ---- */

/* Columns of the scan. */
enum {
    HAS_NO,
    HAS_CONSENT,
    HAS_PROVIDER,
    HAS_INSTITUTION,
    HAS_SET,
    HAS_MODE,
    HAS_PRIORITY,
    HAS_CUSTOMER,
    HAS_OWN_ID,
    HAS_EXPIRES,
    HAS_AUTHORIZED,
    HAS_TAGS,
    HAS_SINCE,
    HAS_REMOVED,
    HAS_HELD
};
static const char scan_sql[] =
    "SELECT consent_no, consent, provider_no, institution_no, set_no, mode, priority, customer,"
    " customer_is_own_id, expires_ms, authorized_ms, tags, since_run_no, removed_ms, held_ms"
    " FROM consent ORDER BY consent_no";

static bool same_text(sqlite3_stmt *scan, int column, const char *text)
{
    const char *there = state_column_text(scan, column);

    return strcmp(there == NULL ? "" : there, text) == 0;
}

static int64_t priority_value(const struct consent_view *view)
{
    return view->settings.priority == PRIORITY_FROM_SCHEDULE ? -1 : view->settings.priority;
}

static bool same_dates(sqlite3_stmt *scan, const struct consent_view *view)
{
    return state_column_time(scan, HAS_EXPIRES, UTC_NEVER).ms == view->settings.expires.ms &&
           state_column_time(scan, HAS_AUTHORIZED, UTC_NONE).ms == view->settings.authorized_at.ms;
}

static bool same_row(const struct sync *sync, sqlite3_stmt *scan, const struct consent_view *view)
{
    int64_t priority = sqlite3_column_type(scan, HAS_PRIORITY) == SQLITE_NULL
                           ? -1
                           : sqlite3_column_int64(scan, HAS_PRIORITY);

    return sqlite3_column_type(scan, HAS_REMOVED) == SQLITE_NULL &&
           sqlite3_column_int64(scan, HAS_INSTITUTION) ==
               sync->institution_nos[view->institution] &&
           sqlite3_column_int64(scan, HAS_SET) == sync->set_nos[view->settings.schedule_set] &&
           sqlite3_column_int(scan, HAS_MODE) == view->settings.mode &&
           priority == priority_value(view) && same_dates(scan, view) &&
           (sqlite3_column_int(scan, HAS_OWN_ID) != 0) == view->customer_is_own_id &&
           same_text(scan, HAS_CUSTOMER, view->customer) && same_text(scan, HAS_TAGS, view->tags);
}

static enum result add_change(struct sync *sync, const struct change *change, struct fault *fault)
{
    if (sync->change_count == sync->change_capacity) {
        size_t capacity = sync->change_capacity * 2 + 256;
        struct change *grown = realloc(sync->changes, capacity * sizeof *grown);

        if (grown == NULL)
            return fault_set(fault, FAULT_TEMPORARY, "out of memory");
        sync->changes = grown;
        sync->change_capacity = capacity;
    }
    sync->changes[sync->change_count++] = *change;
    return RESULT_OK;
}

/* Index of the provider of a row, or UINT32_MAX when it is not configured any more. */
static uint32_t provider_index(const struct sync *sync, int64_t provider_no)
{
    for (uint32_t i = 0; i < sync->config->provider_count; i++)
        if (sync->store->names.provider_nos[i] == provider_no)
            return i;
    return UINT32_MAX;
}

static enum result scan_row(struct sync *sync, sqlite3_stmt *scan, struct fault *fault)
{
    const char *consent = state_column_text(scan, HAS_CONSENT);
    uint32_t provider = provider_index(sync, sqlite3_column_int64(scan, HAS_PROVIDER));
    bool was_there = sqlite3_column_type(scan, HAS_REMOVED) == SQLITE_NULL;
    bool was_member = was_there && sqlite3_column_int(scan, HAS_MODE) != MODE_OFF;
    struct change change = {.number = (uint32_t)sqlite3_column_int64(scan, HAS_NO),
                            .row = UINT32_MAX,
                            .old_set_no = sqlite3_column_int64(scan, HAS_SET),
                            .old_since = sqlite3_column_int64(scan, HAS_SINCE)};
    bool is_member;

    if (provider != UINT32_MAX)
        change.row = consent_table_find(sync->table, provider, strchr(consent, '/') + 1);
    if (change.row == UINT32_MAX) {
        if (!was_there)
            return RESULT_OK;
        change.ends_membership = was_member;
        return add_change(sync, &change, fault);
    }
    sync->numbers[change.row] = change.number;
    consent_table_get(sync->table, change.row, &sync->view);
    if (same_row(sync, scan, &sync->view))
        return RESULT_OK;
    is_member = sync->view.settings.mode != MODE_OFF;
    if (was_member != is_member ||
        change.old_set_no != sync->set_nos[sync->view.settings.schedule_set]) {
        change.ends_membership = was_member;
        change.begins_membership = true;
    }
    change.changes_dates = !same_dates(scan, &sync->view);
    change.releases = change.changes_dates && !sync->store->is_recovered &&
                      sqlite3_column_type(scan, HAS_HELD) != SQLITE_NULL;
    return add_change(sync, &change, fault);
}

static enum result scan_rows(struct sync *sync, struct fault *fault)
{
    sqlite3_stmt *scan = NULL;
    enum result result = RESULT_FAULT;
    bool found = true;

    if (state_sql_prepare(sync->store->db, scan_sql, &scan, "read the consents", fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        if (state_sql_step(sync->store->db, scan, &found, "read the consents", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        if (scan_row(sync, scan, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(scan);
    return result;
}

/* ---- writing ---- */

/* Parameters 1 to 10 of an insert or update. */
static void bind_consent(sqlite3_stmt *statement, uint32_t number, const struct consent_view *view,
                         const int64_t *institution_nos, const int64_t *set_nos)
{
    (void)sqlite3_bind_int64(statement, 1, number);
    (void)sqlite3_bind_int64(statement, 2, institution_nos[view->institution]);
    (void)sqlite3_bind_int64(statement, 3, set_nos[view->settings.schedule_set]);
    (void)sqlite3_bind_int(statement, 4, view->settings.mode);
    if (view->settings.priority == PRIORITY_FROM_SCHEDULE)
        (void)sqlite3_bind_null(statement, 5);
    else
        (void)sqlite3_bind_int(statement, 5, view->settings.priority);
    state_bind_text(statement, 6, view->customer[0] == '\0' ? NULL : view->customer);
    (void)sqlite3_bind_int(statement, 7, view->customer_is_own_id ? 1 : 0);
    state_bind_time(statement, 8, view->settings.expires);
    state_bind_time(statement, 9, view->settings.authorized_at);
    state_bind_text(statement, 10, view->tags[0] == '\0' ? NULL : view->tags);
}

enum result state_consents_insert(struct state_store *store, const struct consent_view *view,
                                  uint32_t number, const int64_t *institution_nos,
                                  const int64_t *set_nos, int64_t since_run_no, struct fault *fault)
{
    sqlite3_stmt *insert = state_sql_statement(store, STATEMENT_CONSENT, fault);
    char name[CONSENT_NAME_BYTES];
    char *end;

    if (insert == NULL)
        return RESULT_FAULT;
    end = stpcpy(stpcpy(stpcpy(name, store->names.config->providers[view->provider].name), "/"),
                 view->id);
    bind_consent(insert, number, view, institution_nos, set_nos);
    (void)sqlite3_bind_text(insert, 11, name, (int)(end - name), SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 12, store->names.provider_nos[view->provider]);
    (void)sqlite3_bind_int64(insert, 13, (int64_t)(view->settings.hash >> 32));
    (void)sqlite3_bind_int64(insert, 14, since_run_no);
    return state_sql_run(store, insert, "write a consent", fault);
}

/* Rows without a number yet, sorted by phase (least significant byte first, stable). */
static uint32_t *new_rows(const struct sync *sync, uint32_t *count)
{
    size_t size = (size_t)sync->row_count + 1;
    uint64_t *keys = malloc(2 * size * sizeof *keys);
    uint64_t *other = keys + size;
    uint32_t *rows = malloc(size * sizeof *rows);
    uint32_t found = 0;

    if (keys == NULL || rows == NULL) {
        free(keys);
        free(rows);
        return NULL;
    }
    for (uint32_t row = 0; row < sync->row_count; row++) {
        struct consent_settings settings;

        if (sync->numbers[row] != 0)
            continue;
        consent_table_settings(sync->table, row, &settings);
        keys[found++] = (settings.hash >> 32) << 32 | row;
    }
    for (int shift = 32; shift < 64; shift += 8) {
        uint32_t starts[257] = {0};
        uint64_t *swap = keys;

        for (uint32_t i = 0; i < found; i++)
            starts[(keys[i] >> shift & 255) + 1]++;
        for (int i = 0; i < 256; i++)
            starts[i + 1] += starts[i];
        for (uint32_t i = 0; i < found; i++)
            other[starts[keys[i] >> shift & 255]++] = keys[i];
        keys = other;
        other = swap;
    }
    for (uint32_t i = 0; i < found; i++)
        rows[i] = (uint32_t)keys[i];
    free(keys); /* four passes: back where it began */
    *count = found;
    return rows;
}

/* New rows get the numbers after the last one, in the order of their phase. `*rows` is the
 * caller's. */
static enum result number_rows(struct sync *sync, uint32_t **rows, uint32_t *count,
                               struct fault *fault)
{
    *rows = new_rows(sync, count);
    if (*rows == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    for (uint32_t i = 0; i < *count; i++)
        sync->numbers[(*rows)[i]] = ++sync->number_max;
    return RESULT_OK;
}

static enum result insert_rows(struct sync *sync, struct fault *fault)
{
    uint32_t first = sync->number_max + 1;
    uint32_t count = 0;
    uint32_t *rows = NULL;
    enum result result = RESULT_FAULT;

    if (number_rows(sync, &rows, &count, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (sync->is_bulk) {
        sync->load_rows = rows; /* state_load.c writes them, little by little */
        return RESULT_OK;
    }
    for (uint32_t i = 0; i < count; i++) {
        consent_table_get(sync->table, rows[i], &sync->view);
        if (state_consents_insert(sync->store, &sync->view, first + i, sync->institution_nos,
                                  sync->set_nos, sync->since_run_no, fault) != RESULT_OK)
            goto out;
    }
    result = state_load_ledger(sync->store, first, sync->number_max, fault);
out:
    free(rows);
    return result;
}

struct change_statements {
    sqlite3_stmt *update;
    sqlite3_stmt *remove;
    sqlite3_stmt *since;
    sqlite3_stmt *past;
};

static enum result write_change(struct sync *sync, const struct change *change,
                                const struct change_statements *statements, struct fault *fault)
{
    struct state_store *store = sync->store;

    if (change->ends_membership && change->old_since < store->last_run_no) {
        (void)sqlite3_bind_int64(statements->past, 1, change->number);
        (void)sqlite3_bind_int64(statements->past, 2, change->old_set_no);
        (void)sqlite3_bind_int64(statements->past, 3, change->old_since);
        (void)sqlite3_bind_int64(statements->past, 4, store->last_run_no);
        if (state_sql_run(store, statements->past, "write a consent", fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    if (change->row == UINT32_MAX) {
        (void)sqlite3_bind_int64(statements->remove, 1, change->number);
        state_bind_time(statements->remove, 2, sync->now);
        if (state_sql_run(store, statements->remove, "remove a consent", fault) != RESULT_OK)
            return RESULT_FAULT;
        return state_commit_ledger(store, LEDGER_CONSENT, change->number, 0, fault);
    }
    consent_table_get(sync->table, change->row, &sync->view);
    bind_consent(statements->update, change->number, &sync->view, sync->institution_nos,
                 sync->set_nos);
    (void)sqlite3_bind_int(statements->update, 11, change->changes_dates ? 1 : 0);
    if (state_sql_run(store, statements->update, "change a consent", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (change->begins_membership) {
        (void)sqlite3_bind_int64(statements->since, 1, change->number);
        (void)sqlite3_bind_int64(statements->since, 2, store->last_run_no);
        if (state_sql_run(store, statements->since, "change a consent", fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    if (change->releases) {
        struct record record = {
            .kind = RECORD_RELEASE, .at = sync->now, .as.hold.source = HOLD_BY_ROW};
        uint32_t index = 0;

        record.as.hold.consent = change->number;
        if (state_commit_record(store, &record, 1, &index, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    return state_commit_ledger(store, LEDGER_CONSENT, change->number, 0, fault);
}

static enum result write_changes(struct sync *sync, struct fault *fault)
{
    static const char doing[] = "write the consents";
    sqlite3 *db = sync->store->db;
    struct change_statements statements = {0};
    enum result result = RESULT_FAULT;

    if (sync->change_count == 0)
        return RESULT_OK;
    if (state_sql_prepare(db,
                          "UPDATE consent SET institution_no = ?2, set_no = ?3, mode = ?4,"
                          " priority = ?5, customer = ?6, customer_is_own_id = ?7,"
                          " expires_ms = ?8, authorized_ms = ?9, tags = ?10, removed_ms = NULL,"
                          " learned_expires_ms = CASE WHEN ?11 THEN NULL"
                          " ELSE learned_expires_ms END WHERE consent_no = ?1",
                          &statements.update, doing, fault) != RESULT_OK ||
        state_sql_prepare(db, "UPDATE consent SET removed_ms = ?2 WHERE consent_no = ?1",
                          &statements.remove, doing, fault) != RESULT_OK ||
        state_sql_prepare(db, "UPDATE consent SET since_run_no = ?2 WHERE consent_no = ?1",
                          &statements.since, doing, fault) != RESULT_OK ||
        state_sql_prepare(db,
                          "INSERT INTO membership_past (consent_no, set_no, since_run_no,"
                          " until_run_no) VALUES (?1, ?2, ?3, ?4)",
                          &statements.past, doing, fault) != RESULT_OK)
        goto out;
    for (size_t i = 0; i < sync->change_count; i++)
        if (write_change(sync, &sync->changes[i], &statements, fault) != RESULT_OK)
            goto out;
    result = RESULT_OK;
out:
    sqlite3_finalize(statements.update);
    sqlite3_finalize(statements.remove);
    sqlite3_finalize(statements.since);
    sqlite3_finalize(statements.past);
    return result;
}

static enum result sync_rows(struct sync *sync, struct fault *fault)
{
    bool is_first = sync->number_max == 0;

    if (number_institutions(sync, false, fault) != RESULT_OK ||
        sync_sets(sync, fault) != RESULT_OK ||
        state_load_since(sync->store, sync->is_bulk, &sync->since_run_no, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (!is_first && scan_rows(sync, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (insert_rows(sync, fault) != RESULT_OK)
        return RESULT_FAULT;
    return write_changes(sync, fault);
}

/* What the transaction wrote is what the store goes by from now on. */
static void adopt(struct sync *sync)
{
    struct state_store *store = sync->store;

    free(store->numbers);
    free(store->institution_nos);
    free(store->set_nos);
    store->numbers = sync->numbers;
    store->institution_nos = sync->institution_nos;
    store->institution_count = sync->institution_count;
    store->set_nos = sync->set_nos;
    store->set_count = sync->set_count;
    store->number_max = sync->number_max;
    if (sync->is_bulk)
        state_load_begin(store, sync->table, sync->load_rows, sync->number_max, sync->since_run_no);
    sync->load_rows = NULL;
    sync->numbers = NULL;
    sync->institution_nos = NULL;
    sync->set_nos = NULL;
}

enum result state_store_sync_consents(struct state_store *store, const struct config *config,
                                      const struct consent_table *table, struct utc_time now,
                                      const uint32_t **numbers, uint32_t *number_max,
                                      void (*on_removed)(void *context, uint32_t consent),
                                      void *context, struct fault *fault)
{
    struct sync sync = {.store = store,
                        .config = config,
                        .table = table,
                        .now = now,
                        .row_count = consent_table_count(table),
                        .number_max = store->number_max};
    int64_t last_seq = store->last_seq;
    bool is_new_config = store->names.config != config;
    struct config_names old = {0};
    enum result result = RESULT_FAULT;

    /* A load that is under way still reads the old table. */
    if (state_load_finish(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    sync.number_max = store->number_max;
    sync.numbers = calloc((size_t)sync.row_count + 1, sizeof *sync.numbers);
    if (sync.numbers == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    sync.is_bulk = sync.number_max == 0 && sync.row_count >= BULK_ROWS;
    if (state_sql_begin(store, fault) != RESULT_OK)
        goto out;
    if ((is_new_config && state_config_write(store, config, now, &old, fault) != RESULT_OK) ||
        sync_rows(&sync, fault) != RESULT_OK) {
        state_sql_rollback(store);
        goto undo;
    }
    if (state_sql_commit(store, fault) != RESULT_OK)
        goto undo;
    if (is_new_config)
        state_config_keep(store, &old);
    adopt(&sync);
    for (size_t i = 0; i < sync.change_count && on_removed != NULL; i++)
        if (sync.changes[i].row == UINT32_MAX)
            on_removed(context, sync.changes[i].number);
    *numbers = store->numbers;
    *number_max = store->number_max;
    result = RESULT_OK;
    goto out;
undo:
    store->last_seq = last_seq;
    if (is_new_config)
        state_config_undo(store, &old);
out:
    free(sync.numbers);
    free(sync.institution_nos);
    free(sync.set_nos);
    free(sync.changes);
    free(sync.load_rows);
    return result;
}

/* ---- only looking (state_look.h) ---- */

static enum result look_up_sets(struct sync *sync, struct fault *fault)
{
    static const char doing[] = "read the schedule sets";
    const struct schedule_set *sets = consent_table_schedule_sets(sync->table, &sync->set_count);
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    sync->set_nos = calloc(sync->set_count + 1, sizeof *sync->set_nos);
    if (sync->set_nos == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (state_sql_prepare(sync->store->db, "SELECT set_no FROM schedule_set WHERE names = ?1",
                          &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < sync->set_count; i++) {
        char names[SET_NAMES_BYTES];

        set_names(sync, &sets[i], names, sizeof names);
        state_bind_text(statement, 1, names);
        if (state_sql_step(sync->store->db, statement, &found, doing, fault) != RESULT_OK)
            goto out;
        sync->set_nos[i] = found ? sqlite3_column_int64(statement, 0) : 0;
        (void)sqlite3_reset(statement);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

enum result state_look_consents(struct state_store *store, const struct config *config,
                                const struct consent_table *table, const uint32_t **numbers,
                                uint32_t *number_max, struct fault *fault)
{
    struct sync sync = {
        .store = store, .config = config, .table = table, .row_count = consent_table_count(table)};
    uint32_t *rows = NULL;
    uint32_t count = 0;
    enum result result = RESULT_FAULT;

    REQUIRE(store->access == STATE_READ_ONLY);
    if (state_open_read_meta(store, fault) != RESULT_OK ||
        state_config_look(store, config, fault) != RESULT_OK)
        return RESULT_FAULT;
    sync.number_max = store->number_max;
    sync.numbers = calloc((size_t)sync.row_count + 1, sizeof *sync.numbers);
    if (sync.numbers == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (number_institutions(&sync, true, fault) != RESULT_OK ||
        look_up_sets(&sync, fault) != RESULT_OK || scan_rows(&sync, fault) != RESULT_OK ||
        number_rows(&sync, &rows, &count, fault) != RESULT_OK)
        goto out;
    for (size_t i = 0; i < sync.change_count; i++)
        if (sync.changes[i].changes_dates &&
            !number_set_add(&store->look_dates, sync.changes[i].number)) {
            (void)fault_set(fault, FAULT_TEMPORARY, "out of memory");
            goto out;
        }
    adopt(&sync);
    *numbers = store->numbers;
    *number_max = store->number_max;
    result = RESULT_OK;
out:
    free(rows);
    free(sync.numbers);
    free(sync.institution_nos);
    free(sync.set_nos);
    free(sync.changes);
    return result;
}

enum result state_look_number(const struct consent_table *table, uint32_t **numbers,
                              struct fault *fault)
{
    struct sync sync = {.table = table, .row_count = consent_table_count(table)};
    uint32_t *rows = NULL;
    uint32_t count = 0;

    sync.numbers = calloc((size_t)sync.row_count + 1, sizeof *sync.numbers);
    if (sync.numbers == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (number_rows(&sync, &rows, &count, fault) != RESULT_OK) {
        free(sync.numbers);
        return RESULT_FAULT;
    }
    free(rows);
    *numbers = sync.numbers;
    return RESULT_OK;
}

uint32_t state_store_find_consent(struct state_store *store, const char *consent)
{
    struct fault ignored;
    sqlite3_stmt *statement = state_sql_statement(store, STATEMENT_FIND_CONSENT, &ignored);
    bool found = false;
    uint32_t number = 0;

    if (statement == NULL)
        return 0;
    state_bind_text(statement, 1, consent);
    if (state_sql_step(store->db, statement, &found, "find a consent", &ignored) == RESULT_OK &&
        found)
        number = (uint32_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_reset(statement);
    return number != 0 ? number : state_load_find(store, consent);
}
