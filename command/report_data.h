/* SPDX-License-Identifier: MIT
 *
 * report_data.h - what `refreshd report` tells about one run, counted from the public views.
 *
 * Layer:  command. One pass over the run's jobs and one over its skips; printing is the business
 *         of report_text.c and report_json.c.
 * Memory: texts live in the arena; report_data_deinit frees everything.
 */
#ifndef REFRESHD_COMMAND_REPORT_DATA_H
#define REFRESHD_COMMAND_REPORT_DATA_H

#include "base/arena.h"
#include "base/result.h"
#include "scheduler/words.h"
#include "state/state_query.h"

#define REPORT_SAMPLES 3

/* Some slots of one kind, the first few by name. */
struct report_group {
    uint32_t count;
    const char *samples[REPORT_SAMPLES];
    const char *error; /* of the first sample that has one: code or message; NULL */
};

struct report_institution {
    const char *provider;    /* NULL: a wholly missed run, whose slots belong to no institution */
    const char *institution; /* "-": none given */
    uint32_t slots;          /* with an outcome or an open job */
    uint32_t counts[OUTCOME_COUNT]; /* OUTCOME_NONE: open jobs */
    int64_t *durations_ms;          /* of closed jobs, sorted */
    uint32_t duration_count;
    uint32_t duration_capacity;
};

struct report_data {
    struct arena arena;
    /* The run. Texts NULL where the view has NULL. */
    const char *run_id;
    const char *schedule;
    const char *trigger;
    const char *slot_at;
    const char *deadline_at;
    const char *started_at;
    const char *finished_at;
    int64_t started_ms;
    int64_t finished_ms; /* -1: open */
    int64_t deadline_ms; /* -1: none */
    int64_t due;
    int64_t counts[OUTCOME_COUNT]; /* of the view */
    bool is_reconciled;
    bool is_late;

    struct report_institution *institutions; /* most failures first, then by size */
    uint32_t institution_count;
    struct report_institution all;                           /* all of them together */
    struct report_group groups[OUTCOME_COUNT][REASON_COUNT]; /* reason REASON_NONE: no reason */
    /* private: institutions by name */
    uint32_t *index;
    uint32_t index_size;
};

/* Read the run `run_id`, or the one that opened last for "last". `*found` is false when there is no
 * such run; call report_data_deinit in any case. */
MUST_CHECK enum result report_data_read(struct report_data *data, struct state_query *query,
                                        const char *run_id, bool *found, struct fault *fault);
void report_data_deinit(struct report_data *data);

/* Slots that brought data: refreshed, partial, deduplicated. */
uint32_t report_data_good(const struct report_institution *institution);
/* Nearest rank over the durations; -1 when there are none. */
int64_t report_data_percentile(const struct report_institution *institution, int percent);

/* Print the whole report on standard output. */
void report_text_print(const struct report_data *data);
void report_json_print(const struct report_data *data);

#endif
