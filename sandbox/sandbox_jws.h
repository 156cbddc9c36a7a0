/* SPDX-License-Identifier: MIT
 *
 * sandbox_jws.h - compact JWS over raw bodies, and the key sets to check them with.
 *
 * Layer: sandbox (OpenSSL). Each set always has exactly two keys, "current" and "previous", made
 *        when they are first needed and new in every process.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_JWS_H
#define REFRESHD_SANDBOX_SANDBOX_JWS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/result.h"
#include "base/text.h"

struct sandbox_keys;

enum sandbox_key_set { SANDBOX_KEYS_FINQWARE, SANDBOX_KEYS_BUD };

/* NULL and a fault when memory is out. */
struct sandbox_keys *sandbox_jws_create(struct fault *fault);
void sandbox_jws_destroy(struct sandbox_keys *keys);
/* Append the JWKS document; `algorithm` is an enum sandbox_algorithm. */
void sandbox_jws_write_keys(struct sandbox_keys *keys, enum sandbox_key_set set, int algorithm,
                            struct text *out);
/* Append header.payload.signature with the current key; the key's id goes to `key_id`. False when
 * OpenSSL fails. */
bool sandbox_jws_sign(struct sandbox_keys *keys, enum sandbox_key_set set, int algorithm,
                      const char *body, size_t length, struct text *out, char key_id[32]);
/* Append base64url without padding. */
void sandbox_jws_base64url(struct text *out, const unsigned char *bytes, size_t length);

#endif
