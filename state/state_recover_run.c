/* SPDX-License-Identifier: MIT
 * state_recover_run.c - runs that were open when the program stopped, and exactly their members.
 *
 * Members of run R are the consents whose membership began before R (since_run_no < R) and holds
 * still, and those whose membership ended only after R began (membership_past). So it does not
 * matter what the configuration became meanwhile, nor when. */
#include "state/state_recover.h"

#include <stdlib.h>
#include <string.h>

#include "state/state_load.h"

/* What is known of a consent in the run at hand. */
enum slot_mark {
    SLOT_NOT_MEMBER,
    SLOT_UNSENT,      /* a member still */
    SLOT_UNSENT_GONE, /* it was a member when the run began, and is none now */
    SLOT_HAS_JOB,     /* open */
    SLOT_CLOSED       /* SLOT_CLOSED + outcome */
};

uint32_t state_recover_schedule_index(const struct state_store *store, int64_t schedule_no)
{
    for (uint32_t i = 0; i < store->names.config->schedule_count; i++)
        if (store->names.schedule_nos[i] == schedule_no)
            return i;
    return UINT32_MAX;
}

/* Mark what `sql` gives: consent number, mark. ?1 is the run, ?2 its first job. */
static enum result mark_slots(struct state_store *store, const char *sql, uint32_t run,
                              uint8_t *slots, struct fault *fault)
{
    static const char doing[] = "read the members of a run";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, sql, &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, run);
    for (;;) {
        int64_t consent;

        if (state_sql_step(store->db, statement, &found, doing, fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        consent = sqlite3_column_int64(statement, 0);
        REQUIRE(consent >= 0 && consent <= store->number_max);
        slots[consent] = (uint8_t)sqlite3_column_int(statement, 1);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

#define RUN_SETS \
    "(SELECT m.set_no FROM run AS r JOIN schedule_set_member AS m" \
    " ON m.schedule_no = r.schedule_no WHERE r.run_no = ?1)"
#define RUN_NARROWED \
    " AND ((SELECT only_consent_no FROM run WHERE run_no = ?1) IS NULL" \
    " OR c.consent_no = (SELECT only_consent_no FROM run WHERE run_no = ?1))" \
    " AND ((SELECT only_institution FROM run WHERE run_no = ?1) IS NULL" \
    " OR (SELECT i.name FROM institution AS i WHERE i.institution_no = c.institution_no)" \
    " = (SELECT only_institution FROM run WHERE run_no = ?1))"

/* Fill `slots` (number_max + 1 bytes) for a run. In this order: later marks are surer. */
static enum result load_slots(struct state_store *store, uint32_t run, uint8_t *slots,
                              struct fault *fault)
{
    static const char *const queries[] = {
        "SELECT c.consent_no, 2 FROM membership_past AS p"
        " JOIN consent AS c ON c.consent_no = p.consent_no"
        " WHERE p.since_run_no < ?1 AND p.until_run_no >= ?1"
        " AND p.set_no IN " RUN_SETS RUN_NARROWED,
        ("SELECT c.consent_no, 1 FROM consent AS c"
         " WHERE c.since_run_no < ?1 AND c.removed_ms IS NULL AND c.mode <> 2"
         " AND c.set_no IN " RUN_SETS RUN_NARROWED),
        "SELECT consent_no, 4 + 6 FROM skip WHERE run_no = ?1 AND consent_no <> 0",
        "SELECT consent_no, CASE WHEN outcome IS NULL THEN 3 ELSE 4 + outcome END FROM job"
        " WHERE job_no >= (SELECT first_job_no FROM run WHERE run_no = ?1) AND run_no = ?1",
    };

    memset(slots, SLOT_NOT_MEMBER, (size_t)store->number_max + 1);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        if (mark_slots(store, queries[i], run, slots, fault) != RESULT_OK)
            return RESULT_FAULT;
    return RESULT_OK;
}

/* Skip the slots of `run` that carry `mark`, and mark them so. Only looking, they are marked. */
static enum result skip_slots(struct recovery *recovery, uint32_t run, enum slot_mark mark,
                              enum reason reason, struct utc_time due, struct fault *fault)
{
    uint8_t *slots = recovery->slots;

    for (uint32_t consent = 1; consent <= recovery->store->number_max; consent++) {
        struct record record = {.kind = RECORD_SKIP, .at = recovery->now.utc};
        uint32_t index = 0;

        if (slots[consent] != mark)
            continue;
        record.as.skip.run = run;
        record.as.skip.consent = consent;
        record.as.skip.due = due;
        record.as.skip.reason = reason;
        record.as.skip.count = 1;
        if (!recovery->is_looking &&
            state_commit_record(recovery->store, &record, 1, &index, fault) != RESULT_OK)
            return RESULT_FAULT;
        slots[consent] = SLOT_CLOSED + OUTCOME_SKIPPED;
    }
    return RESULT_OK;
}

/* ---- orphans ---- */

enum result state_recover_close_orphans(struct state_store *store, struct utc_time at,
                                        struct fault *fault)
{
    static const char sql[] =
        "SELECT run_no, deadline_ms FROM run AS r WHERE is_orphan = 1 AND finished_ms IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM job AS j WHERE j.job_no >= r.first_job_no"
        " AND j.run_no = r.run_no AND j.finished_ms IS NULL)";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = true;

    if (state_sql_prepare(store->db, sql, &statement, "close runs", fault) != RESULT_OK)
        return RESULT_FAULT;
    /* Closing a run changes what the query sees: ask again after each. */
    for (;;) {
        uint32_t run;
        bool late;

        if (state_sql_step(store->db, statement, &found, "close runs", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        run = (uint32_t)sqlite3_column_int64(statement, 0);
        late = at.ms > state_column_time(statement, 1, UTC_NEVER).ms;
        (void)sqlite3_reset(statement);
        if (state_commit_run_close(store, run, at, late, fault) != RESULT_OK)
            goto out;
        store->orphan_count--;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static enum result mark_orphan(struct state_store *store, uint32_t run, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db, "UPDATE run SET is_orphan = 1 WHERE run_no = ?1", &statement,
                          "let go of a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, run);
    result = state_sql_run(store, statement, "let go of a run", fault);
    sqlite3_finalize(statement);
    return result;
}

/* The slot's instant, for skips that are written here. */
static enum result run_slot(struct state_store *store, uint32_t run, struct utc_time *slot,
                            struct fault *fault)
{
    char sql[80];

    (void)sqlite3_snprintf((int)sizeof sql, sql, "SELECT slot_ms FROM run WHERE run_no = %u", run);
    return state_sql_integer(store->db, sql, 0, &slot->ms, "read a run", fault);
}

enum result state_recover_orphan(struct recovery *recovery, uint32_t run, enum reason reason,
                                 struct fault *fault)
{
    struct state_store *store = recovery->store;
    struct utc_time slot = {0};

    if (load_slots(store, run, recovery->slots, fault) != RESULT_OK ||
        run_slot(store, run, &slot, fault) != RESULT_OK ||
        skip_slots(recovery, run, SLOT_UNSENT_GONE, REASON_REMOVED, slot, fault) != RESULT_OK ||
        skip_slots(recovery, run, SLOT_UNSENT, reason, slot, fault) != RESULT_OK ||
        mark_orphan(store, run, fault) != RESULT_OK)
        return RESULT_FAULT;
    store->orphan_count++;
    return RESULT_OK;
}

/* ---- runs that go on ---- */

static enum result feed_run(struct recovery *recovery, const struct recovered_run *run,
                            struct fault *fault)
{
    struct state_store *store = recovery->store;
    uint8_t *slots = recovery->slots;
    uint32_t fed = 0;

    if (load_slots(store, run->run, slots, fault) != RESULT_OK ||
        skip_slots(recovery, run->run, SLOT_UNSENT_GONE, REASON_REMOVED, run->slot, fault) !=
            RESULT_OK ||
        scheduler_recover_run(recovery->scheduler, run, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t consent = 1; consent <= store->number_max && fed < run->due; consent++) {
        if (slots[consent] == SLOT_NOT_MEMBER)
            continue;
        if (slots[consent] == SLOT_HAS_JOB && number_set_has(&recovery->unfollowed, consent))
            slots[consent] = SLOT_CLOSED + OUTCOME_UNKNOWN;
        scheduler_recover_slot(recovery->scheduler, run->run, consent,
                               slots[consent] > SLOT_CLOSED
                                   ? (enum outcome)(slots[consent] - SLOT_CLOSED)
                                   : OUTCOME_NONE);
        fed++;
    }
    return RESULT_OK;
}

static struct recovered_run run_of_row(const struct state_store *store, sqlite3_stmt *row)
{
    return (struct recovered_run){
        .run = (uint32_t)sqlite3_column_int64(row, 0),
        .schedule = state_recover_schedule_index(store, sqlite3_column_int64(row, 1)),
        .trigger = (enum trigger)sqlite3_column_int(row, 2),
        .slot = {sqlite3_column_int64(row, 3)},
        .local_ms = sqlite3_column_int64(row, 4),
        .fold = sqlite3_column_int(row, 5),
        .deadline = state_column_time(row, 6, UTC_NEVER),
        .spread_ms = sqlite3_column_int64(row, 7),
        .due = (uint32_t)sqlite3_column_int64(row, 8),
        .started = {sqlite3_column_int64(row, 10)},
    };
}

enum result state_recover_runs(struct recovery *recovery, struct fault *fault)
{
    static const char sql[] =
        "SELECT run_no, schedule_no, trigger, slot_ms, local_ms, fold, deadline_ms, spread_ms, due,"
        " is_orphan, started_ms FROM run WHERE finished_ms IS NULL ORDER BY run_no";
    struct state_store *store = recovery->store;
    sqlite3_stmt *row = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    store->orphan_count = 0;
    recovery->slots = malloc((size_t)store->number_max + 1);
    if (recovery->slots == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (state_sql_prepare(store->db, sql, &row, "read the open runs", fault) != RESULT_OK)
        goto out;
    for (;;) {
        struct recovered_run run;

        if (state_sql_step(store->db, row, &found, "read the open runs", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        run = run_of_row(store, row);
        if (sqlite3_column_int(row, 9) != 0)
            store->orphan_count++;
        else if (run.schedule == UINT32_MAX) {
            if (!recovery->is_looking &&
                state_recover_orphan(recovery, run.run, REASON_REMOVED, fault) != RESULT_OK)
                goto out;
        } else if (feed_run(recovery, &run, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(row);
    free(recovery->slots);
    recovery->slots = NULL;
    return result;
}

/* ---- once ---- */

enum result state_store_find_unfinished(struct state_store *store, const char *schedule,
                                        uint32_t *run, struct utc_time *deadline,
                                        struct fault *fault)
{
    static const char sql[] =
        "SELECT r.run_no, r.deadline_ms FROM run AS r"
        " JOIN schedule AS s ON s.schedule_no = r.schedule_no"
        " WHERE s.name = ?1 AND r.trigger = 2 AND r.finished_ms IS NULL AND r.is_orphan = 0"
        " ORDER BY r.run_no DESC LIMIT 1";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, sql, &statement, "find an unfinished run", fault) != RESULT_OK)
        return RESULT_FAULT;
    state_bind_text(statement, 1, schedule);
    if (state_sql_step(store->db, statement, &found, "find an unfinished run", fault) ==
        RESULT_OK) {
        *run = found ? (uint32_t)sqlite3_column_int64(statement, 0) : 0;
        *deadline = found ? state_column_time(statement, 1, UTC_NEVER) : UTC_NEVER;
        result = RESULT_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

enum result state_store_abandon_unfinished(struct state_store *store, const char *schedule,
                                           struct utc_time now, struct fault *fault)
{
    struct recovery recovery = {.store = store, .config = store->names.config, .now = {.utc = now}};
    int64_t last_seq = store->last_seq;
    uint32_t run = 0;
    struct utc_time deadline;
    enum result result = RESULT_FAULT;

    if (state_load_finish(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    recovery.slots = malloc((size_t)store->number_max + 1);
    if (recovery.slots == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (state_sql_begin(store, fault) != RESULT_OK)
        goto out;
    for (;;) {
        if (state_store_find_unfinished(store, schedule, &run, &deadline, fault) != RESULT_OK)
            goto undo;
        if (run == 0)
            break;
        if (state_recover_orphan(&recovery, run, REASON_SUPERSEDED, fault) != RESULT_OK)
            goto undo;
    }
    if (state_recover_close_orphans(store, now, fault) != RESULT_OK)
        goto undo;
    result = state_sql_commit(store, fault);
    goto out;
undo:
    state_sql_rollback(store);
out:
    if (result != RESULT_OK)
        store->last_seq = last_seq;
    free(recovery.slots);
    return result;
}

enum result state_store_narrow_once(struct state_store *store, const char *consent,
                                    const char *institution, struct fault *fault)
{
    uint32_t number = 0;

    if (consent != NULL) {
        number = state_store_find_consent(store, consent);
        if (number == 0)
            return fault_set(fault, FAULT_DATA, "%s: there is no such consent", consent);
    }
    if (institution != NULL && strlen(institution) >= sizeof store->only_institution)
        return fault_set(fault, FAULT_DATA, "the name of the institution is too long");
    store->only_consent_no = number;
    (void)sqlite3_snprintf((int)sizeof store->only_institution, store->only_institution, "%s",
                           institution == NULL ? "" : institution);
    return RESULT_OK;
}

/* ---- what is left ---- */

enum result state_store_open_slots(struct state_store *store, uint32_t run, uint32_t limit,
                                   void (*on_slot)(void *context, const char *consent),
                                   void *context, uint32_t *count, struct fault *fault)
{
    sqlite3_stmt *name = state_sql_statement(store, STATEMENT_CONSENT_NAME, fault);
    uint8_t *slots = malloc((size_t)store->number_max + 1);
    enum result result = RESULT_FAULT;
    uint32_t open = 0;
    bool found = false;

    if (slots == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (name == NULL || state_load_finish(store, fault) != RESULT_OK ||
        load_slots(store, run, slots, fault) != RESULT_OK)
        goto out;
    for (uint32_t consent = 1; consent <= store->number_max; consent++) {
        if (slots[consent] == SLOT_NOT_MEMBER || slots[consent] > SLOT_CLOSED)
            continue;
        if (open++ >= limit)
            continue;
        (void)sqlite3_bind_int64(name, 1, consent);
        if (state_sql_step(store->db, name, &found, "read a consent", fault) != RESULT_OK)
            goto out;
        on_slot(context, found ? state_column_text(name, 0) : "?");
        (void)sqlite3_reset(name);
    }
    *count = open;
    result = RESULT_OK;
out:
    free(slots);
    return result;
}
