/* SPDX-License-Identifier: MIT
 *
 * api_definition.h - how one provider API works, as plain immutable data.
 *
 * Layer:   config. Read from YAML (config/apis/NAME.yaml, or a file of the user) and validated
 *          whole; provider/ executes it. docs/DEFINITIONS.md explains the language.
 * Rules:   pointers and ordered rules only, no expressions. A definition that was given out by
 *          api_definition_parse() holds no unknown variable, no variable where it cannot exist,
 *          no secret in a path, no header that belongs to the transport, no customer's address.
 * Memory:  everything lives in the arena given to the loader.
 */
#ifndef REFRESHD_CONFIG_API_DEFINITION_H
#define REFRESHD_CONFIG_API_DEFINITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "config/diagnostics.h"
#include "scheduler/record.h"
#include "scheduler/settings.h"

#define API_MODES_MAX 8
#define API_FLAGS_MAX 8
#define API_REQUEST_COUNT 5 /* values of enum request_kind */

/* ---- what a template can hold ---- */

/* The placeholders, by the names that a definition writes between braces. */
enum api_variable {
    API_VARIABLE_NONE,            /* literal text */
    API_VARIABLE_CONSENT_ID,      /* consent.id */
    API_VARIABLE_CUSTOMER,        /* consent.customer */
    API_VARIABLE_CUSTOMER_OWN_ID, /* consent.customer_own_id */
    API_VARIABLE_INSTITUTION,     /* consent.institution; absent for the node `-` */
    API_VARIABLE_JOB_ID,          /* job.id: poll only */
    API_VARIABLE_CALLBACK_URL,    /* callback_url: initiate only; absent without webhooks */
    API_VARIABLE_FROM,            /* from, to: initiate only; ISO 8601 in UTC */
    API_VARIABLE_TO,
    API_VARIABLE_CLIENT_ID,       /* client_id */
    API_VARIABLE_SCOPE,           /* scope: token requests only */
    API_VARIABLE_CLIENT_SECRET,   /* secrets from here on: never in a path */
    API_VARIABLE_BASIC,           /* basic_credentials: base64(client_id:client_secret) */
    API_VARIABLE_TOKEN,           /* token: only where the auth mode obtains one */
    API_VARIABLE_CUSTOMER_SECRET, /* customer_secret */
    API_VARIABLE_COUNT
};

/* The name in braces, without the braces; "" for API_VARIABLE_NONE. */
const char *api_variable_text(enum api_variable variable);

/* A piece of a template: literal text, or a placeholder. */
struct api_part {
    const char *literal; /* when variable is API_VARIABLE_NONE */
    size_t length;
    enum api_variable variable;
    bool is_optional; /* written {name?}: absent means: leave the member out */
};

struct api_template {
    const struct api_part *parts;
    uint32_t part_count;
    struct place place;
};

/* In which auth modes something is sent: bit i is modes[i]. */
typedef uint8_t api_mode_set;

struct api_header {
    const char *name;
    struct api_template value;
    api_mode_set modes;
};

enum api_node_kind {
    API_NODE_TEXT,    /* a JSON string, or a form value: `value` */
    API_NODE_LITERAL, /* a JSON number, true, false or null: `literal` */
    API_NODE_OBJECT,  /* children with keys */
    API_NODE_ARRAY    /* children without keys */
};

/* Body template. A form body is an API_NODE_OBJECT of API_NODE_TEXT children. */
struct api_node {
    enum api_node_kind kind;
    const char *key; /* NULL: root, or item of an array */
    struct api_template value;
    const char *literal;
    const struct api_node *children;
    uint32_t child_count;
    api_mode_set modes;
};

/* ---- what an answer holds ---- */

/* JSON pointer (RFC 6901), split and unescaped. */
struct api_pointer {
    const char *text; /* as written */
    const char *const *tokens;
    uint32_t token_count;
};

/* Where a value is found: the first of these pointers that leads to one. None: not told. */
struct api_source {
    const struct api_pointer *pointers;
    uint32_t pointer_count;
};

/* The value must equal ours where the answer has it; else the answer is another's. */
struct api_echo {
    struct api_source source;
    enum api_variable variable; /* consent.* or job.id */
    struct place place;
};

/* Results of one job, one per institution. */
struct api_children {
    bool is_used;
    struct api_pointer array;
    struct api_source key; /* compared with consent.institution */
    struct api_source job;
    struct api_source status;
    struct api_source result;
    struct api_source expires;              /* an instant: the end of the consent there */
    struct api_source flags[API_FLAGS_MAX]; /* same index as api_definition.flag_names */
};

/* Words of a status map, sorted by the class they mean. */
enum api_status { API_STATUS_RUNNING, API_STATUS_SUCCESS, API_STATUS_PARTIAL, API_STATUS_FAILED };
struct api_word {
    const char *word; /* compared without regard to ASCII case */
    int value;        /* enum api_status or enum look_up_verdict */
};

/* The maintenance that the answer to `institutions` tells. Status words are in `verdicts`: 1 means
 * in maintenance, 0 not. */
struct api_maintenance {
    struct api_source items;   /* an array, one item for each institution */
    struct api_source name;    /* in each item; compared with the name of ours */
    struct api_source windows; /* in each item: one object, or an array of them */
    struct api_source start;   /* in each window: instants; no end: until further notice */
    struct api_source end;
};

struct api_answer {
    struct api_source job;   /* the provider's job id; initiate: required */
    bool job_may_be_integer; /* job_type: integer; else an id of the wrong type is no id */
    struct api_source status;
    struct api_source result;
    struct api_source code;
    struct api_source message;
    struct api_source error_id;
    struct api_source request_id;
    struct api_source flags[API_FLAGS_MAX]; /* same index as api_definition.flag_names */
    struct api_source poll_hint;
    int64_t poll_hint_unit_ms;     /* 1 or 1000 */
    struct api_source job_started; /* instants: ISO 8601 text */
    struct api_source expires;
    struct api_source next_allowed;
    struct api_source access_token; /* token requests */
    struct api_source token_type;
    struct api_source expires_in; /* seconds */
    int64_t default_lifetime_ms;  /* where expires_in is missing */
    const struct api_echo *echoes;
    uint32_t echo_count;
    struct api_children children;
    const struct api_word *verdicts; /* look_up: status word to enum look_up_verdict */
    uint32_t verdict_count;
    struct api_maintenance maintenance; /* institutions */
};

#define API_ACCEPTED_MAX 16

enum api_body_kind { API_BODY_NONE, API_BODY_JSON, API_BODY_FORM };

struct api_request {
    bool is_used;
    const char *method;       /* "GET", "POST", "PUT" */
    bool uses_configured_url; /* token: `url: configured` instead of a path */
    struct api_template path; /* begins with '/', may hold a query */
    const struct api_header *headers;
    uint32_t header_count;
    enum api_body_kind body_kind;
    struct api_node body;
    uint16_t accepted[API_ACCEPTED_MAX]; /* HTTP codes */
    uint32_t accepted_count;
    struct api_answer answer;
    struct place place;
};

/* ---- judging ---- */

struct api_http_range {
    uint16_t first;
    uint16_t last;
};

/* All conditions that are given must hold; within one, any of its values. The first rule that
 * holds decides. */
struct api_rule {
    uint8_t requests; /* bit per enum request_kind; 0: any */
    uint8_t statuses; /* bit per enum api_status; 0: any */
    uint8_t flags;    /* bit per flag: any of them true; 0: any */
    bool wants_look_up;
    const struct api_http_range *http; /* count 0: any */
    uint32_t http_count;
    const char *const *codes; /* without regard to ASCII case; count 0: any */
    uint32_t code_count;
    const char *const *results;
    uint32_t result_count;
    enum answer_class class_;
    enum reason reason;
    struct place place;
};

/* ---- auth, consents, webhooks ---- */

struct api_mode {
    const char *name;
    const char *title;
    bool has_token; /* the token request below is used */
    struct api_request token;
};

/* What makes two refreshes the same to the provider: bits. */
enum api_key_field { API_KEY_ID = 1, API_KEY_CUSTOMER = 2, API_KEY_INSTITUTION = 4 };

enum api_webhook_url {
    API_WEBHOOK_NONE,
    API_WEBHOOK_PER_REQUEST, /* callback_url in the initiate request: /webhooks/{provider}/{token}
                              */
    API_WEBHOOK_REGISTERED   /* registered at the provider by a person: /webhooks/{provider} */
};

enum api_event_kind {
    API_EVENT_JOB,     /* something happened to a job: poll it */
    API_EVENT_HOLD,    /* the consent ended */
    API_EVENT_RELEASE, /* the consent works again */
    API_EVENT_IGNORE   /* known, and none of our business */
};

struct api_match {
    struct api_pointer pointer;
    const char *equals; /* compared without regard to ASCII case */
};

/* The first event whose matches all hold decides. */
struct api_event {
    enum api_event_kind kind;
    const struct api_match *matches;
    uint32_t match_count;
    struct api_source job;
    struct api_source consent;
    struct api_source customer;
    struct api_source institution;
    struct api_source status;
    struct api_source result;
    struct api_source expires;
    struct api_pointer children; /* array; token_count 0 and text NULL: none */
    struct api_source child_job;
    struct place place;
};

enum api_signature_scheme { API_SIGNATURE_NONE, API_SIGNATURE_JWS, API_SIGNATURE_HMAC_SHA256 };

struct api_webhook {
    enum api_webhook_url url;
    enum api_signature_scheme scheme;
    const char *signature_header; /* NULL: none */
    const char *key_id_header;    /* NULL: none */
    const char *keys;             /* JWKS: a path on base_url, or an https URL; NULL: none */
    const struct api_event *events;
    uint32_t event_count;
};

/* ---- the definition ---- */

struct api_definition {
    const char *name;
    const char *title;
    const char *file;   /* as in diagnostics */
    bool is_unattended; /* refreshes without the customer present are allowed */

    struct api_mode modes[API_MODES_MAX];
    uint32_t mode_count; /* >= 1; a single one needs no `auth.mode` */

    uint8_t consent_requires;    /* API_KEY_CUSTOMER (either form), API_KEY_INSTITUTION */
    bool allows_own_customer_id; /* customer_own_id can be sent */
    bool uses_customer_secret;
    uint8_t single_flight;    /* enum api_key_field bits; never 0 */
    int64_t dedupe_window_ms; /* 0: the provider does not attach */
    enum in_doubt_rule in_doubt;
    struct cooldown_settings cooldown;     /* defaults; all 0: none */
    struct completion_settings completion; /* defaults; `webhook` is false here */
    bool uses_look_back;                   /* from or to can be sent */
    int64_t look_back_max_ms;              /* 0: no limit */

    struct api_request requests[API_REQUEST_COUNT]; /* by enum request_kind; TOKEN: see modes */
    const char *request_id_header;                  /* answers carry an id there; NULL */

    const char *flag_names[API_FLAGS_MAX];
    uint32_t flag_count;
    int flag_reconnect; /* index of `reconnect_required`; -1 */
    int flag_new_data;  /* index of `has_new_data`; -1 */
    const struct api_word *statuses;
    uint32_t status_count;
    const struct api_rule *rules;
    uint32_t rule_count;

    struct api_webhook webhook;
};

/* Read and validate one definition; `file` names it in places. NULL after at least one error
 * was added to `diagnostics`. */
const struct api_definition *api_definition_parse(const char *bytes, size_t length,
                                                  const char *file, struct arena *arena,
                                                  struct diagnostics *diagnostics);

/* What the value of `api:` means: a built-in name, or, when it holds a slash, the path of a file
 * (relative ones are the caller's to resolve). `place` is where it is written, for "no such
 * API". NULL after at least one error was added. */
const struct api_definition *api_definition_load(const char *api, struct place place,
                                                 struct arena *arena,
                                                 struct diagnostics *diagnostics);

/* Index of an auth mode; `name` NULL means "not given" and finds the only one. -1: no such mode,
 * or not given though there are several. */
int api_definition_mode(const struct api_definition *definition, const char *name);

#endif
