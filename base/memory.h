/* SPDX-License-Identifier: MIT
 *
 * memory.h - arrays that grow: overflow-checked, new elements zeroed.
 *
 * Layer: base (libc only). The pure core takes its memory through here, and only from
 *        scheduler/room.c and the two ends in scheduler/scheduler.c, so that a step provably
 *        allocates nothing.
 */
#ifndef REFRESHD_BASE_MEMORY_H
#define REFRESHD_BASE_MEMORY_H

#include <stddef.h>

/* Move the array to `count` elements of `size` bytes; elements from `old_count` on are zeroed.
 * NULL, and `array` untouched, when memory is out or count * size overflows. A count of 0 frees
 * the array and answers NULL. `array` may be NULL. */
void *memory_resize(void *array, size_t old_count, size_t count, size_t size);
void memory_release(void *array);

#endif
