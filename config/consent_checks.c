/* SPDX-License-Identifier: MIT
 * consent_checks.c - what is allowed but probably not meant: said once per cause, never refused. */
#include <stdlib.h>
#include <string.h>

#include "config/consent_build.h"
#include "config/option_value.h"

/* Firings are looked at over a month from a fixed day, so that a check gives the same every day. */
#define SAMPLE_START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define SAMPLE_MS (INT64_C(32) * MS_PER_DAY)
#define SAMPLE_FIRINGS_MAX 4000

struct checks {
    const struct config *config;
    const struct consent_table *table;
    struct diagnostics *diagnostics;
    bool *used_pairs;     /* [set * provider_count + provider] */
    bool *used_schedules; /* by a consent that is refreshed */
    bool *used_providers;
};

/* The earliest next firing of several schedules; firings at one instant count once each. */
static bool next_firing(const struct schedule_set *set, const struct utc_time *next,
                        unsigned *which)
{
    bool found = false;

    for (unsigned i = 0; i < set->count; i++)
        if (!found || next[i].ms < next[*which].ms) {
            *which = i;
            found = true;
        }
    if (!found || next[*which].ms > SAMPLE_START_MS + SAMPLE_MS)
        return false;
    return true;
}

static struct utc_time advance(const struct config *config, uint16_t schedule,
                               struct utc_time after)
{
    struct calendar_firing firing =
        calendar_next(&config->schedule_settings[schedule].calendar, after);

    return firing.found ? firing.at : UTC_NEVER;
}

/* Do the schedules of `set` fire more often than `quota` allows, in some window of the sample? */
static bool is_denser(const struct config *config, const struct schedule_set *set,
                      const struct quota_settings *quota)
{
    struct utc_time next[SCHEDULES_PER_CONSENT_MAX];
    int64_t ring[QUOTA_COUNT_MAX];
    unsigned which = 0;

    if (quota->count == 0)
        return false;
    for (unsigned i = 0; i < set->count; i++)
        next[i] = advance(config, set->schedules[i], (struct utc_time){SAMPLE_START_MS - 1});
    for (unsigned fired = 0; fired < SAMPLE_FIRINGS_MAX && next_firing(set, next, &which);
         fired++) {
        int64_t at = next[which].ms;

        if (fired >= quota->count && at - ring[fired % quota->count] < quota->window_ms)
            return true;
        ring[fired % quota->count] = at;
        next[which] = advance(config, set->schedules[which], next[which]);
    }
    return false;
}

static bool is_denser_alone(const struct checks *checks, uint16_t schedule,
                            const struct quota_settings *quota)
{
    const struct schedule_set alone = {{schedule}, 1};

    return is_denser(checks->config, &alone, quota);
}

static void warn_denser(const struct checks *checks, const struct schedule_set *set,
                        const char *whose, const struct quota_settings *quota)
{
    const struct config *config = checks->config;
    const struct rate rate = {quota->count, quota->window_ms};
    struct text names;
    struct text limit;

    text_init(&names, 600);
    text_init(&limit, 64);
    for (unsigned i = 0; i < set->count; i++)
        text_append_format(&names, "%s\"%s\"", i == 0 ? "" : ", ",
                           config->schedules[set->schedules[i]].name);
    option_rate_text(&rate, &limit);
    diagnostics_warning(checks->diagnostics, config->schedules[set->schedules[0]].place,
                        "%s %s more often than the quota of %s allows (%s per consent): what is "
                        "beyond it will be skipped",
                        names.bytes, set->count == 1 ? "fires" : "together fire", whose,
                        limit.bytes);
    text_deinit(&names);
    text_deinit(&limit);
}

/* --- Which schedules meet which providers ---------------------------------------------------- */

static void find_used(struct checks *checks)
{
    const struct consent_table *table = checks->table;

    for (uint32_t row = 0; row < table->count; row++) {
        const struct consent_record *record = &table->records[row];
        uint32_t provider = consent_provider_of(table, record);
        const struct schedule_set *set = &table->sets[record->schedule_set];
        bool *pair =
            &checks->used_pairs[(size_t)record->schedule_set * checks->config->provider_count +
                                provider];

        checks->used_providers[provider] = true;
        if (*pair)
            continue;
        for (unsigned i = 0; i < set->count; i++)
            checks->used_schedules[set->schedules[i]] = true;
        *pair = (record->flags & RECORD_MODE_MASK) == MODE_ACTIVE;
    }
}

static void check_pair(const struct checks *checks, const struct schedule_set *set,
                       uint32_t provider)
{
    const struct quota_settings *quota = &checks->config->provider_settings[provider].quota;
    struct text whose;

    if (set->count == 0 || !is_denser(checks->config, set, quota))
        return;
    /* A schedule that is too dense alone has a warning of its own. */
    for (unsigned i = 0; set->count > 1 && i < set->count; i++)
        if (is_denser_alone(checks, set->schedules[i], quota))
            return;
    text_init(&whose, 200);
    text_append_format(&whose, "provider \"%s\"", checks->config->providers[provider].name);
    warn_denser(checks, set, whose.bytes, quota);
    text_deinit(&whose);
}

/* A schedule whose consents are not known here: too dense for every provider? */
static void check_schedule(const struct checks *checks, uint32_t schedule)
{
    const struct config *config = checks->config;
    const struct schedule_set alone = {{(uint16_t)schedule}, 1};
    const struct quota_settings *loosest = NULL;

    for (uint32_t i = 0; i < config->provider_count; i++) {
        const struct quota_settings *quota = &config->provider_settings[i].quota;

        if (!is_denser(config, &alone, quota))
            return;
        if (loosest == NULL || quota->count > loosest->count)
            loosest = quota;
    }
    if (loosest != NULL)
        warn_denser(checks, &alone,
                    config->provider_count == 1 ? "the only provider" : "every provider", loosest);
}

static void warn_unused(const struct checks *checks)
{
    const struct config *config = checks->config;

    for (uint32_t i = 0; i < config->schedule_count; i++)
        if (!checks->used_schedules[i])
            diagnostics_warning(checks->diagnostics, config->schedules[i].place,
                                "schedule \"%s\" is used by no consent", config->schedules[i].name);
    for (uint32_t i = 0; i < config->provider_count; i++)
        if (!checks->used_providers[i])
            diagnostics_warning(checks->diagnostics, config->providers[i].place,
                                "provider \"%s\" is used by no consent", config->providers[i].name);
}

void consent_checks(const struct config *config, const struct consent_table *table,
                    struct diagnostics *diagnostics)
{
    struct checks checks = {.config = config, .table = table, .diagnostics = diagnostics};
    size_t pairs = (size_t)table->set_count * config->provider_count;

    checks.used_pairs = calloc(pairs + 1, sizeof *checks.used_pairs);
    checks.used_schedules = calloc((size_t)config->schedule_count + 1, 1);
    checks.used_providers = calloc((size_t)config->provider_count + 1, 1);
    REQUIRE(checks.used_pairs != NULL && checks.used_schedules != NULL &&
            checks.used_providers != NULL);
    find_used(&checks);
    for (uint32_t set = 0; set < table->set_count; set++)
        for (uint32_t provider = 0; provider < config->provider_count; provider++)
            if (checks.used_pairs[(size_t)set * config->provider_count + provider])
                check_pair(&checks, &table->sets[set], provider);
    for (uint32_t schedule = 0; schedule < config->schedule_count; schedule++)
        if (!checks.used_schedules[schedule])
            check_schedule(&checks, schedule);
    /* What a table holds changes from night to night; only a list that is all here tells. */
    if (config->source_count == 0 && table->count > 0)
        warn_unused(&checks);
    free(checks.used_pairs);
    free(checks.used_schedules);
    free(checks.used_providers);
}
