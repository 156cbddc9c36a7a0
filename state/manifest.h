/* SPDX-License-Identifier: MIT
 *
 * manifest.h - how a run ended, in numbers that must add up (design sections 4 and 8).
 *
 * Layer:  state. Read by state_store_run_manifest; printed by `once`, delivered by reporting/.
 * Rule:   due = refreshed + partial + deduplicated + reconnect_required + failed + skipped +
 *         unknown, counted from rows, against the population taken at the start.
 */
#ifndef REFRESHD_STATE_MANIFEST_H
#define REFRESHD_STATE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "base/time_point.h"
#include "scheduler/words.h"

#define MANIFEST_NAME_BYTES 192 /* a schedule's name, '@' and an instant */

struct manifest {
    uint32_t run;                     /* run number */
    char run_id[MANIFEST_NAME_BYTES]; /* SCHEDULE@SLOT */
    char schedule[MANIFEST_NAME_BYTES];
    enum trigger trigger;
    struct utc_time slot;
    struct utc_time deadline; /* UTC_NEVER: none */
    struct utc_time started;
    struct utc_time finished; /* UTC_NONE: still open */
    uint32_t due;
    uint32_t counts[OUTCOME_COUNT]; /* from rows; OUTCOME_NONE stays 0 */
    bool reconciled;                /* false while open */
    bool late;
    char config_digest[65];
};

/* Slots with an outcome: the sum that has to be `due`. */
uint32_t manifest_sum(const struct manifest *manifest);

/* The object of design section 8, on one line without a newline. */
void manifest_append_json(const struct manifest *manifest, struct text *out);

#endif
