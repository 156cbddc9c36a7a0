/* SPDX-License-Identifier: MIT
 *
 * zone_file.h - zones by name from a directory of TZif files.
 *
 * Layer: base (libc only). The directory is always the caller's: the environment is not read.
 */
#ifndef REFRESHD_BASE_ZONE_FILE_H
#define REFRESHD_BASE_ZONE_FILE_H

#include "base/zone.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo"

/* The zone `name` (an IANA name such as "Europe/London") from `directory`. "UTC" and "Etc/UTC"
 * need no file. Names that could leave the directory or that mean "whatever this host is set to"
 * are refused like unknown ones (FAULT_CONFIGURATION); a file that cannot be read gives FAULT_IO,
 * a bad one FAULT_DATA. The zone lives in `arena`. */
enum result zone_load(const char *directory, const char *name, struct arena *arena,
                      const struct zone **out, struct fault *fault) MUST_CHECK;

#define ZONE_VERSION_SIZE 24
/* The release of the zone data in `directory`, for example "2025b"; "unknown" where no file tells.
 * Returns `text`. */
char *zone_data_version(const char *directory, char text[ZONE_VERSION_SIZE]);

#endif
