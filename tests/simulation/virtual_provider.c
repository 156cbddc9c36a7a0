/* SPDX-License-Identifier: MIT
 * virtual_provider.c - see virtual_provider.h. */
#include "tests/simulation/virtual_provider.h"

#include <stdlib.h>

#include "base/text.h"
#include "tests/simulation/simulation.h"

#define TIMEOUT_US (30 * US_PER_SECOND)

/* ---- character ---- */

static void make_provider(struct simulation *s, uint32_t index)
{
    struct virtual_provider *provider = &s->providers.of[index];
    const struct provider_settings *settings = &s->world.providers[index].settings;
    struct random *random = &s->random;

    *provider = (struct virtual_provider){
        .latency_us = dice_log(random, 20000, 6),
        .job_us = US_PER_SECOND * dice_log(random, 2, 8),
        .dedupe_us = settings->dedupe_window_ms > 0
                         ? settings->dedupe_window_ms * US_PER_MS + 5 * 60 * US_PER_SECOND
                         : 0,
        .noise = (uint32_t)dice_log(random, 1, 6),
        .fails = (uint32_t)dice_log(random, 5, 6),
        .hangs = (uint32_t)dice_log(random, 1, 5),
        .reconnect = (uint32_t)dice_log(random, 1, 5),
        .tells_start = dice_one_in(random, 2),
        .tells_wait = dice_one_in(random, 2),
    };
    if (dice_one_in(random, 2))
        provider->cooldown_us = dice_below(random, 2 * MS_PER_HOUR) * US_PER_MS;
}

void virtual_provider_init(struct simulation *s)
{
    for (uint32_t i = 0; i < s->world.provider_count; i++) {
        make_provider(s, i);
        virtual_provider_weather(s, i);
    }
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        s->providers.banks[i] = (struct virtual_bank){
            .spacing_us = dice_one_in(&s->random, 2) ? 0 : dice_log(&s->random, 200000, 7),
            .hangs = dice_one_in(&s->random, 25),
        };
    for (uint32_t i = 0; i <= WORLD_CONSENTS; i++)
        s->providers.customers[i] = (struct customer){.task = WORLD_NONE, .accepted_us = INT64_MIN};
}

void virtual_provider_deinit(struct simulation *s)
{
    free(s->providers.tasks);
    s->providers = (struct virtual_providers){0};
}

void virtual_provider_weather(struct simulation *s, uint32_t index)
{
    struct virtual_provider *provider = &s->providers.of[index];
    struct random *random = &s->random;
    int64_t lasts_us;

    if (s->is_calm)
        return;
    if (provider->weather == WEATHER_FAIR && s->clocks.true_us > 0) {
        provider->weather = (enum weather)dice_between(random, 1, WEATHER_COUNT - 1);
        lasts_us = dice_log(random, 60, 8) * US_PER_SECOND;
    } else {
        provider->weather = WEATHER_FAIR;
        lasts_us = dice_log(random, 600, 6) * US_PER_SECOND;
    }
    timeline_add(&s->timeline, s->clocks.true_us + lasts_us, MOMENT_WEATHER, index, 0);
}

/* ---- tasks ---- */

struct task *virtual_provider_task(struct simulation *s, uint32_t consent, uint64_t hash)
{
    for (uint32_t i = s->providers.customers[consent].task; i != WORLD_NONE;
         i = s->providers.tasks[i].older)
        if (s->providers.tasks[i].hash == hash)
            return &s->providers.tasks[i];
    return NULL;
}

static void plan_end(struct simulation *s, struct task *task,
                     const struct virtual_provider *provider, struct virtual_bank *bank)
{
    struct random *random = &s->random;
    int64_t now_us = s->clocks.true_us;

    task->ends_us = now_us + provider->job_us / 2 + dice_below(random, provider->job_us);
    task->end = dice_permille(random, 30) ? CLASS_PARTIAL : CLASS_SUCCESS;
    if (s->is_calm)
        return;
    if (provider->weather == WEATHER_SLOW)
        task->ends_us += 20 * provider->job_us;
    if (bank->spacing_us > 0) { /* more than the bank bears: says so a little later */
        if (bank->next_us > now_us) {
            task->ends_us = now_us + dice_between(random, 5, 30) * US_PER_SECOND;
            task->end = CLASS_RETRY_LATER;
            task->reason = REASON_INSTITUTION_ERROR;
            tally_count(&s->tally, TALLY_BANK_REFUSALS);
            return;
        }
        bank->next_us = now_us + bank->spacing_us;
    }
    if (dice_permille(random, provider->fails)) {
        task->end = dice_one_in(random, 4) ? CLASS_COOLDOWN : CLASS_RETRY_LATER;
        task->reason = REASON_JOB_FAILED;
    } else if (dice_permille(random, provider->reconnect)) {
        task->end = CLASS_RECONNECT_REQUIRED;
    }
    if (bank->hangs || dice_permille(random, provider->hangs)) {
        task->ends_us = INT64_MAX;
        tally_count(&s->tally, TALLY_HANGING_JOBS);
    } else if (dice_permille(random, provider->hangs)) {
        task->is_lost = true;
        tally_count(&s->tally, TALLY_LOST_JOBS);
    }
}

static void plan_webhook(struct simulation *s, uint32_t index)
{
    const struct task *task = &s->providers.tasks[index];
    struct random *random = &s->random;
    int64_t at_us = task->ends_us + dice_below(random, 5 * US_PER_SECOND);

    if (task->ends_us == INT64_MAX || task->job == 0 || (!s->is_calm && dice_one_in(random, 8)))
        return;
    if (!s->is_calm && dice_one_in(random, 20)) {
        at_us += dice_below(random, 2 * MS_PER_HOUR) * US_PER_MS;
        tally_count(&s->tally, TALLY_WEBHOOKS_LATE);
    }
    timeline_add(&s->timeline, at_us, MOMENT_WEBHOOK, index, 0);
    if (!s->is_calm && dice_one_in(random, 20)) {
        timeline_add(&s->timeline, at_us + dice_below(random, 60 * US_PER_SECOND), MOMENT_WEBHOOK,
                     index, 0);
        tally_count(&s->tally, TALLY_WEBHOOKS_DOUBLED);
    }
}

static uint32_t begin_task(struct simulation *s, uint32_t consent, uint64_t job, uint16_t attempt)
{
    struct virtual_providers *all = &s->providers;
    uint32_t provider = s->world.institutions[s->world.consents[consent].institution].provider;
    uint32_t index = all->task_count++;
    struct task *task;

    if (all->task_count > all->task_capacity) {
        all->task_capacity = 2 * all->task_capacity + 256;
        all->tasks = realloc(all->tasks, all->task_capacity * sizeof *all->tasks);
        REQUIRE(all->tasks != NULL);
    }
    task = &all->tasks[index];
    *task = (struct task){
        .hash = hash_bytes(&index, sizeof index, s->seed),
        .consent = consent,
        .older = all->customers[consent].task,
        .job = job,
        .attempt = attempt,
        .started_us = s->clocks.true_us,
    };
    plan_end(s, task, &all->of[provider], &all->banks[s->world.consents[consent].institution]);
    all->customers[consent].task = index;
    all->customers[consent].accepted_us = s->clocks.true_us;
    if (s->world.providers[provider].settings.completion.webhook)
        plan_webhook(s, index);
    return index;
}

void virtual_provider_attend(struct simulation *s, uint32_t consent)
{
    if (s->providers.customers[consent].state != CUSTOMER_ACTIVE)
        return;
    tally_count(&s->tally, TALLY_ATTENDED);
    (void)begin_task(s, consent, 0, 0);
}

void virtual_provider_calm(struct simulation *s)
{
    for (uint32_t i = 0; i < s->world.provider_count; i++)
        s->providers.of[i].weather = WEATHER_FAIR;
    for (uint32_t i = 0; i < s->world.institution_count; i++)
        s->providers.banks[i] = (struct virtual_bank){0};
}

/* ---- answers ---- */

static struct answer plain_answer(enum answer_class class_)
{
    struct answer answer = ANSWER_NONE;

    answer.class_ = class_;
    answer.reached_socket = true;
    answer.answered = class_ != CLASS_TRANSPORT;
    return answer;
}

static int64_t some_retry_after_ms(struct random *random)
{
    switch (dice_below(random, 5)) {
    case 0: return 0;
    case 1: return dice_below(random, 10 * MS_PER_SECOND);
    case 2: return dice_below(random, 10 * MS_PER_MINUTE);
    case 3: return dice_one_in(random, 20) ? MS_PER_DAY : MS_PER_MINUTE;
    default: return -1;
    }
}

/* What the provider's wall clock showed then. Both machines keep their clocks by the same servers:
 * they agree, but for a second. */
static struct utc_time told_time(struct simulation *s, int64_t true_us)
{
    return utc_add_ms(simulation_now(s).utc, (true_us - s->clocks.true_us) / US_PER_MS +
                                                 dice_between(&s->random, -900, 900));
}

static void refuse_pushback(struct simulation *s, struct answer *answer)
{
    *answer = plain_answer(CLASS_PUSHBACK);
    answer->retry_after_ms = some_retry_after_ms(&s->random);
    tally_count(&s->tally, TALLY_PUSHBACKS);
}

static void refuse_error(struct simulation *s, struct answer *answer)
{
    *answer = plain_answer(CLASS_RETRY_LATER);
    answer->reason = REASON_PROVIDER_ERROR;
    if (dice_one_in(&s->random, 4))
        answer->retry_after_ms = some_retry_after_ms(&s->random);
    tally_count(&s->tally, TALLY_SERVER_ERRORS);
}

static void refuse_maintenance(struct simulation *s, struct answer *answer)
{
    *answer = plain_answer(CLASS_RETRY_LATER);
    answer->reason = REASON_MAINTENANCE;
    tally_count(&s->tally, TALLY_MAINTENANCES);
}

static void refuse_credentials(struct simulation *s, struct answer *answer)
{
    *answer = plain_answer(CLASS_CREDENTIALS);
    tally_count(&s->tally, TALLY_CREDENTIAL_REFUSALS);
}

static void refuse_nonsense(struct simulation *s, struct answer *answer)
{
    static const enum answer_class classes[] = {CLASS_BAD_ANSWER, CLASS_REJECTED,
                                                CLASS_CONFIG_ERROR, CLASS_NONE};

    *answer = plain_answer(classes[dice_below(&s->random, 4)]);
    tally_count(&s->tally, answer->class_ == CLASS_BAD_ANSWER || answer->class_ == CLASS_NONE
                               ? TALLY_BAD_ANSWERS
                               : TALLY_REJECTIONS);
}

/* What the mood makes of a request before anybody looks at it. False: it is looked at. */
static bool moody_answer(struct simulation *s, const struct virtual_provider *provider,
                         struct answer *answer)
{
    struct random *random = &s->random;
    enum weather weather = provider->weather;

    if (s->is_calm)
        return false;
    if (weather == WEATHER_FAIR || weather == WEATHER_LINE || weather == WEATHER_SLOW) {
        if (!dice_permille(random, provider->noise))
            return false;
        weather = (enum weather)dice_below(random, WEATHER_COUNT);
    } else if (dice_one_in(random, 4)) {
        return false;
    }
    switch (weather) {
    case WEATHER_ERRORS: refuse_error(s, answer); return true;
    case WEATHER_PUSHBACK: refuse_pushback(s, answer); return true;
    case WEATHER_MAINTENANCE: refuse_maintenance(s, answer); return true;
    case WEATHER_CREDENTIALS: refuse_credentials(s, answer); return true;
    case WEATHER_FAIR: refuse_nonsense(s, answer); return true;
    default: return false;
    }
}

static bool has_good_token(const struct simulation *s, const struct sim_request *request)
{
    const struct virtual_provider *provider = &s->providers.of[request->provider];

    return !s->world.providers[request->provider].settings.needs_token ||
           (request->token == provider->token && s->clocks.true_us < provider->token_until_us);
}

static bool customer_answer(struct simulation *s, uint32_t consent, struct answer *answer)
{
    switch (s->providers.customers[consent].state) {
    case CUSTOMER_ACTIVE: return false;
    case CUSTOMER_REVOKED:
    case CUSTOMER_SUSPENDED:
        *answer = plain_answer(CLASS_RECONNECT_REQUIRED);
        answer->wants_look_up = dice_one_in(&s->random, 2);
        return true;
    case CUSTOMER_NOT_READY: *answer = plain_answer(CLASS_NOT_READY); return true;
    }
    return false;
}

static void accept_task(struct simulation *s, uint32_t index, struct answer *answer)
{
    const struct task *task = &s->providers.tasks[index];
    uint32_t provider =
        s->world.institutions[s->world.consents[task->consent].institution].provider;

    *answer = plain_answer(CLASS_ACCEPTED);
    answer->reference_hash = task->hash;
    if (s->providers.of[provider].tells_start)
        answer->job_started = told_time(s, task->started_us);
    if (dice_one_in(&s->random, 10))
        answer->poll_hint_ms = dice_below(&s->random, 20 * MS_PER_MINUTE);
    if (!s->is_calm && dice_one_in(&s->random, 60)) {
        answer->reference_hash = 0; /* accepted, and not a word of what */
        tally_count(&s->tally, TALLY_BAD_ANSWERS);
    } else if (!s->is_calm && dice_one_in(&s->random, 60)) {
        *answer = plain_answer(CLASS_BAD_ANSWER); /* it began all the same */
        tally_count(&s->tally, TALLY_BAD_ANSWERS);
    }
    if (!s->is_calm && dice_one_in(&s->random, 100))
        answer->expires =
            utc_add_ms(told_time(s, s->clocks.true_us), dice_below(&s->random, 60 * MS_PER_HOUR));
}

static void answer_initiate(struct simulation *s, const struct sim_request *request,
                            struct answer *answer)
{
    const struct virtual_provider *provider = &s->providers.of[request->provider];
    const struct customer *customer = &s->providers.customers[request->consent];
    const struct task *task =
        customer->task == WORLD_NONE ? NULL : &s->providers.tasks[customer->task];
    bool is_live = task != NULL && s->clocks.true_us < task->ends_us;
    bool gives_back =
        s->world.providers[request->provider].settings.in_doubt == IN_DOUBT_REINITIATE;

    if (customer_answer(s, request->consent, answer))
        return;
    if (task != NULL && gives_back &&
        (s->clocks.true_us < task->started_us + provider->dedupe_us ||
         (is_live && s->clocks.true_us < task->started_us + MS_PER_HOUR * US_PER_MS))) {
        accept_task(s, customer->task, answer);
        return;
    }
    if (customer->accepted_us != INT64_MIN && !s->is_calm &&
        ((is_live && s->clocks.true_us < task->started_us + MS_PER_HOUR * US_PER_MS) ||
         s->clocks.true_us < customer->accepted_us + provider->cooldown_us)) {
        *answer = plain_answer(CLASS_COOLDOWN);
        if (provider->tells_wait)
            answer->not_before = utc_add_ms(told_time(s, customer->accepted_us),
                                            provider->cooldown_us / US_PER_MS + 1);
        tally_count(&s->tally, TALLY_COOLDOWN_REFUSALS);
        return;
    }
    judge_accepted(s, request);
    accept_task(s, begin_task(s, request->consent, request->job, request->attempt), answer);
}

static void answer_poll(struct simulation *s, const struct sim_request *request,
                        struct answer *answer)
{
    struct task *task = virtual_provider_task(s, request->consent, request->reference);
    uint32_t provider = request->provider;

    if (task == NULL || (task->is_lost && !s->is_calm)) {
        *answer = plain_answer(CLASS_LOST);
        return;
    }
    if (s->clocks.true_us < task->ends_us) {
        *answer = plain_answer(CLASS_RUNNING);
        if (!s->is_calm && dice_one_in(&s->random, 50))
            tally_count(&s->tally, TALLY_UNKNOWN_WORDS); /* the classifier says running too */
        if (dice_one_in(&s->random, 10))
            answer->poll_hint_ms = dice_below(&s->random, 20 * MS_PER_MINUTE);
    } else {
        *answer = plain_answer(task->end);
        answer->reason = task->reason;
        answer->is_about_job = true;
        answer->wants_look_up = dice_one_in(&s->random, 2);
        answer->has_new_data = dice_one_in(&s->random, 2) ? TRI_TRUE : TRI_FALSE;
        if (task->end == CLASS_COOLDOWN && dice_one_in(&s->random, 2))
            answer->not_before = utc_add_ms(told_time(s, s->clocks.true_us),
                                            dice_below(&s->random, 2 * MS_PER_HOUR));
        task->was_told = true;
    }
    answer->reference_hash = task->hash;
    if (s->providers.of[provider].tells_start)
        answer->job_started = told_time(s, task->started_us);
}

static void answer_look_up(struct simulation *s, uint32_t consent, struct answer *answer)
{
    static const enum look_up_verdict verdicts[] = {
        [CUSTOMER_ACTIVE] = LOOK_UP_ACTIVE,
        [CUSTOMER_REVOKED] = LOOK_UP_RECONNECT,
        [CUSTOMER_SUSPENDED] = LOOK_UP_SUSPENDED,
        [CUSTOMER_NOT_READY] = LOOK_UP_NOT_READY,
    };

    *answer = plain_answer(CLASS_SUCCESS);
    answer->look_up = verdicts[s->providers.customers[consent].state];
    if (!s->is_calm && dice_one_in(&s->random, 10))
        answer->look_up = LOOK_UP_NONE;
}

static void answer_token(struct simulation *s, struct sim_request *request)
{
    struct virtual_provider *provider = &s->providers.of[request->provider];
    bool is_refused = !s->is_calm && (provider->weather == WEATHER_CREDENTIALS ||
                                      dice_permille(&s->random, provider->noise));

    request->answer = plain_answer(is_refused ? CLASS_CREDENTIALS : CLASS_SUCCESS);
    request->lifetime_ms = MS_PER_MINUTE * dice_log(&s->random, 2, 5);
    if (is_refused) {
        request->answer.retry_after_ms = some_retry_after_ms(&s->random);
        tally_count(&s->tally, TALLY_TOKEN_REFUSALS);
        return;
    }
    provider->token++;
    provider->token_until_us = s->clocks.true_us + request->lifetime_ms * US_PER_MS * 101 / 100;
    if (!s->is_calm && dice_one_in(&s->random, 6)) /* revoked before its time */
        provider->token_until_us =
            s->clocks.true_us + dice_below(&s->random, request->lifetime_ms) * US_PER_MS;
    request->token = provider->token;
}

int64_t virtual_provider_arrive(struct simulation *s, struct sim_request *request)
{
    struct virtual_provider *provider = &s->providers.of[request->provider];
    struct answer *answer = &request->answer;
    int64_t latency_us = provider->latency_us + dice_below(&s->random, provider->latency_us);
    bool is_line_bad = !s->is_calm && (provider->weather == WEATHER_LINE
                                           ? dice_one_in(&s->random, 2)
                                           : dice_permille(&s->random, provider->noise));
    bool is_lost_early = is_line_bad && dice_one_in(&s->random, 2);

    if (provider->weather == WEATHER_SLOW && !s->is_calm)
        latency_us = 10 * latency_us > TIMEOUT_US / 2 ? TIMEOUT_US / 2 : 10 * latency_us;
    if (!is_lost_early) {
        if (request->kind == REQUEST_TOKEN)
            answer_token(s, request);
        else if (moody_answer(s, provider, answer))
            ;
        else if (!has_good_token(s, request))
            refuse_credentials(s, answer);
        else if (request->kind == REQUEST_INITIATE)
            answer_initiate(s, request, answer);
        else if (request->kind == REQUEST_POLL)
            answer_poll(s, request, answer);
        else
            answer_look_up(s, request->consent, answer);
    }
    if (is_line_bad) {
        tally_count(&s->tally, is_lost_early ? TALLY_LOST_REQUESTS : TALLY_LOST_ANSWERS);
        *answer = plain_answer(CLASS_TRANSPORT);
        latency_us = dice_one_in(&s->random, 2) ? TIMEOUT_US : latency_us;
        request->token = 0;
        request->lifetime_ms = 0;
    }
    return s->clocks.true_us + latency_us;
}
