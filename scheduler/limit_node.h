/* SPDX-License-Identifier: MIT
 *
 * limit_node.h - one node of the limit tree: rates, concurrency, open hours, pause, pushback.
 *
 * Layer:  scheduler (pure), private to this folder. struct limit_node is in core.h.
 * Permit: a request pays every rate of a node at once, so the pending permits of all its windows
 *         are equal.
 */
#ifndef REFRESHD_SCHEDULER_LIMIT_NODE_H
#define REFRESHD_SCHEDULER_LIMIT_NODE_H

#include "scheduler/core.h"

void limit_node_clear(struct limit_node *node);

/* Rates and in-flight requests: may one more request go? */
struct obstacle limit_node_request_obstacle(const struct limit_node *node, struct time_now now);
/* Running jobs, open hours, pause, breaker, learned pace: may one more initiation go? (beside the
 * above) A repeat has its place among the running jobs already. */
struct obstacle limit_node_job_obstacle(struct limit_node *node, struct time_now now,
                                        bool is_repeat);
/* Blackouts, maintenance and windows alone; the answer is kept until it can change. */
struct obstacle limit_node_window_obstacle(struct limit_node *node, struct utc_time now);
/* The breaker alone, and the learned pace alone. */
struct obstacle limit_node_breaker_obstacle(const struct limit_node *node, struct mono_time now);
struct obstacle limit_node_pace_obstacle(const struct limit_node *node, struct mono_time now);
/* Is the learned pace slower than every configured rate? */
bool limit_node_pace_binds(const struct limit_node *node);
struct obstacle limit_node_pushback_obstacle(const struct limit_node *node, struct mono_time now);

void limit_node_grant(struct limit_node *node); /* a request goes out */
void limit_node_sent(struct limit_node *node, struct mono_time at);
void limit_node_return(struct limit_node *node); /* it never reached the socket */
void limit_node_answered(struct limit_node *node);
/* A request remembered from before the start. */
void limit_node_remember(struct limit_node *node, struct mono_time at);
void limit_node_postpone(struct limit_node *node, struct mono_time from, struct mono_time to);

/* The provider asks for a pause of `retry_after_ms` (-1: not said). Doubles from `first_ms`
 * while refusals go on; clamped to `max_ms`. A refusal while blocked only extends the wait. */
void limit_node_push_back(struct limit_node *node, struct mono_time now, int64_t retry_after_ms,
                          int64_t first_ms, int64_t max_ms);

#endif
