/* SPDX-License-Identifier: MIT
 *
 * dispatch.h - who goes next: polls and initiations of each provider, as far as the limits allow.
 *
 * Layer:  scheduler (pure), private to this folder.
 * Share:  where both polls and initiations wait for a provider's rate they alternate, so neither
 *         starves the other.
 * Cost:   work per request sent, per institution that gets blocked and per provider; never per
 *         waiting consent.
 */
#ifndef REFRESHD_SCHEDULER_DISPATCH_H
#define REFRESHD_SCHEDULER_DISPATCH_H

#include "scheduler/core.h"

/* Let time open institutions, then send whatever may go. */
void dispatch_all(struct scheduler *scheduler);
/* What stands in the way of an initiation (or of sending one again that is in doubt) at the
 * institution's own node. */
struct obstacle dispatch_institution_obstacle(const struct scheduler *scheduler,
                                              struct institution *institution, bool is_repeat);

#endif
