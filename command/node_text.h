/* SPDX-License-Identifier: MIT
 *
 * node_text.h - the backlog of a provider or an institution, for people.
 *
 * Layer: command.
 */
#ifndef REFRESHD_COMMAND_NODE_TEXT_H
#define REFRESHD_COMMAND_NODE_TEXT_H

#include <jansson.h>

/* The answer of `why --provider`: one sentence, then the figures. */
void node_text_print(const json_t *node);
/* Lines of `status`: the table of ages. The head comes before the first line. */
void node_text_print_head(void);
void node_text_print_ages(const json_t *node);

#endif
