/* SPDX-License-Identifier: MIT
 *
 * control_client.h - the commands' end of the control socket; blocks.
 *
 * Layer: daemon.
 */
#ifndef REFRESHD_DAEMON_CONTROL_CLIENT_H
#define REFRESHD_DAEMON_CONTROL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

/* Send `request` (one JSON object on one line, without newline) to the socket at `path`; call
 * `on_line` (may be NULL) for each line before the last. RESULT_OK when the last line says ok.
 * Faults: what the last line says, with its exit status; FAULT_UNAVAILABLE when nobody listens;
 * FAULT_PERMISSION; FAULT_TEMPORARY when nothing comes for `timeout_ms` or the answer breaks off.
 */
enum result control_client_call(const char *path, const char *request, int64_t timeout_ms,
                                void (*on_line)(void *context, const char *line, size_t length),
                                void *context, struct fault *fault) MUST_CHECK;

#endif
