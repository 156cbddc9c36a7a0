/* SPDX-License-Identifier: MIT
 * engine_pauses.c - pauses hold by name: what a new configuration brings back is paused as before.
 */
#include <string.h>

#include "daemon/control_scope.h"
#include "daemon/engine_internal.h"

struct reapply {
    struct engine *engine;
    struct time_now now;
};

static void reapply_one(void *context, enum scope_kind kind, const char *subject,
                        struct utc_time until)
{
    const struct reapply *reapply = context;
    struct event event = {.kind = EVENT_PAUSE};
    struct control_scope scope;
    struct fault fault;

    if (control_scope_resolve(reapply->engine, control_scope_word(kind), subject, &scope, &fault) !=
        RESULT_OK)
        return; /* it is not there now; it may come again */
    event.as.pause.scope = scope.kind;
    event.as.pause.index = scope.index;
    event.as.pause.until = until;
    engine_put_event(reapply->engine, reapply->now, &event, NULL, 0);
}

void engine_reapply_pauses(struct engine *engine, struct time_now now)
{
    struct reapply reapply = {engine, now};
    struct fault fault;

    if (state_store_each_pause(engine->store, now.utc, reapply_one, &reapply, &fault) != RESULT_OK)
        engine_fail(engine, &fault);
}
