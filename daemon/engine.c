/* SPDX-License-Identifier: MIT
 * engine.c - putting the engine together, taking it apart, asking it. */
#include "daemon/engine.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/engine_control.h"
#include "daemon/engine_internal.h"
#include "daemon/expiry_watch.h"
#include "daemon/status_surface.h"
#include "daemon/webhook_listener.h"
#include "reporting/reporting.h"
#include "reporting/summary_log.h"
#include "state/outbox.h"

#define REPORTING_WAIT_MS INT64_C(30000)

void engine_put_event(struct engine *engine, struct time_now at, const struct event *event,
                      const struct answer_texts *texts, int http_status)
{
    event_queue_put(&engine->queue, at, event, texts, http_status);
}

void engine_fail(struct engine *engine, const struct fault *fault)
{
    if (engine->has_failed)
        return;
    engine->has_failed = true;
    engine->failure = *fault;
    log_fault(engine->log, clock_now().utc, LOG_ERROR, "stopping", fault);
}

uint32_t engine_link_index(const struct engine *engine, const struct provider_link *link)
{
    if (link->config == engine->config)
        return link->index;
    return config_find_provider(engine->config, link->settings->name);
}

static void on_signal(void *context, int number)
{
    struct engine *engine = context;
    struct diagnostics diagnostics;
    struct fault fault;

    switch (number) {
    case SIGTERM:
    case SIGINT:
        if (engine->is_draining) /* asked twice: the person means now */
            engine->is_stopping = true;
        else
            engine_drain(engine);
        break;
    case SIGHUP:
        diagnostics_init(&diagnostics, 100);
        if (engine_reload(engine, false, &diagnostics, &fault) != RESULT_OK)
            diagnostics_print(&diagnostics, stderr);
        diagnostics_deinit(&diagnostics);
        break;
    case SIGUSR1:
        if (summary_log_reopen(engine->summary, &fault) != RESULT_OK)
            log_fault(engine->log, clock_now().utc, LOG_ERROR, "summary_log_lost", &fault);
        break;
    default: break;
    }
}

/* The turn that follows looks by how much. */
static void on_clock_step(void *context)
{
    (void)context;
}

static enum result open_loop(struct engine *engine, const struct engine_options *options,
                             struct fault *fault)
{
    const struct event_loop_settings settings = {
        .signals = {SIGTERM, SIGINT, SIGHUP, SIGUSR1},
        .busy_interval_us =
            options->turn_interval_us == 0 ? ENGINE_TURN_INTERVAL_US : options->turn_interval_us,
    };
    const struct event_loop_handler handler = {
        .context = engine,
        .on_turn = engine_turn,
        .on_signal = on_signal,
        .on_clock_step = on_clock_step,
    };
    struct transport_hooks hooks;

    if (event_loop_create(&settings, &handler, &engine->loop, fault) != RESULT_OK)
        return RESULT_FAULT;
    hooks = event_loop_transport_hooks(engine->loop);
    return transport_create(&hooks, &engine->transport, fault);
}

static enum result open_state(struct engine *engine, const struct engine_options *options,
                              struct fault *fault)
{
    const char *database = engine->config->state.database;

    if (state_lock_take(database, options->command, &engine->lock, fault) != RESULT_OK ||
        state_key_load(database, true, engine->key, fault) != RESULT_OK ||
        state_store_open(database, STATE_READ_WRITE, &engine->store, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_store_was_unclean(engine->store)) {
        log_begin(engine->log, clock_now().utc, LOG_WARNING, "recovering");
        log_text(engine->log, "database", database);
        log_end(engine->log);
    }
    return RESULT_OK;
}

static enum result open_reporting(struct engine *engine, struct fault *fault)
{
    int64_t last;

    if (summary_log_open(engine->config, clock_now().utc, &engine->summary, fault) != RESULT_OK ||
        outbox_position(engine->store, &engine->delivered, &last, fault) != RESULT_OK)
        return RESULT_FAULT;
    return reporting_start(engine->config, engine->delivered, &engine->reporting, fault);
}

/* Jitter only: what must not be guessed comes from elsewhere. */
static uint64_t random_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint64_t)clock_now().mono.us;
    return seed;
}

static enum result engine_open(struct engine *engine, const struct engine_options *options,
                               struct consent_table **consents, struct fault *fault)
{
    struct consent_table *table = *consents;
    struct time_now now;

    engine->batch = calloc(1, sizeof *engine->batch);
    engine->scheduler = scheduler_create(random_seed());
    if (engine->batch == NULL || engine->scheduler == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (open_state(engine, options, fault) != RESULT_OK ||
        open_loop(engine, options, fault) != RESULT_OK ||
        open_reporting(engine, fault) != RESULT_OK)
        return RESULT_FAULT;
    scheduler_set_calendars(engine->scheduler, options->fire_calendars);
    scheduler_read_maintenance(engine->scheduler, true);
    now = clock_now();
    if (options->before_recover != NULL &&
        options->before_recover(options->before_recover_context, engine->store, now.utc, fault) !=
            RESULT_OK)
        return RESULT_FAULT;
    if (engine_load(engine, table, now, fault) != RESULT_OK)
        return RESULT_FAULT;
    *consents = NULL; /* the population has it now */
    engine->is_loaded = true;
    engine->next_fold = mono_add_us(now.mono, 10 * 60 * US_PER_SECOND);
    if (expiry_watch_open(engine, now, &engine->expiry, fault) != RESULT_OK ||
        engine_sources_open(engine, now, fault) != RESULT_OK ||
        engine_control_open(engine, &engine->control, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (engine->config->http.listen != NULL && options->fire_calendars &&
        status_surface_open(engine, &engine->status, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (engine->config->http.webhook_listen != NULL)
        return webhook_listener_open(engine, &engine->webhooks, fault);
    return RESULT_OK;
}

enum result engine_create(const struct engine_options *options, struct engine **out,
                          struct fault *fault)
{
    struct engine *engine = calloc(1, sizeof *engine);
    struct consent_table *consents = options->consents;

    if (engine == NULL) {
        consent_table_destroy(options->consents);
        config_release(options->config);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    engine->log = options->log;
    engine->config = options->config;
    engine->config_path = options->config_path;
    engine->lock.fd = -1;
    engine->reload_at = UTC_NONE;
    engine->handler = (struct transport_handler){engine_on_sent, engine_on_answer};
    event_queue_init(&engine->queue);
    population_init(&engine->population);
    job_contexts_init(&engine->jobs);
    request_init(&engine->request);
    if (engine_open(engine, options, &consents, fault) != RESULT_OK) {
        if (consents != NULL && consents != engine->population.table)
            consent_table_destroy(consents);
        engine_destroy(engine);
        return RESULT_FAULT;
    }
    *out = engine;
    return RESULT_OK;
}

/* Everything that was committed reaches reporting before we say that it is over. */
static void close_reporting(struct engine *engine)
{
    int64_t delivered = engine->delivered;
    int64_t last = 0;
    struct fault fault;

    if (engine->summary != NULL)
        summary_log_close(engine->summary, clock_now().utc);
    if (engine->reporting == NULL)
        return;
    if (outbox_position(engine->store, &delivered, &last, &fault) != RESULT_OK)
        last = INT64_MAX;
    if (!reporting_stop(engine->reporting, last, REPORTING_WAIT_MS, &delivered)) {
        log_begin(engine->log, clock_now().utc, LOG_WARNING, "reporting_behind");
        log_text(engine->log, "error",
                 "the reporting database could not take all facts; they stay in the state "
                 "database and are delivered at the next start");
        log_end(engine->log);
    }
    if (delivered > engine->delivered &&
        outbox_delivered(engine->store, delivered, &fault) != RESULT_OK)
        log_fault(engine->log, clock_now().utc, LOG_WARNING, "outbox_trouble", &fault);
}

/* The past of every consent goes back into its row, so that the next start has nothing to redo. */
static void fold_all(struct engine *engine)
{
    bool is_complete = !engine->is_loaded || engine->has_failed;
    struct fault fault;

    while (!is_complete)
        if (state_store_fold(engine->store, engine->scheduler, 10000, &is_complete, &fault) !=
            RESULT_OK)
            break;
}

void engine_destroy(struct engine *engine)
{
    status_surface_close(engine->status);
    webhook_listener_close(engine->webhooks);
    engine_control_close(engine->control);
    engine_sources_close(engine);
    engine_care_end(engine, clock_now());
    fold_all(engine);
    close_reporting(engine);
    expiry_watch_close(engine->expiry);
    engine_drop_flights(engine);
    job_contexts_deinit(&engine->jobs);
    if (engine->links != NULL)
        engine_free_links(engine->links, engine->link_count);
    transport_destroy(engine->transport);
    event_loop_destroy(engine->loop);
    if (engine->scheduler != NULL)
        scheduler_destroy(engine->scheduler);
    if (engine->store != NULL)
        state_store_close(engine->store);
    event_queue_deinit(&engine->queue);
    population_deinit(&engine->population);
    request_deinit(&engine->request);
    free(engine->decisions.records);
    free(engine->decisions.effects);
    free(engine->batch);
    memory_wipe(engine->key, sizeof engine->key);
    state_lock_release(&engine->lock);
    config_release(engine->config);
    free(engine);
}

enum result engine_run(struct engine *engine, struct fault *fault)
{
    if (event_loop_run(engine->loop, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (engine->has_failed) {
        *fault = engine->failure;
        return RESULT_FAULT;
    }
    if (engine->decisions.record_count > 0)
        return fault_set(fault, FAULT_TEMPORARY,
                         "the last %u records could not be written to the state database; the next "
                         "start asks the providers again what became of their jobs",
                         engine->decisions.record_count);
    return RESULT_OK;
}

void engine_stop_when_idle(struct engine *engine)
{
    engine->stops_when_idle = true;
}

void engine_drain(struct engine *engine)
{
    const struct event event = {.kind = EVENT_DRAIN};
    struct time_now now = clock_now();

    if (engine->is_draining)
        return;
    engine->is_draining = true;
    engine->drain_deadline = mono_add_us(now.mono, ENGINE_DRAIN_US);
    log_begin(engine->log, now.utc, LOG_INFO, "draining");
    log_integer(engine->log, "requests", scheduler_requests_outstanding(engine->scheduler));
    log_end(engine->log);
    engine_put_event(engine, now, &event, NULL, 0);
}

void engine_on_turn(struct engine *engine, int64_t every_ms,
                    void (*on_turn)(void *context, struct time_now now), void *context)
{
    engine->on_turn = on_turn;
    engine->on_turn_context = context;
    engine->on_turn_every_us = every_ms * US_PER_MS;
}

void engine_on_run_closed(struct engine *engine, void (*on_closed)(void *context, uint32_t run),
                          void *context)
{
    engine->on_run_closed = on_closed;
    engine->on_run_closed_context = context;
}

struct scheduler *engine_scheduler(struct engine *engine)
{
    return engine->scheduler;
}

struct state_store *engine_store(struct engine *engine)
{
    return engine->store;
}

const struct config *engine_config(const struct engine *engine)
{
    return engine->config;
}

uint32_t engine_find_consent(const struct engine *engine, const char *consent)
{
    return population_find(&engine->population, engine->config, consent);
}

bool engine_consent(const struct engine *engine, uint32_t number, struct consent_view *view)
{
    return population_get(&engine->population, number, view);
}

bool engine_consent_is_in(const struct engine *engine, uint32_t number, uint32_t schedule)
{
    const struct schedule_set *set;
    struct consent_view view;

    if (!engine_consent(engine, number, &view) || view.settings.schedule_set == UINT16_MAX)
        return false;
    set = &engine->settings.schedule_sets[view.settings.schedule_set];
    for (uint32_t i = 0; i < set->count; i++)
        if (set->schedules[i] == schedule)
            return true;
    return false;
}

struct time_now engine_now(const struct engine *engine)
{
    (void)engine;
    return clock_now();
}
