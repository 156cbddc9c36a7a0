/* SPDX-License-Identifier: MIT
 * state_commit.c - records become rows: one transaction for all that was decided in one turn.
 *
 * The hot path. A refresh costs an insert of its job and attempt, an update of each, and a ledger
 * row; everything else in here is rare. Consent rows are not touched (state_fold.c does, later). */
#include "state/state_load.h"
#include "state/state_node.h"
#include "state/state_recover.h"
#include "state/state_windows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Statement `which`, or leave the calling function with a fault. */
#define STATEMENT_OR_FAULT(variable, which) \
    sqlite3_stmt *variable = state_sql_statement(store, which, fault); \
    if (variable == NULL) \
    return RESULT_FAULT

static int64_t attempt_key(uint64_t job, uint16_t attempt)
{
    return (int64_t)job * ATTEMPTS_PER_JOB + attempt;
}

/* A record about a row that is not there is a bug of the caller: nothing of it may be kept. */
static enum result require_one_change(struct state_store *store, const char *what, uint64_t number,
                                      struct fault *fault)
{
    if (sqlite3_changes(store->db) == 1)
        return RESULT_OK;
    return fault_set(fault, FAULT_INTERNAL, "%s: no row of %s %" PRIu64, store->path, what, number);
}

enum result state_commit_ledger(struct state_store *store, enum ledger_kind kind, int64_t ref,
                                int64_t more, struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_LEDGER);

    (void)sqlite3_bind_int64(statement, 1, store->last_seq + 1);
    (void)sqlite3_bind_int(statement, 2, (int)kind);
    (void)sqlite3_bind_int64(statement, 3, ref);
    if (more == 0)
        (void)sqlite3_bind_null(statement, 4);
    else
        (void)sqlite3_bind_int64(statement, 4, more);
    if (state_sql_run(store, statement, "write the ledger", fault) != RESULT_OK)
        return RESULT_FAULT;
    store->last_seq++;
    return RESULT_OK;
}

static enum result mark_dirty(struct state_store *store, uint32_t consent, struct fault *fault)
{
    if (!number_set_add(&store->dirty, consent))
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    return RESULT_OK;
}

/* ---- runs ---- */

static enum result commit_run_open(struct state_store *store, const struct record *record,
                                   struct fault *fault)
{
    uint32_t index = record->as.run_open.schedule;
    char slot[UTC_TEXT_SIZE];
    char run_id[MANIFEST_NAME_BYTES];
    STATEMENT_OR_FAULT(statement, STATEMENT_RUN_OPEN);

    REQUIRE(store->names.config != NULL && index < store->names.config->schedule_count);
    if (record->as.run_open.slot.ms % MS_PER_SECOND == 0)
        (void)utc_text_seconds(record->as.run_open.slot, slot);
    else
        (void)utc_text(record->as.run_open.slot, slot);
    (void)snprintf(run_id, sizeof run_id, "%s@%s", store->names.config->schedules[index].name,
                   slot);
    (void)sqlite3_bind_int64(statement, 1, record->as.run_open.run);
    state_bind_text(statement, 2, run_id);
    (void)sqlite3_bind_int64(statement, 3, store->names.schedule_nos[index]);
    (void)sqlite3_bind_int(statement, 4, (int)record->as.run_open.trigger);
    (void)sqlite3_bind_int64(statement, 5, record->as.run_open.slot.ms);
    (void)sqlite3_bind_int64(statement, 6, record->as.run_open.local_ms);
    (void)sqlite3_bind_int(statement, 7, record->as.run_open.fold);
    state_bind_time(statement, 8, record->as.run_open.deadline);
    (void)sqlite3_bind_int64(statement, 9, record->as.run_open.spread_ms);
    (void)sqlite3_bind_int64(statement, 10, record->at.ms);
    (void)sqlite3_bind_int64(statement, 11, record->as.run_open.due);
    (void)sqlite3_bind_int(statement, 12, record->as.run_open.is_missed ? 1 : 0);
    (void)sqlite3_bind_int64(statement, 13, store->last_job_no + 1);
    state_bind_text(statement, 14, store->names.config->digest);
    (void)sqlite3_bind_null(statement, 15);
    (void)sqlite3_bind_null(statement, 16);
    if (record->as.run_open.trigger == TRIGGER_ONCE) {
        if (store->only_consent_no != 0)
            (void)sqlite3_bind_int64(statement, 15, store->only_consent_no);
        if (store->only_institution[0] != '\0')
            state_bind_text(statement, 16, store->only_institution);
    }
    if (state_sql_run(store, statement, "open a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (record->as.run_open.run > store->last_run_no)
        store->last_run_no = record->as.run_open.run;
    return state_commit_ledger(store, LEDGER_RUN, record->as.run_open.run, 0, fault);
}

static enum result count_run(struct state_store *store, uint32_t run, int64_t *due,
                             int64_t counts[OUTCOME_COUNT], struct fault *fault)
{
    bool found = false;
    int64_t first_job_no;
    STATEMENT_OR_FAULT(range, STATEMENT_RUN_RANGE);
    STATEMENT_OR_FAULT(jobs, STATEMENT_RUN_COUNT_JOBS);
    STATEMENT_OR_FAULT(skips, STATEMENT_RUN_COUNT_SKIPS);

    (void)sqlite3_bind_int64(range, 1, run);
    if (state_sql_step(store->db, range, &found, "count a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (!found)
        return fault_set(fault, FAULT_INTERNAL, "%s: no row of run %" PRIu32, store->path, run);
    first_job_no = sqlite3_column_int64(range, 0);
    *due = sqlite3_column_int64(range, 1);
    (void)sqlite3_reset(range);
    (void)sqlite3_bind_int64(jobs, 1, run);
    (void)sqlite3_bind_int64(jobs, 2, first_job_no);
    if (state_sql_step(store->db, jobs, &found, "count a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    for (int i = 1; i < OUTCOME_COUNT; i++)
        counts[i] = sqlite3_column_int64(jobs, i - 1);
    (void)sqlite3_reset(jobs);
    (void)sqlite3_bind_int64(skips, 1, run);
    if (state_sql_step(store->db, skips, &found, "count a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    counts[OUTCOME_SKIPPED] += sqlite3_column_int64(skips, 0);
    (void)sqlite3_reset(skips);
    return RESULT_OK;
}

enum result state_commit_run_close(struct state_store *store, uint32_t run, struct utc_time at,
                                   bool late, struct fault *fault)
{
    int64_t counts[OUTCOME_COUNT] = {0};
    int64_t due = 0;
    int64_t sum = 0;
    STATEMENT_OR_FAULT(statement, STATEMENT_RUN_CLOSE);

    if (count_run(store, run, &due, counts, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (int i = 1; i < OUTCOME_COUNT; i++) {
        sum += counts[i];
        (void)sqlite3_bind_int64(statement, 5 + i, counts[i]);
    }
    (void)sqlite3_bind_int64(statement, 1, run);
    (void)sqlite3_bind_int64(statement, 2, at.ms);
    (void)sqlite3_bind_int64(statement, 3, store->last_job_no);
    (void)sqlite3_bind_int(statement, 4, late ? 1 : 0);
    (void)sqlite3_bind_int(statement, 5, sum == due ? 1 : 0);
    if (state_sql_run(store, statement, "close a run", fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_commit_ledger(store, LEDGER_RUN, run, 0, fault);
}

/* ---- jobs and attempts ---- */

static enum result commit_job_open(struct state_store *store, const struct record *record,
                                   struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_JOB_OPEN);

    (void)sqlite3_bind_int64(statement, 1, (int64_t)record->as.job_open.job);
    (void)sqlite3_bind_int64(statement, 2, record->as.job_open.consent);
    if (record->as.job_open.run == 0)
        (void)sqlite3_bind_null(statement, 3);
    else
        (void)sqlite3_bind_int64(statement, 3, record->as.job_open.run);
    (void)sqlite3_bind_int(statement, 4, (int)record->as.job_open.trigger);
    (void)sqlite3_bind_int64(statement, 5, record->as.job_open.due.ms);
    if (state_sql_run(store, statement, "open a job", fault) != RESULT_OK)
        return RESULT_FAULT;
    if ((int64_t)record->as.job_open.job > store->last_job_no)
        store->last_job_no = (int64_t)record->as.job_open.job;
    return RESULT_OK;
}

static enum result commit_attempt(struct state_store *store, const struct record *record,
                                  struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_ATTEMPT);

    (void)sqlite3_bind_int64(statement, 1,
                             attempt_key(record->as.attempt.job, record->as.attempt.attempt));
    (void)sqlite3_bind_int64(statement, 2, record->at.ms);
    (void)sqlite3_bind_int(statement, 3, record->as.attempt.is_repeat ? 1 : 0);
    if (state_sql_run(store, statement, "write an attempt", fault) != RESULT_OK)
        return RESULT_FAULT;
    if (record->as.attempt.attempt > 1) {
        STATEMENT_OR_FAULT(again, STATEMENT_JOB_AGAIN);

        (void)sqlite3_bind_int64(again, 1, (int64_t)record->as.attempt.job);
        (void)sqlite3_bind_int(again, 2, record->as.attempt.attempt);
        if (state_sql_run(store, again, "write an attempt", fault) != RESULT_OK)
            return RESULT_FAULT;
        return require_one_change(store, "job", record->as.attempt.job, fault);
    }
    return RESULT_OK;
}

static enum result commit_body_head(struct state_store *store, struct utc_time at, uint64_t job,
                                    uint16_t attempt, const struct evidence *evidence,
                                    struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_EVIDENCE);

    (void)sqlite3_bind_int64(statement, 1, at.ms);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)job);
    if (attempt == 0)
        (void)sqlite3_bind_null(statement, 3);
    else
        (void)sqlite3_bind_int(statement, 3, attempt);
    if (evidence->http_status == 0)
        (void)sqlite3_bind_null(statement, 4);
    else
        (void)sqlite3_bind_int(statement, 4, evidence->http_status);
    state_bind_text(statement, 5, evidence->body_head);
    return state_sql_run(store, statement, "write evidence", fault);
}

static void bind_answer_texts(sqlite3_stmt *statement, const struct evidence *evidence)
{
    static const struct evidence nothing;

    if (evidence == NULL)
        evidence = &nothing;
    if (evidence->http_status == 0)
        (void)sqlite3_bind_null(statement, 6);
    else
        (void)sqlite3_bind_int(statement, 6, evidence->http_status);
    state_bind_text(statement, 9, evidence->provider_job_id);
    state_bind_text(statement, 10, evidence->error_code);
    state_bind_text(statement, 11, evidence->error_id);
    state_bind_text(statement, 12, evidence->error_message);
    state_bind_text(statement, 13, evidence->request_id);
    state_bind_text(statement, 14, evidence->retry_after_raw);
}

static void bind_reference(sqlite3_stmt *statement, int index, uint64_t reference_hash)
{
    if (reference_hash == 0)
        (void)sqlite3_bind_null(statement, index);
    else
        (void)sqlite3_bind_int64(statement, index, (int64_t)reference_hash);
}

/* `next` (may be NULL) follows the answer in the batch: a reference to the same attempt is written
 * with it. *merged says that it was. */
static enum result commit_answer(struct state_store *store, const struct record *record,
                                 const struct record *next, bool *merged, struct fault *fault)
{
    uint64_t reference_hash = 0;
    STATEMENT_OR_FAULT(statement, STATEMENT_ANSWER);

    *merged = next != NULL && next->kind == RECORD_REFERENCE &&
              next->as.reference.job == record->as.answer.job &&
              next->as.reference.attempt == record->as.answer.attempt &&
              next->evidence == record->evidence;
    if (*merged)
        reference_hash = next->as.reference.reference_hash;
    (void)sqlite3_bind_int64(statement, 1,
                             attempt_key(record->as.answer.job, record->as.answer.attempt));
    state_bind_time(statement, 2, record->as.answer.sent);
    (void)sqlite3_bind_int64(statement, 3, record->at.ms);
    state_bind_word(statement, 4, record->as.answer.class_);
    state_bind_word(statement, 5, record->as.answer.reason);
    (void)sqlite3_bind_int(statement, 7, record->as.answer.is_charged ? 1 : 0);
    bind_reference(statement, 8, reference_hash);
    bind_answer_texts(statement, record->evidence);
    if (state_sql_run(store, statement, "write an answer", fault) != RESULT_OK ||
        require_one_change(store, "an attempt of job", record->as.answer.job, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (record->evidence != NULL && record->evidence->body_head != NULL)
        return commit_body_head(store, record->at, record->as.answer.job, record->as.answer.attempt,
                                record->evidence, fault);
    return RESULT_OK;
}

static enum result commit_reference(struct state_store *store, const struct record *record,
                                    struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_REFERENCE);

    (void)sqlite3_bind_int64(statement, 1,
                             attempt_key(record->as.reference.job, record->as.reference.attempt));
    bind_reference(statement, 2, record->as.reference.reference_hash);
    state_bind_text(statement, 3,
                    record->evidence == NULL ? NULL : record->evidence->provider_job_id);
    if (state_sql_run(store, statement, "write a reference", fault) != RESULT_OK)
        return RESULT_FAULT;
    return require_one_change(store, "an attempt of job", record->as.reference.job, fault);
}

static enum result commit_job_state(struct state_store *store, const struct record *record,
                                    struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_JOB_STATE);

    (void)sqlite3_bind_int64(statement, 1, (int64_t)record->as.job_state.job);
    (void)sqlite3_bind_int(statement, 2, (int)record->as.job_state.state);
    state_bind_time(statement, 3, record->as.job_state.next_attempt);
    state_bind_word(statement, 4, record->as.job_state.reason);
    if (state_sql_run(store, statement, "write a job's state", fault) != RESULT_OK)
        return RESULT_FAULT;
    return require_one_change(store, "job", record->as.job_state.job, fault);
}

/* `answered` is the evidence of an answer to this job's attempt in the same batch: that row has it.
 */
static enum result commit_job_close(struct state_store *store, const struct record *record,
                                    const struct evidence *answered, struct fault *fault)
{
    const struct evidence *evidence = record->evidence == answered ? NULL : record->evidence;
    STATEMENT_OR_FAULT(statement, STATEMENT_JOB_CLOSE);

    (void)sqlite3_bind_int64(statement, 1, (int64_t)record->as.job_close.job);
    (void)sqlite3_bind_int64(statement, 2, record->at.ms);
    (void)sqlite3_bind_int64(statement, 3, store->last_seq + 1);
    (void)sqlite3_bind_int(statement, 4, (int)record->as.job_close.outcome);
    state_bind_word(statement, 5, record->as.job_close.reason);
    if (record->as.job_close.has_new_data == TRI_UNKNOWN)
        (void)sqlite3_bind_null(statement, 6);
    else
        (void)sqlite3_bind_int(statement, 6, (int)record->as.job_close.has_new_data);
    state_bind_text(statement, 7, evidence == NULL ? NULL : evidence->error_code);
    state_bind_text(statement, 8, evidence == NULL ? NULL : evidence->error_message);
    if (state_sql_run(store, statement, "close a job", fault) != RESULT_OK ||
        require_one_change(store, "job", record->as.job_close.job, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (evidence != NULL && evidence->body_head != NULL &&
        commit_body_head(store, record->at, record->as.job_close.job, 0, evidence, fault) !=
            RESULT_OK)
        return RESULT_FAULT;
    if (mark_dirty(store, record->as.job_close.consent, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_commit_ledger(store, LEDGER_JOB, (int64_t)record->as.job_close.job, 0, fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    return store->orphan_count == 0 ? RESULT_OK
                                    : state_recover_close_orphans(store, record->at, fault);
}

/* ---- slots without a job, consents, the rest ---- */

/* A manual trigger that never got its turn: no slot of any run, so people read it in the audit. */
static enum result commit_trigger_given_up(struct state_store *store, const struct record *record,
                                           struct fault *fault)
{
    bool found = false;
    STATEMENT_OR_FAULT(name, STATEMENT_CONSENT_NAME);
    STATEMENT_OR_FAULT(audit, STATEMENT_AUDIT);
    enum result result;

    (void)sqlite3_bind_int64(name, 1, record->as.skip.consent);
    if (state_sql_step(store->db, name, &found, "read a consent", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(audit, 1, record->at.ms);
    state_bind_text(audit, 2, "refreshd");
    state_bind_text(audit, 3, "trigger given up");
    state_bind_text(audit, 4, found ? state_column_text(name, 0) : "?");
    state_bind_text(audit, 5, reason_text(record->as.skip.reason));
    result = state_sql_run(store, audit, "write an audit row", fault);
    (void)sqlite3_reset(name);
    return result;
}

/* What the program did about a consent by itself, where people look for it. */
static enum result commit_audit(struct state_store *store, struct utc_time at, const char *who,
                                const char *action, uint32_t consent, const char *reason,
                                struct fault *fault)
{
    bool found = false;
    STATEMENT_OR_FAULT(name, STATEMENT_CONSENT_NAME);
    STATEMENT_OR_FAULT(audit, STATEMENT_AUDIT);
    enum result result;

    (void)sqlite3_bind_int64(name, 1, consent);
    if (state_sql_step(store->db, name, &found, "write an audit row", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(audit, 1, at.ms);
    state_bind_text(audit, 2, who);
    state_bind_text(audit, 3, action);
    state_bind_text(audit, 4, found ? state_column_text(name, 0) : "?");
    state_bind_text(audit, 5, reason);
    result = state_sql_run(store, audit, "write an audit row", fault);
    (void)sqlite3_reset(name);
    return result;
}

/* A trigger by hand that never got its turn belongs to no run: there is no slot to account for, but
 * whoever asked can read what became of it. */
static enum result commit_given_up(struct state_store *store, const struct record *record,
                                   struct fault *fault)
{
    char reason[64];

    (void)snprintf(reason, sizeof reason, "given up, never sent: %s",
                   reason_text(record->as.skip.reason));
    return commit_audit(store, record->at, "refreshd", "trigger", record->as.skip.consent, reason,
                        fault);
}

static enum result commit_skip(struct state_store *store, const struct record *record,
                               struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_SKIP);

    if (record->as.skip.run == 0)
        return commit_given_up(store, record, fault);
    (void)sqlite3_bind_int64(statement, 1, record->as.skip.run);
    (void)sqlite3_bind_int64(statement, 2, record->as.skip.consent);
    (void)sqlite3_bind_int64(statement, 3, record->as.skip.due.ms);
    (void)sqlite3_bind_int64(statement, 4, record->at.ms);
    (void)sqlite3_bind_int(statement, 5, (int)record->as.skip.reason);
    (void)sqlite3_bind_int64(statement, 6, record->as.skip.count);
    (void)sqlite3_bind_int64(statement, 7, store->last_seq + 1);
    state_bind_text(statement, 8,
                    record->as.skip.waited_for == REASON_NONE ? NULL
                    : record->as.skip.is_learned              ? "rate, learned"
                                                 : reason_text(record->as.skip.waited_for));
    if (state_sql_run(store, statement, "write a skip", fault) != RESULT_OK ||
        (record->as.skip.consent != 0 &&
         mark_dirty(store, record->as.skip.consent, fault) != RESULT_OK))
        return RESULT_FAULT;
    return state_commit_ledger(store, LEDGER_SKIP, record->as.skip.consent, record->as.skip.run,
                               fault);
}

/* Who let a consent go or holds it, where no job and no person's own audit row tells. */
static enum result commit_hold_audit(struct state_store *store, const struct record *record,
                                     struct fault *fault)
{
    static const struct {
        const char *who; /* NULL: it is told elsewhere */
        const char *hold;
        const char *suspend;
        const char *release;
    } texts[HOLD_SOURCE_COUNT] = {
        [HOLD_BY_ROW] = {"source", NULL, NULL, "the hold ended: its row says something new"},
        [HOLD_BY_LOOK_UP] = {"provider", "look-up: its customer has to reconnect it",
                             "look-up: suspended", "look-up: active again"},
        [HOLD_BY_WEBHOOK] = {"provider", "webhook: revoked", "webhook: suspended",
                             "webhook: authorised again"},
    };
    enum hold_source source = record->as.hold.source;
    const char *reason = texts[source].release;

    if (texts[source].who == NULL)
        return RESULT_OK;
    if (record->kind == RECORD_HOLD)
        reason = record->as.hold.is_suspended ? texts[source].suspend : texts[source].hold;
    return commit_audit(store, record->at, texts[source].who,
                        record->kind == RECORD_HOLD ? "hold" : "release", record->as.hold.consent,
                        reason, fault);
}

static enum result commit_hold(struct state_store *store, const struct record *record,
                               struct fault *fault)
{
    bool is_hold = record->kind == RECORD_HOLD;
    STATEMENT_OR_FAULT(statement, STATEMENT_HOLD);

    (void)sqlite3_bind_int64(statement, 1, record->as.hold.consent);
    state_bind_time(statement, 2, is_hold ? record->at : UTC_NONE);
    (void)sqlite3_bind_int(statement, 3, is_hold && record->as.hold.is_suspended ? 1 : 0);
    if (state_sql_run(store, statement, "write a hold", fault) != RESULT_OK ||
        require_one_change(store, "consent", record->as.hold.consent, fault) != RESULT_OK ||
        commit_hold_audit(store, record, fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_commit_ledger(store, LEDGER_CONSENT, record->as.hold.consent, 0, fault);
}

static enum result commit_expires(struct state_store *store, const struct record *record,
                                  struct fault *fault)
{
    STATEMENT_OR_FAULT(statement, STATEMENT_EXPIRES);

    (void)sqlite3_bind_int64(statement, 1, record->as.expires.consent);
    state_bind_time(statement, 2, record->as.expires.expires);
    if (state_sql_run(store, statement, "write the end of a consent", fault) != RESULT_OK ||
        require_one_change(store, "consent", record->as.expires.consent, fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_commit_ledger(store, LEDGER_CONSENT, record->as.expires.consent, 0, fault);
}

static enum result commit_recheck(struct state_store *store, const struct record *record,
                                  struct fault *fault)
{
    uint32_t index = record->as.recheck.provider;
    STATEMENT_OR_FAULT(checked, STATEMENT_CHECKED);
    STATEMENT_OR_FAULT(recheck, STATEMENT_RECHECK);

    REQUIRE(store->names.config != NULL && index < store->names.config->provider_count);
    (void)sqlite3_bind_int64(checked, 1, record->as.recheck.consent);
    state_bind_time(checked, 2, record->at);
    if (state_sql_run(store, checked, "write a look-up", fault) != RESULT_OK ||
        require_one_change(store, "consent", record->as.recheck.consent, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (!record->as.recheck.is_by_hand)
        return RESULT_OK;
    (void)sqlite3_bind_int64(recheck, 1, store->names.provider_nos[index]);
    (void)sqlite3_bind_int64(recheck, 2, record->as.recheck.consent);
    state_bind_time(recheck, 3, record->at);
    return state_sql_run(store, recheck, "write a look-up", fault);
}

static enum result commit_calls(struct state_store *store, const struct record *record,
                                struct fault *fault)
{
    uint32_t index = record->as.calls.provider;
    STATEMENT_OR_FAULT(statement, STATEMENT_CALLS);

    REQUIRE(store->names.config != NULL && index < store->names.config->provider_count);
    (void)sqlite3_bind_int64(statement, 1, store->names.provider_nos[index]);
    (void)sqlite3_bind_int64(statement, 2, record->at.ms / MS_PER_SECOND);
    (void)sqlite3_bind_int64(statement, 3, record->as.calls.count);
    return state_sql_run(store, statement, "write calls", fault);
}

static enum result commit_schedule(struct state_store *store, const struct record *record,
                                   struct fault *fault)
{
    uint32_t index = record->as.schedule.schedule;
    STATEMENT_OR_FAULT(statement, STATEMENT_SCHEDULE);

    REQUIRE(store->names.config != NULL && index < store->names.config->schedule_count);
    (void)sqlite3_bind_int64(statement, 1, store->names.schedule_nos[index]);
    (void)sqlite3_bind_int64(statement, 2, record->as.schedule.slot.ms);
    (void)sqlite3_bind_int64(statement, 3, record->as.schedule.local_ms);
    (void)sqlite3_bind_int(statement, 4, record->as.schedule.fold);
    if (state_sql_run(store, statement, "account for a firing", fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_slots_write(store, index, record->as.schedule.slot, fault);
}

/* ---- one record, and all of them ---- */

/* Evidence of the nearest answer before `index` that is about `job`; one batch is short here: the
 * core gives an answer and the close that follows from it side by side. */
static const struct evidence *answered_evidence(const struct record *records, uint32_t index,
                                                uint64_t job)
{
    for (uint32_t back = 1; back <= 4 && back <= index; back++) {
        const struct record *record = &records[index - back];

        if (record->kind == RECORD_ANSWER && record->as.answer.job == job)
            return record->evidence;
    }
    return NULL;
}

/* After an accepted attempt the views say `running` by themselves. */
static bool is_state_implied(const struct record *records, uint32_t index)
{
    const struct record *record = &records[index];

    if (record->as.job_state.state == JOB_POLLING || record->as.job_state.state == JOB_INITIATING)
        return true;
    if (record->as.job_state.state != JOB_RUNNING)
        return false;
    for (uint32_t back = 1; back <= 3 && back <= index; back++) {
        const struct record *before = &records[index - back];

        if (before->kind == RECORD_ANSWER && before->as.answer.job == record->as.job_state.job)
            return before->as.answer.class_ == CLASS_ACCEPTED;
    }
    return false;
}

/* The consent that a record names first of all records about it; 0: none, or one that an earlier
 * record has named. */
static uint32_t named_consent(const struct record *record)
{
    switch (record->kind) {
    case RECORD_JOB_OPEN: return record->as.job_open.consent;
    case RECORD_SKIP: return record->as.skip.consent;
    case RECORD_HOLD:
    case RECORD_RELEASE: return record->as.hold.consent;
    case RECORD_RECHECK: return record->as.recheck.consent;
    case RECORD_EXPIRES: return record->as.expires.consent;
    default: return 0;
    }
}

enum result state_commit_record(struct state_store *store, const struct record *records,
                                uint32_t count, uint32_t *index, struct fault *fault)
{
    const struct record *record = &records[*index];
    const struct record *next = *index + 1 < count ? record + 1 : NULL;
    bool merged = false;
    enum result result = RESULT_OK;

    if (store->load.table != NULL &&
        state_load_ensure(store, named_consent(record), fault) != RESULT_OK)
        return RESULT_FAULT;
    switch (record->kind) {
    case RECORD_RUN_OPEN: result = commit_run_open(store, record, fault); break;
    case RECORD_RUN_CLOSE:
        result = state_commit_run_close(store, record->as.run_close.run, record->at,
                                        record->as.run_close.late, fault);
        break;
    case RECORD_JOB_OPEN: result = commit_job_open(store, record, fault); break;
    case RECORD_ATTEMPT: result = commit_attempt(store, record, fault); break;
    case RECORD_ANSWER: result = commit_answer(store, record, next, &merged, fault); break;
    case RECORD_REFERENCE: result = commit_reference(store, record, fault); break;
    case RECORD_JOB_STATE:
        if (!is_state_implied(records, *index))
            result = commit_job_state(store, record, fault);
        break;
    case RECORD_JOB_CLOSE:
        result = commit_job_close(
            store, record, answered_evidence(records, *index, record->as.job_close.job), fault);
        break;
    case RECORD_SKIP:
        result = record->as.skip.run == 0 ? commit_trigger_given_up(store, record, fault)
                                          : commit_skip(store, record, fault);
        break;
    case RECORD_HOLD:
    case RECORD_RELEASE: result = commit_hold(store, record, fault); break;
    case RECORD_RECHECK: result = commit_recheck(store, record, fault); break;
    case RECORD_EXPIRES: result = commit_expires(store, record, fault); break;
    case RECORD_CALLS: result = commit_calls(store, record, fault); break;
    case RECORD_SCHEDULE: result = commit_schedule(store, record, fault); break;
    case RECORD_MAINTENANCE: result = state_windows_commit(store, record, fault); break;
    case RECORD_NODE: result = state_node_commit(store, record, fault); break;
    }
    *index += merged ? 2 : 1;
    return result;
}

static int64_t elapsed_us(const struct timespec *since)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * US_PER_SECOND + (now.tv_nsec - since->tv_nsec) / 1000;
}

enum result state_store_commit_records(struct state_store *store, const struct record *records,
                                       uint32_t count, struct fault *fault)
{
    int64_t last_seq = store->last_seq;
    int64_t last_job_no = store->last_job_no;
    uint32_t last_run_no = store->last_run_no;
    struct timespec start = {0};
    uint32_t index = 0;

    if (count == 0)
        return RESULT_OK;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    while (index < count)
        if (state_commit_record(store, records, count, &index, fault) != RESULT_OK) {
            state_sql_rollback(store);
            goto undo;
        }
    if (state_sql_commit(store, fault) != RESULT_OK)
        goto undo;
    store->commits++;
    store->commit_us_last = elapsed_us(&start);
    if (store->commit_us_last > store->commit_us_max)
        store->commit_us_max = store->commit_us_last;
    return RESULT_OK;
undo:
    store->last_seq = last_seq;
    store->last_job_no = last_job_no;
    store->last_run_no = last_run_no;
    return RESULT_FAULT;
}
