/* SPDX-License-Identifier: MIT
 *
 * json_read.h - an answer's JSON by the pointers of an API definition.
 *
 * Layer:  provider, for its own files: jansson stands in this interface and in no other.
 * Values: borrowed from the tree. A JSON null is the same as nothing there.
 */
#ifndef REFRESHD_PROVIDER_JSON_READ_H
#define REFRESHD_PROVIDER_JSON_READ_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time_point.h"
#include "config/api_definition.h"
#include "scheduler/words.h"

/* Parse strictly: duplicate keys, NUL, lone surrogates, NaN, trailing bytes and nesting beyond
 * jansson's 2048 are refused; the root is an object or an array. NULL and `*error` filled else. */
json_t *json_read_parse(const char *bytes, size_t length, json_error_t *error);

/* What the pointer leads to, or NULL. */
json_t *json_read_at(json_t *root, const struct api_pointer *pointer);
/* What the first of the source's pointers that leads to anything leads to, or NULL. */
json_t *json_read_source(json_t *root, const struct api_source *source);

enum json_text { JSON_TEXT_ABSENT, JSON_TEXT_GOOD, JSON_TEXT_WRONG };
/* A string, or an integer in decimal, into `out`. WRONG (and "") for other types, an empty string,
 * and what does not fit: an id is never cut. */
enum json_text json_read_text(json_t *root, const struct api_source *source, char *out,
                              size_t size);

/* true, false, "true", "false" in any case; anything else is unknown. */
enum tristate json_read_flag(json_t *root, const struct api_source *source);

/* An ISO 8601 instant from 2000 on (zero times mean "unset" at providers); UTC_NONE else. */
struct utc_time json_read_instant(json_t *root, const struct api_source *source);

/* A number >= 0, also one in a string, times `unit_ms`, clamped to [0, max_ms]; -1 else. */
int64_t json_read_duration(json_t *root, const struct api_source *source, int64_t unit_ms,
                           int64_t max_ms);

#endif
