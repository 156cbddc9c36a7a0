/* SPDX-License-Identifier: MIT
 * outbox.c - see outbox.h. */
#include "state/outbox.h"

#include <string.h>

#include "state/state_private.h"
#include "state/state_run.h"

/* Statements of one reading, made once for it. */
struct reader {
    struct state_store *store;
    outbox_function *on_fact;
    void *context;
    sqlite3_stmt *job;
    sqlite3_stmt *skip;
    sqlite3_stmt *consent;
};

#define JOB_COLUMNS \
    "SELECT j.job_no, r.run_id, c.consent, p.name, i.name, s.name, s.timezone, j.trigger," \
    " coalesce(r.slot_ms, j.due_ms), j.due_ms, coalesce(j.started_ms, (SELECT a.sent_ms" \
    " FROM attempt AS a WHERE a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535" \
    " AND a.sent_ms IS NOT NULL ORDER BY a.attempt_key LIMIT 1)), j.finished_ms, j.attempts," \
    " j.outcome, coalesce(j.reason, 0), j.has_new_data, coalesce(j.error_code," \
    " (SELECT a.error_code FROM attempt AS a" \
    " WHERE a.attempt_key = (j.job_no << 16) + j.attempts))" \
    " FROM job AS j JOIN consent AS c ON c.consent_no = j.consent_no" \
    " JOIN provider AS p ON p.provider_no = c.provider_no" \
    " JOIN institution AS i ON i.institution_no = c.institution_no" \
    " LEFT JOIN run AS r ON r.run_no = j.run_no" \
    " LEFT JOIN schedule AS s ON s.schedule_no = r.schedule_no"
#define SKIP_COLUMNS \
    "SELECT r.run_id, s.name, s.timezone, c.consent, p.name, i.name, r.slot_ms, k.due_ms," \
    " k.at_ms, k.reason, k.detail, k.count FROM skip AS k" \
    " JOIN run AS r ON r.run_no = k.run_no JOIN schedule AS s ON s.schedule_no = r.schedule_no" \
    " LEFT JOIN consent AS c ON c.consent_no = k.consent_no" \
    " LEFT JOIN provider AS p ON p.provider_no = c.provider_no" \
    " LEFT JOIN institution AS i ON i.institution_no = c.institution_no"
#define CONSENT_COLUMNS \
    "SELECT c.consent, p.name, c.customer, i.name, t.names, c.mode, c.held_ms," \
    " min(coalesce(c.expires_ms, 9223372036854775807)," \
    " coalesce(c.learned_expires_ms, 9223372036854775807)), c.removed_ms FROM consent AS c" \
    " JOIN provider AS p ON p.provider_no = c.provider_no" \
    " JOIN institution AS i ON i.institution_no = c.institution_no" \
    " JOIN schedule_set AS t ON t.set_no = c.set_no"

/* ---- rows into facts ---- */

static enum result give_job(struct reader *reader, sqlite3_stmt *row, int64_t sequence,
                            struct fault *fault)
{
    char job_uid[STATE_UID_SIZE];
    struct fact fact = {.kind = FACT_JOB, .sequence = sequence};

    fact.as.job = (struct fact_job){
        .job_uid =
            state_store_uid(reader->store, (uint64_t)sqlite3_column_int64(row, 0), 0, job_uid),
        .run_id = state_column_text(row, 1),
        .consent = state_column_text(row, 2),
        .provider = state_column_text(row, 3),
        .institution = state_column_text(row, 4),
        .schedule = state_column_text(row, 5),
        .timezone = state_column_text(row, 6),
        .trigger = (enum trigger)sqlite3_column_int(row, 7),
        .slot = {sqlite3_column_int64(row, 8)},
        .due = {sqlite3_column_int64(row, 9)},
        .started = state_column_time(row, 10, UTC_NONE),
        .finished = {sqlite3_column_int64(row, 11)},
        .attempts = (uint32_t)sqlite3_column_int64(row, 12),
        .outcome = (enum outcome)sqlite3_column_int(row, 13),
        .reason = (enum reason)sqlite3_column_int(row, 14),
        .has_new_data = sqlite3_column_type(row, 15) == SQLITE_NULL
                            ? TRI_UNKNOWN
                            : (enum tristate)sqlite3_column_int(row, 15),
        .error_code = state_column_text(row, 16),
    };
    return reader->on_fact(reader->context, &fact, fault);
}

static enum result give_skip(struct reader *reader, sqlite3_stmt *row, int64_t sequence,
                             struct fault *fault)
{
    struct fact fact = {.kind = FACT_SKIP, .sequence = sequence};

    fact.as.skip = (struct fact_skip){
        .run_id = state_column_text(row, 0),
        .schedule = state_column_text(row, 1),
        .timezone = state_column_text(row, 2),
        .consent = state_column_text(row, 3),
        .provider = state_column_text(row, 4),
        .institution = state_column_text(row, 5),
        .slot = {sqlite3_column_int64(row, 6)},
        .due = {sqlite3_column_int64(row, 7)},
        .at = {sqlite3_column_int64(row, 8)},
        .reason = (enum reason)sqlite3_column_int(row, 9),
        .detail = state_column_text(row, 10),
        .count = (uint32_t)sqlite3_column_int64(row, 11),
    };
    return reader->on_fact(reader->context, &fact, fault);
}

static enum result give_consent(struct reader *reader, sqlite3_stmt *row, int64_t sequence,
                                struct fault *fault)
{
    struct fact fact = {.kind = FACT_CONSENT, .sequence = sequence};
    const char *consent = state_column_text(row, 0);

    fact.as.consent = (struct fact_consent){
        .consent = consent,
        .provider = state_column_text(row, 1),
        .consent_id = strchr(consent, '/') + 1,
        .customer = state_column_text(row, 2),
        .institution = state_column_text(row, 3),
        .schedules = state_column_text(row, 4),
        .mode = (enum consent_mode)sqlite3_column_int(row, 5),
        .is_held = sqlite3_column_type(row, 6) != SQLITE_NULL,
        .expires = {sqlite3_column_int64(row, 7)}, /* INT64_MAX is UTC_NEVER */
        .removed = state_column_time(row, 8, UTC_NONE),
    };
    return reader->on_fact(reader->context, &fact, fault);
}

static enum result give_run(struct reader *reader, uint32_t run, int64_t sequence,
                            struct fault *fault)
{
    struct fact fact = {.kind = FACT_RUN, .sequence = sequence};
    bool found = false;

    if (state_run_manifest(reader->store->db, run, &fact.as.run, &found, fault) != RESULT_OK)
        return RESULT_FAULT;
    return found ? reader->on_fact(reader->context, &fact, fault) : RESULT_OK;
}

typedef enum result give_function(struct reader *reader, sqlite3_stmt *row, int64_t sequence,
                                  struct fault *fault);

/* Give all rows of a bound statement, and reset it. */
static enum result give_rows(struct reader *reader, sqlite3_stmt *statement, int64_t sequence,
                             give_function *give, struct fault *fault)
{
    enum result result = RESULT_FAULT;
    bool found = false;

    for (;;) {
        if (state_sql_step(reader->store->db, statement, &found, "read a fact", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        if (give(reader, statement, sequence, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    (void)sqlite3_reset(statement);
    return result;
}

/* ---- reading ---- */

static enum result reader_prepare(struct reader *reader, struct fault *fault)
{
    sqlite3 *db = reader->store->db;

    if (state_sql_prepare(db, JOB_COLUMNS " WHERE j.job_no = ?1 AND j.outcome IS NOT NULL",
                          &reader->job, "read the outbox", fault) != RESULT_OK ||
        state_sql_prepare(db, SKIP_COLUMNS " WHERE k.run_no = ?1 AND k.consent_no = ?2",
                          &reader->skip, "read the outbox", fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_sql_prepare(db, CONSENT_COLUMNS " WHERE c.consent_no BETWEEN ?1 AND ?2",
                             &reader->consent, "read the outbox", fault);
}

static void reader_finish(struct reader *reader)
{
    sqlite3_finalize(reader->job);
    sqlite3_finalize(reader->skip);
    sqlite3_finalize(reader->consent);
}

static enum result give_entry(struct reader *reader, sqlite3_stmt *entry, struct fault *fault)
{
    int64_t sequence = sqlite3_column_int64(entry, 0);
    int64_t ref = sqlite3_column_int64(entry, 2);
    int64_t more =
        sqlite3_column_type(entry, 3) == SQLITE_NULL ? ref : sqlite3_column_int64(entry, 3);

    switch ((enum ledger_kind)sqlite3_column_int(entry, 1)) {
    case LEDGER_JOB:
        (void)sqlite3_bind_int64(reader->job, 1, ref);
        return give_rows(reader, reader->job, sequence, give_job, fault);
    case LEDGER_SKIP:
        (void)sqlite3_bind_int64(reader->skip, 1, more);
        (void)sqlite3_bind_int64(reader->skip, 2, ref);
        return give_rows(reader, reader->skip, sequence, give_skip, fault);
    case LEDGER_RUN: return give_run(reader, (uint32_t)ref, sequence, fault);
    case LEDGER_CONSENT:
        (void)sqlite3_bind_int64(reader->consent, 1, ref);
        (void)sqlite3_bind_int64(reader->consent, 2, more);
        return give_rows(reader, reader->consent, sequence, give_consent, fault);
    }
    return RESULT_OK; /* of a newer program: nothing that we could deliver */
}

enum result outbox_read(struct state_store *store, int64_t after, uint32_t limit,
                        outbox_function *on_fact, void *context, int64_t *next, struct fault *fault)
{
    struct reader reader = {.store = store, .on_fact = on_fact, .context = context};
    sqlite3_stmt *entry = NULL;
    enum result result = RESULT_FAULT;
    int64_t reached = after;
    bool found = false;

    if (reader_prepare(&reader, fault) != RESULT_OK ||
        state_sql_prepare(store->db,
                          "SELECT seq, kind, ref, more FROM ledger WHERE seq > ?1 ORDER BY seq"
                          " LIMIT ?2",
                          &entry, "read the outbox", fault) != RESULT_OK)
        goto out;
    (void)sqlite3_bind_int64(entry, 1, after);
    (void)sqlite3_bind_int64(entry, 2, limit);
    for (;;) {
        if (state_sql_step(store->db, entry, &found, "read the outbox", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        if (give_entry(&reader, entry, fault) != RESULT_OK)
            goto out;
        reached = sqlite3_column_int64(entry, 0);
    }
    *next = reached;
    result = RESULT_OK;
out:
    sqlite3_finalize(entry);
    reader_finish(&reader);
    return result;
}

static enum result replay_runs(struct reader *reader, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(reader->store->db, "SELECT run_no FROM run ORDER BY run_no", &statement,
                          "read the runs", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        if (state_sql_step(reader->store->db, statement, &found, "read the runs", fault) !=
            RESULT_OK)
            goto out;
        if (!found)
            break;
        if (give_run(reader, (uint32_t)sqlite3_column_int64(statement, 0), 0, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static enum result replay_rows(struct reader *reader, const char *sql, give_function *give,
                               struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(reader->store->db, sql, &statement, "read the facts", fault) != RESULT_OK)
        return RESULT_FAULT;
    result = give_rows(reader, statement, 0, give, fault);
    sqlite3_finalize(statement);
    return result;
}

enum result outbox_replay(struct state_store *store, outbox_function *on_fact, void *context,
                          int64_t *sequence, struct fault *fault)
{
    struct reader reader = {.store = store, .on_fact = on_fact, .context = context};
    int64_t last = 0;
    enum result result = RESULT_FAULT;

    if (state_sql_execute(store->db, "BEGIN", "read the facts", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_sql_integer(store->db, "SELECT max(seq) FROM ledger", 0, &last, "read the facts",
                          fault) == RESULT_OK &&
        replay_rows(&reader, CONSENT_COLUMNS " ORDER BY c.consent_no", give_consent, fault) ==
            RESULT_OK &&
        replay_runs(&reader, fault) == RESULT_OK &&
        replay_rows(&reader, JOB_COLUMNS " WHERE j.outcome IS NOT NULL ORDER BY j.job_no", give_job,
                    fault) == RESULT_OK &&
        replay_rows(&reader, SKIP_COLUMNS " ORDER BY k.run_no, k.consent_no", give_skip, fault) ==
            RESULT_OK)
        result = RESULT_OK;
    (void)sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
    if (result == RESULT_OK)
        *sequence = last;
    return result;
}

/* ---- how far ---- */

enum result outbox_position(struct state_store *store, int64_t *delivered, int64_t *last,
                            struct fault *fault)
{
    int64_t values[2] = {0, 0};

    if (state_sql_integer(store->db, "SELECT delivered_seq FROM meta", 0, &values[0],
                          "read the outbox", fault) != RESULT_OK ||
        state_sql_integer(store->db, "SELECT max(seq) FROM ledger", 0, &values[1],
                          "read the outbox", fault) != RESULT_OK)
        return RESULT_FAULT;
    *delivered = values[0];
    *last = values[1];
    return RESULT_OK;
}

enum result outbox_delivered(struct state_store *store, int64_t sequence, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (sequence <= store->delivered_seq)
        return RESULT_OK;
    if (state_sql_prepare(store->db, "UPDATE meta SET delivered_seq = ?1", &statement,
                          "note what was delivered", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, sequence);
    result = state_sql_run(store, statement, "note what was delivered", fault);
    sqlite3_finalize(statement);
    if (result == RESULT_OK)
        store->delivered_seq = sequence;
    return result;
}
