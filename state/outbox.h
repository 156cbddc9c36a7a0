/* SPDX-License-Identifier: MIT
 *
 * outbox.h - facts on their way to reporting: read in the order in which they became true.
 *
 * Layer:  state. Every fact that reporting wants (a closed job, a skip, a run opened or closed, a
 *         changed consent) leaves a number in the ledger, in the transaction that made it true.
 *         reporting/ reads from where it stopped, writes, and says so; the ledger is trimmed
 *         only up to there. A crash in between delivers again: reporting is idempotent by key.
 * Rebuild: outbox_replay gives all facts that the state database still holds.
 * Texts:  borrowed; valid inside the callback.
 */
#ifndef REFRESHD_STATE_OUTBOX_H
#define REFRESHD_STATE_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"
#include "scheduler/words.h"
#include "state/manifest.h"
#include "state/state_store.h"

enum fact_kind { FACT_JOB, FACT_SKIP, FACT_RUN, FACT_CONSENT };

struct fact_job {
    const char *job_uid;
    const char *run_id;  /* NULL: manual */
    const char *consent; /* PROVIDER/ID */
    const char *provider;
    const char *institution; /* "-": none */
    const char *schedule;    /* NULL: manual */
    const char *timezone;    /* of the schedule; NULL: manual, then UTC */
    enum trigger trigger;
    struct utc_time slot; /* of the run; `due` for a manual job */
    struct utc_time due;
    struct utc_time started; /* sending time of the first attempt; UTC_NONE: nothing ever left */
    struct utc_time finished;
    uint32_t attempts;
    enum outcome outcome;
    enum reason reason; /* REASON_NONE */
    enum tristate has_new_data;
    const char *error_code; /* NULL */
};

struct fact_skip {
    const char *run_id;
    const char *schedule;
    const char *timezone;
    const char *consent;     /* NULL: a wholly missed run */
    const char *provider;    /* NULL with consent */
    const char *institution; /* NULL with consent */
    struct utc_time slot;    /* of the run */
    struct utc_time due;     /* of this consent in it */
    struct utc_time at;      /* when it was decided */
    enum reason reason;
    const char *detail; /* NULL */
    uint32_t count;     /* slots: 1, or all of a missed run */
};

struct fact_consent {
    const char *consent;
    const char *provider;
    const char *consent_id;
    const char *customer; /* NULL */
    const char *institution;
    const char *schedules; /* names separated by spaces; "" when none */
    enum consent_mode mode;
    bool is_held;
    struct utc_time expires; /* UTC_NEVER */
    struct utc_time removed; /* UTC_NONE: still there */
};

struct fact {
    enum fact_kind kind;
    int64_t sequence; /* in the ledger; 0 when replayed */
    union {
        struct fact_job job;
        struct fact_skip skip;
        struct manifest run; /* opened (finished is UTC_NONE) or closed */
        struct fact_consent consent;
    } as;
};

/* Answers RESULT_FAULT to stop; its fault is the caller's. */
typedef enum result outbox_function(void *context, const struct fact *fact, struct fault *fault);

/* The last sequence that was delivered to reporting, and the last there is. */
MUST_CHECK enum result outbox_position(struct state_store *store, int64_t *delivered, int64_t *last,
                                       struct fault *fault);
/* At most `limit` facts after `after`, in order. `*next` is the last sequence that was given (or
 * passed over because its rows are gone): give it to outbox_delivered once it is safe. Equal to
 * `after` when there is nothing. */
MUST_CHECK enum result outbox_read(struct state_store *store, int64_t after, uint32_t limit,
                                   outbox_function *on_fact, void *context, int64_t *next,
                                   struct fault *fault);
/* Reporting holds everything up to `sequence` durably. Needs a writing store. */
MUST_CHECK enum result outbox_delivered(struct state_store *store, int64_t sequence,
                                        struct fault *fault);
/* Every fact that is held: consents, runs, jobs, skips. `*sequence` is what outbox_delivered
 * may be told afterwards. Reads one snapshot; works on a read-only store. */
MUST_CHECK enum result outbox_replay(struct state_store *store, outbox_function *on_fact,
                                     void *context, int64_t *sequence, struct fault *fault);

#endif
