/* SPDX-License-Identifier: MIT
 *
 * reporting_publish.h - what leaves the reporting database after a run: export files, snapshot.
 *
 * Layer: reporting, internal. Finished runs wait in delivery_run until both are done, so that a
 *        crash in between publishes again. Files appear as a whole (publish_file.h).
 */
#ifndef REFRESHD_REPORTING_REPORTING_PUBLISH_H
#define REFRESHD_REPORTING_REPORTING_PUBLISH_H

#include "config/config.h"
#include "reporting/reporting_database.h"

/* Is there a finished run without its file, or that is in no snapshot? */
MUST_CHECK enum result reporting_publish_waiting(struct reporting_database *database,
                                                 bool *wants_export, bool *wants_snapshot,
                                                 struct fault *fault);
/* Write DIRECTORY/RUN.csv (or .jsonl) for each finished run that has none yet: one row per job and
 * skip, the column `count` adds up to the run's due. No directory: nothing is written. */
MUST_CHECK enum result reporting_publish_exports(struct reporting_database *database,
                                                 const char *directory, enum export_format format,
                                                 struct fault *fault);
/* Copy the whole database to `path`, compact and in a journal mode that any reader can open. NULL:
 * nothing is written. */
MUST_CHECK enum result reporting_publish_snapshot(struct reporting_database *database,
                                                  const char *path, struct fault *fault);
/* Old runs (after a replay) are not published again. */
MUST_CHECK enum result reporting_publish_forget(struct reporting_database *database,
                                                struct fault *fault);

#endif
