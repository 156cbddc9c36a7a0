/* SPDX-License-Identifier: MIT
 * report_data.c - see report_data.h. */
#include "command/report_data.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "command/query_row.h"

static const char run_sql[] =
    "SELECT run_id, schedule, trigger, slot_at, deadline_at, started_at, finished_at, started_ms,"
    " finished_ms, deadline_ms, due, refreshed, partial, deduplicated, reconnect_required, failed,"
    " skipped, unknown, reconciled, late FROM v1_runs";
static const char jobs_sql[] =
    "SELECT consent, provider, institution, outcome, reason, started_ms, finished_ms, error_code,"
    " error_message FROM v1_jobs WHERE run_id = ?1";
static const char skips_sql[] =
    "SELECT k.consent, c.provider, c.institution, k.reason, k.count, k.detail"
    " FROM v1_skips AS k LEFT JOIN v1_consents AS c ON c.consent = k.consent"
    " WHERE k.run_id = ?1";

static enum result out_of_memory(struct fault *fault)
{
    return fault_set(fault, FAULT_TEMPORARY, "out of memory");
}

/* NULL stays NULL; `*is_cut` is set where memory ran out. */
static const char *copy(struct report_data *data, const char *text, bool *is_cut)
{
    char *copied;

    if (text == NULL)
        return NULL;
    copied = arena_copy(&data->arena, text, strlen(text));
    if (copied == NULL)
        *is_cut = true;
    return copied;
}

/* ---- institutions by name ---- */

static uint64_t hash_names(const char *provider, const char *institution)
{
    return hash_bytes(institution, strlen(institution), hash_bytes(provider, strlen(provider), 0));
}

static bool has_names(const struct report_institution *entry, const char *provider,
                      const char *institution)
{
    return strcmp(entry->provider == NULL ? "" : entry->provider, provider) == 0 &&
           strcmp(entry->institution, institution) == 0;
}

/* The place of these names in the index: theirs, or the free one where they belong. */
static uint32_t *place_of(struct report_data *data, const char *provider, const char *institution)
{
    uint32_t at = (uint32_t)(hash_names(provider, institution) & (data->index_size - 1));

    while (data->index[at] != 0 &&
           !has_names(&data->institutions[data->index[at] - 1], provider, institution))
        at = (at + 1) & (data->index_size - 1);
    return &data->index[at];
}

/* Room for one more: the list doubles, the index stays at most half full. */
static bool grow(struct report_data *data)
{
    uint32_t capacity = data->index_size / 2;
    struct report_institution *institutions;

    if (data->institution_count < capacity)
        return true;
    capacity = capacity == 0 ? 64 : 2 * capacity;
    institutions =
        memory_resize(data->institutions, data->institution_count, capacity, sizeof *institutions);
    if (institutions == NULL)
        return false;
    data->institutions = institutions;
    memory_release(data->index);
    data->index_size = 0;
    data->index = memory_resize(NULL, 0, (size_t)capacity * 2, sizeof *data->index);
    if (data->index == NULL)
        return false;
    data->index_size = capacity * 2;
    for (uint32_t i = 0; i < data->institution_count; i++) {
        const struct report_institution *entry = &institutions[i];

        *place_of(data, entry->provider == NULL ? "" : entry->provider, entry->institution) = i + 1;
    }
    return true;
}

/* NULL when memory is out. */
static struct report_institution *institution_of(struct report_data *data, const char *provider,
                                                 const char *institution)
{
    uint32_t *place;
    struct report_institution *entry;
    bool is_cut = false;

    if (!grow(data))
        return NULL;
    place = place_of(data, provider == NULL ? "" : provider, institution);
    if (*place != 0)
        return &data->institutions[*place - 1];
    entry = &data->institutions[data->institution_count];
    entry->provider = copy(data, provider, &is_cut);
    entry->institution = copy(data, institution, &is_cut);
    if (is_cut)
        return NULL;
    *place = ++data->institution_count;
    return entry;
}

static bool add_duration(struct report_institution *institution, int64_t duration_ms)
{
    if (institution->duration_count == institution->duration_capacity) {
        uint32_t capacity =
            institution->duration_capacity == 0 ? 16 : 2 * institution->duration_capacity;
        int64_t *grown = memory_resize(institution->durations_ms, institution->duration_count,
                                       capacity, sizeof *grown);

        if (grown == NULL)
            return false;
        institution->durations_ms = grown;
        institution->duration_capacity = capacity;
    }
    institution->durations_ms[institution->duration_count++] = duration_ms;
    return true;
}

/* ---- rows ---- */

static bool add_to_group(struct report_data *data, struct report_group *group, uint32_t count,
                         const char *consent, const char *error)
{
    bool is_cut = false;

    for (int i = 0; i < REPORT_SAMPLES && consent != NULL; i++)
        if (group->samples[i] == NULL) {
            group->samples[i] = copy(data, consent, &is_cut);
            break;
        }
    if (group->error == NULL)
        group->error = copy(data, error, &is_cut);
    group->count += count;
    return !is_cut;
}

static enum reason reason_of(const struct query_row *row)
{
    const char *text = query_row_text(row, "reason");
    enum reason reason = REASON_NONE;

    if (text != NULL)
        (void)reason_parse(text, strlen(text), &reason);
    return reason;
}

static enum result on_job(void *context, uint32_t count, const char *const *columns,
                          const struct query_value *values, struct fault *fault)
{
    struct report_data *data = context;
    const struct query_row row = {count, columns, values};
    const char *text = query_row_text(&row, "outcome");
    const char *error = query_row_text(&row, "error_code");
    int64_t started = query_row_integer(&row, "started_ms", -1);
    int64_t finished = query_row_integer(&row, "finished_ms", -1);
    struct report_institution *institution =
        institution_of(data, query_row_text(&row, "provider"), query_row_text(&row, "institution"));
    enum outcome outcome = OUTCOME_NONE;

    if (institution == NULL)
        return out_of_memory(fault);
    if (text != NULL)
        (void)outcome_parse(text, strlen(text), &outcome);
    if (error == NULL)
        error = query_row_text(&row, "error_message");
    institution->slots++;
    institution->counts[outcome]++;
    data->all.slots++;
    data->all.counts[outcome]++;
    if (!add_to_group(data, &data->groups[outcome][reason_of(&row)], 1,
                      query_row_text(&row, "consent"), error))
        return out_of_memory(fault);
    if (started >= 0 && finished >= 0) {
        int64_t duration_ms = finished < started ? 0 : finished - started;

        if (!add_duration(institution, duration_ms) || !add_duration(&data->all, duration_ms))
            return out_of_memory(fault);
    }
    return RESULT_OK;
}

static enum result on_skip(void *context, uint32_t count, const char *const *columns,
                           const struct query_value *values, struct fault *fault)
{
    struct report_data *data = context;
    const struct query_row row = {count, columns, values};
    const char *institution_name = query_row_text(&row, "institution");
    uint32_t slots = (uint32_t)query_row_integer(&row, "count", 1);
    struct report_institution *institution =
        institution_of(data, query_row_text(&row, "provider"),
                       institution_name == NULL ? "(whole run)" : institution_name);

    if (institution == NULL)
        return out_of_memory(fault);
    institution->slots += slots;
    institution->counts[OUTCOME_SKIPPED] += slots;
    data->all.slots += slots;
    data->all.counts[OUTCOME_SKIPPED] += slots;
    if (!add_to_group(data, &data->groups[OUTCOME_SKIPPED][reason_of(&row)], slots,
                      query_row_text(&row, "consent"), query_row_text(&row, "detail")))
        return out_of_memory(fault);
    return RESULT_OK;
}

static enum result on_run(void *context, uint32_t count, const char *const *columns,
                          const struct query_value *values, struct fault *fault)
{
    struct report_data *data = context;
    const struct query_row row = {count, columns, values};
    bool is_cut = false;

    data->run_id = copy(data, query_row_text(&row, "run_id"), &is_cut);
    data->schedule = copy(data, query_row_text(&row, "schedule"), &is_cut);
    data->trigger = copy(data, query_row_text(&row, "trigger"), &is_cut);
    data->slot_at = copy(data, query_row_text(&row, "slot_at"), &is_cut);
    data->deadline_at = copy(data, query_row_text(&row, "deadline_at"), &is_cut);
    data->started_at = copy(data, query_row_text(&row, "started_at"), &is_cut);
    data->finished_at = copy(data, query_row_text(&row, "finished_at"), &is_cut);
    data->started_ms = query_row_integer(&row, "started_ms", -1);
    data->finished_ms = query_row_integer(&row, "finished_ms", -1);
    data->deadline_ms = query_row_integer(&row, "deadline_ms", -1);
    data->due = query_row_integer(&row, "due", 0);
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        data->counts[outcome] = query_row_integer(&row, outcome_text(outcome), 0);
    data->is_reconciled = query_row_integer(&row, "reconciled", 0) != 0;
    data->is_late = query_row_integer(&row, "late", 0) != 0;
    return is_cut ? out_of_memory(fault) : RESULT_OK;
}

/* ---- order ---- */

static uint32_t bad(const struct report_institution *institution)
{
    return institution->counts[OUTCOME_FAILED] + institution->counts[OUTCOME_UNKNOWN];
}

static int compare_names(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b);
}

static int by_trouble(const void *left, const void *right)
{
    const struct report_institution *a = left;
    const struct report_institution *b = right;
    int order;

    if (bad(a) != bad(b))
        return bad(a) > bad(b) ? -1 : 1;
    if (a->slots != b->slots)
        return a->slots > b->slots ? -1 : 1;
    order = compare_names(a->provider, b->provider);
    return order != 0 ? order : compare_names(a->institution, b->institution);
}

static int by_value(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;

    return (a > b) - (a < b);
}

static void sort_durations(struct report_institution *institution)
{
    if (institution->duration_count > 0)
        qsort(institution->durations_ms, institution->duration_count,
              sizeof *institution->durations_ms, by_value);
}

/* ---- all together ---- */

static enum result read_run(struct report_data *data, struct state_query *query, const char *run_id,
                            struct fault *fault)
{
    struct text sql;
    enum result result;
    bool is_last = strcmp(run_id, "last") == 0;

    text_init(&sql, 4096);
    text_append_string(&sql, run_sql);
    text_append_string(&sql, is_last ? " ORDER BY started_ms DESC, run_id DESC LIMIT 1"
                                     : " WHERE run_id = ?1");
    result = sql.is_cut
                 ? out_of_memory(fault)
                 : state_query_sql(query, sql.bytes, &run_id, is_last ? 0 : 1, on_run, data, fault);
    text_deinit(&sql);
    return result;
}

enum result report_data_read(struct report_data *data, struct state_query *query,
                             const char *run_id, bool *found, struct fault *fault)
{
    *data = (struct report_data){.finished_ms = -1};
    arena_init(&data->arena);
    if (read_run(data, query, run_id, fault) != RESULT_OK)
        return RESULT_FAULT;
    *found = data->run_id != NULL;
    if (!*found)
        return RESULT_OK;
    if (state_query_sql(query, jobs_sql, &data->run_id, 1, on_job, data, fault) != RESULT_OK ||
        state_query_sql(query, skips_sql, &data->run_id, 1, on_skip, data, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (data->institution_count > 0)
        qsort(data->institutions, data->institution_count, sizeof *data->institutions, by_trouble);
    for (uint32_t i = 0; i < data->institution_count; i++)
        sort_durations(&data->institutions[i]);
    sort_durations(&data->all);
    return RESULT_OK;
}

void report_data_deinit(struct report_data *data)
{
    for (uint32_t i = 0; i < data->institution_count; i++)
        memory_release(data->institutions[i].durations_ms);
    memory_release(data->all.durations_ms);
    memory_release(data->institutions);
    memory_release(data->index);
    arena_deinit(&data->arena);
}

uint32_t report_data_good(const struct report_institution *institution)
{
    return institution->counts[OUTCOME_REFRESHED] + institution->counts[OUTCOME_PARTIAL] +
           institution->counts[OUTCOME_DEDUPLICATED];
}

int64_t report_data_percentile(const struct report_institution *institution, int percent)
{
    uint64_t rank = ((uint64_t)institution->duration_count * (uint64_t)percent + 99) / 100;

    return rank == 0 ? -1 : institution->durations_ms[rank - 1];
}
