/* SPDX-License-Identifier: MIT
 *
 * sandbox_read.h - JSON objects into structs by tables of keys, with errors that name the key.
 *
 * Layer:  sandbox (jansson). Values not mentioned keep what the struct held before.
 * Errors: FAULT_DATA with the path of the key, what was found and what is allowed.
 * Memory: texts are borrowed from the JSON value, which must outlive the struct.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_READ_H
#define REFRESHD_SANDBOX_SANDBOX_READ_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

#define SANDBOX_PATH_SIZE 192

enum sandbox_kind {
    SANDBOX_KIND_BOOLEAN, /* bool */
    SANDBOX_KIND_FLAG,    /* int: 0 for false, 1 for true; anything else means "not said" */
    SANDBOX_KIND_INTEGER, /* int64_t, inside [min, max] */
    SANDBOX_KIND_SHARE,   /* double, 0..1 */
    SANDBOX_KIND_TEXT,    /* const char *; null gives NULL */
    SANDBOX_KIND_WORD,    /* int, the index in `words` */
    SANDBOX_KIND_RANGE,   /* struct sandbox_range: {"min":N,"max":N} or one number for both */
    SANDBOX_KIND_CUSTOM,  /* whatever `read` makes of it */
};

struct sandbox_range {
    int64_t min;
    int64_t max;
};

struct sandbox_key {
    const char *name;
    enum sandbox_kind kind;
    size_t offset;
    int64_t min;
    int64_t max;
    const char *words; /* SANDBOX_KIND_WORD: allowed words with single blanks between */
    enum result (*read)(const json_t *value, const char *path, void *field, struct fault *fault);
};

/* Read every key of `object` into `target`; `keys` ends with a NULL name. A value that is not an
 * object, and a key that is not in the table, are faults. */
enum result sandbox_read_object(const json_t *object, const char *path,
                                const struct sandbox_key *keys, void *target,
                                struct fault *fault) MUST_CHECK;
/* "path.key", or "key" at the top; cut when longer than the buffer. Returns `out`. */
char *sandbox_read_path(char out[SANDBOX_PATH_SIZE], const char *path, const char *key);
/* What kind of JSON value this is, for messages. */
const char *sandbox_read_kind(const json_t *value);

#endif
