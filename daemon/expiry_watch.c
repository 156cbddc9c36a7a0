/* SPDX-License-Identifier: MIT
 * expiry_watch.c - see expiry_watch.h. */
#include "daemon/expiry_watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"

#define PIECE 20000
#define GAP_LARGE_US (60 * US_PER_SECOND)
#define GAP_SMALL_US US_PER_SECOND
#define LOOK_AT_LEAST_MS MS_PER_HOUR

/* By provider index of the configuration of this look. */
struct tally {
    uint32_t held; /* waits for the customer */
    uint32_t expired;
    uint32_t expiring;
    uint32_t passed[CONSENT_LEADS_MAX];  /* leads passed in this look... */
    uint32_t unsaid[CONSENT_LEADS_MAX];  /* ...and in this day, not said one by one */
    int64_t leads_ms[CONSENT_LEADS_MAX]; /* that `unsaid` counts */
};

/* A consent that has passed a lead in this look. */
struct passing {
    uint32_t consent;
    uint32_t lead;
    struct utc_time expires;
};

struct expiry_watch {
    struct engine *engine;
    uint8_t *levels; /* by consent number: leads passed and told */
    uint32_t capacity;
    /* what was told before the start */
    struct utc_time told_until; /* UTC_NONE: nothing ever */
    uint32_t told_number;

    bool is_looking;
    bool is_wanted; /* dates changed since the look began */
    uint32_t cursor;
    struct utc_time look_at;
    struct utc_time next_lead; /* the first that is passed after the look */
    struct passing passing[EXPIRY_LINES_A_DAY];
    uint32_t passing_count;
    uint32_t passed_count;
    struct tally *tallies;
    uint32_t tally_count;
    struct tally *shown;   /* of the last whole look; also the day's counts */
    struct config *config; /* whose providers they are; retained */

    int64_t day; /* since 1970, of the lines said */
    uint32_t lines;
    struct mono_time next;
};

static uint32_t leads_passed(const struct config_provider *provider, struct utc_time end,
                             struct utc_time now)
{
    uint32_t count = 0;

    while (count < provider->warn_count && utc_add_ms(end, -provider->warn_ms[count]).ms <= now.ms)
        count++;
    return count;
}

enum result expiry_watch_open(struct engine *engine, struct time_now now, struct expiry_watch **out,
                              struct fault *fault)
{
    struct expiry_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    watch->engine = engine;
    watch->next = now.mono;
    watch->day = now.utc.ms / MS_PER_DAY;
    if (state_store_warned(engine->store, &watch->told_until, &watch->told_number, fault) !=
        RESULT_OK) {
        free(watch);
        return RESULT_FAULT;
    }
    *out = watch;
    return RESULT_OK;
}

void expiry_watch_close(struct expiry_watch *watch)
{
    if (watch == NULL)
        return;
    free(watch->levels);
    free(watch->tallies);
    free(watch->shown);
    if (watch->config != NULL)
        config_release(watch->config);
    free(watch);
}

void expiry_watch_wake(struct expiry_watch *watch)
{
    if (watch == NULL)
        return;
    watch->is_wanted = true;
}

/* Room for all numbers; new ones have been told nothing, or what was told before the start. */
static bool grow(struct expiry_watch *watch)
{
    uint32_t wanted = watch->engine->population.number_max + 1;
    uint8_t *levels;

    if (wanted <= watch->capacity)
        return true;
    levels = realloc(watch->levels, wanted);
    if (levels == NULL)
        return false;
    watch->levels = levels;
    for (uint32_t number = watch->capacity; number < wanted; number++) {
        struct consent_life life;

        levels[number] = 0;
        if (number == 0 || number > watch->told_number || watch->told_until.ms == UTC_NONE.ms)
            continue;
        scheduler_consent_life(watch->engine->scheduler, number, &life);
        if (life.is_there)
            levels[number] = (uint8_t)leads_passed(&watch->engine->config->providers[life.provider],
                                                   life.expires, watch->told_until);
    }
    watch->capacity = wanted;
    return true;
}

static void say_day(struct expiry_watch *watch, struct utc_time now)
{
    struct log *log = watch->engine->log;

    for (uint32_t i = 0; watch->shown != NULL && i < watch->config->provider_count; i++)
        for (uint32_t lead = 0; lead < CONSENT_LEADS_MAX; lead++) {
            struct tally *tally = &watch->shown[i];
            char text[DURATION_TEXT_SIZE];

            if (tally->unsaid[lead] == 0)
                continue;
            log_begin(log, now, LOG_WARNING, "consents_expiring");
            log_text(log, "provider", watch->config->providers[i].name);
            log_text(log, "lead", duration_text(tally->leads_ms[lead], text));
            log_integer(log, "count", tally->unsaid[lead]);
            log_end(log);
            tally->unsaid[lead] = 0;
        }
}

void expiry_watch_flush(struct expiry_watch *watch, struct utc_time now)
{
    if (watch != NULL)
        say_day(watch, now);
}

/* Other providers, other leads: what was counted for the old ones is said, and what was passed by
 * the last look counts as told, whatever the leads are now. */
static void take_config(struct expiry_watch *watch, struct config *config, struct utc_time now)
{
    say_day(watch, now);
    free(watch->shown);
    watch->shown = NULL;
    if (watch->config != NULL) {
        watch->told_until = watch->look_at;
        watch->told_number = watch->capacity == 0 ? 0 : watch->capacity - 1;
        watch->capacity = 0;
        config_release(watch->config);
    }
    watch->config = config_retain(config);
}

static void begin_look(struct expiry_watch *watch, struct time_now now)
{
    struct config *config = watch->engine->config;
    struct tally *tallies = calloc(config->provider_count + 1, sizeof *tallies);

    if (config != watch->config)
        take_config(watch, config, now.utc);
    if (tallies == NULL || !grow(watch)) { /* later */
        free(tallies);
        watch->next = mono_add_us(now.mono, GAP_LARGE_US);
        return;
    }
    free(watch->tallies);
    watch->tallies = tallies;
    watch->is_looking = true;
    watch->is_wanted = false;
    watch->cursor = 1;
    watch->look_at = now.utc;
    watch->next_lead = UTC_NEVER;
    watch->passing_count = 0;
    watch->passed_count = 0;
}

static void look_at(struct expiry_watch *watch, uint32_t number)
{
    const struct config_provider *provider;
    struct consent_life life;
    struct tally *tally;
    uint32_t passed;

    scheduler_consent_life(watch->engine->scheduler, number, &life);
    if (!life.is_there)
        return;
    provider = &watch->config->providers[life.provider];
    tally = &watch->tallies[life.provider];
    passed = leads_passed(provider, life.expires, watch->look_at);
    if (passed < provider->warn_count) {
        struct utc_time lead = utc_add_ms(life.expires, -provider->warn_ms[passed]);

        if (life.expires.ms != UTC_NEVER.ms && lead.ms < watch->next_lead.ms)
            watch->next_lead = lead;
    }
    if (life.needs_customer) {
        tally->held++;
    } else if (life.expires.ms <= watch->look_at.ms) {
        tally->expired++;
    } else if (passed > 0) {
        tally->expiring++;
        if (passed > watch->levels[number]) {
            watch->passed_count++;
            tally->passed[passed - 1]++;
            if (watch->passing_count < EXPIRY_LINES_A_DAY)
                watch->passing[watch->passing_count++] =
                    (struct passing){number, passed - 1, life.expires};
        }
    }
    watch->levels[number] = (uint8_t)passed;
}

static void say_one(struct expiry_watch *watch, const struct passing *passing, struct utc_time now)
{
    struct log *log = watch->engine->log;
    struct consent_view view;
    char text[DURATION_TEXT_SIZE];

    if (!population_get(&watch->engine->population, passing->consent, &view))
        return;
    log_begin(log, now, LOG_INFO, "consent_expiring");
    log_text(log, "provider", watch->config->providers[view.provider].name);
    log_text(log, "consent", view.id);
    log_text(log, "lead",
             duration_text(watch->config->providers[view.provider].warn_ms[passing->lead], text));
    log_instant(log, "expires", passing->expires);
    log_end(log);
}

/* Of those that passed a lead some are said one by one, as far as the day allows. */
static void say_passed(struct expiry_watch *watch, struct time_now now)
{
    for (uint32_t i = 0; i < watch->passing_count && watch->lines < EXPIRY_LINES_A_DAY; i++) {
        const struct passing *passing = &watch->passing[i];
        struct consent_life life;

        say_one(watch, passing, now.utc);
        watch->lines++;
        scheduler_consent_life(watch->engine->scheduler, passing->consent, &life);
        if (life.is_there)
            watch->tallies[life.provider].passed[passing->lead]--;
    }
    for (uint32_t i = 0; i < watch->config->provider_count; i++)
        for (uint32_t lead = 0; lead < CONSENT_LEADS_MAX; lead++) {
            struct tally *tally = &watch->tallies[i];

            tally->leads_ms[lead] = watch->config->providers[i].warn_ms[lead];
            tally->unsaid[lead] = tally->passed[lead];
            if (watch->shown != NULL)
                tally->unsaid[lead] += watch->shown[i].unsaid[lead];
        }
}

static void end_look(struct expiry_watch *watch, struct time_now now)
{
    int64_t wait_ms = LOOK_AT_LEAST_MS;
    int64_t gap_us = watch->capacity <= PIECE ? GAP_SMALL_US : GAP_LARGE_US;
    struct fault fault;

    watch->is_looking = false;
    /* What is told must not be told again: first remember, then tell. */
    if (watch->passed_count > 0 &&
        state_store_set_warned(watch->engine->store, watch->look_at, watch->capacity - 1, &fault) !=
            RESULT_OK) {
        log_fault(watch->engine->log, now.utc, LOG_WARNING, "expiry_not_remembered", &fault);
        if (fault.code != FAULT_TEMPORARY)
            engine_fail(watch->engine, &fault);
    }
    say_passed(watch, now);
    free(watch->shown);
    watch->shown = watch->tallies;
    watch->tallies = NULL;
    if (watch->next_lead.ms != UTC_NEVER.ms && watch->next_lead.ms - now.utc.ms < wait_ms)
        wait_ms = watch->next_lead.ms - now.utc.ms;
    if (wait_ms * US_PER_MS < gap_us)
        wait_ms = gap_us / US_PER_MS;
    watch->next = mono_add_us(now.mono, wait_ms * US_PER_MS);
}

void expiry_watch_tick(struct expiry_watch *watch, struct time_now now)
{
    uint32_t end;

    if (watch == NULL)
        return;
    if (now.utc.ms / MS_PER_DAY != watch->day) {
        say_day(watch, now.utc);
        watch->day = now.utc.ms / MS_PER_DAY;
        watch->lines = 0;
    }
    if (watch->is_wanted && !watch->is_looking) {
        struct mono_time soon =
            mono_add_us(now.mono, watch->capacity <= PIECE ? GAP_SMALL_US : GAP_LARGE_US);

        watch->is_wanted = false;
        if (soon.us < watch->next.us)
            watch->next = soon;
    }
    /* A reload may have come between two pieces: begin anew. */
    if (watch->is_looking && watch->config != watch->engine->config)
        watch->is_looking = false;
    if (!watch->is_looking && now.mono.us >= watch->next.us)
        begin_look(watch, now);
    if (!watch->is_looking)
        return;
    end = watch->capacity - watch->cursor > PIECE ? watch->cursor + PIECE : watch->capacity;
    for (; watch->cursor < end; watch->cursor++)
        look_at(watch, watch->cursor);
    if (watch->cursor >= watch->capacity)
        end_look(watch, now);
}

struct mono_time expiry_watch_next(const struct expiry_watch *watch)
{
    if (watch == NULL)
        return MONO_NEVER;
    return watch->is_looking ? (struct mono_time){0} : watch->next;
}

void expiry_watch_metrics(const struct expiry_watch *watch, struct text *page)
{
    static const char name[] = "refreshd_consents_need_customer";

    if (watch == NULL || watch->shown == NULL)
        return;
    text_append_format(page,
                       "# HELP %s Consents that need their customer, by cause.\n# TYPE %s gauge\n",
                       name, name);
    for (uint32_t i = 0; i < watch->config->provider_count; i++) {
        const char *provider = watch->config->providers[i].name;
        const struct tally *tally = &watch->shown[i];

        text_append_format(page, "%s{provider=\"%s\",cause=\"reconnect_required\"} %u\n", name,
                           provider, tally->held);
        text_append_format(page, "%s{provider=\"%s\",cause=\"expired\"} %u\n", name, provider,
                           tally->expired);
        text_append_format(page, "%s{provider=\"%s\",cause=\"expiring\"} %u\n", name, provider,
                           tally->expiring);
    }
}
