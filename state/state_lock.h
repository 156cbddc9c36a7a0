/* SPDX-License-Identifier: MIT
 *
 * state_lock.h - one holder per state database: only it writes, checkpoints and sends.
 *
 * Layer: state. The lock is on the open file description of DATABASE.lock: it ends with the
 * process, however that ends, and no child has it after exec. The file stays; its text (pid and
 *        command) is for people.
 */
#ifndef REFRESHD_STATE_STATE_LOCK_H
#define REFRESHD_STATE_STATE_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/result.h"

struct state_lock {
    int fd; /* -1: not held */
};

/* Take the lock of `database` without waiting. FAULT_TEMPORARY names the holder;
 * FAULT_CANNOT_CREATE or FAULT_PERMISSION where the file cannot be made. `command` is written into
 * it ("serve"). */
MUST_CHECK enum result state_lock_take(const char *database, const char *command,
                                       struct state_lock *lock, struct fault *fault);
void state_lock_release(struct state_lock *lock);

/* Does somebody hold it? `holder` (may be NULL) gets the text of the lock file, "" when unknown. */
bool state_lock_is_held(const char *database, char *holder, size_t holder_size);

#endif
