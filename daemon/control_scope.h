/* SPDX-License-Identifier: MIT
 *
 * control_scope.h - what a pause covers: from the words of a person to the core's index.
 *
 * Layer: daemon.
 */
#ifndef REFRESHD_DAEMON_CONTROL_SCOPE_H
#define REFRESHD_DAEMON_CONTROL_SCOPE_H

#include "config/consent_table.h"
#include "scheduler/record.h"

struct engine;

struct control_scope {
    enum scope_kind kind;
    uint32_t index;                   /* as in struct event */
    char subject[CONSENT_NAME_BYTES]; /* as in state_store_pause; "" for all */
};

/* `scope` is one of all, provider, institution, schedule, consent; `subject` as in
 * state_store_pause (NULL for all). Faults name what was not found and what is allowed. */
MUST_CHECK enum result control_scope_resolve(const struct engine *engine, const char *scope,
                                             const char *subject, struct control_scope *out,
                                             struct fault *fault);

#endif
