/* SPDX-License-Identifier: MIT
 * provider_gate.c - see provider_gate.h. */
#include "scheduler/provider_gate.h"

#include "scheduler/limit_node.h"
#include "scheduler/retry_delay.h"

/* Refusals of one job with others accepted in between, after which the consent is to blame. */
#define AUTH_STRIKES_MAX 3

void provider_gate_init(struct provider *provider)
{
    *provider = (struct provider){0};
    limit_node_clear(&provider->node);
    provider->calls = (struct work_queue){NONE_INDEX, NONE_INDEX};
    provider->kept_out = (struct work_queue){NONE_INDEX, NONE_INDEX};
    provider->retries = (struct work_queue){NONE_INDEX, NONE_INDEX};
    for (int kind = 0; kind < TURN_KINDS; kind++)
        for (uint32_t level = 0; level < QUEUE_LEVELS; level++)
            provider->rings[kind].turn[level] = NONE_INDEX;
    provider->auth_retry_at.us = INT64_MIN;
    provider->calls_record = NONE_INDEX;
}

static bool token_is_valid(const struct provider *provider, struct mono_time now)
{
    return provider->has_token && provider->token_until.us > now.us;
}

struct obstacle provider_gate_obstacle(const struct scheduler *scheduler,
                                       const struct provider *provider)
{
    struct mono_time now = scheduler->now.mono;
    struct obstacle obstacle;

    if (scheduler->is_draining)
        return (struct obstacle){REASON_DRAINING, UTC_NEVER, MONO_NEVER};
    if (provider->is_stopped && provider->probe_is_out)
        return (struct obstacle){REASON_AUTH, UTC_NEVER, MONO_NEVER};
    if (provider->is_stopped && provider->auth_retry_at.us > now.us)
        return (struct obstacle){REASON_AUTH, UTC_NEVER, provider->auth_retry_at};
    if (provider->settings.needs_token && !token_is_valid(provider, now))
        return (struct obstacle){REASON_AUTH, UTC_NEVER, MONO_NEVER};
    obstacle = limit_node_pushback_obstacle(&provider->node, now);
    return obstacle.reason != REASON_NONE
               ? obstacle
               : limit_node_request_obstacle(&provider->node, scheduler->now);
}

struct obstacle provider_gate_job_obstacle(const struct scheduler *scheduler,
                                           struct provider *provider, bool is_repeat)
{
    if (scheduler->paused_until.ms > scheduler->now.utc.ms)
        return (struct obstacle){REASON_PAUSED, scheduler->paused_until, MONO_NEVER};
    if (!provider->is_configured)
        return (struct obstacle){REASON_REMOVED, UTC_NEVER, MONO_NEVER};
    return limit_node_job_obstacle(&provider->node, scheduler->now, is_repeat);
}

void provider_gate_count_call(struct scheduler *scheduler, struct provider *provider)
{
    struct record *record;

    if (!provider->pays_long)
        return;
    if (provider->calls_record == NONE_INDEX) {
        provider->calls_record = scheduler->batch->record_count;
        record = core_record(scheduler, RECORD_CALLS, NULL);
        record->as.calls.provider = provider->settings_index;
    } else {
        record = &scheduler->batch->records[provider->calls_record];
    }
    record->as.calls.count++;
}

/* What stands in the way of a token call; waits for a failed one count here too. */
static struct obstacle token_obstacle(const struct scheduler *scheduler,
                                      const struct provider *provider)
{
    struct mono_time now = scheduler->now.mono;
    struct obstacle obstacle;

    if (provider->auth_retry_at.us > now.us)
        return (struct obstacle){REASON_AUTH, UTC_NEVER, provider->auth_retry_at};
    obstacle = limit_node_pushback_obstacle(&provider->node, now);
    return obstacle.reason != REASON_NONE
               ? obstacle
               : limit_node_request_obstacle(&provider->node, scheduler->now);
}

void provider_gate_want_token(struct scheduler *scheduler, struct provider *provider)
{
    struct mono_time now = scheduler->now.mono;
    struct obstacle obstacle;
    struct effect *effect;

    if (!provider->settings.needs_token || !provider->is_configured || provider->token_requested ||
        scheduler->is_draining)
        return;
    if (token_is_valid(provider, now) && provider->token_renew_at.us > now.us)
        return;
    obstacle = token_obstacle(scheduler, provider);
    if (obstacle.reason != REASON_NONE) {
        core_wake_mono(scheduler, obstacle.mono);
        return;
    }
    if (!core_has_room(scheduler))
        return;
    provider->token_requested = true;
    provider->token_is_sent = false;
    limit_node_grant(&provider->node);
    scheduler->requests_outstanding++;
    provider_gate_count_call(scheduler, provider);
    effect = core_effect(scheduler);
    effect->request = REQUEST_TOKEN;
    effect->provider = provider->settings_index;
    effect->job_slot = NONE_INDEX;
}

void provider_gate_token_sent(struct provider *provider, struct mono_time at)
{
    if (!provider->token_requested || provider->token_is_sent)
        return;
    provider->token_is_sent = true;
    limit_node_sent(&provider->node, at);
}

/* No request may go but a probe, after a wait that doubles. */
static void gate_stop(struct scheduler *scheduler, struct provider *provider,
                      int64_t retry_after_ms)
{
    const struct provider_settings *settings = &provider->settings;
    int64_t wait_ms = retry_delay_doubling_ms(settings->auth_retry_first_ms,
                                              settings->auth_retry_max_ms, provider->auth_streak);

    if (retry_after_ms > wait_ms)
        wait_ms = retry_after_ms < settings->auth_retry_max_ms ? retry_after_ms
                                                               : settings->auth_retry_max_ms;
    if (provider->auth_streak < UINT32_MAX)
        provider->auth_streak++;
    provider->is_stopped = true;
    provider->has_token = false;
    provider->auth_retry_at = core_mono_in_ms(scheduler, wait_ms > 0 ? wait_ms : 1);
}

void provider_gate_token_ended(struct scheduler *scheduler, struct provider *provider,
                               bool is_granted, bool reached_socket, int64_t lifetime_ms,
                               int64_t retry_after_ms, struct mono_time at)
{
    struct mono_time now = scheduler->now.mono;
    bool old_is_valid = token_is_valid(provider, now);

    if (!provider->token_requested)
        return;
    if (!provider->token_is_sent) {
        if (reached_socket)
            limit_node_sent(&provider->node, at);
        else
            limit_node_return(&provider->node);
    }
    provider->token_requested = false;
    limit_node_answered(&provider->node);
    scheduler->requests_outstanding--;
    if (is_granted) {
        provider->has_token = true;
        provider->is_token_proven = false;
        provider->token_number++;
        provider->token_until = core_mono_in_ms(scheduler, lifetime_ms);
        provider->token_renew_at = core_mono_in_ms(scheduler, lifetime_ms - lifetime_ms / 5);
        if (!provider->is_stopped)
            provider->auth_streak = 0;
    } else {
        bool was_stopped = provider->is_stopped;

        gate_stop(scheduler, provider, retry_after_ms);
        if (old_is_valid) { /* nothing new stops while it is good; only the next try waits */
            provider->is_stopped = was_stopped;
            provider->has_token = true;
        }
    }
}

void provider_gate_sending(struct provider *provider, struct gate_pass *pass)
{
    pass->token_number = provider->token_number;
    pass->is_probe = provider->is_stopped;
    if (pass->is_probe)
        provider->probe_is_out = true;
}

void provider_gate_accepted(struct scheduler *scheduler, struct provider *provider,
                            struct gate_pass *pass, bool is_answered)
{
    bool was_probe = pass->is_probe;

    pass->is_probe = false;
    if (was_probe)
        provider->probe_is_out = false;
    if (!is_answered) {
        if (was_probe && provider->is_stopped) /* the probe was lost: says nothing, try later */
            gate_stop(scheduler, provider, -1);
        return;
    }
    provider->answers_accepted++;
    pass->answers_accepted = provider->answers_accepted;
    if (pass->token_number == provider->token_number) {
        provider->is_token_proven = true;
        provider->is_token_second = false;
    }
    if (was_probe) {
        provider->is_stopped = false;
        provider->auth_streak = 0;
    }
}

bool provider_gate_refused(struct scheduler *scheduler, struct provider *provider,
                           struct gate_pass *pass)
{
    bool was_probe = pass->is_probe;

    pass->is_probe = false;
    if (was_probe)
        provider->probe_is_out = false;
    if (provider->answers_accepted != pass->answers_accepted && pass->strikes < UINT8_MAX)
        pass->strikes++;
    pass->answers_accepted = provider->answers_accepted;
    if (provider->is_stopped) {
        if (was_probe)
            gate_stop(scheduler, provider, -1);
        return true;
    }
    if (pass->strikes >= AUTH_STRIKES_MAX)
        return false;
    if (!provider->settings.needs_token) {
        gate_stop(scheduler, provider, -1);
    } else if (pass->token_number == provider->token_number && provider->has_token) {
        if (provider->is_token_second && !provider->is_token_proven) {
            gate_stop(scheduler, provider, -1);
        } else {
            provider->has_token = false;
            provider->is_token_second = true;
        }
    }
    return true;
}
