/* SPDX-License-Identifier: MIT
 *
 * sandbox_state.h - what the parts of the sandbox share while a request is served.
 *
 * Layer: sandbox. Private to the folder; the public face is sandbox.h.
 * Time:  `now_ms` is UTC plus the scenario's clock offset, taken from the arrival of the request.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_STATE_H
#define REFRESHD_SANDBOX_SANDBOX_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "sandbox/sandbox_http.h"
#include "sandbox/sandbox_ids.h"
#include "sandbox/sandbox_jobs.h"
#include "sandbox/sandbox_names.h"
#include "sandbox/sandbox_rates.h"
#include "sandbox/sandbox_rules.h"
#include "sandbox/sandbox_scenario.h"

struct event;
struct event_base;
struct sandbox_keys;
struct sandbox_webhooks_queue;

#define SANDBOX_ACCOUNTS_MAX 64

/* Running count with its largest value. */
struct sandbox_gauge {
    int64_t now;
    int64_t peak;
};

struct sandbox_token {
    int64_t issued_ms;
    int64_t expires_ms;
    int64_t first_refused_ms; /* 0: never */
    uint32_t late_uses;       /* after the first refusal and its grace */
    bool is_used;
    bool is_refresh;
};

struct sandbox_bank_node {
    struct sandbox_bank settings;
    struct sandbox_window window;        /* for settings.limits.rates */
    struct sandbox_window refuse_window; /* for settings.refuse_over */
    struct sandbox_gauge in_flight;
    struct sandbox_gauge running;
};

struct sandbox_account {
    char name[32];
    bool is_bud;
    uint8_t number;
    struct sandbox_account_settings settings;
    struct sandbox_window window;
    struct sandbox_gauge in_flight;
    struct sandbox_gauge running;
    struct sandbox_bank_node **banks; /* by number in the names, NULL where never used */
    uint32_t bank_capacity;
    struct sandbox_token *tokens;
    uint32_t token_count;
    uint32_t token_capacity;
    uint32_t newest_token;           /* SANDBOX_NONE without one */
    int64_t token_requests_until_ms; /* a delayed token answer is on its way until then */
    int64_t rejected_until_ms;
    int64_t refusals_since_ms; /* first refusal of the episode, 0 without one */
    int64_t refusals_ms[6];    /* ring of the latest refusals after the grace */
    uint32_t refusal_count;
};

struct sandbox_counts {
    uint64_t requests;
    uint64_t accepted;
    uint64_t deduplicated;
    uint64_t refused;
};

struct sandbox_refusal_count {
    char code[48];
    uint64_t count;
};
#define SANDBOX_REFUSALS_MAX 96

struct sandbox {
    struct event_base *base;
    struct sandbox_http_server *http;
    struct event *signals[2];
    struct event *job_timer;
    int64_t job_timer_at_ms; /* INT64_MAX when it is not set */
    uint64_t seed;
    bool seed_is_fixed; /* given on the command line: the scenario's is ignored */
    struct sandbox_scenario *scenario;
    int64_t scenario_at_ms;
    int64_t started_ms;
    struct sandbox_names names;
    struct sandbox_jobs jobs;
    struct sandbox_account *accounts[SANDBOX_ACCOUNTS_MAX];
    uint8_t account_count;
    struct sandbox_rules rules;
    struct sandbox_counts counts[SANDBOX_API_COUNT][SANDBOX_ENDPOINT_COUNT];
    struct sandbox_refusal_count refusals[SANDBOX_REFUSALS_MAX];
    size_t refusal_count;
    uint64_t faults[SANDBOX_FAULT_COUNT];
    uint32_t fault_next[SANDBOX_API_COUNT][SANDBOX_ENDPOINT_COUNT];
    uint64_t fault_draws;
    uint64_t unwitting; /* breaks after a create whose answer was spoiled */
    uint64_t polls_after_end;
    uint64_t webhook_number;
    struct sandbox_gauge running;
    struct sandbox_gauge in_flight;
    uint64_t requests;
    uint32_t request_number;
    struct text body;  /* answer being written */
    struct text extra; /* extra header lines of the answer */
    struct sandbox_keys *keys;
    struct sandbox_webhooks_queue *webhooks;
};

/* One request on its way through the sandbox. */
struct sandbox_exchange {
    struct sandbox *sandbox;
    struct sandbox_http_connection *connection;
    struct sandbox_http_request *request;
    struct sandbox_account *account;
    struct sandbox_bank_node *bank; /* of a create with one known bank */
    enum sandbox_api api;
    enum sandbox_endpoint endpoint;
    int64_t now_ms;
    int64_t arrived_us;  /* with the clock offset */
    const char *rest;    /* path behind the account's prefix */
    const char *consent; /* for examples; NULL when not known yet */
    const char *own_id;  /* id that the fault other_id replaces, or NULL */
    enum sandbox_fault fault;
    struct sandbox_http_answer answer;
};

/* ---- sandbox_accounts.c: accounts, banks, limits ------------------------------------------ */

/* The account of a path prefix ("finqware", "bud-two"), made when it is new; NULL when the name is
 * none or there are too many. */
struct sandbox_account *sandbox_account_find(struct sandbox *sandbox, const char *name,
                                             size_t length);
/* Read the settings of all accounts and banks again after a change of scenario. */
void sandbox_accounts_refresh(struct sandbox *sandbox);
void sandbox_accounts_free(struct sandbox *sandbox);
/* Forget windows, peaks, running jobs and tokens of all accounts. */
void sandbox_accounts_reset(struct sandbox *sandbox);
/* The node of a bank at an account; NULL when memory is out. */
struct sandbox_bank_node *sandbox_account_bank(struct sandbox *sandbox,
                                               struct sandbox_account *account, uint32_t label);
/* A request has come in at the account, or an initiation at the bank: rates and in-flight rules. */
void sandbox_account_arrive(struct sandbox_exchange *exchange);
void sandbox_bank_arrive(struct sandbox_exchange *exchange, uint32_t label);
/* The answer with this tag has left. */
void sandbox_account_leave(struct sandbox *sandbox, uint32_t tag);
void sandbox_gauge_add(struct sandbox_gauge *gauge, int64_t change);
/* The bank of a consent id by the scenario's rule; SANDBOX_NONE when there is none. */
uint32_t sandbox_bank_of_id(struct sandbox *sandbox, const char *id);
/* Delay the answer as the scenario says for everybody, or for this bank. */
void sandbox_add_bank_delay(struct sandbox_exchange *exchange);
/* Rule poll_too_fast; remembers the poll. */
void sandbox_check_poll_floor(struct sandbox_exchange *exchange, struct sandbox_job *job);

/* ---- sandbox_progress.c: the life of jobs ------------------------------------------------- */

/* Let time pass for every job up to `now_ms`: running counts, webhooks. */
void sandbox_progress(struct sandbox *sandbox, int64_t now_ms);
/* Enter a job just added into the counts and the timers. */
void sandbox_progress_start(struct sandbox_exchange *exchange, uint32_t job);
/* Stage of a running Finqware job, 0..3, or 4 when it is at its end. */
int sandbox_progress_stage(const struct sandbox_job *job, int64_t now_ms);
/* Still running as far as its client can know: neither over, nor closed, nor abandoned. */
bool sandbox_job_is_running(const struct sandbox *sandbox, const struct sandbox_job *job,
                            int64_t now_ms);
/* The client is told something that ends the job for it, whatever the job itself still does: it
 * leaves the running counts. */
void sandbox_progress_close(struct sandbox *sandbox, struct sandbox_job *job);
/* Close the job when this poll's fault, or the scenario's error for it, is such an end. */
void sandbox_progress_poll(struct sandbox_exchange *exchange, struct sandbox_job *job,
                           const struct sandbox_consent *said);
/* A poll told the job's state; remembers when that was its end. */
void sandbox_progress_told(struct sandbox *sandbox, struct sandbox_job *job, int64_t now_ms);
/* Accepted jobs of the subject in the rolling window before now. */
uint32_t sandbox_jobs_in_window(const struct sandbox_exchange *exchange, uint32_t subject,
                                int64_t window_ms);

/* ---- sandbox_fate.c: what becomes of a consent and of a job ------------------------------- */

struct sandbox_draw {
    uint8_t verdict;
    uint16_t flags;
    uint32_t duration_ms;
};

/* The consent's state in Finqware's words ("active", "revoked", ...; "missing": not known). */
const char *sandbox_fate_state(const struct sandbox *sandbox, const char *id,
                               const struct sandbox_consent *said);
/* Draw the fate of the subject's next job; `number` counts its jobs. */
void sandbox_fate_draw(const struct sandbox_exchange *exchange, const char *id,
                       const char *bank_name, const struct sandbox_bank *bank,
                       const struct sandbox_consent *said, uint32_t number,
                       struct sandbox_draw *out);
bool sandbox_bank_in_maintenance(const struct sandbox_bank *bank, int64_t now_ms);

/* ---- sandbox_faults.c --------------------------------------------------------------------- */

/* Choose this request's fault. `listed` are the consent's own, `number` its request count. */
void sandbox_fault_choose(struct sandbox_exchange *exchange, const json_t *listed, uint32_t number);
/* Play a fault that acts before the request has an effect; true when the answer is made. */
bool sandbox_fault_before(struct sandbox_exchange *exchange);
/* Spoil the finished answer, if that is the fault. */
void sandbox_fault_after(struct sandbox_exchange *exchange);
/* The client cannot have understood the answer to its create. */
bool sandbox_fault_spoils(enum sandbox_fault fault);

/* ---- sandbox_tokens.c --------------------------------------------------------------------- */

enum sandbox_access {
    SANDBOX_ACCESS_GOOD,
    SANDBOX_ACCESS_MISSING,
    SANDBOX_ACCESS_UNKNOWN_TOKEN,
    SANDBOX_ACCESS_EXPIRED,
    SANDBOX_ACCESS_REFUSED, /* the client's credentials */
};

/* Check "Authorization: Bearer ..." of the request. */
enum sandbox_access sandbox_tokens_check(struct sandbox_exchange *exchange);
/* Check client id and secret; counts refusals and the rule auth_hammer. */
enum sandbox_access sandbox_tokens_credentials(struct sandbox_exchange *exchange,
                                               const char *client_id, const char *client_secret);
/* The token endpoint: form body, Basic or client_id/client_secret, Bud's or RFC 6749's answer. */
void sandbox_tokens_serve(struct sandbox_exchange *exchange);

/* ---- sandbox_answers.c: answers in the shapes of the APIs --------------------------------- */

/* Send sandbox->body with this status. */
void sandbox_answer(struct sandbox_exchange *exchange, int status);
void sandbox_finqware_error(struct sandbox_exchange *exchange, int status, const char *code,
                            const char *message);
void sandbox_bud_error(struct sandbox_exchange *exchange, int status, const char *code,
                       const char *message);
/* Begin a Bud answer: {"operation_id":...,"data": */
void sandbox_bud_begin(struct sandbox_exchange *exchange);
/* Append "text" as a JSON string with its quotes. */
void sandbox_append_quoted(struct text *out, const char *text);
/* A fresh request id as a JSON string with its quotes. */
void sandbox_append_request_id(struct sandbox_exchange *exchange, enum sandbox_id_kind kind);
void sandbox_refused(struct sandbox_exchange *exchange, const char *code);
void sandbox_break(struct sandbox_exchange *exchange, enum sandbox_rule rule, const char *format,
                   ...) PRINTF_LIKE(3, 4);

/* ---- the APIs ----------------------------------------------------------------------------- */

void sandbox_finqware_serve(struct sandbox_exchange *exchange);
/* The status word that a poll would tell at `now_ms`. */
const char *sandbox_finqware_status(const struct sandbox_job *job,
                                    const struct sandbox_consent *said, int64_t now_ms);
void sandbox_bud_serve(struct sandbox_exchange *exchange);
void sandbox_control_serve(struct sandbox_exchange *exchange);

/* ---- sandbox_stats.c ---------------------------------------------------------------------- */

/* All counters as JSON; NULL without memory. */
json_t *sandbox_stats_json(struct sandbox *sandbox, int64_t now_ms);
/* One line of the ledger, with its newline. */
void sandbox_ledger_line(const struct sandbox *sandbox, uint32_t job, int64_t now_ms,
                         struct text *out);

#endif
