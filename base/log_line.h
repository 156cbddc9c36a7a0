/* SPDX-License-Identifier: MIT
 *
 * log_line.h - one event = one line, as logfmt or JSON.
 *
 * Layer:   base (libc only). Builds text; who writes it, and where, is the caller's business.
 * Secrets: there is no function that takes one. Never pass a token, secret or signed URL.
 * Keys:    fixed words: event, provider, consent, institution, schedule, run, job, attempt,
 *          class, outcome, reason, dur_ms, count, error.
 */
#ifndef REFRESHD_BASE_LOG_LINE_H
#define REFRESHD_BASE_LOG_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "base/time_point.h"

enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct log_line {
    struct text text;
    enum log_format format;
};

/* Start a line: time (left out when `at` is UTC_NONE), level, event. The text is allocated on
 * first use and kept for the next line; free it with log_line_deinit. */
void log_line_init(struct log_line *line, enum log_format format);
void log_line_deinit(struct log_line *line);
void log_line_begin(struct log_line *line, struct utc_time at, enum log_level level,
                    const char *event);
/* A NULL value leaves the key out. Values are cut at 1 KiB. */
void log_line_text(struct log_line *line, const char *key, const char *value);
void log_line_integer(struct log_line *line, const char *key, int64_t value);
void log_line_boolean(struct log_line *line, const char *key, bool value);
/* Close the line with a newline; the text is valid until the next log_line_begin. */
const char *log_line_end(struct log_line *line);

const char *log_level_text(enum log_level level);

#endif
