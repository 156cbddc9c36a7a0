/* SPDX-License-Identifier: MIT
 * memory_recover.c - what was committed goes back into the core, as state/state_recover*.c do it:
 * pasts, attempts, calls, pauses, schedules, runs, jobs. See memory_store.h. */
#include <stdlib.h>

#include "tests/simulation/simulation.h"
#include "tests/simulation/virtual_shell_request.h"

/* What has to be written on the way is kept only when all of recovery succeeds. */
static struct record *stage(struct memory_store *store, enum record_kind kind, struct utc_time at)
{
    if (store->staged_count == store->staged_capacity) {
        store->staged_capacity = 2 * store->staged_capacity + 64;
        store->staged = realloc(store->staged, store->staged_capacity * sizeof *store->staged);
        REQUIRE(store->staged != NULL);
    }
    store->staged[store->staged_count] = (struct record){.kind = kind, .at = at};
    return &store->staged[store->staged_count++];
}

/* ---- consents ---- */

/* As the core folds an ended job. */
static void fold_close(struct consent_past *past, const struct stored_close *close,
                       struct utc_time now)
{
    past->last_outcome = close->outcome;
    if (close->outcome == OUTCOME_REFRESHED || close->outcome == OUTCOME_PARTIAL ||
        close->outcome == OUTCOME_DEDUPLICATED) {
        past->last_success = close->finished;
        past->consecutive_failures = 0;
        past->cooldown_refusals = 0;
    } else if (close->outcome == OUTCOME_FAILED || close->outcome == OUTCOME_UNKNOWN) {
        past->consecutive_failures++;
    }
    if (close->wait_reason != REASON_NONE && close->wait_reason != REASON_RETRY_WAIT &&
        close->wait.ms > now.ms && close->wait.ms > past->not_before.ms) {
        past->not_before = close->wait;
        past->not_before_reason = close->wait_reason;
    }
}

static void recover_consents(struct simulation *s)
{
    struct memory_store *store = &s->store;
    struct utc_time now = simulation_now(s).utc;

    for (uint32_t c = 1; c <= s->world.consent_max; c++) {
        struct stored_consent *row = &store->consents[c];
        struct consent_past past = row->past;

        for (uint32_t i = 0; row->is_dirty && i < store->close_count; i++)
            if (store->closes[i].consent == c)
                fold_close(&past, &store->closes[i], now);
        if (row->is_dirty) {
            past.last_attempt.ms =
                row->last_sent.ms > past.last_attempt.ms ? row->last_sent.ms : past.last_attempt.ms;
            past.reference_hash = row->last_reference;
        }
        past.learned_expires = row->learned_expires;
        past.is_held = row->is_held;
        past.is_suspended = row->is_suspended;
        scheduler_recover_consent(s->shell.scheduler, c, &past);
    }
}

/* ---- attempts and calls ---- */

static int64_t longest_rate(const struct limit_settings *limits, int64_t longest_ms)
{
    for (uint32_t i = 0; i < limits->rate_count; i++)
        if (limits->rates[i].span_ms > longest_ms)
            longest_ms = limits->rates[i].span_ms;
    return longest_ms;
}

/* How far back any quota, cooldown or rate looks. */
static int64_t horizon_ms(const struct snapshot *snapshot)
{
    int64_t horizon = MS_PER_HOUR;

    for (uint32_t i = 0; i < snapshot->settings.provider_count; i++) {
        const struct provider_settings *settings = &snapshot->providers[i];
        const int64_t spans[] = {settings->quota.window_ms, settings->cooldown.after_accept_ms,
                                 settings->cooldown.after_success_ms,
                                 settings->cooldown.after_failure_ms, settings->dedupe_window_ms};

        for (size_t k = 0; k < sizeof spans / sizeof *spans; k++)
            horizon = spans[k] > horizon ? spans[k] : horizon;
        horizon = longest_rate(&settings->limits, horizon);
    }
    for (uint32_t i = 0; i < snapshot->settings.institution_count; i++)
        horizon = longest_rate(&snapshot->institutions[i].limits, horizon);
    return horizon;
}

struct sending {
    int64_t sent_ms;
    uint32_t consent;
    bool is_charged;
    enum outcome outcome;
};

static int compare_sendings(const void *a, const void *b)
{
    const struct sending *x = a;
    const struct sending *y = b;

    if (x->sent_ms != y->sent_ms)
        return x->sent_ms < y->sent_ms ? -1 : 1;
    return x->consent < y->consent ? -1 : x->consent > y->consent;
}

static void recover_attempts(struct simulation *s, int64_t since_ms)
{
    const struct memory_store *store = &s->store;
    struct sending *sendings = calloc(store->attempt_count + 1, sizeof *sendings);
    size_t count = 0;

    REQUIRE(sendings != NULL);
    for (uint32_t i = 0; i < store->attempt_count; i++) {
        const struct stored_attempt *attempt = &store->attempts[i];

        if (attempt->sent.ms > since_ms)
            sendings[count++] =
                (struct sending){attempt->sent.ms, store->jobs[attempt->job].consent,
                                 attempt->is_charged, store->jobs[attempt->job].outcome};
    }
    if (count > 1)
        qsort(sendings, count, sizeof *sendings, compare_sendings);
    for (size_t i = 0; i < count && s->sabotage != SABOTAGE_FORGET; i++)
        scheduler_recover_attempt(s->shell.scheduler, sendings[i].consent,
                                  (struct utc_time){sendings[i].sent_ms}, sendings[i].is_charged,
                                  sendings[i].outcome);
    /* What was sent for a consent that is gone its provider still counts. */
    for (size_t i = 0; i < count && s->sabotage != SABOTAGE_FORGET; i++) {
        const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
        uint32_t provider =
            snapshot->provider_index[snapshot->consent_provider[sendings[i].consent]];

        if (!snapshot->has_consent[sendings[i].consent] && provider != WORLD_NONE)
            scheduler_recover_calls(s->shell.scheduler, provider,
                                    (struct utc_time){sendings[i].sent_ms}, 1);
    }
    free(sendings);
}

static void recover_calls(struct simulation *s, int64_t since_ms)
{
    const struct memory_store *store = &s->store;
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    for (uint32_t i = 0; i < store->call_count; i++) {
        uint32_t index = snapshot->provider_index[store->calls[i].provider];

        if (index != WORLD_NONE && store->calls[i].second >= since_ms / MS_PER_SECOND)
            scheduler_recover_calls(s->shell.scheduler, index,
                                    (struct utc_time){store->calls[i].second * MS_PER_SECOND},
                                    store->calls[i].count);
    }
}

static void recover_rechecks(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    for (uint32_t i = 0; i < s->world.provider_count; i++)
        if (snapshot->provider_index[i] != WORLD_NONE && s->store.rechecks[i].consent != 0)
            scheduler_recover_recheck(s->shell.scheduler, snapshot->provider_index[i],
                                      s->store.rechecks[i].consent, s->store.rechecks[i].at);
}

/* The limits are written every few seconds while anything goes on. */
#define LIMITS_AGE_MS (30 * MS_PER_SECOND)

static void recover_nodes(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    if (s->store.active.ms != UTC_NONE.ms)
        scheduler_recover_activity(s->shell.scheduler, utc_add_ms(s->store.active, LIMITS_AGE_MS));
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        if (snapshot->provider_index[i] != WORLD_NONE && s->store.providers[i].is_known)
            scheduler_recover_node(s->shell.scheduler, snapshot->provider_index[i], UINT32_MAX,
                                   &s->store.providers[i].past);
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        if (snapshot->institution_index[i] != WORLD_NONE && s->store.institutions[i].is_known)
            scheduler_recover_node(s->shell.scheduler,
                                   snapshot->provider_index[s->world.institutions[i].provider],
                                   snapshot->institution_index[i], &s->store.institutions[i].past);
}

/* ---- pauses and schedules ---- */

static void recover_pause(struct simulation *s, enum scope_kind scope, uint32_t index,
                          struct utc_time until, bool is_first)
{
    struct event event = {.kind = EVENT_PAUSE};

    if (index == WORLD_NONE || until.ms == UTC_NONE.ms || until.ms <= simulation_now(s).utc.ms)
        return;
    event.as.pause.scope = scope;
    event.as.pause.index = index;
    event.as.pause.until = until;
    if (is_first)
        scheduler_recover_pause(s->shell.scheduler, scope, index, until);
    else
        virtual_shell_request_event(s, &event);
}

static void recover_pauses(struct simulation *s, bool is_first)
{
    const struct memory_store *store = &s->store;
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    recover_pause(s, SCOPE_ALL, 0, store->paused_all, is_first);
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        recover_pause(s, SCOPE_PROVIDER, snapshot->provider_index[i], store->paused_provider[i],
                      is_first);
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        recover_pause(s, SCOPE_INSTITUTION, snapshot->institution_index[i],
                      store->paused_institution[i], is_first);
    for (uint32_t i = 0; i < s->world.schedule_count; i++)
        recover_pause(s, SCOPE_SCHEDULE, snapshot->schedule_index[i], store->paused_schedule[i],
                      is_first);
    for (uint32_t c = 1; c <= s->world.consent_max; c++)
        recover_pause(s, SCOPE_CONSENT, c, store->paused_consent[c], is_first);
}

void memory_store_repeat_pauses(struct simulation *s)
{
    recover_pauses(s, false);
}

static void recover_schedules(struct simulation *s)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);

    for (uint32_t i = 0; i < s->world.schedule_count; i++) {
        const struct stored_schedule *row = &s->store.schedules[i];

        if (snapshot->schedule_index[i] != WORLD_NONE)
            scheduler_recover_schedule(s->shell.scheduler, snapshot->schedule_index[i],
                                       row->revision, row->accounted, row->local_ms, row->fold);
    }
}

/* ---- runs ---- */

/* Index of the job's bank, else of any bank of its provider; WORLD_NONE: nobody can follow it. */
static uint32_t job_institution(const struct simulation *s, uint32_t consent)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    uint32_t index = snapshot->institution_index[snapshot->consent_institution[consent]];
    uint32_t provider = snapshot->provider_index[snapshot->consent_provider[consent]];

    for (uint32_t i = 0; i < snapshot->settings.institution_count && index == WORLD_NONE; i++)
        if (snapshot->institutions[i].provider == provider)
            index = i;
    return index;
}

static bool is_still_member(const struct simulation *s, const struct stored_run *run, uint32_t c)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    const struct consent_settings *settings = &snapshot->consents[c];
    const struct schedule_set *set;

    if (!snapshot->has_consent[c] || settings->mode == MODE_OFF ||
        settings->schedule_set == UINT16_MAX)
        return false;
    set = &snapshot->sets[settings->schedule_set];
    for (uint32_t i = 0; i < set->count; i++)
        if (snapshot->schedule_of[set->schedules[i]] == run->schedule)
            return true;
    return false;
}

static void stage_skip(struct simulation *s, const struct stored_run *run, uint32_t consent)
{
    struct record *record = stage(&s->store, RECORD_SKIP, simulation_now(s).utc);

    record->as.skip.run = run->number;
    record->as.skip.consent = consent;
    record->as.skip.due = run->slot;
    record->as.skip.reason = REASON_REMOVED;
    record->as.skip.count = 1;
}

static bool recover_run(struct simulation *s, struct stored_run *run)
{
    uint32_t schedule = virtual_shell_snapshot(&s->shell)->schedule_index[run->schedule];
    struct recovered_run recovered = {
        .run = run->number,
        .schedule = schedule,
        .trigger = run->trigger,
        .slot = run->slot,
        .local_ms = run->local_ms,
        .fold = run->fold,
        .deadline = run->deadline,
        .spread_ms = run->spread_ms,
        .due = run->due,
        .started = run->started,
    };
    bool is_orphan = schedule == WORLD_NONE;
    struct fault fault;

    if (!is_orphan && scheduler_recover_run(s->shell.scheduler, &recovered, &fault) != RESULT_OK)
        judge_fail(s, "recovery of run %u: %s", run->number, fault.text);
    for (uint32_t c = 1; c <= s->world.consent_max; c++) {
        enum outcome outcome = (enum outcome)run->slots[c];

        if (run->slots[c] == STORE_NOT_A_MEMBER)
            continue;
        if (outcome == OUTCOME_NONE && run->has_job[c] != 0 && job_institution(s, c) == WORLD_NONE)
            outcome = OUTCOME_UNKNOWN; /* its job is closed before the runs are read */
        if (outcome == OUTCOME_NONE && run->has_job[c] == 0 &&
            (is_orphan || !is_still_member(s, run, c))) {
            stage_skip(s, run, c);
            outcome = OUTCOME_SKIPPED;
        }
        if (!is_orphan)
            scheduler_recover_slot(s->shell.scheduler, run->number, c, outcome);
    }
    return is_orphan;
}

/* ---- jobs ---- */

static bool class_counts(enum answer_class class_)
{
    return class_ != CLASS_PUSHBACK && class_ != CLASS_COOLDOWN && class_ != CLASS_CREDENTIALS;
}

/* Did an earlier job of this consent have the same reference? */
static bool is_known_reference(const struct memory_store *store, uint64_t job, uint64_t hash)
{
    for (uint32_t i = 0; i < store->attempt_count; i++)
        if (store->attempts[i].job < job && store->attempts[i].reference_hash == hash &&
            store->jobs[store->attempts[i].job].consent == store->jobs[job].consent)
            return true;
    return false;
}

static void read_attempts(const struct memory_store *store, uint64_t number,
                          struct recovered_job *job)
{
    for (uint32_t i = store->jobs[number].first; i != WORLD_NONE; i = store->attempts[i].next) {
        const struct stored_attempt *attempt = &store->attempts[i];

        job->is_repeat = attempt->is_repeat;
        job->is_answered = attempt->is_answered;
        job->last_class = attempt->class_;
        job->last_reason = attempt->reason;
        job->reference_hash = attempt->reference_hash;
        job->is_attached =
            attempt->is_answered && attempt->reference_hash != 0 &&
            (attempt->is_repeat ? is_known_reference(store, number, attempt->reference_hash)
                                : !attempt->is_charged);
        job->last_sent = attempt->sent;
        if (job->opened.ms == UTC_NONE.ms)
            job->opened = attempt->sent;
        if (!job->is_repeat && (!job->is_answered || class_counts(job->last_class)))
            job->attempts_counted++;
    }
    if (job->opened.ms == UTC_NONE.ms)
        job->opened = job->last_sent = job->due;
}

static void stage_unfollowed(struct simulation *s, uint64_t number)
{
    struct record *record = stage(&s->store, RECORD_JOB_CLOSE, simulation_now(s).utc);

    record->as.job_close.job = number;
    record->as.job_close.consent = s->store.jobs[number].consent;
    record->as.job_close.run = s->store.jobs[number].run;
    record->as.job_close.outcome = OUTCOME_UNKNOWN;
    record->as.job_close.reason = REASON_CONFIGURATION;
    record->as.job_close.has_new_data = TRI_UNKNOWN;
}

static void recover_job(struct simulation *s, uint64_t number)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    const struct stored_job *row = &s->store.jobs[number];
    const struct stored_run *run = row->run == 0 ? NULL : memory_store_run(&s->store, row->run);
    uint32_t institution = job_institution(s, row->consent);
    struct recovered_job job = {
        .job = number,
        .consent = row->consent,
        .run =
            run == NULL || run->is_orphan || snapshot->schedule_index[run->schedule] == WORLD_NONE
                ? 0
                : row->run,
        .trigger = row->trigger,
        .due = row->due,
        .opened = UTC_NONE,
        .last_sent = UTC_NONE,
        .attempts = row->attempts,
        .next_attempt = row->next_attempt,
    };
    bool is_gone = !snapshot->has_consent[row->consent];
    uint32_t slot = 0;
    struct fault fault;

    read_attempts(&s->store, number, &job);
    if (institution == WORLD_NONE)
        return;
    if (is_gone) {
        struct consent_settings settings = {
            .hash = s->world.consents[row->consent].hash >> 32 << 32,
            .institution = institution,
            .priority = s->world.consents[row->consent].priority,
            .mode = MODE_OFF,
            .expires = UTC_NEVER,
            .authorized_at = UTC_NONE,
        };

        scheduler_consent_put(s->shell.scheduler, row->consent, &settings);
    }
    if (scheduler_recover_job(s->shell.scheduler, &job, &slot, &fault) != RESULT_OK)
        judge_fail(s, "recovery of job %llu: %s", (unsigned long long)number, fault.text);
    if (is_gone)
        scheduler_consent_remove(s->shell.scheduler, row->consent);
    virtual_shell_job_recovered(s, slot, number, row->consent, job.attempts, job.reference_hash);
    judge_job_recovered(s, number, institution);
}

/* ---- all of it ---- */

bool memory_store_recover(struct simulation *s)
{
    struct memory_store *store = &s->store;
    int64_t since_ms = simulation_now(s).utc.ms - horizon_ms(virtual_shell_snapshot(&s->shell));

    store->staged_count = 0;
    store->recovered_since_ms = since_ms;
    recover_consents(s);
    recover_attempts(s, since_ms);
    recover_calls(s, since_ms);
    recover_rechecks(s);
    recover_nodes(s);
    recover_pauses(s, true);
    recover_schedules(s);
    if (virtual_shell_dies(s, TALLY_RESTARTS_IN_RECOVERY))
        return false;
    store->orphan_count = 0;
    for (uint64_t job = 1; job <= store->job_max; job++)
        if (store->jobs[job].is_open && job_institution(s, store->jobs[job].consent) == WORLD_NONE)
            stage_unfollowed(s, job);
    for (uint32_t i = 0; i < store->run_count; i++)
        if (store->runs[i].is_open && (store->runs[i].is_orphan || recover_run(s, &store->runs[i])))
            store->orphan_count++;
    for (uint64_t job = 1; job <= store->job_max; job++)
        if (store->jobs[job].is_open)
            recover_job(s, job);
    if (virtual_shell_dies(s, TALLY_RESTARTS_IN_RECOVERY))
        return false;
    for (uint32_t i = 0; i < store->run_count; i++)
        if (store->runs[i].is_open &&
            virtual_shell_snapshot(&s->shell)->schedule_index[store->runs[i].schedule] ==
                WORLD_NONE)
            store->runs[i].is_orphan = true;
    memory_store_commit(s, store->staged, store->staged_count);
    memory_store_close_orphans(s);
    scheduler_recover_done(s->shell.scheduler, simulation_now(s), store->run_max + 1,
                           store->job_max + 1);
    return true;
}
