/* SPDX-License-Identifier: MIT
 * state_recover.c - what the store remembers, fed into the core in the order that it asks for.
 *
 * Whatever has to be written on the way (slots of members that are gone, jobs that nobody can
 * follow) is one transaction: a crash in the middle of recovery leaves nothing of it. */
#include "state/state_recover.h"

#include "state/state_node.h"

#include <string.h>

#include "state/state_look.h"
#include "state/state_windows.h"

static enum result recover_schedules(struct recovery *recovery, struct fault *fault)
{
    struct state_store *store = recovery->store;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db,
                          "SELECT schedule_no, revision, accounted_ms, accounted_local_ms,"
                          " coalesce(accounted_fold, 0) FROM schedule"
                          " WHERE removed_ms IS NULL ORDER BY schedule_no",
                          &statement, "read the schedules", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        uint32_t index;

        if (state_sql_step(store->db, statement, &found, "read the schedules", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        index = state_recover_schedule_index(store, sqlite3_column_int64(statement, 0));
        if (index != UINT32_MAX)
            scheduler_recover_schedule(recovery->scheduler, index,
                                       (uint64_t)sqlite3_column_int64(statement, 1),
                                       (struct utc_time){sqlite3_column_int64(statement, 2)},
                                       sqlite3_column_type(statement, 3) == SQLITE_NULL
                                           ? INT64_MIN
                                           : sqlite3_column_int64(statement, 3),
                                       sqlite3_column_int(statement, 4));
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

/* Index of an institution named "provider/name", or UINT32_MAX. */
static enum result find_institution(struct state_store *store, const char *subject, uint32_t *index,
                                    struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    bool found = false;
    int64_t number = 0;

    if (state_sql_prepare(store->db,
                          "SELECT i.institution_no FROM institution AS i"
                          " JOIN provider AS p ON p.provider_no = i.provider_no"
                          " WHERE p.name || '/' || i.name = ?1",
                          &statement, "read the pauses", fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, subject);
    if (state_sql_step(store->db, statement, &found, "read the pauses", fault) != RESULT_OK) {
        sqlite3_finalize(statement);
        return RESULT_FAULT;
    }
    number = found ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    *index = UINT32_MAX;
    for (uint32_t i = 0; i < store->institution_count; i++)
        if (store->institution_nos[i] == number)
            *index = i;
    return RESULT_OK;
}

/* What a pause is about, as the core names it. UINT32_MAX: it is not there any more. */
static enum result pause_index(struct state_store *store, enum scope_kind scope,
                               const char *subject, uint32_t *index, struct fault *fault)
{
    const struct config *config = store->names.config;

    *index = UINT32_MAX;
    switch (scope) {
    case SCOPE_ALL: *index = 0; break;
    case SCOPE_PROVIDER:
        for (uint32_t i = 0; i < config->provider_count; i++)
            if (strcmp(config->providers[i].name, subject) == 0)
                *index = i;
        break;
    case SCOPE_SCHEDULE:
        for (uint32_t i = 0; i < config->schedule_count; i++)
            if (strcmp(config->schedules[i].name, subject) == 0)
                *index = i;
        break;
    case SCOPE_INSTITUTION: return find_institution(store, subject, index, fault);
    case SCOPE_CONSENT:
        *index = state_store_find_consent(store, subject);
        if (*index == 0)
            *index = UINT32_MAX;
        break;
    }
    return RESULT_OK;
}

enum result state_store_each_pause(struct state_store *store, struct utc_time now,
                                   state_pause_function *on_pause, void *context,
                                   struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    REQUIRE(store->names.config != NULL);
    if (state_sql_prepare(store->db, "SELECT scope, subject, until_ms FROM pause", &statement,
                          "read the pauses", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        enum scope_kind scope;
        struct utc_time until;
        uint32_t index = UINT32_MAX;

        if (state_sql_step(store->db, statement, &found, "read the pauses", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        scope = (enum scope_kind)sqlite3_column_int(statement, 0);
        until = state_column_time(statement, 2, UTC_NEVER);
        if (until.ms <= now.ms)
            continue;
        if (pause_index(store, scope, state_column_text(statement, 1), &index, fault) != RESULT_OK)
            goto out;
        if (index != UINT32_MAX)
            on_pause(context, scope, index, until);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static void feed_pause(void *context, enum scope_kind scope, uint32_t index, struct utc_time until)
{
    struct scheduler *scheduler = context;

    scheduler_recover_pause(scheduler, scope, index, until);
}

static enum result recover_pauses(struct recovery *recovery, struct fault *fault)
{
    return state_store_each_pause(recovery->store, recovery->now.utc, feed_pause,
                                  recovery->scheduler, fault);
}

/* The limits are written every few seconds while anything goes on, and once more when it ends. */
#define LIMITS_AGE_MS (30 * MS_PER_SECOND)

static enum result recover_activity(struct recovery *recovery, struct fault *fault)
{
    int64_t seen_ms;

    if (state_sql_integer(recovery->store->db, "SELECT max(at_ms) FROM limit_node", INT64_MIN,
                          &seen_ms, "read the last activity", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (seen_ms != INT64_MIN)
        scheduler_recover_activity(recovery->scheduler,
                                   utc_add_ms((struct utc_time){seen_ms}, LIMITS_AGE_MS));
    return RESULT_OK;
}

/* All of it, in the order that the core wants. */
static enum result feed_core(struct recovery *recovery, struct fault *fault)
{
    if (state_recover_past(recovery, fault) != RESULT_OK ||
        recover_activity(recovery, fault) != RESULT_OK ||
        state_node_recover(recovery, fault) != RESULT_OK ||
        recover_pauses(recovery, fault) != RESULT_OK ||
        state_windows_recover(recovery->store, recovery->scheduler, recovery->config, fault) !=
            RESULT_OK ||
        recover_schedules(recovery, fault) != RESULT_OK ||
        state_recover_unfollowed(recovery, fault) != RESULT_OK ||
        state_recover_runs(recovery, fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_recover_jobs(recovery, fault);
}

static void end_recovery(const struct recovery *recovery)
{
    scheduler_recover_done(recovery->scheduler, recovery->now, recovery->store->last_run_no + 1,
                           (uint64_t)recovery->store->last_job_no + 1);
}

enum result state_store_recover(struct state_store *store, const struct config *config,
                                struct scheduler *scheduler, struct time_now now,
                                state_open_job_function *on_open_job, void *context,
                                struct fault *fault)
{
    struct recovery recovery = {.store = store,
                                .config = config,
                                .scheduler = scheduler,
                                .now = now,
                                .on_open_job = on_open_job,
                                .context = context};
    int64_t last_seq = store->last_seq;

    REQUIRE(store->names.config == config && store->numbers != NULL);
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (feed_core(&recovery, fault) != RESULT_OK ||
        (store->orphan_count > 0 &&
         state_recover_close_orphans(store, now.utc, fault) != RESULT_OK)) {
        state_sql_rollback(store);
        goto undo;
    }
    number_set_deinit(&recovery.unfollowed);
    if (state_sql_commit(store, fault) != RESULT_OK)
        goto undo;
    end_recovery(&recovery);
    store->is_recovered = true;
    return RESULT_OK;
undo:
    number_set_deinit(&recovery.unfollowed);
    store->last_seq = last_seq;
    return fault_prefix(fault, "recovery");
}

enum result state_look_recover(struct state_store *store, const struct config *config,
                               struct scheduler *scheduler, struct time_now now, bool is_live,
                               state_open_job_function *on_open_job, void *context,
                               struct fault *fault)
{
    struct recovery recovery = {.store = store,
                                .config = config,
                                .scheduler = scheduler,
                                .now = now,
                                .on_open_job = on_open_job,
                                .context = context,
                                .is_looking = true,
                                .is_live = is_live};

    REQUIRE(store->access == STATE_READ_ONLY && store->names.config == config &&
            store->numbers != NULL);
    if (feed_core(&recovery, fault) != RESULT_OK) {
        number_set_deinit(&recovery.unfollowed);
        return fault_prefix(fault, "recovery");
    }
    number_set_deinit(&recovery.unfollowed);
    end_recovery(&recovery);
    return RESULT_OK;
}
