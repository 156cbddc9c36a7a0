/* SPDX-License-Identifier: MIT
 *
 * consent_diff.h - what differs between two populations, consent by consent.
 *
 * Layer:  config. Streams: a million rows take about a second and no memory of their own.
 * Order:  rows of the old table in its order (what is gone or different), then what is new, in
 *         the order of the new table: the same for the same two tables.
 */
#ifndef REFRESHD_CONFIG_CONSENT_DIFF_H
#define REFRESHD_CONFIG_CONSENT_DIFF_H

#include "config/consent_table.h"

enum consent_change_kind {
    CONSENT_DIFF_ADDED,
    CONSENT_DIFF_REMOVED,
    CONSENT_DIFF_MOVED,   /* to other schedules, another institution, or into another mode */
    CONSENT_DIFF_CHANGED, /* anything else: dates, customer, priority, tags, secret */
    CONSENT_DIFF_COUNT
};

struct consent_change {
    enum consent_change_kind kind;
    const char *consent; /* PROVIDER/ID */
    const char *detail; /* "institution A -> B, schedule nightly -> weekly"; "" where all is said */
    struct utc_time old_expires; /* UTC_NEVER; also of added and removed ones */
    struct utc_time new_expires;
};
/* Texts are borrowed until the callback returns. */
typedef void consent_change_function(void *context, const struct consent_change *change);

/* `old_has_secrets` false: `old` comes from records that hold none, so they are not compared. */
void consent_diff(const struct config *old_config, const struct consent_table *old,
                  bool old_has_secrets, const struct config *new_config,
                  const struct consent_table *new, consent_change_function *on_change,
                  void *context);

#endif
