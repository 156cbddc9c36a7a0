/* SPDX-License-Identifier: MIT
 * judge_limits.c - see judge_limits.h. */
#include "tests/simulation/judge_limits.h"

#include <stdlib.h>
#include <string.h>

#include "tests/simulation/simulation.h"

/* The machine's clocks may run so much faster or slower than the provider's. */
#define SLACK_PPM (2 * CLOCKS_DRIFT_MAX_PPM)
#define SLACK_US 2000

/* ---- pauses ---- */

static bool is_paused(const struct simulation *s, const struct judged_pause *pause,
                      struct utc_time at)
{
    return !pause->is_ended && pause->until.ms > at.ms && pause->since_us < s->shell.decided_us;
}

static struct judged_pause *pause_of(struct simulation *s, enum scope_kind scope, uint32_t index)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    switch (scope) {
    case SCOPE_ALL: return &s->judge.paused_all;
    case SCOPE_PROVIDER: return &s->judge.providers[snapshot->provider_of[index]].paused;
    case SCOPE_INSTITUTION: return &s->judge.institutions[snapshot->institution_of[index]].paused;
    case SCOPE_SCHEDULE: return &s->judge.schedules[snapshot->schedule_of[index]].paused;
    case SCOPE_CONSENT: return &s->judge.consents[index].paused;
    }
    return NULL;
}

void judge_told(struct simulation *s, const struct event *event)
{
    struct judged_pause *pause;

    switch (event->kind) {
    case EVENT_PAUSE:
    case EVENT_RESUME:
        pause = pause_of(s, event->as.pause.scope, event->as.pause.index);
        pause->until = event->kind == EVENT_PAUSE ? event->as.pause.until : UTC_NONE;
        pause->is_ended = false;
        pause->since_us = s->clocks.true_us;
        simulation_say(s, "%s scope %d index %u", event->kind == EVENT_PAUSE ? "pause" : "resume",
                       (int)event->as.pause.scope, event->as.pause.index);
        break;
    case EVENT_DRAIN: s->judge.drain_heard_us = s->clocks.true_us; break;
    case EVENT_TRIGGER:
        if (event->as.trigger.force && s->judge.consents[event->as.trigger.consent].live_job == 0)
            s->judge.consents[event->as.trigger.consent].is_forced = true;
        break;
    default: break;
    }
}

/* ---- one attempt ---- */

bool judge_is_closed(const struct world_hours *hours, struct utc_time at)
{
    return (hours->has_blackout && time_range_contains(&hours->blackout, at)) ||
           (hours->has_window && !time_range_contains(&hours->window, at));
}

static void judge_hours(struct simulation *s, const struct world_hours *hours, struct utc_time at,
                        const char *what)
{
    if (hours->has_blackout && time_range_contains(&hours->blackout, at))
        judge_fail(s, "an attempt inside a blackout of the %s", what);
    if (hours->has_window && !time_range_contains(&hours->window, at))
        judge_fail(s, "an attempt outside of the windows of the %s", what);
}

static void judge_states(struct simulation *s, const struct judged_job *job, struct utc_time at)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    const struct judged_consent *consent = &s->judge.consents[job->consent];
    const struct consent_settings *settings = &snapshot->consents[job->consent];
    int64_t margin_ms;

    if (!snapshot->has_consent[job->consent] || settings->mode != MODE_ACTIVE)
        judge_fail(s, "an attempt for consent %u, which is %s", job->consent,
                   snapshot->has_consent[job->consent] ? "not refreshed by us" : "removed");
    if (consent->is_held)
        judge_fail(s, "an attempt for consent %u, which is held", job->consent);
    margin_ms =
        snapshot->providers[snapshot->provider_index[snapshot->consent_provider[job->consent]]]
            .expiry_margin_ms;
    if (utc_add_ms(at, margin_ms).ms >= settings->expires.ms ||
        utc_add_ms(at, margin_ms).ms >= consent->learned_expires.ms)
        judge_fail(s, "an attempt for consent %u, which has expired", job->consent);
    if (s->judge.drain_heard_us < s->shell.decided_us)
        judge_fail(s, "an attempt while draining");
}

static void judge_run_of_job(struct simulation *s, const struct judged_job *job, struct utc_time at)
{
    const struct judged_run *run = NULL;

    for (uint32_t i = s->judge.run_count; i > 0 && run == NULL; i--)
        if (s->judge.runs[i - 1].number == job->run)
            run = &s->judge.runs[i - 1];
    if (run == NULL || !run->is_open)
        judge_fail(s, "an attempt for run %u, which is closed", job->run);
    if (at.ms >= run->deadline.ms)
        judge_fail(s, "an attempt for run %u after its deadline", run->number);
    if (is_paused(s, &s->judge.schedules[run->schedule].paused, at))
        judge_fail(s, "an attempt for run %u while its schedule is paused", run->number);
    /* What people start by hand goes anyway; a schedule that is gone has no hours. */
    if (run->trigger != TRIGGER_ONCE && s->judge.schedules[run->schedule].is_there)
        judge_hours(s, &s->judge.schedules[run->schedule].hours, at, "schedule");
}

/* A run whose schedule was gone at a start: its jobs go on like those that people began. */
static bool is_orphan(struct simulation *s, uint32_t number)
{
    const struct stored_run *run = memory_store_run(&s->store, number);

    return run != NULL && run->is_orphan;
}

static void judge_room(struct simulation *s, const struct judged_node *node, const char *what)
{
    if (node->limits.jobs_running_max > 0 && node->running >= node->limits.jobs_running_max)
        judge_fail(s, "a job begins while %u of %u run at the %s", node->running,
                   node->limits.jobs_running_max, what);
}

void judge_may_initiate(struct simulation *s, const struct judged_job *job, struct utc_time at)
{
    const struct judged_node *institution = &s->judge.institutions[job->institution];
    const struct judged_node *provider =
        &s->judge.providers[s->world.institutions[job->institution].provider];

    judge_states(s, job, at);
    if (is_paused(s, &s->judge.paused_all, at) || is_paused(s, &provider->paused, at) ||
        is_paused(s, &institution->paused, at) ||
        is_paused(s, &s->judge.consents[job->consent].paused, at))
        judge_fail(s, "an attempt for consent %u, which is paused", job->consent);
    judge_hours(s, &provider->hours, at, "provider");
    judge_hours(s, &institution->hours, at, "institution");
    if (job->run != 0 && !is_orphan(s, job->run))
        judge_run_of_job(s, job, at);
    if (job->is_running) /* in doubt: it has kept its place */
        return;
    judge_room(s, provider, "provider");
    judge_room(s, institution, "institution");
}

/* ---- quota and cooldown ---- */

void judge_charge(struct simulation *s, uint32_t number, uint64_t job, uint16_t attempt,
                  struct utc_time at)
{
    struct judged_consent *consent = &s->judge.consents[number];

    if (consent->charge_count == JUDGE_CHARGES)
        consent->charge_count--;
    memmove(consent->charges + 1, consent->charges,
            consent->charge_count * sizeof *consent->charges);
    consent->charges[0] =
        (struct judged_charge){at, job, attempt, s->shell.decided_us, s->shell.life};
    consent->charge_count++;
}

void judge_charge_answered(struct simulation *s, uint32_t number, const struct record *record)
{
    struct judged_consent *consent = &s->judge.consents[number];

    for (uint32_t i = 0; i < consent->charge_count; i++) {
        if (consent->charges[i].job != record->as.answer.job ||
            consent->charges[i].attempt != record->as.answer.attempt)
            continue;
        consent->charges[i].sent = record->as.answer.sent;
        if (record->as.answer.is_charged)
            return;
        consent->charge_count--;
        memmove(consent->charges + i, consent->charges + i + 1,
                (consent->charge_count - i) * sizeof *consent->charges);
        return;
    }
}

static int64_t spacing_ms(const struct simulation *s, const struct judged_charge *charge,
                          const struct cooldown_settings *cooldown)
{
    const struct judged_job *job = &s->judge.jobs[charge->job];

    switch (job->outcome) {
    case OUTCOME_REFRESHED:
    case OUTCOME_PARTIAL:
    case OUTCOME_DEDUPLICATED: return cooldown->after_success_ms;
    case OUTCOME_FAILED:
    case OUTCOME_RECONNECT_REQUIRED: return cooldown->after_failure_ms;
    case OUTCOME_NONE: /* tried again: its last attempt has failed */
        return cooldown->after_failure_ms < cooldown->after_accept_ms ? cooldown->after_failure_ms
                                                                      : cooldown->after_accept_ms;
    default: return cooldown->after_accept_ms;
    }
}

/* How long ago a charge was, as far as anybody can know. A step of the wall clock is put right in
 * the life that sees it; what was written down before says nothing to the next one. */
static int64_t charge_age_ms(const struct simulation *s, const struct judged_charge *charge,
                             struct utc_time at, bool is_new_to_life)
{
    int64_t age_ms = (s->clocks.true_us - charge->true_us) / US_PER_MS;

    /* Nobody told this life of it: its provider was not there when it began, or no wait that was
     * configured then reached so far back. */
    if (charge->life != s->shell.life &&
        (is_new_to_life || charge->sent.ms <= s->store.recovered_since_ms))
        return INT64_MAX;
    if (s->clocks.stepped_us == INT64_MIN)
        return at.ms - charge->sent.ms;
    /* The clocks drift, and the smallest steps go unnoticed. */
    return charge->life == s->shell.life ? age_ms + age_ms / 1000 + 10 * MS_PER_SECOND : INT64_MAX;
}

void judge_consent_clocks(struct simulation *s, const struct judged_job *job, struct utc_time at)
{
    const struct judged_consent *consent = &s->judge.consents[job->consent];
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    const struct provider_settings *settings =
        &snapshot->providers[snapshot->provider_index[snapshot->consent_provider[job->consent]]];
    bool is_new = s->judge.providers[snapshot->consent_provider[job->consent]].is_new_to_life;
    uint32_t used = 0;

    for (uint32_t i = 0; i < consent->charge_count; i++) {
        int64_t age_ms = charge_age_ms(s, &consent->charges[i], at, is_new);

        used += age_ms < settings->quota.window_ms;
        simulation_say(s, "charge %u of consent %u: %lld ms ago, job %llu", i, job->consent,
                       (long long)age_ms, (unsigned long long)consent->charges[i].job);
    }
    if (settings->quota.count > 0 && used >= settings->quota.count)
        judge_fail(s, "consent %u is sent to, and %u of its quota of %u are used", job->consent,
                   used, settings->quota.count);
    if (consent->charge_count > 0 && !job->is_forced) {
        int64_t ms = spacing_ms(s, &consent->charges[0], &settings->cooldown);

        if (charge_age_ms(s, &consent->charges[0], at, is_new) < ms)
            judge_fail(s, "consent %u is sent to %lld ms before its cooldown ends", job->consent,
                       (long long)(ms - charge_age_ms(s, &consent->charges[0], at, is_new)));
    }
}

/* ---- hand-overs ---- */

static void judge_rate(struct simulation *s, const struct judged_node *node,
                       const struct rate *rate, const char *what)
{
    int64_t span_us = rate->span_ms * US_PER_MS;
    int64_t slack_us = span_us / 1000000 * SLACK_PPM + SLACK_US;
    const struct judged_send *first;

    if (node->send_count <= rate->count)
        return;
    /* With this one there are one too many if the one `count` before it is so near. */
    first = &node->sends[node->send_count - 1 - rate->count];
    if (first->true_us <= s->clocks.true_us - span_us + slack_us)
        return;
    if (first->life != s->shell.life && s->judge.step_before_life_us >= first->true_us)
        return; /* what was recorded by a clock that has been set says nothing */
    for (uint32_t i = node->send_count - 1 - rate->count; i < node->send_count; i++)
        simulation_say(s, "sent %lld ms ago in life %u: kind %d, consent %u",
                       (long long)((s->clocks.true_us - node->sends[i].true_us) / US_PER_MS),
                       node->sends[i].life, (int)node->sends[i].kind, node->sends[i].consent);
    judge_fail(s, "%u requests within %lld ms at the %s, %u/%lld ms are allowed", rate->count + 1,
               (long long)((s->clocks.true_us - first->true_us) / US_PER_MS), what, rate->count,
               (long long)rate->span_ms);
}

static void note_send(struct simulation *s, struct judged_node *node,
                      const struct sim_request *request, const char *what)
{
    if (request->performed_us < node->changed_us)
        return; /* decided under other limits */
    if (node->send_count == node->send_capacity) {
        node->send_capacity = 2 * node->send_capacity + 256;
        node->sends = realloc(node->sends, node->send_capacity * sizeof *node->sends);
        REQUIRE(node->sends != NULL);
    }
    node->sends[node->send_count++] =
        (struct judged_send){s->clocks.true_us, s->shell.life, request->kind, request->consent};
    for (uint32_t i = 0; i < node->limits.rate_count; i++)
        judge_rate(s, node, &node->limits.rates[i], what);
}

void judge_sent(struct simulation *s, const struct sim_request *request)
{
    note_send(s, &s->judge.providers[request->provider], request, "provider");
    if (request->kind == REQUEST_INITIATE && !s->judge.jobs[request->job].is_repeat)
        s->judge.jobs[request->job].first_sent_us = s->clocks.true_us;
    if (request->kind == REQUEST_INITIATE)
        note_send(s, &s->judge.institutions[s->judge.jobs[request->job].institution], request,
                  "institution");
}

/* Requests of one job, one account, or one consent that is looked up without a job. */
static bool are_alike(const struct sim_request *a, const struct sim_request *b)
{
    if (a->kind == REQUEST_TOKEN || b->kind == REQUEST_TOKEN)
        return a->kind == b->kind && a->provider == b->provider;
    if (a->job_slot == NO_JOB || b->job_slot == NO_JOB)
        return a->job_slot == b->job_slot && a->consent == b->consent;
    return a->job == b->job;
}

void judge_effect(struct simulation *s, const struct sim_request *request)
{
    uint32_t max = s->judge.providers[request->provider].limits.requests_in_flight_max;

    if (max > 0 && s->shell.out[request->provider] > max)
        judge_fail(s, "%u requests are out at a provider that takes %u",
                   s->shell.out[request->provider], max);
    for (uint32_t i = 0; i < s->shell.request_capacity; i++) {
        const struct sim_request *other = &s->shell.requests[i];

        if (other != request && other->in_use && !other->is_dead && are_alike(other, request))
            judge_fail(s, "two requests of one %s are out",
                       request->kind == REQUEST_TOKEN ? "account" : "job");
    }
}

void judge_accepted(struct simulation *s, const struct sim_request *request)
{
    struct judged_consent *consent = &s->judge.consents[request->consent];
    const struct quota_settings *quota = &s->world.providers[request->provider].settings.quota;
    uint32_t kept =
        consent->accepted_count < JUDGE_CHARGES - 1 ? consent->accepted_count : JUDGE_CHARGES - 1;
    int64_t window_us = quota->window_ms * US_PER_MS - 60 * US_PER_SECOND;

    memmove(consent->accepted_us + 1, consent->accepted_us, kept * sizeof *consent->accepted_us);
    /* What a repeat begins was charged when it was sent for the first time. */
    consent->accepted_us[0] =
        s->judge.jobs[request->job].is_repeat && s->judge.jobs[request->job].is_open
            ? s->judge.jobs[request->job].first_sent_us
            : s->clocks.true_us;
    consent->accepted_count = kept + 1;
    if (quota->count > 0 && consent->accepted_count > quota->count &&
        !s->judge.providers[request->provider].is_new_to_life &&
        !s->judge.jobs[request->job].is_blind &&
        consent->accepted_us[quota->count] > s->clocks.true_us - window_us &&
        consent->accepted_us[quota->count] > s->clocks.stepped_us)
        judge_fail(s, "the provider has accepted %u jobs for consent %u in its quota window",
                   quota->count + 1, request->consent);
}

/* ---- settings and lives ---- */

static bool same_limits(const struct limit_settings *a, const struct limit_settings *b)
{
    if (a->rate_count != b->rate_count)
        return false;
    for (uint32_t i = 0; i < a->rate_count; i++)
        if (a->rates[i].count != b->rates[i].count || a->rates[i].span_ms != b->rates[i].span_ms)
            return false;
    return true;
}

static void adopt_node(struct simulation *s, struct judged_node *node,
                       const struct world_node *world, bool is_there)
{
    if (!same_limits(&node->limits, &world->limits) || !node->is_there) {
        node->changed_us = s->clocks.true_us;
        node->send_count = 0;
    }
    node->is_there = is_there;
    node->limits = world->limits;
    node->hours = world->hours;
}

static void adopt_schedules(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    for (uint32_t i = 0; i < s->world.schedule_count; i++) {
        struct judged_schedule *schedule = &s->judge.schedules[i];
        uint32_t index = snapshot->schedule_index[i];

        if (index == WORLD_NONE) {
            schedule->is_there = false;
            continue;
        }
        if (!schedule->is_there || schedule->revision != snapshot->schedules[index].revision) {
            schedule->generation++;
            schedule->accounted = simulation_now(s).utc;
            schedule->local_ms = INT64_MIN;
            schedule->opened_for = UTC_NONE;
        }
        schedule->hours = s->world.schedules[i].hours;
        schedule->is_there = true;
        schedule->revision = snapshot->schedules[index].revision;
        if (snapshot->schedules[index].retry.attempts_max > schedule->attempts_max)
            schedule->attempts_max = snapshot->schedules[index].retry.attempts_max;
    }
}

void judge_reloaded(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    for (uint32_t i = 0; i < s->world.provider_count; i++)
        if ((snapshot->provider_index[i] != WORLD_NONE) != s->judge.providers[i].is_there)
            simulation_say(s, "provider %u %s", i,
                           snapshot->provider_index[i] != WORLD_NONE ? "comes" : "goes");

    for (uint32_t i = 0; i < s->world.provider_count; i++)
        adopt_node(s, &s->judge.providers[i], &s->world.providers[i].node,
                   snapshot->provider_index[i] != WORLD_NONE);
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        adopt_node(s, &s->judge.institutions[i], &s->world.institutions[i].node,
                   snapshot->institution_index[i] != WORLD_NONE);
    adopt_schedules(s);
    s->judge.adopted_us = s->clocks.true_us;
}

/* A pause that has ended when a life begins is nothing to it, even if the wall clock is put back; a
 * later life that begins before its end is told of it again. */
static void forget_pause(const struct simulation *s, struct judged_pause *pause)
{
    pause->is_ended = pause->until.ms <= simulation_now(s).utc.ms;
}

static void forget_pauses(struct simulation *s)
{
    forget_pause(s, &s->judge.paused_all);
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        forget_pause(s, &s->judge.providers[i].paused);
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        forget_pause(s, &s->judge.institutions[i].paused);
    for (uint32_t i = 0; i < s->world.schedule_count; i++)
        forget_pause(s, &s->judge.schedules[i].paused);
    for (uint32_t c = 1; c <= s->world.consent_max; c++)
        forget_pause(s, &s->judge.consents[c].paused);
}

/* Nobody tells a life to which bank a consent belonged that is gone when it begins; only its
 * provider counts what was sent for it. */
static void forget_gone(struct simulation *s, struct judged_node *node)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < node->send_count; i++)
        if (snapshot->has_consent[node->sends[i].consent])
            node->sends[kept++] = node->sends[i];
    node->send_count = kept;
}

void judge_restarting(struct simulation *s)
{
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        forget_gone(s, &s->judge.institutions[i]);
    forget_pauses(s);
    s->judge.step_before_life_us = s->clocks.stepped_us;
    s->judge.drain_heard_us = INT64_MAX;
    for (uint32_t c = 1; c <= s->world.consent_max; c++)
        s->judge.consents[c].is_forced = false;
    for (uint64_t job = 1; job <= s->judge.job_max; job++) {
        s->judge.jobs[job].is_forced = false;
        s->judge.jobs[job].success_told = false; /* what was told and not recorded is forgotten */
    }
    judge_reloaded(s);
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        s->judge.providers[i].is_new_to_life = !s->judge.providers[i].is_there;
}
