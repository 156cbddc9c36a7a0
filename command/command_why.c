/* SPDX-License-Identifier: MIT
 * command_why.c - `refreshd why P/ID`: the gates in order, and from when it may run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/commands.h"
#include "command/control_call.h"
#include "command/node_text.h"
#include "daemon/clock.h"
#include "daemon/shadow_core.h"
#include "daemon/why_json.h"

static const char usage[] =
    "usage: refreshd why P/ID [-c FILE] [--format text|json]\n"
    "       refreshd why --provider P [--institution I] [-c FILE] [--format text|json]\n\n"
    "What blocks this consent now, gate by gate in the order in which they are asked, and the\n"
    "earliest moment at which it may run. With --provider: what waits there (or at one of its\n"
    "institutions), because of what, and how much of it will be done by the deadline; P//I says\n"
    "the same. Asks the running daemon; where none runs, a core is made from the records and "
    "asked,\n"
    "and the answer says `offline`: short rate windows and tokens are then not known.\n"
    "Exit status 1 when there is no such consent, provider or institution.\n";

enum { OPTION_PROVIDER = 256, OPTION_INSTITUTION };

struct question {
    struct command_line line;
    const char *consent; /* NULL: the node below */
    char *provider;
    const char *institution; /* NULL: the whole provider */
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "-" : value;
}

static void print_gates(const json_t *object)
{
    size_t index;
    const json_t *gate;
    const json_t *name;

    printf("%s%s\n", text_of(object, "consent"),
           json_is_true(json_object_get(object, "offline")) ? "  (offline)" : "");
    json_array_foreach(json_object_get(object, "gates"), index, gate)
    {
        bool is_open = json_is_true(json_object_get(gate, "open"));

        printf("  %-26s %-6s %-16s %s", text_of(gate, "gate"), is_open ? "open" : "CLOSED",
               is_open ? "" : text_of(gate, "reason"), is_open ? "" : text_of(gate, "earliest_at"));
        if (json_is_string(json_object_get(gate, "detail")))
            printf("  %s", text_of(gate, "detail"));
        putchar('\n');
    }
    fputs("blocked by:", stdout);
    json_array_foreach(json_object_get(object, "blocked_by"), index, name)
        printf("%s %s", index == 0 ? "" : " ->", json_string_value(name));
    puts(json_array_size(json_object_get(object, "blocked_by")) == 0 ? " nothing" : "");
    printf("earliest: %s\n", text_of(object, "earliest_at"));
}

static void print_answer(void *context, const json_t *object)
{
    const struct question *question = context;

    if (question->line.format == OUTPUT_JSON) {
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (question->consent != NULL) {
        print_gates(object);
    } else {
        node_text_print(object);
    }
}

/* The core that a start would make now is asked. */
static enum result ask_shadow(const struct question *question, struct shadow_core *core,
                              struct time_now now, json_t **answer, struct fault *fault)
{
    uint32_t number;

    if (question->consent == NULL)
        return why_json_node(core->scheduler, &core->settings, now, question->provider,
                             question->institution, true, answer, fault);
    number = population_find(&core->population, core->config, question->consent);
    if (number == 0)
        return fault_set(fault, FAULT_USAGE, "there is no consent %s (write PROVIDER/ID)",
                         question->consent);
    *answer = why_json_consent(core->scheduler, now, number, question->consent, true);
    return RESULT_OK;
}

static enum result why_offline(const struct question *question, const struct config *config,
                               struct consent_table **consents, struct fault *fault)
{
    struct time_now now = clock_now();
    struct shadow_core core;
    json_t *answer = NULL;
    enum result result;

    if (shadow_core_open(&core, config, *consents, now, false, fault) != RESULT_OK)
        return RESULT_FAULT;
    *consents = NULL; /* the core has them now */
    result = ask_shadow(question, &core, now, &answer, fault);
    if (result == RESULT_OK)
        print_answer((void *)question, answer);
    json_decref(answer);
    shadow_core_close(&core);
    return result;
}

static enum result why(const struct question *question, const struct config *config,
                       struct consent_table **consents, struct fault *fault)
{
    json_t *request;
    enum result result;

    if (!control_is_running(config))
        return why_offline(question, config, consents, fault);
    request = question->consent != NULL
                  ? json_pack("{s:s, s:s}", "command", "why", "consent", question->consent)
                  : json_pack("{s:s, s:s, s:s?}", "command", "why", "provider", question->provider,
                              "institution", question->institution);
    result = control_call(config, request, print_answer, (void *)question, fault);
    if (result != RESULT_OK && fault->code == FAULT_UNAVAILABLE) /* it has just ended */
        return why_offline(question, config, consents, fault);
    return result;
}

static int run(const struct question *question)
{
    struct consent_table *consents = NULL;
    struct config *config = command_load_config(&question->line, &consents);
    struct fault fault;
    int status = 0;

    if (config == NULL)
        return FAULT_CONFIGURATION;
    if (why(question, config, &consents, &fault) != RESULT_OK) {
        (void)command_fail(&question->line, &fault);
        status = fault.code == FAULT_USAGE ? 1 : (int)fault.code;
    }
    consent_table_destroy(consents);
    config_release(config);
    return status;
}

/* P/ID, or P//I. */
static void take_subject(struct question *question, const char *subject)
{
    const char *slashes = strstr(subject, "//");

    if (slashes == NULL) {
        question->consent = subject;
        return;
    }
    question->provider = strndup(subject, (size_t)(slashes - subject));
    question->institution = slashes[2] == '\0' ? NULL : slashes + 2;
}

int command_why(int argc, char **argv)
{
    static const struct option options[] = {
        {"provider", required_argument, NULL, OPTION_PROVIDER},
        {"institution", required_argument, NULL, OPTION_INSTITUTION},
        COMMON_LONG_OPTIONS,
        {0}};
    struct question question = {0};
    int status = -1;
    int option;

    command_line_init(&question.line, "why", usage);
    while (status < 0 && (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == OPTION_PROVIDER) {
            free(question.provider);
            question.provider = strdup(optarg);
        } else if (option == OPTION_INSTITUTION) {
            question.institution = optarg;
        } else {
            status = command_line_common(&question.line, option);
        }
    }
    if (status < 0 && (argc - optind != (question.provider == NULL) ||
                       (question.provider == NULL && question.institution != NULL)))
        status = command_usage_error(
            &question.line, "name one consent as PROVIDER/ID, or --provider P [--institution I]");
    if (status < 0) {
        if (optind < argc)
            take_subject(&question, argv[optind]);
        status = run(&question);
    }
    free(question.provider);
    return status;
}
