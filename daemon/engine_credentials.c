/* SPDX-License-Identifier: MIT
 * engine_credentials.c - one line when a provider stops because our credentials are refused, with
 * what it said, and one when it goes on. Nobody fails for it, so nothing else would tell. */
#include <stdio.h>

#include "daemon/engine_internal.h"
#include "provider/classify.h"

void engine_credentials_refused(struct provider_link *link, int http_status,
                                const struct answer_texts *texts)
{
    link->refused_status = http_status;
    (void)snprintf(link->refused_code, sizeof link->refused_code, "%s", texts->error_code);
    (void)snprintf(link->refused_message, sizeof link->refused_message, "%s", texts->error_message);
}

static void say(struct engine *engine, struct time_now now, uint32_t index, bool is_refused)
{
    const struct provider_link *link = engine->links[index];
    struct node_view view;

    log_begin(engine->log, now.utc, is_refused ? LOG_ERROR : LOG_INFO,
              is_refused ? "credentials_refused" : "credentials_accepted");
    log_text(engine->log, "provider", link->settings->name);
    if (is_refused) {
        scheduler_provider_view(engine->scheduler, now, index, &view);
        log_integer(engine->log, "http_status", link->refused_status);
        log_text(engine->log, "code", link->refused_code[0] == '\0' ? NULL : link->refused_code);
        log_text(engine->log, "error",
                 link->refused_message[0] == '\0' ? NULL : link->refused_message);
        if (view.blocked_reason == REASON_AUTH)
            log_instant(engine->log, "next_try", view.blocked_until);
        log_text(engine->log, "hint",
                 "its slots wait; correct the secret that providers.*.auth names, then reload");
    }
    log_end(engine->log);
}

void engine_watch_credentials(struct engine *engine, struct time_now now)
{
    for (uint32_t i = 0; i < engine->link_count; i++) {
        struct provider_link *link = engine->links[i];
        bool is_refused = scheduler_credentials_are_refused(engine->scheduler, i);

        if (is_refused == link->is_refused)
            continue;
        link->is_refused = is_refused;
        say(engine, now, i, is_refused);
    }
}
