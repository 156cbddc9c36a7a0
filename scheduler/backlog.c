/* SPDX-License-Identifier: MIT
 * backlog.c - see backlog.h. */
#include "scheduler/backlog.h"

#include "scheduler/consent.h"
#include "scheduler/dispatch.h"
#include "scheduler/job.h"
#include "scheduler/limit_node.h"
#include "scheduler/provider_gate.h"
#include "scheduler/run.h"

const int64_t backlog_age_ms[BACKLOG_AGES] = {MS_PER_MINUTE, 5 * MS_PER_MINUTE, 15 * MS_PER_MINUTE,
                                              MS_PER_HOUR,   6 * MS_PER_HOUR,   INT64_MAX};

struct look {
    const struct scheduler *scheduler; /* with `now` of the look */
    struct backlog *providers;
    struct backlog *institutions;
};

/* Why queued work of an institution does not start. Asked once for each: the nodes are large. */
static enum reason queued_reason(const struct look *look, uint32_t place)
{
    const struct scheduler *scheduler = look->scheduler;
    struct backlog *backlog = NULL;
    struct institution institution;
    struct provider provider;
    struct obstacle obstacle;

    if (!scheduler->institutions[place].is_configured)
        return REASON_REMOVED;
    backlog = &look->institutions[scheduler->institutions[place].settings_index];
    if (backlog->is_asked)
        return backlog->queued;
    institution = scheduler->institutions[place];
    provider = scheduler->providers[institution.provider];
    obstacle = dispatch_institution_obstacle(scheduler, &institution, false);
    if (obstacle.reason == REASON_NONE)
        obstacle = provider_gate_job_obstacle(scheduler, &provider, false);
    if (obstacle.reason == REASON_NONE)
        obstacle = provider_gate_obstacle(scheduler, &provider);
    backlog->is_asked = true;
    backlog->queued = obstacle.reason;
    return obstacle.reason;
}

static void count(struct backlog *backlog, bool is_due, int64_t age_ms, enum reason reason,
                  struct utc_time due, struct utc_time deadline)
{
    if (deadline.ms != UTC_NEVER.ms)
        backlog->deadline = utc_later(backlog->deadline, deadline);
    if (!is_due) {
        backlog->coming++;
        return;
    }
    backlog->waiting++;
    backlog->reasons[reason]++;
    backlog->oldest = utc_sooner(backlog->oldest, due);
    for (uint32_t i = 0; i < BACKLOG_AGES; i++)
        if (age_ms < backlog_age_ms[i]) {
            backlog->ages[i]++;
            return;
        }
}

static void add(const struct look *look, uint32_t place, struct utc_time due, enum reason reason,
                struct utc_time deadline)
{
    const struct scheduler *scheduler = look->scheduler;
    const struct institution *institution = &scheduler->institutions[place];
    const struct provider *provider = &scheduler->providers[institution->provider];
    int64_t age_ms = scheduler->now.utc.ms - due.ms;
    bool is_due = age_ms >= 0;

    if (provider->is_configured)
        count(&look->providers[provider->settings_index], is_due, age_ms, reason, due, deadline);
    if (institution->is_configured)
        count(&look->institutions[institution->settings_index], is_due, age_ms, reason, due,
              deadline);
}

/* Why a slot that is due sleeps on: the schedule, the consent itself, or nothing but the next
 * step. */
static enum reason parked_reason(const struct scheduler *scheduler, const struct run *run,
                                 uint32_t consent)
{
    struct obstacle obstacle = run_schedule_obstacle(scheduler, run->schedule);

    if (obstacle.reason != REASON_NONE)
        return obstacle.reason;
    if (consent_paused_until(scheduler, consent, scheduler->now.utc).ms > scheduler->now.utc.ms)
        return REASON_PAUSED;
    return consent_obstacle(scheduler, consent, scheduler->now.utc, false).reason;
}

static void add_slot(const struct look *look, const struct run *run, uint32_t index)
{
    const struct scheduler *scheduler = look->scheduler;
    const struct slot *slot = &scheduler->slots[index];
    uint32_t place = scheduler->consents[slot->consent].institution;
    enum reason reason = REASON_NONE;

    switch ((enum slot_state)slot->state) {
    case SLOT_READY: reason = queued_reason(look, place); break;
    case SLOT_SLEEPING:
    case SLOT_PARKED: reason = parked_reason(scheduler, run, slot->consent); break;
    case SLOT_PAUSED: reason = REASON_PAUSED; break;
    case SLOT_JOB:
    case SLOT_DONE: return;
    }
    add(look, place, run_slot_due(scheduler, index), reason, run->deadline);
}

/* Jobs between two attempts, and manual ones before their first. */
static void add_job(const struct look *look, const struct job *job)
{
    const struct scheduler *scheduler = look->scheduler;
    bool is_waiting = job->state == JOB_NEW || job->state == JOB_RETRY_WAIT ||
                      (job->state == JOB_IN_DOUBT && job->wants_repeat);
    enum reason reason = job->wait_reason;

    if (!is_waiting)
        return;
    if (job->waits_for_budget)
        reason = REASON_RETRY_BUDGET;
    else if (job->is_queued)
        reason = queued_reason(look, job->institution);
    add(look, job->institution, utc_sooner(job->due, scheduler->now.utc), reason,
        job_deadline(scheduler, job));
}

/* ---- what is to be expected ---- */

/* The slowest of the node's own limits. */
static int64_t slowest_us(const struct limit_node *node, int64_t usual_us, enum reason *bound)
{
    int64_t slowest = 0;
    int64_t held_us;

    *bound = REASON_NONE;
    for (uint32_t i = 0; i < node->window_count; i++) {
        int64_t interval_us = node->windows[i].span_us / node->windows[i].count;

        if (interval_us > slowest)
            slowest = interval_us;
    }
    if (node->pace_settings.learns && pace_interval_us(&node->pace) > slowest)
        slowest = pace_interval_us(&node->pace);
    if (slowest > 0)
        *bound = REASON_RATE;
    held_us = node->jobs_max > 0 ? usual_us / node->jobs_max : 0;
    if (held_us > slowest) {
        slowest = held_us;
        *bound = REASON_CONCURRENCY;
    }
    return slowest;
}

static void expect(struct backlog *backlog, struct utc_time now, int64_t interval_us,
                   enum reason bound)
{
    uint32_t all = backlog->waiting + backlog->coming;
    int64_t room;

    backlog->interval_us = interval_us;
    backlog->bound = bound;
    backlog->by_deadline = all;
    if (interval_us == 0)
        return;
    backlog->done_by = utc_add_ms(now, (int64_t)all * interval_us / US_PER_MS);
    if (backlog->deadline.ms == UTC_NONE.ms)
        return;
    room = backlog->deadline.ms > now.ms ? (backlog->deadline.ms - now.ms) * US_PER_MS / interval_us
                                         : 0;
    if (room < all)
        backlog->by_deadline = (uint32_t)room;
}

/* An institution is as slow as its own limits, or as its part of its provider's. */
static void expect_institution(const struct look *look, const struct institution *institution)
{
    const struct scheduler *scheduler = look->scheduler;
    const struct provider *provider = &scheduler->providers[institution->provider];
    struct backlog *own = &look->institutions[institution->settings_index];
    enum reason bound;
    int64_t own_us = slowest_us(&institution->node, institution->jobs_share.usual_us, &bound);

    if (provider->is_configured && own->waiting + own->coming > 0) {
        const struct backlog *all = &look->providers[provider->settings_index];
        int64_t part_us = all->interval_us * (int64_t)(all->waiting + all->coming) /
                          (int64_t)(own->waiting + own->coming);

        if (part_us > own_us) {
            own_us = part_us;
            bound = all->bound;
        }
    }
    expect(own, scheduler->now.utc, own_us, bound);
}

static void expect_all(const struct look *look)
{
    const struct scheduler *scheduler = look->scheduler;

    for (uint32_t i = 0; i < scheduler->provider_places_count; i++) {
        const struct provider *provider = &scheduler->providers[scheduler->provider_places[i]];
        enum reason bound;
        int64_t interval_us = slowest_us(&provider->node, 0, &bound);

        expect(&look->providers[i], scheduler->now.utc, interval_us, bound);
    }
    for (uint32_t i = 0; i < scheduler->institution_places_count; i++)
        expect_institution(look, &scheduler->institutions[scheduler->institution_places[i]]);
}

static void clear(struct backlog *backlogs, uint32_t backlog_count)
{
    for (uint32_t i = 0; i < backlog_count; i++)
        backlogs[i] =
            (struct backlog){.oldest = UTC_NEVER, .deadline = UTC_NONE, .done_by = UTC_NEVER};
}

void scheduler_backlog(const struct scheduler *scheduler, struct time_now now,
                       struct backlog *providers, struct backlog *institutions)
{
    struct scheduler copy = *scheduler; /* everything behind it is only read */
    struct look look = {.scheduler = &copy, .providers = providers, .institutions = institutions};

    copy.now = now;
    clear(providers, scheduler->provider_places_count);
    clear(institutions, scheduler->institution_places_count);
    for (uint32_t i = 0; i < scheduler->run_capacity; i++) {
        const struct run *run = &scheduler->runs[i];

        if (!run->in_use)
            continue;
        for (uint32_t slot = run->first; slot < run->first + run->count; slot++)
            add_slot(&look, run, slot);
    }
    for (uint32_t i = 0; i < scheduler->job_capacity; i++)
        if (scheduler->jobs[i].in_use)
            add_job(&look, &scheduler->jobs[i]);
    expect_all(&look);
}
