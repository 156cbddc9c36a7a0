/* SPDX-License-Identifier: MIT
 * engine_care.c - what is done now and then: fold, care of the database, delivery, summaries. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/expiry_watch.h"
#include "daemon/rate_text.h"
#include "reporting/reporting.h"
#include "reporting/summary_log.h"
#include "state/outbox.h"

#define FOLD_EVERY_US (10 * 60 * US_PER_SECOND)
#define FOLD_ROWS_MAX 2000
#define CARE_EVERY_US (5 * US_PER_SECOND)
#define LIMITS_EVERY_US (10 * US_PER_SECOND)
#define LIMITS_ROWS_MAX 512

/* Care is tried again by itself, but after a failed write nobody knows what is on the disk. */
static void store_trouble(struct engine *engine, struct time_now now, const char *event,
                          const struct fault *fault)
{
    log_fault(engine->log, now.utc, LOG_WARNING, event, fault);
    if (fault->code == FAULT_IO)
        engine_fail(engine, fault);
}

/* Consent rows are written back in small pieces, so that no piece delays a request. */
static void fold(struct engine *engine, struct time_now now)
{
    bool is_complete = true;
    struct fault fault;

    if (!engine->fold_wanted && now.mono.us < engine->next_fold.us)
        return;
    if (state_store_fold(engine->store, engine->scheduler, FOLD_ROWS_MAX, &is_complete, &fault) !=
        RESULT_OK) {
        store_trouble(engine, now, "fold_failed", &fault);
        is_complete = true;
    }
    engine->fold_wanted = !is_complete;
    if (is_complete)
        engine->next_fold = mono_add_us(now.mono, FOLD_EVERY_US);
}

static void care_of_database(struct engine *engine, struct time_now now)
{
    int64_t delivered = reporting_delivered(engine->reporting);
    bool more = false;
    struct fault fault;

    if (now.mono.us < engine->next_care.us)
        return;
    if (engine->reporting != NULL && delivered > engine->delivered) {
        if (outbox_delivered(engine->store, delivered, &fault) == RESULT_OK)
            engine->delivered = delivered;
        else
            store_trouble(engine, now, "outbox_trouble", &fault);
    }
    if (reporting_trouble(engine->reporting, &fault))
        log_fault(engine->log, now.utc, LOG_WARNING, "reporting_trouble", &fault);
    if (state_store_care(engine->store, now.utc, &more, &fault) != RESULT_OK) {
        store_trouble(engine, now, "care_failed", &fault);
    }
    engine->has_more_care = more;
    engine->next_care = mono_add_us(now.mono, more ? CARE_EVERY_US / 50 : CARE_EVERY_US);
}

static void fill_limit_row(struct limit_row *row, const char *provider, const char *institution,
                           const struct limit_settings *limits, const struct node_view *view,
                           char *rates, size_t rates_size, char learned[RATE_TEXT_SIZE])
{
    *row = (struct limit_row){
        .provider = provider,
        .institution = institution,
        .configured_rate = rates_text(limits, rates, rates_size),
        .learned_rate = rate_text(view->learned_interval_us, learned),
        .requests_in_flight = view->requests_in_flight,
        .jobs_running = view->jobs_running,
        .waiting = view->waiting,
        .breaker = breaker_state_text(view->breaker),
        .not_before = view->blocked_until,
        .not_before_reason = view->blocked_reason,
    };
}

/* What v1_limits shows. Beyond LIMITS_ROWS_MAX nodes only those with work are written. */
static void write_limits(struct engine *engine, struct time_now now)
{
    static struct limit_row rows[LIMITS_ROWS_MAX];
    static char rates[LIMITS_ROWS_MAX][128];
    static char learned[LIMITS_ROWS_MAX][RATE_TEXT_SIZE];
    const struct scheduler_settings *settings = &engine->settings;
    struct node_view view;
    uint32_t count = 0;
    struct fault fault;

    if (now.mono.us < engine->next_limits.us)
        return;
    engine->next_limits = mono_add_us(now.mono, LIMITS_EVERY_US);
    for (uint32_t i = 0; i < settings->provider_count && count < LIMITS_ROWS_MAX; i++) {
        scheduler_provider_view(engine->scheduler, now, i, &view);
        fill_limit_row(&rows[count], settings->providers[i].name, NULL,
                       &settings->providers[i].limits, &view, rates[count], sizeof rates[count],
                       learned[count]);
        count++;
    }
    for (uint32_t i = 0; i < settings->institution_count && count < LIMITS_ROWS_MAX; i++) {
        const struct institution_settings *institution = &settings->institutions[i];

        scheduler_institution_view(engine->scheduler, now, i, &view);
        if (settings->institution_count > LIMITS_ROWS_MAX / 2 && view.waiting == 0 &&
            view.jobs_running == 0 && view.breaker == BREAKER_CLOSED)
            continue;
        fill_limit_row(&rows[count], settings->providers[institution->provider].name,
                       institution->name, &institution->limits, &view, rates[count],
                       sizeof rates[count], learned[count]);
        count++;
    }
    if (state_store_limits(engine->store, now.utc, rows, count, &fault) != RESULT_OK)
        store_trouble(engine, now, "limits_not_written", &fault);
}

static void tick_summary(struct engine *engine, struct time_now now)
{
    uint32_t waiting = 0;
    struct run_view view;
    struct utc_time next;
    struct fault fault;

    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        scheduler_run_view(engine->scheduler, i, &view);
        waiting += view.waiting;
    }
    next =
        summary_log_tick(engine->summary, now.utc, waiting, scheduler_jobs_live(engine->scheduler));
    if (summary_log_trouble(engine->summary, &fault))
        log_fault(engine->log, now.utc, LOG_WARNING, "summary_log_lost", &fault);
    engine->next_summary =
        mono_add_us(now.mono, (next.ms > now.utc.ms ? next.ms - now.utc.ms : 1000) * US_PER_MS);
}

/* Is anything going on? An idle daemon is left asleep. */
static bool is_active(const struct engine *engine)
{
    return scheduler_run_count(engine->scheduler) > 0 || scheduler_jobs_live(engine->scheduler) > 0;
}

void engine_care(struct engine *engine, struct time_now now)
{
    if (engine->has_committed) {
        engine->has_committed = false;
        engine->is_care_due = true;
        reporting_wake(engine->reporting);
    }
    fold(engine, now);
    care_of_database(engine, now);
    if (is_active(engine) || engine->is_care_due)
        write_limits(engine, now);
    engine->is_care_due = is_active(engine);
    if (scheduler_run_count(engine->scheduler) > 0)
        engine_foretell(engine, now);
    if (now.mono.us >= engine->next_summary.us)
        tick_summary(engine, now);
    expiry_watch_tick(engine->expiry, now);
    engine_read_sources(engine, now);
}

void engine_care_end(struct engine *engine, struct time_now now)
{
    if (!engine->is_loaded || engine->has_failed || engine->is_storage_blocked)
        return;
    engine->next_limits = now.mono;
    write_limits(engine, now);
    tick_summary(engine, now);
    expiry_watch_flush(engine->expiry, now.utc);
}

struct mono_time engine_care_wake(const struct engine *engine)
{
    struct mono_time wake = engine->next_summary;
    struct mono_time sources = engine_sources_wake(engine);

    if (engine->fold_wanted)
        return (struct mono_time){0};
    if (engine->next_fold.us < wake.us)
        wake = engine->next_fold;
    if (sources.us < wake.us)
        wake = sources;
    if (expiry_watch_next(engine->expiry).us < wake.us)
        wake = expiry_watch_next(engine->expiry);
    if (is_active(engine) || engine->is_care_due || engine->has_more_care ||
        reporting_delivered(engine->reporting) > engine->delivered) {
        if (engine->next_care.us < wake.us)
            wake = engine->next_care;
    } else {
        /* Idle: retention still wants a look now and then. */
        struct mono_time rare = mono_add_us(engine->next_care, 60 * US_PER_SECOND);

        if (rare.us < wake.us)
            wake = rare;
    }
    return wake;
}
