/* SPDX-License-Identifier: MIT
 * engine_sources.c - consent sources that are read again on their own period, and the shrink guard.
 *
 * A million rows take a second to read, so a thread of its own reads them; the loop only compares
 * and swaps. The thread sees nothing but the immutable configuration. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"

struct source_reader {
    struct engine *engine;
    pthread_t thread;
    struct event_loop_wakeup *wakeup;
    bool is_running;
    bool is_done; /* written by the thread before the wakeup, read after joining it */
    struct config *config;
    struct consent_table *table; /* NULL: it failed, see `fault` */
    struct fault fault;
    struct mono_time next; /* MONO_NEVER: no source has a period */
};

enum result engine_check_shrink(const struct engine *engine, const struct config *config,
                                const struct consent_table *consents, struct fault *fault)
{
    struct consent_shrink shrink;
    const struct consent_source *source;

    if (!consent_table_shrink(engine->population.table, consents, config, &shrink))
        return RESULT_OK;
    source = &config->sources[shrink.source];
    return fault_set(fault, FAULT_DATA,
                     "%s lost %u of its %u consents, more than max_shrink %d %%: the last good set "
                     "stays; if that is right: refreshd reload --accept-shrink",
                     source->csv_path != NULL ? source->csv_path : source->sqlite_path, shrink.lost,
                     shrink.before, shrink.allowed_percent);
}

static int64_t period_ms(const struct config *config)
{
    int64_t period = 0;

    for (uint32_t i = 0; i < config->source_count; i++)
        if (config->sources[i].every_ms > 0 &&
            (period == 0 || config->sources[i].every_ms < period))
            period = config->sources[i].every_ms;
    return period;
}

static void *read_sources(void *context)
{
    struct source_reader *reader = context;
    struct diagnostics diagnostics;

    diagnostics_init(&diagnostics, 20);
    if (consent_table_load(reader->config, NULL, &reader->table, &diagnostics, &reader->fault) !=
        RESULT_OK)
        reader->table = NULL;
    diagnostics_deinit(&diagnostics);
    event_loop_wakeup_fire(reader->wakeup);
    return NULL;
}

/* The loop was woken: the turn that follows picks the result up. */
static void on_wakeup(void *context)
{
    struct source_reader *reader = context;

    reader->is_done = true;
}

static void plan_next(struct source_reader *reader, struct time_now now)
{
    int64_t period = period_ms(reader->engine->config);

    reader->next = period == 0 ? MONO_NEVER : mono_add_us(now.mono, period * US_PER_MS);
}

enum result engine_sources_open(struct engine *engine, struct time_now now, struct fault *fault)
{
    struct source_reader *reader = calloc(1, sizeof *reader);

    if (reader == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    reader->engine = engine;
    plan_next(reader, now);
    if (event_loop_wakeup_create(engine->loop, on_wakeup, reader, &reader->wakeup, fault) !=
        RESULT_OK) {
        free(reader);
        return RESULT_FAULT;
    }
    engine->sources = reader;
    return RESULT_OK;
}

static void take_table(struct engine *engine, struct source_reader *reader, struct time_now now)
{
    struct fault fault = reader->fault;

    /* A reload came in between: what was read belongs to a configuration that is gone. */
    if (reader->config != engine->config) {
        if (reader->table != NULL)
            consent_table_destroy(reader->table);
    } else if (reader->table == NULL) {
        log_fault(engine->log, now.utc, LOG_ERROR, "sources_refused", &fault);
    } else if (engine_check_shrink(engine, engine->config, reader->table, &fault) != RESULT_OK ||
               engine_settle(engine, now, &fault) != RESULT_OK ||
               engine_adopt_consents(engine, engine->config, reader->table, now, false, &fault) !=
                   RESULT_OK) {
        if (engine->population.table != reader->table)
            consent_table_destroy(reader->table);
        log_fault(engine->log, now.utc, LOG_ERROR, "sources_refused", &fault);
    }
    reader->table = NULL;
    config_release(reader->config);
    reader->config = NULL;
}

static void finish(struct source_reader *reader)
{
    if (!reader->is_running)
        return;
    (void)pthread_join(reader->thread, NULL);
    reader->is_running = false;
    reader->is_done = false;
}

void engine_sources_close(struct engine *engine)
{
    struct source_reader *reader = engine->sources;

    if (reader == NULL)
        return;
    finish(reader);
    if (reader->table != NULL)
        consent_table_destroy(reader->table);
    if (reader->config != NULL)
        config_release(reader->config);
    event_loop_wakeup_destroy(reader->wakeup);
    free(reader);
    engine->sources = NULL;
}

void engine_read_sources(struct engine *engine, struct time_now now)
{
    struct source_reader *reader = engine->sources;

    if (reader->is_done) {
        finish(reader);
        take_table(engine, reader, now);
        plan_next(reader, now);
    }
    if (reader->is_running || engine->is_draining || now.mono.us < reader->next.us)
        return;
    reader->config = config_retain(engine->config);
    if (pthread_create(&reader->thread, NULL, read_sources, reader) != 0) {
        config_release(reader->config);
        reader->config = NULL;
        plan_next(reader, now);
        return;
    }
    reader->is_running = true;
    reader->next = MONO_NEVER;
}

struct mono_time engine_sources_wake(const struct engine *engine)
{
    return engine->sources == NULL ? MONO_NEVER : engine->sources->next;
}
