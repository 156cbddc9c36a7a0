/* SPDX-License-Identifier: MIT
 * memory.c - see memory.h. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *memory_resize(void *array, size_t old_count, size_t count, size_t size)
{
    unsigned char *resized;

    if (count == 0) {
        free(array);
        return NULL;
    }
    if (size != 0 && count > SIZE_MAX / size)
        return NULL;
    resized = realloc(array, count * size);
    if (resized != NULL && count > old_count)
        memset(resized + old_count * size, 0, (count - old_count) * size);
    return resized;
}

void memory_release(void *array)
{
    free(array);
}
