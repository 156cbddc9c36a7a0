/* SPDX-License-Identifier: MIT
 * state_fold.c - the past of consents, written back into their rows now and then, in order.
 *
 * Why not at each close: every close would dirty a page of its own (6-8 us); in number order the
 * same rows cost a tenth. Each row says with folded_seq which closes it holds, so what is not
 * folded yet is known exactly: the views read it from the jobs, recovery folds it again. */
#include "state/state_private.h"

#include <string.h>

/* A pass begins: closes from now on belong to the next one. */
static enum result begin_pass(struct state_store *store, struct fault *fault)
{
    struct number_set empty;
    int64_t first_open = 0;
    int64_t first_run = 0;

    if (state_sql_integer(store->db,
                          "SELECT min(job_no) FROM (SELECT job_no FROM job WHERE job_no >="
                          " (SELECT folded_job_no FROM meta) AND finished_ms IS NULL"
                          " ORDER BY job_no LIMIT 1)",
                          store->last_job_no + 1, &first_open, "find the first open job",
                          fault) != RESULT_OK)
        return RESULT_FAULT;
    empty = store->folding;
    store->folding = store->dirty;
    store->dirty = empty;
    number_set_clear(&store->dirty);
    store->fold_cursor = 1;
    store->fold_seq = store->last_seq;
    store->fold_job_no = first_open;
    store->fold_run_no = first_run;
    return RESULT_OK;
}

static enum result fold_one(struct state_store *store, sqlite3_stmt *update,
                            const struct scheduler *scheduler, uint32_t consent,
                            struct fault *fault)
{
    struct consent_past past;

    scheduler_consent_past(scheduler, consent, &past);
    (void)sqlite3_bind_int64(update, 1, consent);
    (void)sqlite3_bind_int64(update, 2, store->last_seq);
    state_bind_word(update, 3, past.last_outcome);
    state_bind_time(update, 4, past.last_success);
    state_bind_time(update, 5, past.last_attempt);
    (void)sqlite3_bind_int64(update, 6, past.consecutive_failures);
    (void)sqlite3_bind_int64(update, 7, past.cooldown_refusals);
    state_bind_time(update, 8, past.not_before);
    state_bind_word(update, 9, past.not_before_reason);
    if (past.reference_hash == 0)
        (void)sqlite3_bind_null(update, 10);
    else
        (void)sqlite3_bind_int64(update, 10, (int64_t)past.reference_hash);
    return state_sql_run(store, update, "fold a consent", fault);
}

static enum result write_watermark(struct state_store *store, struct fault *fault)
{
    sqlite3_stmt *statement = NULL;
    enum result result;

    if (state_sql_prepare(store->db,
                          "UPDATE meta SET folded_seq = ?1, folded_job_no = ?2,"
                          " folded_run_no = ?3",
                          &statement, "write the watermark", fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, store->fold_seq);
    (void)sqlite3_bind_int64(statement, 2, store->fold_job_no);
    (void)sqlite3_bind_int64(statement, 3, store->fold_run_no);
    result = state_sql_run(store, statement, "write the watermark", fault);
    sqlite3_finalize(statement);
    return result;
}

enum result state_store_fold(struct state_store *store, const struct scheduler *scheduler,
                             uint32_t rows_max, bool *is_complete, struct fault *fault)
{
    sqlite3_stmt *update = state_sql_statement(store, STATEMENT_FOLD, fault);
    uint32_t consent;
    uint32_t cursor;
    uint32_t rows = 0;

    if (update == NULL)
        return RESULT_FAULT;
    if (store->folding.count == 0) {
        if (store->dirty.count == 0) {
            *is_complete = true;
            return RESULT_OK;
        }
        if (begin_pass(store, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    if (state_sql_begin(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    cursor = store->fold_cursor;
    for (consent = number_set_next(&store->folding, cursor); consent != 0 && rows < rows_max;
         consent = number_set_next(&store->folding, cursor)) {
        if (fold_one(store, update, scheduler, consent, fault) != RESULT_OK)
            goto undo;
        cursor = consent + 1;
        rows++;
    }
    if (consent == 0 && write_watermark(store, fault) != RESULT_OK)
        goto undo;
    if (state_sql_commit(store, fault) != RESULT_OK)
        return RESULT_FAULT;
    store->fold_cursor = cursor;
    if (consent == 0)
        number_set_clear(&store->folding);
    *is_complete = consent == 0 && store->dirty.count == 0;
    return RESULT_OK;
undo:
    state_sql_rollback(store);
    return RESULT_FAULT;
}
