/* SPDX-License-Identifier: MIT
 * summary_log.c - see summary_log.h. */
#include "reporting/summary_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One provider in the current period. */
struct tally {
    char *provider;
    uint32_t counts[OUTCOME_COUNT][REASON_COUNT];
    bool is_touched;
};

struct summary_log {
    char *path; /* NULL: standard error */
    int fd;
    int64_t every_ms;
    struct utc_time begun; /* of the current period */
    struct utc_time end;
    struct log_line line;

    struct tally *tallies;
    size_t tally_count;
    uint32_t waiting; /* as last told */
    uint32_t open_jobs;

    uint64_t dropped;  /* lines since the last that was written */
    bool is_half_done; /* the file ends in a part of a line */
    bool has_trouble;  /* not asked for yet */
    struct fault trouble;
};

/* ---- the file ---- */

static enum result open_file(const char *path, int *fd, struct fault *fault)
{
    int opened = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);

    if (opened < 0)
        return fault_set(fault, FAULT_CANNOT_CREATE,
                         "%s: cannot write the summary log: %s; create its directory, or name "
                         "another file (or \"-\") in summary.log",
                         path, strerror(errno));
    *fd = opened;
    return RESULT_OK;
}

/* True when all of it was written. */
static bool write_bytes(struct summary_log *log, const char *bytes, size_t length)
{
    size_t written = 0;

    while (written < length) {
        ssize_t n = write(log->fd, bytes + written, length - written);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        written += (size_t)n;
    }
    if (written < length && written > 0)
        log->is_half_done = true;
    return written == length;
}

static void drop_line(struct summary_log *log)
{
    if (log->dropped++ > 0)
        return;
    log->has_trouble = true;
    (void)fault_set(&log->trouble, FAULT_IO,
                    "%s: cannot write the summary log: %s; its lines are dropped and counted until "
                    "it can be written again",
                    log->path == NULL ? "standard error" : log->path, strerror(errno));
}

/* How many lines are missing, before the first that is there again. */
static bool write_gap(struct summary_log *log, struct utc_time at)
{
    struct log_line line;
    const char *text;
    bool is_written;

    if (log->is_half_done) {
        log->is_half_done = false;
        if (!write_bytes(log, "\n", 1)) {
            log->is_half_done = true;
            return false;
        }
    }
    if (log->dropped == 0)
        return true;
    log_line_init(&line, log->line.format);
    log_line_begin(&line, at, LOG_WARNING, "summary_lines_dropped");
    log_line_integer(&line, "count", (int64_t)log->dropped);
    text = log_line_end(&line);
    is_written = write_bytes(log, text, strlen(text));
    log_line_deinit(&line);
    return is_written;
}

static void write_line(struct summary_log *log, struct utc_time at)
{
    const char *text = log_line_end(&log->line);

    if (!write_gap(log, at) || !write_bytes(log, text, strlen(text)))
        drop_line(log);
    else
        log->dropped = 0;
}

/* ---- counting ---- */

static struct tally *find_tally(struct summary_log *log, const char *provider)
{
    struct tally *grown;
    char *copy;

    for (size_t i = 0; i < log->tally_count; i++)
        if (strcmp(log->tallies[i].provider, provider) == 0)
            return &log->tallies[i];
    grown = realloc(log->tallies, (log->tally_count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    log->tallies = grown;
    copy = strdup(provider);
    if (copy == NULL)
        return NULL;
    grown[log->tally_count] = (struct tally){.provider = copy};
    return &grown[log->tally_count++];
}

void summary_log_count(struct summary_log *log, const char *provider, enum outcome outcome,
                       enum reason reason)
{
    struct tally *tally = find_tally(log, provider);

    REQUIRE(outcome > OUTCOME_NONE && outcome < OUTCOME_COUNT);
    REQUIRE((unsigned)reason < REASON_COUNT);
    if (tally == NULL) {
        errno = ENOMEM;
        drop_line(log);
        return;
    }
    tally->counts[outcome][reason]++;
    tally->is_touched = true;
}

/* ---- lines ---- */

static uint32_t outcome_sum(const struct tally *tally, enum outcome outcome)
{
    uint32_t sum = 0;

    for (int reason = 0; reason < REASON_COUNT; reason++)
        sum += tally->counts[outcome][reason];
    return sum;
}

static void write_tally(struct summary_log *log, struct tally *tally, struct utc_time at)
{
    struct log_line *line = &log->line;

    log_line_begin(line, at, LOG_INFO, "summary");
    log_line_text(line, "provider", tally->provider);
    log_line_integer(line, "period_s", (at.ms - log->begun.ms + 500) / MS_PER_SECOND);
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        log_line_integer(line, outcome_text(outcome), outcome_sum(tally, outcome));
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        for (enum reason reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
            char key[64];

            if (tally->counts[outcome][reason] == 0)
                continue;
            (void)snprintf(key, sizeof key, "%s_%s", outcome_text(outcome), reason_text(reason));
            log_line_integer(line, key, tally->counts[outcome][reason]);
        }
    log_line_integer(line, "waiting_total", log->waiting);
    log_line_integer(line, "open_jobs_total", log->open_jobs);
    write_line(log, at);
    memset(tally->counts, 0, sizeof tally->counts);
    tally->is_touched = false;
}

static struct utc_time end_of_period(const struct summary_log *log, struct utc_time now)
{
    int64_t into = now.ms % log->every_ms;

    if (into < 0)
        into += log->every_ms;
    return utc_add_ms(now, log->every_ms - into);
}

static void begin_period(struct summary_log *log, struct utc_time now)
{
    log->begun = now;
    log->end = end_of_period(log, now);
}

struct utc_time summary_log_tick(struct summary_log *log, struct utc_time now, uint32_t waiting,
                                 uint32_t open_jobs)
{
    log->waiting = waiting;
    log->open_jobs = open_jobs;
    if (now.ms < log->begun.ms) /* the clock was set back: the period has a new beginning */
        begin_period(log, now);
    if (now.ms >= log->end.ms) {
        for (size_t i = 0; i < log->tally_count; i++)
            write_tally(log, &log->tallies[i], now);
        begin_period(log, now);
    }
    return log->end;
}

void summary_log_run(struct summary_log *log, struct utc_time at, const struct manifest *manifest)
{
    struct log_line *line = &log->line;
    enum log_level level = !manifest->reconciled ? LOG_ERROR
                           : manifest->late      ? LOG_WARNING
                                                 : LOG_INFO;
    char text[UTC_TEXT_SIZE];

    log_line_begin(line, at, level, "run_finished");
    log_line_text(line, "run", manifest->run_id);
    log_line_text(line, "schedule", manifest->schedule);
    log_line_text(line, "trigger", trigger_text(manifest->trigger));
    log_line_integer(line, "due", manifest->due);
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        log_line_integer(line, outcome_text(outcome), manifest->counts[outcome]);
    log_line_boolean(line, "reconciled", manifest->reconciled);
    log_line_boolean(line, "late", manifest->late);
    log_line_text(line, "started_at", utc_text(manifest->started, text));
    log_line_text(line, "finished_at", utc_text(manifest->finished, text));
    write_line(log, at);
}

/* ---- open and close ---- */

static bool is_same_path(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Write to `path` from now on; NULL: to standard error. */
static enum result take_path(struct summary_log *log, const char *path, struct fault *fault)
{
    char *copy = NULL;
    int fd = STDERR_FILENO;

    if (path != NULL) {
        copy = strdup(path);
        if (copy == NULL)
            return fault_set(fault, FAULT_TEMPORARY, "out of memory");
        if (open_file(path, &fd, fault) != RESULT_OK) {
            free(copy);
            return RESULT_FAULT;
        }
    }
    if (log->fd != STDERR_FILENO)
        (void)close(log->fd);
    free(log->path);
    log->path = copy;
    log->fd = fd;
    log->is_half_done = false;
    return RESULT_OK;
}

enum result summary_log_configure(struct summary_log *log, const struct config *config,
                                  struct utc_time now, struct fault *fault)
{
    const char *path = strcmp(config->summary.log, "-") == 0 ? NULL : config->summary.log;

    for (uint32_t i = 0; i < config->provider_count; i++)
        if (find_tally(log, config->providers[i].name) == NULL)
            return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (!is_same_path(path, log->path) && take_path(log, path, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (log->line.format != config->summary.format) {
        log_line_deinit(&log->line);
        log_line_init(&log->line, config->summary.format);
    }
    if (log->every_ms != config->summary.every_ms) {
        log->every_ms = config->summary.every_ms;
        log->end = end_of_period(log, now);
    }
    return RESULT_OK;
}

enum result summary_log_open(const struct config *config, struct utc_time now,
                             struct summary_log **out, struct fault *fault)
{
    struct summary_log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    log->fd = STDERR_FILENO;
    log->begun = now;
    log_line_init(&log->line, config->summary.format);
    if (summary_log_configure(log, config, now, fault) != RESULT_OK) {
        summary_log_close(log, now);
        return RESULT_FAULT;
    }
    *out = log;
    return RESULT_OK;
}

void summary_log_close(struct summary_log *log, struct utc_time now)
{
    if (log == NULL)
        return;
    for (size_t i = 0; i < log->tally_count; i++)
        if (log->tallies[i].is_touched)
            write_tally(log, &log->tallies[i], now);
    for (size_t i = 0; i < log->tally_count; i++)
        free(log->tallies[i].provider);
    free(log->tallies);
    if (log->fd != STDERR_FILENO)
        (void)close(log->fd);
    log_line_deinit(&log->line);
    free(log->path);
    free(log);
}

enum result summary_log_reopen(struct summary_log *log, struct fault *fault)
{
    int fd;

    if (log->path == NULL)
        return RESULT_OK;
    if (open_file(log->path, &fd, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)close(log->fd);
    log->fd = fd;
    log->is_half_done = false;
    return RESULT_OK;
}

bool summary_log_trouble(struct summary_log *log, struct fault *fault)
{
    if (!log->has_trouble)
        return false;
    log->has_trouble = false;
    *fault = log->trouble;
    return true;
}
