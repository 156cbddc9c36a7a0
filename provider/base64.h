/* SPDX-License-Identifier: MIT
 *
 * base64.h - RFC 4648 base64 with padding, for Basic authentication.
 *
 * Layer: provider.
 */
#ifndef REFRESHD_PROVIDER_BASE64_H
#define REFRESHD_PROVIDER_BASE64_H

#include <stddef.h>

#define BASE64_SIZE(length) (((length) + 2) / 3 * 4)

/* Write BASE64_SIZE(length) characters, no NUL. Answers that number. */
size_t base64_encode(const char *bytes, size_t length, char *out);

#endif
