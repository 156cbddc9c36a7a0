/* SPDX-License-Identifier: MIT
 *
 * sandbox_bud.h - what the endpoints of Bud share: the customer of a request and its checks.
 *
 * Layer: sandbox. Private to the sandbox_bud files.
 */
#ifndef REFRESHD_SANDBOX_SANDBOX_BUD_H
#define REFRESHD_SANDBOX_SANDBOX_BUD_H

#include "sandbox/sandbox_state.h"

/* "customer/bank" in a buffer, for look-ups in the scenario; cut when too long. */
#define SANDBOX_BUD_KEY_SIZE 320
char *sandbox_bud_key(char out[SANDBOX_BUD_KEY_SIZE], const char *customer, const char *bank);
/* The customer a request is about, or NULL after the error was made. */
const char *sandbox_bud_customer(struct sandbox_exchange *exchange);
/* Token and client id; false after the error was made. */
bool sandbox_bud_authorise(struct sandbox_exchange *exchange);
/* `from` and `to` of a create; false after the error was made. */
bool sandbox_bud_check_period(struct sandbox_exchange *exchange, const json_t *body);
/* X-Customer-Secret of a create; false after the error was made. */
bool sandbox_bud_check_secret(struct sandbox_exchange *exchange, const char *customer);
/* YYYY-MM-DDTHH:MM:SS[.fraction](Z|+HH:MM|+HHMM) and nothing else. */
bool sandbox_bud_parse_time(const char *text, int64_t *ms);
/* One bank's part of a task as it is shown now. */
struct sandbox_bud_view {
    const char *status;
    const char *result; /* NULL while it runs */
    bool is_over;
    bool reconnect_required;
    bool has_new;
};
void sandbox_bud_look(const struct sandbox *sandbox, const struct sandbox_job *job,
                      uint8_t verdict_number, uint16_t flags, bool is_over, uint32_t label,
                      struct sandbox_bud_view *view);
/* v1 and v2: POST refresh, GET refresh/{task_id}. */
void sandbox_bud_create(struct sandbox_exchange *exchange);
void sandbox_bud_poll(struct sandbox_exchange *exchange, const char *task_id);

#endif
