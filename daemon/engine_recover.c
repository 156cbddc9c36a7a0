/* SPDX-License-Identifier: MIT
 * engine_recover.c - from files to a running core: population, links, recovery, reload. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "daemon/expiry_watch.h"
#include "reporting/reporting.h"
#include "reporting/summary_log.h"

enum result engine_open_links(struct engine *engine, struct config *config,
                              struct provider_link ***out, struct fault *fault)
{
    struct provider_link **links =
        calloc((size_t)config->provider_count + 1, sizeof(struct provider_link *));

    if (links == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    for (uint32_t i = 0; i < config->provider_count; i++) {
        if (provider_link_create(config, i, engine->transport, &engine->handler, &links[i],
                                 fault) != RESULT_OK) {
            engine_free_links(links, i);
            return RESULT_FAULT;
        }
    }
    *out = links;
    return RESULT_OK;
}

void engine_free_links(struct provider_link **links, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        provider_link_release(links[i]);
    free(links);
}

static void open_job_recovered(void *context, const struct recovered_job *job, uint32_t job_slot,
                               const struct open_job_texts *texts)
{
    struct engine *engine = context;
    uint32_t provider = config_find_provider(engine->config, texts->provider);
    struct consent_view view;
    bool is_there = population_get(&engine->population, job->consent, &view);
    struct job_context_texts copies = {
        .id = texts->consent_id,
        .customer = texts->customer,
        .institution = texts->institution,
        .customer_is_own_id = texts->customer_is_own_id,
    };
    struct job_context *created;
    struct fault fault;

    REQUIRE(provider != UINT32_MAX);
    if (is_there)
        copies.customer_secret = view.customer_secret;
    if (job_contexts_open(&engine->jobs, job_slot, job->job, job->consent, engine->links[provider],
                          &copies, &created, &fault) != RESULT_OK) {
        engine_fail(engine, &fault);
        return;
    }
    created->opened = job->opened;
    created->attempt = job->attempts;
    engine_set_look_back(engine, created, job->run, is_there ? &view : NULL);
    if (texts->provider_job_id != NULL &&
        job_contexts_set_reference(&engine->jobs, created, texts->provider_job_id,
                                   job->reference_hash, &fault) != RESULT_OK)
        engine_fail(engine, &fault);
}

struct removals {
    struct scheduler *scheduler; /* NULL: it has not been told of any consent yet */
    uint32_t count;
};

static void note_removed(void *context, uint32_t consent)
{
    struct removals *removals = context;

    removals->count++;
    if (removals->scheduler != NULL)
        scheduler_consent_remove(removals->scheduler, consent);
}

/* At a start nothing is running that could keep the last good set, and a person has just started
 * us with these sources: they are taken, but nobody shall learn of a lost half from a customer. */
static void warn_of_loss(struct engine *engine, const struct config *config, uint32_t removed,
                         uint32_t left, struct utc_time at)
{
    if (removed == 0 || (uint64_t)removed * 100 <=
                            ((uint64_t)removed + left) * (uint64_t)config->max_shrink_percent)
        return;
    log_begin(engine->log, at, LOG_WARNING, "population_shrank");
    log_integer(engine->log, "removed", removed);
    log_integer(engine->log, "consents", left);
    log_text(engine->log, "error",
             "more consents than max_shrink allows are gone since the last start: look at the "
             "consent sources; they come back with their history when their rows do");
    log_end(engine->log);
}

struct pauses {
    struct engine *engine;
    struct time_now now;
};

static void repeat_pause(void *context, enum scope_kind scope, uint32_t index,
                         struct utc_time until)
{
    const struct pauses *pauses = context;
    struct event event = {.kind = EVENT_PAUSE};

    event.as.pause.scope = scope;
    event.as.pause.index = index;
    event.as.pause.until = until;
    engine_put_event(pauses->engine, pauses->now, &event, NULL, 0);
}

enum result engine_adopt_consents(struct engine *engine, struct config *config,
                                  struct consent_table *consents, struct time_now now,
                                  bool is_first, struct fault *fault)
{
    const uint32_t *numbers;
    uint32_t number_max;
    struct removals removals = {is_first ? NULL : engine->scheduler, 0};

    if (state_store_sync_consents(engine->store, config, consents, now.utc, &numbers, &number_max,
                                  note_removed, &removals, fault) != RESULT_OK) {
        if (!is_first && fault->code == FAULT_IO) /* nobody knows what is on the disk now */
            engine_fail(engine, fault);
        return RESULT_FAULT;
    }
    if (is_first)
        warn_of_loss(engine, config, removals.count, consent_table_count(consents), now.utc);
    if (population_adopt(&engine->population, consents, numbers, number_max, fault) == RESULT_OK &&
        population_tell(&engine->population, config, engine->scheduler, now, &engine->settings,
                        fault) == RESULT_OK &&
        /* What was paused while it was not in the configuration comes back paused. At a start
         * recovery tells the core. */
        (is_first || state_store_each_pause(engine->store, now.utc, repeat_pause,
                                            &(struct pauses){engine, now}, fault) == RESULT_OK)) {
        expiry_watch_wake(engine->expiry);
        return RESULT_OK;
    }
    /* The store has taken it and the core has not: only a start brings them together again. */
    if (!is_first)
        engine_fail(engine, fault);
    return RESULT_FAULT;
}

enum result engine_load(struct engine *engine, struct consent_table *consents, struct time_now now,
                        struct fault *fault)
{
    if (state_store_set_config(engine->store, engine->config, now.utc, fault) != RESULT_OK ||
        engine_open_links(engine, engine->config, &engine->links, fault) != RESULT_OK)
        return RESULT_FAULT;
    engine->link_count = engine->config->provider_count;
    if (engine_adopt_consents(engine, engine->config, consents, now, true, fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_store_recover(engine->store, engine->config, engine->scheduler, now,
                               open_job_recovered, engine, fault);
}

/* A log or a folder that cannot be written is no reason to refuse everything else. */
static void follow_reporting(struct engine *engine, struct time_now now)
{
    struct fault fault;

    if (summary_log_configure(engine->summary, engine->config, now.utc, &fault) != RESULT_OK)
        log_fault(engine->log, now.utc, LOG_ERROR, "summary_log_lost", &fault);
    if (reporting_configure(engine->reporting, engine->config, &fault) != RESULT_OK)
        log_fault(engine->log, now.utc, LOG_WARNING, "reporting_trouble", &fault);
    engine->next_summary = now.mono; /* the period may be another one */
}

/* Everything new is made before anything old is let go. The store takes configuration and consents
 * in one transaction: on a full disk both stay as they were. */
static enum result swap(struct engine *engine, struct config *config,
                        struct consent_table *consents, struct time_now now, struct fault *fault)
{
    struct provider_link **links;

    if (engine_open_links(engine, config, &links, fault) != RESULT_OK)
        return RESULT_FAULT;
    for (uint32_t i = 0; i < config->provider_count; i++) {
        uint32_t old = config_find_provider(engine->config, config->providers[i].name);

        if (old != UINT32_MAX)
            provider_link_inherit(links[i], engine->links[old]);
    }
    if (engine_adopt_consents(engine, config, consents, now, false, fault) != RESULT_OK) {
        engine_free_links(links, config->provider_count);
        return RESULT_FAULT;
    }
    engine_free_links(engine->links, engine->link_count);
    engine->links = links;
    engine->link_count = config->provider_count;
    config_release(engine->config);
    engine->config = config;
    follow_reporting(engine, now);
    return RESULT_OK;
}

/* Said in the log, in `status` and in /metrics. */
static void log_reload(struct engine *engine, struct utc_time at, const char *event,
                       const char *error)
{
    engine->reload_at = at;
    (void)snprintf(engine->reload_error, sizeof engine->reload_error, "%s",
                   error == NULL ? "" : error);
    if (error == NULL)
        engine->reloads++;
    else
        engine->reloads_refused++;
    log_begin(engine->log, at, error == NULL ? LOG_INFO : LOG_ERROR, event);
    log_text(engine->log, "config", engine->config_path);
    if (error == NULL) {
        log_text(engine->log, "digest", engine->config->digest);
        log_integer(engine->log, "consents", consent_table_count(engine->population.table));
    }
    log_text(engine->log, "error", error);
    log_end(engine->log);
}

/* What is opened once, at the start. Taking the rest and leaving these as they were would be the
 * half of a configuration that nobody wrote. */
static enum result check_restart_options(const struct config *old, const struct config *new,
                                         struct fault *fault)
{
    const struct {
        const char *name;
        const char *old;
        const char *new;
    } options[] = {
        {"state.database", old->state.database, new->state.database},
        {"reporting.database", old->reporting.database, new->reporting.database},
        {"http.listen", old->http.listen, new->http.listen},
        {"http.webhooks.listen", old->http.webhook_listen, new->http.webhook_listen},
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const char *before = options[i].old == NULL ? "(none)" : options[i].old;
        const char *after = options[i].new == NULL ? "(none)" : options[i].new;

        if (strcmp(before, after) != 0)
            return fault_set(fault, FAULT_CONFIGURATION,
                             "%s cannot change while running: restart to move from %s to %s; the "
                             "configuration in force stays",
                             options[i].name, before, after);
    }
    return RESULT_OK;
}

enum result engine_reload(struct engine *engine, bool accept_shrink,
                          struct diagnostics *diagnostics, struct fault *fault)
{
    struct time_now now = engine_now(engine);
    struct consent_table *consents = NULL;
    const struct config_options options = {.now = now.utc};
    struct config *config = config_load(engine->config_path, &options, &consents, diagnostics);

    if (config == NULL) {
        (void)fault_set(fault, FAULT_CONFIGURATION,
                        "%s has %zu errors; the configuration in force stays", engine->config_path,
                        diagnostics->error_count);
        goto failed;
    }
    if (check_restart_options(engine->config, config, fault) != RESULT_OK)
        goto failed;
    if (!accept_shrink && engine_check_shrink(engine, config, consents, fault) != RESULT_OK)
        goto failed;
    if (engine_settle(engine, now, fault) != RESULT_OK ||
        swap(engine, config, consents, now, fault) != RESULT_OK)
        goto failed;
    log_reload(engine, now.utc, "reloaded", NULL);
    return RESULT_OK;

failed:
    if (consents != NULL && engine->population.table != consents)
        consent_table_destroy(consents);
    if (config != NULL)
        config_release(config);
    log_reload(engine, now.utc, "reload_refused", fault->text);
    return RESULT_FAULT;
}
