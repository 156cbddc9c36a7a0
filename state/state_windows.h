/* SPDX-License-Identifier: MIT
 *
 * state_windows.h - maintenance of institutions that their providers told last.
 *
 * Layer: state, private to this folder.
 */
#ifndef REFRESHD_STATE_STATE_WINDOWS_H
#define REFRESHD_STATE_STATE_WINDOWS_H

#include "state/state_private.h"

/* RECORD_MAINTENANCE: what is told replaces what was told of the institution before. */
enum result state_windows_commit(struct state_store *store, const struct record *record,
                                 struct fault *fault) MUST_CHECK;
/* Give it back to the core, for providers whose lists are still read. */
enum result state_windows_recover(struct state_store *store, struct scheduler *scheduler,
                                  const struct config *config, struct fault *fault) MUST_CHECK;

#endif
