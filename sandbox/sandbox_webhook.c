/* SPDX-License-Identifier: MIT
 * sandbox_webhook.c - which webhooks a job makes, and when. */
#include "sandbox/sandbox_webhook.h"

#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "sandbox/sandbox_bud.h"
#include "sandbox/sandbox_delivery.h"
#include "sandbox/sandbox_jws.h"

#define FINQWARE_STAGES 4

static int64_t clock_ms(const struct sandbox *sandbox)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_REALTIME, &at);
    return (int64_t)at.tv_sec * MS_PER_SECOND + at.tv_nsec / 1000000 +
           sandbox->scenario->clock_offset_ms;
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    struct sandbox *sandbox = context;

    (void)fd;
    (void)what;
    sandbox->job_timer_at_ms = INT64_MAX;
    sandbox_progress(sandbox, clock_ms(sandbox));
    sandbox_webhook_schedule(sandbox, heap_first_key(&sandbox->jobs.timers));
}

enum result sandbox_webhook_init(struct sandbox *sandbox, struct fault *fault)
{
    sandbox->job_timer_at_ms = INT64_MAX;
    sandbox->job_timer = evtimer_new(sandbox->base, on_timer, sandbox);
    sandbox->webhooks = sandbox_delivery_create(sandbox->base);
    if (sandbox->job_timer == NULL || sandbox->webhooks == NULL)
        return fault_set(fault, FAULT_INTERNAL, "out of memory for webhooks");
    return RESULT_OK;
}

void sandbox_webhook_deinit(struct sandbox *sandbox)
{
    sandbox_delivery_destroy(sandbox->webhooks);
    if (sandbox->job_timer != NULL)
        event_free(sandbox->job_timer);
}

void sandbox_webhook_schedule(struct sandbox *sandbox, int64_t at_ms)
{
    int64_t wait_ms;
    struct timeval wait;

    if (at_ms == INT64_MAX || at_ms >= sandbox->job_timer_at_ms)
        return;
    wait_ms = at_ms - clock_ms(sandbox);
    if (wait_ms < 1)
        wait_ms = 1;
    wait = (struct timeval){.tv_sec = wait_ms / MS_PER_SECOND,
                            .tv_usec = wait_ms % MS_PER_SECOND * US_PER_MS};
    sandbox->job_timer_at_ms = at_ms;
    evtimer_add(sandbox->job_timer, &wait);
}

static const char *bud_url(const struct sandbox *sandbox, const struct sandbox_job *job)
{
    return sandbox->jobs.subjects[job->subject].api == SANDBOX_API_BUD_V2
               ? sandbox->scenario->bud.webhook_url_v2
               : sandbox->scenario->bud.webhook_url_v1;
}

int64_t sandbox_webhook_next_ms(const struct sandbox *sandbox, const struct sandbox_job *job)
{
    int64_t end_ms = sandbox_job_end_ms(job);

    if (end_ms == INT64_MAX || (job->flags & SANDBOX_JOB_UNKNOWN_STATUS) != 0)
        return INT64_MAX;
    if (sandbox->jobs.subjects[job->subject].api != SANDBOX_API_FINQWARE)
        return job->webhook_stage == 0 && bud_url(sandbox, job) != NULL ? end_ms : INT64_MAX;
    if (job->callback_url == NULL || job->webhook_stage >= FINQWARE_STAGES)
        return INT64_MAX;
    if (sandbox->scenario->finqware.webhook == SANDBOX_WEBHOOK_FINAL)
        return end_ms;
    if (sandbox->scenario->finqware.webhook == SANDBOX_WEBHOOK_NONE)
        return INT64_MAX;
    return job->created_ms + (int64_t)job->duration_ms * (job->webhook_stage + 1) / FINQWARE_STAGES;
}

/* Sign the body and hand it to the delivery, as often as the scenario says. */
static void send_signed(struct sandbox *sandbox, const char *url, enum sandbox_key_set set,
                        const struct text *body)
{
    const struct sandbox_webhook_settings *settings = &sandbox->scenario->webhook;
    struct sandbox_delivery_order order = {.url = url,
                                           .body = body->bytes,
                                           .body_length = body->length,
                                           .retries = settings->retries,
                                           .retry_ms = settings->retry_ms,
                                           .delay_ms = settings->delay_ms};
    struct text signature;
    char key_id[32];

    text_init(&signature, SIZE_MAX / 2);
    if (sandbox_falls_in(sandbox_mix(sandbox->seed + 9, sandbox->webhook_number++),
                         settings->lost)) {
        sandbox_delivery_count_lost(sandbox->webhooks);
    } else if (sandbox_jws_sign(sandbox->keys, set, settings->algorithm, body->bytes, body->length,
                                &signature, key_id)) {
        if (settings->bad_signature && signature.length > 20) {
            char *byte = &signature.bytes[signature.length - 20];

            *byte = *byte == 'A' ? 'B' : 'A';
        }
        order.signature = signature.bytes;
        order.key_id = key_id;
        order.signature_header = set == SANDBOX_KEYS_BUD ? "X-Signature" : "x-signature";
        order.key_id_header = set == SANDBOX_KEYS_BUD ? "X-Signing-ID" : "x-signature-kid";
        for (int64_t i = 0; i <= settings->duplicates; i++)
            sandbox_delivery_send(sandbox->webhooks, &order);
    }
    text_deinit(&signature);
}

static void make_finqware(struct sandbox *sandbox, uint32_t number, int64_t at_ms)
{
    const struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const char *consent = sandbox->jobs.subjects[job->subject].id;
    struct sandbox_consent said;
    bool is_said = sandbox_scenario_consent(sandbox->scenario, consent, NULL, &said);
    char id[SANDBOX_ID_SIZE];
    struct text body;

    text_init(&body, SIZE_MAX / 2);
    text_append_string(&body, "{\"type\":\"job_status_update\",\"consent_id\":");
    sandbox_append_quoted(&body, consent);
    text_append_format(&body, ",\"job_id\":\"%s\",\"status\":",
                       sandbox_id_write(id, sandbox->seed, SANDBOX_ID_JOB, number));
    sandbox_append_quoted(&body, sandbox_finqware_status(job, is_said ? &said : NULL, at_ms));
    text_append_string(&body, "}");
    send_signed(sandbox, job->callback_url, SANDBOX_KEYS_FINQWARE, &body);
    text_deinit(&body);
}

/* v1: in an envelope, the flags as strings. */
static void make_bud_v1(struct sandbox *sandbox, uint32_t number)
{
    const struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const struct sandbox_subject *subject = &sandbox->jobs.subjects[job->subject];
    struct sandbox_bud_view view;
    char id[SANDBOX_ID_SIZE];
    struct text body;

    sandbox_bud_look(sandbox, job, job->verdict, job->flags, true, subject->label, &view);
    text_init(&body, SIZE_MAX / 2);
    text_append_format(&body, "{\"data\":{\"task_id\":\"%s\",\"status\":",
                       sandbox_id_write(id, sandbox->seed, SANDBOX_ID_JOB, number));
    sandbox_append_quoted(&body, view.status);
    text_append_format(
        &body, ",\"result\":\"%s\",\"task_type\":\"refresh\",\"customer_id\":", view.result);
    sandbox_append_quoted(&body, subject->id);
    text_append_format(&body,
                       ",\"reconnect_required\":\"%s\",\"has_new_transactions\":\"%s\","
                       "\"provider\":",
                       view.reconnect_required ? "true" : "false", view.has_new ? "true" : "false");
    sandbox_append_quoted(&body, sandbox_names_text(&sandbox->names, subject->label));
    text_append_format(&body, ",\"consent_id\":\"%s\"}}",
                       sandbox_id_write(id, sandbox->seed, SANDBOX_ID_OTHER_CONSENT, job->subject));
    send_signed(sandbox, sandbox->scenario->bud.webhook_url_v1, SANDBOX_KEYS_BUD, &body);
    text_deinit(&body);
}

static void append_sub_task(struct sandbox *sandbox, uint32_t number, uint32_t i,
                            struct sandbox_bud_view *view, struct text *out)
{
    const struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const struct sandbox_child *child = &sandbox->jobs.children[job->first_child + i];
    char id[SANDBOX_ID_SIZE];

    sandbox_bud_look(sandbox, job, child->verdict, child->flags, true, child->label, view);
    text_append_format(out, "\"task_id\":\"%s\",\"provider\":",
                       sandbox_id_write(id, sandbox->seed, SANDBOX_ID_SUB_TASK + i, number));
    sandbox_append_quoted(out, sandbox_names_text(&sandbox->names, child->label));
    text_append_string(out, ",\"status\":");
    sandbox_append_quoted(out, view->status);
    text_append_format(out,
                       ",\"result\":\"%s\",\"reconnect_required\":%s,\"has_new_transactions\":%s",
                       view->result, view->reconnect_required ? "true" : "false",
                       view->has_new ? "true" : "false");
}

/* v2: flat with real booleans; one for each provider, then one for the whole. */
static void make_bud_v2(struct sandbox *sandbox, uint32_t number)
{
    const struct sandbox_job *job = &sandbox->jobs.jobs[number];
    const char *customer = sandbox->jobs.subjects[job->subject].id;
    const char *url = sandbox->scenario->bud.webhook_url_v2;
    struct sandbox_bud_view view;
    bool any_failed = false;
    bool has_new = false;
    char id[SANDBOX_ID_SIZE];
    struct text body;
    struct text sub_tasks;

    text_init(&body, SIZE_MAX / 2);
    text_init(&sub_tasks, SIZE_MAX / 2);
    for (uint32_t i = 0; i < job->child_count; i++) {
        text_clear(&body);
        text_append_string(
            &body, "{\"event\":\"open_banking.v2.refresh.provider.completed\",\"customer_id\":");
        sandbox_append_quoted(&body, customer);
        text_append_string(&body, ",");
        append_sub_task(sandbox, number, i, &view, &body);
        text_append_string(&body, "}");
        send_signed(sandbox, url, SANDBOX_KEYS_BUD, &body);
        text_append_string(&sub_tasks, i > 0 ? ",{" : "{");
        append_sub_task(sandbox, number, i, &view, &sub_tasks);
        text_append_string(&sub_tasks, "}");
        any_failed = any_failed || strcmp(view.status, "Failed") == 0;
        has_new = has_new || view.has_new;
    }
    text_clear(&body);
    text_append_string(&body, "{\"event\":\"open_banking.v2.refresh.completed\",\"customer_id\":");
    sandbox_append_quoted(&body, customer);
    text_append_format(&body, ",\"task_id\":\"%s\",\"status\":\"%s\"",
                       sandbox_id_write(id, sandbox->seed, SANDBOX_ID_JOB, number),
                       any_failed ? "Failed" : "Completed");
    if (!any_failed)
        text_append_string(&body, ",\"result\":\"success\"");
    text_append_format(&body, ",\"has_new_transactions\":%s,\"sub_tasks\":[",
                       has_new ? "true" : "false");
    text_append(&body, sub_tasks.bytes, sub_tasks.length);
    text_append_string(&body, "]}");
    send_signed(sandbox, url, SANDBOX_KEYS_BUD, &body);
    text_deinit(&sub_tasks);
    text_deinit(&body);
}

static void append_field(struct text *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    text_append_format(out, ",\"%s\":", name);
    sandbox_append_quoted(out, value);
}

bool sandbox_webhook_consent_event(struct sandbox *sandbox, const char *event, const char *customer,
                                   const char *provider, const char *consent_id, const char *reason)
{
    char updated[UTC_TEXT_SIZE];
    struct text body;

    if (sandbox->scenario->bud.webhook_url_consents == NULL)
        return false;
    text_init(&body, SIZE_MAX / 2);
    text_append_string(&body, "{\"data\":{\"event\":\"open_banking.consent.");
    text_append_json(&body, event, strlen(event));
    text_append_format(&body, "\",\"updated_at\":\"%s\"",
                       utc_text_seconds((struct utc_time){clock_ms(sandbox)}, updated));
    append_field(&body, "consent_id", consent_id);
    append_field(&body, "customer_id", customer);
    append_field(&body, "provider", provider);
    append_field(&body, "reason", reason);
    text_append_string(&body, "}}");
    send_signed(sandbox, sandbox->scenario->bud.webhook_url_consents, SANDBOX_KEYS_BUD, &body);
    text_deinit(&body);
    return true;
}

void sandbox_webhook_make(struct sandbox *sandbox, uint32_t number, int64_t now_ms)
{
    struct sandbox_job *job = &sandbox->jobs.jobs[number];

    for (;;) {
        int64_t at_ms = sandbox_webhook_next_ms(sandbox, job);
        uint8_t api = sandbox->jobs.subjects[job->subject].api;

        if (at_ms > now_ms)
            return;
        if (api == SANDBOX_API_FINQWARE)
            make_finqware(sandbox, number, at_ms);
        else if (api == SANDBOX_API_BUD_V1)
            make_bud_v1(sandbox, number);
        else
            make_bud_v2(sandbox, number);
        if (api == SANDBOX_API_FINQWARE &&
            sandbox->scenario->finqware.webhook == SANDBOX_WEBHOOK_FINAL)
            job->webhook_stage = FINQWARE_STAGES;
        else
            job->webhook_stage++;
    }
}

json_t *sandbox_webhook_json(const struct sandbox *sandbox)
{
    return sandbox_delivery_json(sandbox->webhooks);
}
