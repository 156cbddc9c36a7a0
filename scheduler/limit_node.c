/* SPDX-License-Identifier: MIT
 * limit_node.c - see limit_node.h. */
#include "scheduler/limit_node.h"

#include <string.h>

#include "scheduler/retry_delay.h"

/* Daily windows that follow each other without a gap for longer than this count as closed until
 * then and are asked again. */
#define WINDOW_HOPS_MAX 16

static const struct obstacle obstacle_none = {REASON_NONE, {INT64_MIN}, {INT64_MIN}};

void limit_node_clear(struct limit_node *node)
{
    memset(node, 0, sizeof *node);
    node->paused_until = UTC_NONE;
    node->pushback_until.us = INT64_MIN;
    limit_node_forget_windows(node);
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

/* Is nothing to be initiated at `at`, and when does that end as far as one look tells? */
static enum reason window_closed(const struct limit_node *node, struct utc_time at,
                                 struct utc_time *end)
{
    struct utc_time opens = UTC_NEVER;

    for (uint32_t i = 0; i < node->blackout_count; i++)
        if (daily_window_contains(&node->blackouts[i], at)) {
            *end = daily_window_next_end(&node->blackouts[i], at);
            return REASON_BLACKOUT;
        }
    for (uint32_t i = 0; i < node->allowed_count; i++) {
        if (daily_window_contains(&node->allowed[i], at))
            return REASON_NONE;
        opens = utc_sooner(opens, daily_window_next_start(&node->allowed[i], at));
    }
    *end = opens;
    return node->allowed_count > 0 ? REASON_WINDOW : REASON_NONE;
}

/* Open at `now`: the first instant that may change that. */
static struct utc_time window_next_change(const struct limit_node *node, struct utc_time now)
{
    struct utc_time change = UTC_NEVER;

    for (uint32_t i = 0; i < node->blackout_count; i++)
        change = utc_sooner(change, daily_window_next_start(&node->blackouts[i], now));
    for (uint32_t i = 0; i < node->allowed_count; i++)
        if (daily_window_contains(&node->allowed[i], now))
            change = utc_sooner(change, daily_window_next_end(&node->allowed[i], now));
    return change;
}

struct obstacle limit_node_window_obstacle(struct limit_node *node, struct utc_time now)
{
    if (node->blackout_count == 0 && node->allowed_count == 0)
        return obstacle_none;
    if (now.ms < node->window_from.ms || now.ms >= node->window_until.ms) {
        struct utc_time at = now;
        struct utc_time end = now;

        node->window_from = now;
        node->window_reason = window_closed(node, now, &end);
        for (int hop = 0; hop < WINDOW_HOPS_MAX && at.ms != UTC_NEVER.ms &&
                          window_closed(node, at, &end) != REASON_NONE;
             hop++)
            at = end;
        node->window_until =
            node->window_reason == REASON_NONE ? window_next_change(node, now) : at;
    }
    if (node->window_reason == REASON_NONE)
        return obstacle_none;
    return (struct obstacle){node->window_reason, node->window_until, MONO_NEVER};
}

void limit_node_forget_windows(struct limit_node *node)
{
    node->window_from = UTC_NEVER;
    node->window_until = UTC_NONE;
}

struct obstacle limit_node_job_obstacle(struct limit_node *node, struct time_now now,
                                        bool is_repeat)
{
    struct obstacle obstacle;

    if (node->paused_until.ms > now.utc.ms)
        return (struct obstacle){REASON_PAUSED, node->paused_until, MONO_NEVER};
    obstacle = limit_node_window_obstacle(node, now.utc);
    if (obstacle.reason == REASON_NONE && !is_repeat && node->jobs_max > 0 &&
        node->jobs_running >= node->jobs_max)
        obstacle = (struct obstacle){REASON_CONCURRENCY, UTC_NEVER, MONO_NEVER};
    return obstacle;
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
