/* SPDX-License-Identifier: MIT
 *
 * evidence_text.h - texts of a provider made fit for logs and databases.
 *
 * Layer: provider. A provider may echo what we sent: our secrets are replaced by ***, also where
 *        they come back percent-encoded or JSON-escaped. Bytes that could disturb a terminal or a
 *        log line are written as \n, \t or \xNN; no UTF-8 sequence is cut in the middle.
 */
#ifndef REFRESHD_PROVIDER_EVIDENCE_TEXT_H
#define REFRESHD_PROVIDER_EVIDENCE_TEXT_H

#include <stddef.h>

#include "provider/request.h"

/* Write at most size - 1 bytes and a NUL. `ours` (may be NULL) holds the secrets to keep out:
 * client secret, Basic credentials, token, customer secret. */
void evidence_text(char *out, size_t size, const char *bytes, size_t length,
                   const struct request_variables *ours);

#endif
