/* SPDX-License-Identifier: MIT
 *
 * summary_log.h - the log for people and for `grep`: one line per period and provider, one per
 * finished run.
 *
 * Layer:  reporting. logfmt or JSON; a file opened with O_APPEND (reopened on SIGUSR1) or "-" for
 *         standard error. Numbers are the counts since the last line of the same kind, and the same
 *         as those of the manifest: the lines from the start of a run to its end add up to it
 *         (but for a wholly missed run, which belongs to no provider).
 * Lines:  event=summary provider= period_s= refreshed= partial= deduplicated= reconnect_required=
 *         failed= skipped= unknown= <outcome>_<reason>=... waiting_total= open_jobs_total=;
 *         event=run_finished run= schedule= trigger= due= <one per outcome> reconciled= late=
 *         started_at= finished_at=. A period without any event has its line too: a line that is
 *         missing means a daemon that is not there.
 * Errors: a log that cannot be written never stops a night: summary_log_trouble gives the fault
 *         once, lines are dropped and counted, and before the next line that can be written stands
 *         event=summary_lines_dropped count=.
 */
#ifndef REFRESHD_REPORTING_SUMMARY_LOG_H
#define REFRESHD_REPORTING_SUMMARY_LOG_H

#include "base/log_line.h"
#include "config/config.h"
#include "scheduler/words.h"
#include "state/manifest.h"

struct summary_log;

/* `now` begins the first period; the later ones begin at multiples of `summary.every`, counted from
 * the epoch (15m: at full quarters of an hour). FAULT_CANNOT_CREATE names the path. */
MUST_CHECK enum result summary_log_open(const struct config *config, struct utc_time now,
                                        struct summary_log **log, struct fault *fault);
/* Write what was counted in the period that is not over, and free everything. NULL is ignored. */
void summary_log_close(struct summary_log *log, struct utc_time now);
/* After a reload: path, form and period of `config` from now on; what was counted stays. On a fault
 * everything stays as it was. */
MUST_CHECK enum result summary_log_configure(struct summary_log *log, const struct config *config,
                                             struct utc_time now, struct fault *fault);
/* After logrotate moved the file away. On a fault the old file stays in use. */
MUST_CHECK enum result summary_log_reopen(struct summary_log *log, struct fault *fault);

/* A slot or manual job of `provider` ended. */
void summary_log_count(struct summary_log *log, const char *provider, enum outcome outcome,
                       enum reason reason);
/* A run closed: its line is written at once. */
void summary_log_run(struct summary_log *log, struct utc_time at, const struct manifest *manifest);
/* Write the period's lines when it is over; `waiting` slots and `open_jobs`, of all providers
 * together, describe the backlog. Answers when to call again. */
struct utc_time summary_log_tick(struct summary_log *log, struct utc_time now, uint32_t waiting,
                                 uint32_t open_jobs);

/* Lines could not be written: true, and why, once for each series of failures. */
bool summary_log_trouble(struct summary_log *log, struct fault *fault);

#endif
