/* SPDX-License-Identifier: MIT
 *
 * control_call.h - asking whoever holds the lock, and knowing when nobody does.
 *
 * Layer: command.
 */
#ifndef REFRESHD_COMMAND_CONTROL_CALL_H
#define REFRESHD_COMMAND_CONTROL_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "command/command_line.h"

/* Is a `serve` or `once` running on this configuration's state database? */
bool control_is_running(const struct config *config);

/* Send `request` (taken over) to the lock's holder; each answer line is given to `on_line` as an
 * object. FAULT_UNAVAILABLE where nobody listens. */
MUST_CHECK enum result control_call(const struct config *config, json_t *request,
                                    void (*on_line)(void *context, const json_t *line),
                                    void *context, struct fault *fault);

/* "uid 1000 (anna)": for audit rows of changes made without a daemon. */
const char *control_whoami(void);

#endif
