/* SPDX-License-Identifier: MIT
 *
 * reporting_facts.h - facts of the outbox become rows of the star schema.
 *
 * Layer: reporting, internal.
 */
#ifndef REFRESHD_REPORTING_REPORTING_FACTS_H
#define REFRESHD_REPORTING_REPORTING_FACTS_H

#include "reporting/reporting_database.h"

/* Write one fact, inside a transaction. What it changes in daily_institution is only noted: see
 * reporting_daily.h. */
MUST_CHECK enum result reporting_facts_put(struct reporting_database *database,
                                           const struct fact *fact, struct fault *fault);

#endif
