/* SPDX-License-Identifier: MIT
 *
 * json_plain.h - a quick parser for the plain JSON that nearly every answer is.
 *
 * Layer:  provider, for json_read.c.
 * Plain:  objects of at most 24 different keys, nested at most 8 deep with arrays; strings of
 *         printable ASCII without a backslash; integers of at most 18 digits; true, false, null.
 * Judge:  jansson. What is not plain is left to it, wrong or right, so this parser never refuses
 *         anything; what it takes, jansson takes with the same values (a unit test compares them).
 */
#ifndef REFRESHD_PROVIDER_JSON_PLAIN_H
#define REFRESHD_PROVIDER_JSON_PLAIN_H

#include <jansson.h>
#include <stddef.h>

/* The tree, owned by the caller; NULL: ask jansson (not plain, or no memory). */
json_t *json_plain_parse(const char *bytes, size_t length);

#endif
