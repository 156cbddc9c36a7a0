/* SPDX-License-Identifier: MIT
 * webhook_parse.c - find the event that a body is, and the jobs or the consent that it names. */
#include "provider/webhook_parse.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "provider/classify.h"
#include "provider/json_read.h"
#include "provider/judge.h"

static bool is_match(json_t *root, const struct api_event *event)
{
    for (uint32_t i = 0; i < event->match_count; i++) {
        json_t *value = json_read_at(root, &event->matches[i].pointer);

        if (!json_is_string(value) ||
            strcasecmp(json_string_value(value), event->matches[i].equals) != 0)
            return false;
    }
    return true;
}

static enum result read_id(json_t *root, const struct api_source *source, char *out,
                           struct fault *fault)
{
    if (json_read_text(root, source, out, WEBHOOK_ID_BYTES_MAX + 1) == JSON_TEXT_WRONG)
        return fault_set(fault, FAULT_DATA,
                         "an id of the webhook is empty, no text, or longer than %d bytes",
                         WEBHOOK_ID_BYTES_MAX);
    return RESULT_OK;
}

static enum result add_job(json_t *root, const struct api_source *source, bool is_child,
                           struct webhook_notice *notice, struct fault *fault)
{
    struct webhook_job *job = &notice->jobs[notice->job_count];

    if (source->pointer_count == 0)
        return RESULT_OK;
    if (notice->job_count == WEBHOOK_JOBS_MAX) {
        notice->jobs_left_out++;
        return RESULT_OK;
    }
    if (read_id(root, source, job->id, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (job->id[0] == '\0')
        return RESULT_OK;
    job->reference_hash = classify_reference_hash(job->id);
    job->is_child = is_child;
    notice->job_count++;
    return RESULT_OK;
}

static enum result read_jobs(json_t *root, const struct api_event *event,
                             struct webhook_notice *notice, struct fault *fault)
{
    json_t *children;

    if (add_job(root, &event->job, false, notice, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (event->children.token_count == 0)
        return add_job(root, &event->child_job, true, notice, fault);
    children = json_read_at(root, &event->children);
    for (size_t i = 0; i < json_array_size(children); i++)
        if (add_job(json_array_get(children, i), &event->child_job, true, notice, fault) !=
            RESULT_OK)
            return RESULT_FAULT;
    return RESULT_OK;
}

static enum result read_event(const struct api_definition *definition, json_t *root,
                              const struct api_event *event, struct webhook_notice *notice,
                              struct fault *fault)
{
    enum api_status status = API_STATUS_RUNNING;

    notice->kind = event->kind;
    if (event->kind == API_EVENT_IGNORE)
        return RESULT_OK;
    if (read_jobs(root, event, notice, fault) != RESULT_OK ||
        read_id(root, &event->consent, notice->consent, fault) != RESULT_OK ||
        read_id(root, &event->customer, notice->customer, fault) != RESULT_OK ||
        read_id(root, &event->institution, notice->institution, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (json_read_text(root, &event->status, notice->status, sizeof notice->status) ==
        JSON_TEXT_GOOD)
        notice->is_terminal =
            judge_status(definition, notice->status, &status) && status != API_STATUS_RUNNING;
    notice->expires = json_read_instant(root, &event->expires);
    if (event->kind == API_EVENT_JOB && notice->job_count == 0)
        return fault_set(fault, FAULT_DATA, "the webhook is about a job and names none");
    if (event->kind != API_EVENT_JOB && notice->consent[0] == '\0' && notice->customer[0] == '\0')
        return fault_set(fault, FAULT_DATA, "the webhook is about a consent and names none");
    return RESULT_OK;
}

enum result webhook_parse(const struct api_definition *definition, const char *body, size_t length,
                          struct webhook_notice *notice, struct fault *fault)
{
    json_error_t error;
    json_t *root;
    enum result result = RESULT_OK;

    if (length > WEBHOOK_BODY_BYTES_MAX)
        return fault_set(fault, FAULT_DATA, "the webhook has %zu bytes, more than %d", length,
                         WEBHOOK_BODY_BYTES_MAX);
    root = json_read_parse(body, length, &error);
    if (root == NULL)
        return fault_set(fault, FAULT_DATA, "the webhook is not JSON (line %d, column %d)",
                         error.line, error.column);
    notice->kind = API_EVENT_IGNORE;
    notice->job_count = 0;
    notice->jobs_left_out = 0;
    notice->consent[0] = notice->customer[0] = notice->institution[0] = '\0';
    notice->status[0] = '\0';
    notice->is_terminal = false;
    notice->expires = UTC_NONE;
    for (uint32_t i = 0; i < definition->webhook.event_count; i++)
        if (is_match(root, &definition->webhook.events[i])) {
            result = read_event(definition, root, &definition->webhook.events[i], notice, fault);
            break;
        }
    json_decref(root);
    return result;
}
