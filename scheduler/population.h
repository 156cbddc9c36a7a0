/* SPDX-License-Identifier: MIT
 *
 * population.h - consents come, change and go while runs are open.
 *
 * Layer:  scheduler (pure), private to this folder; scheduler_consent_put and _remove live here.
 */
#ifndef REFRESHD_SCHEDULER_POPULATION_H
#define REFRESHD_SCHEDULER_POPULATION_H

#include "scheduler/core.h"

/* A ready or parked slot sleeps again and is judged anew by the next step. */
void population_unqueue_slot(struct scheduler *scheduler, uint32_t slot);
/* Records of what changed between two steps: releases, slots of members that left, jobs of
 * providers that are gone. */
void population_advance(struct scheduler *scheduler);
/* Let a held consent go. Nothing happens when it is not held. */
void population_release(struct scheduler *scheduler, uint32_t consent, enum hold_source source);

#endif
