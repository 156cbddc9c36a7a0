/* SPDX-License-Identifier: MIT
 * judge.c - ordered rules first, then the status word, then the HTTP status. */
#include "provider/judge.h"

#include <strings.h>

bool judge_status(const struct api_definition *definition, const char *word, enum api_status *out)
{
    for (uint32_t i = 0; i < definition->status_count; i++)
        if (strcasecmp(definition->statuses[i].word, word) == 0) {
            *out = (enum api_status)definition->statuses[i].value;
            return true;
        }
    return false;
}

static bool has_word(const char *const *words, uint32_t count, const char *word)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcasecmp(words[i], word) == 0)
            return true;
    return false;
}

static bool has_http(const struct api_rule *rule, int status)
{
    for (uint32_t i = 0; i < rule->http_count; i++)
        if (status >= rule->http[i].first && status <= rule->http[i].last)
            return true;
    return false;
}

static bool has_flag(const struct api_rule *rule, const struct facts *facts)
{
    for (uint32_t i = 0; i < API_FLAGS_MAX; i++)
        if ((rule->flags & 1u << i) != 0 && facts->flags[i] == TRI_TRUE)
            return true;
    return false;
}

/* Running, success and partial are about jobs: no other request can be answered so. */
static bool is_about_jobs(enum answer_class class_)
{
    return class_ == CLASS_RUNNING || class_ == CLASS_SUCCESS || class_ == CLASS_PARTIAL;
}

static bool holds(const struct api_rule *rule, const struct facts *facts)
{
    if (is_about_jobs(rule->class_) && facts->kind != REQUEST_POLL)
        return false;
    if (rule->requests != 0 && (rule->requests & 1u << facts->kind) == 0)
        return false;
    if (rule->http_count > 0 && !has_http(rule, facts->http))
        return false;
    if (rule->code_count > 0 && !has_word(rule->codes, rule->code_count, facts->code))
        return false;
    if (rule->result_count > 0 && !has_word(rule->results, rule->result_count, facts->result))
        return false;
    if (rule->statuses != 0 && (!facts->has_status || (rule->statuses & 1u << facts->status) == 0))
        return false;
    return rule->flags == 0 || has_flag(rule, facts);
}

struct verdict judge_by_rules(const struct api_definition *definition, const struct facts *facts)
{
    for (uint32_t i = 0; i < definition->rule_count; i++) {
        const struct api_rule *rule = &definition->rules[i];

        if (holds(rule, facts))
            return (struct verdict){rule->class_, rule->reason,
                                    rule->wants_look_up && facts->kind != REQUEST_LOOK_UP};
    }
    return (struct verdict){CLASS_NONE, REASON_NONE, false};
}

struct verdict judge_poll(const struct api_definition *definition, const struct facts *facts)
{
    struct verdict verdict = judge_by_rules(definition, facts);

    if (verdict.class_ != CLASS_NONE || !facts->has_status)
        return verdict;
    switch (facts->status) {
    case API_STATUS_RUNNING: verdict.class_ = CLASS_RUNNING; break;
    case API_STATUS_SUCCESS: verdict.class_ = CLASS_SUCCESS; break;
    case API_STATUS_PARTIAL: verdict.class_ = CLASS_PARTIAL; break;
    case API_STATUS_FAILED:
        verdict.class_ = CLASS_RETRY_LATER;
        verdict.reason = REASON_JOB_FAILED;
        break;
    }
    return verdict;
}

struct verdict judge_refusal(const struct api_definition *definition, const struct facts *facts)
{
    const int http = facts->http;
    struct verdict verdict;

    if (http < 400 || http > 599) /* 1xx, an unexpected 2xx, a redirect: never followed */
        return (struct verdict){CLASS_BAD_ANSWER, REASON_BAD_ANSWER, false};
    verdict = judge_by_rules(definition, facts);
    if (verdict.class_ != CLASS_NONE)
        return verdict;
    if (http == 429)
        return (struct verdict){CLASS_PUSHBACK, REASON_PUSHBACK, false};
    if (http >= 500)
        return (struct verdict){CLASS_RETRY_LATER, REASON_PROVIDER_ERROR, false};
    if (http == 401 || http == 403 || facts->kind == REQUEST_TOKEN)
        return (struct verdict){CLASS_CREDENTIALS, REASON_AUTH, false};
    return (struct verdict){CLASS_REJECTED, REASON_REJECTED, false};
}
