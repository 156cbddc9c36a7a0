/* SPDX-License-Identifier: MIT
 *
 * night_player.c - plays nights of a small world into a real state database, without waiting.
 *
 *     night_player CONFIG WORLD SEED FROM NIGHTS
 *
 * Layer:  tests. The core and the store are the daemon's; the providers are this file's, and share
 *         nothing with daemon/plan_world.c, which has to guess them from what they leave behind.
 * World:  one line a bank: NAME LIMIT_PER_MINUTE MEDIAN_MS SIGMA_PERMILLE FAIL PARTIAL RECONNECT
 *         RETRY_AFTER_S (shares in permille; LIMIT 0: none). A bank refuses what is beyond its
 *         limit; durations are log-normal, and a little slower or faster each night.
 * Output: one JSON object for each run that ends.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "base/text.h"
#include "daemon/population.h"
#include "state/state_care.h"
#include "state/state_store.h"

#define BANKS_MAX 256
#define JOBS_MAX 65536u
#define RECORDS_MAX 65536u
#define MONO_START_US (INT64_C(1) << 50)
#define CARE_US (MS_PER_HOUR * US_PER_MS)

struct bank {
    char name[64];
    double limit_per_s; /* 0: none */
    double median_ms;
    double sigma;
    uint32_t fail;
    uint32_t partial;
    uint32_t reconnect;
    int64_t retry_after_s;
    char retry_after[16];
    struct evidence refusal;
    double tokens; /* a second's worth may come at once */
    int64_t tokens_us;
};

struct played_job {
    uint32_t bank;
    enum request_kind request;
    enum answer_class class_; /* of the answer, or of the end once accepted */
    enum reason reason;
    bool is_accepted;
    int64_t end_us;
};

struct player {
    struct config *config;
    struct population population;
    struct state_store *store;
    struct scheduler *scheduler;
    struct scheduler_settings settings;
    struct batch *batch;
    struct bank banks[BANKS_MAX];
    uint32_t bank_count;
    uint32_t *bank_of; /* by institution of the table */
    uint64_t seed;
    struct utc_time start;
    int64_t now_us;
    struct wake wake;
    struct heap answers; /* by job slot */
    struct played_job jobs[JOBS_MAX];
    struct record *records;
    uint32_t record_count;
    struct effect leaving[RECORDS_MAX];
    uint32_t leaving_count;
    uint32_t leaving_next;
};

static void check(enum result result, const struct fault *fault)
{
    if (result == RESULT_OK)
        return;
    fprintf(stderr, "night_player: %s\n", fault->text);
    exit(1);
}

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "night_player: %s\n", what);
    exit(1);
}

static struct time_now now_of(const struct player *player)
{
    return (struct time_now){utc_add_ms(player->start, player->now_us / US_PER_MS),
                             {MONO_START_US + player->now_us}};
}

/* ---- the banks ---- */

/* Uniform in [0, 1), from anything that names the draw. */
static double uniform(const struct player *player, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t name[4] = {player->seed, a, b, c};

    return (double)(hash_bytes(name, sizeof name, 77) >> 11) / (double)(UINT64_C(1) << 53);
}

static double normal(const struct player *player, uint64_t a, uint64_t b, uint64_t c)
{
    double u = 1.0 - uniform(player, a, b, 2 * c);

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * uniform(player, a, b, 2 * c + 1));
}

static bool takes_one_more(struct player *player, struct bank *bank)
{
    if (bank->limit_per_s <= 0)
        return true;
    bank->tokens += bank->limit_per_s * (double)(player->now_us - bank->tokens_us) / 1e6;
    bank->tokens_us = player->now_us;
    if (bank->tokens > fmax(1.0, bank->limit_per_s))
        bank->tokens = fmax(1.0, bank->limit_per_s);
    if (bank->tokens < 1.0)
        return false;
    bank->tokens -= 1.0;
    return true;
}

static void begin_job(struct player *player, const struct effect *effect)
{
    struct played_job *job = &player->jobs[effect->job_slot];
    struct bank *bank = &player->banks[job->bank];
    uint64_t night = (uint64_t)((now_of(player).utc.ms + MS_PER_DAY / 2) / MS_PER_DAY);
    uint64_t draw = effect->job << 8 | effect->attempt;
    double slow = exp(0.02 * normal(player, job->bank, night, 1));
    double verdict = uniform(player, draw, 2, 0) * 1000;
    double duration_ms = bank->median_ms * slow * exp(bank->sigma * normal(player, draw, 1, 3));

    job->is_accepted = takes_one_more(player, bank);
    job->class_ = CLASS_PUSHBACK;
    job->reason = REASON_PUSHBACK;
    if (job->is_accepted) {
        job->reason = REASON_NONE;
        job->end_us = player->now_us + (int64_t)(duration_ms * 1000);
        if (verdict < bank->fail) {
            job->class_ = CLASS_RETRY_LATER;
            job->reason = REASON_JOB_FAILED;
        } else if (verdict < bank->fail + bank->partial) {
            job->class_ = CLASS_PARTIAL;
        } else if (verdict < bank->fail + bank->partial + bank->reconnect) {
            job->class_ = CLASS_RECONNECT_REQUIRED;
        } else {
            job->class_ = CLASS_SUCCESS;
        }
    }
    heap_set(&player->answers, effect->job_slot,
             player->now_us + (int64_t)(1e5 + 4e5 * uniform(player, draw, 3, 0)));
}

static struct answer answer_of(const struct player *player, uint32_t job_slot)
{
    const struct played_job *job = &player->jobs[job_slot];
    struct answer answer = ANSWER_NONE;

    answer.reached_socket = true;
    answer.answered = true;
    if (job->request == REQUEST_INITIATE) {
        answer.class_ = job->is_accepted ? CLASS_ACCEPTED : job->class_;
        answer.reason = job->is_accepted ? REASON_NONE : job->reason;
        answer.reference_hash =
            job->is_accepted ? (uint64_t)player->now_us << 20 | job_slot << 1 | 1 : 0;
    } else if (job->request == REQUEST_POLL) {
        answer.is_about_job = true;
        answer.class_ = player->now_us < job->end_us ? CLASS_RUNNING : job->class_;
        answer.reason = player->now_us < job->end_us ? REASON_NONE : job->reason;
    } else {
        answer.class_ = CLASS_SUCCESS;
        answer.look_up = LOOK_UP_RECONNECT;
    }
    return answer;
}

/* ---- the shell ---- */

static void commit(struct player *player)
{
    struct fault fault;

    check(state_store_commit_records(player->store, player->records, player->record_count, &fault),
          &fault);
    player->record_count = 0;
}

static void tell_run(const struct player *player, const struct record *record)
{
    char at[UTC_TEXT_SIZE];

    printf("{\"schedule\":\"%s\",\"finished_at\":\"%s\"",
           player->config->schedules[record->as.run_close.schedule].name, utc_text(record->at, at));
    for (int i = OUTCOME_REFRESHED; i < OUTCOME_COUNT; i++)
        printf(",\"%s\":%u", outcome_text((enum outcome)i), record->as.run_close.counts[i]);
    puts("}");
}

static void take_record(struct player *player, const struct record *record)
{
    if (record->kind == RECORD_RUN_CLOSE) {
        tell_run(player, record);
    } else if (record->kind == RECORD_JOB_OPEN) {
        struct consent_settings settings;
        uint32_t row = population_row(&player->population, record->as.job_open.consent);

        require(record->as.job_open.job_slot < JOBS_MAX && row != UINT32_MAX, "too many jobs");
        consent_table_settings(player->population.table, row, &settings);
        player->jobs[record->as.job_open.job_slot] =
            (struct played_job){.bank = player->bank_of[settings.institution]};
    } else if (record->kind == RECORD_JOB_CLOSE) {
        heap_remove(&player->answers, record->as.job_close.job_slot);
    }
}

static void step_once(struct player *player, const struct event *event)
{
    struct batch *batch = player->batch;
    struct fault fault;

    player->wake = scheduler_step(player->scheduler, now_of(player), event, batch);
    if (player->record_count + batch->record_count > RECORDS_MAX)
        commit(player);
    memcpy(player->records + player->record_count, batch->records,
           batch->record_count * sizeof *batch->records);
    player->record_count += batch->record_count;
    for (uint32_t i = 0; i < batch->record_count; i++)
        take_record(player, &batch->records[i]);
    for (uint32_t i = 0; i < batch->effect_count; i++) {
        const struct effect *effect = &batch->effects[i];

        require(effect->request != REQUEST_TOKEN, "a world without tokens, please");
        if (effect->job_slot != NO_JOB)
            player->jobs[effect->job_slot].request = effect->request;
        if (effect->request == REQUEST_INITIATE)
            begin_job(player, effect);
        else if (effect->job_slot != NO_JOB)
            heap_set(&player->answers, effect->job_slot, player->now_us + 200000);
        require(player->leaving_count < RECORDS_MAX, "too many requests at once");
        player->leaving[player->leaving_count++] = *effect;
    }
    if (batch->needs_reserve)
        check(scheduler_reserve(player->scheduler, player->population.number_max, &fault), &fault);
}

/* A held consent was looked up: nothing is new. */
static void answer_look_up(struct player *player, uint32_t consent)
{
    struct event event = {.kind = EVENT_ANSWER};

    event.as.answer.job_slot = NO_JOB;
    event.as.answer.consent = consent;
    event.as.answer.request = REQUEST_LOOK_UP;
    event.as.answer.answer = ANSWER_NONE;
    event.as.answer.answer.answered = true;
    event.as.answer.answer.reached_socket = true;
    event.as.answer.answer.class_ = CLASS_SUCCESS;
    event.as.answer.answer.look_up = LOOK_UP_RECONNECT;
    step_once(player, &event);
}

static void step(struct player *player, const struct event *event)
{
    static const struct event time_event = {.kind = EVENT_TIME};

    player->leaving_count = player->leaving_next = 0;
    step_once(player, event);
    for (;;) {
        if (player->leaving_next < player->leaving_count) {
            const struct effect *effect = &player->leaving[player->leaving_next++];
            struct event sent = {.kind = EVENT_SENT};

            sent.as.sent.job_slot = effect->job_slot;
            sent.as.sent.provider = effect->provider;
            sent.as.sent.request = effect->request;
            sent.as.sent.at = now_of(player).mono;
            sent.as.sent.at_utc = now_of(player).utc;
            sent.as.sent.consent = effect->consent;
            step_once(player, &sent);
            if (effect->job_slot == NO_JOB)
                answer_look_up(player, effect->consent);
        } else if (player->batch->is_full || player->batch->needs_reserve) {
            step_once(player, &time_event);
        } else {
            return;
        }
    }
}

static void care(struct player *player)
{
    bool is_complete = false;
    bool more = false;
    struct fault fault;

    commit(player);
    while (!is_complete)
        check(state_store_fold(player->store, player->scheduler, 10000, &is_complete, &fault),
              &fault);
    do
        check(state_store_care(player->store, now_of(player).utc, &more, &fault), &fault);
    while (more);
}

static int64_t wake_us(const struct player *player)
{
    int64_t at_us = INT64_MAX;

    if (player->wake.utc.ms != UTC_NEVER.ms)
        at_us = (player->wake.utc.ms - player->start.ms) * US_PER_MS;
    if (player->wake.mono.us != MONO_NEVER.us && player->wake.mono.us - MONO_START_US < at_us)
        at_us = player->wake.mono.us - MONO_START_US;
    return at_us > player->now_us ? at_us : player->now_us;
}

static void play(struct player *player, int64_t until_us)
{
    static const struct event time_event = {.kind = EVENT_TIME};
    int64_t care_us = CARE_US;

    step(player, &time_event);
    for (;;) {
        int64_t at_us = wake_us(player);
        bool is_answer = heap_first_key(&player->answers) <= at_us;

        if (is_answer)
            at_us = heap_first_key(&player->answers);
        if (care_us < at_us) {
            at_us = care_us;
            care_us += CARE_US;
            player->now_us = at_us > player->now_us ? at_us : player->now_us;
            care(player);
            continue;
        }
        if (at_us >= until_us)
            break;
        player->now_us = at_us > player->now_us ? at_us : player->now_us;
        if (is_answer) {
            uint32_t job_slot = heap_first_id(&player->answers);
            struct event event = {.kind = EVENT_ANSWER};

            heap_remove(&player->answers, job_slot);
            event.as.answer.job_slot = job_slot;
            event.as.answer.request = player->jobs[job_slot].request;
            event.as.answer.answer = answer_of(player, job_slot);
            if (event.as.answer.answer.class_ == CLASS_PUSHBACK) {
                event.as.answer.answer.retry_after_ms =
                    player->banks[player->jobs[job_slot].bank].retry_after_s * MS_PER_SECOND;
                event.as.answer.evidence = &player->banks[player->jobs[job_slot].bank].refusal;
            }
            step(player, &event);
        } else {
            step(player, &time_event);
        }
    }
    player->now_us = until_us;
    care(player);
}

/* ---- the start ---- */

static void read_world(struct player *player, const char *path)
{
    FILE *stream = fopen(path, "r");
    struct bank bank = {0};
    double sigma_permille;
    double limit_per_minute;

    require(stream != NULL, "the world cannot be read");
    while (fscanf(stream, "%63s %lf %lf %lf %u %u %u %" SCNd64, bank.name, &limit_per_minute,
                  &bank.median_ms, &sigma_permille, &bank.fail, &bank.partial, &bank.reconnect,
                  &bank.retry_after_s) == 8) {
        require(player->bank_count < BANKS_MAX, "too many banks");
        bank.limit_per_s = limit_per_minute / 60;
        bank.sigma = sigma_permille / 1000;
        player->banks[player->bank_count++] = bank;
    }
    for (uint32_t i = 0; i < player->bank_count; i++) {
        struct bank *told = &player->banks[i];

        (void)snprintf(told->retry_after, sizeof told->retry_after, "%" PRId64,
                       told->retry_after_s);
        told->refusal = (struct evidence){.http_status = 429, .retry_after_raw = told->retry_after};
    }
    require(feof(stream) && player->bank_count > 0, "the world makes no sense");
    (void)fclose(stream);
}

static void find_banks(struct player *player)
{
    uint32_t count;
    const struct institution_settings *institutions =
        consent_table_institutions(player->population.table, &count);

    player->bank_of = calloc((size_t)count + 1, sizeof *player->bank_of);
    require(player->bank_of != NULL, "out of memory");
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < player->bank_count; k++)
            if (strcmp(player->banks[k].name, institutions[i].name) == 0)
                player->bank_of[i] = k;
}

static void load(struct player *player, const char *path)
{
    struct diagnostics diagnostics;
    struct consent_table *consents = NULL;
    const uint32_t *numbers;
    uint32_t number_max;
    struct time_now now = now_of(player);
    struct fault fault;

    diagnostics_init(&diagnostics, 100);
    player->config = config_load(path, NULL, &consents, &diagnostics);
    diagnostics_print(&diagnostics, stderr);
    require(player->config != NULL, "the configuration is wrong");
    check(
        state_store_open(player->config->state.database, STATE_READ_WRITE, &player->store, &fault),
        &fault);
    check(state_store_set_config(player->store, player->config, now.utc, &fault), &fault);
    check(state_store_sync_consents(player->store, player->config, consents, now.utc, &numbers,
                                    &number_max, NULL, NULL, &fault),
          &fault);
    check(population_adopt(&player->population, consents, numbers, number_max, &fault), &fault);
    check(population_tell(&player->population, player->config, player->scheduler, now,
                          &player->settings, &fault),
          &fault);
    check(state_store_recover(player->store, player->config, player->scheduler, now, NULL, NULL,
                              &fault),
          &fault);
    find_banks(player);
    diagnostics_deinit(&diagnostics);
}

int main(int argc, char **argv)
{
    struct player *player = calloc(1, sizeof *player);

    require(argc == 6, "usage: night_player CONFIG WORLD SEED FROM NIGHTS");
    require(player != NULL, "out of memory");
    player->batch = calloc(1, sizeof *player->batch);
    player->records = calloc(RECORDS_MAX, sizeof *player->records);
    player->scheduler = scheduler_create(strtoull(argv[3], NULL, 10));
    require(player->batch != NULL && player->records != NULL && player->scheduler != NULL,
            "out of memory");
    heap_init(&player->answers, calloc(JOBS_MAX, sizeof(struct heap_entry)),
              calloc(JOBS_MAX, sizeof(uint32_t)), JOBS_MAX);
    player->seed = strtoull(argv[3], NULL, 10);
    require(utc_parse(argv[4], strlen(argv[4]), &player->start), "FROM is an instant");
    read_world(player, argv[2]);
    load(player, argv[1]);
    play(player, strtoll(argv[5], NULL, 10) * MS_PER_DAY * US_PER_MS);
    scheduler_destroy(player->scheduler);
    state_store_close(player->store);
    population_deinit(&player->population);
    config_release(player->config);
    free(player->answers.entries);
    free(player->answers.positions);
    free(player->bank_of);
    free(player->records);
    free(player->batch);
    free(player);
    return 0;
}
