/* SPDX-License-Identifier: MIT
 *
 * text.h - growing text with a maximum, and integers read with a range.
 *
 * Layer:  base (libc only).
 * Memory: a struct text owns its bytes; text_deinit frees them. Growth beyond `bytes_max` or a
 *         failed allocation sets `is_cut`, keeps what fits, and never aborts.
 */
#ifndef REFRESHD_BASE_TEXT_H
#define REFRESHD_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

struct text {
    char *bytes;   /* always ends in a NUL; may hold NULs before it */
    size_t length; /* without the final NUL */
    size_t capacity;
    size_t bytes_max; /* length never passes this */
    bool is_cut;      /* something did not fit */
};

void text_init(struct text *text, size_t bytes_max);
void text_deinit(struct text *text);
/* As text_deinit, but overwrites the bytes first: for secrets. */
void text_wipe(struct text *text);
/* Forget the content, keep the memory. */
void text_clear(struct text *text);

void text_append(struct text *text, const char *bytes, size_t length);
void text_append_string(struct text *text, const char *string);
void text_append_format(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* Append `bytes` as the inside of a JSON string (without the quotes): quote, backslash and
 * control bytes escaped; bytes that are not UTF-8 become U+FFFD. */
void text_append_json(struct text *text, const char *bytes, size_t length);

/* Decimal integer, optional '-', nothing around it, inside [min, max]. */
bool integer_parse(const char *text, size_t length, int64_t min, int64_t max, int64_t *out);

/* Overwrite memory so that the compiler cannot leave it out. */
void memory_wipe(void *memory, size_t bytes);

/* FNV-1a with a final mix: stable for ever (consents keep their offset over restarts, machines
 * and versions). Not for hostile input that could profit from collisions. */
uint64_t hash_bytes(const void *bytes, size_t length, uint64_t seed);

#endif
