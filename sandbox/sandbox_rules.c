/* SPDX-License-Identifier: MIT
 * sandbox_rules.c - counters and examples of broken rules. */
#include "sandbox/sandbox_rules.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/time_point.h"

static const char *const rule_texts[SANDBOX_RULE_COUNT] = {
    "cooldown",
    "quota",
    "single_flight",
    "repost",
    "poll_wrong_consent",
    "poll_unknown_job",
    "poll_too_fast",
    "account_rate",
    "bank_rate",
    "account_in_flight",
    "bank_in_flight",
    "account_jobs_running",
    "bank_jobs_running",
    "secret_in_bearer_mode",
    "customer_ip",
    "customer_secret_on_get",
    "missing_customer_secret",
    "look_back",
    "bad_period",
    "missing_client_id",
    "missing_customer",
    "both_customer_headers",
    "expired_token_reused",
    "token_stampede",
    "auth_hammer",
    "redirect_followed",
    "next_url_path",
    "malformed_request",
    "unknown_route",
};

/* Client texts may be no UTF-8 or cut inside a character; the JSON encoder wants neither. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            *text = '?';
}

void sandbox_rules_break(struct sandbox_rules *rules, enum sandbox_rule rule, int64_t at_ms,
                         const char *account, const char *consent, const char *format, ...)
{
    uint64_t number = rules->counts[rule]++;

    if (number < SANDBOX_RULE_EXAMPLES_MAX) {
        struct sandbox_rule_example *example = &rules->examples[rule][number];
        va_list arguments;

        example->at_ms = at_ms;
        (void)snprintf(example->account, sizeof example->account, "%s", account);
        (void)snprintf(example->consent, sizeof example->consent, "%s",
                       consent != NULL ? consent : "");
        va_start(arguments, format);
        (void)vsnprintf(example->detail, sizeof example->detail, format, arguments);
        va_end(arguments);
        make_printable(example->consent);
        make_printable(example->detail);
    }
}

static json_t *examples_json(const struct sandbox_rules *rules, size_t rule)
{
    json_t *list = json_array();
    uint64_t count = rules->counts[rule];

    if (count > SANDBOX_RULE_EXAMPLES_MAX)
        count = SANDBOX_RULE_EXAMPLES_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct sandbox_rule_example *example = &rules->examples[rule][i];
        char at[UTC_TEXT_SIZE];

        (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "at",
                                                    utc_text((struct utc_time){example->at_ms}, at),
                                                    "account", example->account, "consent",
                                                    example->consent, "detail", example->detail));
    }
    return list;
}

json_t *sandbox_rules_json(const struct sandbox_rules *rules)
{
    json_t *by_rule = json_object();
    json_t *examples = json_object();
    uint64_t total = 0;

    for (size_t i = 0; i < SANDBOX_RULE_COUNT; i++) {
        total += rules->counts[i];
        (void)json_object_set_new(by_rule, rule_texts[i],
                                  json_integer((json_int_t)rules->counts[i]));
        if (rules->counts[i] > 0)
            (void)json_object_set_new(examples, rule_texts[i], examples_json(rules, i));
    }
    return json_pack("{s:I, s:o, s:o}", "total", (json_int_t)total, "by_rule", by_rule, "examples",
                     examples);
}
