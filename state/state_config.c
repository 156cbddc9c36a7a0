/* SPDX-License-Identifier: MIT
 * state_config.c - what the configuration says, as rows that the views can join. */
#include "state/state_private.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_AHEAD 12

static enum result write_provider(struct state_store *store, sqlite3_stmt *upsert, uint32_t index,
                                  int64_t *number, struct fault *fault)
{
    const struct provider_settings *settings = &store->names.config->provider_settings[index];
    bool found = false;

    state_bind_text(upsert, 1, store->names.config->providers[index].name);
    (void)sqlite3_bind_int64(upsert, 2, settings->quota.count);
    (void)sqlite3_bind_int64(upsert, 3, settings->quota.window_ms);
    (void)sqlite3_bind_int64(upsert, 4, settings->cooldown.after_accept_ms);
    (void)sqlite3_bind_int64(upsert, 5, settings->cooldown.after_success_ms);
    (void)sqlite3_bind_int64(upsert, 6, settings->cooldown.after_failure_ms);
    (void)sqlite3_bind_int64(upsert, 7, settings->expiry_margin_ms);
    if (state_sql_step(store->db, upsert, &found, "write a provider", fault) != RESULT_OK)
        return RESULT_FAULT;
    REQUIRE(found);
    *number = sqlite3_column_int64(upsert, 0);
    (void)sqlite3_reset(upsert);
    return RESULT_OK;
}

/* How long before their end consents are warned of. */
static enum result write_leads(struct state_store *store, const int64_t *numbers,
                               struct fault *fault)
{
    const struct config *config = store->names.config;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_execute(store->db, "DELETE FROM provider_lead", "write the providers", fault) !=
            RESULT_OK ||
        state_sql_prepare(store->db,
                          "INSERT INTO provider_lead (provider_no, lead_ms) VALUES (?1, ?2)",
                          &statement, "write the providers", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < config->provider_count; i++)
        for (uint32_t j = 0; j < config->providers[i].warn_count; j++) {
            (void)sqlite3_bind_int64(statement, 1, numbers[i]);
            (void)sqlite3_bind_int64(statement, 2, config->providers[i].warn_ms[j]);
            if (state_sql_run(store, statement, "write the providers", fault) != RESULT_OK)
                goto out;
        }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static enum result write_providers(struct state_store *store, int64_t *numbers, struct utc_time now,
                                   struct fault *fault)
{
    static const char sql[] =
        "INSERT INTO provider (name, quota_count, quota_window_ms, cooldown_accept_ms,"
        " cooldown_success_ms, cooldown_failure_ms, expiry_margin_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        " ON CONFLICT (name) DO UPDATE SET quota_count = excluded.quota_count,"
        " quota_window_ms = excluded.quota_window_ms,"
        " cooldown_accept_ms = excluded.cooldown_accept_ms,"
        " cooldown_success_ms = excluded.cooldown_success_ms,"
        " cooldown_failure_ms = excluded.cooldown_failure_ms,"
        " expiry_margin_ms = excluded.expiry_margin_ms, removed_ms = NULL"
        " RETURNING provider_no";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_prepare(store->db, "UPDATE provider SET removed_ms = ?1 WHERE removed_ms IS NULL",
                          &statement, "write the providers", fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_time(statement, 1, now);
    if (state_sql_run(store, statement, "write the providers", fault) != RESULT_OK)
        goto out;
    sqlite3_finalize(statement);
    statement = NULL;
    if (state_sql_prepare(store->db, sql, &statement, "write the providers", fault) != RESULT_OK)
        goto out;
    for (uint32_t i = 0; i < store->names.config->provider_count; i++)
        if (write_provider(store, statement, i, &numbers[i], fault) != RESULT_OK)
            goto out;
    result = write_leads(store, numbers, fault);
out:
    sqlite3_finalize(statement);
    return result;
}

/* As the run of the slot will have it. */
static int64_t spread_of_slot_ms(const struct schedule_settings *settings, struct utc_time slot)
{
    struct utc_time deadline = deadline_at(&settings->calendar, &settings->deadline, slot);

    return deadline.ms == UTC_NEVER.ms
               ? settings->spread_ms
               : spread_within_ms(settings->spread_ms, deadline.ms - slot.ms);
}

enum result state_slots_write(struct state_store *store, uint32_t index, struct utc_time accounted,
                              struct fault *fault)
{
    const struct schedule_settings *settings = &store->names.config->schedule_settings[index];
    struct utc_time spread_ago = utc_add_ms(accounted, -settings->spread_ms - 1);
    sqlite3_stmt *clear = state_sql_statement(store, STATEMENT_SLOT_CLEAR, fault);
    sqlite3_stmt *insert = state_sql_statement(store, STATEMENT_SLOT, fault);
    /* The last one first: its spread may still be going on. */
    struct calendar_firing firing = calendar_latest(&settings->calendar, spread_ago, accounted);

    if (clear == NULL || insert == NULL)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(clear, 1, store->names.schedule_nos[index]);
    if (state_sql_run(store, clear, "write the coming slots", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (!firing.found)
        firing = calendar_next(&settings->calendar, accounted);
    for (int i = 0; i <= SLOTS_AHEAD && firing.found; i++) {
        (void)sqlite3_bind_int64(insert, 1, store->names.schedule_nos[index]);
        (void)sqlite3_bind_int64(insert, 2, firing.at.ms);
        (void)sqlite3_bind_int64(insert, 3, spread_of_slot_ms(settings, firing.at));
        if (state_sql_run(store, insert, "write the coming slots", fault) != RESULT_OK)
            return RESULT_FAULT;
        firing = calendar_next(&settings->calendar, firing.at);
    }
    return RESULT_OK;
}

static enum result write_schedule(struct state_store *store, sqlite3_stmt *upsert, uint32_t index,
                                  struct utc_time now, struct fault *fault)
{
    const struct config_schedule *schedule = &store->names.config->schedules[index];
    const struct schedule_settings *settings = &store->names.config->schedule_settings[index];
    bool found = false;
    struct utc_time accounted;

    state_bind_text(upsert, 1, schedule->name);
    state_bind_text(upsert, 2, schedule->cron);
    state_bind_text(upsert, 3, schedule->timezone);
    (void)sqlite3_bind_int64(upsert, 4, settings->spread_ms);
    (void)sqlite3_bind_int64(
        upsert, 5, (int64_t)(hash_bytes(schedule->name, strlen(schedule->name), 0) >> 32));
    (void)sqlite3_bind_int64(upsert, 6, (int64_t)settings->revision);
    (void)sqlite3_bind_int64(upsert, 7, now.ms);
    if (state_sql_step(store->db, upsert, &found, "write a schedule", fault) != RESULT_OK)
        return RESULT_FAULT;
    REQUIRE(found);
    store->names.schedule_nos[index] = sqlite3_column_int64(upsert, 0);
    accounted.ms = sqlite3_column_int64(upsert, 1);
    (void)sqlite3_reset(upsert);
    return state_slots_write(store, index, accounted, fault);
}

/* Schedules that the configuration does not name any more. */
static enum result retire_schedules(struct state_store *store, struct utc_time now,
                                    struct fault *fault)
{
    static const char sql[] = "UPDATE schedule SET removed_ms = ?1 WHERE removed_ms IS NULL"
                              " AND schedule_no NOT IN (SELECT schedule_no FROM temp.kept)";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_execute(store->db,
                          "CREATE TEMP TABLE IF NOT EXISTS kept (schedule_no INTEGER PRIMARY KEY);"
                          "DELETE FROM temp.kept",
                          "write the schedules", fault) != RESULT_OK ||
        state_sql_prepare(store->db, "INSERT INTO temp.kept VALUES (?1)", &statement,
                          "write the schedules", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < store->names.config->schedule_count; i++) {
        (void)sqlite3_bind_int64(statement, 1, store->names.schedule_nos[i]);
        if (state_sql_run(store, statement, "write the schedules", fault) != RESULT_OK)
            goto out;
    }
    sqlite3_finalize(statement);
    statement = NULL;
    if (state_sql_prepare(store->db, sql, &statement, "write the schedules", fault) != RESULT_OK)
        goto out;
    state_bind_time(statement, 1, now);
    if (state_sql_run(store, statement, "write the schedules", fault) != RESULT_OK ||
        state_sql_execute(store->db,
                          "DELETE FROM schedule_slot WHERE schedule_no NOT IN"
                          " (SELECT schedule_no FROM temp.kept)",
                          "write the schedules", fault) != RESULT_OK)
        goto out;
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static enum result write_schedules(struct state_store *store, struct utc_time now,
                                   struct fault *fault)
{
    static const char sql[] =
        "INSERT INTO schedule (name, cron, timezone, spread_ms, phase, revision, accounted_ms)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        " ON CONFLICT (name) DO UPDATE SET cron = excluded.cron, timezone = excluded.timezone,"
        " spread_ms = excluded.spread_ms,"
        " accounted_ms = CASE WHEN revision = excluded.revision AND removed_ms IS NULL"
        " THEN accounted_ms ELSE excluded.accounted_ms END,"
        " accounted_local_ms = CASE WHEN revision = excluded.revision AND removed_ms IS NULL"
        " THEN accounted_local_ms END,"
        " revision = excluded.revision, removed_ms = NULL RETURNING schedule_no, accounted_ms";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;

    if (state_sql_prepare(store->db, sql, &statement, "write the schedules", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < store->names.config->schedule_count; i++)
        if (write_schedule(store, statement, i, now, fault) != RESULT_OK)
            goto out;
    result = retire_schedules(store, now, fault);
out:
    sqlite3_finalize(statement);
    return result;
}

static enum result write_digest(struct state_store *store, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db, "UPDATE meta SET config_digest = ?1", &statement,
                          "write the configuration's digest", fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, store->names.config->digest);
    result = state_sql_run(store, statement, "write the configuration's digest", fault);
    sqlite3_finalize(statement);
    return result;
}

enum result state_config_write(struct state_store *store, const struct config *config,
                               struct utc_time now, struct config_names *old, struct fault *fault)
{
    struct config_names names = {.config = config};

    names.provider_nos = calloc(config->provider_count + 1, sizeof *names.provider_nos);
    names.schedule_nos = calloc(config->schedule_count + 1, sizeof *names.schedule_nos);
    *old = store->names;
    store->names = names;
    if (names.provider_nos == NULL || names.schedule_nos == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (write_providers(store, names.provider_nos, now, fault) != RESULT_OK ||
        write_schedules(store, now, fault) != RESULT_OK)
        return RESULT_FAULT;
    return write_digest(store, fault);
}

static void free_names(struct config_names *names)
{
    free(names->provider_nos);
    free(names->schedule_nos);
    *names = (struct config_names){0};
}

void state_config_keep(struct state_store *store, struct config_names *old)
{
    state_store_set_retention(store, store->names.config);
    free_names(old);
}

void state_store_set_retention(struct state_store *store, const struct config *config)
{
    store->retain_jobs_ms = config->state.retain_jobs_ms;
    store->retain_attempts_ms = config->state.retain_attempts_ms;
    store->has_reporting = config->reporting.database != NULL;
}

void state_config_undo(struct state_store *store, struct config_names *old)
{
    free_names(&store->names);
    store->names = *old;
    *old = (struct config_names){0};
}

/* The number that a table has for a name; 0: none. */
static enum result look_up_number(struct state_store *store, const char *sql, const char *name,
                                  int64_t *number, struct fault *fault)
{
    static const char doing[] = "read the numbers of names";
    sqlite3_stmt *statement = NULL;
    bool found = false;
    enum result result;

    if (state_sql_prepare(store->db, sql, &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, name);
    result = state_sql_step(store->db, statement, &found, doing, fault);
    if (result == RESULT_OK)
        *number = found ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return result;
}

enum result state_config_look(struct state_store *store, const struct config *config,
                              struct fault *fault)
{
    struct config_names names = {.config = config};

    names.provider_nos = calloc(config->provider_count + 1, sizeof *names.provider_nos);
    names.schedule_nos = calloc(config->schedule_count + 1, sizeof *names.schedule_nos);
    free_names(&store->names);
    store->names = names;
    if (names.provider_nos == NULL || names.schedule_nos == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    for (uint32_t i = 0; i < config->provider_count; i++)
        if (look_up_number(store, "SELECT provider_no FROM provider WHERE name = ?1",
                           config->providers[i].name, &names.provider_nos[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    for (uint32_t i = 0; i < config->schedule_count; i++)
        if (look_up_number(store, "SELECT schedule_no FROM schedule WHERE name = ?1",
                           config->schedules[i].name, &names.schedule_nos[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    return RESULT_OK;
}

enum result state_store_set_config(struct state_store *store, const struct config *config,
                                   struct utc_time now, struct fault *fault)
{
    struct config_names old = {0};

    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_config_write(store, config, now, &old, fault) != RESULT_OK) {
        state_sql_rollback(store);
        goto undo;
    }
    if (state_sql_commit(store, fault) != RESULT_OK)
        goto undo;
    state_config_keep(store, &old);
    return RESULT_OK;
undo:
    state_config_undo(store, &old);
    return RESULT_FAULT;
}
