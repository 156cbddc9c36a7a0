/* SPDX-License-Identifier: MIT
 *
 * sandbox_scenario.h - what the sandbox plays: every setting, with defaults, read from JSON.
 *
 * Layer:  sandbox (jansson). docs/SANDBOX.md documents every key.
 * Memory: a scenario owns its JSON document; texts in it are borrowed from there.
 * Change: sandbox_scenario_merge makes a new scenario; the old one stays whole when it fails.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_SCENARIO_H
#define REFRESHD_SANDBOX_SANDBOX_SCENARIO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"
#include "base/time_point.h"
#include "sandbox/sandbox_rates.h"
#include "sandbox/sandbox_read.h"
#include "sandbox/sandbox_words.h"

/* What may happen to a consent or to one of its jobs, as a share of all. The first group is a
 * property of the consent, the second is drawn for each job. */
enum sandbox_share {
    SANDBOX_SHARE_REVOKED,
    SANDBOX_SHARE_EXPIRED,
    SANDBOX_SHARE_SUSPENDED,
    SANDBOX_SHARE_NOT_ACTIVE,
    SANDBOX_SHARE_NOT_FOUND,
    SANDBOX_SHARE_CONSENT_COUNT,
    SANDBOX_SHARE_PARTIAL = SANDBOX_SHARE_CONSENT_COUNT,
    SANDBOX_SHARE_JOB_FAILED,
    SANDBOX_SHARE_BANK_LIMIT,
    SANDBOX_SHARE_PROVIDER_MAINTENANCE,
    SANDBOX_SHARE_PROVIDER_UNAVAILABLE,
    SANDBOX_SHARE_PROVIDER_TIMEOUT,
    SANDBOX_SHARE_PROVIDER_FAILURE,
    SANDBOX_SHARE_INTERNAL_ERROR,
    SANDBOX_SHARE_HANG,
    SANDBOX_SHARE_LOST,
    SANDBOX_SHARE_UNKNOWN_STATUS,
    SANDBOX_SHARE_FATE_COUNT,
    SANDBOX_SHARE_NO_NEW_DATA = SANDBOX_SHARE_FATE_COUNT, /* beside any other fate */
    SANDBOX_SHARE_COUNT
};

enum sandbox_fault {
    SANDBOX_FAULT_NONE,
    /* before the request has any effect */
    SANDBOX_FAULT_HTTP_500,
    SANDBOX_FAULT_HTTP_500_MESSAGE,
    SANDBOX_FAULT_HTTP_503,
    SANDBOX_FAULT_HTTP_429,
    SANDBOX_FAULT_HTTP_429_DATE,
    SANDBOX_FAULT_HTTP_429_BARE,
    SANDBOX_FAULT_HTTP_401,
    SANDBOX_FAULT_HTTP_403,
    SANDBOX_FAULT_UNKNOWN_CODE,
    SANDBOX_FAULT_REDIRECT,
    SANDBOX_FAULT_DROP_BEFORE,
    SANDBOX_FAULT_AFTER, /* not a fault: those above act before, those below after */
    /* the request has had its effect, the answer is spoiled */
    SANDBOX_FAULT_DROP_AFTER = SANDBOX_FAULT_AFTER,
    SANDBOX_FAULT_RESET_AFTER,
    SANDBOX_FAULT_TRUNCATED_LENGTH,
    SANDBOX_FAULT_TRUNCATED_CLOSE,
    SANDBOX_FAULT_HUGE_BODY,
    SANDBOX_FAULT_INVALID_JSON,
    SANDBOX_FAULT_WRONG_TYPES,
    SANDBOX_FAULT_OTHER_ID,
    SANDBOX_FAULT_EMPTY_BODY,
    SANDBOX_FAULT_NOT_HTTP,
    SANDBOX_FAULT_GZIP_BOMB,
    SANDBOX_FAULT_SLOW, /* late but right */
    SANDBOX_FAULT_COUNT
};

const char *sandbox_fault_text(enum sandbox_fault fault);

struct sandbox_fault_plan {
    double shares[SANDBOX_FAULT_COUNT];
    const json_t *next; /* array of fault words for the next requests, or NULL */
    bool is_set;
};

struct sandbox_limits {
    struct sandbox_rates rates;
    int64_t requests_in_flight; /* 0: no limit */
    int64_t jobs_running;       /* 0: no limit */
};

struct sandbox_bank {
    const char *name;
    struct sandbox_limits limits;
    struct sandbox_range job_duration_ms; /* min -1: the scenario's own */
    struct sandbox_range answer_delay_ms; /* min -1: the scenario's own */
    struct sandbox_rates refuse_over;     /* the bank's own limit: verdict provider_request_limit */
    struct utc_time maintenance_from;
    struct utc_time maintenance_until;
    double fail_share;
    const char *result; /* verdict of all its jobs, or NULL */
    bool maintenance;
    bool hang;
    bool down;
};

enum sandbox_auth_mode { SANDBOX_AUTH_ANY, SANDBOX_AUTH_INTERNAL, SANDBOX_AUTH_OAUTH2 };

struct sandbox_account_settings {
    const char *name;
    const char *client_id;     /* NULL: any */
    const char *client_secret; /* NULL: any */
    int auth_mode;             /* enum sandbox_auth_mode */
    int64_t token_lifetime_s;
    int64_t token_early_expiry_ms; /* tokens die so long after issue whatever they say; 0: no */
    int64_t token_delay_ms;
    int64_t credentials_rejected_for_ms; /* from the moment the setting arrives */
    int64_t stampede_ms;
    int64_t auth_grace_ms;
    bool refresh_tokens; /* Bud: hand out refresh tokens */
    struct sandbox_limits limits;
};

enum sandbox_webhooks { SANDBOX_WEBHOOK_NONE, SANDBOX_WEBHOOK_FINAL, SANDBOX_WEBHOOK_EVERY };
enum sandbox_second { SANDBOX_SECOND_COOLDOWN, SANDBOX_SECOND_SAME_JOB, SANDBOX_SECOND_NEW_JOB };
enum sandbox_revoked { SANDBOX_REVOKED_MIXED, SANDBOX_REVOKED_COMPLETED, SANDBOX_REVOKED_FAILED };
enum sandbox_algorithm { SANDBOX_RS256, SANDBOX_ES256 };

struct sandbox_finqware_settings {
    int64_t cooldown_ms;
    bool cooldown_after_failure;
    bool known_cooldown;
    int second_create;          /* enum sandbox_second */
    int webhook;                /* enum sandbox_webhooks */
    struct sandbox_rates quota; /* one entry */
    int64_t consent_validity_days;
};

struct sandbox_bud_settings {
    int64_t dedupe_ms;
    int64_t reposts_allowed;
    bool hosted;
    double old_status_words;
    int revoked_shape; /* enum sandbox_revoked */
    const char *webhook_url_v1;
    const char *webhook_url_v2;
    const char *webhook_url_consents;
    const char *default_provider;
    int64_t next_url_delay_v1_ms;
    int64_t next_url_delay_v2_ms;
    bool next_url_trap;
    struct sandbox_rates quota;
};

struct sandbox_webhook_settings {
    int algorithm; /* enum sandbox_algorithm */
    int64_t retries;
    int64_t retry_ms;
    int64_t duplicates; /* each webhook is sent so many times more */
    int64_t delay_ms;
    double lost; /* share never sent */
    bool bad_signature;
};

struct sandbox_scenario {
    json_t *document;
    int64_t seed;
    bool instant;
    struct sandbox_range job_duration_ms;
    struct sandbox_range answer_delay_ms;
    int64_t job_retention_ms; /* 0: jobs are kept */
    int64_t poll_floor_ms;
    int64_t rate_tolerance_ms;
    int64_t window_tolerance_ms;
    int64_t abandoned_after_ms;
    int64_t clock_offset_ms;
    const char *banks_csv;
    int bank_from_id; /* 0 none, 1 prefix-before-dash */
    double shares[SANDBOX_SHARE_COUNT];
    int64_t slow_ms;
    int64_t huge_bytes;
    int64_t retry_after_s;
    struct sandbox_fault_plan faults[SANDBOX_API_COUNT][SANDBOX_ENDPOINT_COUNT];
    struct sandbox_finqware_settings finqware;
    struct sandbox_bud_settings bud;
    struct sandbox_webhook_settings webhook;
    const json_t *consents; /* checked; NULL when none */
    const json_t *limits;   /* checked */
    const json_t *accounts; /* checked */
    const json_t *banks;    /* checked */
};

/* One explicitly described consent. Texts NULL and numbers -1 where nothing is said. */
struct sandbox_consent {
    const char *state;
    const char *result;
    const char *bank;
    const char *status_word;
    const char *customer_secret;
    const char *authorized_until;
    const json_t *providers;
    const json_t *create_faults;
    const json_t *poll_faults;
    struct sandbox_answer_error {
        int64_t status; /* 0: none */
        const char *code;
    } create_error, poll_error;
    int64_t duration_ms;
    int has_new_transactions; /* 0 no, 1 yes, 2 unset */
    int reconnect_required;
    int hosted;
    bool hang;
};

/* The defaults, or what is in the file. `path` may be NULL. */
enum result sandbox_scenario_load(const char *path, struct sandbox_scenario **out,
                                  struct fault *fault) MUST_CHECK;
/* `patch` laid over the document of `old` (objects merge, null takes a key away). */
enum result sandbox_scenario_merge(const struct sandbox_scenario *old, const json_t *patch,
                                   struct sandbox_scenario **out, struct fault *fault) MUST_CHECK;
void sandbox_scenario_destroy(struct sandbox_scenario *scenario);

/* Settings of one account: defaults, then `accounts.NAME`, then `limits.NAME`. */
void sandbox_scenario_account(const struct sandbox_scenario *scenario, const char *name,
                              struct sandbox_account_settings *out);
/* Settings of one bank: defaults, then `banks.default`, then `banks.NAME`. */
void sandbox_scenario_bank(const struct sandbox_scenario *scenario, const char *name,
                           struct sandbox_bank *out);
/* What is said about `first`, else about `second` (may be NULL); false when nothing is. */
bool sandbox_scenario_consent(const struct sandbox_scenario *scenario, const char *first,
                              const char *second, struct sandbox_consent *out);

#endif
