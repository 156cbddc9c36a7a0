/* SPDX-License-Identifier: MIT
 *
 * secret.h - secrets by reference: {env: NAME}, {file: PATH}, {credential: NAME}.
 *
 * Layer:  config. A literal secret in YAML is an error; cells of CSV and SQL hold `file:PATH`.
 * Memory: what was read belongs to the caller's struct text; end it with text_wipe.
 */
#ifndef REFRESHD_CONFIG_SECRET_H
#define REFRESHD_CONFIG_SECRET_H

#include "base/result.h"
#include "base/text.h"

enum secret_kind { SECRET_NONE, SECRET_ENV, SECRET_FILE, SECRET_CREDENTIAL };

struct secret_reference {
    enum secret_kind kind;
    const char *name; /* variable, path or credential; a path may hold {customer} */
};

/* Read the secret; one final newline is dropped, an empty one is a fault. `customer` replaces
 * {customer} in a path (refused when it holds '/' or starts with '.'); may be NULL. A file that
 * its group or others may write is refused: the fault names the path and the command that mends
 * it. A file that others may read is accepted: container platforms mount secrets that way.
 * {credential: NAME} reads $CREDENTIALS_DIRECTORY/NAME. */
MUST_CHECK enum result secret_read(const struct secret_reference *reference, const char *customer,
                                   struct text *secret, struct fault *fault);

/* "{env: NAME}" and so on, for `config` and messages. Never the secret. */
void secret_describe(const struct secret_reference *reference, struct text *out);

#endif
