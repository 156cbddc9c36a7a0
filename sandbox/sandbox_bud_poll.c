/* SPDX-License-Identifier: MIT
 * sandbox_bud_poll.c - Retrieve Refresh Status, v1 and v2. */
#include <string.h>

#include "sandbox/sandbox_bud.h"

void sandbox_bud_look(const struct sandbox *sandbox, const struct sandbox_job *job,
                      uint8_t verdict_number, uint16_t flags, bool is_over, uint32_t label,
                      struct sandbox_bud_view *view)
{
    const struct sandbox_verdict *verdict = sandbox_verdict(verdict_number);
    const char *completed = (job->flags & SANDBOX_JOB_OLD_WORDS) != 0 ? "Complete" : "Completed";
    struct sandbox_consent said;
    char key[SANDBOX_BUD_KEY_SIZE];
    const char *customer = sandbox->jobs.subjects[job->subject].id;

    *view = (struct sandbox_bud_view){.status = "Pending"};
    if ((job->flags & SANDBOX_JOB_UNKNOWN_STATUS) != 0) {
        view->status = "Pondering";
        return;
    }
    if (!is_over)
        return;
    view->is_over = true;
    view->result = verdict->word;
    view->reconnect_required = verdict->reconnect_required;
    /* The pages show this code with false in v1 and with true in v2. */
    if (strcmp(verdict->word, "connection_not_found") == 0)
        view->reconnect_required = sandbox->jobs.subjects[job->subject].api == SANDBOX_API_BUD_V2;
    view->has_new = verdict->outcome == SANDBOX_ENDS_WELL && (flags & SANDBOX_JOB_NO_NEW_DATA) == 0;
    view->status = verdict->outcome == SANDBOX_ENDS_BADLY ? "Failed" : completed;
    if (verdict->reconnect_required && (flags & SANDBOX_JOB_REVOKED_COMPLETED) != 0)
        view->status = completed;
    if (sandbox->scenario->consents != NULL &&
        sandbox_scenario_consent(
            sandbox->scenario,
            sandbox_bud_key(key, customer, sandbox_names_text(&sandbox->names, label)), customer,
            &said)) {
        if (said.reconnect_required != 2)
            view->reconnect_required = said.reconnect_required == 1;
        if (said.status_word != NULL)
            view->status = said.status_word;
    }
}

static const char *boolean_text(bool value)
{
    return value ? "true" : "false";
}

static void append_metadata(struct sandbox_exchange *exchange, const char *id,
                            const struct sandbox_bud_view *view)
{
    const struct sandbox_bud_settings *settings = &exchange->sandbox->scenario->bud;
    struct text *out = &exchange->sandbox->body;
    bool is_v2 = exchange->api == SANDBOX_API_BUD_V2;

    text_append_string(out, ",\"metadata\":{\"status\":");
    sandbox_append_quoted(out, view->status);
    if (!view->is_over)
        text_append_format(
            out, ",\"next_url\":\"%s/%s\",\"next_url_delay\":%lld",
            !is_v2                    ? "/v1/open-banking/refresh"
            : settings->next_url_trap ? "/v2/open-banking/refresh"
                                      : "/open-banking/v2/refresh",
            id,
            (long long)(is_v2 ? settings->next_url_delay_v2_ms : settings->next_url_delay_v1_ms));
    else if (!is_v2)
        text_append_format(out, ",\"has_new_transactions\":%s", boolean_text(view->has_new));
    text_append_string(out, "}}");
}

static void answer_v1(struct sandbox_exchange *exchange, const struct sandbox_job *job,
                      const char *id)
{
    static const char *const steps[] = {"Fetching access token", "Fetching accounts",
                                        "Fetching balances and transactions",
                                        "Fetching balances and transactions", "Completed"};
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    uint32_t label = sandbox->jobs.subjects[job->subject].label;
    int stage = sandbox_progress_stage(job, exchange->now_ms);
    struct sandbox_bud_view view;

    sandbox_bud_look(sandbox, job, job->verdict, job->flags, stage == 4, label, &view);
    sandbox_bud_begin(exchange);
    text_append_format(out, "{\"task_id\":\"%s\",\"provider\":", id);
    sandbox_append_quoted(out, sandbox_names_text(&sandbox->names, label));
    text_append_string(out, ",\"status\":");
    sandbox_append_quoted(out, view.status);
    if (view.result != NULL)
        text_append_format(out, ",\"result\":\"%s\"", view.result);
    text_append_format(out, ",\"reconnect_required\":%s,\"step\":%d,\"text\":\"%s\"}",
                       boolean_text(view.reconnect_required), stage >= 3 ? stage : stage + 1,
                       steps[stage]);
    append_metadata(exchange, id, &view);
}

/* Child i of n ends at its share of the parent's duration; all of them when it is over. */
static bool child_is_over(const struct sandbox_job *job, uint32_t i, int64_t now_ms)
{
    if (job->duration_ms == SANDBOX_DURATION_NEVER)
        return false;
    return now_ms - job->created_ms >= (int64_t)job->duration_ms * (i + 1) / job->child_count;
}

static void answer_v2(struct sandbox_exchange *exchange, const struct sandbox_job *job,
                      uint32_t number, const char *id)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct text *out = &sandbox->body;
    struct text sub_tasks;
    struct sandbox_bud_view whole = {.status = NULL, .result = "success", .is_over = true};
    char sub_id[SANDBOX_ID_SIZE];
    bool any_failed = false;

    text_init(&sub_tasks, SIZE_MAX / 2);
    for (uint32_t i = 0; i < job->child_count; i++) {
        const struct sandbox_child *child = &sandbox->jobs.children[job->first_child + i];
        struct sandbox_bud_view view;

        sandbox_bud_look(sandbox, job, child->verdict, child->flags,
                         child_is_over(job, i, exchange->now_ms), child->label, &view);
        text_append_format(
            &sub_tasks, "%s{\"task_id\":\"%s\",\"provider\":", i > 0 ? "," : "",
            sandbox_id_write(sub_id, sandbox->seed, SANDBOX_ID_SUB_TASK + i, number));
        sandbox_append_quoted(&sub_tasks, sandbox_names_text(&sandbox->names, child->label));
        text_append_string(&sub_tasks, ",\"status\":");
        sandbox_append_quoted(&sub_tasks, view.status);
        if (view.is_over)
            text_append_format(&sub_tasks,
                               ",\"result\":\"%s\",\"reconnect_required\":%s,"
                               "\"has_new_transactions\":%s",
                               view.result, boolean_text(view.reconnect_required),
                               boolean_text(view.has_new));
        text_append_string(&sub_tasks, "}");
        any_failed = any_failed || strcmp(view.status, "Failed") == 0;
        whole.is_over = whole.is_over && view.is_over;
        whole.has_new = whole.has_new || view.has_new;
        if (whole.status == NULL || (view.is_over && strcmp(view.status, "Failed") == 0) ||
            !view.is_over)
            whole.status = view.status;
    }
    if (whole.is_over && any_failed)
        whole.status = "Failed";
    sandbox_bud_begin(exchange);
    text_append_format(out, "{\"task_id\":\"%s\",\"status\":", id);
    sandbox_append_quoted(out, whole.status);
    /* A failed parent names no result: its cause is in the sub-tasks. */
    if (whole.is_over && !any_failed)
        text_append_string(out, ",\"result\":\"success\"");
    if (whole.is_over)
        text_append_format(out, ",\"has_new_transactions\":%s", boolean_text(whole.has_new));
    text_append_string(out, ",\"sub_tasks\":[");
    text_append(out, sub_tasks.bytes, sub_tasks.length);
    text_append_string(out, "]}");
    append_metadata(exchange, id, &whole);
    text_deinit(&sub_tasks);
}

/* The task that is asked for; SANDBOX_NONE after the error was made. */
static uint32_t find_task(struct sandbox_exchange *exchange, const char *task_id,
                          const char *customer)
{
    struct sandbox *sandbox = exchange->sandbox;
    const struct sandbox_subject *subject = NULL;
    struct sandbox_job *job;
    uint32_t number = 0;
    bool is_known = sandbox_id_read(task_id, sandbox->seed, SANDBOX_ID_JOB, &number) &&
                    number < sandbox->jobs.job_count;

    if (is_known) {
        subject = &sandbox->jobs.subjects[sandbox->jobs.jobs[number].subject];
        is_known = subject->account == exchange->account->number && subject->api == exchange->api;
    }
    if (!is_known) {
        sandbox_break(exchange, SANDBOX_RULE_POLL_UNKNOWN_JOB, "task %.40s", task_id);
        sandbox_bud_error(exchange, 404, "task_not_found", "no such task");
        return SANDBOX_NONE;
    }
    if (strcmp(subject->id, customer) != 0) {
        sandbox_break(exchange, SANDBOX_RULE_POLL_WRONG_CONSENT, "task %.40s belongs to %.60s",
                      task_id, subject->id);
        sandbox_bud_error(exchange, 404, "task_not_found", "no such task of this customer");
        return SANDBOX_NONE;
    }
    job = &sandbox->jobs.jobs[number];
    if ((job->flags & SANDBOX_JOB_LOST) != 0 ||
        (sandbox->scenario->job_retention_ms > 0 &&
         exchange->now_ms - job->created_ms > sandbox->scenario->job_retention_ms)) {
        sandbox_progress_close(sandbox, job);
        sandbox_bud_error(exchange, 404, "task_not_found", "no such task any more");
        return SANDBOX_NONE;
    }
    return number;
}

void sandbox_bud_poll(struct sandbox_exchange *exchange, const char *task_id)
{
    struct sandbox *sandbox = exchange->sandbox;
    struct sandbox_consent described;
    const struct sandbox_consent *said = NULL;
    struct sandbox_subject *subject;
    struct sandbox_job *job;
    const char *customer;
    char key[SANDBOX_BUD_KEY_SIZE];
    uint32_t number;

    if (!sandbox_bud_authorise(exchange))
        return;
    customer = sandbox_bud_customer(exchange);
    if (customer == NULL)
        return;
    number = find_task(exchange, task_id, customer);
    if (number == SANDBOX_NONE)
        return;
    job = &sandbox->jobs.jobs[number];
    subject = &sandbox->jobs.subjects[job->subject];
    sandbox_check_poll_floor(exchange, job);
    if (sandbox_scenario_consent(
            sandbox->scenario,
            sandbox_bud_key(key, customer, sandbox_names_text(&sandbox->names, subject->label)),
            customer, &described))
        said = &described;
    exchange->own_id = task_id;
    sandbox_fault_choose(exchange, said != NULL ? said->poll_faults : NULL,
                         subject->poll_requests++);
    sandbox_progress_poll(exchange, job, said);
    if (sandbox_fault_before(exchange))
        return;
    if (said != NULL && said->poll_error.status != 0) {
        sandbox_bud_error(exchange, (int)said->poll_error.status,
                          said->poll_error.code != NULL ? said->poll_error.code : "",
                          "the scenario says so");
        return;
    }
    if (exchange->api == SANDBOX_API_BUD_V2)
        answer_v2(exchange, job, number, task_id);
    else
        answer_v1(exchange, job, task_id);
    sandbox_answer(exchange, 200);
    sandbox_progress_told(sandbox, job, exchange->now_ms);
}
