/* SPDX-License-Identifier: MIT
 *
 * api_builtin.h - the API definitions that are compiled in.
 *
 * Layer:  config.
 * Source: each config/apis/NAME.yaml listed in config/Makefile.inc, turned into C by
 *         dev/embed-text at build time. `api: NAME` in a configuration means one of these.
 */
#ifndef REFRESHD_CONFIG_API_BUILTIN_H
#define REFRESHD_CONFIG_API_BUILTIN_H

#include <stddef.h>

struct api_builtin {
    const char *name; /* "finqware": the file name without its folder and suffix */
    const char *text; /* the YAML, NUL-ended */
    size_t length;    /* without the NUL */
};

/* Generated; sorted as listed, ended by a NULL name. Use the functions below. */
extern const struct api_builtin api_builtin_table[];

/* The definition called `name`, or NULL. Static storage. */
const struct api_builtin *api_builtin_find(const char *name);

/* The definition at `index`, from 0, or NULL past the end: to list what there is. */
const struct api_builtin *api_builtin_at(size_t index);

#endif
