/* SPDX-License-Identifier: MIT
 *
 * control_config.h - the configuration in force, for `refreshd diff`.
 *
 * Layer: daemon.
 */
#ifndef REFRESHD_DAEMON_CONTROL_CONFIG_H
#define REFRESHD_DAEMON_CONTROL_CONFIG_H

#include "daemon/control_socket.h"
#include "daemon/engine.h"

/* Lines {"yaml":"..."} that put together are the effective configuration as `refreshd config`
 * prints it (secrets as references), and {"type":"source","source":...,"consents":N} for each of
 * its sources in order. The caller ends the exchange. */
MUST_CHECK enum result control_config_send(const struct engine *engine,
                                           struct control_exchange *exchange, struct fault *fault);

#endif
