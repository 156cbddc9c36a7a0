/* SPDX-License-Identifier: MIT
 *
 * reporting_delivery.h - from the outbox of the state database into the reporting database.
 *
 * Layer:  reporting, internal. Used by the delivery thread and by `db rebuild-reporting`.
 * Crash:  facts and the position up to which they were taken are one transaction; what the state
 *         database was not told yet is read again and changes nothing.
 */
#ifndef REFRESHD_REPORTING_REPORTING_DELIVERY_H
#define REFRESHD_REPORTING_REPORTING_DELIVERY_H

#include "reporting/reporting_database.h"

/* Many at once: the indexes of a night are spread over all institutions, and a page that several
 * facts change is written once. */
#define REPORTING_BATCH_FACTS 5000

struct reporting_delivery {
    struct reporting_database *database;
    struct state_store *store;       /* read-only */
    const atomic_bool *is_abandoned; /* ends everything early; may be NULL */
    int64_t sequence;                /* durable in the reporting database up to here */
    bool has_closed_run;             /* set when one was delivered; reset by whoever looks */
};

/* Find out where delivery stands. `*must_replay`: the outbox alone cannot bring this database up to
 * date (it is new or older than what was delivered, or the state database is a restored
 * one): call reporting_delivery_replay. */
MUST_CHECK enum result reporting_delivery_resume(struct reporting_delivery *delivery,
                                                 bool *must_replay, struct fault *fault);
/* Take in one batch. `*is_complete`: there was nothing more at that moment. */
MUST_CHECK enum result reporting_delivery_step(struct reporting_delivery *delivery,
                                               struct utc_time now, bool *is_complete,
                                               struct fault *fault);
/* Take in everything that the state database holds, whatever was delivered before. Rows that it no
 * longer holds stay. `progress` may be NULL. */
MUST_CHECK enum result reporting_delivery_replay(struct reporting_delivery *delivery,
                                                 struct utc_time now,
                                                 void (*progress)(void *context, uint64_t rows),
                                                 void *context, struct fault *fault);

#endif
