/* SPDX-License-Identifier: MIT
 * view.c - what the shell may see of the core between two steps. See scheduler.h. */
#include "scheduler/consent.h"
#include "scheduler/dispatch.h"
#include "scheduler/provider_gate.h"
#include "scheduler/scheduler.h"

void scheduler_consent_past(const struct scheduler *scheduler, uint32_t number,
                            struct consent_past *past)
{
    const struct consent *consent = &scheduler->consents[number];

    REQUIRE(number >= 1 && number <= scheduler->consent_max);
    *past = (struct consent_past){
        .last_outcome = (enum outcome)consent->last_outcome,
        .last_success = instant_get(&consent->last_success),
        .last_attempt = instant_get(&consent->last_attempt),
        .consecutive_failures = consent->failures,
        .cooldown_refusals = consent->refusals,
        .not_before = instant_get(&consent->not_before),
        .not_before_reason = (enum reason)consent->not_before_reason,
        .reference_hash = consent_reference(consent),
        .learned_expires = consent_learned_expires(consent),
        .is_held = (consent->flags & CONSENT_IS_HELD) != 0,
        .is_suspended = (consent->flags & CONSENT_IS_SUSPENDED) != 0,
    };
}

void scheduler_consent_life(const struct scheduler *scheduler, uint32_t number,
                            struct consent_life *life)
{
    const struct consent *consent = &scheduler->consents[number];
    const struct provider *provider;

    REQUIRE(number <= scheduler->consent_max);
    *life = (struct consent_life){.expires = UTC_NEVER};
    if ((consent->flags & CONSENT_IN_USE) == 0 || consent->mode == MODE_OFF)
        return;
    provider = consent_provider(scheduler, number);
    life->is_there = provider->is_configured;
    life->needs_customer =
        (consent->flags & CONSENT_IS_HELD) != 0 && (consent->flags & CONSENT_IS_SUSPENDED) == 0;
    life->provider = provider->settings_index;
    life->expires = consent_expires(consent);
}

uint32_t scheduler_run_count(const struct scheduler *scheduler)
{
    return scheduler->run_count;
}

static void view_forecast(const struct scheduler *scheduler, const struct run *run,
                          struct run_view *view)
{
    const struct forecast *forecast = &run->forecast;
    uint32_t skipped_since;

    view->finish = forecast->finish.ms == UTC_NONE.ms
                       ? UTC_NONE
                       : utc_later(forecast->finish, scheduler->now.utc);
    /* What was skipped since is not missed once more. */
    skipped_since = run->skipped_early - forecast->skipped;
    view->will_miss = forecast->will_miss > skipped_since ? forecast->will_miss - skipped_since : 0;
    view->skipped_early = run->skipped_early;
    view->limit = view->will_miss > 0 || run->skipped_early > 0 ? forecast->limit : REASON_NONE;
    view->limit_provider = NONE_INDEX;
    view->limit_institution = NONE_INDEX;
    if (forecast->provider != NONE_INDEX)
        view->limit_provider = scheduler->providers[forecast->provider].settings_index;
    if (forecast->institution != NONE_INDEX)
        view->limit_institution = scheduler->institutions[forecast->institution].settings_index;
}

void scheduler_run_view(const struct scheduler *scheduler, uint32_t index, struct run_view *view)
{
    uint32_t place = 0;
    const struct run *run;

    REQUIRE(index < scheduler->run_count);
    while (!scheduler->runs[place].in_use || index > 0) {
        index -= scheduler->runs[place].in_use;
        place++;
    }
    run = &scheduler->runs[place];
    *view = (struct run_view){
        .run = run->number,
        .schedule = scheduler->schedules[run->schedule].settings_index,
        .trigger = run->trigger,
        .slot = run->slot,
        .deadline = run->deadline,
        .started = run->started,
        .due = run->due,
    };
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        view->counts[outcome] = run->counts[outcome];
    for (uint32_t i = 0; i < scheduler->job_capacity; i++) {
        const struct job *job = &scheduler->jobs[i];

        if (job->in_use && job->slot != NONE_INDEX && scheduler->slots[job->slot].run == place)
            view->open_jobs++;
    }
    view->waiting = run->open - view->open_jobs;
    view_forecast(scheduler, run, view);
}

static void view_learned(const struct limit_node *node, struct time_now now, struct node_view *view)
{
    view->learned_interval_us = node->pace_settings.learns ? pace_interval_us(&node->pace) : 0;
    view->breaker = breaker_state_at(&node->breaker, now.mono);
    view->is_configuration = view->breaker != BREAKER_CLOSED && node->breaker.is_configuration;
    view->retry_balance = -1;
}

static void view_obstacle(const struct scheduler *scheduler, const struct obstacle *obstacle,
                          struct node_view *view)
{
    if (obstacle->reason == REASON_NONE || view->blocked_reason != REASON_NONE)
        return;
    view->blocked_reason = obstacle->reason;
    view->blocked_until =
        obstacle->mono.us != MONO_NEVER.us ? core_utc_of(scheduler, obstacle->mono) : obstacle->utc;
}

void scheduler_provider_view(const struct scheduler *scheduler, struct time_now now, uint32_t index,
                             struct node_view *view)
{
    struct scheduler copy = *scheduler;
    struct provider provider;
    struct obstacle obstacle;

    REQUIRE(index < scheduler->provider_places_count);
    copy.now = now;
    provider = scheduler->providers[scheduler->provider_places[index]];
    *view = (struct node_view){
        .requests_in_flight = provider.node.requests_in_flight,
        .jobs_running = provider.node.jobs_running,
        .waiting = provider.work_waiting + provider.calls_waiting + provider.retries_waiting,
        .blocked_until = UTC_NONE,
    };
    view_learned(&provider.node, now, view);
    view->retries_waiting = provider.retries_waiting;
    if (provider.settings.retry_budget_percent > 0) {
        retry_budget_advance(&provider.budget, now.mono);
        view->retry_balance = provider.budget.balance / RETRY_BUDGET_ONE;
    }
    obstacle = provider_gate_job_obstacle(&copy, &provider, false);
    view_obstacle(&copy, &obstacle, view);
    obstacle = provider_gate_obstacle(&copy, &provider);
    view_obstacle(&copy, &obstacle, view);
}

void scheduler_institution_view(const struct scheduler *scheduler, struct time_now now,
                                uint32_t index, struct node_view *view)
{
    struct scheduler copy = *scheduler;
    struct institution institution;
    struct obstacle obstacle;

    REQUIRE(index < scheduler->institution_places_count);
    copy.now = now;
    institution = scheduler->institutions[scheduler->institution_places[index]];
    *view = (struct node_view){
        .requests_in_flight = institution.node.requests_in_flight,
        .jobs_running = institution.node.jobs_running,
        .waiting = institution.waiting,
        .blocked_until = UTC_NONE,
    };
    view_learned(&institution.node, now, view);
    obstacle = dispatch_institution_obstacle(&copy, &institution, false);
    view_obstacle(&copy, &obstacle, view);
}

uint32_t scheduler_maintenance(const struct scheduler *scheduler, uint32_t institution,
                               struct utc_span spans[MAINTENANCE_MAX])
{
    const struct open_hours *hours;

    if (institution >= scheduler->institution_places_count)
        return 0;
    hours = &scheduler->institutions[scheduler->institution_places[institution]].node.hours;
    for (uint32_t i = 0; i < hours->maintenance_count; i++)
        spans[i] = hours->maintenance[i];
    return hours->maintenance_count;
}

struct utc_time scheduler_next_firing(const struct scheduler *scheduler, uint32_t index)
{
    const struct schedule *schedule;

    if (!scheduler->calendars_enabled || index >= scheduler->schedule_places_count)
        return UTC_NEVER;
    schedule = &scheduler->schedules[scheduler->schedule_places[index]];
    return schedule->next.found ? schedule->next.at : UTC_NEVER;
}

uint32_t scheduler_requests_outstanding(const struct scheduler *scheduler)
{
    return scheduler->requests_outstanding;
}

uint32_t scheduler_jobs_live(const struct scheduler *scheduler)
{
    return scheduler->jobs_live;
}

uint32_t scheduler_job_of_consent(const struct scheduler *scheduler, uint32_t consent)
{
    return consent >= 1 && consent <= scheduler->consent_max ? scheduler->consents[consent].job
                                                             : NONE_INDEX;
}

bool scheduler_is_drained(const struct scheduler *scheduler)
{
    return scheduler->is_draining && scheduler->requests_outstanding == 0;
}

bool scheduler_credentials_are_refused(const struct scheduler *scheduler, uint32_t provider)
{
    return scheduler->providers[scheduler->provider_places[provider]].is_stopped;
}
