/* SPDX-License-Identifier: MIT
 * virtual_shell_request.c - see virtual_shell_request.h. */
#include "tests/simulation/virtual_shell_request.h"

#include <stdlib.h>
#include <string.h>

#include "tests/simulation/simulation.h"

static uint32_t request_create(struct virtual_shell *shell)
{
    uint32_t place = 0;

    while (place < shell->request_capacity && shell->requests[place].in_use)
        place++;
    if (place == shell->request_capacity) {
        uint32_t capacity = 2 * shell->request_capacity + 32;

        shell->requests = realloc(shell->requests, capacity * sizeof *shell->requests);
        REQUIRE(shell->requests != NULL);
        memset(shell->requests + place, 0, (capacity - place) * sizeof *shell->requests);
        shell->request_capacity = capacity;
    }
    return place;
}

void virtual_shell_drop_requests(struct simulation *s)
{
    for (uint32_t i = 0; i < s->shell.request_capacity; i++)
        s->shell.requests[i].is_dead = true;
    memset(s->shell.out, 0, sizeof s->shell.out);
}

/* Not sent, because of us or because nobody listens there. */
static void fail_unsent(struct simulation *s, uint32_t index)
{
    struct sim_request *request = &s->shell.requests[index];

    request->answer = ANSWER_NONE;
    request->answer.class_ = dice_one_in(&s->random, 10) ? CLASS_CONFIG_ERROR : CLASS_TRANSPORT;
    request->answer.reason =
        request->answer.class_ == CLASS_TRANSPORT ? REASON_TRANSPORT : REASON_CONFIGURATION;
    request->token = 0;
    tally_count(&s->tally, TALLY_NEVER_SENT);
    timeline_add(&s->timeline,
                 s->clocks.true_us +
                     (dice_one_in(&s->random, 2) ? 0 : dice_below(&s->random, 10 * US_PER_SECOND)),
                 MOMENT_ANSWER, index, s->shell.life);
}

static int64_t handover_delay_us(struct simulation *s)
{
    if (s->is_calm || !dice_one_in(&s->random, 40))
        return dice_below(&s->random, 30000);
    tally_count(&s->tally, TALLY_LATE_HANDOVERS);
    return dice_below(&s->random, 5 * US_PER_SECOND);
}

static void count_request(struct simulation *s, const struct effect *effect)
{
    static const enum tally_kind kinds[] = {[REQUEST_INITIATE] = TALLY_ATTEMPTS,
                                            [REQUEST_POLL] = TALLY_POLLS,
                                            [REQUEST_LOOK_UP] = TALLY_LOOK_UPS,
                                            [REQUEST_TOKEN] = TALLY_TOKENS};

    tally_count(&s->tally, kinds[effect->request]);
}

static uint32_t send_request(struct simulation *s, const struct effect *effect)
{
    struct virtual_shell *shell = &s->shell;
    uint32_t index = request_create(shell);
    struct sim_request *request = &shell->requests[index];

    *request = (struct sim_request){
        .in_use = true,
        .kind = effect->request,
        .provider = virtual_shell_snapshot(shell)->provider_of[effect->provider],
        .job_slot = effect->job_slot,
        .job = effect->job,
        .consent = effect->consent,
        .attempt = effect->attempt,
        .performed_us = s->clocks.true_us,
    };
    request->token = shell->tokens[request->provider];
    if (effect->request != REQUEST_TOKEN && effect->job_slot != NO_JOB)
        request->reference = shell->jobs[effect->job_slot].reference;
    return index;
}

void virtual_shell_perform(struct simulation *s, const struct effect *effect)
{
    struct virtual_shell *shell = &s->shell;
    uint32_t index;

    if (effect->provider >= virtual_shell_snapshot(shell)->settings.provider_count)
        judge_fail(s, "an effect for provider %u, which is not configured", effect->provider);
    if (effect->request != REQUEST_TOKEN && effect->job_slot != NO_JOB) {
        struct shell_job *job = &shell->jobs[effect->job_slot];

        if (effect->job_slot >= shell->job_capacity || !job->is_open || job->job != effect->job)
            judge_fail(s, "an effect for job %llu, which is not open",
                       (unsigned long long)effect->job);
        if (effect->request == REQUEST_INITIATE)
            job->attempt = effect->attempt;
    }
    index = send_request(s, effect);
    shell->out[shell->requests[index].provider]++;
    count_request(s, effect);
    judge_effect(s, &shell->requests[index]);
    if (!s->is_calm && dice_one_in(&s->random, 300)) {
        fail_unsent(s, index);
        return;
    }
    timeline_add(&s->timeline, s->clocks.true_us + handover_delay_us(s), MOMENT_HANDOVER, index,
                 shell->life);
    if (s->sabotage == SABOTAGE_DOUBLE_SEND && effect->request == REQUEST_INITIATE &&
        dice_one_in(&s->random, 20))
        timeline_add(&s->timeline, s->clocks.true_us + 50000, MOMENT_HANDOVER,
                     send_request(s, effect), shell->life);
}

void virtual_shell_handover(struct simulation *s, uint32_t index)
{
    struct sim_request *request = &s->shell.requests[index];
    struct time_now now = simulation_now(s);
    struct event event = {.kind = EVENT_SENT};

    if (request->is_dead) {
        request->in_use = false;
        return;
    }
    request->is_sent = true;
    judge_sent(s, request);
    timeline_add(&s->timeline, s->clocks.true_us + 1000 + dice_below(&s->random, 30000),
                 MOMENT_ARRIVAL, index, s->shell.life);
    if (!s->is_calm && request->kind != REQUEST_INITIATE && dice_one_in(&s->random, 60))
        return; /* the news comes with the answer */
    event.as.sent.job_slot = request->job_slot;
    event.as.sent.provider = virtual_shell_snapshot(&s->shell)->provider_index[request->provider];
    event.as.sent.request = request->kind;
    event.as.sent.consent = request->consent;
    event.as.sent.at = now.mono;
    event.as.sent.at_utc = now.utc;
    virtual_shell_request_event(s, &event);
}

void virtual_shell_arrival(struct simulation *s, uint32_t index)
{
    int64_t answer_us = virtual_provider_arrive(s, &s->shell.requests[index]);

    timeline_add(&s->timeline, answer_us, MOMENT_ANSWER, index, s->shell.life);
}

static void token_answered(struct simulation *s, const struct sim_request *request)
{
    struct event event = {.kind = EVENT_TOKEN};
    uint32_t provider = virtual_shell_snapshot(&s->shell)->provider_index[request->provider];

    if (request->lifetime_ms > 0 && request->answer.class_ == CLASS_SUCCESS)
        s->shell.tokens[request->provider] = request->token;
    if (provider == WORLD_NONE)
        return;
    event.as.token.provider = provider;
    event.as.token.is_granted = request->lifetime_ms > 0 && request->answer.class_ == CLASS_SUCCESS;
    event.as.token.reached_socket = request->answer.reached_socket;
    event.as.token.lifetime_ms = request->lifetime_ms;
    event.as.token.retry_after_ms = request->answer.retry_after_ms;
    virtual_shell_request_event(s, &event);
}

void virtual_shell_answer(struct simulation *s, uint32_t index)
{
    struct sim_request request = s->shell.requests[index];
    const struct shell_job *job;
    struct event event = {.kind = EVENT_ANSWER};

    s->shell.requests[index].in_use = false;
    if (request.is_dead)
        return;
    s->shell.out[request.provider]--;
    if (request.kind == REQUEST_TOKEN) {
        token_answered(s, &request);
        return;
    }
    event.as.answer.job_slot = request.job_slot;
    event.as.answer.request = request.kind;
    event.as.answer.answer = request.answer;
    event.as.answer.consent = request.consent;
    if (request.job_slot == NO_JOB) {
        virtual_shell_request_event(s, &event);
        return;
    }
    job = &s->shell.jobs[request.job_slot];
    if (!job->is_open || job->job != request.job)
        return;
    if (s->sabotage == SABOTAGE_FORGE && request.kind == REQUEST_POLL &&
        request.answer.class_ == CLASS_RETRY_LATER && dice_one_in(&s->random, 3))
        event.as.answer.answer.class_ = CLASS_SUCCESS;
    else
        judge_answered(s, &request);
    virtual_shell_request_event(s, &event);
}

void virtual_shell_webhook(struct simulation *s, uint32_t index)
{
    const struct task *task = &s->providers.tasks[index];
    struct virtual_shell *shell = &s->shell;
    struct event event = {.kind = EVENT_WEBHOOK};

    tally_count(&s->tally, TALLY_WEBHOOKS);
    if (!virtual_shell_is_up(shell) || shell->is_blocked)
        return;
    for (uint32_t slot = 0; slot < shell->job_capacity; slot++) {
        const struct shell_job *job = &shell->jobs[slot];

        if (!job->is_open || job->job != task->job)
            continue;
        event.as.webhook.job_slot = slot;
        event.as.webhook.reference_hash = job->attempt == task->attempt ? task->hash : 0;
        virtual_shell_request_event(s, &event);
        return;
    }
}
