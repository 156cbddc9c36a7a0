/* SPDX-License-Identifier: MIT
 *
 * webhook_token.h - the part of a callback URL that names an attempt and cannot be guessed.
 *
 * Layer: provider (OpenSSL).
 * Form:  base64url(job number, attempt) "." base64url(first 16 bytes of HMAC-SHA256 under the
 *        key made at first start). 37 bytes, safe in a path without escaping.
 * Why:   who holds a token was told of that attempt by us; it is not stored, and nothing in the
 *        databases lets a reader make one.
 */
#ifndef REFRESHD_PROVIDER_WEBHOOK_TOKEN_H
#define REFRESHD_PROVIDER_WEBHOOK_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_TOKEN_KEY_BYTES 32
#define WEBHOOK_TOKEN_SIZE 38 /* with the final NUL */

/* Write the token of an attempt. The same key and numbers always give the same token. */
void webhook_token_make(const uint8_t key[WEBHOOK_TOKEN_KEY_BYTES], uint64_t job, uint16_t attempt,
                        char token[WEBHOOK_TOKEN_SIZE]);

/* Is `text` a token made under `key`? Fills `job` and `attempt` only then. Takes the same time for
 * every text of the right length. */
bool webhook_token_verify(const uint8_t key[WEBHOOK_TOKEN_KEY_BYTES], const char *text,
                          size_t length, uint64_t *job, uint16_t *attempt);

#endif
