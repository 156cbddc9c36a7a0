/* SPDX-License-Identifier: MIT
 *
 * offline_change.h - pauses, releases and resets without a daemon: written under the lock.
 *
 * Layer: command.
 */
#ifndef REFRESHD_COMMAND_OFFLINE_CHANGE_H
#define REFRESHD_COMMAND_OFFLINE_CHANGE_H

#include <stdbool.h>

#include "command/command_line.h"
#include "config/consent_table.h"

/* What a person asked for; NULL or false where not given. */
struct change {
    const char *consent; /* P/ID */
    const char *provider;
    const char *institution;
    const char *schedule;
    const char *reason;
    const char *hold_reason;
    bool is_all;
    bool is_dry_run;
    bool accepts_shrink;
    struct utc_time until; /* UTC_NEVER: open end */
    const char *scope;     /* pause, resume */
    char subject[CONSENT_NAME_BYTES];
};

/* One line on standard output about a consent that is let go, or would be in a dry run. */
void change_print_released(const struct command_line *line, const struct change *change,
                           const char *consent);

/* Do what `line->name` (pause, resume, release, reset) says. FAULT_UNAVAILABLE for the commands
 * that need a running process, with what to do instead; FAULT_TEMPORARY when somebody took the
 * lock. */
MUST_CHECK enum result offline_change(const struct config *config, const struct command_line *line,
                                      const struct change *change, struct utc_time now,
                                      struct fault *fault);

#endif
