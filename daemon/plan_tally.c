/* SPDX-License-Identifier: MIT
 * plan_tally.c - see plan_tally.h. */
#include "daemon/plan_tally.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/plan_binding.h"

/* ---- life ---- */

/* Which schedules have members at which institutions. */
static void note_uses(struct plan_tally *tally)
{
    const struct consent_table *table = tally->population->table;
    uint32_t institutions = tally->plan->institution_count;
    uint32_t set_count;
    const struct schedule_set *sets = consent_table_schedule_sets(table, &set_count);

    for (uint32_t row = 0; row < consent_table_count(table); row++) {
        uint32_t institution;
        uint16_t set;

        consent_table_place(table, row, &institution, &set);
        for (uint32_t i = 0; set < set_count && i < sets[set].count; i++)
            tally->uses[(size_t)sets[set].schedules[i] * institutions + institution] = 1;
    }
}

enum result plan_tally_init(struct plan_tally *tally, struct plan *plan,
                            const struct config *config, const struct population *population,
                            struct fault *fault)
{
    uint32_t providers = config->provider_count;

    *tally = (struct plan_tally){.plan = plan, .config = config, .population = population};
    tally->meter_count = providers + plan->institution_count;
    tally->meters = calloc((size_t)tally->meter_count + 1, sizeof *tally->meters);
    tally->uses = calloc((size_t)config->schedule_count * plan->institution_count + 1, 1);
    if (tally->meters == NULL || tally->uses == NULL) {
        plan_tally_deinit(tally);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    for (uint32_t i = 0; i < tally->meter_count; i++) {
        bool is_provider = i < providers;

        tally->meters[i].node = (struct plan_node){
            .provider = is_provider ? i : plan->institutions[i - providers].provider,
            .institution = is_provider ? UINT32_MAX : i - providers,
            .first = UTC_NONE,
            .last = UTC_NONE,
        };
    }
    note_uses(tally);
    return RESULT_OK;
}

static void free_open_run(struct plan_open_run *open)
{
    free(open->waits);
    free(open->lost);
    free(open->reasons);
}

void plan_tally_deinit(struct plan_tally *tally)
{
    for (uint32_t i = 0; i < tally->open_count; i++)
        free_open_run(&tally->open[i]);
    free(tally->open);
    free(tally->meters);
    free(tally->uses);
    *tally = (struct plan_tally){0};
}

/* ---- requests ---- */

static void meter_sent(struct plan_meter *meter, struct utc_time now, bool is_call)
{
    if (meter->second != now.ms / MS_PER_SECOND) {
        meter->second = now.ms / MS_PER_SECOND;
        meter->in_second = 0;
    }
    if (meter->minute != now.ms / MS_PER_MINUTE) {
        meter->minute = now.ms / MS_PER_MINUTE;
        meter->in_minute = 0;
    }
    if (++meter->in_second > meter->node.peak_second)
        meter->node.peak_second = meter->in_second;
    if (++meter->in_minute > meter->node.peak_minute)
        meter->node.peak_minute = meter->in_minute;
    meter->node.calls += is_call;
    meter->node.initiations += !is_call;
    if (meter->node.first.ms == UTC_NONE.ms)
        meter->node.first = now;
    meter->node.last = now;
}

static struct plan_bucket *bucket_at(struct plan *plan, struct utc_time now)
{
    if (now.ms < plan->from.ms || now.ms >= plan->until.ms)
        return NULL;
    return &plan->buckets[(now.ms - plan->from.ms) / plan->bucket_ms];
}

void plan_tally_sent(struct plan_tally *tally, struct utc_time now, uint32_t provider,
                     uint32_t institution)
{
    struct plan_bucket *bucket = bucket_at(tally->plan, now);
    bool is_call = institution == UINT32_MAX;

    if (now.ms < tally->plan->from.ms)
        return;
    if (bucket != NULL) {
        bucket->calls += is_call;
        bucket->initiations += !is_call;
    }
    meter_sent(&tally->meters[provider], now, is_call);
    if (!is_call)
        meter_sent(&tally->meters[tally->config->provider_count + institution], now, false);
}

void plan_tally_refused(struct plan_tally *tally, uint32_t provider, uint32_t institution)
{
    tally->meters[provider].node.refused++;
    tally->meters[tally->config->provider_count + institution].node.refused++;
}

static void meter_job(struct plan_meter *meter, bool is_running, bool is_seen)
{
    meter->jobs = is_running ? meter->jobs + 1 : meter->jobs - 1;
    if (is_seen && meter->jobs > meter->node.peak_jobs)
        meter->node.peak_jobs = meter->jobs;
}

void plan_tally_job(struct plan_tally *tally, struct utc_time now, uint32_t provider,
                    uint32_t institution, bool is_running)
{
    struct plan_bucket *bucket = bucket_at(tally->plan, now);
    bool is_seen = now.ms >= tally->plan->from.ms;

    meter_job(&tally->meters[provider], is_running, is_seen);
    meter_job(&tally->meters[tally->config->provider_count + institution], is_running, is_seen);
    tally->jobs = is_running ? tally->jobs + 1 : tally->jobs - 1;
    if (bucket != NULL && tally->jobs > bucket->peak_jobs)
        bucket->peak_jobs = tally->jobs;
}

/* ---- runs ---- */

static struct plan_open_run *find_open(struct plan_tally *tally, uint32_t number)
{
    for (uint32_t i = tally->open_count; i > 0; i--)
        if (tally->plan->runs[tally->open[i - 1].index].number == number)
            return &tally->open[i - 1];
    return NULL;
}

static bool is_reported(const struct plan *plan, const struct plan_run *run)
{
    return run->was_open || (run->slot.ms >= plan->from.ms && run->slot.ms < plan->until.ms);
}

/* A place for a run, and for what is counted while it is open. NULL: out of memory. */
static struct plan_open_run *add_run(struct plan_tally *tally, const struct plan_run *run)
{
    struct plan *plan = tally->plan;
    struct plan_open_run open = {.index = plan->run_count, .unsent = run->due};

    if (plan->run_count == tally->run_capacity) {
        uint32_t capacity = 2 * tally->run_capacity + 16;
        struct plan_run *grown = realloc(plan->runs, capacity * sizeof *grown);

        if (grown == NULL)
            return NULL;
        plan->runs = grown;
        tally->run_capacity = capacity;
    }
    if (tally->open_count == tally->open_capacity) {
        uint32_t capacity = 2 * tally->open_capacity + 16;
        struct plan_open_run *grown = realloc(tally->open, capacity * sizeof *grown);

        if (grown == NULL)
            return NULL;
        tally->open = grown;
        tally->open_capacity = capacity;
    }
    open.waits = calloc((size_t)tally->meter_count * PLAN_WAIT_COUNT, sizeof *open.waits);
    open.lost = calloc((size_t)plan->institution_count + 1, sizeof *open.lost);
    open.reasons = calloc((size_t)plan->institution_count + 1, 1);
    if (open.waits == NULL || open.lost == NULL || open.reasons == NULL) {
        free_open_run(&open);
        return NULL;
    }
    plan->runs[plan->run_count++] = *run;
    tally->open[tally->open_count] = open;
    tally->unfinished += is_reported(plan, run);
    return &tally->open[tally->open_count++];
}

void plan_tally_recovered(struct plan_tally *tally, const struct run_view *view)
{
    struct plan_run run = {
        .number = view->run,
        .schedule = view->schedule,
        .trigger = view->trigger,
        .slot = view->slot,
        .deadline = view->deadline,
        .start = view->started,
        .finish = UTC_NONE,
        .was_open = true,
        .due = view->due,
    };
    struct plan_open_run *open;

    for (int i = OUTCOME_REFRESHED; i < OUTCOME_COUNT; i++) {
        run.outcomes[i] = view->counts[i];
        run.accounted += view->counts[i];
    }
    open = add_run(tally, &run);
    if (open == NULL)
        tally->is_broken = true;
    else
        open->unsent = view->waiting;
}

static void run_opened(struct plan_tally *tally, const struct record *record)
{
    struct plan_run run = {
        .number = record->as.run_open.run,
        .schedule = record->as.run_open.schedule,
        .trigger = record->as.run_open.trigger,
        .slot = record->as.run_open.slot,
        .deadline = record->as.run_open.deadline,
        .start = UTC_NONE,
        .finish = UTC_NONE,
        .is_missed = record->as.run_open.is_missed,
        .due = record->as.run_open.due,
    };

    if (add_run(tally, &run) == NULL)
        tally->is_broken = true;
}

static void run_closed(struct plan_tally *tally, const struct record *record)
{
    struct plan_open_run *open = find_open(tally, record->as.run_close.run);
    struct plan_run *run;

    if (open == NULL)
        return;
    run = &tally->plan->runs[open->index];
    run->finish = record->at;
    tally->unfinished -= is_reported(tally->plan, run);
    plan_binding_find(tally, open);
    free_open_run(open);
    /* In the order in which they opened: what is found first is the newest. */
    memmove(open, open + 1, (size_t)(tally->open + tally->open_count - (open + 1)) * sizeof *open);
    tally->open_count--;
}

static uint32_t institution_of(const struct plan_tally *tally, uint32_t consent)
{
    uint32_t row = population_row(tally->population, consent);
    uint32_t institution;
    uint16_t set;

    if (row == UINT32_MAX)
        return UINT32_MAX;
    consent_table_place(tally->population->table, row, &institution, &set);
    return institution;
}

/* A state of the consent or of the world, and not too little time. */
static bool is_state(enum reason reason)
{
    switch (reason) {
    case REASON_QUOTA:
    case REASON_COOLDOWN:
    case REASON_AUTH:
    case REASON_PAUSED:
    case REASON_HELD:
    case REASON_EXPIRED:
    case REASON_NOT_READY:
    case REASON_REMOVED:
    case REASON_LISTEN_ONLY:
    case REASON_SINGLE_FLIGHT:
    case REASON_DRAINING:
    case REASON_MISSED: return true;
    default: return false;
    }
}

static void count_skip(struct plan_tally *tally, struct plan_open_run *open, uint32_t consent,
                       enum reason reason, uint32_t count)
{
    struct plan_run *run = &tally->plan->runs[open->index];
    uint32_t institution;

    run->accounted += count;
    run->outcomes[OUTCOME_SKIPPED] += count;
    if (is_state(reason)) {
        run->skipped[reason] += count;
        return;
    }
    run->lost[reason] += count;
    run->lost_count += count;
    institution = institution_of(tally, consent);
    if (institution != UINT32_MAX) {
        open->lost[institution] += count;
        open->reasons[institution] = (uint8_t)reason;
    }
}

static void slot_skipped(struct plan_tally *tally, const struct record *record)
{
    struct plan_open_run *open = find_open(tally, record->as.skip.run);
    uint32_t count = record->as.skip.count;

    if (open == NULL)
        return;
    open->unsent -= count < open->unsent ? count : open->unsent;
    count_skip(tally, open, record->as.skip.consent,
               record->as.skip.waited_for != REASON_NONE ? record->as.skip.waited_for
                                                         : record->as.skip.reason,
               count);
}

static void job_closed(struct plan_tally *tally, const struct record *record)
{
    struct plan_open_run *open = find_open(tally, record->as.job_close.run);
    enum outcome outcome = record->as.job_close.outcome;
    struct plan_run *run;

    if (open == NULL)
        return;
    if (outcome == OUTCOME_SKIPPED) {
        count_skip(tally, open, record->as.job_close.consent, record->as.job_close.reason, 1);
        return;
    }
    run = &tally->plan->runs[open->index];
    run->accounted++;
    run->outcomes[outcome]++;
    if (outcome == OUTCOME_FAILED || outcome == OUTCOME_UNKNOWN)
        run->failed[record->as.job_close.reason]++;
}

static void job_opened(struct plan_tally *tally, const struct record *record)
{
    struct plan_open_run *open = find_open(tally, record->as.job_open.run);

    if (open == NULL)
        return;
    open->unsent -= open->unsent > 0;
    if (tally->plan->runs[open->index].start.ms == UTC_NONE.ms)
        tally->plan->runs[open->index].start = record->at;
}

void plan_tally_record(struct plan_tally *tally, const struct record *record)
{
    switch (record->kind) {
    case RECORD_RUN_OPEN: run_opened(tally, record); break;
    case RECORD_RUN_CLOSE: run_closed(tally, record); break;
    case RECORD_JOB_OPEN: job_opened(tally, record); break;
    case RECORD_JOB_CLOSE: job_closed(tally, record); break;
    case RECORD_SKIP: slot_skipped(tally, record); break;
    default: break;
    }
}

/* ---- waits ---- */

enum plan_wait plan_wait_of(enum reason reason)
{
    switch (reason) {
    case REASON_RATE: return PLAN_WAIT_RATE;
    case REASON_CONCURRENCY: return PLAN_WAIT_CONCURRENCY;
    case REASON_FAIRNESS: return PLAN_WAIT_FAIRNESS;
    default: return PLAN_WAIT_OTHER;
    }
}

/* `consents_ms` of waiting at an institution, because of node `meter`: shared among the runs that
 * have slots there. */
static void blame(struct plan_tally *tally, uint32_t institution, uint32_t meter,
                  enum reason reason, uint64_t consents_ms)
{
    enum plan_wait wait = plan_wait_of(reason);
    uint64_t unsent = 0;

    if (wait == PLAN_WAIT_OTHER)
        tally->meters[meter].other_reason = (uint8_t)reason;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < tally->open_count; i++) {
            struct plan_open_run *open = &tally->open[i];
            size_t schedule = tally->plan->runs[open->index].schedule;

            if (tally->uses[schedule * tally->plan->institution_count + institution] == 0)
                continue;
            if (pass == 0)
                unsent += open->unsent;
            else if (unsent > 0)
                open->waits[meter * PLAN_WAIT_COUNT + wait] += consents_ms * open->unsent / unsent;
        }
}

void plan_tally_waits(struct plan_tally *tally, const struct scheduler *scheduler,
                      struct time_now now, int64_t span_ms)
{
    uint32_t providers = tally->config->provider_count;

    for (uint32_t provider = 0; provider < providers && tally->open_count > 0; provider++) {
        struct node_view above;

        scheduler_provider_view(scheduler, now, provider, &above);
        tally->meters[provider].node.learned_interval_us = above.learned_interval_us;
        if (above.waiting == 0)
            continue;
        for (uint32_t i = 0; i < tally->plan->institution_count; i++) {
            struct node_view view;

            if (tally->plan->institutions[i].provider != provider)
                continue;
            scheduler_institution_view(scheduler, now, i, &view);
            tally->meters[providers + i].node.learned_interval_us = view.learned_interval_us;
            if (view.waiting == 0)
                continue;
            /* A share is the provider's to give. */
            if (view.blocked_reason != REASON_NONE)
                blame(tally, i, view.blocked_reason == REASON_FAIRNESS ? provider : providers + i,
                      view.blocked_reason, (uint64_t)view.waiting * (uint64_t)span_ms);
            else if (above.blocked_reason != REASON_NONE)
                blame(tally, i, provider, above.blocked_reason,
                      (uint64_t)view.waiting * (uint64_t)span_ms);
        }
    }
}

/* ---- the lists ---- */

/* Runs that were played only because others depend on them are not told of. */
static void keep_reported(struct plan *plan)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < plan->run_count; i++) {
        struct plan_run *run = &plan->runs[i];

        if (!is_reported(plan, run))
            continue;
        if (run->finish.ms != UTC_NONE.ms && run->finish.ms < plan->from.ms)
            continue; /* it was open once, and over before */
        run->fits = run->is_missed || (run->lost_count == 0 && run->finish.ms != UTC_NONE.ms &&
                                       run->finish.ms <= run->deadline.ms);
        plan->runs[kept++] = *run;
    }
    plan->run_count = kept;
}

enum result plan_tally_finish(struct plan_tally *tally, struct fault *fault)
{
    struct plan *plan = tally->plan;

    if (tally->is_broken)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory for the runs of the plan");
    for (uint32_t i = 0; i < tally->open_count; i++)
        plan_binding_find(tally, &tally->open[i]);
    plan->nodes = calloc((size_t)tally->meter_count + 1, sizeof *plan->nodes);
    if (plan->nodes == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    for (uint32_t i = 0; i < tally->meter_count; i++) {
        if (tally->meters[i].node.last.ms == UTC_NONE.ms)
            continue;
        plan_binding_rate(tally, i, &tally->meters[i].node);
        plan->nodes[plan->node_count++] = tally->meters[i].node;
    }
    keep_reported(plan);
    return RESULT_OK;
}
