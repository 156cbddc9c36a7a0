/* SPDX-License-Identifier: MIT
 * engine_control.c - see engine_control.h. */
#include "daemon/engine_control.h"

#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control_config.h"
#include "daemon/control_scope.h"
#include "daemon/control_socket.h"
#include "daemon/engine_internal.h"
#include "daemon/rate_text.h"
#include "daemon/why_json.h"

#define BACKLOG_TOP 20

struct engine_control {
    struct engine *engine;
    struct control_socket *socket;
};

/* One request while it is answered. */
struct ask {
    struct engine *engine;
    struct control_exchange *exchange;
    struct time_now now;
    json_t *request;
    char who[128];
};

static const char *argument(const struct ask *ask, const char *name)
{
    const char *value = json_string_value(json_object_get(ask->request, name));

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Send one object as a line; takes it over. */
static void send_line(struct ask *ask, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);

    if (text != NULL)
        control_line(ask->exchange, text, strlen(text));
    free(text);
    json_decref(object);
}

static struct audit audit_of(const struct ask *ask, const char *action, const char *subject)
{
    return (struct audit){ask->who, action, subject, argument(ask, "reason")};
}

/* ---- status ---- */

/* When the run should end: as the core expects it or, before that has looked, on a straight line
 * from the start; an estimate either way. And what will not fit. */
static void add_forecast(const struct ask *ask, const struct run_view *view, uint32_t done,
                         json_t *object)
{
    const struct scheduler_settings *settings = &ask->engine->settings;
    struct utc_time finish = view->finish;

    if (finish.ms == UTC_NONE.ms && done > 0 && done < view->due &&
        ask->now.utc.ms > view->started.ms)
        finish = utc_add_ms(ask->now.utc, (ask->now.utc.ms - view->started.ms) *
                                              (int64_t)(view->due - done) / done);
    json_object_set_new(object, "eta_at", why_json_instant(finish));
    json_object_set_new(object, "slack_ms",
                        finish.ms == UTC_NONE.ms || view->deadline.ms == UTC_NEVER.ms
                            ? json_null()
                            : json_integer(view->deadline.ms - finish.ms));
    json_object_set_new(object, "will_miss", json_integer(view->will_miss));
    json_object_set_new(object, "skipped_early", json_integer(view->skipped_early));
    if (view->limit == REASON_NONE)
        return;
    json_object_set_new(object, "limit", json_string(reason_text(view->limit)));
    if (view->limit_provider < settings->provider_count)
        json_object_set_new(object, "limit_provider",
                            json_string(settings->providers[view->limit_provider].name));
    if (view->limit_institution < settings->institution_count)
        json_object_set_new(object, "limit_institution",
                            json_string(settings->institutions[view->limit_institution].name));
}

static json_t *run_object(const struct ask *ask, const struct run_view *view)
{
    char text[UTC_TEXT_SIZE];
    uint32_t done = 0;
    json_t *object =
        json_pack("{s:s, s:s, s:s, s:o, s:o, s:i}", "type", "run", "schedule",
                  ask->engine->settings.schedules[view->schedule].name, "slot_at",
                  utc_text(view->slot, text), "deadline_at", why_json_instant(view->deadline),
                  "started_at", why_json_instant(view->started), "due", (int)view->due);

    json_object_set_new(object, "trigger", json_string(trigger_text(view->trigger)));
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++) {
        done += view->counts[outcome];
        json_object_set_new(object, outcome_text(outcome), json_integer(view->counts[outcome]));
    }
    json_object_set_new(object, "open_jobs", json_integer(view->open_jobs));
    json_object_set_new(object, "waiting", json_integer(view->waiting));
    add_forecast(ask, view, done, object);
    return object;
}

static json_t *node_object(const char *provider, const char *institution,
                           const struct node_view *view)
{
    char learned[RATE_TEXT_SIZE];
    json_t *object = json_pack(
        "{s:s, s:s, s:s?, s:i, s:i, s:i, s:s?, s:o, s:s?, s:s}", "type", "limit", "provider",
        provider, "institution", institution, "requests_in_flight", (int)view->requests_in_flight,
        "jobs_running", (int)view->jobs_running, "waiting", (int)view->waiting, "blocked_by",
        view->blocked_reason == REASON_NONE ? NULL : reason_text(view->blocked_reason),
        "not_before_at", why_json_instant(view->blocked_until), "learned_rate",
        rate_text(view->learned_interval_us, learned), "breaker",
        breaker_state_text(view->breaker));

    if (view->is_configuration)
        json_object_set_new(object, "breaker_cause", json_string("configuration"));
    if (view->retry_balance >= 0) {
        json_object_set_new(object, "retries_waiting", json_integer(view->retries_waiting));
        json_object_set_new(object, "retry_budget", json_integer(view->retry_balance));
    }
    return object;
}

static json_t *engine_object(const struct ask *ask)
{
    const struct engine *engine = ask->engine;
    struct state_store_metrics metrics;
    json_t *object;

    state_store_metrics(engine->store, &metrics);
    object =
        json_pack("{s:s, s:s, s:s, s:b, s:b, s:i, s:i, s:I, s:I, s:I}", "type", "engine", "config",
                  engine->config_path, "config_digest", engine->config->digest, "draining",
                  engine->is_draining, "storage_blocked", engine->is_storage_blocked, "jobs_live",
                  (int)scheduler_jobs_live(engine->scheduler), "requests_outstanding",
                  (int)scheduler_requests_outstanding(engine->scheduler), "commits",
                  (json_int_t)metrics.commits, "commit_us_max", (json_int_t)metrics.commit_us_max,
                  "wal_bytes", (json_int_t)metrics.wal_bytes);
    json_object_set_new(object, "reload_at", why_json_instant(engine->reload_at));
    json_object_set_new(object, "reload_error",
                        engine->reload_error[0] == '\0' ? json_null()
                                                        : json_string(engine->reload_error));
    json_object_set_new(object, "clock_steps", json_integer((json_int_t)engine->clock_steps));
    json_object_set_new(object, "clock_step_ms", json_integer(engine->clock_step_ms));
    json_object_set_new(object, "clock_resumes", json_integer((json_int_t)engine->clock_resumes));
    return object;
}

static void send_backlog(void *context, json_t *line)
{
    send_line(context, line);
}

/* How many institutions the backlog names. */
static uint32_t top_of(const struct ask *ask)
{
    json_int_t top = json_integer_value(json_object_get(ask->request, "top"));

    return top > 0 && top < UINT32_MAX ? (uint32_t)top : BACKLOG_TOP;
}

static enum result answer_status(struct ask *ask, struct fault *fault)
{
    struct engine *engine = ask->engine;
    const struct scheduler_settings *settings = &engine->settings;
    struct run_view run;
    struct node_view node;

    send_line(ask, engine_object(ask));
    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        scheduler_run_view(engine->scheduler, i, &run);
        send_line(ask, run_object(ask, &run));
    }
    for (uint32_t i = 0; i < settings->schedule_count; i++)
        send_line(ask, json_pack("{s:s, s:s, s:o}", "type", "schedule", "schedule",
                                 settings->schedules[i].name, "next_at",
                                 why_json_instant(scheduler_next_firing(engine->scheduler, i))));
    for (uint32_t i = 0; i < settings->provider_count; i++) {
        scheduler_provider_view(engine->scheduler, ask->now, i, &node);
        send_line(ask, node_object(settings->providers[i].name, NULL, &node));
    }
    for (uint32_t i = 0; i < settings->institution_count; i++) {
        scheduler_institution_view(engine->scheduler, ask->now, i, &node);
        if (node.waiting > 0 || node.jobs_running > 0 || node.blocked_reason != REASON_NONE ||
            node.breaker != BREAKER_CLOSED)
            send_line(ask, node_object(settings->providers[settings->institutions[i].provider].name,
                                       settings->institutions[i].name, &node));
    }
    return why_json_backlog(engine->scheduler, settings, ask->now, top_of(ask),
                            argument(ask, "institution"), send_backlog, ask, fault);
}

/* ---- why ---- */

static enum result find_consent(const struct ask *ask, uint32_t *number, struct fault *fault)
{
    const char *consent = argument(ask, "consent");

    if (consent == NULL)
        return fault_set(fault, FAULT_USAGE, "which consent? write PROVIDER/ID");
    *number = population_find(&ask->engine->population, ask->engine->config, consent);
    if (*number == 0)
        return fault_set(fault, FAULT_USAGE, "there is no consent %s in the configuration",
                         consent);
    return RESULT_OK;
}

/* A consent, or a bank or an account. */
static enum result answer_why(struct ask *ask, struct fault *fault)
{
    const struct engine *engine = ask->engine;
    const char *provider = argument(ask, "provider");
    json_t *answer = NULL;
    uint32_t number;

    if (provider != NULL) {
        if (why_json_node(engine->scheduler, &engine->settings, ask->now, provider,
                          argument(ask, "institution"), false, &answer, fault) != RESULT_OK)
            return RESULT_FAULT;
    } else {
        if (find_consent(ask, &number, fault) != RESULT_OK)
            return RESULT_FAULT;
        answer =
            why_json_consent(engine->scheduler, ask->now, number, argument(ask, "consent"), false);
    }
    send_line(ask, answer);
    return RESULT_OK;
}

/* ---- changes ---- */

static enum result change_pause(struct ask *ask, bool is_pause, struct fault *fault)
{
    struct engine *engine = ask->engine;
    struct event event = {.kind = is_pause ? EVENT_PAUSE : EVENT_RESUME};
    struct control_scope scope;
    const char *until = argument(ask, "until");
    struct audit audit;

    if (control_scope_resolve(engine, argument(ask, "scope"), argument(ask, "subject"), &scope,
                              fault) != RESULT_OK)
        return RESULT_FAULT;
    event.as.pause.scope = scope.kind;
    event.as.pause.index = scope.index;
    event.as.pause.until = UTC_NEVER;
    if (until != NULL && (!utc_parse(until, strlen(until), &event.as.pause.until) ||
                          event.as.pause.until.ms <= ask->now.utc.ms))
        return fault_set(fault, FAULT_USAGE, "until: \"%s\" is not an instant in the future",
                         until);
    audit = audit_of(ask, is_pause ? "pause" : "resume",
                     scope.subject[0] == '\0' ? "all" : scope.subject);
    if ((is_pause ? state_store_pause(engine->store, ask->now.utc, scope.kind, scope.subject,
                                      event.as.pause.until, &audit, fault)
                  : state_store_resume(engine->store, ask->now.utc, scope.kind, scope.subject,
                                       &audit, fault)) != RESULT_OK)
        return RESULT_FAULT;
    engine_put_event(engine, ask->now, &event, NULL, 0);
    return RESULT_OK;
}

/* Does the held consent fit what is asked for? */
static bool fits_release(const struct ask *ask, uint32_t number, struct consent_view *view)
{
    const char *provider = argument(ask, "provider");
    const char *institution = argument(ask, "institution");
    const char *hold_reason = argument(ask, "hold_reason");
    struct consent_past past;

    scheduler_consent_past(ask->engine->scheduler, number, &past);
    if (!past.is_held || !population_get(&ask->engine->population, number, view))
        return false;
    return (provider == NULL ||
            strcmp(ask->engine->config->providers[view->provider].name, provider) == 0) &&
           (institution == NULL || strcmp(view->institution_name, institution) == 0) &&
           (hold_reason == NULL ||
            strcmp(past.is_suspended ? "suspended" : "reconnect_required", hold_reason) == 0);
}

static enum result release_one(struct ask *ask, uint32_t number, const struct consent_view *view,
                               struct fault *fault)
{
    struct event event = {.kind = EVENT_RELEASE};
    char subject[CONSENT_NAME_BYTES];
    struct audit audit;

    (void)snprintf(subject, sizeof subject, "%s/%s",
                   ask->engine->config->providers[view->provider].name, view->id);
    send_line(ask, json_pack("{s:s}", "released", subject));
    if (json_is_true(json_object_get(ask->request, "dry_run")))
        return RESULT_OK;
    audit = audit_of(ask, "release", subject);
    if (state_store_audit(ask->engine->store, ask->now.utc, &audit, fault) != RESULT_OK)
        return RESULT_FAULT;
    event.as.release.consent = number;
    engine_put_event(ask->engine, ask->now, &event, NULL, 0);
    return RESULT_OK;
}

static enum result change_release(struct ask *ask, struct fault *fault)
{
    struct consent_view view;
    uint32_t number = 0;

    if (argument(ask, "consent") != NULL) {
        if (find_consent(ask, &number, fault) != RESULT_OK)
            return RESULT_FAULT;
        return fits_release(ask, number, &view) ? release_one(ask, number, &view, fault)
                                                : RESULT_OK;
    }
    if (argument(ask, "provider") == NULL && argument(ask, "institution") == NULL &&
        argument(ask, "hold_reason") == NULL)
        return fault_set(fault, FAULT_USAGE,
                         "release what? give P/ID, or --provider, --institution, --reason");
    for (number = 1; number <= ask->engine->population.number_max; number++)
        if (fits_release(ask, number, &view) && release_one(ask, number, &view, fault) != RESULT_OK)
            return RESULT_FAULT;
    return RESULT_OK;
}

static enum result change_trigger(struct ask *ask, struct fault *fault)
{
    struct event event = {.kind = EVENT_TRIGGER};
    struct audit audit = audit_of(ask, "trigger", argument(ask, "consent"));
    uint32_t number;

    if (find_consent(ask, &number, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (scheduler_job_of_consent(ask->engine->scheduler, number) != UINT32_MAX)
        return fault_set(fault, FAULT_TEMPORARY, "%s has a job running already",
                         argument(ask, "consent"));
    if (state_store_audit(ask->engine->store, ask->now.utc, &audit, fault) != RESULT_OK)
        return RESULT_FAULT;
    event.as.trigger.consent = number;
    engine_put_event(ask->engine, ask->now, &event, NULL, 0);
    return RESULT_OK;
}

static enum result change_drain(struct ask *ask, struct fault *fault)
{
    const struct audit audit = audit_of(ask, "drain", "all");

    if (state_store_audit(ask->engine->store, ask->now.utc, &audit, fault) != RESULT_OK)
        return RESULT_FAULT;
    engine_drain(ask->engine);
    return RESULT_OK;
}

/* What was learned is forgotten by hand: for a person who knows that it does not hold any more. */
static enum result change_reset(struct ask *ask, struct fault *fault)
{
    struct event event = {.kind = EVENT_RESET, .as.reset.institution = UINT32_MAX};
    const char *provider = argument(ask, "provider");
    const char *institution = argument(ask, "institution");
    struct control_scope scope;
    struct audit audit;
    char subject[CONSENT_NAME_BYTES];

    if (provider == NULL)
        return fault_set(fault, FAULT_USAGE, "reset what? name a provider");
    (void)snprintf(subject, sizeof subject, "%s%s%s", provider, institution == NULL ? "" : "/",
                   institution == NULL ? "" : institution);
    if (control_scope_resolve(ask->engine, "provider", provider, &scope, fault) != RESULT_OK)
        return RESULT_FAULT;
    event.as.reset.provider = scope.index;
    if (institution != NULL) {
        if (control_scope_resolve(ask->engine, "institution", subject, &scope, fault) != RESULT_OK)
            return RESULT_FAULT;
        event.as.reset.institution = scope.index;
    }
    audit = audit_of(ask, "reset", subject);
    if (state_store_audit(ask->engine->store, ask->now.utc, &audit, fault) != RESULT_OK)
        return RESULT_FAULT;
    engine_put_event(ask->engine, ask->now, &event, NULL, 0);
    return RESULT_OK;
}

static enum result change_reload(struct ask *ask, struct fault *fault)
{
    const struct audit audit = audit_of(ask, "reload", ask->engine->config_path);
    struct diagnostics diagnostics;
    enum result result;

    diagnostics_init(&diagnostics, 200);
    result =
        engine_reload(ask->engine, json_is_true(json_object_get(ask->request, "accept_shrink")),
                      &diagnostics, fault);
    for (size_t i = 0; i < diagnostics.count; i++) {
        const struct diagnostic *item = &diagnostics.items[i];

        send_line(ask,
                  json_pack("{s:s, s:i, s:i, s:s, s:s}", "file", item->place.file, "line",
                            (int)item->place.line, "column", (int)item->place.column, "severity",
                            item->is_error ? "error" : "warning", "message", item->message));
    }
    diagnostics_deinit(&diagnostics);
    if (result == RESULT_OK)
        result = state_store_audit(ask->engine->store, ask->now.utc, &audit, fault);
    return result;
}

static enum result answer_config(struct ask *ask, struct fault *fault)
{
    return control_config_send(ask->engine, ask->exchange, fault);
}

static enum result pause(struct ask *ask, struct fault *fault)
{
    return change_pause(ask, true, fault);
}

static enum result resume(struct ask *ask, struct fault *fault)
{
    return change_pause(ask, false, fault);
}

static const struct {
    const char *name;
    enum result (*answer)(struct ask *ask, struct fault *fault);
} requests[] = {
    {"config", answer_config},   {"status", answer_status},
    {"why", answer_why},         {"pause", pause},
    {"resume", resume},          {"release", change_release},
    {"trigger", change_trigger}, {"drain", change_drain},
    {"reload", change_reload},   {"reset", change_reset},
};

static void describe_peer(uid_t uid, char *who, size_t size)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[2048];

    if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
        (void)snprintf(who, size, "uid %u (%.64s)", (unsigned)uid, found->pw_name);
    else
        (void)snprintf(who, size, "uid %u", (unsigned)uid);
}

static enum result answer(struct ask *ask, const char *line, size_t length, struct fault *fault)
{
    const char *command;

    ask->request = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    command = json_string_value(json_object_get(ask->request, "command"));
    if (command == NULL)
        return fault_set(fault, FAULT_USAGE, "a request is an object with \"command\"");
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        if (strcmp(requests[i].name, command) == 0) {
            enum result result = requests[i].answer(ask, fault);

            /* A file that cannot be read is a reload's own trouble; else it is the database. */
            if (result != RESULT_OK && fault->code == FAULT_IO &&
                requests[i].answer != change_reload)
                engine_fail(ask->engine, fault);
            return result;
        }
    return fault_set(fault, FAULT_USAGE, "there is no command \"%.64s\" here", command);
}

static void on_request(void *context, struct control_exchange *exchange,
                       const struct control_peer *peer, const char *line, size_t length)
{
    struct engine_control *control = context;
    struct ask ask = {.engine = control->engine, .exchange = exchange, .now = clock_now()};
    struct fault fault;

    describe_peer(peer->uid, ask.who, sizeof ask.who);
    if (answer(&ask, line, length, &fault) == RESULT_OK)
        control_end(exchange);
    else
        control_end_fault(exchange, &fault);
    json_decref(ask.request);
}

enum result engine_control_open(struct engine *engine, struct engine_control **out,
                                struct fault *fault)
{
    struct engine_control *control = calloc(1, sizeof *control);
    struct control_handler handler = {.on_request = on_request};
    char path[4096];

    if (control == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    control->engine = engine;
    handler.context = control;
    (void)snprintf(path, sizeof path, "%s.sock", engine->config->state.database);
    if (control_socket_create(engine->loop, path, &handler, &control->socket, fault) != RESULT_OK) {
        free(control);
        return RESULT_FAULT;
    }
    *out = control;
    return RESULT_OK;
}

void engine_control_close(struct engine_control *control)
{
    if (control == NULL)
        return;
    control_socket_destroy(control->socket);
    free(control);
}
