/* SPDX-License-Identifier: MIT
 *
 * sandbox_names.h - texts to small numbers, each text kept once.
 *
 * Layer: sandbox (base only).
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_NAMES_H
#define REFRESHD_SANDBOX_SANDBOX_NAMES_H

#include <stdint.h>

#include "base/arena.h"

#define SANDBOX_NAME_NONE UINT32_MAX

struct sandbox_names {
    struct arena arena;
    const char **texts; /* by number */
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots; /* number + 1, 0 when free; open addressing, a power of two */
    uint32_t slot_count;
};

void sandbox_names_init(struct sandbox_names *names);
void sandbox_names_deinit(struct sandbox_names *names);
/* The number of the text, made when it is new; SANDBOX_NAME_NONE when memory is out. */
uint32_t sandbox_names_number(struct sandbox_names *names, const char *text);
/* The text of a number given out before. */
const char *sandbox_names_text(const struct sandbox_names *names, uint32_t number);

#endif
