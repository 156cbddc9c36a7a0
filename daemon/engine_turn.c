/* SPDX-License-Identifier: MIT
 * engine_turn.c - one turn: events into the core, records into one commit, effects out. */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/webhook_listener.h"

/* Beyond this many records a turn commits and begins anew, so that one transaction stays short. */
#define TURN_RECORDS_MAX 16384

static void decisions_append(struct decisions *decisions, const struct batch *batch)
{
    if (decisions->record_count + batch->record_count > decisions->record_capacity) {
        decisions->record_capacity = 2 * decisions->record_capacity + BATCH_RECORDS_MAX;
        decisions->records =
            realloc(decisions->records, decisions->record_capacity * sizeof *decisions->records);
        /* A decision of the core that is forgotten cannot be asked for again; recovery can. */
        REQUIRE(decisions->records != NULL);
    }
    if (decisions->effect_count + batch->effect_count > decisions->effect_capacity) {
        decisions->effect_capacity = 2 * decisions->effect_capacity + BATCH_EFFECTS_MAX;
        decisions->effects =
            realloc(decisions->effects, decisions->effect_capacity * sizeof *decisions->effects);
        REQUIRE(decisions->effects != NULL);
    }
    if (batch->record_count > 0)
        memcpy(decisions->records + decisions->record_count, batch->records,
               batch->record_count * sizeof *batch->records);
    decisions->record_count += batch->record_count;
    if (batch->effect_count > 0)
        memcpy(decisions->effects + decisions->effect_count, batch->effects,
               batch->effect_count * sizeof *batch->effects);
    decisions->effect_count += batch->effect_count;
}

static void storage_trouble(struct engine *engine, struct time_now now, const struct fault *fault)
{
    if (fault->code != FAULT_TEMPORARY) {
        engine_fail(engine, fault);
        return;
    }
    if (!engine->is_storage_blocked)
        log_fault(engine->log, now.utc, LOG_ERROR, "storage_blocked", fault);
    engine->is_storage_blocked = true;
    engine->storage_retry = mono_add_us(now.mono, ENGINE_STORAGE_RETRY_US);
}

/* Polls that waited for the disk leave now: a restart has to count them from now, too. */
static void restamp_calls(struct decisions *decisions, struct utc_time now)
{
    for (uint32_t i = 0; i < decisions->record_count; i++)
        if (decisions->records[i].kind == RECORD_CALLS)
            decisions->records[i].at = now;
}

/* Make the decisions durable, then do them. False: nothing left, nothing is lost, try later. */
static bool commit_and_perform(struct engine *engine, struct time_now now)
{
    struct decisions *decisions = &engine->decisions;
    struct fault fault;

    if (engine->is_storage_blocked)
        restamp_calls(decisions, now.utc);
    if (decisions->record_count > 0 &&
        state_store_commit_records(engine->store, decisions->records, decisions->record_count,
                                   &fault) != RESULT_OK) {
        storage_trouble(engine, now, &fault);
        return false;
    }
    if (engine->is_storage_blocked && decisions->record_count > 0) {
        engine->is_storage_blocked = false;
        log_begin(engine->log, now.utc, LOG_WARNING, "storage_resumed");
        log_end(engine->log);
    }
    for (uint32_t i = 0; i < decisions->record_count; i++)
        engine_committed(engine, now, &decisions->records[i]);
    for (uint32_t i = 0; i < decisions->effect_count; i++)
        engine_perform(engine, now, &decisions->effects[i]);
    if (decisions->record_count > 0) {
        state_store_checkpoint_if_due(engine->store);
        engine->has_committed = true;
    }
    decisions->record_count = 0;
    decisions->effect_count = 0;
    event_queue_release_taken(&engine->queue);
    return true;
}

/* Room that the core asked for. Without it the core waits, so a failure is only told. */
static void reserve_if_wanted(struct engine *engine, struct time_now now)
{
    struct fault fault;

    if (engine->batch->needs_reserve &&
        scheduler_reserve(engine->scheduler, engine->population.number_max, &fault) != RESULT_OK)
        log_fault(engine->log, now.utc, LOG_ERROR, "out_of_memory", &fault);
}

static void step(struct engine *engine, struct time_now now, const struct event *event)
{
    engine->wake = scheduler_step(engine->scheduler, now, event, engine->batch);
    decisions_append(&engine->decisions, engine->batch);
}

static bool step_queued_events(struct engine *engine, struct time_now now)
{
    const struct queued_event *queued;

    while ((queued = event_queue_take(&engine->queue)) != NULL) {
        step(engine, now, &queued->event);
        reserve_if_wanted(engine, now);
        if (engine->decisions.record_count >= TURN_RECORDS_MAX && !commit_and_perform(engine, now))
            return false;
    }
    return true;
}

static bool step_time(struct engine *engine, struct time_now now)
{
    static const struct event time_event = {.kind = EVENT_TIME};

    for (;;) {
        bool again;

        step(engine, now, &time_event);
        again = engine->batch->is_full || engine->batch->needs_reserve;
        reserve_if_wanted(engine, now);
        if (engine->decisions.record_count >= TURN_RECORDS_MAX || !again) {
            if (!commit_and_perform(engine, now))
                return false;
        }
        if (!again)
            return true;
    }
}

/* When the loop has to come back although nothing happens. */
static struct mono_time next_wake(const struct engine *engine, struct time_now now)
{
    struct mono_time wake = engine->wake.mono;
    struct mono_time care = engine_care_wake(engine);

    if (engine->queue.count > 0) /* something could not be sent and is already answered */
        return now.mono;
    if (engine->wake.utc.ms != UTC_NEVER.ms) {
        int64_t wait_ms = engine->wake.utc.ms - now.utc.ms;
        struct mono_time at = mono_add_us(now.mono, wait_ms < 0 ? 0 : wait_ms * US_PER_MS);

        if (at.us < wake.us)
            wake = at;
    }
    if (engine->is_storage_blocked)
        wake = engine->storage_retry;
    if (care.us < wake.us)
        wake = care;
    if (engine->is_draining && engine->drain_deadline.us < wake.us)
        wake = engine->drain_deadline;
    if (engine->on_turn != NULL && mono_add_us(now.mono, engine->on_turn_every_us).us < wake.us)
        wake = mono_add_us(now.mono, engine->on_turn_every_us);
    return wake;
}

static void check_drained(struct engine *engine, struct time_now now)
{
    if (!engine->is_draining)
        return;
    if (scheduler_is_drained(engine->scheduler) && engine->queue.count == 0 &&
        engine->decisions.record_count == 0)
        engine->is_stopping = true;
    else if (now.mono.us >= engine->drain_deadline.us) {
        log_begin(engine->log, now.utc, LOG_WARNING, "drain_timeout");
        log_integer(engine->log, "requests", scheduler_requests_outstanding(engine->scheduler));
        log_end(engine->log);
        engine->is_stopping = true;
    }
}

enum result engine_settle(struct engine *engine, struct time_now now, struct fault *fault)
{
    if (engine->is_storage_blocked || !step_queued_events(engine, now) ||
        !commit_and_perform(engine, now))
        return fault_set(fault, FAULT_TEMPORARY,
                         "the state database cannot be written now; try again when it can");
    return RESULT_OK;
}

void engine_turn(void *context, struct time_now now)
{
    struct engine *engine = context;
    bool can_go_on;

    engine_look_at_clocks(engine, now);
    webhook_listener_store(engine->webhooks, now);
    can_go_on = !engine->has_failed;
    if (can_go_on && engine->is_storage_blocked)
        can_go_on = now.mono.us >= engine->storage_retry.us && commit_and_perform(engine, now);
    if (can_go_on && step_queued_events(engine, now))
        (void)step_time(engine, now);
    engine_free_ended_flights(engine);
    engine_watch_credentials(engine, now);
    if (!engine->is_storage_blocked && !engine->has_failed)
        engine_care(engine, now);
    check_drained(engine, now);
    if (engine->stops_when_idle && scheduler_jobs_live(engine->scheduler) == 0 &&
        engine->decisions.record_count == 0)
        engine->is_stopping = true;
    if (engine->on_turn != NULL)
        engine->on_turn(engine->on_turn_context, now);
    if (engine->is_stopping || engine->has_failed)
        event_loop_leave(engine->loop);
    else
        event_loop_set_wake(engine->loop, next_wake(engine, now));
}
