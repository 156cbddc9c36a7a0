/* SPDX-License-Identifier: MIT
 *
 * engine_control.h - what people ask of a running engine, over the control socket.
 *
 * Layer:    daemon.
 * Requests: one JSON object a line, "command" and its arguments:
 *             {"command":"status"}
 *             {"command":"why","consent":"P/ID"}
 *             {"command":"pause","scope":S,"subject":T,"until":INSTANT|null,"reason":R}
 *             {"command":"resume","scope":S,"subject":T,"reason":R}
 *             {"command":"reset","provider":P,"institution":I,"reason":R}
 *             {"command":"release","consent":"P/ID"} or {"command":"release","provider":P,
 *                 "institution":I,"hold_reason":H,"reason":R,"dry_run":true|false}
 *             {"command":"trigger","consent":"P/ID","reason":R}
 *             {"command":"drain"}   {"command":"reload","accept_shrink":true|false}
 *           scope: all, provider, institution, schedule, consent; subject as in state_store_pause.
 * Answers:  lines of JSON, then the end line of control_socket.h. Changes are durable, audit row
 *           included, before the end line is sent.
 */
#ifndef REFRESHD_DAEMON_ENGINE_CONTROL_H
#define REFRESHD_DAEMON_ENGINE_CONTROL_H

#include "base/result.h"

struct engine;
struct engine_control;

MUST_CHECK enum result engine_control_open(struct engine *engine, struct engine_control **control,
                                           struct fault *fault);
void engine_control_close(struct engine_control *control); /* NULL is fine */

#endif
