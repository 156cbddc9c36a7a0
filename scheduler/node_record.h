/* SPDX-License-Identifier: MIT
 *
 * node_record.h - what was learned about providers and institutions, remembered: RECORD_NODE.
 *
 * Layer:  scheduler (pure), private to this folder. Recovery: scheduler_recover_node.
 * Rare:   a node is recorded when something worth storing changed, and a pace that climbs no more
 *         often than every few seconds; never for each request.
 */
#ifndef REFRESHD_SCHEDULER_NODE_RECORD_H
#define REFRESHD_SCHEDULER_NODE_RECORD_H

#include "scheduler/core.h"

/* The node that a reference names. */
struct limit_node *node_of(struct scheduler *scheduler, uint32_t reference);

/* It owes a record; an urgent one (a breaker, a pause asked for) goes into this batch. */
void node_record_mark(struct scheduler *scheduler, uint32_t reference, bool is_urgent);
/* The retry budget has moved: owe a record when it moved far. */
void node_record_budget(struct scheduler *scheduler, struct provider *provider);
/* At the end of a step: give the records that are due, as far as there is room. */
void node_record_write(struct scheduler *scheduler);

#endif
