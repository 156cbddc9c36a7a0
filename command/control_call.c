/* SPDX-License-Identifier: MIT
 * control_call.c - see control_call.h. */
#include "command/control_call.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/control_client.h"
#include "state/state_lock.h"

#define CALL_TIMEOUT_MS INT64_C(60000)

bool control_is_running(const struct config *config)
{
    return state_lock_is_held(config->state.database, NULL, 0);
}

struct call {
    void (*on_line)(void *context, const json_t *line);
    void *context;
};

static void on_text(void *context, const char *line, size_t length)
{
    const struct call *call = context;
    json_t *object = json_loadb(line, length, 0, NULL);

    if (object != NULL && call->on_line != NULL)
        call->on_line(call->context, object);
    json_decref(object);
}

enum result control_call(const struct config *config, json_t *request,
                         void (*on_line)(void *context, const json_t *line), void *context,
                         struct fault *fault)
{
    struct call call = {on_line, context};
    char *text = json_dumps(request, JSON_COMPACT);
    char path[4096];
    enum result result;

    json_decref(request);
    if (text == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    (void)snprintf(path, sizeof path, "%s.sock", config->state.database);
    result = control_client_call(path, text, CALL_TIMEOUT_MS, on_text, &call, fault);
    free(text);
    return result;
}

const char *control_whoami(void)
{
    static char who[128];
    const struct passwd *entry = getpwuid(getuid());

    if (entry != NULL)
        (void)snprintf(who, sizeof who, "uid %u (%.64s)", (unsigned)getuid(), entry->pw_name);
    else
        (void)snprintf(who, sizeof who, "uid %u", (unsigned)getuid());
    return who;
}
