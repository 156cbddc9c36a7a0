/* SPDX-License-Identifier: MIT
 * engine_records.c - what the shell does for a record once it is committed. */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/expiry_watch.h"
#include "daemon/status_surface.h"
#include "daemon/webhook_listener.h"
#include "reporting/summary_log.h"

/* Schedule of a run, for its look-back; UINT32_MAX for manual jobs. */
static uint32_t schedule_of_run(const struct engine *engine, uint32_t run)
{
    struct run_view view;

    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        scheduler_run_view(engine->scheduler, i, &view);
        if (view.run == run)
            return view.schedule;
    }
    return UINT32_MAX;
}

void engine_set_look_back(struct engine *engine, struct job_context *job, uint32_t run,
                          const struct consent_view *view)
{
    uint32_t schedule = run == 0 ? UINT32_MAX : schedule_of_run(engine, run);
    /* UINT16_MAX: refreshed when asked only */
    uint16_t set = view == NULL ? UINT16_MAX : view->settings.schedule_set;

    if (schedule == UINT32_MAX && set != UINT16_MAX &&
        engine->settings.schedule_sets[set].count > 0)
        schedule = engine->settings.schedule_sets[set].schedules[0];
    if (schedule == UINT32_MAX || schedule >= engine->config->schedule_count)
        return;
    job->look_back_ms = engine->config->schedules[schedule].look_back_ms;
    job->look_until_ms = engine->config->schedules[schedule].look_until_ms;
}

static void job_opened(struct engine *engine, struct time_now now, const struct record *record)
{
    struct consent_view view;
    struct job_context *job;
    struct job_context_texts texts;
    struct fault fault;

    /* The core opens jobs only for consents that it has, and the population has the same ones. */
    REQUIRE(population_get(&engine->population, record->as.job_open.consent, &view));
    texts = (struct job_context_texts){
        .id = view.id,
        .customer = view.customer,
        .institution = view.institution_name,
        .customer_secret = view.customer_secret,
        .customer_is_own_id = view.customer_is_own_id,
    };
    if (job_contexts_open(&engine->jobs, record->as.job_open.job_slot, record->as.job_open.job,
                          record->as.job_open.consent, engine->links[view.provider], &texts, &job,
                          &fault) != RESULT_OK) {
        engine_fail(engine, &fault);
        return;
    }
    job->opened = now.utc;
    engine_set_look_back(engine, job, record->as.job_open.run, &view);
}

static void reference_learned(struct engine *engine, struct time_now now,
                              const struct record *record)
{
    struct job_context *job =
        job_contexts_get(&engine->jobs, record->as.reference.job_slot, record->as.reference.job);
    struct fault fault;

    if (job == NULL || record->evidence == NULL || record->evidence->provider_job_id == NULL)
        return;
    if (job_contexts_set_reference(&engine->jobs, job, record->evidence->provider_job_id,
                                   record->as.reference.reference_hash, &fault) != RESULT_OK)
        engine_fail(engine, &fault);
    else
        webhook_listener_match(engine->webhooks, now, job, job->provider_job_id);
}

/* The summary log and the metrics count the same events, so their numbers agree. */
static void count_outcome(struct engine *engine, const char *provider, enum outcome outcome,
                          enum reason reason)
{
    summary_log_count(engine->summary, provider, outcome, reason);
    status_surface_count(engine->status, provider, outcome);
}

/* Consents that fail are the business of views and reports; the log only tells what an operator
 * has to know of each: nothing at info level. */
static void job_closed(struct engine *engine, const struct record *record)
{
    const struct job_context *job =
        job_contexts_get(&engine->jobs, record->as.job_close.job_slot, record->as.job_close.job);

    if (job != NULL) {
        summary_log_count(engine->summary, job->link->settings->name, record->as.job_close.outcome,
                          record->as.job_close.reason);
        log_begin(engine->log, record->at, LOG_DEBUG, "job_closed");
        log_text(engine->log, "provider", job->link->settings->name);
        log_text(engine->log, "consent", job->id);
        log_text(engine->log, "outcome", outcome_text(record->as.job_close.outcome));
        log_text(engine->log, "reason", reason_text(record->as.job_close.reason));
        log_end(engine->log);
    }
    job_contexts_close(&engine->jobs, record->as.job_close.job_slot);
}

static void skipped(struct engine *engine, const struct record *record)
{
    const struct institution_settings *institution;
    struct consent_settings settings;
    uint32_t row = population_row(&engine->population, record->as.skip.consent);

    if (row == UINT32_MAX)
        return;
    consent_table_settings(engine->population.table, row, &settings);
    institution = &engine->settings.institutions[settings.institution];
    count_outcome(engine, engine->settings.providers[institution->provider].name, OUTCOME_SKIPPED,
                  record->as.skip.reason);
}

static void run_opened(struct engine *engine, const struct record *record)
{
    const struct schedule_settings *settings =
        &engine->config->schedule_settings[record->as.run_open.schedule];

    log_begin(engine->log, record->at, LOG_INFO,
              record->as.run_open.is_missed ? "run_missed" : "run_opened");
    log_text(engine->log, "schedule", engine->config->schedules[record->as.run_open.schedule].name);
    log_instant(engine->log, "slot", record->as.run_open.slot);
    log_instant(engine->log, "deadline", record->as.run_open.deadline);
    log_text(engine->log, "trigger", trigger_text(record->as.run_open.trigger));
    log_integer(engine->log, "due", record->as.run_open.due);
    if (!record->as.run_open.is_missed && record->as.run_open.trigger != TRIGGER_ONCE &&
        record->as.run_open.spread_ms < settings->spread_ms) {
        log_integer(engine->log, "spread_s", record->as.run_open.spread_ms / MS_PER_SECOND);
        log_integer(engine->log, "spread_shortened_from_s", settings->spread_ms / MS_PER_SECOND);
    }
    log_end(engine->log);
}

static void append_open_slot(void *context, const char *consent)
{
    struct text *text = context;

    if (text->length > 0)
        text_append_string(text, " ");
    text_append_string(text, consent);
}

/* An unreconciled run is the one thing that must wake somebody: name the slots. */
static void log_unreconciled(struct engine *engine, const struct manifest *manifest)
{
    struct text slots;
    uint32_t count = 0;
    struct fault fault;

    text_init(&slots, 4096);
    if (state_store_open_slots(engine->store, manifest->run, 20, append_open_slot, &slots, &count,
                               &fault) != RESULT_OK)
        text_append_string(&slots, fault.text);
    log_begin(engine->log, manifest->finished, LOG_ERROR, "run_not_reconciled");
    log_text(engine->log, "run", manifest->run_id);
    log_integer(engine->log, "due", manifest->due);
    log_integer(engine->log, "accounted", manifest_sum(manifest));
    log_integer(engine->log, "open_slots", count);
    log_text(engine->log, "consents", slots.bytes);
    log_end(engine->log);
    text_deinit(&slots);
}

static void run_closed(struct engine *engine, const struct record *record)
{
    struct manifest manifest;
    struct fault fault;

    engine->fold_wanted = true;
    if (state_store_run_manifest(engine->store, record->as.run_close.run, &manifest, &fault) !=
        RESULT_OK) {
        log_fault(engine->log, record->at, LOG_ERROR, "manifest_unreadable", &fault);
    } else {
        if (!manifest.reconciled)
            log_unreconciled(engine, &manifest);
        summary_log_run(engine->summary, record->at, &manifest);
        log_begin(engine->log, record->at, manifest.late ? LOG_WARNING : LOG_INFO, "run_closed");
        log_text(engine->log, "run", manifest.run_id);
        log_integer(engine->log, "due", manifest.due);
        for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
            log_integer(engine->log, outcome_text(outcome), manifest.counts[outcome]);
        log_boolean(engine->log, "reconciled", manifest.reconciled);
        log_boolean(engine->log, "late", manifest.late);
        log_end(engine->log);
    }
    if (engine->on_run_closed != NULL)
        engine->on_run_closed(engine->on_run_closed_context, record->as.run_close.run);
}

static void log_consent(struct engine *engine, const struct record *record, const char *event)
{
    struct consent_view view;

    if (!population_get(&engine->population, record->as.hold.consent, &view))
        return;
    log_begin(engine->log, record->at, LOG_DEBUG, event);
    log_text(engine->log, "provider", engine->config->providers[view.provider].name);
    log_text(engine->log, "consent", view.id);
    log_end(engine->log);
}

/* What people have to know of what was learned: that somebody is left alone, and no more. */
static void node_changed(struct engine *engine, const struct record *record)
{
    const struct node_past *past = &record->as.node.past;
    bool is_open = past->breaker != BREAKER_CLOSED;

    if (!record->as.node.is_breaker_news)
        return;
    log_begin(engine->log, record->at, is_open ? LOG_WARNING : LOG_INFO,
              is_open ? "breaker_opened" : "breaker_closed");
    log_text(engine->log, "provider", engine->config->providers[record->as.node.provider].name);
    if (record->as.node.institution != UINT32_MAX)
        log_text(engine->log, "institution",
                 engine->settings.institutions[record->as.node.institution].name);
    if (is_open) {
        log_text(engine->log, "cause", past->is_configuration ? "configuration" : "failures");
        log_instant(engine->log, "probe", past->probe);
    }
    log_end(engine->log);
}

void engine_committed(struct engine *engine, struct time_now now, const struct record *record)
{
    switch (record->kind) {
    case RECORD_RUN_OPEN: run_opened(engine, record); break;
    case RECORD_RUN_CLOSE: run_closed(engine, record); break;
    case RECORD_JOB_OPEN: job_opened(engine, now, record); break;
    case RECORD_REFERENCE: reference_learned(engine, now, record); break;
    case RECORD_JOB_CLOSE: job_closed(engine, record); break;
    case RECORD_SKIP: skipped(engine, record); break;
    case RECORD_HOLD: log_consent(engine, record, "consent_held"); break;
    case RECORD_RELEASE: log_consent(engine, record, "consent_released"); break;
    case RECORD_NODE: node_changed(engine, record); break;
    case RECORD_ATTEMPT:
    case RECORD_ANSWER:
    case RECORD_JOB_STATE:
    case RECORD_EXPIRES: expiry_watch_wake(engine->expiry); break;
    case RECORD_RECHECK:
    case RECORD_CALLS:
    case RECORD_SCHEDULE:
    case RECORD_MAINTENANCE: break;
    }
}
