/* SPDX-License-Identifier: MIT
 * configure.c - new settings over a running state: nodes and schedules are matched by name, so what
 * they remember survives. See scheduler.h. */
#include <string.h>

#include "base/text.h"
#include "scheduler/core.h"
#include "scheduler/firing.h"
#include "scheduler/job.h"
#include "scheduler/limit_node.h"
#include "scheduler/maintenance.h"
#include "scheduler/node_record.h"
#include "scheduler/population.h"
#include "scheduler/provider_gate.h"
#include "scheduler/recheck.h"
#include "scheduler/room.h"
#include "scheduler/run.h"
#include "scheduler/share.h"
#include "scheduler/work.h"

/* Names are matched by their hash: 64 bits over some thousand names. */
static uint64_t name_hash(const char *name, uint64_t seed)
{
    return hash_bytes(name, strlen(name), seed);
}

/* Requests that are out and not handed over yet: the pending permits of a node. */
static uint32_t pending_permits(const struct scheduler *scheduler, uint32_t provider,
                                uint32_t institution)
{
    uint32_t pending = 0;

    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        const struct job *job = &scheduler->jobs[i];

        if (!job->in_use || !job->is_outstanding || job->is_sent)
            continue;
        if (institution != NONE_INDEX)
            pending += job->institution == institution && job->request == REQUEST_INITIATE;
        else
            pending += scheduler->institutions[job->institution].provider == provider;
    }
    if (institution == NONE_INDEX) {
        pending += recheck_pending(&scheduler->providers[provider]);
        pending += maintenance_pending(&scheduler->providers[provider]);
        pending += scheduler->providers[provider].token_requested &&
                   !scheduler->providers[provider].token_is_sent;
    }
    return pending;
}

static enum result configure_node(struct limit_node *node, const struct limit_settings *limits,
                                  int64_t guard_ms, uint32_t pending, struct mono_time now,
                                  struct fault *fault)
{
    node->requests_max = limits->requests_in_flight_max;
    node->jobs_max = limits->jobs_running_max;
    open_hours_set(&node->hours, &limits->hours);
    return room_node_rates(node, limits, guard_ms, pending, now, fault);
}

/* The slowest of the rates that tell of a pace; those over longer times are budgets. */
static int64_t usual_interval_us(const struct limit_settings *limits)
{
    int64_t slowest_us = 0;

    for (uint32_t i = 0; i < limits->rate_count; i++) {
        int64_t interval_us = limits->rates[i].span_ms * US_PER_MS / limits->rates[i].count;

        if (limits->rates[i].span_ms <= MS_PER_MINUTE && interval_us > slowest_us)
            slowest_us = interval_us;
    }
    return slowest_us;
}

/* What was learned stays, as far as the new settings still want it learned. */
static void configure_learning(struct scheduler *scheduler, uint32_t reference,
                               const struct limit_settings *limits, bool learns,
                               const struct breaker_settings *breaker)
{
    struct limit_node *node = node_of(scheduler, reference);
    bool is_on =
        node->breaker.is_configuration ? breaker->configuration > 0 : breaker->failures > 0;

    learns = learns && limits->pace.learns;
    node->pace_settings = limits->pace;
    node->pace_settings.learns = learns;
    node->pace_settings.usual_interval_us = usual_interval_us(limits);
    node->breaker_settings = *breaker;
    if ((!learns && pace_interval_us(&node->pace) > 0) ||
        (!is_on && node->breaker.state != BREAKER_CLOSED))
        node_record_mark(scheduler, reference, true);
    if (!learns)
        pace_init(&node->pace);
    if (!is_on)
        breaker_reset(&node->breaker);
}

static uint32_t provider_place(struct scheduler *scheduler, uint64_t hash)
{
    uint32_t place = NONE_INDEX;

    for (uint32_t i = 0; i < scheduler->provider_count; i++)
        if (scheduler->providers[i].name_hash == hash)
            return i;
    place = scheduler->provider_count++;
    provider_gate_init(&scheduler->providers[place]);
    scheduler->providers[place].name_hash = hash;
    retry_budget_init(&scheduler->providers[place].budget, scheduler->now.mono);
    scheduler->providers[place].balance_recorded = scheduler->providers[place].budget.balance;
    return place;
}

static enum result configure_provider(struct scheduler *scheduler, uint32_t index,
                                      const struct provider_settings *settings, struct fault *fault)
{
    uint32_t known = scheduler->provider_count;
    uint32_t place = provider_place(scheduler, name_hash(settings->name, 0));
    struct provider *provider = &scheduler->providers[place];
    bool is_new = place >= known || provider->settings.maintenance_every_ms == 0;

    scheduler->provider_places[index] = place;
    provider->is_configured = true;
    if (provider->node.breaker.is_configuration &&
        provider->settings.revision != settings->revision) {
        breaker_reset(&provider->node.breaker); /* what was wrong may be right now */
        node_record_mark(scheduler, place | NODE_PROVIDER_BIT, true);
    }
    provider->settings_index = index;
    provider->settings = *settings;
    maintenance_configure(scheduler, place, is_new);
    provider->auth_retry_at.us = INT64_MIN; /* the secret may be a new one: ask at once */
    provider->owed_is_stale = true;
    provider->pays_long = false;
    for (uint32_t i = 0; i < settings->limits.rate_count; i++)
        if (settings->limits.rates[i].span_ms >= LONG_SPAN_MS)
            provider->pays_long = true;
    configure_learning(scheduler, place | NODE_PROVIDER_BIT, &settings->limits, true,
                       &settings->breaker);
    return configure_node(&provider->node, &settings->limits, settings->rate_guard_ms,
                          pending_permits(scheduler, place, NONE_INDEX), scheduler->now.mono,
                          fault);
}

static uint32_t institution_place(struct scheduler *scheduler, uint32_t provider, uint64_t hash)
{
    struct institution *institution;

    for (uint32_t i = 0; i < scheduler->institution_count; i++)
        if (scheduler->institutions[i].provider == provider &&
            scheduler->institutions[i].name_hash == hash)
            return i;
    institution = &scheduler->institutions[scheduler->institution_count];
    *institution = (struct institution){.provider = provider, .name_hash = hash};
    institution->young_first = NONE_INDEX;
    institution->young_last = NONE_INDEX;
    institution->kept_out_next = NONE_INDEX;
    limit_node_clear(&institution->node);
    for (uint32_t level = 0; level < QUEUE_LEVELS; level++) {
        institution->lanes[level] = NONE_INDEX;
        institution->spill[level] = (struct work_queue){NONE_INDEX, NONE_INDEX};
        institution->ring_next[level] = NONE_INDEX;
        institution->ring_prev[level] = NONE_INDEX;
    }
    return scheduler->institution_count++;
}

static const struct breaker_settings never_opens;

static enum result configure_institution(struct scheduler *scheduler, uint32_t index,
                                         const struct institution_settings *settings,
                                         struct fault *fault)
{
    uint32_t provider = scheduler->provider_places[settings->provider];
    uint32_t known = scheduler->institution_count;
    uint32_t place = institution_place(scheduler, provider, name_hash(settings->name, 0));
    struct institution *institution = &scheduler->institutions[place];

    scheduler->institution_places[index] = place;
    if (place >= known)
        maintenance_configure(scheduler, provider, true);
    institution->is_configured = true;
    institution->is_default = strcmp(settings->name, "-") == 0;
    institution->settings_index = index;
    share_note_limits(scheduler, place);
    work_unblock(scheduler, place);
    /* Consents without an institution have no bank: their provider's node learns for them. */
    configure_learning(scheduler, place, &settings->limits, !institution->is_default,
                       institution->is_default ? &never_opens
                                               : &scheduler->providers[provider].settings.breaker);
    return configure_node(&institution->node, &settings->limits,
                          scheduler->providers[provider].settings.rate_guard_ms,
                          pending_permits(scheduler, provider, place), scheduler->now.mono, fault);
}

static void configure_schedule(struct scheduler *scheduler, uint32_t index,
                               const struct schedule_settings *settings)
{
    uint64_t hash = name_hash(settings->name, 0);
    uint32_t place = 0;
    struct schedule *schedule;
    bool is_known;

    while (place < scheduler->schedule_count && scheduler->schedules[place].name_hash != hash)
        place++;
    is_known = place < scheduler->schedule_count;
    schedule = &scheduler->schedules[place];
    if (!is_known) {
        *schedule = (struct schedule){.name_hash = hash, .paused_until = UTC_NONE};
        scheduler->schedule_count++;
    }
    /* One that comes back after it was gone is as new as one that was edited: neither ever fires
     * what passed meanwhile. */
    is_known = is_known && schedule->accounted.ms != UTC_NONE.ms &&
               schedule->settings.revision == settings->revision;
    scheduler->schedule_places[index] = place;
    schedule->is_configured = true;
    schedule->settings_index = index;
    schedule->settings = *settings;
    open_hours_set(&schedule->hours, &settings->hours);
    if (is_known) {
        /* The zone's data may be new: ask again from where the accounting stands. */
        schedule->next = calendar_next(&settings->calendar, schedule->accounted);
    } else {
        firing_start(schedule, scheduler->now.utc);
        schedule->is_new = true;
    }
}

/* Work queued or parked by slots goes back to sleep: levels, nodes and waits may have changed. */
static void unqueue_slots(struct scheduler *scheduler)
{
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        struct run *run = &scheduler->runs[i];

        if (!run->in_use)
            continue;
        for (uint32_t slot = run->first; slot < run->first + run->count; slot++)
            if (scheduler->slots[slot].state == SLOT_READY ||
                scheduler->slots[slot].state == SLOT_PARKED)
                population_unqueue_slot(scheduler, slot);
    }
}

static void forget_old_settings(struct scheduler *scheduler)
{
    static const struct limit_settings no_limits;

    for (uint32_t i = 0; i < scheduler->provider_count; i++) {
        struct provider *provider = &scheduler->providers[i];

        provider->is_configured = false;
        provider->settings_index = NONE_INDEX;
        provider->settings.limits = no_limits;
        provider->populated = 0;
        provider->troubled = 0;
        open_hours_set(&provider->node.hours, NULL);
    }
    for (uint32_t i = 0; i < scheduler->institution_count; i++) {
        scheduler->institutions[i].is_configured = false;
        scheduler->institutions[i].settings_index = NONE_INDEX;
        scheduler->institutions[i].population = 0;
        scheduler->institutions[i].is_troubled = false;
        open_hours_set(&scheduler->institutions[i].node.hours, NULL);
    }
    for (uint32_t i = 0; i < scheduler->schedule_count; i++) {
        scheduler->schedules[i].is_configured = false;
        scheduler->schedules[i].settings_index = NONE_INDEX;
        open_hours_set(&scheduler->schedules[i].hours, NULL);
        scheduler->schedules[i].population = 0;
    }
    for (uint32_t i = 1; i <= scheduler->consent_max; i++)
        scheduler->consents[i].schedule_set = UINT16_MAX;
}

static void configure_sets(struct scheduler *scheduler, const struct scheduler_settings *settings)
{
    for (uint32_t i = 0; i < settings->schedule_set_count; i++) {
        const struct schedule_set *from = &settings->schedule_sets[i];

        scheduler->sets[i].count = from->count;
        for (uint32_t j = 0; j < from->count; j++)
            scheduler->sets[i].schedules[j] =
                (uint16_t)scheduler->schedule_places[from->schedules[j]];
    }
    scheduler->set_count = settings->schedule_set_count;
}

/* Never fewer than before: a provider that comes back finds its quotas as they were. */
static uint32_t gaps_needed(const struct scheduler *scheduler,
                            const struct scheduler_settings *settings)
{
    uint32_t count = 2; /* one gap at least: a refused charge gives the one before back */

    for (uint32_t i = 0; i < settings->provider_count; i++)
        if (settings->providers[i].quota.count > count)
            count = settings->providers[i].quota.count;
    return count - 1 > scheduler->quota_gap_count ? count - 1 : scheduler->quota_gap_count;
}

static enum result configure_check(const struct scheduler_settings *settings, struct fault *fault)
{
    for (uint32_t i = 0; i < settings->provider_count; i++)
        if (settings->providers[i].quota.count > QUOTA_COUNT_MAX ||
            settings->providers[i].limits.rate_count > RATES_MAX)
            return fault_set(fault, FAULT_CONFIGURATION, "provider %s: quota or rates out of range",
                             settings->providers[i].name);
    if (settings->schedule_set_count >= UINT16_MAX || settings->schedule_count >= UINT16_MAX)
        return fault_set(fault, FAULT_CONFIGURATION, "more than %u sets of schedules in use",
                         UINT16_MAX - 1);
    return RESULT_OK;
}

enum result scheduler_configure(struct scheduler *scheduler, struct time_now now,
                                const struct scheduler_settings *settings, struct fault *fault)
{
    scheduler->now = now;
    if (configure_check(settings, fault) != RESULT_OK ||
        room_nodes(scheduler, settings->provider_count, settings->institution_count,
                   settings->schedule_count, fault) != RESULT_OK ||
        room_places(scheduler, settings, fault) != RESULT_OK ||
        room_quota_gaps(scheduler, gaps_needed(scheduler, settings), fault) != RESULT_OK)
        return RESULT_FAULT;
    unqueue_slots(scheduler);
    forget_old_settings(scheduler);
    scheduler->provider_places_count = settings->provider_count;
    scheduler->institution_places_count = settings->institution_count;
    scheduler->schedule_places_count = settings->schedule_count;
    for (uint32_t i = 0; i < settings->provider_count; i++)
        if (configure_provider(scheduler, i, &settings->providers[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    for (uint32_t i = 0; i < settings->institution_count; i++)
        if (configure_institution(scheduler, i, &settings->institutions[i], fault) != RESULT_OK)
            return RESULT_FAULT;
    for (uint32_t i = 0; i < settings->schedule_count; i++)
        configure_schedule(scheduler, i, &settings->schedules[i]);
    for (uint32_t i = 0; i < scheduler->schedule_count; i++)
        if (!scheduler->schedules[i].is_configured)
            scheduler->schedules[i].accounted = UTC_NONE;
    configure_sets(scheduler, settings);
    job_reconsider_closed(scheduler, NONE_INDEX); /* hours may have changed */
    scheduler->members_changed = true;
    scheduler->has_orphans = true;
    if (room_runs(scheduler, 2 * settings->schedule_count, fault) != RESULT_OK)
        return RESULT_FAULT;
    return room_pace(scheduler, fault);
}
