/* SPDX-License-Identifier: MIT
 * judge.c - slots, jobs, firings and truth. See judge.h. */
#include "tests/simulation/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/simulation/judge_limits.h"
#include "tests/simulation/simulation.h"

#define NOT_A_MEMBER 255

void judge_init(struct judge *judge)
{
    *judge = (struct judge){
        .paused_all.until = UTC_NONE,
        .job_capacity = 1024,
        .step_before_life_us = INT64_MIN,
        .drain_heard_us = INT64_MAX,
    };
    judge->jobs = calloc(judge->job_capacity, sizeof *judge->jobs);
    REQUIRE(judge->jobs != NULL);
    for (uint32_t i = 0; i < WORLD_PROVIDERS; i++)
        judge->providers[i].paused.until = UTC_NONE;
    for (uint32_t i = 0; i < WORLD_INSTITUTIONS; i++)
        judge->institutions[i].paused.until = UTC_NONE;
    for (uint32_t i = 0; i < WORLD_SCHEDULES; i++)
        judge->schedules[i].paused.until = UTC_NONE;
    for (uint32_t i = 0; i <= WORLD_CONSENTS; i++) {
        judge->consents[i].paused.until = UTC_NONE;
        judge->consents[i].learned_expires = UTC_NEVER;
        judge->consents[i].doubt_until = UTC_NONE;
        for (int k = 0; k < JUDGE_LOOK_UPS; k++)
            judge->consents[i].checked_us[k] = INT64_MIN;
    }
}

void judge_deinit(struct judge *judge)
{
    for (uint32_t i = 0; i < WORLD_PROVIDERS; i++)
        free(judge->providers[i].sends);
    for (uint32_t i = 0; i < WORLD_INSTITUTIONS; i++)
        free(judge->institutions[i].sends);
    free(judge->runs);
    free(judge->jobs);
}

void judge_fail(struct simulation *s, const char *format, ...)
{
    char when[UTC_TEXT_SIZE];
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "simulate: seed %llu, %s (hour %.3f, life %u): ", (unsigned long long)s->seed,
            utc_text(simulation_now(s).utc, when), (double)s->clocks.true_us / 3.6e9,
            s->shell.life);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n  see it again: make simulate SEED=%llu%s\n", (unsigned long long)s->seed,
            s->replay);
    fflush(stderr);
    _Exit(3);
}

static struct judged_run *run_row(struct simulation *s, uint32_t number)
{
    for (uint32_t i = s->judge.run_count; i > 0; i--)
        if (s->judge.runs[i - 1].number == number)
            return &s->judge.runs[i - 1];
    judge_fail(s, "a record names run %u, which was never opened", number);
}

static struct judged_job *job_row(struct simulation *s, uint64_t number)
{
    if (number == 0 || number > s->judge.job_max)
        judge_fail(s, "a record names job %llu, which was never opened",
                   (unsigned long long)number);
    return &s->judge.jobs[number];
}

/* ---- runs ---- */

static uint32_t count_members(const struct simulation *s, uint32_t schedule_index,
                              enum trigger trigger, struct judged_run *run)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    uint32_t due = 0;

    for (uint32_t c = 1; c <= s->world.consent_max; c++) {
        const struct consent_settings *settings = &snapshot->consents[c];
        const struct schedule_set *set;

        if (!snapshot->has_consent[c] || settings->mode == MODE_OFF ||
            settings->schedule_set == UINT16_MAX)
            continue;
        set = &snapshot->sets[settings->schedule_set];
        for (uint32_t i = 0; i < set->count; i++)
            if (set->schedules[i] == schedule_index &&
                (trigger != TRIGGER_ONCE || s->store.once_filter == NULL ||
                 s->store.once_filter(NULL, c))) {
                run->slots[c] = OUTCOME_NONE;
                due++;
            }
    }
    return due;
}

/* Firings follow each other without a gap and never come twice. */
static void judge_firing(struct simulation *s, const struct judged_run *run, uint32_t index,
                         struct utc_time at)
{
    const struct schedule_settings *settings = &virtual_shell_snapshot(&s->shell)->schedules[index];
    struct judged_schedule *schedule = &s->judge.schedules[run->schedule];
    struct calendar_firing next = calendar_next(&settings->calendar, schedule->accounted);
    char expected[UTC_TEXT_SIZE];
    char found[UTC_TEXT_SIZE];

    if (!next.found || next.at.ms != run->slot.ms)
        judge_fail(s, "schedule %s opened a run for %s where %s was next", settings->name,
                   utc_text(run->slot, found), utc_text(next.at, expected));
    for (uint32_t i = 0; i + 1 < s->judge.run_count; i++) {
        const struct judged_run *other = &s->judge.runs[i];

        if (other->schedule == run->schedule && other->generation == run->generation &&
            other->trigger != TRIGGER_ONCE && other->local_ms == run->local_ms &&
            other->fold == run->fold)
            judge_fail(s, "schedule %s fired twice for local time %s", settings->name,
                       utc_text((struct utc_time){run->local_ms}, found));
    }
    if (run->trigger == TRIGGER_CATCH_UP) {
        struct calendar_firing after = calendar_next(&settings->calendar, run->slot);

        if (settings->misfire != MISFIRE_RUN_ONCE ||
            at.ms - run->slot.ms > settings->misfire_max_age_ms ||
            (after.found && after.at.ms <= at.ms))
            judge_fail(s, "schedule %s catches up on %s, which its policy does not allow",
                       settings->name, utc_text(run->slot, found));
    }
    schedule->opened_for = run->slot;
}

static void take_run_open(struct simulation *s, const struct record *record)
{
    struct judge *judge = &s->judge;
    uint32_t index = record->as.run_open.schedule;
    uint32_t schedule = virtual_shell_snapshot(&s->shell)->schedule_of[index];
    struct judged_run *run;
    uint32_t due;

    if (judge->run_count == judge->run_capacity) {
        judge->run_capacity = 2 * judge->run_capacity + 32;
        judge->runs = realloc(judge->runs, judge->run_capacity * sizeof *judge->runs);
        REQUIRE(judge->runs != NULL);
    }
    /* One begun by hand has its number before it is recorded: the order says nothing. */
    for (uint32_t i = 0; i < judge->run_count; i++)
        if (judge->runs[i].number == record->as.run_open.run)
            judge_fail(s, "run number %u was used before", record->as.run_open.run);
    run = &judge->runs[judge->run_count++];
    *run = (struct judged_run){
        .number = record->as.run_open.run,
        .schedule = schedule,
        .generation = judge->schedules[schedule].generation,
        .trigger = record->as.run_open.trigger,
        .slot = record->as.run_open.slot,
        .base =
            record->as.run_open.trigger == TRIGGER_CATCH_UP ? record->at : record->as.run_open.slot,
        .local_ms = record->as.run_open.local_ms,
        .fold = record->as.run_open.fold,
        .deadline = record->as.run_open.deadline,
        .spread_ms = record->as.run_open.spread_ms,
        .due = record->as.run_open.due,
        .is_open = true,
        .is_missed = record->as.run_open.is_missed,
    };
    memset(run->slots, NOT_A_MEMBER, sizeof run->slots);
    tally_count(&s->tally, run->is_missed                     ? TALLY_MISSED_RUNS
                           : run->trigger == TRIGGER_CATCH_UP ? TALLY_CATCH_UPS
                                                              : TALLY_RUNS);
    if (run->trigger != TRIGGER_ONCE)
        judge_firing(s, run, index, record->at);
    due = count_members(s, index, run->trigger, run);
    if (run->is_missed)
        memset(run->slots, NOT_A_MEMBER, sizeof run->slots);
    if (due != run->due)
        judge_fail(s, "run %u says that %u are due where %u belong to its schedule", run->number,
                   run->due, due);
}

static void take_run_close(struct simulation *s, const struct record *record)
{
    struct judged_run *run = run_row(s, record->as.run_close.run);
    uint32_t total = 0;

    if (!run->is_open)
        judge_fail(s, "run %u is closed twice", run->number);
    run->is_open = false;
    for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++) {
        if (run->counts[outcome] != record->as.run_close.counts[outcome])
            judge_fail(s, "run %u closes with %u %s where the records make %u", run->number,
                       record->as.run_close.counts[outcome], outcome_text((enum outcome)outcome),
                       run->counts[outcome]);
        total += run->counts[outcome];
    }
    if (total != run->due)
        judge_fail(s, "the manifest of run %u does not add up: %u of %u", run->number, total,
                   run->due);
    if (record->as.run_close.late != (!run->is_missed && record->at.ms > run->deadline.ms))
        judge_fail(s, "run %u is wrongly %s", run->number,
                   record->as.run_close.late ? "late" : "in time");
}

/* A slot gets its one outcome. */
static void take_outcome(struct simulation *s, uint32_t number, uint32_t consent,
                         enum outcome outcome)
{
    struct judged_run *run = run_row(s, number);

    if (!run->is_open || run->slots[consent] != OUTCOME_NONE)
        judge_fail(s, "the slot of consent %u in run %u ends as %s, but it %s", consent, number,
                   outcome_text(outcome),
                   !run->is_open                         ? "was closed with its run"
                   : run->slots[consent] == NOT_A_MEMBER ? "is no member"
                                                         : "had ended already");
    if (outcome <= OUTCOME_NONE || outcome >= OUTCOME_COUNT)
        judge_fail(s, "the slot of consent %u in run %u ends as nothing", consent, number);
    run->slots[consent] = (uint8_t)outcome;
    run->counts[outcome]++;
}

static void take_schedule(struct simulation *s, const struct record *record)
{
    const struct snapshot *snapshot = virtual_shell_snapshot(&s->shell);
    uint32_t index = record->as.schedule.schedule;
    struct judged_schedule *schedule = &s->judge.schedules[snapshot->schedule_of[index]];
    bool is_start = record->as.schedule.slot.ms == schedule->accounted.ms;
    bool is_same_time = record->as.schedule.local_ms == schedule->local_ms &&
                        record->as.schedule.fold == schedule->fold;
    char text[UTC_TEXT_SIZE];

    if (!is_start && !is_same_time && schedule->opened_for.ms != record->as.schedule.slot.ms)
        judge_fail(s, "schedule %s is accounted up to %s without a run for that",
                   snapshot->schedules[index].name, utc_text(record->as.schedule.slot, text));
    schedule->accounted = record->as.schedule.slot;
    schedule->local_ms = record->as.schedule.local_ms;
    schedule->fold = record->as.schedule.fold;
}

/* ---- jobs ---- */

static void judge_due(struct simulation *s, const struct judged_run *run,
                      const struct record *record)
{
    const char *name;
    uint32_t phase;
    int64_t due_ms;
    uint32_t index = virtual_shell_snapshot(&s->shell)->schedule_index[run->schedule];

    if (run->slots[record->as.job_open.consent] != OUTCOME_NONE)
        judge_fail(s, "job %llu works on a slot that is not open",
                   (unsigned long long)record->as.job_open.job);
    if (record->as.job_open.due.ms > record->at.ms && s->clocks.stepped_us == INT64_MIN)
        judge_fail(s, "job %llu begins before it is due",
                   (unsigned long long)record->as.job_open.job);
    if (index == WORLD_NONE)
        return;
    name = virtual_shell_snapshot(&s->shell)->schedules[index].name;
    phase = spread_phase(s->world.consents[record->as.job_open.consent].hash,
                         hash_bytes(name, strlen(name), 0));
    due_ms = run->base.ms + spread_offset_ms(phase, run->spread_ms);
    /* Woken early for the deadline's sake, a slot is due at that moment, never before the run. */
    if (record->as.job_open.due.ms < due_ms && record->as.job_open.due.ms == record->at.ms &&
        (record->at.ms >= run->base.ms || s->clocks.stepped_us != INT64_MIN))
        return;
    if (due_ms != record->as.job_open.due.ms)
        judge_fail(s, "consent %u was moved in the spread of run %u: %lld ms",
                   record->as.job_open.consent, run->number,
                   (long long)(record->as.job_open.due.ms - due_ms));
}

static void take_job_open(struct simulation *s, const struct record *record,
                          const struct record *next)
{
    struct judge *judge = &s->judge;
    uint64_t number = record->as.job_open.job;
    struct judged_consent *consent = &judge->consents[record->as.job_open.consent];

    if (number != judge->job_max + 1)
        judge_fail(s, "job %llu follows job %llu", (unsigned long long)number,
                   (unsigned long long)judge->job_max);
    if (number >= judge->job_capacity) {
        judge->job_capacity *= 2;
        judge->jobs = realloc(judge->jobs, judge->job_capacity * sizeof *judge->jobs);
        REQUIRE(judge->jobs != NULL);
    }
    judge->job_max = number;
    if (consent->live_job != 0)
        judge_fail(s, "consent %u gets job %llu while its job %llu is open",
                   record->as.job_open.consent, (unsigned long long)number,
                   (unsigned long long)consent->live_job);
    if (next == NULL || next->kind != RECORD_ATTEMPT || next->as.attempt.job != number)
        judge_fail(s, "job %llu opens without an attempt", (unsigned long long)number);
    judge->jobs[number] = (struct judged_job){
        .is_open = true,
        .is_forced = consent->is_forced && record->as.job_open.trigger == TRIGGER_MANUAL,
        .consent = record->as.job_open.consent,
        .run = record->as.job_open.run,
        .institution =
            virtual_shell_snapshot(&s->shell)->consent_institution[record->as.job_open.consent],
        .doubt_sent = UTC_NONE,
        .wait_until = UTC_NONE,
    };
    consent->live_job = number;
    tally_count(&s->tally, TALLY_JOBS);
    if (record->as.job_open.run != 0)
        judge_due(s, run_row(s, record->as.job_open.run), record);
}

static void set_running(struct simulation *s, struct judged_job *job, bool is_running)
{
    uint32_t provider = s->world.institutions[job->institution].provider;

    if (job->is_running == is_running)
        return;
    job->is_running = is_running;
    if (is_running) {
        s->judge.institutions[job->institution].running++;
        s->judge.providers[provider].running++;
    } else {
        s->judge.institutions[job->institution].running--;
        s->judge.providers[provider].running--;
    }
}

static bool class_counts(enum answer_class class_)
{
    return class_ != CLASS_PUSHBACK && class_ != CLASS_COOLDOWN && class_ != CLASS_CREDENTIALS;
}

static void judge_repeat(struct simulation *s, const struct judged_job *job,
                         const struct record *record)
{
    const struct provider_settings *settings =
        &s->world.providers[s->world.institutions[job->institution].provider].settings;

    if (job->attempts == 0 || (job->is_answered && job->reason != REASON_IN_DOUBT &&
                               !(job->is_repeat && !class_counts(job->class_))))
        judge_fail(s, "job %llu is sent again though nothing was in doubt",
                   (unsigned long long)record->as.attempt.job);
    if (settings->in_doubt != IN_DOUBT_REINITIATE)
        judge_fail(s, "job %llu is sent again at a provider that would begin a second one",
                   (unsigned long long)record->as.attempt.job);
    if (settings->dedupe_window_ms > 0 && s->clocks.stepped_us == INT64_MIN &&
        record->at.ms >= job->doubt_sent.ms + settings->dedupe_window_ms)
        judge_fail(s, "job %llu is sent again after the dedupe window",
                   (unsigned long long)record->as.attempt.job);
}

static void judge_first_sending(struct simulation *s, struct judged_job *job,
                                const struct record *record)
{
    const struct judged_consent *consent = &s->judge.consents[job->consent];
    const struct judged_run *run = job->run == 0 ? NULL : run_row(s, job->run);

    if (job->attempts > 0 && !job->is_answered)
        judge_fail(s, "job %llu gets another attempt while one has no answer",
                   (unsigned long long)record->as.attempt.job);
    if (run != NULL && s->judge.schedules[run->schedule].is_there &&
        run->generation == s->judge.schedules[run->schedule].generation &&
        job->counted >= s->judge.schedules[run->schedule].attempts_max)
        judge_fail(s, "job %llu gets attempt %u, %u are allowed",
                   (unsigned long long)record->as.attempt.job, job->counted + 1,
                   s->judge.schedules[run->schedule].attempts_max);
    if (consent->doubt_until.ms > record->at.ms && s->clocks.stepped_us == INT64_MIN)
        judge_fail(s, "consent %u is sent to although its last job may still run (in doubt)",
                   job->consent);
    if (job->wait_until.ms > record->at.ms && s->clocks.stepped_us == INT64_MIN)
        judge_fail(s, "job %llu does not wait until it was told",
                   (unsigned long long)record->as.attempt.job);
    judge_consent_clocks(s, job, record->at);
}

static void take_attempt(struct simulation *s, const struct record *record)
{
    struct judged_job *job = job_row(s, record->as.attempt.job);

    if (!job->is_open || record->as.attempt.attempt != job->attempts + 1)
        judge_fail(s, "attempt %u of job %llu comes %s", record->as.attempt.attempt,
                   (unsigned long long)record->as.attempt.job,
                   job->is_open ? "out of order" : "after its end");
    judge_may_initiate(s, job, record->at);
    if (record->as.attempt.is_repeat) {
        judge_repeat(s, job, record);
        tally_count(&s->tally, TALLY_REPEATS);
    } else {
        judge_first_sending(s, job, record);
        judge_charge(s, job->consent, record->as.attempt.job, record->as.attempt.attempt,
                     record->at);
        job->is_blind =
            s->judge.providers[s->world.institutions[job->institution].provider].is_new_to_life;
        job->doubt_sent = record->at;
        job->counted++; /* until its answer says otherwise */
    }
    job->attempts++;
    job->is_answered = false;
    job->is_repeat = record->as.attempt.is_repeat;
    job->wait_until = UTC_NONE;
    set_running(s, job, true);
}

static void take_answer(struct simulation *s, const struct record *record)
{
    struct judged_job *job = job_row(s, record->as.answer.job);

    if (!job->is_open || job->is_answered || job->attempts != record->as.answer.attempt)
        judge_fail(s, "attempt %u of job %llu is answered %s", record->as.answer.attempt,
                   (unsigned long long)record->as.answer.job,
                   !job->is_open ? "after its end" : "twice");
    job->is_answered = true;
    job->class_ = record->as.answer.class_;
    job->reason = record->as.answer.reason;
    if (!job->is_repeat) {
        job->doubt_sent = record->as.answer.sent;
        if (!class_counts(job->class_) && job->reason != REASON_IN_DOUBT)
            job->counted--;
        judge_charge_answered(s, job->consent, record);
    }
    if (job->class_ != CLASS_ACCEPTED && job->class_ != CLASS_RUNNING &&
        job->reason != REASON_IN_DOUBT)
        set_running(s, job, job->is_repeat && !class_counts(job->class_));
}

static void take_reference(struct simulation *s, const struct record *record)
{
    struct judged_job *job = job_row(s, record->as.reference.job);

    if (!job->is_open)
        judge_fail(s, "job %llu learns its id after its end",
                   (unsigned long long)record->as.reference.job);
    if (job->is_answered)
        return;
    job->is_answered = true; /* a webhook told what no answer did */
    job->class_ = CLASS_ACCEPTED;
    job->reason = REASON_NONE;
}

static void take_job_state(struct simulation *s, const struct record *record)
{
    struct judged_job *job = job_row(s, record->as.job_state.job);
    enum reason reason = record->as.job_state.reason;

    if (!job->is_open)
        judge_fail(s, "job %llu moves after its end", (unsigned long long)record->as.job_state.job);
    if (record->as.job_state.state == JOB_RETRY_WAIT ||
        record->as.job_state.state == JOB_LOOKING_UP)
        set_running(s, job, false);
    if (record->as.job_state.next_attempt.ms == UTC_NEVER.ms)
        return;
    if (reason == REASON_IN_DOUBT && record->as.job_state.state != JOB_IN_DOUBT)
        s->judge.consents[job->consent].doubt_until = record->as.job_state.next_attempt;
    if (reason == REASON_COOLDOWN && record->as.job_state.state == JOB_RETRY_WAIT)
        job->wait_until = record->as.job_state.next_attempt;
}

static void count_outcome(struct simulation *s, enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_REFRESHED:
    case OUTCOME_PARTIAL: tally_count(&s->tally, TALLY_REFRESHED); break;
    case OUTCOME_DEDUPLICATED: tally_count(&s->tally, TALLY_DEDUPLICATED); break;
    case OUTCOME_RECONNECT_REQUIRED: tally_count(&s->tally, TALLY_RECONNECT); break;
    case OUTCOME_FAILED: tally_count(&s->tally, TALLY_FAILED); break;
    case OUTCOME_UNKNOWN: tally_count(&s->tally, TALLY_UNKNOWN); break;
    case OUTCOME_SKIPPED:
    case OUTCOME_NONE:
    case OUTCOME_COUNT: break;
    }
}

static void take_job_close(struct simulation *s, const struct record *record)
{
    struct judged_job *job = job_row(s, record->as.job_close.job);
    enum outcome outcome = record->as.job_close.outcome;
    bool is_success = outcome == OUTCOME_REFRESHED || outcome == OUTCOME_PARTIAL ||
                      outcome == OUTCOME_DEDUPLICATED;

    if (!job->is_open)
        judge_fail(s, "job %llu ends twice", (unsigned long long)record->as.job_close.job);
    for (uint32_t i = 0; i < s->shell.request_capacity; i++)
        if (s->shell.requests[i].in_use && !s->shell.requests[i].is_dead &&
            s->shell.requests[i].job == record->as.job_close.job)
            judge_fail(s, "job %llu ends while a request of it is out",
                       (unsigned long long)record->as.job_close.job);
    if (is_success && !job->success_told)
        judge_fail(s, "job %llu ends as %s, which nobody said",
                   (unsigned long long)record->as.job_close.job, outcome_text(outcome));
    if (outcome == OUTCOME_RECONNECT_REQUIRED && !job->reconnect_told)
        judge_fail(s, "job %llu needs the customer, which nobody said",
                   (unsigned long long)record->as.job_close.job);
    if (job->success_told && !is_success)
        judge_fail(s, "job %llu ends as %s though its provider said that it succeeded",
                   (unsigned long long)record->as.job_close.job, outcome_text(outcome));
    set_running(s, job, false);
    job->is_open = false;
    job->outcome = outcome;
    s->judge.consents[job->consent].live_job = 0;
    s->judge.consents[job->consent].is_forced = false;
    count_outcome(s, outcome);
    if (job->run != 0)
        take_outcome(s, job->run, job->consent, outcome);
}

static void take_skip(struct simulation *s, const struct record *record)
{
    uint32_t consent = record->as.skip.consent;
    struct judged_run *run;

    tally_count(&s->tally, TALLY_SKIPS);
    if (record->as.skip.run == 0) {
        s->judge.consents[consent].is_forced = false;
        return; /* a trigger that was given up */
    }
    run = run_row(s, record->as.skip.run);
    if (consent == 0) {
        if (!run->is_missed)
            judge_fail(s, "run %u was not missed, and is skipped as a whole", run->number);
        run->counts[OUTCOME_SKIPPED] += record->as.skip.count;
        return;
    }
    if (record->as.skip.reason == REASON_NONE)
        judge_fail(s, "the slot of consent %u in run %u is skipped for no reason", consent,
                   run->number);
    if (record->as.skip.reason == REASON_HELD && !s->judge.consents[consent].is_held)
        judge_fail(s, "the slot of consent %u is skipped as held, and nobody holds it", consent);
    take_outcome(s, run->number, consent, OUTCOME_SKIPPED);
}

/* In one round of the provider's hand nobody is looked up more often than a round and its tries
 * allow, whatever had to wait. */
static void take_recheck(struct simulation *s, const struct record *record)
{
    struct judged_consent *consent = &s->judge.consents[record->as.recheck.consent];
    uint32_t provider = virtual_shell_snapshot(&s->shell)->provider_of[record->as.recheck.provider];
    int64_t round_us = s->world.providers[provider].settings.recheck_ms * US_PER_MS;
    int64_t first_us = consent->checked_us[JUDGE_LOOK_UPS - 1];

    tally_count(&s->tally, TALLY_RECHECKS);
    if (!record->as.recheck.is_by_hand)
        return;
    if (first_us > s->judge.adopted_us && first_us > s->clocks.stepped_us &&
        s->clocks.true_us - first_us < round_us / 10 * 9)
        judge_fail(s, "held consent %u is looked up %d times in %lld s, once in %lld s is wanted",
                   record->as.recheck.consent, JUDGE_LOOK_UPS + 1,
                   (long long)((s->clocks.true_us - first_us) / US_PER_SECOND),
                   (long long)(round_us / US_PER_SECOND));
    memmove(consent->checked_us + 1, consent->checked_us,
            sizeof consent->checked_us - sizeof *consent->checked_us);
    consent->checked_us[0] = s->clocks.true_us;
}

static void describe(struct simulation *s, const struct record *record)
{
    static const char *const kinds[] = {"run_open", "run_close", "job_open",  "attempt",
                                        "answer",   "reference", "job_state", "job_close",
                                        "skip",     "hold",      "release",   "recheck",
                                        "expires",  "calls",     "schedule",  "node"};
    char text[UTC_TEXT_SIZE];

    switch (record->kind) {
    case RECORD_RUN_OPEN:
        simulation_say(s, "run_open %u schedule %u %s slot %s due %u%s", record->as.run_open.run,
                       record->as.run_open.schedule, trigger_text(record->as.run_open.trigger),
                       utc_text(record->as.run_open.slot, text), record->as.run_open.due,
                       record->as.run_open.is_missed ? " missed" : "");
        break;
    case RECORD_JOB_OPEN:
        simulation_say(s, "job_open %llu slot %u consent %u run %u",
                       (unsigned long long)record->as.job_open.job, record->as.job_open.job_slot,
                       record->as.job_open.consent, record->as.job_open.run);
        break;
    case RECORD_ATTEMPT:
        simulation_say(s, "attempt %u of job %llu consent %u%s", record->as.attempt.attempt,
                       (unsigned long long)record->as.attempt.job, record->as.attempt.consent,
                       record->as.attempt.is_repeat ? " repeat" : "");
        break;
    case RECORD_ANSWER:
        simulation_say(s, "answer to job %llu: %s %s%s", (unsigned long long)record->as.answer.job,
                       answer_class_text(record->as.answer.class_),
                       reason_text(record->as.answer.reason),
                       record->as.answer.is_charged ? " charged" : "");
        break;
    case RECORD_JOB_STATE:
        simulation_say(s, "job %llu is %s until %s: %s",
                       (unsigned long long)record->as.job_state.job,
                       job_state_text(record->as.job_state.state),
                       record->as.job_state.next_attempt.ms == UTC_NEVER.ms
                           ? "never"
                           : utc_text(record->as.job_state.next_attempt, text),
                       reason_text(record->as.job_state.reason));
        break;
    case RECORD_JOB_CLOSE:
        simulation_say(s, "job_close %llu consent %u: %s %s",
                       (unsigned long long)record->as.job_close.job, record->as.job_close.consent,
                       outcome_text(record->as.job_close.outcome),
                       reason_text(record->as.job_close.reason));
        break;
    case RECORD_SKIP:
        simulation_say(s, "skip consent %u run %u: %s", record->as.skip.consent,
                       record->as.skip.run, reason_text(record->as.skip.reason));
        break;
    case RECORD_HOLD:
    case RECORD_RELEASE:
        simulation_say(s, "%s consent %u", kinds[record->kind], record->as.hold.consent);
        break;
    case RECORD_RECHECK:
        simulation_say(s, "recheck consent %u%s", record->as.recheck.consent,
                       record->as.recheck.is_by_hand ? "" : ", prompted");
        break;
    default: simulation_say(s, "%s", kinds[record->kind]); break;
    }
}

void judge_record(struct simulation *s, const struct record *record, const struct record *next)
{
    if (s->is_tracing)
        describe(s, record);
    switch (record->kind) {
    case RECORD_RUN_OPEN: take_run_open(s, record); break;
    case RECORD_RUN_CLOSE: take_run_close(s, record); break;
    case RECORD_JOB_OPEN: take_job_open(s, record, next); break;
    case RECORD_ATTEMPT: take_attempt(s, record); break;
    case RECORD_ANSWER: take_answer(s, record); break;
    case RECORD_REFERENCE: take_reference(s, record); break;
    case RECORD_JOB_STATE: take_job_state(s, record); break;
    case RECORD_JOB_CLOSE: take_job_close(s, record); break;
    case RECORD_SKIP: take_skip(s, record); break;
    case RECORD_HOLD: s->judge.consents[record->as.hold.consent].is_held = true; break;
    case RECORD_RELEASE:
        if (!s->judge.consents[record->as.hold.consent].is_held)
            judge_fail(s, "consent %u is let go, and nobody holds it", record->as.hold.consent);
        s->judge.consents[record->as.hold.consent].is_held = false;
        break;
    case RECORD_RECHECK: take_recheck(s, record); break;
    case RECORD_EXPIRES:
        s->judge.consents[record->as.expires.consent].learned_expires = record->as.expires.expires;
        break;
    case RECORD_NODE:
        if (record->as.node.is_breaker_news)
            tally_count(&s->tally, TALLY_BREAKER_MOVES);
        break;
    case RECORD_CALLS:
    case RECORD_MAINTENANCE: break;
    case RECORD_SCHEDULE: take_schedule(s, record); break;
    }
}

/* ---- requests ---- */

void judge_answered(struct simulation *s, const struct sim_request *request)
{
    enum answer_class class_ = request->answer.class_;
    struct judged_job *job;

    if (request->kind == REQUEST_LOOK_UP)
        return;
    job = job_row(s, request->job);
    if (class_ == CLASS_RECONNECT_REQUIRED || class_ == CLASS_RETRY_LATER)
        job->reconnect_told = true; /* a look-up may blame the consent for a failed job */
    job->success_told = class_ == CLASS_SUCCESS || class_ == CLASS_PARTIAL;
}

void judge_job_recovered(struct simulation *s, uint64_t number, uint32_t institution_index)
{
    struct judged_job *job = job_row(s, number);
    bool was_running = job->is_running;

    set_running(s, job, false);
    job->institution = virtual_shell_snapshot(&s->shell)->institution_of[institution_index];
    set_running(s, job, was_running);
}

void judge_dates_changed(struct simulation *s, uint32_t consent)
{
    s->judge.consents[consent].learned_expires = UTC_NEVER;
}

/* ---- now and then ---- */

/* A slot that is due and waits though every gate is open would wait for ever. */
static void judge_waiting(struct simulation *s, const struct judged_run *run, uint32_t consent)
{
    struct time_now now = simulation_now(s);
    struct gate_verdict verdicts[GATE_COUNT];
    const char *name;
    uint32_t phase;
    uint32_t index = virtual_shell_snapshot(&s->shell)->schedule_index[run->schedule];

    if (index == WORLD_NONE)
        return;
    name = virtual_shell_snapshot(&s->shell)->schedules[index].name;
    phase = spread_phase(s->world.consents[consent].hash, hash_bytes(name, strlen(name), 0));
    if (run->base.ms + spread_offset_ms(phase, run->spread_ms) > now.utc.ms)
        return;
    if (scheduler_why(s->shell.scheduler, now, consent, verdicts).ms > now.utc.ms)
        return;
    for (int gate = 0; gate < GATE_COUNT; gate++)
        if (!verdicts[gate].is_open)
            return;
    judge_fail(s, "the slot of consent %u in run %u is due, every gate is open, and it waits",
               consent, run->number);
}

void judge_look(struct simulation *s)
{
    struct time_now now = simulation_now(s);

    if (!virtual_shell_is_up(&s->shell))
        return;
    scheduler_check(s->shell.scheduler);
    if (s->shell.is_blocked || s->shell.is_draining || s->shell.queue_count > 0 ||
        s->shell.turn_us <= s->clocks.true_us ||
        clocks_true_of(&s->clocks, s->shell.wake) <= s->clocks.true_us)
        return;
    for (uint32_t i = 0; i < s->judge.run_count; i++) {
        const struct judged_run *run = &s->judge.runs[i];

        if (!run->is_open || run->deadline.ms <= now.utc.ms ||
            s->judge.schedules[run->schedule].paused.until.ms > now.utc.ms ||
            judge_is_closed(&s->judge.schedules[run->schedule].hours, now.utc))
            continue;
        for (uint32_t c = 1; c <= s->world.consent_max; c++)
            if (run->slots[c] == OUTCOME_NONE && s->judge.consents[c].live_job == 0)
                judge_waiting(s, run, c);
    }
}

/* How long it takes at most until each open job was polled a few times, at the slowest rate. */
static int64_t polls_ms(const struct simulation *s)
{
    int64_t longest_ms = 0;
    uint64_t open = 0;

    for (uint64_t job = 1; job <= s->judge.job_max; job++)
        open += s->judge.jobs[job].is_open;
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        for (uint32_t r = 0; r < s->world.providers[i].node.limits.rate_count; r++) {
            const struct rate *rate = &s->world.providers[i].node.limits.rates[r];
            int64_t rounds = 1 + (int64_t)(8 * open / rate->count);

            if (rounds * rate->span_ms > longest_ms)
                longest_ms = rounds * rate->span_ms;
        }
    return longest_ms;
}

struct utc_time judge_drain_bound(struct simulation *s)
{
    struct utc_time bound = simulation_now(s).utc;
    int64_t give_up_ms = 0;

    for (uint32_t i = 0; i < s->judge.run_count; i++)
        if (s->judge.runs[i].is_open && s->judge.runs[i].deadline.ms != UTC_NEVER.ms)
            bound = s->judge.runs[i].deadline.ms > bound.ms ? s->judge.runs[i].deadline : bound;
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        if (s->world.providers[i].settings.completion.give_up_after_ms > give_up_ms)
            give_up_ms = s->world.providers[i].settings.completion.give_up_after_ms;
    /* A manual trigger has an hour to begin; a job is followed for so long, and its look-up, too;
     * a last poll waits for its turn. */
    return utc_add_ms(bound, 3 * give_up_ms + 2 * MS_PER_HOUR + polls_ms(s));
}

void judge_drained(struct simulation *s)
{
    if (scheduler_jobs_live(s->shell.scheduler) != 0 ||
        scheduler_run_count(s->shell.scheduler) != 0)
        judge_fail(s, "faults have stopped, and %u jobs and %u runs do not end",
                   scheduler_jobs_live(s->shell.scheduler),
                   scheduler_run_count(s->shell.scheduler));
    for (uint32_t i = 0; i < s->judge.run_count; i++)
        if (s->judge.runs[i].is_open)
            judge_fail(s, "run %u was never closed", s->judge.runs[i].number);
    for (uint64_t job = 1; job <= s->judge.job_max; job++)
        if (s->judge.jobs[job].is_open)
            judge_fail(s, "job %llu was never closed", (unsigned long long)job);
}
