/* SPDX-License-Identifier: MIT
 *
 * plan_binding.h - which limit a planned run waited for most, or lost most slots to.
 *
 * Layer: daemon, of plan_tally.c alone.
 */
#ifndef REFRESHD_DAEMON_PLAN_BINDING_H
#define REFRESHD_DAEMON_PLAN_BINDING_H

#include "daemon/plan_tally.h"

/* Fill binding and losses of an open run from what was counted. */
void plan_binding_find(struct plan_tally *tally, const struct plan_open_run *open);
/* Fill limit and utilisation of the node of meter `index`. */
void plan_binding_rate(const struct plan_tally *tally, uint32_t index, struct plan_node *node);

#endif
