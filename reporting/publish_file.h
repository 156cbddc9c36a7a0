/* SPDX-License-Identifier: MIT
 *
 * publish_file.h - files that others read: there as a whole or not at all.
 *
 * Layer: reporting. A file is made as PATH.tmp beside its place, synced, and renamed: whoever opens
 *        PATH sees the old one or the new one. One writer per path.
 */
#ifndef REFRESHD_REPORTING_PUBLISH_FILE_H
#define REFRESHD_REPORTING_PUBLISH_FILE_H

#include "base/result.h"

#define PUBLISH_PATH_BYTES 4096

/* Make an empty file of mode 0640 under the temporary name of `path`, which is written into
 * `temporary`; one that a crash left there is removed. The last folder of the path is made where it
 * is missing (mode 0750). `*fd` is open for writing. */
MUST_CHECK enum result publish_file_create(const char *path, char temporary[PUBLISH_PATH_BYTES],
                                           int *fd, struct fault *fault);
/* Make what was written durable and give it its name. The temporary file is gone afterwards,
 * whatever happened. */
MUST_CHECK enum result publish_file_commit(const char *temporary, const char *path,
                                           struct fault *fault);
/* Remove the temporary file. */
void publish_file_abandon(const char *temporary);

#endif
