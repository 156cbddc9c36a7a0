/* SPDX-License-Identifier: MIT
 *
 * config_diff.h - what differs between two configurations, option by option.
 *
 * Layer:  config. Compares the canonical trees, defaults included, so a default that was written
 *         out is no difference; secrets appear as references, as in `refreshd config`.
 * Order:  by path, the same for the same two configurations. `consents:` are not in here
 *         (consent_diff.h).
 */
#ifndef REFRESHD_CONFIG_CONFIG_DIFF_H
#define REFRESHD_CONFIG_CONFIG_DIFF_H

#include "config/config.h"

enum config_change_kind { CONFIG_ADDED, CONFIG_REMOVED, CONFIG_CHANGED };

struct config_change {
    enum config_change_kind kind;
    const char *path; /* providers.finq.limits.rate; consents_from[consents.csv].every */
    const char *from; /* NULL: it was not there, or it is a mapping */
    const char *to;
    bool needs_restart; /* a running daemon refuses a reload that changes it */
};
/* Texts are borrowed until the callback returns. */
typedef void config_change_function(void *context, const struct config_change *change);

/* Of something with a name that is only on one side (a provider, a schedule) comes first itself,
 * without values, then each value in it that a person wrote. */
void config_diff(const struct config *old, const struct config *new,
                 config_change_function *on_change, void *context);

#endif
