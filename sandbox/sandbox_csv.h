/* SPDX-License-Identifier: MIT
 *
 * sandbox_csv.h - which bank each consent belongs to, from a CSV file.
 *
 * Layer:  sandbox. The file may be the very one that the daemon reads its consents from: columns
 *         are found by the names `id` and `institution`, others are ignored.
 * Memory: each id becomes a subject of the account "finqware", where all others look too: the
 *         file knows no accounts.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_CSV_H
#define REFRESHD_SANDBOX_SANDBOX_CSV_H

#include <stddef.h>

#include "base/result.h"

struct sandbox;

/* Read the file; FAULT_UNAVAILABLE or FAULT_DATA naming file and line. */
enum result sandbox_csv_load_banks(struct sandbox *sandbox, const char *path,
                                   struct fault *fault) MUST_CHECK;
/* Split one line in place (quotes as in RFC 4180, no line breaks inside) into at most
 * `fields_max` fields; answers their number, or 0 when a quote is not closed. Pure. */
size_t sandbox_csv_split(char *line, char **fields, size_t fields_max);

#endif
