/* SPDX-License-Identifier: MIT
 * control_scope.c - see control_scope.h. */
#include "daemon/control_scope.h"

#include <stdio.h>
#include <string.h>

#include "daemon/engine_internal.h"

static uint32_t find_institution(const struct engine *engine, const char *subject)
{
    const struct scheduler_settings *settings = &engine->settings;
    const char *slash = strchr(subject, '/');

    if (slash == NULL)
        return UINT32_MAX;
    for (uint32_t i = 0; i < settings->institution_count; i++) {
        const struct institution_settings *institution = &settings->institutions[i];
        const char *provider = settings->providers[institution->provider].name;

        if (strlen(provider) == (size_t)(slash - subject) &&
            memcmp(provider, subject, (size_t)(slash - subject)) == 0 &&
            strcmp(institution->name, slash + 1) == 0)
            return i;
    }
    return UINT32_MAX;
}

static const struct {
    const char *word;
    enum scope_kind kind;
    const char *form;
} scopes[] = {
    {"all", SCOPE_ALL, ""},
    {"provider", SCOPE_PROVIDER, "PROVIDER"},
    {"institution", SCOPE_INSTITUTION, "PROVIDER/INSTITUTION"},
    {"schedule", SCOPE_SCHEDULE, "SCHEDULE"},
    {"consent", SCOPE_CONSENT, "PROVIDER/ID"},
};
#define SCOPE_WORDS (sizeof scopes / sizeof scopes[0])

enum result control_scope_resolve(const struct engine *engine, const char *scope,
                                  const char *subject, struct control_scope *out,
                                  struct fault *fault)
{
    size_t word = 0;

    while (word < SCOPE_WORDS && (scope == NULL || strcmp(scopes[word].word, scope) != 0))
        word++;
    if (word == SCOPE_WORDS)
        return fault_set(fault, FAULT_USAGE,
                         "scope \"%.64s\": allowed are all, provider, institution, schedule, "
                         "consent",
                         scope == NULL ? "" : scope);
    if (scopes[word].kind != SCOPE_ALL &&
        (subject == NULL || strlen(subject) >= sizeof out->subject))
        return fault_set(fault, FAULT_USAGE, "which %s? write %s", scopes[word].word,
                         scopes[word].form);
    *out = (struct control_scope){.kind = scopes[word].kind};
    if (scopes[word].kind != SCOPE_ALL)
        (void)snprintf(out->subject, sizeof out->subject, "%s", subject);
    switch (out->kind) {
    case SCOPE_ALL: return RESULT_OK;
    case SCOPE_PROVIDER: out->index = config_find_provider(engine->config, subject); break;
    case SCOPE_INSTITUTION: out->index = find_institution(engine, subject); break;
    case SCOPE_SCHEDULE: out->index = config_find_schedule(engine->config, subject); break;
    case SCOPE_CONSENT:
        out->index = population_find(&engine->population, engine->config, subject);
        if (out->index == 0)
            out->index = UINT32_MAX;
        break;
    }
    if (out->index == UINT32_MAX)
        return fault_set(fault, FAULT_USAGE, "there is no %s %s in the configuration (write %s)",
                         scopes[word].word, subject, scopes[word].form);
    return RESULT_OK;
}
