/* SPDX-License-Identifier: MIT
 *
 * state_key.h - the key under which webhook tokens are made: 32 random bytes in DATABASE.key.
 *
 * Layer: state. Made at the first start, mode 0600, never in the database: whoever may read the
 *        tables cannot make a token. Losing it only makes outstanding callback URLs invalid.
 */
#ifndef REFRESHD_STATE_STATE_KEY_H
#define REFRESHD_STATE_STATE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"

#define STATE_KEY_BYTES 32

/* Read the key, or make it where `create`. A file that others may read, or of another length, is
 * refused with the command that mends it. Wipe `key` with memory_wipe when done. */
MUST_CHECK enum result state_key_load(const char *database, bool create,
                                      uint8_t key[STATE_KEY_BYTES], struct fault *fault);

#endif
