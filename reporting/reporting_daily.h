/* SPDX-License-Identifier: MIT
 *
 * reporting_daily.h - daily_institution: counts and percentiles of a day, a provider, a bank.
 *
 * Layer: reporting, internal. Triggers of the schema note in delivery_touched which rows no longer
 *        say what the facts say; only those are computed anew.
 */
#ifndef REFRESHD_REPORTING_REPORTING_DAILY_H
#define REFRESHD_REPORTING_REPORTING_DAILY_H

#include "reporting/reporting_database.h"

/* Compute at most `rows_max` touched rows, in a transaction of its own. `*more`: there are more. */
MUST_CHECK enum result reporting_daily_refresh(struct reporting_database *database,
                                               struct utc_time loaded, uint32_t rows_max,
                                               bool *more, struct fault *fault);

#endif
