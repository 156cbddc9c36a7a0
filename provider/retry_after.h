/* SPDX-License-Identifier: MIT
 *
 * retry_after.h - the Retry-After header (RFC 9110 10.2.3).
 *
 * Layer: provider.
 */
#ifndef REFRESHD_PROVIDER_RETRY_AFTER_H
#define REFRESHD_PROVIDER_RETRY_AFTER_H

#include <stdint.h>

#include "base/time_point.h"

#define RETRY_AFTER_MS_MAX MS_PER_DAY

/* Delta seconds (a fraction is dropped), or any of the three HTTP-date forms relative to `now`;
 * clamped to [0, RETRY_AFTER_MS_MAX]: a negative or past one is 0, an absurd one a day. -1 where
 * the value is neither, or NULL. */
int64_t retry_after_parse(const char *value, struct utc_time now);

#endif
