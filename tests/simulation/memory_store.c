/* SPDX-License-Identifier: MIT
 * memory_store.c - records become rows. See memory_store.h. */
#include "tests/simulation/memory_store.h"

#include <stdlib.h>
#include <string.h>

#include "tests/simulation/simulation.h"

void memory_store_init(struct memory_store *store)
{
    *store =
        (struct memory_store){.paused_all = UTC_NONE, .active = UTC_NONE, .job_capacity = 1024};
    store->jobs = calloc(store->job_capacity, sizeof *store->jobs);
    REQUIRE(store->jobs != NULL);
    for (uint32_t i = 0; i < WORLD_PROVIDERS; i++)
        store->paused_provider[i] = UTC_NONE;
    for (uint32_t i = 0; i < WORLD_INSTITUTIONS; i++)
        store->paused_institution[i] = UTC_NONE;
    for (uint32_t i = 0; i < WORLD_SCHEDULES; i++) {
        store->paused_schedule[i] = UTC_NONE;
        store->schedules[i].local_ms = INT64_MIN;
    }
    for (uint32_t i = 0; i <= WORLD_CONSENTS; i++) {
        store->paused_consent[i] = UTC_NONE;
        store->consents[i] = (struct stored_consent){
            .past = {.last_success = UTC_NONE,
                     .last_attempt = UTC_NONE,
                     .not_before = UTC_NONE,
                     .learned_expires = UTC_NEVER},
            .learned_expires = UTC_NEVER,
            .last_sent = UTC_NONE,
        };
    }
}

void memory_store_deinit(struct memory_store *store)
{
    free(store->runs);
    free(store->jobs);
    free(store->attempts);
    free(store->calls);
    free(store->closes);
    free(store->staged);
    *store = (struct memory_store){0};
}

/* Room for one more of `size` bytes in a growing array. */
static void *one_more(void *array, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = 2 * *capacity + 256;
    array = realloc(array, *capacity * size);
    REQUIRE(array != NULL);
    return array;
}

struct stored_run *memory_store_run(struct memory_store *store, uint32_t number)
{
    for (uint32_t i = store->run_count; i > 0; i--)
        if (store->runs[i - 1].number == number)
            return &store->runs[i - 1];
    return NULL;
}

/* ---- runs ---- */

static bool is_member(const struct snapshot *snapshot, uint32_t consent, uint32_t schedule_index)
{
    const struct consent_settings *settings = &snapshot->consents[consent];
    const struct schedule_set *set;

    if (!snapshot->has_consent[consent] || settings->mode == MODE_OFF ||
        settings->schedule_set == UINT16_MAX)
        return false;
    set = &snapshot->sets[settings->schedule_set];
    for (uint32_t i = 0; i < set->count; i++)
        if (set->schedules[i] == schedule_index)
            return true;
    return false;
}

static void keep_run_open(struct simulation *s, const struct record *record)
{
    struct memory_store *store = &s->store;
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    struct stored_run *run;

    store->runs =
        one_more(store->runs, store->run_count, &store->run_capacity, sizeof *store->runs);
    run = &store->runs[store->run_count++];
    *run = (struct stored_run){
        .number = record->as.run_open.run,
        .schedule = snapshot->schedule_of[record->as.run_open.schedule],
        .trigger = record->as.run_open.trigger,
        .slot = record->as.run_open.slot,
        .local_ms = record->as.run_open.local_ms,
        .fold = record->as.run_open.fold,
        .deadline = record->as.run_open.deadline,
        .spread_ms = record->as.run_open.spread_ms,
        .started = record->at,
        .due = record->as.run_open.due,
        .is_open = true,
    };
    memset(run->slots, STORE_NOT_A_MEMBER, sizeof run->slots);
    for (uint32_t c = 1; c <= s->world.consent_max && !record->as.run_open.is_missed; c++)
        if (is_member(snapshot, c, record->as.run_open.schedule) &&
            (run->trigger != TRIGGER_ONCE || store->once_filter == NULL ||
             store->once_filter(NULL, c)))
            run->slots[c] = OUTCOME_NONE;
    if (run->number > store->run_max)
        store->run_max = run->number;
    if (run->trigger == TRIGGER_ONCE)
        store->is_once_pending = false;
}

static void keep_close(struct memory_store *store, const struct stored_close *close)
{
    store->closes =
        one_more(store->closes, store->close_count, &store->close_capacity, sizeof *store->closes);
    store->closes[store->close_count++] = *close;
    store->consents[close->consent].is_dirty = true;
}

static void keep_outcome(struct memory_store *store, uint32_t run_number, uint32_t consent,
                         enum outcome outcome)
{
    struct stored_run *run = run_number == 0 ? NULL : memory_store_run(store, run_number);

    if (run != NULL)
        run->slots[consent] = (uint8_t)outcome;
}

static void keep_skip(struct memory_store *store, const struct record *record)
{
    struct stored_close close = {record->as.skip.consent, OUTCOME_SKIPPED, record->at, UTC_NONE,
                                 REASON_NONE};

    if (record->as.skip.run == 0 || record->as.skip.consent == 0)
        return;
    keep_outcome(store, record->as.skip.run, record->as.skip.consent, OUTCOME_SKIPPED);
    keep_close(store, &close);
}

/* ---- jobs ---- */

static void keep_job_open(struct memory_store *store, const struct record *record)
{
    uint64_t number = record->as.job_open.job;
    struct stored_run *run;

    while (number >= store->job_capacity) {
        store->jobs = realloc(store->jobs, 2 * store->job_capacity * sizeof *store->jobs);
        REQUIRE(store->jobs != NULL);
        memset(store->jobs + store->job_capacity, 0, store->job_capacity * sizeof *store->jobs);
        store->job_capacity *= 2;
    }
    store->jobs[number] = (struct stored_job){
        .consent = record->as.job_open.consent,
        .run = record->as.job_open.run,
        .trigger = record->as.job_open.trigger,
        .due = record->as.job_open.due,
        .attempts = 1,
        .first = WORLD_NONE,
        .last = WORLD_NONE,
        .is_open = true,
        .next_attempt = UTC_NONE,
    };
    if (number > store->job_max)
        store->job_max = number;
    run = record->as.job_open.run == 0 ? NULL : memory_store_run(store, record->as.job_open.run);
    if (run != NULL)
        run->has_job[record->as.job_open.consent] = 1;
}

static void keep_attempt(struct memory_store *store, const struct record *record)
{
    struct stored_job *job = &store->jobs[record->as.attempt.job];
    uint32_t index = store->attempt_count;

    store->attempts = one_more(store->attempts, store->attempt_count, &store->attempt_capacity,
                               sizeof *store->attempts);
    store->attempts[store->attempt_count++] = (struct stored_attempt){
        .job = record->as.attempt.job,
        .next = WORLD_NONE,
        .number = record->as.attempt.attempt,
        .is_repeat = record->as.attempt.is_repeat,
        .is_charged = !record->as.attempt.is_repeat,
        .sent = record->at,
    };
    if (job->last == WORLD_NONE)
        job->first = index;
    else
        store->attempts[job->last].next = index;
    job->last = index;
    job->attempts = record->as.attempt.attempt;
    if (record->as.attempt.attempt > 1) {
        job->next_attempt = UTC_NONE;
        job->wait_reason = REASON_NONE;
    }
    store->consents[job->consent].last_sent = record->at;
}

static struct stored_attempt *attempt_row(struct memory_store *store, uint64_t job, uint16_t number)
{
    for (uint32_t i = store->jobs[job].first; i != WORLD_NONE; i = store->attempts[i].next)
        if (store->attempts[i].number == number)
            return &store->attempts[i];
    return NULL;
}

static void keep_answer(struct memory_store *store, const struct record *record)
{
    struct stored_attempt *attempt =
        attempt_row(store, record->as.answer.job, record->as.answer.attempt);

    if (attempt == NULL)
        return;
    attempt->is_answered = true;
    attempt->class_ = record->as.answer.class_;
    attempt->reason = record->as.answer.reason;
    attempt->sent = record->as.answer.sent;
    attempt->is_charged = record->as.answer.is_charged;
    if (attempt->sent.ms > store->consents[record->as.answer.consent].last_sent.ms)
        store->consents[record->as.answer.consent].last_sent = attempt->sent;
}

static void keep_reference(struct memory_store *store, const struct record *record)
{
    struct stored_attempt *attempt =
        attempt_row(store, record->as.reference.job, record->as.reference.attempt);

    if (attempt == NULL)
        return;
    attempt->reference_hash = record->as.reference.reference_hash;
    store->consents[record->as.reference.consent].last_reference = attempt->reference_hash;
}

static void keep_job_state(struct memory_store *store, const struct record *record)
{
    struct stored_job *job = &store->jobs[record->as.job_state.job];

    job->next_attempt = record->as.job_state.next_attempt.ms == UTC_NEVER.ms
                            ? UTC_NONE
                            : record->as.job_state.next_attempt;
    job->wait_reason = record->as.job_state.reason;
}

void memory_store_close_orphans(struct simulation *s)
{
    struct utc_time at = simulation_now(s).utc;
    struct memory_store *store = &s->store;

    for (uint32_t i = 0; i < store->run_count && store->orphan_count > 0; i++) {
        struct stored_run *run = &store->runs[i];
        struct record record = {.kind = RECORD_RUN_CLOSE, .at = at};
        bool has_open = false;

        if (!run->is_orphan || !run->is_open)
            continue;
        for (uint32_t c = 1; c <= s->world.consent_max; c++) {
            has_open = has_open || run->slots[c] == OUTCOME_NONE;
            if (run->slots[c] != STORE_NOT_A_MEMBER)
                record.as.run_close.counts[run->slots[c]]++;
        }
        if (has_open)
            continue;
        record.as.run_close.run = run->number;
        record.as.run_close.late = at.ms > run->deadline.ms;
        store->orphan_count--;
        judge_record(s, &record, NULL);
        run->is_open = false;
    }
}

static void keep_job_close(struct simulation *s, const struct record *record)
{
    struct memory_store *store = &s->store;
    struct stored_job *job = &store->jobs[record->as.job_close.job];
    struct stored_close close = {job->consent, record->as.job_close.outcome, record->at,
                                 job->next_attempt, job->wait_reason};

    job->is_open = false;
    job->outcome = record->as.job_close.outcome;
    keep_outcome(store, job->run, job->consent, job->outcome);
    keep_close(store, &close);
    if (store->orphan_count > 0)
        memory_store_close_orphans(s);
}

/* ---- the rest ---- */

static void keep_calls(struct simulation *s, const struct record *record)
{
    struct memory_store *store = &s->store;
    uint32_t provider = virtual_shell_snapshot(&s->shell)->provider_of[record->as.calls.provider];

    store->calls =
        one_more(store->calls, store->call_count, &store->call_capacity, sizeof *store->calls);
    store->calls[store->call_count++] =
        (struct stored_calls){provider, record->at.ms / MS_PER_SECOND, record->as.calls.count};
}

static void keep_node(struct simulation *s, const struct record *record)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    struct stored_node *node =
        record->as.node.institution == UINT32_MAX
            ? &s->store.providers[snapshot->provider_of[record->as.node.provider]]
            : &s->store.institutions[snapshot->institution_of[record->as.node.institution]];

    node->is_known = true;
    node->past = record->as.node.past;
    if (node->past.breaker != BREAKER_CLOSED) /* a row says open or not */
        node->past.breaker = BREAKER_OPEN;
}

static void keep_recheck(struct simulation *s, const struct record *record)
{
    uint32_t provider = virtual_shell_snapshot(&s->shell)->provider_of[record->as.recheck.provider];

    if (!record->as.recheck.is_by_hand)
        return;
    s->store.rechecks[provider].consent = record->as.recheck.consent;
    s->store.rechecks[provider].at = record->at;
}

static void keep_schedule(struct simulation *s, const struct record *record)
{
    struct stored_schedule *schedule =
        &s->store.schedules[virtual_shell_snapshot(&s->shell)
                                ->schedule_of[record->as.schedule.schedule]];

    schedule->accounted = record->as.schedule.slot;
    schedule->local_ms = record->as.schedule.local_ms;
    schedule->fold = record->as.schedule.fold;
}

static void keep_record(struct simulation *s, const struct record *record)
{
    struct memory_store *store = &s->store;
    struct stored_run *run;

    switch (record->kind) {
    case RECORD_RUN_OPEN: keep_run_open(s, record); break;
    case RECORD_RUN_CLOSE:
        run = memory_store_run(store, record->as.run_close.run);
        if (run != NULL)
            run->is_open = false;
        break;
    case RECORD_JOB_OPEN: keep_job_open(store, record); break;
    case RECORD_ATTEMPT: keep_attempt(store, record); break;
    case RECORD_ANSWER: keep_answer(store, record); break;
    case RECORD_REFERENCE: keep_reference(store, record); break;
    case RECORD_JOB_STATE: keep_job_state(store, record); break;
    case RECORD_JOB_CLOSE: keep_job_close(s, record); break;
    case RECORD_SKIP: keep_skip(store, record); break;
    case RECORD_HOLD:
    case RECORD_RELEASE:
        store->consents[record->as.hold.consent].is_held = record->kind == RECORD_HOLD;
        store->consents[record->as.hold.consent].is_suspended =
            record->kind == RECORD_HOLD && record->as.hold.is_suspended;
        break;
    case RECORD_EXPIRES:
        store->consents[record->as.expires.consent].learned_expires = record->as.expires.expires;
        break;
    case RECORD_RECHECK: keep_recheck(s, record); break;
    case RECORD_NODE: keep_node(s, record); break;
    case RECORD_CALLS: keep_calls(s, record); break;
    case RECORD_SCHEDULE: keep_schedule(s, record); break;
    case RECORD_MAINTENANCE: break; /* its providers publish none */
    }
}

/* Sabotage: a record that everybody believes to be kept. */
static bool is_lost(struct simulation *s, const struct record *record)
{
    return s->sabotage == SABOTAGE_LOSE_RECORD &&
           (record->kind == RECORD_SKIP || record->kind == RECORD_ATTEMPT ||
            record->kind == RECORD_JOB_CLOSE) &&
           dice_one_in(&s->random, 50);
}

void memory_store_commit(struct simulation *s, const struct record *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        judge_record(s, &records[i], i + 1 < count ? &records[i + 1] : NULL);
        if (!is_lost(s, &records[i]))
            keep_record(s, &records[i]);
    }
    s->tally.counts[TALLY_RECORDS] += count;
}

void memory_store_fold(struct simulation *s)
{
    struct memory_store *store = &s->store;
    bool is_partial = dice_one_in(&s->random, 3);
    uint32_t kept = 0;

    for (uint32_t c = 1; c <= s->world.consent_max; c++) {
        if (!store->consents[c].is_dirty || (is_partial && dice_one_in(&s->random, 2)))
            continue;
        scheduler_consent_past(s->shell.scheduler, c, &store->consents[c].past);
        store->consents[c].is_dirty = false;
    }
    for (uint32_t i = 0; i < store->close_count; i++)
        if (store->consents[store->closes[i].consent].is_dirty)
            store->closes[kept++] = store->closes[i];
    store->close_count = kept;
}

/* ---- the configuration ---- */

static void adopt_consent(struct simulation *s, uint32_t number, bool is_first)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    const struct consent_settings *settings = &snapshot->consents[number];
    struct stored_consent *row = &s->store.consents[number];
    bool is_changed = row->has_row && (row->expires.ms != settings->expires.ms ||
                                       row->authorized_at.ms != settings->authorized_at.ms);

    if (!snapshot->has_consent[number])
        return;
    row->has_row = true;
    row->expires = settings->expires;
    row->authorized_at = settings->authorized_at;
    if (!is_changed)
        return;
    row->learned_expires = UTC_NEVER;
    judge_dates_changed(s, number);
    if (is_first && row->is_held) {
        struct record record = {
            .kind = RECORD_RELEASE, .at = simulation_now(s).utc, .as.hold.source = HOLD_BY_ROW};

        record.as.hold.consent = number;
        memory_store_commit(s, &record, 1);
    }
}

void memory_store_adopt(struct simulation *s, bool is_first)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    struct utc_time now = simulation_now(s).utc;

    for (uint32_t i = 0; i < s->world.schedule_count; i++) {
        struct stored_schedule *row = &s->store.schedules[i];
        uint32_t index = snapshot->schedule_index[i];

        if (index == WORLD_NONE) {
            row->is_known = false;
            continue;
        }
        if (!row->is_known || row->revision != snapshot->schedules[index].revision)
            *row = (struct stored_schedule){.accounted = now, .local_ms = INT64_MIN};
        row->is_known = true;
        row->revision = snapshot->schedules[index].revision;
    }
    for (uint32_t c = 1; c <= s->world.consent_max; c++)
        adopt_consent(s, c, is_first);
}
