/* SPDX-License-Identifier: MIT
 * shadow_core.c - see shadow_core.h. */
#include "daemon/shadow_core.h"

#include <stdio.h>
#include <stdlib.h>

#include "state/state_look.h"

/* An hour: longer than any look at one instant. */
#define TOKEN_LIFETIME_MS MS_PER_HOUR
/* Steps in a row without a decision, after which nothing more is waited for. */
#define QUIET_STEPS_MAX 10000

/* Before the first start nothing has numbers: a row keeps the one it got here first. */
static enum result number_rows(struct shadow_core *shadow, const struct config *config,
                               const struct consent_table *table, uint32_t **out,
                               uint32_t *number_max, struct fault *fault)
{
    uint32_t count = consent_table_count(table);
    uint32_t *numbers;
    struct consent_view view;

    *number_max = shadow->population.number_max;
    if (shadow->population.table == NULL) {
        *number_max = count;
        return state_look_number(table, out, fault);
    }
    numbers = calloc((size_t)count + 1, sizeof *numbers);
    if (numbers == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    for (uint32_t row = 0; row < count; row++) {
        char name[CONSENT_NAME_BYTES];

        consent_table_get(table, row, &view);
        (void)snprintf(name, sizeof name, "%s/%s", config->providers[view.provider].name, view.id);
        numbers[row] = population_find(&shadow->population, shadow->config, name);
        if (numbers[row] == 0)
            numbers[row] = ++*number_max;
    }
    *out = numbers;
    return RESULT_OK;
}

/* Population, nodes and consents into the core. Those that are gone leave it. */
static enum result adopt(struct shadow_core *shadow, const struct config *config,
                         struct consent_table *table, struct time_now now, struct fault *fault)
{
    const uint32_t *numbers;
    uint32_t *own_numbers = NULL;
    uint32_t number_max;
    enum result result;

    if (shadow->store != NULL) {
        result = state_look_consents(shadow->store, config, table, &numbers, &number_max, fault);
    } else {
        result = number_rows(shadow, config, table, &own_numbers, &number_max, fault);
        numbers = own_numbers;
    }
    if (result == RESULT_OK)
        result = population_adopt(&shadow->population, table, numbers, number_max, fault);
    free(own_numbers);
    if (result != RESULT_OK)
        return result;
    shadow->config = config;
    for (uint32_t number = 1; number <= number_max; number++)
        if (population_row(&shadow->population, number) == UINT32_MAX)
            scheduler_consent_remove(shadow->scheduler, number);
    return population_tell(&shadow->population, config, shadow->scheduler, now, &shadow->settings,
                           fault);
}

static enum result open_store(struct shadow_core *shadow, struct fault *fault)
{
    if (state_store_open(shadow->config->state.database, STATE_READ_ONLY, &shadow->store, fault) !=
        RESULT_OK)
        return fault->code == FAULT_UNAVAILABLE ? RESULT_OK : RESULT_FAULT;
    return state_look_begin(shadow->store, fault);
}

enum result shadow_core_open(struct shadow_core *shadow, const struct config *config,
                             struct consent_table *table, struct time_now now, bool is_live,
                             struct fault *fault)
{
    *shadow = (struct shadow_core){.config = config};
    population_init(&shadow->population);
    shadow->batch = calloc(1, sizeof *shadow->batch);
    shadow->scheduler = scheduler_create(1);
    if (shadow->batch == NULL || shadow->scheduler == NULL) {
        (void)fault_set(fault, FAULT_TEMPORARY, "out of memory");
        goto failed;
    }
    if (open_store(shadow, fault) != RESULT_OK ||
        adopt(shadow, config, table, now, fault) != RESULT_OK)
        goto failed;
    if (shadow->store == NULL)
        scheduler_recover_done(shadow->scheduler, now, 1, 1);
    else if (state_look_recover(shadow->store, config, shadow->scheduler, now, is_live, NULL, NULL,
                                fault) != RESULT_OK)
        goto failed;
    return RESULT_OK;
failed:
    if (shadow->population.table == table)
        shadow->population.table = NULL; /* stays the caller's */
    shadow_core_close(shadow);
    return RESULT_FAULT;
}

enum result shadow_core_reconfigure(struct shadow_core *shadow, const struct config *config,
                                    struct consent_table *table, struct time_now now,
                                    struct fault *fault)
{
    enum result result = adopt(shadow, config, table, now, fault);

    if (result != RESULT_OK && shadow->population.table == table)
        shadow->population.table = NULL; /* stays the caller's */
    return result;
}

/* A token is given at once: what waits for one would get it. */
static struct event token_granted(uint32_t provider)
{
    struct event event = {.kind = EVENT_TOKEN};

    event.as.token.provider = provider;
    event.as.token.is_granted = true;
    event.as.token.reached_socket = true;
    event.as.token.lifetime_ms = TOKEN_LIFETIME_MS;
    event.as.token.retry_after_ms = -1;
    return event;
}

/* Providers whose token was asked for and is not given yet. */
struct tokens {
    uint32_t *providers;
    uint32_t count;
};

/* Hand the batch out. Answers whether it holds anything. */
static bool take_batch(const struct batch *batch, struct tokens *tokens,
                       void (*on_record)(void *context, const struct record *record), void *context)
{
    for (uint32_t i = 0; i < batch->record_count && on_record != NULL; i++)
        on_record(context, &batch->records[i]);
    for (uint32_t i = 0; i < batch->effect_count; i++)
        if (batch->effects[i].request == REQUEST_TOKEN) /* one at a time for each provider */
            tokens->providers[tokens->count++] = batch->effects[i].provider;
    return batch->is_full || batch->needs_reserve || batch->record_count > 0 ||
           batch->effect_count > 0;
}

enum result shadow_core_settle(struct shadow_core *shadow, struct time_now now,
                               void (*on_record)(void *context, const struct record *record),
                               void *context, struct fault *fault)
{
    struct tokens tokens = {calloc((size_t)shadow->settings.provider_count + 1, sizeof(uint32_t)),
                            0};
    uint32_t quiet_steps = 0;
    enum result result = RESULT_FAULT;

    if (tokens.providers == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    /* A core that looks through many slots without finding work says "again" by its wake time. */
    while (quiet_steps < QUIET_STEPS_MAX) {
        struct event event = {.kind = EVENT_TIME};
        struct wake wake;

        if (tokens.count > 0)
            event = token_granted(tokens.providers[--tokens.count]);
        wake = scheduler_step(shadow->scheduler, now, &event, shadow->batch);
        if (take_batch(shadow->batch, &tokens, on_record, context))
            quiet_steps = 0;
        else if (wake.utc.ms > now.utc.ms && wake.mono.us > now.mono.us && tokens.count == 0)
            break;
        else
            quiet_steps++;
        if (shadow->batch->needs_reserve &&
            scheduler_reserve(shadow->scheduler, shadow->population.number_max, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    free(tokens.providers);
    return result;
}

void shadow_core_close(struct shadow_core *shadow)
{
    if (shadow->scheduler != NULL)
        scheduler_destroy(shadow->scheduler);
    if (shadow->store != NULL)
        state_look_end(shadow->store);
    state_store_close(shadow->store);
    population_deinit(&shadow->population);
    free(shadow->batch);
    *shadow = (struct shadow_core){0};
}

/* ---- the recorded population ---- */

static enum result recorded_population(const struct config *config, struct consent_table **table,
                                       bool *is_recorded, struct fault *fault)
{
    struct consent_source source = {.sqlite_path = config->state.database};
    struct config shape = *config; /* the same, but all its consents come from the records */
    struct diagnostics diagnostics;
    struct state_store *store;
    enum result result;

    if (state_store_open(config->state.database, STATE_READ_ONLY, &store, fault) != RESULT_OK)
        return fault->code == FAULT_UNAVAILABLE ? RESULT_OK : RESULT_FAULT;
    result = state_look_population(store, &source.query, is_recorded, fault);
    state_store_close(store);
    if (result != RESULT_OK || !*is_recorded)
        return result;
    shape.sources = &source;
    shape.source_count = 1;
    shape.inline_consents = NULL;
    shape.inline_consent_count = 0;
    diagnostics_init(&diagnostics, 1);
    *is_recorded = consent_table_load(&shape, NULL, table, &diagnostics, fault) == RESULT_OK;
    diagnostics_deinit(&diagnostics);
    return RESULT_OK;
}

enum result shadow_core_population(const struct config *config, struct consent_table **table,
                                   bool *is_recorded, struct diagnostics *diagnostics,
                                   struct fault *fault)
{
    *is_recorded = false;
    if (recorded_population(config, table, is_recorded, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (*is_recorded)
        return RESULT_OK;
    return consent_table_load(config, NULL, table, diagnostics, fault);
}
