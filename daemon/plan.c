/* SPDX-License-Identifier: MIT
 * plan.c - see plan.h: a virtual shell around the core. */
#include "daemon/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/memory.h"
#include "base/text.h"
#include "daemon/plan_tally.h"
#include "daemon/plan_world.h"
#include "state/state_lock.h"
#include "state/state_look.h"

#define CORE_SEED UINT64_C(0x7265667265736864) /* any, but always the same */
#define MONO_START_US (INT64_C(1) << 50)       /* what is remembered lies before it */
#define TOKEN_LIFETIME_MS MS_PER_HOUR
#define SAMPLE_MS MS_PER_MINUTE
#define STEPS_PER_REPORT 65536u
#define STEPS_STUCK_MAX 50000000u /* at one instant: something never ends */

/* A live job, as the world sees it. institution UINT32_MAX: nobody knows. */
struct plan_job {
    uint32_t provider;
    uint32_t institution;
    enum request_kind request; /* that is out */
    bool is_running;           /* counts as a running job */
    struct history_end end;
    int64_t retry_after_ms;
    int64_t end_us; /* of the job at the provider; INT64_MAX: not before we give up */
};

struct shell {
    const struct config *config;
    const struct plan_request *request;
    struct plan *plan;
    struct scheduler *scheduler;
    struct scheduler_settings settings;
    struct batch *batch;
    struct plan_world world;
    struct plan_tally tally;
    struct utc_time start;
    int64_t now_us; /* since the start */
    struct wake wake;
    /* What will happen: a token per provider, then an answer and a webhook per job slot. */
    struct heap happenings;
    struct plan_job *jobs;
    uint32_t job_capacity;
    /* Requests of the last batches that are handed over now. */
    struct effect *leaving;
    size_t leaving_count;
    size_t leaving_next;
    size_t leaving_capacity;
    int64_t sampled_us; /* waits are counted up to here */
    uint32_t stuck_steps;
    struct fault *fault;
    bool has_failed;
};

static struct time_now now_of(const struct shell *shell)
{
    return (struct time_now){
        .utc = utc_add_ms(shell->start, shell->now_us / US_PER_MS),
        .mono = {MONO_START_US + shell->now_us},
    };
}

static void fail(struct shell *shell, const char *what)
{
    if (!shell->has_failed)
        (void)fault_set(shell->fault, FAULT_INTERNAL, "%s", what);
    shell->has_failed = true;
}

static uint32_t answer_id(const struct shell *shell, uint32_t job_slot)
{
    return shell->config->provider_count + 2 * job_slot;
}

/* ---- places ---- */

static bool grow_jobs(struct shell *shell, uint32_t job_slot)
{
    uint32_t old = shell->job_capacity;
    uint32_t count = old == 0 ? 1024 : old;
    uint32_t ids;
    void *grown;

    if (job_slot < old)
        return true;
    while (count <= job_slot)
        count *= 2;
    grown = memory_resize(shell->jobs, old, count, sizeof *shell->jobs);
    if (grown == NULL)
        return false;
    shell->jobs = grown;
    shell->job_capacity = count;
    ids = answer_id(shell, count);
    grown = memory_resize(shell->happenings.entries, shell->happenings.capacity, ids,
                          sizeof *shell->happenings.entries);
    if (grown == NULL)
        return false;
    shell->happenings.entries = grown;
    grown = memory_resize(shell->happenings.positions, shell->happenings.capacity, ids,
                          sizeof *shell->happenings.positions);
    if (grown == NULL)
        return false;
    heap_grow(&shell->happenings, shell->happenings.entries, grown, ids);
    return true;
}

static void open_job(struct shell *shell, uint32_t job_slot, uint32_t consent)
{
    struct population *population = &shell->plan->population;
    uint32_t row = population_row(population, consent);
    struct plan_job *job;
    uint16_t set;

    if (!grow_jobs(shell, job_slot)) {
        fail(shell, "out of memory for the jobs of the plan");
        return;
    }
    job = &shell->jobs[job_slot];
    *job = (struct plan_job){.institution = UINT32_MAX, .retry_after_ms = -1, .end_us = INT64_MAX};
    if (row == UINT32_MAX)
        return; /* its row is gone, and nobody knows its bank */
    consent_table_place(population->table, row, &job->institution, &set);
    job->provider = shell->plan->institutions[job->institution].provider;
}

static void set_running(struct shell *shell, struct plan_job *job, bool is_running)
{
    if (job->is_running == is_running || job->institution == UINT32_MAX)
        return;
    job->is_running = is_running;
    plan_tally_job(&shell->tally, now_of(shell).utc, job->provider, job->institution, is_running);
}

/* ---- effects: what the world will answer ---- */

static void initiate(struct shell *shell, const struct effect *effect)
{
    struct plan_job *job = &shell->jobs[effect->job_slot];
    const struct completion_settings *completion;
    struct plan_fate fate;

    if (job->institution == UINT32_MAX) {
        heap_set(&shell->happenings, answer_id(shell, effect->job_slot), shell->now_us);
        return;
    }
    completion = &shell->config->provider_settings[job->provider].completion;
    fate = plan_world_initiate(&shell->world, job->institution, effect->attempt, now_of(shell).utc);
    job->end = fate.end;
    job->retry_after_ms = fate.retry_after_ms;
    job->end_us =
        fate.duration_ms == INT64_MAX ? INT64_MAX : shell->now_us + fate.duration_ms * US_PER_MS;
    set_running(shell, job, true);
    plan_tally_sent(&shell->tally, now_of(shell).utc, job->provider, job->institution);
    if (fate.end.class_ == CLASS_PUSHBACK && !fate.end.is_accepted)
        plan_tally_refused(&shell->tally, job->provider, job->institution);
    heap_set(&shell->happenings, answer_id(shell, effect->job_slot),
             shell->now_us + fate.latency_ms * US_PER_MS);
    if (completion->webhook && fate.end.is_accepted && job->end_us != INT64_MAX)
        heap_set(&shell->happenings, answer_id(shell, effect->job_slot) + 1, job->end_us);
}

static void perform(struct shell *shell, const struct effect *effect)
{
    int64_t latency_us = shell->world.poll_latency_ms[effect->provider] * US_PER_MS;

    if (effect->request == REQUEST_TOKEN) {
        plan_tally_sent(&shell->tally, now_of(shell).utc, effect->provider, UINT32_MAX);
        heap_set(&shell->happenings, effect->provider, shell->now_us + latency_us);
        return;
    }
    if (effect->job_slot == NO_JOB) { /* answered as soon as it is handed over */
        plan_tally_sent(&shell->tally, now_of(shell).utc, effect->provider, UINT32_MAX);
        return;
    }
    shell->jobs[effect->job_slot].request = effect->request;
    if (effect->request == REQUEST_INITIATE) {
        initiate(shell, effect);
        return;
    }
    plan_tally_sent(&shell->tally, now_of(shell).utc, effect->provider, UINT32_MAX);
    heap_set(&shell->happenings, answer_id(shell, effect->job_slot), shell->now_us + latency_us);
}

static void take_record(struct shell *shell, const struct record *record)
{
    plan_tally_record(&shell->tally, record);
    if (record->kind == RECORD_JOB_OPEN) {
        open_job(shell, record->as.job_open.job_slot, record->as.job_open.consent);
    } else if (record->kind == RECORD_JOB_CLOSE) {
        uint32_t slot = record->as.job_close.job_slot;

        if (slot < shell->job_capacity) {
            set_running(shell, &shell->jobs[slot], false);
            heap_remove(&shell->happenings, answer_id(shell, slot));
            heap_remove(&shell->happenings, answer_id(shell, slot) + 1);
        }
    } else if (record->kind == RECORD_JOB_STATE && record->as.job_state.state == JOB_RETRY_WAIT &&
               record->as.job_state.job_slot < shell->job_capacity) {
        set_running(shell, &shell->jobs[record->as.job_state.job_slot], false);
    }
}

static void keep_leaving(struct shell *shell)
{
    const struct batch *batch = shell->batch;

    if (shell->leaving_count + batch->effect_count > shell->leaving_capacity) {
        size_t capacity = 2 * shell->leaving_capacity + BATCH_EFFECTS_MAX;
        struct effect *grown = realloc(shell->leaving, capacity * sizeof *grown);

        if (grown == NULL) {
            fail(shell, "out of memory for the requests of the plan");
            return;
        }
        shell->leaving = grown;
        shell->leaving_capacity = capacity;
    }
    memcpy(shell->leaving + shell->leaving_count, batch->effects,
           batch->effect_count * sizeof *batch->effects);
    shell->leaving_count += batch->effect_count;
}

/* ---- the core ---- */

static void step_once(struct shell *shell, const struct event *event)
{
    const struct batch *batch = shell->batch;

    shell->wake = scheduler_step(shell->scheduler, now_of(shell), event, shell->batch);
    shell->plan->steps++;
    if (++shell->stuck_steps > STEPS_STUCK_MAX)
        fail(shell, "the core asks for one step after the other without end");
    for (uint32_t i = 0; i < batch->record_count; i++)
        take_record(shell, &batch->records[i]);
    for (uint32_t i = 0; i < batch->effect_count && !shell->has_failed; i++)
        perform(shell, &batch->effects[i]);
    if (batch->effect_count > 0)
        keep_leaving(shell);
    if (batch->needs_reserve &&
        scheduler_reserve(shell->scheduler, shell->plan->population.number_max, shell->fault) !=
            RESULT_OK)
        shell->has_failed = true;
}

static void hand_over(struct shell *shell, const struct effect *effect)
{
    struct time_now now = now_of(shell);
    struct event event = {.kind = EVENT_SENT};

    event.as.sent.job_slot = effect->job_slot;
    event.as.sent.provider = effect->provider;
    event.as.sent.request = effect->request;
    event.as.sent.at = now.mono;
    event.as.sent.at_utc = now.utc;
    event.as.sent.consent = effect->consent;
    step_once(shell, &event);
}

/* A held consent was looked up: it is held for the same reason as before. */
static void answer_look_up(struct shell *shell, uint32_t consent)
{
    struct event event = {.kind = EVENT_ANSWER};

    event.as.answer.job_slot = NO_JOB;
    event.as.answer.consent = consent;
    event.as.answer.request = REQUEST_LOOK_UP;
    event.as.answer.answer = ANSWER_NONE;
    event.as.answer.answer.answered = true;
    event.as.answer.answer.reached_socket = true;
    event.as.answer.answer.class_ = CLASS_SUCCESS;
    step_once(shell, &event);
}

/* One event, and what follows from it at the same instant. */
static void step(struct shell *shell, const struct event *event)
{
    static const struct event time_event = {.kind = EVENT_TIME};

    step_once(shell, event);
    while (!shell->has_failed) {
        if (shell->leaving_next < shell->leaving_count) {
            struct effect effect = shell->leaving[shell->leaving_next++];

            hand_over(shell, &effect);
            if (effect.request == REQUEST_LOOK_UP && effect.job_slot == NO_JOB)
                answer_look_up(shell, effect.consent);
        } else if (shell->batch->is_full || shell->batch->needs_reserve) {
            step_once(shell, &time_event);
        } else {
            break;
        }
    }
    shell->leaving_count = 0;
    shell->leaving_next = 0;
}

/* ---- what happens ---- */

static void answer_initiation(struct shell *shell, const struct plan_job *job, uint32_t job_slot,
                              struct answer *answer)
{
    const struct history_end *end = &job->end;
    uint64_t name[2] = {job_slot, (uint64_t)shell->now_us};

    answer->answered = true;
    answer->reached_socket = true;
    if (job->institution == UINT32_MAX) {
        answer->class_ = CLASS_REJECTED;
    } else if (end->is_accepted) {
        answer->class_ = CLASS_ACCEPTED;
        answer->reference_hash = hash_bytes(name, sizeof name, 0) | 1;
    } else {
        answer->class_ = end->class_ == CLASS_NONE ? CLASS_TRANSPORT : end->class_;
        answer->reason = end->reason;
        answer->retry_after_ms = job->retry_after_ms;
        if (answer->class_ == CLASS_TRANSPORT) {
            answer->answered = false;
            answer->reached_socket = end->class_ == CLASS_NONE;
        }
    }
}

static void answer_poll(const struct shell *shell, const struct plan_job *job,
                        struct answer *answer)
{
    answer->answered = true;
    answer->reached_socket = true;
    answer->is_about_job = true;
    if (shell->now_us < job->end_us) {
        answer->class_ = CLASS_RUNNING;
        return;
    }
    answer->class_ = job->end.class_;
    answer->reason = job->end.reason;
    if (job->end.outcome == OUTCOME_DEDUPLICATED) /* somebody had started it long before */
        answer->job_started = utc_add_ms(now_of(shell).utc, -MS_PER_DAY);
}

static void deliver_answer(struct shell *shell, uint32_t job_slot)
{
    const struct plan_job *job = &shell->jobs[job_slot];
    struct event event = {.kind = EVENT_ANSWER};

    event.as.answer.job_slot = job_slot;
    event.as.answer.request = job->request;
    event.as.answer.answer = ANSWER_NONE;
    switch (job->request) {
    case REQUEST_INITIATE: answer_initiation(shell, job, job_slot, &event.as.answer.answer); break;
    case REQUEST_POLL: answer_poll(shell, job, &event.as.answer.answer); break;
    default: /* a look-up: the consent is as bad as it was */
        event.as.answer.answer.answered = true;
        event.as.answer.answer.reached_socket = true;
        event.as.answer.answer.class_ = CLASS_SUCCESS;
        event.as.answer.answer.look_up = LOOK_UP_RECONNECT;
        break;
    }
    step(shell, &event);
}

static void deliver_token(struct shell *shell, uint32_t provider)
{
    struct event event = {.kind = EVENT_TOKEN};

    event.as.token.provider = provider;
    event.as.token.is_granted = true;
    event.as.token.reached_socket = true;
    event.as.token.lifetime_ms = TOKEN_LIFETIME_MS;
    event.as.token.retry_after_ms = -1;
    step(shell, &event);
}

static void happen(struct shell *shell)
{
    uint32_t id = heap_first_id(&shell->happenings);
    uint32_t providers = shell->config->provider_count;

    heap_remove(&shell->happenings, id);
    if (id < providers) {
        deliver_token(shell, id);
    } else if ((id - providers) % 2 == 0) {
        deliver_answer(shell, (id - providers) / 2);
    } else {
        struct event event = {.kind = EVENT_WEBHOOK};

        event.as.webhook.job_slot = (id - providers) / 2;
        step(shell, &event);
    }
}

/* ---- time ---- */

static int64_t wake_us(const struct shell *shell)
{
    int64_t at_us = INT64_MAX;

    if (shell->wake.utc.ms != UTC_NEVER.ms)
        at_us = (shell->wake.utc.ms - shell->start.ms) * US_PER_MS;
    if (shell->wake.mono.us != MONO_NEVER.us && shell->wake.mono.us - MONO_START_US < at_us)
        at_us = shell->wake.mono.us - MONO_START_US;
    return at_us > shell->now_us ? at_us : shell->now_us;
}

/* What waits now, with everything done that could be done now, waits until `at_us`; looked at once
 * a minute at most. */
static void sample_waits(struct shell *shell, int64_t at_us)
{
    if (at_us < shell->sampled_us + SAMPLE_MS * US_PER_MS)
        return;
    plan_tally_waits(&shell->tally, shell->scheduler, now_of(shell),
                     (at_us - shell->sampled_us) / US_PER_MS);
    shell->sampled_us = at_us;
}

static void history_progress(void *context, int percent)
{
    const struct shell *shell = context;

    if (shell->request->on_progress != NULL)
        shell->request->on_progress(shell->request->context, "history", percent);
}

static void report_progress(const struct shell *shell)
{
    int64_t span_ms = shell->request->until.ms - shell->start.ms;

    if (shell->request->on_progress != NULL && shell->plan->steps % STEPS_PER_REPORT == 0)
        shell->request->on_progress(shell->request->context, "plan",
                                    (int)(shell->now_us / US_PER_MS * 100 / span_ms));
}

static void play(struct shell *shell)
{
    static const struct event time_event = {.kind = EVENT_TIME};
    int64_t until_us = (shell->request->until.ms - shell->start.ms) * US_PER_MS;

    step(shell, &time_event);
    while (!shell->has_failed) {
        int64_t next_us = wake_us(shell);
        int64_t first_us = heap_first_key(&shell->happenings);
        int64_t at_us = next_us < first_us ? next_us : first_us;

        if (at_us >= until_us &&
            (shell->tally.unfinished == 0 || at_us >= until_us + PLAN_TAIL_MS * US_PER_MS))
            break;
        if (at_us > shell->now_us) {
            sample_waits(shell, at_us);
            shell->now_us = at_us;
            shell->stuck_steps = 0;
        }
        if (first_us <= shell->now_us)
            happen(shell);
        else
            step(shell, &time_event);
        report_progress(shell);
    }
}

/* ---- the start ---- */

static void recovered_job(void *context, const struct recovered_job *job, uint32_t job_slot,
                          const struct open_job_texts *texts)
{
    struct shell *shell = context;
    struct plan_job *opened;
    int64_t age_ms = shell->start.ms - job->last_sent.ms;

    (void)texts;
    open_job(shell, job_slot, job->consent);
    if (shell->has_failed || shell->jobs[job_slot].institution == UINT32_MAX)
        return;
    opened = &shell->jobs[job_slot];
    opened->end = (struct history_end){
        .is_accepted = true, .class_ = CLASS_SUCCESS, .outcome = OUTCOME_REFRESHED};
    if (job->last_class != CLASS_ACCEPTED)
        return; /* waits for its next attempt, which has a fate of its own */
    opened->end_us =
        plan_world_remaining_ms(&shell->world, opened->institution, age_ms > 0 ? age_ms : 0) *
        US_PER_MS;
    set_running(shell, opened, true);
}

/* Nothing between the last start and a far `from` is played or made up for. */
static void skip_ahead(struct shell *shell)
{
    for (uint32_t i = 0; i < shell->config->schedule_count; i++)
        scheduler_recover_schedule(shell->scheduler, i,
                                   shell->config->schedule_settings[i].revision, shell->start,
                                   INT64_MIN, 0);
}

static enum result load_state(struct shell *shell, struct state_store *store,
                              struct consent_table *consents, struct history *history,
                              struct fault *fault)
{
    struct plan *plan = shell->plan;
    const struct plan_request *request = shell->request;
    bool is_live = state_lock_is_held(shell->config->state.database, NULL, 0);
    const uint32_t *numbers;
    uint32_t number_max;

    if (state_look_consents(store, shell->config, consents, &numbers, &number_max, fault) !=
            RESULT_OK ||
        population_adopt(&plan->population, consents, numbers, number_max, fault) != RESULT_OK)
        return RESULT_FAULT;
    plan->has_state = true;
    if (!request->ignores_history &&
        state_history_read(store, shell->config, consents, shell->start, history_progress, shell,
                           history, fault) != RESULT_OK)
        return RESULT_FAULT;
    plan->history_jobs = history->jobs;
    plan->history_since = history->since;
    if (plan_world_init(&shell->world, shell->config, consents, history->jobs > 0 ? history : NULL,
                        fault) != RESULT_OK ||
        population_tell(&plan->population, shell->config, shell->scheduler, now_of(shell),
                        &shell->settings, fault) != RESULT_OK ||
        plan_tally_init(&shell->tally, plan, shell->config, &plan->population, fault) !=
            RESULT_OK ||
        state_look_recover(store, shell->config, shell->scheduler, now_of(shell), is_live,
                           recovered_job, shell, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (shell->start.ms > request->now.ms)
        skip_ahead(shell);
    return RESULT_OK;
}

static enum result load_nothing(struct shell *shell, struct consent_table *consents,
                                struct fault *fault)
{
    struct plan *plan = shell->plan;
    uint32_t *numbers = NULL;
    enum result result;

    if (state_look_number(consents, &numbers, fault) != RESULT_OK)
        return RESULT_FAULT;
    result = population_adopt(&plan->population, consents, numbers, consent_table_count(consents),
                              fault);
    free(numbers);
    if (result != RESULT_OK ||
        plan_world_init(&shell->world, shell->config, consents, NULL, fault) != RESULT_OK ||
        population_tell(&plan->population, shell->config, shell->scheduler, now_of(shell),
                        &shell->settings, fault) != RESULT_OK ||
        plan_tally_init(&shell->tally, plan, shell->config, &plan->population, fault) != RESULT_OK)
        return RESULT_FAULT;
    scheduler_recover_done(shell->scheduler, now_of(shell), 1, 1);
    return RESULT_OK;
}

static enum result load(struct shell *shell, struct consent_table *consents,
                        struct history *history, struct fault *fault)
{
    struct state_store *store = NULL;
    enum result result;

    if (state_store_open(shell->config->state.database, STATE_READ_ONLY, &store, fault) !=
        RESULT_OK)
        return fault->code == FAULT_UNAVAILABLE ? load_nothing(shell, consents, fault)
                                                : RESULT_FAULT;
    result = state_look_begin(store, fault);
    if (result == RESULT_OK) {
        result = load_state(shell, store, consents, history, fault);
        state_look_end(store);
    }
    state_store_close(store);
    return result;
}

static void take_open_runs(struct shell *shell)
{
    for (uint32_t i = 0; i < scheduler_run_count(shell->scheduler); i++) {
        struct run_view view;

        scheduler_run_view(shell->scheduler, i, &view);
        plan_tally_recovered(&shell->tally, &view);
    }
}

/* A quarter of an hour, an hour, ...: about a line an hour for a day. */
static int64_t bucket_ms(int64_t span_ms)
{
    static const int64_t lengths_ms[] = {MS_PER_MINUTE,  5 * MS_PER_MINUTE, 15 * MS_PER_MINUTE,
                                         MS_PER_HOUR,    6 * MS_PER_HOUR,   MS_PER_DAY,
                                         7 * MS_PER_DAY, 28 * MS_PER_DAY};
    size_t count = sizeof lengths_ms / sizeof *lengths_ms;
    size_t i = 0;

    while (i + 1 < count && (span_ms + lengths_ms[i] - 1) / lengths_ms[i] > 24)
        i++;
    return lengths_ms[i];
}

static void describe_plan(struct plan *plan, const struct plan_request *request,
                          const struct consent_table *consents)
{
    int64_t span_ms = request->until.ms - request->from.ms;

    plan->from = request->from;
    plan->until = request->until;
    plan->consents = consent_table_count(consents);
    plan->institutions = consent_table_institutions(consents, &plan->institution_count);
    plan->bucket_ms = bucket_ms(span_ms);
    plan->bucket_count = (uint32_t)((span_ms + plan->bucket_ms - 1) / plan->bucket_ms);
    for (uint32_t i = 0; i < plan->bucket_count; i++)
        plan->buckets[i].at = utc_add_ms(request->from, (int64_t)i * plan->bucket_ms);
}

static void release(struct shell *shell)
{
    scheduler_destroy(shell->scheduler);
    free(shell->batch);
    plan_world_deinit(&shell->world);
    plan_tally_deinit(&shell->tally);
    memory_release(shell->happenings.entries);
    memory_release(shell->happenings.positions);
    memory_release(shell->jobs);
    free(shell->leaving);
}

enum result plan_make(const struct config *config, struct consent_table *consents,
                      const struct plan_request *request, struct plan **out, struct fault *fault)
{
    struct shell shell = {.config = config, .request = request, .fault = fault};
    struct history history = {.since = UTC_NONE};
    int64_t lead_ms = request->from.ms - PLAN_LEAD_MS;
    enum result result = RESULT_FAULT;

    shell.start = request->from.ms <= request->now.ms ? request->from
                  : lead_ms > request->now.ms         ? (struct utc_time){lead_ms}
                                                      : request->now;
    shell.plan = calloc(1, sizeof *shell.plan);
    shell.batch = calloc(1, sizeof *shell.batch);
    shell.scheduler = scheduler_create(CORE_SEED);
    if (shell.plan == NULL || shell.batch == NULL || shell.scheduler == NULL ||
        !grow_jobs(&shell, 0)) {
        (void)fault_set(fault, FAULT_TEMPORARY, "out of memory");
        goto out;
    }
    describe_plan(shell.plan, request, consents);
    if (load(&shell, consents, &history, fault) != RESULT_OK)
        goto out;
    take_open_runs(&shell);
    play(&shell);
    if (shell.has_failed || plan_tally_finish(&shell.tally, fault) != RESULT_OK)
        goto out;
    *out = shell.plan;
    shell.plan = NULL;
    result = RESULT_OK;
out:
    if (result != RESULT_OK && (shell.plan == NULL || shell.plan->population.table != consents))
        consent_table_destroy(consents);
    plan_free(shell.plan);
    release(&shell);
    history_deinit(&history);
    return result;
}

void plan_free(struct plan *plan)
{
    if (plan == NULL)
        return;
    population_deinit(&plan->population);
    free(plan->runs);
    free(plan->nodes);
    free(plan);
}
