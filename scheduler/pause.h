/* SPDX-License-Identifier: MIT
 *
 * pause.h - people stop something for a while: everything, a provider, an institution, a schedule
 * or a consent. A pause stops initiations; open jobs are followed.
 *
 * Layer: scheduler (pure), private to this folder.
 */
#ifndef REFRESHD_SCHEDULER_PAUSE_H
#define REFRESHD_SCHEDULER_PAUSE_H

#include "scheduler/core.h"

/* Pause until `until` (UTC_NEVER: until resumed; UTC_NONE: resume). `index` is one of the settings,
 * or a consent number; an unknown one does nothing. */
void pause_set(struct scheduler *scheduler, enum scope_kind scope, uint32_t index,
               struct utc_time until);

#endif
