/* SPDX-License-Identifier: MIT
 *
 * state_node.h - what was learned about providers and institutions: RECORD_NODE as rows, and back.
 *
 * Layer: state. Private to state/.
 */
#ifndef REFRESHD_STATE_STATE_NODE_H
#define REFRESHD_STATE_STATE_NODE_H

#include "state/state_recover.h"

/* Inside a transaction. */
MUST_CHECK enum result state_node_commit(struct state_store *store, const struct record *record,
                                         struct fault *fault);
/* Give all that is known of nodes that are configured to the core. */
MUST_CHECK enum result state_node_recover(struct recovery *recovery, struct fault *fault);

#endif
