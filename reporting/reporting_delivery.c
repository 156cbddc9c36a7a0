/* SPDX-License-Identifier: MIT
 * reporting_delivery.c - see reporting_delivery.h. */
#include "reporting/reporting_delivery.h"

#include "reporting/reporting_facts.h"

#define REPLAY_TRANSACTION_FACTS 20000

enum result reporting_delivery_resume(struct reporting_delivery *delivery, bool *must_replay,
                                      struct fault *fault)
{
    int64_t delivered;
    int64_t last;
    int64_t position;

    if (outbox_position(delivery->store, &delivered, &last, fault) != RESULT_OK ||
        reporting_database_position(delivery->database, state_store_instance(delivery->store),
                                    &position, fault) != RESULT_OK)
        return RESULT_FAULT;
    *must_replay = position > last || (position < delivered && delivered > 0);
    delivery->sequence = position < 0 ? 0 : position;
    return RESULT_OK;
}

static enum result refuse_abandoned(const struct reporting_delivery *delivery, struct fault *fault)
{
    if (delivery->is_abandoned != NULL && atomic_load(delivery->is_abandoned))
        return fault_set(fault, FAULT_TEMPORARY, "%s: stopped before everything was delivered",
                         delivery->database->path);
    return RESULT_OK;
}

static enum result put(struct reporting_delivery *delivery, const struct fact *fact,
                       struct fault *fault)
{
    if (refuse_abandoned(delivery, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (fact->kind == FACT_RUN && fact->as.run.finished.ms != UTC_NONE.ms)
        delivery->has_closed_run = true;
    return reporting_facts_put(delivery->database, fact, fault);
}

/* ---- one batch ---- */

static enum result on_fact(void *context, const struct fact *fact, struct fault *fault)
{
    return put(context, fact, fault);
}

/* The write lock is taken before the outbox is read: whoever holds it must not make us hold a
 * snapshot of the state database. */
enum result reporting_delivery_step(struct reporting_delivery *delivery, struct utc_time now,
                                    bool *is_complete, struct fault *fault)
{
    struct reporting_database *database = delivery->database;
    int64_t next = delivery->sequence;

    if (refuse_abandoned(delivery, fault) != RESULT_OK ||
        reporting_database_begin(database, now, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (outbox_read(delivery->store, delivery->sequence, REPORTING_BATCH_FACTS, on_fact, delivery,
                    &next, fault) != RESULT_OK)
        goto fail;
    if (next == delivery->sequence) {
        reporting_database_rollback(database);
        *is_complete = true;
        return RESULT_OK;
    }
    if (reporting_database_set_position(database, state_store_instance(delivery->store), next,
                                        fault) != RESULT_OK ||
        reporting_database_commit(database, fault) != RESULT_OK)
        goto fail;
    *is_complete = next - delivery->sequence < REPORTING_BATCH_FACTS;
    delivery->sequence = next;
    return RESULT_OK;
fail:
    reporting_database_rollback(database);
    return RESULT_FAULT;
}

/* ---- everything ---- */

struct replay {
    struct reporting_delivery *delivery;
    struct utc_time now;
    void (*progress)(void *context, uint64_t rows);
    void *context;
    uint64_t rows;
};

static enum result on_replayed_fact(void *context, const struct fact *fact, struct fault *fault)
{
    struct replay *replay = context;
    struct reporting_database *database = replay->delivery->database;

    if (put(replay->delivery, fact, fault) != RESULT_OK)
        return RESULT_FAULT;
    replay->rows++;
    if (replay->rows % REPLAY_TRANSACTION_FACTS != 0)
        return RESULT_OK;
    if (replay->progress != NULL)
        replay->progress(replay->context, replay->rows);
    if (reporting_database_commit(database, fault) != RESULT_OK)
        return RESULT_FAULT;
    return reporting_database_begin(database, replay->now, fault);
}

/* Several transactions: each leaves true rows, and the position comes with the last. */
enum result reporting_delivery_replay(struct reporting_delivery *delivery, struct utc_time now,
                                      void (*progress)(void *context, uint64_t rows), void *context,
                                      struct fault *fault)
{
    struct reporting_database *database = delivery->database;
    struct replay replay = {
        .delivery = delivery, .now = now, .progress = progress, .context = context};
    int64_t sequence;

    if (reporting_database_begin(database, now, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (outbox_replay(delivery->store, on_replayed_fact, &replay, &sequence, fault) != RESULT_OK ||
        reporting_database_set_position(database, state_store_instance(delivery->store), sequence,
                                        fault) != RESULT_OK ||
        reporting_database_commit(database, fault) != RESULT_OK) {
        reporting_database_rollback(database);
        return RESULT_FAULT;
    }
    delivery->sequence = sequence;
    if (progress != NULL)
        progress(context, replay.rows);
    return RESULT_OK;
}
