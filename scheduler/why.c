/* SPDX-License-Identifier: MIT
 * why.c - the gates of one consent, in the order in which they are asked. See scheduler.h. */
#include "scheduler/consent.h"
#include "scheduler/limit_node.h"
#include "scheduler/provider_gate.h"
#include "scheduler/scheduler.h"
#include "scheduler/share.h"

static const char *const gate_words[GATE_COUNT] = {
    [GATE_STATUS] = "status",
    [GATE_HELD] = "held",
    [GATE_PAUSED] = "paused",
    [GATE_SINGLE_FLIGHT] = "single_flight",
    [GATE_WINDOW] = "window",
    [GATE_NOT_BEFORE] = "not_before",
    [GATE_COOLDOWN] = "cooldown",
    [GATE_QUOTA] = "quota",
    [GATE_RETRY_BUDGET] = "retry_budget",
    [GATE_AUTH] = "auth",
    [GATE_BREAKER] = "breaker",
    [GATE_PUSHBACK] = "pushback",
    [GATE_PROVIDER_RATE] = "provider_rate",
    [GATE_PROVIDER_CONCURRENCY] = "provider_concurrency",
    [GATE_INSTITUTION_RATE] = "institution_rate",
    [GATE_INSTITUTION_CONCURRENCY] = "institution_concurrency",
    [GATE_FAIRNESS] = "fairness",
};

const char *gate_text(enum gate gate)
{
    return (unsigned)gate < GATE_COUNT ? gate_words[gate] : "?";
}

static void close_gate(struct gate_verdict *verdict, enum reason reason, struct utc_time earliest)
{
    if (!verdict->is_open && verdict->earliest.ms >= earliest.ms)
        return; /* closed for longer by something else already */
    verdict->is_open = false;
    verdict->reason = reason;
    verdict->earliest = earliest;
}

/* An obstacle closes the gate until the later of its two clocks' instants. */
static void close_by(const struct scheduler *scheduler, struct gate_verdict *verdict,
                     const struct obstacle *obstacle)
{
    struct utc_time earliest = obstacle->utc;

    if (obstacle->reason == REASON_NONE)
        return;
    if (obstacle->mono.us != MONO_NEVER.us)
        earliest = core_utc_of(scheduler, obstacle->mono);
    close_gate(verdict, obstacle->reason, earliest);
}

static void why_consent(const struct scheduler *scheduler, uint32_t number, struct utc_time now,
                        struct gate_verdict verdicts[GATE_COUNT])
{
    const struct consent *consent = &scheduler->consents[number];
    enum reason refusal = consent_refusal(scheduler, number, now);
    struct utc_time at = consent_paused_until(scheduler, number, now);

    if ((consent->flags & CONSENT_IS_HELD) != 0)
        close_gate(&verdicts[GATE_HELD], REASON_HELD, UTC_NEVER);
    if (refusal != REASON_NONE && refusal != REASON_HELD)
        close_gate(&verdicts[GATE_STATUS], refusal, UTC_NEVER);
    if (at.ms > now.ms)
        close_gate(&verdicts[GATE_PAUSED], REASON_PAUSED, at);
    if (scheduler->paused_until.ms > now.ms)
        close_gate(&verdicts[GATE_PAUSED], REASON_PAUSED, scheduler->paused_until);
    if (consent->job != NONE_INDEX)
        close_gate(&verdicts[GATE_SINGLE_FLIGHT], REASON_SINGLE_FLIGHT, UTC_NEVER);
    if (consent->job != NONE_INDEX && scheduler->jobs[consent->job].waits_for_budget)
        close_gate(&verdicts[GATE_RETRY_BUDGET], REASON_RETRY_BUDGET,
                   core_utc_of(scheduler,
                               retry_budget_next(&consent_provider(scheduler, number)->budget)));
    at = consent_not_before(scheduler, number, now);
    if (at.ms > now.ms)
        close_gate(&verdicts[GATE_NOT_BEFORE],
                   consent->not_before_reason != REASON_NONE
                       ? (enum reason)consent->not_before_reason
                       : REASON_COOLDOWN,
                   at);
    at = consent_cooldown_end(scheduler, number, now);
    if (at.ms > now.ms)
        close_gate(&verdicts[GATE_COOLDOWN], REASON_COOLDOWN, at);
    at = consent_quota_end(scheduler, number, now);
    if (at.ms > now.ms)
        close_gate(&verdicts[GATE_QUOTA], REASON_QUOTA, at);
}

/* All schedules of the consent are paused or closed: none of them would start it. */
static void why_schedules(const struct scheduler *scheduler, uint32_t number, struct utc_time now,
                          struct gate_verdict verdicts[GATE_COUNT])
{
    uint16_t set = scheduler->consents[number].schedule_set;
    struct gate_verdict first = {false, REASON_NONE, UTC_NEVER, 0};

    if (set == UINT16_MAX || scheduler->sets[set].count == 0)
        return;
    for (uint32_t i = 0; i < scheduler->sets[set].count; i++) {
        const struct schedule *schedule = &scheduler->schedules[scheduler->sets[set].schedules[i]];
        struct open_hours hours = schedule->hours;
        struct gate_verdict own = {false, REASON_PAUSED, schedule->paused_until, 0};

        if (own.earliest.ms <= now.ms)
            own.reason = open_hours_closed(&hours, now, &own.earliest);
        if (own.reason == REASON_NONE)
            return;
        if (first.reason == REASON_NONE || own.earliest.ms < first.earliest.ms)
            first = own;
    }
    close_gate(&verdicts[first.reason == REASON_PAUSED ? GATE_PAUSED : GATE_WINDOW], first.reason,
               first.earliest);
}

/* Looking changes nothing that matters: the nodes are copied, their windows only borrowed. */
static void why_node(const struct scheduler *scheduler, const struct limit_node *real,
                     struct gate_verdict verdicts[GATE_COUNT], enum gate rate_gate,
                     enum gate concurrency_gate)
{
    struct limit_node node = *real;
    struct obstacle obstacle = limit_node_window_obstacle(&node, scheduler->now.utc);

    close_by(scheduler, &verdicts[GATE_WINDOW], &obstacle);
    if (node.paused_until.ms > scheduler->now.utc.ms)
        close_gate(&verdicts[GATE_PAUSED], REASON_PAUSED, node.paused_until);
    obstacle = limit_node_breaker_obstacle(&node, scheduler->now.mono);
    close_by(scheduler, &verdicts[GATE_BREAKER], &obstacle);
    obstacle = limit_node_pace_obstacle(&node, scheduler->now.mono);
    close_by(scheduler, &verdicts[rate_gate], &obstacle);
    if (node.pace_settings.learns)
        verdicts[rate_gate].learned_interval_us = pace_interval_us(&node.pace);
    obstacle = limit_node_pushback_obstacle(&node, scheduler->now.mono);
    close_by(scheduler, &verdicts[GATE_PUSHBACK], &obstacle);
    obstacle = limit_node_request_obstacle(&node, scheduler->now);
    close_by(scheduler, &verdicts[obstacle.reason == REASON_RATE ? rate_gate : concurrency_gate],
             &obstacle);
    if (node.jobs_max > 0 && node.jobs_running >= node.jobs_max)
        close_gate(&verdicts[concurrency_gate], REASON_CONCURRENCY, UTC_NEVER);
}

static void why_credentials(const struct scheduler *scheduler, const struct provider *provider,
                            struct gate_verdict verdicts[GATE_COUNT])
{
    struct obstacle obstacle = provider_gate_obstacle(scheduler, provider);

    if (obstacle.reason == REASON_AUTH)
        close_by(scheduler, &verdicts[GATE_AUTH], &obstacle);
    if (scheduler->is_draining)
        close_gate(&verdicts[GATE_STATUS], REASON_DRAINING, UTC_NEVER);
}

struct utc_time scheduler_why(const struct scheduler *scheduler, struct time_now now,
                              uint32_t consent, struct gate_verdict verdicts[GATE_COUNT])
{
    /* A copy of the facade's fields with another `now`; everything behind them is only read. */
    struct scheduler view = *scheduler;
    const struct institution *institution;
    struct utc_time earliest = now.utc;
    struct obstacle obstacle;

    view.now = now;
    for (int gate = 0; gate < GATE_COUNT; gate++)
        verdicts[gate] = (struct gate_verdict){true, REASON_NONE, now.utc, 0};
    if (consent == 0 || consent > scheduler->consent_max ||
        (scheduler->consents[consent].flags & CONSENT_IN_USE) == 0) {
        close_gate(&verdicts[GATE_STATUS], REASON_REMOVED, UTC_NEVER);
        return UTC_NEVER;
    }
    institution = &scheduler->institutions[scheduler->consents[consent].institution];
    why_consent(&view, consent, now.utc, verdicts);
    why_schedules(&view, consent, now.utc, verdicts);
    why_credentials(&view, consent_provider(&view, consent), verdicts);
    why_node(&view, &consent_provider(&view, consent)->node, verdicts, GATE_PROVIDER_RATE,
             GATE_PROVIDER_CONCURRENCY);
    why_node(&view, &institution->node, verdicts, GATE_INSTITUTION_RATE,
             GATE_INSTITUTION_CONCURRENCY);
    obstacle = share_obstacle(&view, institution, false);
    close_by(&view, &verdicts[GATE_FAIRNESS], &obstacle);
    for (int gate = 0; gate < GATE_COUNT; gate++)
        earliest = utc_later(earliest, verdicts[gate].earliest);
    return earliest;
}
