/* SPDX-License-Identifier: MIT
 *
 * virtual_shell_request.h - requests of the virtual shell: out, handed over, answered.
 *
 * Layer: tests (simulation), between the files virtual_shell*.c.
 */
#ifndef REFRESHD_TESTS_SIMULATION_VIRTUAL_SHELL_REQUEST_H
#define REFRESHD_TESTS_SIMULATION_VIRTUAL_SHELL_REQUEST_H

#include "tests/simulation/virtual_shell.h"

void virtual_shell_perform(struct simulation *simulation, const struct effect *effect);
/* The process died: what was not handed over never leaves, nobody waits for the rest. */
void virtual_shell_drop_requests(struct simulation *simulation);
/* Queue an event and plan a turn. */
void virtual_shell_request_event(struct simulation *simulation, const struct event *event);

#endif
