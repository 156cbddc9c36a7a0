/* SPDX-License-Identifier: MIT
 *
 * sandbox_rules.h - what a client must not do: a counter for each rule, and the first examples.
 *
 * Layer: sandbox. docs/SANDBOX.md explains each rule.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_RULES_H
#define REFRESHD_SANDBOX_SANDBOX_RULES_H

#include <jansson.h>
#include <stdint.h>

#include "base/result.h"

enum sandbox_rule {
    SANDBOX_RULE_COOLDOWN,
    SANDBOX_RULE_QUOTA,
    SANDBOX_RULE_SINGLE_FLIGHT,
    SANDBOX_RULE_REPOST,
    SANDBOX_RULE_POLL_WRONG_CONSENT,
    SANDBOX_RULE_POLL_UNKNOWN_JOB,
    SANDBOX_RULE_POLL_TOO_FAST,
    SANDBOX_RULE_ACCOUNT_RATE,
    SANDBOX_RULE_BANK_RATE,
    SANDBOX_RULE_ACCOUNT_IN_FLIGHT,
    SANDBOX_RULE_BANK_IN_FLIGHT,
    SANDBOX_RULE_ACCOUNT_JOBS_RUNNING,
    SANDBOX_RULE_BANK_JOBS_RUNNING,
    SANDBOX_RULE_SECRET_IN_BEARER_MODE,
    SANDBOX_RULE_CUSTOMER_IP,
    SANDBOX_RULE_CUSTOMER_SECRET_ON_GET,
    SANDBOX_RULE_MISSING_CUSTOMER_SECRET,
    SANDBOX_RULE_LOOK_BACK,
    SANDBOX_RULE_BAD_PERIOD,
    SANDBOX_RULE_MISSING_CLIENT_ID,
    SANDBOX_RULE_MISSING_CUSTOMER,
    SANDBOX_RULE_BOTH_CUSTOMER_HEADERS,
    SANDBOX_RULE_EXPIRED_TOKEN_REUSED,
    SANDBOX_RULE_TOKEN_STAMPEDE,
    SANDBOX_RULE_AUTH_HAMMER,
    SANDBOX_RULE_REDIRECT_FOLLOWED,
    SANDBOX_RULE_NEXT_URL_PATH,
    SANDBOX_RULE_MALFORMED_REQUEST,
    SANDBOX_RULE_UNKNOWN_ROUTE,
    SANDBOX_RULE_COUNT
};

#define SANDBOX_RULE_EXAMPLES_MAX 20

struct sandbox_rule_example {
    int64_t at_ms;
    char account[32];
    char consent[96];
    char detail[160];
};

struct sandbox_rules {
    uint64_t counts[SANDBOX_RULE_COUNT];
    struct sandbox_rule_example examples[SANDBOX_RULE_COUNT][SANDBOX_RULE_EXAMPLES_MAX];
};

/* Count one break. `consent` may be NULL. */
void sandbox_rules_break(struct sandbox_rules *rules, enum sandbox_rule rule, int64_t at_ms,
                         const char *account, const char *consent, const char *format, ...)
    PRINTF_LIKE(6, 7);
/* {"total": N, "by_rule": {every rule}, "examples": {only broken ones}}; NULL without memory. */
json_t *sandbox_rules_json(const struct sandbox_rules *rules);

#endif
