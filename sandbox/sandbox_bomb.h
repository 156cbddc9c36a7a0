/* SPDX-License-Identifier: MIT
 *
 * sandbox_bomb.h - a gzip stream that is small on the wire and large when unpacked.
 *
 * Layer: sandbox (base only). Pure.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_BOMB_H
#define REFRESHD_SANDBOX_SANDBOX_BOMB_H

#include <stdint.h>

#include "base/text.h"

/* Append a gzip member that unpacks to at least `unpacked_bytes` blanks: about 1/150 of it. */
void sandbox_bomb_write(struct text *out, uint64_t unpacked_bytes);

#endif
