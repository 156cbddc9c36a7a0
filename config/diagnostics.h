/* SPDX-License-Identifier: MIT
 *
 * diagnostics.h - all errors and warnings of one configuration, with their places.
 *
 * Layer:  config. Nothing is printed here; command/ prints `file:line:col: error: message`.
 * Secrets: a message never quotes a value that may be a secret.
 */
#ifndef REFRESHD_CONFIG_DIAGNOSTICS_H
#define REFRESHD_CONFIG_DIAGNOSTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/result.h"
#include "base/text.h"

/* A place in a file; lines and columns count from 1, 0 means unknown. For CSV and SQL rows
 * `line` is the row and `column_name` is set. */
struct place {
    const char *file;
    unsigned line;
    unsigned column;
    const char *column_name; /* NULL: not a table */
};

struct diagnostic {
    struct place place;
    bool is_error;
    const char *message;
};

struct diagnostics {
    struct arena arena;
    struct diagnostic *items;
    size_t count;
    size_t capacity;
    size_t error_count; /* counts on after `items` stops growing */
    size_t limit;       /* items kept; the rest is only counted */
};

void diagnostics_init(struct diagnostics *diagnostics, size_t limit);
void diagnostics_deinit(struct diagnostics *diagnostics);
void diagnostics_error(struct diagnostics *diagnostics, struct place place, const char *format, ...)
    PRINTF_LIKE(3, 4);
void diagnostics_warning(struct diagnostics *diagnostics, struct place place, const char *format,
                         ...) PRINTF_LIKE(3, 4);
/* Bring the items into the order of file name, line and column; equal places keep theirs. */
void diagnostics_sort(struct diagnostics *diagnostics);
/* `file:line:col: error: message`; for rows of a table `file:row:0: error: column "x": message`. */
void diagnostic_format(const struct diagnostic *diagnostic, struct text *out);
/* One per line, sorted; then how many errors were counted beyond `limit`, if any. */
void diagnostics_print(struct diagnostics *diagnostics, FILE *stream);

#endif
