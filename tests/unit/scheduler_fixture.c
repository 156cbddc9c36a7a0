/* SPDX-License-Identifier: MIT
 * scheduler_fixture.c - see scheduler_fixture.h. */
#include "tests/unit/scheduler_fixture.h"

#include <string.h>

#include "base/text.h"
#include "tests/unit/unit_test.h"

#define START_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

/* ---- settings ---- */

static void default_schedule(struct schedule_settings *schedule, const char *name,
                             const char *expression)
{
    struct fault fault;
    size_t offset;

    *schedule = (struct schedule_settings){
        .name = name,
        .revision = 1,
        .deadline = {.kind = DEADLINE_DURATION, .duration_ms = 4 * MS_PER_HOUR},
        .misfire = MISFIRE_RUN_ONCE,
        .misfire_max_age_ms = 12 * MS_PER_HOUR,
        .retry = {3, MS_PER_MINUTE, MS_PER_HOUR},
        .priority = 5,
    };
    schedule->calendar.zone = &zone_utc;
    assert_int_equal(
        cron_parse(expression, strlen(expression), &schedule->calendar.cron, &offset, &fault),
        RESULT_OK);
}

struct fixture *fixture_create(uint32_t consents)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->batch = calloc(1, sizeof *f->batch);
    assert_non_null(f->batch);
    f->providers[0] = (struct provider_settings){
        .name = "finq",
        .completion = {.poll_first_ms = 10 * MS_PER_SECOND,
                       .poll_floor_ms = 5 * MS_PER_SECOND,
                       .poll_max_ms = 5 * MS_PER_MINUTE,
                       .give_up_after_ms = 2 * MS_PER_HOUR},
        .in_doubt = IN_DOUBT_REINITIATE,
        .cooldown_refused_first_ms = 10 * MS_PER_MINUTE,
        .cooldown_refused_max_ms = MS_PER_HOUR,
        .pushback_first_ms = MS_PER_SECOND,
        .pushback_max_ms = 10 * MS_PER_MINUTE,
        .auth_retry_first_ms = MS_PER_MINUTE,
        .auth_retry_max_ms = 30 * MS_PER_MINUTE,
    };
    f->providers[1] = f->providers[0];
    f->providers[1].name = "bud";
    f->institutions[0] = (struct institution_settings){.name = "-", .provider = 0};
    f->institutions[1] = (struct institution_settings){.name = "A", .provider = 0};
    f->institutions[2] = (struct institution_settings){.name = "B", .provider = 0};
    f->institutions[3] = (struct institution_settings){.name = "-", .provider = 1};
    f->institutions[4] = (struct institution_settings){.name = "A", .provider = 1};
    default_schedule(&f->schedules[0], "nightly", "0 1 * * *");
    default_schedule(&f->schedules[1], "weekly", "0 3 * * 1");
    default_schedule(&f->schedules[2], "hourly", "30 * * * *");
    f->schedules[2].deadline.kind = DEADLINE_NEXT_FIRING;
    f->sets[0] = (struct schedule_set){.schedules = {0}, .count = 1};
    f->sets[1] = (struct schedule_set){.schedules = {0, 1}, .count = 2};
    f->sets[2] = (struct schedule_set){.schedules = {2}, .count = 1};
    f->sets[3] = (struct schedule_set){.schedules = {0, 2}, .count = 2};
    f->settings = (struct scheduler_settings){
        .providers = f->providers,
        .provider_count = 1,
        .institutions = f->institutions,
        .institution_count = 3,
        .schedules = f->schedules,
        .schedule_count = 1,
        .schedule_sets = f->sets,
        .schedule_set_count = 1,
    };
    f->consent_max = consents;
    for (uint32_t i = 1; i <= consents; i++) {
        f->consents[i].is_there = true;
        f->consents[i].settings = (struct consent_settings){
            .hash = hash_bytes(&i, sizeof i, 0),
            .institution = 1,
            .priority = PRIORITY_FROM_SCHEDULE,
            .expires = UTC_NEVER,
            .authorized_at = UTC_NONE,
        };
    }
    for (uint32_t i = 0; i <= FIXTURE_CONSENTS; i++) {
        f->consents[i].learned_expires = UTC_NEVER;
        f->consents[i].paused_until = UTC_NONE;
        f->consents[i].look_up_gap_us = INT64_MAX;
        f->consents[i].past = (struct consent_past){.last_success = UTC_NONE,
                                                    .last_attempt = UTC_NONE,
                                                    .not_before = UTC_NONE,
                                                    .learned_expires = UTC_NEVER};
    }
    f->utc_offset_ms = START_MS;
    f->mono_offset_us = 1000;
    f->paused_all = UTC_NONE;
    for (int i = 0; i < FIXTURE_PROVIDERS; i++)
        f->paused_provider[i] = UTC_NONE;
    for (int i = 0; i < FIXTURE_INSTITUTIONS; i++)
        f->paused_institution[i] = UTC_NONE;
    for (int i = 0; i < FIXTURE_SCHEDULES; i++) {
        f->paused_schedule[i] = UTC_NONE;
        f->accounted[i] = UTC_NONE;
    }
    return f;
}

void fixture_destroy(struct fixture *f)
{
    scheduler_destroy(f->scheduler);
    free(f->batch);
    free(f);
}

struct time_now fixture_now(const struct fixture *f)
{
    return (struct time_now){{f->true_us / US_PER_MS + f->utc_offset_ms},
                             {f->true_us + f->mono_offset_us}};
}

/* ---- the judge ---- */

static const struct limit_settings *limits_of(const struct fixture *f, uint32_t provider,
                                              uint32_t institution)
{
    return institution == UINT32_MAX ? &f->providers[provider].limits
                                     : &f->institutions[institution].limits;
}

static uint32_t provider_of(const struct fixture *f, uint32_t consent)
{
    return f->institutions[f->consents[consent].settings.institution].provider;
}

static struct fixture_job *job_row(struct fixture *f, uint64_t job)
{
    struct fixture_job *row = &f->jobs[job % FIXTURE_JOBS];

    assert_true(job > 0 && row->job == job);
    return row;
}

static struct fixture_run *run_row(struct fixture *f, uint32_t run)
{
    for (uint32_t i = f->run_count; i > 0; i--)
        if (f->runs[i - 1].run == run)
            return &f->runs[i - 1];
    fail_msg("run %u is unknown", run);
    return NULL;
}

static struct fixture_attempt *attempt_row(struct fixture *f, uint64_t job, uint16_t attempt)
{
    for (uint32_t i = f->attempt_count; i > 0; i--)
        if (f->attempts[i - 1].job == job && f->attempts[i - 1].number == attempt)
            return &f->attempts[i - 1];
    fail_msg("attempt %u of job %u is unknown", attempt, (unsigned)job);
    return NULL;
}

/* An interval of the span that ends here may not hold more than the rate allows. */
static void judge_rates(const struct fixture *f, const struct limit_settings *limits,
                        uint32_t provider, uint32_t institution)
{
    const struct fixture_send *last = &f->sends[f->send_count - 1];

    for (uint32_t r = 0; r < limits->rate_count; r++) {
        const struct rate *rate = &limits->rates[r];
        bool survives = rate->span_ms >= MS_PER_MINUTE && !f->clock_was_stepped;
        uint32_t inside = 0;

        for (uint32_t i = f->send_count; i > 0; i--) {
            const struct fixture_send *send = &f->sends[i - 1];

            if (send->true_us <= last->true_us - rate->span_ms * US_PER_MS)
                break;
            if (send->start != f->start && !survives)
                break;
            inside += institution == UINT32_MAX ? send->provider == provider
                                                : send->institution == institution;
        }
        assert_true(inside <= rate->count);
    }
}

static void note_send(struct fixture *f, const struct fixture_request *request)
{
    uint32_t institution = request->kind == REQUEST_INITIATE
                               ? f->consents[request->consent].settings.institution
                               : UINT32_MAX;

    assert_true(f->send_count < FIXTURE_SENDS);
    f->sends[f->send_count++] = (struct fixture_send){
        .true_us = f->true_us,
        .consent = request->consent,
        .provider = request->provider,
        .institution = institution,
        .start = f->start,
    };
    judge_rates(f, limits_of(f, request->provider, UINT32_MAX), request->provider, UINT32_MAX);
    if (institution != UINT32_MAX)
        judge_rates(f, limits_of(f, 0, institution), request->provider, institution);
}

static enum outcome outcome_of_job(struct fixture *f, uint64_t job)
{
    return job_row(f, job)->outcome;
}

/* Quota and cooldown, from all attempts ever recorded. */
static void judge_consent_clocks(struct fixture *f, uint32_t consent)
{
    const struct provider_settings *provider = &f->providers[provider_of(f, consent)];
    const struct fixture_attempt *newest = NULL;
    uint32_t used = 0;

    for (uint32_t i = 0; i < f->attempt_count; i++) {
        const struct fixture_attempt *attempt = &f->attempts[i];

        if (attempt->consent != consent || !attempt->is_charged)
            continue;
        used +=
            attempt->sent_true_us / US_PER_MS > f->true_us / US_PER_MS - provider->quota.window_ms;
        newest = attempt;
    }
    if (provider->quota.count > 0)
        assert_true(used < provider->quota.count);
    if (newest != NULL && !f->consents[consent].is_forced) {
        enum outcome outcome = outcome_of_job(f, newest->job);
        int64_t spacing_ms = provider->cooldown.after_accept_ms;

        if (outcome == OUTCOME_REFRESHED || outcome == OUTCOME_PARTIAL ||
            outcome == OUTCOME_DEDUPLICATED)
            spacing_ms = provider->cooldown.after_success_ms;
        else if (outcome == OUTCOME_FAILED || outcome == OUTCOME_RECONNECT_REQUIRED ||
                 job_row(f, newest->job)->is_open) /* tried again: its last attempt failed */
            spacing_ms = provider->cooldown.after_failure_ms < spacing_ms
                             ? provider->cooldown.after_failure_ms
                             : spacing_ms;
        /* By the time that has passed, whatever the wall clock was set to meanwhile. */
        assert_true(f->true_us / US_PER_MS >= newest->sent_true_us / US_PER_MS + spacing_ms);
    }
}

static void judge_open(const struct hours_settings *hours, struct utc_time at)
{
    bool is_allowed = hours->window_count == 0;

    for (uint32_t i = 0; i < hours->blackout_count; i++)
        assert_false(time_range_contains(&hours->blackouts[i], at));
    for (uint32_t i = 0; i < hours->window_count; i++)
        is_allowed = is_allowed || time_range_contains(&hours->windows[i], at);
    assert_true(is_allowed);
}

static void judge_may_initiate(struct fixture *f, const struct fixture_job *job, struct utc_time at)
{
    const struct fixture_consent *consent = &f->consents[job->consent];
    uint32_t institution = consent->settings.institution;
    uint32_t provider = provider_of(f, job->consent);
    uint32_t running[2] = {0, 0};

    assert_false(f->is_draining);
    assert_true(consent->is_there && consent->settings.mode == MODE_ACTIVE);
    assert_false(consent->is_held);
    assert_true(at.ms < consent->settings.expires.ms - f->providers[provider].expiry_margin_ms &&
                at.ms < consent->learned_expires.ms - f->providers[provider].expiry_margin_ms);
    assert_true(f->paused_all.ms <= at.ms && f->paused_provider[provider].ms <= at.ms &&
                f->paused_institution[institution].ms <= at.ms &&
                consent->paused_until.ms <= at.ms);
    judge_open(&f->providers[provider].limits.hours, at);
    judge_open(&f->institutions[institution].limits.hours, at);
    if (job->run != 0) {
        const struct fixture_run *run = run_row(f, job->run);

        assert_true(run->is_open && at.ms < run->deadline.ms);
        assert_true(f->paused_schedule[run->schedule].ms <= at.ms);
        judge_open(&f->schedules[run->schedule].hours, at);
    }
    if (job->is_running) /* in doubt: it has kept its place, also when a reload took some away */
        return;
    for (uint32_t i = 0; i < FIXTURE_JOBS; i++) {
        const struct fixture_job *other = &f->jobs[i];

        if (!other->is_open || !other->is_running)
            continue;
        running[0] += provider_of(f, other->consent) == provider;
        running[1] += f->consents[other->consent].settings.institution == institution;
    }
    if (f->providers[provider].limits.jobs_running_max > 0)
        assert_true(running[0] < f->providers[provider].limits.jobs_running_max);
    if (f->institutions[institution].limits.jobs_running_max > 0)
        assert_true(running[1] < f->institutions[institution].limits.jobs_running_max);
}

static bool class_counts(enum answer_class class_)
{
    return class_ != CLASS_PUSHBACK && class_ != CLASS_COOLDOWN && class_ != CLASS_CREDENTIALS;
}

static void take_run_open(struct fixture *f, const struct record *record)
{
    struct fixture_run *run = &f->runs[f->run_count++];
    uint32_t due = 0;

    assert_true(f->run_count <= FIXTURE_RUNS);
    assert_true(record->as.run_open.run > f->run_max);
    f->run_max = record->as.run_open.run;
    *run = (struct fixture_run){
        .run = record->as.run_open.run,
        .schedule = record->as.run_open.schedule,
        .trigger = record->as.run_open.trigger,
        .slot = record->as.run_open.slot,
        .local_ms = record->as.run_open.local_ms,
        .fold = record->as.run_open.fold,
        .deadline = record->as.run_open.deadline,
        .spread_ms = record->as.run_open.spread_ms,
        .started = record->at,
        .due = record->as.run_open.due,
        .is_open = true,
        .is_missed = record->as.run_open.is_missed,
    };
    /* No (schedule, local time, fold) fires twice. */
    for (uint32_t i = 0; i + 1 < f->run_count; i++)
        if (f->runs[i].schedule == run->schedule && run->trigger != TRIGGER_ONCE &&
            f->runs[i].trigger != TRIGGER_ONCE)
            assert_false(f->runs[i].local_ms == run->local_ms && f->runs[i].fold == run->fold);
    memset(run->slots, NOT_A_MEMBER, sizeof run->slots);
    if (run->is_missed)
        return;
    for (uint32_t c = 1; c <= f->consent_max; c++) {
        const struct consent_settings *settings = &f->consents[c].settings;
        const struct schedule_set *set = &f->sets[settings->schedule_set];

        for (uint32_t i = 0; i < set->count && settings->mode != MODE_OFF; i++)
            if (f->consents[c].is_there && set->schedules[i] == run->schedule &&
                (run->trigger != TRIGGER_ONCE || f->once_filter == NULL ||
                 f->once_filter(NULL, c))) {
                run->slots[c] = OUTCOME_NONE;
                due++;
            }
    }
    assert_int_equal(due, run->due);
}

static void take_run_close(struct fixture *f, const struct record *record)
{
    struct fixture_run *run = run_row(f, record->as.run_close.run);
    uint32_t total = 0;

    assert_true(run->is_open);
    run->is_open = false;
    run->late = record->as.run_close.late;
    assert_int_equal(run->late, !run->is_missed && record->at.ms > run->deadline.ms);
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        assert_int_equal(run->counts[outcome], record->as.run_close.counts[outcome]);
        total += run->counts[outcome];
    }
    assert_int_equal(run->counts[OUTCOME_NONE], 0);
    assert_int_equal(total, run->due);
}

/* A slot gets its one outcome. */
static void take_outcome(struct fixture *f, uint32_t run_number, uint32_t consent,
                         enum outcome outcome)
{
    struct fixture_run *run = run_row(f, run_number);

    assert_true(run->is_open);
    assert_int_equal(run->slots[consent], OUTCOME_NONE);
    assert_true(outcome > OUTCOME_NONE && outcome < OUTCOME_COUNT);
    run->slots[consent] = (uint8_t)outcome;
    run->counts[outcome]++;
}

static void take_job_open(struct fixture *f, const struct record *record, const struct record *next)
{
    struct fixture_job *job = &f->jobs[record->as.job_open.job % FIXTURE_JOBS];
    struct fixture_consent *consent = &f->consents[record->as.job_open.consent];

    assert_int_equal(record->as.job_open.job, f->job_max + 1);
    assert_false(job->is_open);
    f->job_max++;
    *job = (struct fixture_job){
        .job = record->as.job_open.job,
        .job_slot = record->as.job_open.job_slot,
        .consent = record->as.job_open.consent,
        .run = record->as.job_open.run,
        .trigger = record->as.job_open.trigger,
        .due = record->as.job_open.due,
        .opened = record->at,
        .is_open = true,
        .next_attempt = UTC_NONE,
    };
    assert_int_equal(consent->live_job, 0); /* single flight */
    consent->live_job = job->job;
    assert_true(next != NULL && next->kind == RECORD_ATTEMPT && next->as.attempt.job == job->job);
    if (job->run != 0) {
        assert_int_equal(run_row(f, job->run)->slots[job->consent], OUTCOME_NONE);
        assert_true(job->due.ms <= record->at.ms || f->clock_was_stepped);
    }
}

static void take_attempt(struct fixture *f, const struct record *record)
{
    struct fixture_job *job = job_row(f, record->as.attempt.job);
    struct fixture_attempt *attempt;
    uint32_t counted = 0;

    assert_true(job->is_open);
    assert_int_equal(record->as.attempt.attempt, job->attempts + 1);
    judge_may_initiate(f, job, record->at);
    for (uint32_t i = 0; i < f->attempt_count; i++) {
        const struct fixture_attempt *old = &f->attempts[i];

        if (old->job != job->job)
            continue;
        counted += !old->is_repeat && (!old->is_answered || class_counts(old->class_));
    }
    if (!record->as.attempt.is_repeat) {
        judge_consent_clocks(f, job->consent);
        assert_true(counted < f->schedules[0].retry.attempts_max);
    } else {
        const struct fixture_attempt *before = attempt_row(f, job->job, job->attempts);

        assert_true(!before->is_answered || before->reason == REASON_IN_DOUBT || before->is_repeat);
    }
    job->attempts++;
    job->is_running = true;
    job->state = JOB_INITIATING;
    job->next_attempt = UTC_NONE;
    assert_true(f->attempt_count < FIXTURE_ATTEMPTS);
    attempt = &f->attempts[f->attempt_count++];
    *attempt = (struct fixture_attempt){
        .job = job->job,
        .consent = job->consent,
        .number = job->attempts,
        .is_repeat = record->as.attempt.is_repeat,
        .is_charged = !record->as.attempt.is_repeat,
        .sent = record->at,
        .recorded_true_us = f->true_us,
        .sent_true_us = f->true_us,
    };
    f->consents[job->consent].past.last_attempt = record->at;
}

static void take_answer(struct fixture *f, const struct record *record)
{
    struct fixture_attempt *attempt =
        attempt_row(f, record->as.answer.job, record->as.answer.attempt);
    struct fixture_job *job = job_row(f, record->as.answer.job);
    struct consent_past *past = &f->consents[job->consent].past;

    assert_true(job->is_open && !attempt->is_answered);
    attempt->is_answered = true;
    attempt->class_ = record->as.answer.class_;
    attempt->reason = record->as.answer.reason;
    attempt->sent = record->as.answer.sent;
    if (attempt->handed_true_us != 0)
        attempt->sent_true_us = attempt->handed_true_us;
    attempt->is_charged = record->as.answer.is_charged;
    past->last_attempt = attempt->sent;
    if (attempt->class_ == CLASS_COOLDOWN)
        past->cooldown_refusals++;
    else if (attempt->class_ == CLASS_ACCEPTED)
        past->cooldown_refusals = 0;
    if (attempt->class_ != CLASS_ACCEPTED && attempt->reason != REASON_IN_DOUBT)
        job->is_running = attempt->is_repeat && !class_counts(attempt->class_);
}

static void fold_close(struct consent_past *past, enum outcome outcome, struct utc_time at)
{
    past->last_outcome = outcome;
    if (outcome == OUTCOME_REFRESHED || outcome == OUTCOME_PARTIAL ||
        outcome == OUTCOME_DEDUPLICATED) {
        past->last_success = at;
        past->consecutive_failures = 0;
        past->cooldown_refusals = 0;
    } else if (outcome == OUTCOME_FAILED || outcome == OUTCOME_UNKNOWN) {
        past->consecutive_failures++;
    }
}

static void take_job_close(struct fixture *f, const struct record *record)
{
    struct fixture_job *job = job_row(f, record->as.job_close.job);
    struct fixture_consent *consent = &f->consents[job->consent];

    assert_true(job->is_open);
    job->is_open = false;
    job->is_running = false;
    job->outcome = record->as.job_close.outcome;
    job->reason = record->as.job_close.reason;
    consent->live_job = 0;
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        assert_false(f->requests[i].is_out && f->requests[i].job == job->job);
    if (job->run != 0)
        take_outcome(f, job->run, job->consent, job->outcome);
    fold_close(&consent->past, job->outcome, record->at);
}

static void take_skip(struct fixture *f, const struct record *record)
{
    uint32_t consent = record->as.skip.consent;

    if (record->as.skip.run == 0)
        return; /* a trigger that was given up */
    if (consent == 0) {
        struct fixture_run *run = run_row(f, record->as.skip.run);

        assert_true(run->is_missed);
        run->counts[OUTCOME_SKIPPED] += record->as.skip.count;
        return;
    }
    take_outcome(f, record->as.skip.run, consent, OUTCOME_SKIPPED);
    run_row(f, record->as.skip.run)->skip_reasons[consent] = (uint8_t)record->as.skip.reason;
    fold_close(&f->consents[consent].past, OUTCOME_SKIPPED, record->at);
}

static void take_job_state(struct fixture *f, const struct record *record)
{
    struct fixture_job *job = job_row(f, record->as.job_state.job);
    struct consent_past *past = &f->consents[job->consent].past;

    assert_true(job->is_open);
    job->state = record->as.job_state.state;
    job->next_attempt = record->as.job_state.next_attempt;
    job->wait_reason = record->as.job_state.reason;
    if (job->state == JOB_RETRY_WAIT || job->state == JOB_LOOKING_UP)
        job->is_running = false;
    if (job->wait_reason != REASON_RETRY_WAIT && job->next_attempt.ms != UTC_NEVER.ms &&
        job->state != JOB_IN_DOUBT) {
        past->not_before = job->next_attempt;
        past->not_before_reason = job->wait_reason;
    }
}

/* A look-up without a job: of a consent that may be asked about, never two of one at once. */
static void take_recheck(struct fixture *f, const struct record *record)
{
    uint32_t number = record->as.recheck.consent;
    struct fixture_consent *consent = &f->consents[number];
    int64_t gap_us = f->true_us - consent->looked_up_us;

    assert_int_equal(record->as.recheck.provider, provider_of(f, number));
    assert_false(f->is_draining);
    assert_true(consent->is_there && consent->settings.mode == MODE_ACTIVE);
    assert_true(consent->paused_until.ms <= record->at.ms);
    assert_true(f->providers[provider_of(f, number)].can_look_up);
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        assert_false(f->requests[i].is_out && f->requests[i].kind == REQUEST_LOOK_UP &&
                     f->requests[i].consent == number);
    if (record->as.recheck.is_by_hand) {
        assert_true(consent->is_held && record->at.ms < consent->settings.expires.ms &&
                    record->at.ms < consent->learned_expires.ms);
        if (consent->looked_up > 0 && gap_us < consent->look_up_gap_us)
            consent->look_up_gap_us = gap_us;
        f->hands[record->as.recheck.provider].consent = number;
        f->hands[record->as.recheck.provider].at = record->at;
    }
    consent->looked_up++;
    consent->looked_up_us = f->true_us;
    f->look_ups++;
}

static void take_record(struct fixture *f, const struct record *record, const struct record *next)
{
    switch (record->kind) {
    case RECORD_RUN_OPEN: take_run_open(f, record); break;
    case RECORD_RUN_CLOSE: take_run_close(f, record); break;
    case RECORD_JOB_OPEN: take_job_open(f, record, next); break;
    case RECORD_ATTEMPT: take_attempt(f, record); break;
    case RECORD_ANSWER: take_answer(f, record); break;
    case RECORD_REFERENCE:
        attempt_row(f, record->as.reference.job, record->as.reference.attempt)->reference_hash =
            record->as.reference.reference_hash;
        f->consents[record->as.reference.consent].past.reference_hash =
            record->as.reference.reference_hash;
        job_row(f, record->as.reference.job)->state = JOB_RUNNING;
        break;
    case RECORD_JOB_STATE: take_job_state(f, record); break;
    case RECORD_JOB_CLOSE: take_job_close(f, record); break;
    case RECORD_SKIP: take_skip(f, record); break;
    case RECORD_HOLD:
        f->consents[record->as.hold.consent].hold_source = record->as.hold.source;
        f->consents[record->as.hold.consent].is_held = true;
        f->consents[record->as.hold.consent].is_suspended = record->as.hold.is_suspended;
        break;
    case RECORD_RELEASE:
        assert_true(f->consents[record->as.hold.consent].is_held);
        f->consents[record->as.hold.consent].hold_source = record->as.hold.source;
        f->consents[record->as.hold.consent].is_held = false;
        f->consents[record->as.hold.consent].is_suspended = false;
        break;
    case RECORD_RECHECK: take_recheck(f, record); break;
    case RECORD_EXPIRES:
        f->consents[record->as.expires.consent].learned_expires = record->as.expires.expires;
        break;
    case RECORD_CALLS:
        assert_true(f->call_count < FIXTURE_SENDS);
        f->calls[f->call_count].provider = record->as.calls.provider;
        f->calls[f->call_count].count = record->as.calls.count;
        f->calls[f->call_count++].at = record->at;
        break;
    case RECORD_NODE: {
        uint32_t place = record->as.node.institution == UINT32_MAX
                             ? FIXTURE_INSTITUTIONS + record->as.node.provider
                             : record->as.node.institution;

        f->nodes[place].is_known = true;
        f->nodes[place].records++;
        f->nodes[place].past = record->as.node.past;
        break;
    }
    case RECORD_MAINTENANCE: break;
    case RECORD_SCHEDULE:
        assert_true(f->accounted_revision[record->as.schedule.schedule] !=
                        f->schedules[record->as.schedule.schedule].revision ||
                    record->as.schedule.slot.ms >= f->accounted[record->as.schedule.schedule].ms);
        f->accounted[record->as.schedule.schedule] = record->as.schedule.slot;
        f->accounted_local_ms[record->as.schedule.schedule] = record->as.schedule.local_ms;
        f->accounted_fold[record->as.schedule.schedule] = record->as.schedule.fold;
        f->accounted_revision[record->as.schedule.schedule] =
            f->schedules[record->as.schedule.schedule].revision;
        break;
    }
}

static void take_effect(struct fixture *f, const struct effect *effect)
{
    uint32_t free_place = 0;

    while (free_place < FIXTURE_REQUESTS && f->requests[free_place].is_out)
        free_place++;
    assert_true(free_place < FIXTURE_REQUESTS);
    if (effect->request == REQUEST_LOOK_UP && effect->job_slot == NO_JOB) {
        assert_true(effect->job == 0 && effect->consent > 0);
    } else if (effect->request != REQUEST_TOKEN && effect->request != REQUEST_INSTITUTIONS) {
        const struct fixture_job *job = job_row(f, effect->job);

        assert_true(job->is_open);
        for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
            assert_false(f->requests[i].is_out && f->requests[i].job == effect->job);
        if (effect->request == REQUEST_INITIATE) /* recorded before it leaves */
            assert_false(attempt_row(f, effect->job, effect->attempt)->is_answered);
    }
    f->requests[free_place] = (struct fixture_request){
        .is_out = true,
        .kind = effect->request,
        .provider = effect->provider,
        .job_slot = effect->job_slot,
        .job = effect->job,
        .consent = effect->consent,
        .attempt = effect->attempt,
        .since_us = f->true_us,
    };
    f->requests_out++;
}

static void judge_in_flight(const struct fixture *f)
{
    for (uint32_t p = 0; p < f->settings.provider_count; p++) {
        uint32_t out = 0;

        for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
            out += f->requests[i].is_out && f->requests[i].provider == p;
        if (f->providers[p].limits.requests_in_flight_max > 0)
            assert_true(out <= f->providers[p].limits.requests_in_flight_max);
    }
}

static void take_batch(struct fixture *f)
{
    const struct batch *batch = f->batch;

    f->trace = hash_bytes(batch->records, batch->record_count * sizeof batch->records[0], f->trace);
    f->trace = hash_bytes(batch->effects, batch->effect_count * sizeof batch->effects[0], f->trace);
    for (uint32_t i = 0; i < batch->record_count; i++)
        take_record(f, &batch->records[i],
                    i + 1 < batch->record_count ? &batch->records[i + 1] : NULL);
    for (uint32_t i = 0; i < batch->effect_count; i++)
        take_effect(f, &batch->effects[i]);
    judge_in_flight(f);
}

/* ---- driving ---- */

void fixture_event(struct fixture *f, const struct event *event)
{
    struct event time_event = {.kind = EVENT_TIME};
    struct fault fault;
    uint32_t rounds = 0;

    for (;;) {
        f->wake = scheduler_step(f->scheduler, fixture_now(f), event, f->batch);
        f->steps++;
        f->record_count = f->batch->record_count;
        take_batch(f);
        scheduler_check(f->scheduler);
        if (f->batch->needs_reserve)
            assert_int_equal(scheduler_reserve(f->scheduler, f->consent_max, &fault), RESULT_OK);
        if (!f->batch->is_full && fixture_wake_us(f) > f->true_us)
            return;
        event = &time_event;
        assert_true(rounds++ < 2000); /* time stands still: this has to end */
    }
}

void fixture_time(struct fixture *f)
{
    struct event event = {.kind = EVENT_TIME};

    fixture_event(f, &event);
}

int64_t fixture_wake_us(const struct fixture *f)
{
    int64_t utc_us = f->wake.utc.ms == UTC_NEVER.ms
                         ? INT64_MAX
                         : (f->wake.utc.ms - f->utc_offset_ms) * US_PER_MS;
    int64_t mono_us =
        f->wake.mono.us == MONO_NEVER.us ? INT64_MAX : f->wake.mono.us - f->mono_offset_us;

    return utc_us < mono_us ? utc_us : mono_us;
}

void fixture_advance(struct fixture *f, int64_t ms)
{
    int64_t until_us = f->true_us + ms * US_PER_MS;

    while (fixture_wake_us(f) <= until_us) {
        if (fixture_wake_us(f) > f->true_us)
            f->true_us = fixture_wake_us(f);
        fixture_time(f);
    }
    f->true_us = until_us;
    fixture_time(f);
}

static void put_all(struct fixture *f)
{
    for (uint32_t c = 1; c <= f->consent_max; c++)
        if (f->consents[c].is_there)
            scheduler_consent_put(f->scheduler, c, &f->consents[c].settings);
        else
            scheduler_consent_remove(f->scheduler, c);
}

static void recover_attempts(struct fixture *f)
{
    for (uint32_t i = 0; i < f->attempt_count; i++) {
        const struct fixture_attempt *attempt = &f->attempts[i];

        scheduler_recover_attempt(f->scheduler, attempt->consent, attempt->sent,
                                  attempt->is_charged, outcome_of_job(f, attempt->job));
        /* The core does not know any more where a removed consent belonged; the store does. */
        if (!f->consents[attempt->consent].is_there)
            scheduler_recover_calls(f->scheduler, provider_of(f, attempt->consent), attempt->sent,
                                    1);
    }
    for (uint32_t i = 0; i < f->call_count; i++)
        scheduler_recover_calls(f->scheduler, f->calls[i].provider, f->calls[i].at,
                                f->calls[i].count);
}

static void recover_runs(struct fixture *f)
{
    struct fault fault;

    for (uint32_t i = 0; i < f->run_count; i++) {
        const struct fixture_run *run = &f->runs[i];
        struct recovered_run recovered = {
            .run = run->run,
            .schedule = run->schedule,
            .trigger = run->trigger,
            .slot = run->slot,
            .local_ms = run->local_ms,
            .fold = run->fold,
            .deadline = run->deadline,
            .spread_ms = run->spread_ms,
            .due = run->due,
            .started = run->started,
        };

        if (!run->is_open)
            continue;
        assert_int_equal(scheduler_recover_run(f->scheduler, &recovered, &fault), RESULT_OK);
        for (uint32_t c = 1; c <= f->consent_max; c++)
            if (run->slots[c] != NOT_A_MEMBER)
                scheduler_recover_slot(f->scheduler, run->run, c, (enum outcome)run->slots[c]);
    }
}

/* Nobody tells a core to which bank a consent belonged that is gone when it starts; only its
 * provider counts what was sent for it. */
static void forget_banks_of_gone(struct fixture *f)
{
    for (uint32_t i = 0; i < f->send_count; i++)
        if (!f->consents[f->sends[i].consent].is_there)
            f->sends[i].institution = UINT32_MAX;
}

/* Where a consent belonged that is gone is known from its job alone, as in state/. */
static void put_gone(struct fixture *f, uint32_t consent)
{
    struct consent_settings settings = {
        .hash = f->consents[consent].settings.hash >> 32 << 32,
        .institution = f->consents[consent].settings.institution,
        .priority = f->consents[consent].settings.priority,
        .mode = MODE_OFF,
        .expires = UTC_NEVER,
        .authorized_at = UTC_NONE,
    };

    scheduler_consent_put(f->scheduler, consent, &settings);
}

static void recover_job(struct fixture *f, struct fixture_job *job)
{
    struct recovered_job recovered = {
        .job = job->job,
        .consent = job->consent,
        .run = job->run,
        .trigger = job->trigger,
        .due = job->due,
        .opened = job->opened,
        .attempts = job->attempts,
        .next_attempt = job->next_attempt.ms == UTC_NEVER.ms ? UTC_NONE : job->next_attempt,
    };
    struct fault fault;
    uint32_t slot;

    for (uint16_t n = 1; n <= job->attempts; n++) {
        const struct fixture_attempt *attempt = attempt_row(f, job->job, n);

        recovered.is_repeat = attempt->is_repeat;
        recovered.is_answered = attempt->is_answered;
        recovered.last_class = attempt->class_;
        recovered.last_reason = attempt->reason;
        recovered.reference_hash = attempt->reference_hash;
        recovered.is_attached = attempt->is_answered && !attempt->is_repeat &&
                                !attempt->is_charged && attempt->reference_hash != 0;
        recovered.last_sent = attempt->sent;
        recovered.attempts_counted =
            (uint16_t)(recovered.attempts_counted +
                       (!attempt->is_repeat &&
                        (!attempt->is_answered || class_counts(attempt->class_))));
    }
    if (!f->consents[job->consent].is_there)
        put_gone(f, job->consent);
    assert_int_equal(scheduler_recover_job(f->scheduler, &recovered, &slot, &fault), RESULT_OK);
    if (!f->consents[job->consent].is_there)
        scheduler_consent_remove(f->scheduler, job->consent);
    job->job_slot = slot;
}

static void recover_nodes(struct fixture *f)
{
    for (uint32_t i = 0; i < f->settings.institution_count; i++)
        if (f->nodes[i].is_known)
            scheduler_recover_node(f->scheduler, f->institutions[i].provider, i, &f->nodes[i].past);
    for (uint32_t i = 0; i < f->settings.provider_count; i++)
        if (f->nodes[FIXTURE_INSTITUTIONS + i].is_known)
            scheduler_recover_node(f->scheduler, i, UINT32_MAX,
                                   &f->nodes[FIXTURE_INSTITUTIONS + i].past);
}

static void recover_pauses(struct fixture *f)
{
    scheduler_recover_pause(f->scheduler, SCOPE_ALL, 0, f->paused_all);
    for (uint32_t i = 0; i < f->settings.provider_count; i++)
        scheduler_recover_pause(f->scheduler, SCOPE_PROVIDER, i, f->paused_provider[i]);
    for (uint32_t i = 0; i < f->settings.institution_count; i++)
        scheduler_recover_pause(f->scheduler, SCOPE_INSTITUTION, i, f->paused_institution[i]);
    for (uint32_t i = 0; i < f->settings.schedule_count; i++)
        scheduler_recover_pause(f->scheduler, SCOPE_SCHEDULE, i, f->paused_schedule[i]);
    for (uint32_t c = 1; c <= f->consent_max; c++)
        scheduler_recover_pause(f->scheduler, SCOPE_CONSENT, c, f->consents[c].paused_until);
}

void fixture_start(struct fixture *f, uint64_t seed)
{
    struct fault fault;

    scheduler_destroy(f->scheduler);
    f->scheduler = scheduler_create(seed);
    assert_non_null(f->scheduler);
    f->start++;
    scheduler_set_calendars(f->scheduler, !f->is_once);
    memset(f->requests, 0, sizeof f->requests);
    f->requests_out = 0;
    forget_banks_of_gone(f);
    f->is_draining = false;
    if (scheduler_configure(f->scheduler, fixture_now(f), &f->settings, &fault) != RESULT_OK ||
        scheduler_reserve(f->scheduler, f->consent_max, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    put_all(f);
    for (uint32_t c = 1; c <= f->consent_max; c++) {
        struct consent_past past = f->consents[c].past;

        past.is_held = f->consents[c].is_held;
        past.is_suspended = f->consents[c].is_suspended;
        past.learned_expires = f->consents[c].learned_expires;
        scheduler_recover_consent(f->scheduler, c, &past);
    }
    recover_attempts(f);
    for (uint32_t i = 0; i < f->settings.provider_count; i++)
        if (f->hands[i].consent != 0)
            scheduler_recover_recheck(f->scheduler, i, f->hands[i].consent, f->hands[i].at);
    recover_nodes(f);
    recover_pauses(f);
    for (uint32_t i = 0; i < f->settings.schedule_count; i++)
        if (f->accounted[i].ms != UTC_NONE.ms)
            scheduler_recover_schedule(f->scheduler, i, f->accounted_revision[i], f->accounted[i],
                                       f->accounted_local_ms[i], f->accounted_fold[i]);
    recover_runs(f);
    for (uint64_t job = 1; job <= f->job_max; job++)
        if (f->jobs[job % FIXTURE_JOBS].job == job && f->jobs[job % FIXTURE_JOBS].is_open)
            recover_job(f, &f->jobs[job % FIXTURE_JOBS]);
    scheduler_recover_done(f->scheduler, fixture_now(f), f->run_max + 1, f->job_max + 1);
    fixture_time(f);
}

void fixture_reload(struct fixture *f)
{
    struct fault fault;

    if (scheduler_configure(f->scheduler, fixture_now(f), &f->settings, &fault) != RESULT_OK ||
        scheduler_reserve(f->scheduler, f->consent_max, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    put_all(f);
    fixture_time(f);
}

struct fixture_request *fixture_request_of(struct fixture *f, uint32_t consent)
{
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        if (f->requests[i].is_out && f->requests[i].kind != REQUEST_TOKEN &&
            f->requests[i].consent == consent)
            return &f->requests[i];
    return NULL;
}

struct fixture_request *fixture_token_request(struct fixture *f, uint32_t provider)
{
    for (uint32_t i = 0; i < FIXTURE_REQUESTS; i++)
        if (f->requests[i].is_out && f->requests[i].kind == REQUEST_TOKEN &&
            f->requests[i].provider == provider)
            return &f->requests[i];
    return NULL;
}

void fixture_send(struct fixture *f, struct fixture_request *request)
{
    struct time_now now = fixture_now(f);
    struct event event = {.kind = EVENT_SENT,
                          .as.sent = {request->job_slot, request->provider, request->kind, now.mono,
                                      now.utc, request->consent}};

    assert_true(request->is_out && !request->is_sent);
    request->is_sent = true;
    if (request->kind == REQUEST_INITIATE)
        attempt_row(f, request->job, request->attempt)->handed_true_us = f->true_us;
    note_send(f, request);
    fixture_event(f, &event);
}

struct answer fixture_answer(enum answer_class class_)
{
    return (struct answer){
        .class_ = class_,
        .reached_socket = true,
        .answered = class_ != CLASS_TRANSPORT,
        .has_new_data = TRI_UNKNOWN,
        .job_started = UTC_NONE,
        .retry_after_ms = -1,
        .not_before = UTC_NONE,
        .expires = UTC_NONE,
        .poll_hint_ms = -1,
    };
}

void fixture_deliver(struct fixture *f, struct fixture_request *request,
                     const struct answer *answer)
{
    struct event event = {.kind = EVENT_ANSWER,
                          .as.answer = {.job_slot = request->job_slot,
                                        .request = request->kind,
                                        .answer = *answer,
                                        .consent = request->consent}};

    assert_true(request != NULL && request->is_out);
    if (answer->reached_socket && !request->is_sent)
        fixture_send(f, request);
    request->is_out = false;
    f->requests_out--;
    fixture_event(f, &event);
}

void fixture_deliver_token(struct fixture *f, struct fixture_request *request, bool is_granted,
                           int64_t lifetime_ms)
{
    struct event event = {.kind = EVENT_TOKEN,
                          .as.token = {.provider = request->provider,
                                       .is_granted = is_granted,
                                       .reached_socket = true,
                                       .lifetime_ms = lifetime_ms,
                                       .retry_after_ms = -1}};

    if (!request->is_sent)
        fixture_send(f, request);
    request->is_out = false;
    f->requests_out--;
    fixture_event(f, &event);
}

const struct fixture_job *fixture_job_of(const struct fixture *f, uint32_t consent)
{
    for (uint64_t job = f->job_max; job > 0; job--)
        if (f->jobs[job % FIXTURE_JOBS].job == job &&
            f->jobs[job % FIXTURE_JOBS].consent == consent)
            return &f->jobs[job % FIXTURE_JOBS];
    return NULL;
}

struct fixture_run *fixture_last_run(struct fixture *f)
{
    assert_true(f->run_count > 0);
    return &f->runs[f->run_count - 1];
}

uint32_t fixture_open_runs(const struct fixture *f)
{
    uint32_t open = 0;

    for (uint32_t i = 0; i < f->run_count; i++)
        open += f->runs[i].is_open;
    return open;
}
