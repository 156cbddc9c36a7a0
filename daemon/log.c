/* SPDX-License-Identifier: MIT
 * log.c - see log.h. */
#include "daemon/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* systemd names the device and inode of the stream that goes to the journal. */
static bool is_journal_stream(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long device;
    unsigned long long inode;
    struct stat status;

    return text != NULL && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log_init(struct log *log, enum log_format format, enum log_level level_max)
{
    *log = (struct log){.level_max = level_max, .is_journal = is_journal_stream()};
    log_line_init(&log->line, format);
}

void log_deinit(struct log *log)
{
    log_line_deinit(&log->line);
}

void log_begin(struct log *log, struct utc_time at, enum log_level level, const char *event)
{
    static const int priorities[] = {
        [LOG_ERROR] = 3, [LOG_WARNING] = 4, [LOG_INFO] = 6, [LOG_DEBUG] = 7};

    log->is_open = level <= log->level_max;
    if (!log->is_open)
        return;
    log_line_begin(&log->line, log->is_journal ? UTC_NONE : at, level, event);
    if (log->before_line != NULL)
        log->before_line(log->context);
    if (log->is_journal)
        fprintf(stderr, "<%d>", priorities[level]);
}

void log_text(struct log *log, const char *key, const char *value)
{
    if (log->is_open)
        log_line_text(&log->line, key, value);
}

void log_integer(struct log *log, const char *key, int64_t value)
{
    if (log->is_open)
        log_line_integer(&log->line, key, value);
}

void log_boolean(struct log *log, const char *key, bool value)
{
    if (log->is_open)
        log_line_boolean(&log->line, key, value);
}

void log_instant(struct log *log, const char *key, struct utc_time value)
{
    char text[UTC_TEXT_SIZE];

    if (log->is_open && value.ms != UTC_NONE.ms && value.ms != UTC_NEVER.ms)
        log_line_text(&log->line, key, utc_text(value, text));
}

void log_end(struct log *log)
{
    if (!log->is_open)
        return;
    fputs(log_line_end(&log->line), stderr);
    log->is_open = false;
    log->line_count++;
}

void log_fault(struct log *log, struct utc_time at, enum log_level level, const char *event,
               const struct fault *fault)
{
    log_begin(log, at, level, event);
    log_text(log, "error", fault->text);
    log_end(log);
}
