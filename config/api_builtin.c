/* SPDX-License-Identifier: MIT
 * api_builtin.c - look-ups in the generated table of API definitions. */
#include "config/api_builtin.h"

#include <string.h>

const struct api_builtin *api_builtin_find(const char *name)
{
    for (const struct api_builtin *api = api_builtin_table; api->name != NULL; api++)
        if (strcmp(api->name, name) == 0)
            return api;
    return NULL;
}

const struct api_builtin *api_builtin_at(size_t index)
{
    for (size_t i = 0; api_builtin_table[i].name != NULL; i++)
        if (i == index)
            return &api_builtin_table[i];
    return NULL;
}
