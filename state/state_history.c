/* SPDX-License-Identifier: MIT
 * state_history.c - see state_history.h. */
#include "state/state_history.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "state/history_ceiling.h"
#include "state/state_private.h"

#define STRETCH_JOBS 4096u /* neighbours that are read together: some minutes of a large night */
#define SAMPLE_SEED UINT64_C(0x686973746f7279) /* any, but always the same */

/* ---- distributions ---- */

static bool grow_samples(struct history_samples *samples)
{
    uint32_t capacity = samples->capacity == 0 ? 32 : 2 * samples->capacity;
    int32_t *grown = realloc(samples->values, capacity * sizeof *grown);

    if (grown == NULL)
        return false;
    samples->values = grown;
    samples->capacity = capacity;
    return true;
}

bool history_samples_add(struct history_samples *samples, int64_t value, struct random *random)
{
    uint32_t place = samples->kept;

    if (place == samples->capacity && place < HISTORY_SAMPLES_MAX && !grow_samples(samples))
        return false;
    value = value < 0 ? 0 : value > INT32_MAX ? INT32_MAX : value;
    samples->seen++;
    samples->is_sorted = false;
    if (place < HISTORY_SAMPLES_MAX)
        samples->kept++;
    else
        place = (uint32_t)random_below(random, samples->seen);
    if (place < HISTORY_SAMPLES_MAX)
        samples->values[place] = (int32_t)value;
    return true;
}

void history_samples_deinit(struct history_samples *samples)
{
    free(samples->values);
    *samples = (struct history_samples){0};
}

static int compare_values(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a;
    int32_t y = *(const int32_t *)b;

    return x < y ? -1 : x > y;
}

void history_samples_sort(struct history_samples *samples)
{
    if (samples->kept > 0)
        qsort(samples->values, samples->kept, sizeof *samples->values, compare_values);
    samples->is_sorted = true;
}

int64_t history_samples_at(const struct history_samples *samples, uint32_t fraction)
{
    uint64_t place;
    uint32_t index;
    int64_t low;

    REQUIRE(samples->kept > 0 && samples->is_sorted);
    place = (uint64_t)(samples->kept - 1) * fraction;
    index = (uint32_t)(place >> 32);
    low = samples->values[index];
    if (index + 1 == samples->kept)
        return low;
    return low + (((samples->values[index + 1] - low) * (int64_t)(uint32_t)place) >> 32);
}

void history_ends_add(struct history_ends *ends, const struct history_end *end)
{
    uint32_t i = 0;

    while (i < ends->count &&
           (ends->ends[i].is_accepted != end->is_accepted || ends->ends[i].class_ != end->class_ ||
            ends->ends[i].reason != end->reason || ends->ends[i].outcome != end->outcome))
        i++;
    if (i == HISTORY_ENDS_MAX)
        return; /* twenty others are known: it is rare */
    if (i == ends->count) {
        ends->ends[ends->count++] = *end;
        ends->ends[i].count = 0;
    }
    ends->ends[i].count++;
    ends->total++;
}

const struct history_end *history_ends_at(const struct history_ends *ends, uint32_t fraction)
{
    uint32_t place = (uint32_t)((uint64_t)ends->total * fraction >> 32);
    uint32_t i = 0;

    REQUIRE(ends->total > 0);
    while (place >= ends->ends[i].count)
        place -= ends->ends[i++].count;
    return &ends->ends[i];
}

/* ---- one attempt ---- */

struct reading {
    struct state_store *store;
    struct history *history;
    const struct institution_settings *institutions;
    uint32_t *places; /* index of an institution by its number; UINT32_MAX: gone */
    int64_t place_count;
    struct history_sending *sendings; /* in the order of jobs, later attempts out of time */
    size_t sending_count;
    size_t sending_capacity;
    struct random random;
    bool is_broken; /* out of memory */
};

static void add(struct reading *reading, struct history_samples *samples, int64_t value)
{
    if (!history_samples_add(samples, value, &reading->random))
        reading->is_broken = true;
}

/* Columns of an attempt and its job. */
enum {
    READ_KEY,
    READ_SENT,
    READ_ANSWERED,
    READ_CLASS,
    READ_REASON,
    READ_REPEAT,
    READ_ATTEMPTS,
    READ_OUTCOME,
    READ_JOB_REASON,
    READ_FINISHED,
    READ_INSTITUTION,
    READ_RETRY_AFTER
};
static const char reading_sql[] =
    "SELECT a.attempt_key, a.sent_ms, a.answered_ms, coalesce(a.class, 0),"
    " coalesce(a.reason, 0), a.is_repeat, j.attempts, j.outcome, coalesce(j.reason, 0),"
    " j.finished_ms, c.institution_no, a.retry_after_raw"
    " FROM attempt AS a CROSS JOIN job AS j ON j.job_no = a.attempt_key >> 16"
    " CROSS JOIN consent AS c ON c.consent_no = j.consent_no"
    " WHERE a.attempt_key >= ?1 << 16 AND a.attempt_key < ?2 << 16"
    " AND j.finished_ms IS NOT NULL ORDER BY a.attempt_key";

static enum result note_sending(struct reading *reading, uint32_t place, int64_t sent_ms,
                                enum answer_class class_, struct fault *fault)
{
    if (reading->sending_count == reading->sending_capacity) {
        size_t capacity = 2 * reading->sending_capacity + 4096;
        struct history_sending *grown = realloc(reading->sendings, capacity * sizeof *grown);

        if (grown == NULL)
            return fault_set(fault, FAULT_TEMPORARY, "out of memory for the history");
        reading->sendings = grown;
        reading->sending_capacity = capacity;
    }
    reading->sendings[reading->sending_count++] =
        (struct history_sending){.sent_ms = sent_ms,
                                 .place = place,
                                 .is_accepted = class_ == CLASS_ACCEPTED,
                                 .is_refused = class_ == CLASS_PUSHBACK};
    return RESULT_OK;
}

static int compare_sendings(const void *a, const void *b)
{
    const struct history_sending *x = a;
    const struct history_sending *y = b;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return x->sent_ms < y->sent_ms ? -1 : x->sent_ms > y->sent_ms;
}

/* The limit that a bank seems to have: its length for all times, its height for each hour that
 * tells, for such limits change. */
static void find_ceiling(struct reading *reading, struct history_sending *sendings, size_t count)
{
    struct history_node *node = &reading->history->institutions[sendings[0].place];
    size_t first = 0;

    if (!history_ceiling_window(sendings, count, &node->ceiling_ms))
        return;
    for (size_t i = 1; i <= count; i++) {
        uint32_t height;

        if (i < count && sendings[i].sent_ms / MS_PER_HOUR == sendings[first].sent_ms / MS_PER_HOUR)
            continue;
        height = history_ceiling_count(sendings + first, i - first);
        if (height > 0)
            add(reading, &node->ceiling, height);
        first = i;
    }
    if (node->ceiling.kept == 0)
        add(reading, &node->ceiling, history_ceiling_count(sendings, count));
}

static void find_ceilings(struct reading *reading)
{
    struct history_sending *sendings = reading->sendings;
    size_t first = 0;

    if (reading->sending_count > 0)
        qsort(sendings, reading->sending_count, sizeof *sendings, compare_sendings);
    for (size_t i = 1; i <= reading->sending_count; i++) {
        if (i < reading->sending_count && sendings[i].place == sendings[first].place)
            continue;
        if (reading->history->institutions[sendings[first].place].refused >= HISTORY_REFUSALS_MIN)
            find_ceiling(reading, sendings + first, i - first);
        first = i;
    }
}

/* The class of answer that leads the core to such an end of a job that was accepted. */
static struct history_end end_of_job(enum outcome outcome, enum reason reason)
{
    struct history_end end = {.is_accepted = true, .reason = reason, .outcome = outcome};

    switch (outcome) {
    case OUTCOME_REFRESHED:
    case OUTCOME_DEDUPLICATED: end.class_ = CLASS_SUCCESS; break;
    case OUTCOME_PARTIAL: end.class_ = CLASS_PARTIAL; break;
    case OUTCOME_RECONNECT_REQUIRED: end.class_ = CLASS_RECONNECT_REQUIRED; break;
    case OUTCOME_UNKNOWN: end.class_ = reason == REASON_LOST ? CLASS_LOST : CLASS_NONE; break;
    case OUTCOME_NONE:
    case OUTCOME_FAILED:
    case OUTCOME_SKIPPED:
    case OUTCOME_COUNT:
        end.class_ = reason == REASON_REJECTED        ? CLASS_REJECTED
                     : reason == REASON_CONFIGURATION ? CLASS_CONFIG_ERROR
                     : reason == REASON_NOT_READY     ? CLASS_NOT_READY
                                                      : CLASS_RETRY_LATER;
        break;
    }
    if (outcome != OUTCOME_DEDUPLICATED)
        end.outcome = OUTCOME_NONE;
    return end;
}

/* How an attempt ended. False: it tells nothing about the next night. */
static bool end_of_attempt(sqlite3_stmt *row, struct history_end *end)
{
    enum answer_class class_ = (enum answer_class)sqlite3_column_int(row, READ_CLASS);
    enum outcome outcome = (enum outcome)sqlite3_column_int(row, READ_OUTCOME);
    enum reason job_reason = (enum reason)sqlite3_column_int(row, READ_JOB_REASON);
    bool is_last = (sqlite3_column_int64(row, READ_KEY) & (ATTEMPTS_PER_JOB - 1)) ==
                   sqlite3_column_int(row, READ_ATTEMPTS);

    *end = (struct history_end){.class_ = class_,
                                .reason = (enum reason)sqlite3_column_int(row, READ_REASON)};
    switch (class_) {
    case CLASS_CREDENTIALS: /* a night with a wrong secret is not the next one */
    case CLASS_PUSHBACK: /* the ceiling tells when */ return false;
    case CLASS_NONE: /* no answer was ever recorded: a crash, or in doubt to the end */
        return outcome == OUTCOME_UNKNOWN;
    case CLASS_TRANSPORT:
    case CLASS_BAD_ANSWER:
        if (sqlite3_column_type(row, READ_SENT) != SQLITE_NULL && end->reason == REASON_IN_DOUBT)
            end->class_ = CLASS_NONE;
        return true;
    case CLASS_ACCEPTED:
    case CLASS_SUCCESS:
    case CLASS_PARTIAL: break;
    default: return true;
    }
    /* An accepted attempt that was followed by another one had failed. */
    *end =
        is_last ? end_of_job(outcome, job_reason) : end_of_job(OUTCOME_FAILED, REASON_JOB_FAILED);
    return true;
}

/* The usual form of Retry-After, seconds; the other one, a date, is rare. */
static void note_refusal(struct reading *reading, struct history_node *const nodes[2],
                         sqlite3_stmt *row)
{
    const char *text = state_column_text(row, READ_RETRY_AFTER);
    int64_t seconds;

    for (int i = 0; i < 2; i++) {
        nodes[i]->refused++;
        if (text != NULL && integer_parse(text, strlen(text), 0, INT32_MAX / 1000, &seconds))
            add(reading, &nodes[i]->retry_after_ms, seconds * MS_PER_SECOND);
    }
}

static enum result take_row(struct reading *reading, sqlite3_stmt *row, struct fault *fault)
{
    struct history *history = reading->history;
    int64_t institution_no = sqlite3_column_int64(row, READ_INSTITUTION);
    bool has_sent = sqlite3_column_type(row, READ_SENT) != SQLITE_NULL;
    int64_t sent_ms = sqlite3_column_int64(row, READ_SENT);
    int64_t attempt = sqlite3_column_int64(row, READ_KEY) & (ATTEMPTS_PER_JOB - 1);
    bool is_last = attempt == sqlite3_column_int(row, READ_ATTEMPTS);
    enum answer_class class_ = (enum answer_class)sqlite3_column_int(row, READ_CLASS);
    struct history_node *nodes[2];
    struct history_end end;
    uint32_t place;

    if (institution_no >= reading->place_count ||
        (place = reading->places[institution_no]) == UINT32_MAX || !has_sent)
        return RESULT_OK;
    nodes[0] = &history->institutions[place];
    nodes[1] = &history->providers[reading->institutions[place].provider];
    if (history->since.ms == UTC_NONE.ms || sent_ms < history->since.ms)
        history->since.ms = sent_ms;
    history->jobs += attempt == 1;
    if (note_sending(reading, place, sent_ms, class_, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (class_ == CLASS_PUSHBACK)
        note_refusal(reading, nodes, row);
    if (!end_of_attempt(row, &end))
        return RESULT_OK;
    for (int i = 0; i < 2; i++) {
        history_ends_add(&nodes[i]->ends[attempt > 1], &end);
        if (sqlite3_column_type(row, READ_ANSWERED) != SQLITE_NULL)
            history_samples_add(&nodes[i]->latency_ms,
                                sqlite3_column_int64(row, READ_ANSWERED) - sent_ms,
                                &reading->random);
        if (end.is_accepted && is_last && end.class_ != CLASS_NONE)
            history_samples_add(&nodes[i]->duration_ms,
                                sqlite3_column_int64(row, READ_FINISHED) - sent_ms,
                                &reading->random);
    }
    return RESULT_OK;
}

/* ---- all of it ---- */

static enum result read_stretch(struct reading *reading, sqlite3_stmt *row, int64_t first,
                                int64_t end, struct fault *fault)
{
    bool found = false;

    (void)sqlite3_bind_int64(row, 1, first);
    (void)sqlite3_bind_int64(row, 2, end);
    for (;;) {
        if (state_sql_step(reading->store->db, row, &found, "read the history", fault) != RESULT_OK)
            return RESULT_FAULT;
        if (!found)
            break;
        if (take_row(reading, row, fault) != RESULT_OK)
            return RESULT_FAULT;
    }
    (void)sqlite3_reset(row);
    return RESULT_OK;
}

/* Numbers of the jobs to look at: first <= n < end. */
static enum result find_range(struct state_store *store, struct utc_time now, int64_t *first,
                              int64_t *end, struct fault *fault)
{
    static const char doing[] = "find the history";
    const int days[] = {HISTORY_NIGHTS, HISTORY_DAYS};
    char sql[192];

    *end = store->last_job_no + 1;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        int64_t since_ms = now.ms - days[i] * MS_PER_DAY;

        (void)sqlite3_snprintf((int)sizeof sql, sql,
                               "SELECT coalesce((SELECT job_no FROM job_mark WHERE at_ms <= %lld"
                               " ORDER BY at_ms DESC LIMIT 1), (SELECT min(job_no) FROM job))",
                               (long long)since_ms);
        if (state_sql_integer(store->db, sql, *end, first, doing, fault) != RESULT_OK)
            return RESULT_FAULT;
        if (*end - *first >= (int64_t)HISTORY_JOBS_MIN)
            break;
    }
    return RESULT_OK;
}

static enum result read_all(struct reading *reading, struct utc_time now,
                            void (*on_progress)(void *context, int percent), void *context,
                            struct fault *fault)
{
    sqlite3_stmt *row = NULL;
    enum result result = RESULT_FAULT;
    int64_t first = 0;
    int64_t end = 0;
    int64_t stretches;
    int64_t wanted = HISTORY_JOBS_MAX / STRETCH_JOBS;

    if (find_range(reading->store, now, &first, &end, fault) != RESULT_OK)
        return RESULT_FAULT;
    reading->history->jobs_there = (uint64_t)(end - first);
    stretches = (end - first + STRETCH_JOBS - 1) / STRETCH_JOBS;
    if (wanted > stretches)
        wanted = stretches;
    if (state_sql_prepare(reading->store->db, reading_sql, &row, "read the history", fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    for (int64_t i = 0; i < wanted; i++) {
        int64_t at = first + i * stretches / wanted * STRETCH_JOBS;
        int64_t until = at + STRETCH_JOBS < end ? at + STRETCH_JOBS : end;

        if (read_stretch(reading, row, at, until, fault) != RESULT_OK)
            goto out;
        if (on_progress != NULL)
            on_progress(context, (int)((i + 1) * 100 / wanted));
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(row);
    return result;
}

static void sort_node(struct history_node *node)
{
    history_samples_sort(&node->duration_ms);
    history_samples_sort(&node->latency_ms);
    history_samples_sort(&node->ceiling);
    history_samples_sort(&node->retry_after_ms);
}

/* Indexes by number. */
static enum result map_institutions(struct reading *reading, struct fault *fault)
{
    const struct state_store *store = reading->store;

    for (uint32_t i = 0; i < store->institution_count; i++)
        if (store->institution_nos[i] >= reading->place_count)
            reading->place_count = store->institution_nos[i] + 1;
    reading->places = malloc(((size_t)reading->place_count + 1) * sizeof *reading->places);
    if (reading->places == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    memset(reading->places, 0xff, ((size_t)reading->place_count + 1) * sizeof *reading->places);
    for (uint32_t i = 0; i < store->institution_count; i++)
        if (store->institution_nos[i] > 0)
            reading->places[store->institution_nos[i]] = i;
    return RESULT_OK;
}

enum result state_history_read(struct state_store *store, const struct config *config,
                               const struct consent_table *table, struct utc_time now,
                               void (*on_progress)(void *context, int percent), void *context,
                               struct history *history, struct fault *fault)
{
    struct reading reading = {.store = store, .history = history};
    enum result result = RESULT_FAULT;

    *history = (struct history){.provider_count = config->provider_count, .since = UTC_NONE};
    reading.institutions = consent_table_institutions(table, &history->institution_count);
    random_init(&reading.random, SAMPLE_SEED);
    history->providers = calloc((size_t)history->provider_count + 1, sizeof *history->providers);
    history->institutions =
        calloc((size_t)history->institution_count + 1, sizeof *history->institutions);
    if (history->providers == NULL || history->institutions == NULL) {
        (void)fault_set(fault, FAULT_TEMPORARY, "out of memory for the history");
        goto out;
    }
    if (map_institutions(&reading, fault) != RESULT_OK ||
        read_all(&reading, now, on_progress, context, fault) != RESULT_OK)
        goto out;
    find_ceilings(&reading);
    if (reading.is_broken) {
        (void)fault_set(fault, FAULT_TEMPORARY, "out of memory for the history");
        goto out;
    }
    for (uint32_t i = 0; i < history->provider_count; i++)
        sort_node(&history->providers[i]);
    for (uint32_t i = 0; i < history->institution_count; i++)
        sort_node(&history->institutions[i]);
    result = RESULT_OK;
out:
    free(reading.places);
    free(reading.sendings);
    if (result != RESULT_OK)
        history_deinit(history);
    return result;
}

static void free_nodes(struct history_node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count && nodes != NULL; i++) {
        history_samples_deinit(&nodes[i].duration_ms);
        history_samples_deinit(&nodes[i].latency_ms);
        history_samples_deinit(&nodes[i].ceiling);
        history_samples_deinit(&nodes[i].retry_after_ms);
    }
    free(nodes);
}

void history_deinit(struct history *history)
{
    free_nodes(history->providers, history->provider_count);
    free_nodes(history->institutions, history->institution_count);
    *history = (struct history){.since = UTC_NONE};
}
