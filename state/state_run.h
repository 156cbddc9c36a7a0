/* SPDX-License-Identifier: MIT
 *
 * state_run.h - one run read from a connection; private to state/.
 *
 * Layer: state.
 */
#ifndef REFRESHD_STATE_STATE_RUN_H
#define REFRESHD_STATE_STATE_RUN_H

#include "state/state_private.h"

/* *found false: there is no such run. */
MUST_CHECK enum result state_run_manifest(sqlite3 *db, uint32_t run, struct manifest *manifest,
                                          bool *found, struct fault *fault);

#endif
