/* SPDX-License-Identifier: MIT
 * limit_node.c - see limit_node.h. */
#include "scheduler/limit_node.h"

#include <string.h>

#include "scheduler/retry_delay.h"

static const struct obstacle obstacle_none = {REASON_NONE, {INT64_MIN}, {INT64_MIN}};

void limit_node_clear(struct limit_node *node)
{
    memset(node, 0, sizeof *node);
    node->paused_until = UTC_NONE;
    node->pushback_until.us = INT64_MIN;
    node->next_marked = NONE_INDEX;
    node->recorded.us = INT64_MIN;
    pace_init(&node->pace);
    breaker_init(&node->breaker);
    send_memory_clear(&node->sent);
    open_hours_forget(&node->hours);
}

struct obstacle limit_node_request_obstacle(const struct limit_node *node, struct time_now now)
{
    struct obstacle obstacle = obstacle_none;

    for (uint32_t i = 0; i < node->window_count; i++) {
        struct mono_time at = rate_window_earliest(&node->windows[i], now.mono);

        if (at.us > now.mono.us && at.us > obstacle.mono.us)
            obstacle = (struct obstacle){REASON_RATE, UTC_NEVER, at};
    }
    if (obstacle.reason == REASON_NONE && node->requests_max > 0 &&
        node->requests_in_flight >= node->requests_max)
        obstacle = (struct obstacle){REASON_CONCURRENCY, UTC_NEVER, MONO_NEVER};
    return obstacle;
}

struct obstacle limit_node_window_obstacle(struct limit_node *node, struct utc_time now)
{
    struct obstacle obstacle = obstacle_none;

    obstacle.reason = open_hours_closed(&node->hours, now, &obstacle.utc);
    if (obstacle.reason != REASON_NONE)
        obstacle.mono = MONO_NEVER;
    return obstacle;
}

struct obstacle limit_node_job_obstacle(struct limit_node *node, struct time_now now,
                                        bool is_repeat)
{
    struct obstacle obstacle;

    if (node->paused_until.ms > now.utc.ms)
        return (struct obstacle){REASON_PAUSED, node->paused_until, MONO_NEVER};
    obstacle = limit_node_window_obstacle(node, now.utc);
    if (obstacle.reason == REASON_NONE)
        obstacle = limit_node_breaker_obstacle(node, now.mono);
    if (obstacle.reason == REASON_NONE && !is_repeat && node->jobs_max > 0 &&
        node->jobs_running >= node->jobs_max)
        obstacle = (struct obstacle){REASON_CONCURRENCY, UTC_NEVER, MONO_NEVER};
    if (obstacle.reason == REASON_NONE)
        obstacle = limit_node_pace_obstacle(node, now.mono);
    return obstacle;
}

struct obstacle limit_node_breaker_obstacle(const struct limit_node *node, struct mono_time now)
{
    struct mono_time at = breaker_earliest(&node->breaker, &node->breaker_settings, now);

    return at.us > now.us ? (struct obstacle){REASON_BREAKER, UTC_NEVER, at} : obstacle_none;
}

struct obstacle limit_node_pace_obstacle(const struct limit_node *node, struct mono_time now)
{
    struct mono_time at = pace_earliest(&node->pace, &node->pace_settings, now);

    return at.us > now.us ? (struct obstacle){REASON_RATE, UTC_NEVER, at} : obstacle_none;
}

bool limit_node_pace_binds(const struct limit_node *node)
{
    int64_t learned_us = node->pace_settings.learns ? pace_interval_us(&node->pace) : 0;

    for (uint32_t i = 0; i < node->window_count; i++)
        if (node->windows[i].span_us / node->windows[i].count >= learned_us)
            return false;
    return learned_us > 0;
}

struct obstacle limit_node_pushback_obstacle(const struct limit_node *node, struct mono_time now)
{
    if (node->pushback_until.us <= now.us)
        return obstacle_none;
    return (struct obstacle){REASON_PUSHBACK, UTC_NEVER, node->pushback_until};
}

void limit_node_grant(struct limit_node *node)
{
    for (uint32_t i = 0; i < node->window_count; i++)
        rate_window_grant(&node->windows[i]);
    node->requests_in_flight++;
}

void limit_node_sent(struct limit_node *node, struct mono_time at)
{
    for (uint32_t i = 0; i < node->window_count; i++)
        rate_window_sent(&node->windows[i], at);
    send_memory_note(&node->sent, at);
}

void limit_node_return(struct limit_node *node)
{
    for (uint32_t i = 0; i < node->window_count; i++)
        rate_window_return(&node->windows[i]);
}

void limit_node_answered(struct limit_node *node)
{
    REQUIRE(node->requests_in_flight > 0);
    node->requests_in_flight--;
}

void limit_node_remember(struct limit_node *node, struct mono_time at)
{
    for (uint32_t i = 0; i < node->window_count; i++)
        rate_window_remember(&node->windows[i], at);
    send_memory_note(&node->sent, at);
}

void limit_node_postpone(struct limit_node *node, struct mono_time from, struct mono_time to)
{
    for (uint32_t i = 0; i < node->window_count; i++)
        rate_window_postpone(&node->windows[i], from, to);
}

void limit_node_push_back(struct limit_node *node, struct mono_time now, int64_t retry_after_ms,
                          int64_t first_ms, int64_t max_ms)
{
    bool is_blocked = node->pushback_until.us > now.us;
    int64_t wait_ms = retry_after_ms;
    struct mono_time until;

    if (retry_after_ms < 0)
        wait_ms = retry_delay_doubling_ms(first_ms, max_ms, node->pushback_streak);
    if (wait_ms > max_ms)
        wait_ms = max_ms;
    if (!is_blocked && node->pushback_streak < UINT32_MAX)
        node->pushback_streak++;
    if (is_blocked && retry_after_ms < 0)
        return; /* sent before the wait began: says nothing new */
    until = mono_add_us(now, wait_ms * US_PER_MS);
    if (!is_blocked || until.us > node->pushback_until.us)
        node->pushback_until = until;
}
