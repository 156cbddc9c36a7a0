/* SPDX-License-Identifier: MIT
 * offline_change.c - see offline_change.h. */
#include "command/offline_change.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/control_call.h"
#include "config/consent_table.h"
#include "state/state_lock.h"
#include "state/state_query.h"
#include "state/state_store.h"

static enum scope_kind scope_of(const char *scope)
{
    static const char *const words[] = {
        [SCOPE_ALL] = "all",
        [SCOPE_PROVIDER] = "provider",
        [SCOPE_INSTITUTION] = "institution",
        [SCOPE_SCHEDULE] = "schedule",
        [SCOPE_CONSENT] = "consent",
    };

    for (enum scope_kind kind = SCOPE_ALL; kind <= SCOPE_CONSENT; kind++)
        if (strcmp(words[kind], scope) == 0)
            return kind;
    return SCOPE_ALL;
}

/* A pause of something that does not exist would look like success and stop nothing. */
static enum result check_subject(const struct config *config, const struct command_line *line,
                                 struct state_store *store, const struct change *change,
                                 struct fault *fault)
{
    if (change->provider != NULL && config_find_provider(config, change->provider) == UINT32_MAX)
        return fault_set(fault, FAULT_USAGE, "there is no provider %s in the configuration",
                         change->provider);
    if (change->institution != NULL && strcmp(line->name, "release") != 0) {
        char name[CONSENT_NAME_BYTES];
        bool known = false;

        (void)snprintf(name, sizeof name, "%s/%s", change->provider, change->institution);
        if (state_store_knows_institution(store, name, &known, fault) != RESULT_OK)
            return RESULT_FAULT;
        if (!known)
            return fault_set(fault, FAULT_USAGE, "there is no institution %s in the state database",
                             name);
    }
    if (change->schedule != NULL && config_find_schedule(config, change->schedule) == UINT32_MAX)
        return fault_set(fault, FAULT_USAGE, "there is no schedule %s in the configuration",
                         change->schedule);
    if (change->consent != NULL && state_store_find_consent(store, change->consent) == 0)
        return fault_set(fault, FAULT_USAGE, "there is no consent %s in the state database",
                         change->consent);
    return RESULT_OK;
}

static enum result write_pause(struct state_store *store, const struct command_line *line,
                               const struct change *change, struct utc_time now,
                               struct fault *fault)
{
    const struct audit audit = {control_whoami(), line->name,
                                change->subject[0] == '\0' ? "all" : change->subject,
                                change->reason};

    if (strcmp(line->name, "pause") == 0)
        return state_store_pause(store, now, scope_of(change->scope), change->subject,
                                 change->until, &audit, fault);
    return state_store_resume(store, now, scope_of(change->scope), change->subject, &audit, fault);
}

static enum result write_reset(struct state_store *store, const struct change *change,
                               struct utc_time now, struct fault *fault)
{
    const struct audit audit = {control_whoami(), "reset", change->subject, change->reason};

    return state_store_reset_node(store, now, change->provider, change->institution, &audit, fault);
}

void change_print_released(const struct command_line *line, const struct change *change,
                           const char *consent)
{
    json_t *object;

    if (line->format != OUTPUT_JSON) {
        printf("%s %s\n", change->is_dry_run ? "would release" : "released", consent);
        return;
    }
    object = json_pack("{s:s}", "released", consent);
    if (change->is_dry_run)
        (void)json_object_set_new(object, "dry_run", json_true());
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}

struct release {
    struct state_store *store;
    const struct command_line *line;
    const struct change *change;
    struct utc_time now;
};

static enum result release_row(void *context, uint32_t count, const char *const *columns,
                               const struct query_value *values, struct fault *fault)
{
    const struct release *release = context;
    const char *consent = NULL;
    struct record record = {
        .kind = RECORD_RELEASE, .at = release->now, .as.hold.source = HOLD_BY_PERSON};
    struct audit audit;

    for (uint32_t i = 0; i < count; i++)
        if (strcmp(columns[i], "consent") == 0)
            consent = values[i].text;
    if (consent == NULL)
        return RESULT_OK;
    change_print_released(release->line, release->change, consent);
    if (release->change->is_dry_run)
        return RESULT_OK;
    record.as.hold.consent = state_store_find_consent(release->store, consent);
    audit = (struct audit){control_whoami(), "release", consent, release->change->reason};
    if (record.as.hold.consent == 0)
        return RESULT_OK;
    if (state_store_audit(release->store, release->now, &audit, fault) != RESULT_OK)
        return RESULT_FAULT;
    return state_store_commit_records(release->store, &record, 1, fault);
}

static enum result write_release(const struct config *config, struct release *release,
                                 struct fault *fault)
{
    const struct change *change = release->change;
    struct query_filter filters[5] = {{.column = "status", .text = "held"}};
    uint32_t count = 1;
    struct state_query *query;
    enum result result;

    if (change->consent == NULL && change->provider == NULL && change->institution == NULL &&
        change->hold_reason == NULL)
        return fault_set(fault, FAULT_USAGE,
                         "release what? give P/ID, or --provider, --institution, --reason");
    if (change->consent != NULL)
        filters[count++] = (struct query_filter){.column = "consent", .text = change->consent};
    if (change->provider != NULL)
        filters[count++] = (struct query_filter){.column = "provider", .text = change->provider};
    if (change->institution != NULL)
        filters[count++] =
            (struct query_filter){.column = "institution", .text = change->institution};
    if (change->hold_reason != NULL)
        filters[count++] =
            (struct query_filter){.column = "hold_reason", .text = change->hold_reason};
    if (state_query_open(config->state.database, &query, fault) != RESULT_OK)
        return RESULT_FAULT;
    result =
        state_query_list(query, QUERY_CONSENTS, filters, count, 0, release_row, release, fault);
    state_query_close(query);
    return result;
}

enum result offline_change(const struct config *config, const struct command_line *line,
                           const struct change *change, struct utc_time now, struct fault *fault)
{
    struct state_lock lock;
    struct state_store *store = NULL;
    enum result result = RESULT_FAULT;

    if (strcmp(line->name, "trigger") == 0)
        return fault_set(fault, FAULT_UNAVAILABLE,
                         "no daemon runs on %s; refresh it with: refreshd once --consent %s",
                         config->state.database,
                         change->consent == NULL ? "P/ID" : change->consent);
    if (strcmp(line->name, "drain") == 0 || strcmp(line->name, "reload") == 0)
        return fault_set(fault, FAULT_UNAVAILABLE, "no daemon runs on %s: there is nothing to %s",
                         config->state.database, line->name);
    if (state_lock_take(config->state.database, line->name, &lock, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (state_store_open(config->state.database, STATE_READ_WRITE, &store, fault) == RESULT_OK &&
        check_subject(config, line, store, change, fault) == RESULT_OK) {
        struct release release = {store, line, change, now};

        if (strcmp(line->name, "release") == 0)
            result = write_release(config, &release, fault);
        else if (strcmp(line->name, "reset") == 0)
            result = write_reset(store, change, now, fault);
        else
            result = write_pause(store, line, change, now, fault);
    }
    if (store != NULL)
        state_store_close(store);
    state_lock_release(&lock);
    return result;
}
