/* SPDX-License-Identifier: MIT
 * state_recover_past.c - what a restart must not forget: pasts, quota, cooldown, long windows. */
#include "state/state_recover.h"

#include <stdlib.h>

/* The end of a slot that is not in its consent's row yet. */
struct close {
    uint32_t consent;
    int64_t seq;
    enum outcome outcome;
    struct utc_time finished;
    struct utc_time wait; /* the last instant it waited for, and why */
    enum reason wait_reason;
};

struct closes {
    struct close *items;
    size_t count;
    size_t capacity;
    size_t cursor;
};

static int compare_closes(const void *a, const void *b)
{
    const struct close *x = a;
    const struct close *y = b;

    if (x->consent != y->consent)
        return x->consent < y->consent ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static enum result add_close(struct closes *closes, sqlite3_stmt *row, struct fault *fault)
{
    struct close *close;

    if (closes->count == closes->capacity) {
        size_t capacity = closes->capacity * 2 + 1024;
        struct close *grown = realloc(closes->items, capacity * sizeof *grown);

        if (grown == NULL)
            return fault_set(fault, FAULT_TEMPORARY, "out of memory");
        closes->items = grown;
        closes->capacity = capacity;
    }
    close = &closes->items[closes->count++];
    close->consent = (uint32_t)sqlite3_column_int64(row, 0);
    close->seq = sqlite3_column_int64(row, 1);
    close->outcome = (enum outcome)sqlite3_column_int(row, 2);
    close->finished = state_column_time(row, 3, UTC_NONE);
    close->wait = state_column_time(row, 4, UTC_NONE);
    close->wait_reason = (enum reason)sqlite3_column_int(row, 5);
    return RESULT_OK;
}

static enum result load_closes(struct state_store *store, struct closes *closes,
                               struct fault *fault)
{
    static const char sql[] =
        "SELECT consent_no, closed_seq, outcome, finished_ms, next_attempt_ms,"
        " coalesce(wait_reason, 0) FROM job"
        " WHERE job_no >= (SELECT folded_job_no FROM meta)"
        " AND closed_seq > (SELECT folded_seq FROM meta)"
        " UNION ALL SELECT consent_no, seq, 6, at_ms, NULL, 0 FROM skip"
        " WHERE run_no >= (SELECT folded_run_no FROM meta) AND consent_no <> 0"
        " AND seq > (SELECT folded_seq FROM meta)";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, sql, &statement, "read the last closes", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        if (state_sql_step(store->db, statement, &found, "read the last closes", fault) !=
            RESULT_OK)
            goto out;
        if (!found)
            break;
        if (add_close(closes, statement, fault) != RESULT_OK)
            goto out;
    }
    if (closes->count > 0)
        qsort(closes->items, closes->count, sizeof *closes->items, compare_closes);
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

/* As the core folds an ended job (scheduler/consent.c). */
static void fold_close(struct consent_past *past, const struct close *close, struct utc_time now)
{
    past->last_outcome = close->outcome;
    switch (close->outcome) {
    case OUTCOME_REFRESHED:
    case OUTCOME_PARTIAL:
    case OUTCOME_DEDUPLICATED:
        past->last_success = close->finished;
        past->consecutive_failures = 0;
        past->cooldown_refusals = 0;
        break;
    case OUTCOME_FAILED:
    case OUTCOME_UNKNOWN: past->consecutive_failures++; break;
    case OUTCOME_RECONNECT_REQUIRED:
    case OUTCOME_SKIPPED:
    case OUTCOME_NONE:
    case OUTCOME_COUNT: break;
    }
    /* A wait for the next attempt ended with the job; any other is its consent's. */
    if (close->wait_reason != REASON_NONE && close->wait_reason != REASON_RETRY_WAIT &&
        close->wait.ms > now.ms && close->wait.ms > past->not_before.ms) {
        past->not_before = close->wait;
        past->not_before_reason = close->wait_reason;
    }
}

/* Columns of the consents' scan. */
enum {
    PAST_NO,
    PAST_SEQ,
    PAST_OUTCOME,
    PAST_SUCCESS,
    PAST_ATTEMPT,
    PAST_FAILURES,
    PAST_REFUSALS,
    PAST_NOT_BEFORE,
    PAST_REASON,
    PAST_REFERENCE,
    PAST_LEARNED,
    PAST_HELD,
    PAST_SUSPENDED
};
static const char past_sql[] =
    "SELECT c.consent_no, coalesce(f.folded_seq, 0), coalesce(f.last_outcome, 0),"
    " f.last_success_ms, f.last_attempt_ms, coalesce(f.consecutive_failures, 0),"
    " coalesce(f.cooldown_refusals, 0), f.not_before_ms, coalesce(f.not_before_reason, 0),"
    " coalesce(f.reference_hash, 0), c.learned_expires_ms, c.held_ms, c.is_suspended"
    " FROM consent AS c LEFT JOIN consent_past AS f ON f.consent_no = c.consent_no"
    " ORDER BY c.consent_no"; /* those that are gone, too: their rows may come back */
/* What the attempts know that the row may not: the last sending, the last reference. */
static const char last_sql[] =
    "SELECT max(a.sent_ms) FROM job AS j"
    " JOIN attempt AS a ON a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535"
    " WHERE j.consent_no = ?1 AND j.job_no >= (SELECT folded_job_no FROM meta)";
static const char reference_sql[] =
    "SELECT a.reference_hash FROM job AS j"
    " JOIN attempt AS a ON a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535"
    " WHERE j.consent_no = ?1 AND j.job_no >= (SELECT folded_job_no FROM meta)"
    " AND a.reference_hash IS NOT NULL ORDER BY a.attempt_key DESC LIMIT 1";

static struct consent_past past_of_row(sqlite3_stmt *row)
{
    return (struct consent_past){
        .last_outcome = (enum outcome)sqlite3_column_int(row, PAST_OUTCOME),
        .last_success = state_column_time(row, PAST_SUCCESS, UTC_NONE),
        .last_attempt = state_column_time(row, PAST_ATTEMPT, UTC_NONE),
        .consecutive_failures = (uint32_t)sqlite3_column_int64(row, PAST_FAILURES),
        .cooldown_refusals = (uint32_t)sqlite3_column_int64(row, PAST_REFUSALS),
        .not_before = state_column_time(row, PAST_NOT_BEFORE, UTC_NONE),
        .not_before_reason = (enum reason)sqlite3_column_int(row, PAST_REASON),
        .reference_hash = (uint64_t)sqlite3_column_int64(row, PAST_REFERENCE),
        .learned_expires = state_column_time(row, PAST_LEARNED, UTC_NEVER),
        .is_held = sqlite3_column_type(row, PAST_HELD) != SQLITE_NULL,
        .is_suspended = sqlite3_column_int(row, PAST_SUSPENDED) != 0,
    };
}

static bool has_past(const struct consent_past *past)
{
    return past->last_outcome != OUTCOME_NONE || past->last_attempt.ms != UTC_NONE.ms ||
           past->not_before.ms != UTC_NONE.ms || past->learned_expires.ms != UTC_NEVER.ms ||
           past->is_held;
}

/* First column of a query about one consent, or `otherwise`. */
static enum result ask(struct state_store *store, sqlite3_stmt *statement, uint32_t consent,
                       int64_t otherwise, int64_t *value, struct fault *fault)
{
    bool found = false;

    (void)sqlite3_bind_int64(statement, 1, consent);
    if (state_sql_step(store->db, statement, &found, "read a consent's attempts", fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    *value = found && sqlite3_column_type(statement, 0) != SQLITE_NULL
                 ? sqlite3_column_int64(statement, 0)
                 : otherwise;
    (void)sqlite3_reset(statement);
    return RESULT_OK;
}

static enum result recover_one(struct recovery *recovery, sqlite3_stmt *row, struct closes *closes,
                               sqlite3_stmt *last, sqlite3_stmt *reference, struct fault *fault)
{
    uint32_t consent = (uint32_t)sqlite3_column_int64(row, PAST_NO);
    int64_t folded_seq = sqlite3_column_int64(row, PAST_SEQ);
    struct consent_past past = past_of_row(row);
    bool has_new_dates = number_set_has(&recovery->store->look_dates, consent);
    bool is_unfolded = false;
    int64_t value = 0;

    if (has_new_dates) { /* what a start would write into its row */
        past.is_held = false;
        past.learned_expires = UTC_NEVER;
    }
    while (closes->cursor < closes->count && closes->items[closes->cursor].consent < consent)
        closes->cursor++; /* of a consent that is gone */
    for (; closes->cursor < closes->count && closes->items[closes->cursor].consent == consent;
         closes->cursor++) {
        const struct close *close = &closes->items[closes->cursor];

        if (close->seq <= folded_seq)
            continue;
        fold_close(&past, close, recovery->now.utc);
        is_unfolded = true;
    }
    if (is_unfolded) {
        if (ask(recovery->store, last, consent, past.last_attempt.ms, &value, fault) != RESULT_OK)
            return RESULT_FAULT;
        past.last_attempt.ms = value > past.last_attempt.ms ? value : past.last_attempt.ms;
        if (ask(recovery->store, reference, consent, (int64_t)past.reference_hash, &value, fault) !=
            RESULT_OK)
            return RESULT_FAULT;
        past.reference_hash = (uint64_t)value;
        if (!number_set_add(&recovery->store->dirty, consent))
            return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    if (has_past(&past))
        scheduler_recover_consent(recovery->scheduler, consent, &past);
    return RESULT_OK;
}

static enum result recover_consents(struct recovery *recovery, struct fault *fault)
{
    sqlite3 *db = recovery->store->db;
    static const char doing[] = "read the consents";
    struct closes closes = {0};
    sqlite3_stmt *row = NULL;
    sqlite3_stmt *last = NULL;
    sqlite3_stmt *reference = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (load_closes(recovery->store, &closes, fault) != RESULT_OK ||
        state_sql_prepare(db, past_sql, &row, doing, fault) != RESULT_OK ||
        state_sql_prepare(db, last_sql, &last, doing, fault) != RESULT_OK ||
        state_sql_prepare(db, reference_sql, &reference, doing, fault) != RESULT_OK)
        goto out;
    for (;;) {
        if (state_sql_step(db, row, &found, doing, fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        if (recover_one(recovery, row, &closes, last, reference, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(row);
    sqlite3_finalize(last);
    sqlite3_finalize(reference);
    free(closes.items);
    return result;
}

/* ---- attempts ---- */

struct sending {
    int64_t sent_ms;
    uint32_t consent;
    uint8_t is_charged;
    uint8_t outcome;
};

static int compare_sendings(const void *a, const void *b)
{
    const struct sending *x = a;
    const struct sending *y = b;

    if (x->sent_ms != y->sent_ms)
        return x->sent_ms < y->sent_ms ? -1 : 1;
    return x->consent < y->consent ? -1 : x->consent > y->consent;
}

static int64_t longest_rate(const struct limit_settings *limits, int64_t longest_ms)
{
    for (uint32_t i = 0; i < limits->rate_count; i++)
        if (limits->rates[i].span_ms > longest_ms)
            longest_ms = limits->rates[i].span_ms;
    return longest_ms;
}

/* How far back any quota, cooldown or rate looks, and a rate that a reload may add. */
static int64_t horizon_ms(const struct config *config)
{
    int64_t horizon = MS_PER_DAY;

    for (uint32_t i = 0; i < config->provider_count; i++) {
        const struct provider_settings *settings = &config->provider_settings[i];
        const struct config_provider *provider = &config->providers[i];
        const int64_t spans[] = {settings->quota.window_ms, settings->cooldown.after_accept_ms,
                                 settings->cooldown.after_success_ms,
                                 settings->cooldown.after_failure_ms, settings->dedupe_window_ms};

        for (size_t k = 0; k < sizeof spans / sizeof *spans; k++)
            horizon = spans[k] > horizon ? spans[k] : horizon;
        horizon = longest_rate(&settings->limits, horizon);
        horizon = longest_rate(&provider->institution_default, horizon);
        for (uint32_t k = 0; k < provider->institution_count; k++)
            horizon = longest_rate(&provider->institutions[k].limits, horizon);
    }
    return horizon;
}

static enum result load_sendings(struct recovery *recovery, struct sending **sendings,
                                 size_t *count, struct fault *fault)
{
    static const char sql[] =
        "SELECT a.sent_ms, j.consent_no, coalesce(a.is_charged, a.is_repeat = 0),"
        " coalesce(j.outcome, 0)"
        " FROM attempt AS a CROSS JOIN job AS j ON j.job_no = a.attempt_key >> 16"
        " WHERE a.attempt_key >= (SELECT job_no FROM job_mark WHERE at_ms <= ?1"
        " ORDER BY at_ms DESC LIMIT 1) << 16 AND a.sent_ms > ?1";
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    size_t capacity = 0;
    bool found = false;

    if (state_sql_prepare(recovery->store->db, sql, &statement, "read the attempts", fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, recovery->now.utc.ms - horizon_ms(recovery->config));
    for (;;) {
        if (state_sql_step(recovery->store->db, statement, &found, "read the attempts", fault) !=
            RESULT_OK)
            goto out;
        if (!found)
            break;
        if (*count == capacity) {
            struct sending *grown;

            capacity = capacity * 2 + 4096;
            grown = realloc(*sendings, capacity * sizeof *grown);
            if (grown == NULL) {
                (void)fault_set(fault, FAULT_TEMPORARY, "out of memory");
                goto out;
            }
            *sendings = grown;
        }
        (*sendings)[(*count)++] =
            (struct sending){.sent_ms = sqlite3_column_int64(statement, 0),
                             .consent = (uint32_t)sqlite3_column_int64(statement, 1),
                             .is_charged = sqlite3_column_int(statement, 2) != 0,
                             .outcome = (uint8_t)sqlite3_column_int(statement, 3)};
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static enum result recover_attempts(struct recovery *recovery, struct fault *fault)
{
    struct sending *sendings = NULL;
    size_t count = 0;
    bool is_sorted = true;
    enum result result = load_sendings(recovery, &sendings, &count, fault);

    if (result != RESULT_OK)
        goto out;
    for (size_t i = 1; i < count && is_sorted; i++)
        is_sorted = compare_sendings(&sendings[i - 1], &sendings[i]) <= 0;
    if (!is_sorted)
        qsort(sendings, count, sizeof *sendings, compare_sendings);
    for (size_t i = 0; i < count; i++)
        scheduler_recover_attempt(recovery->scheduler, sendings[i].consent,
                                  (struct utc_time){sendings[i].sent_ms},
                                  sendings[i].is_charged != 0, (enum outcome)sendings[i].outcome);
out:
    free(sendings);
    return result;
}

/* The core does not know where a consent that is gone belonged, but its provider still counts what
 * was sent for it. */
static enum result recover_gone(struct recovery *recovery, struct fault *fault)
{
    static const char sql[] =
        "SELECT c.provider_no, a.sent_ms FROM consent AS c"
        " JOIN job AS j ON j.consent_no = c.consent_no"
        " JOIN attempt AS a ON a.attempt_key BETWEEN j.job_no << 16 AND (j.job_no << 16) + 65535"
        " WHERE c.removed_ms > ?1 AND a.sent_ms > ?1 ORDER BY a.sent_ms";
    struct state_store *store = recovery->store;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, sql, &statement, "read the attempts of removed consents",
                          fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, recovery->now.utc.ms - horizon_ms(recovery->config));
    for (;;) {
        if (state_sql_step(store->db, statement, &found, "read the attempts of removed consents",
                           fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        for (uint32_t i = 0; i < recovery->config->provider_count; i++)
            if (store->names.provider_nos[i] == sqlite3_column_int64(statement, 0))
                scheduler_recover_calls(recovery->scheduler, i,
                                        (struct utc_time){sqlite3_column_int64(statement, 1)}, 1);
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

/* ---- polls, look-ups, tokens ---- */

static enum result recover_calls(struct recovery *recovery, struct fault *fault)
{
    struct state_store *store = recovery->store;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db,
                          "SELECT provider_no, second, count FROM calls WHERE second >= ?1"
                          " ORDER BY second",
                          &statement, "read the calls", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1,
                             (recovery->now.utc.ms - horizon_ms(recovery->config)) / MS_PER_SECOND);
    for (;;) {
        if (state_sql_step(store->db, statement, &found, "read the calls", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        for (uint32_t i = 0; i < recovery->config->provider_count; i++)
            if (store->names.provider_nos[i] == sqlite3_column_int64(statement, 0))
                scheduler_recover_calls(
                    recovery->scheduler, i,
                    (struct utc_time){sqlite3_column_int64(statement, 1) * MS_PER_SECOND},
                    (uint32_t)sqlite3_column_int64(statement, 2));
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

/* ---- look-ups without a job ---- */

static enum result recover_rechecks(struct recovery *recovery, struct fault *fault)
{
    struct state_store *store = recovery->store;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(store->db, "SELECT provider_no, consent_no, at_ms FROM recheck",
                          &statement, "read the look-ups", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (;;) {
        if (state_sql_step(store->db, statement, &found, "read the look-ups", fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        for (uint32_t i = 0; i < recovery->config->provider_count; i++)
            if (store->names.provider_nos[i] == sqlite3_column_int64(statement, 0))
                scheduler_recover_recheck(recovery->scheduler, i,
                                          (uint32_t)sqlite3_column_int64(statement, 1),
                                          state_column_time(statement, 2, UTC_NONE));
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

enum result state_recover_past(struct recovery *recovery, struct fault *fault)
{
    if (recover_consents(recovery, fault) != RESULT_OK ||
        recover_attempts(recovery, fault) != RESULT_OK ||
        recover_gone(recovery, fault) != RESULT_OK || recover_calls(recovery, fault) != RESULT_OK)
        return RESULT_FAULT;
    return recover_rechecks(recovery, fault);
}
