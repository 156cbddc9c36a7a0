/* SPDX-License-Identifier: MIT
 *
 * log.h - the operational log: one event = one line on standard error.
 *
 * Layer:  daemon. Main thread only. Under systemd (JOURNAL_STREAM is our standard error) lines
 * carry a <N> priority and no time; elsewhere RFC 3339 UTC in front. Use:    log_begin(log, now,
 * LOG_WARNING, "provider_stopped"); log_text(...); log_end(log); Lines above the level of the log
 * cost nothing.
 */
#ifndef REFRESHD_DAEMON_LOG_H
#define REFRESHD_DAEMON_LOG_H

#include "base/log_line.h"

struct log {
    struct log_line line;
    enum log_level level_max; /* lines beyond it are dropped */
    bool is_journal;
    bool is_open;                       /* a line was begun and will be written */
    void (*before_line)(void *context); /* clears a progress bar; may be NULL */
    void *context;
    uint64_t line_count;
};

void log_init(struct log *log, enum log_format format, enum log_level level_max);
void log_deinit(struct log *log);
void log_begin(struct log *log, struct utc_time at, enum log_level level, const char *event);
void log_text(struct log *log, const char *key, const char *value);
void log_integer(struct log *log, const char *key, int64_t value);
void log_boolean(struct log *log, const char *key, bool value);
void log_instant(struct log *log, const char *key, struct utc_time value);
void log_end(struct log *log);
/* A line that only carries the text of a fault. */
void log_fault(struct log *log, struct utc_time at, enum log_level level, const char *event,
               const struct fault *fault);

#endif
