/* SPDX-License-Identifier: MIT
 * command_why.c - `refreshd why P/ID`: the gates in order, and from when it may run. */
#include <stdio.h>
#include <string.h>

#include "command/commands.h"
#include "command/control_call.h"
#include "daemon/clock.h"
#include "state/state_query.h"

static const char usage[] =
    "usage: refreshd why P/ID [-c FILE] [--format text|json]\n\n"
    "What blocks this consent now, gate by gate in the order in which they are asked, and the\n"
    "earliest moment at which it may run. Asks the running daemon; where none runs, the records "
    "are\n"
    "read and the answer says `offline`: rates and concurrency are then not known.\n"
    "Exit status 1 when the consent does not exist.\n";

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "-" : value;
}

static void print_answer(void *context, const json_t *object)
{
    const struct command_line *line = context;
    size_t index;
    const json_t *gate;

    if (line->format == OUTPUT_JSON) {
        json_dumpf(object, stdout, JSON_COMPACT);
        putchar('\n');
        return;
    }
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
    printf("earliest: %s\n", text_of(object, "earliest_at"));
}

/* What the row of v1_consents knows, in the same shape as the daemon's answer. */
struct offline_row {
    json_t *answer;
    bool is_found;
};

static const char *column_text(uint32_t count, const char *const *columns,
                               const struct query_value *values, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(columns[i], name) == 0)
            return values[i].type == QUERY_TEXT && values[i].text[0] != '\0' ? values[i].text
                                                                             : NULL;
    return NULL;
}

static void add_gate(json_t *gates, const char *gate, const char *reason, const char *earliest)
{
    json_array_append_new(gates,
                          json_pack("{s:s, s:b, s:s?, s:s?}", "gate", gate, "open", reason == NULL,
                                    "reason", reason, "earliest_at", earliest));
}

static int64_t column_integer(uint32_t count, const char *const *columns,
                              const struct query_value *values, const char *name, int64_t missing)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(columns[i], name) == 0)
            return values[i].type == QUERY_INTEGER ? values[i].integer : missing;
    return missing;
}

/* The gates that the records know, by the daemon's names and in its order. */
static enum result offline_row(void *context, uint32_t count, const char *const *columns,
                               const struct query_value *values, struct fault *fault)
{
    struct offline_row *row = context;
    const char *status = column_text(count, columns, values, "status");
    const char *mode = column_text(count, columns, values, "mode");
    const char *reason = column_text(count, columns, values, "not_before_reason");
    const char *not_before = column_text(count, columns, values, "not_before_at");
    const char *next_allowed = column_text(count, columns, values, "next_allowed_at");
    int64_t allowed_ms = column_integer(count, columns, values, "next_allowed_ms", INT64_MIN);
    int64_t before_ms = column_integer(count, columns, values, "not_before_ms", INT64_MIN);
    int64_t quota = column_integer(count, columns, values, "quota_limit", INT64_MAX);
    bool is_full = column_integer(count, columns, values, "quota_used", 0) >= quota;
    /* The later of the clocks is told; one that ends sooner says nothing more. */
    bool waits = allowed_ms > clock_now().utc.ms && allowed_ms > before_ms;
    bool is_listen = mode != NULL && strcmp(mode, "listen") == 0;
    bool is_over =
        status == NULL || strcmp(status, "expired") == 0 || strcmp(status, "removed") == 0;
    bool is_held = status != NULL && strcmp(status, "held") == 0;
    bool is_paused = status != NULL && strcmp(status, "paused") == 0;
    json_t *gates = json_array();

    (void)fault;
    add_gate(gates, "status", is_listen ? "listen_only" : is_over ? status : NULL, NULL);
    add_gate(gates, "held", is_held ? "held" : NULL, NULL);
    add_gate(gates, "paused", is_paused ? "paused" : NULL, NULL);
    add_gate(gates, "not_before",
             not_before == NULL ? NULL
             : reason == NULL   ? "retry_wait"
                                : reason,
             not_before);
    add_gate(gates, "cooldown", waits && !is_full ? "cooldown" : NULL,
             waits && !is_full ? next_allowed : NULL);
    add_gate(gates, "quota", waits && is_full ? "quota" : NULL,
             waits && is_full ? next_allowed : NULL);
    row->answer = json_pack("{s:s, s:o, s:s?, s:b}", "consent",
                            column_text(count, columns, values, "consent"), "gates", gates,
                            "earliest_at", is_paused ? NULL : next_allowed, "offline", 1);
    row->is_found = true;
    return RESULT_OK;
}

static int why_offline(const struct command_line *line, const struct config *config,
                       const char *consent)
{
    const struct query_filter filter = {.column = "consent", .text = consent};
    struct offline_row row = {0};
    struct state_query *query;
    struct fault fault;
    enum result result;

    if (state_query_open(config->state.database, &query, &fault) != RESULT_OK)
        return command_fail(line, &fault);
    result = state_query_list(query, QUERY_CONSENTS, &filter, 1, 1, offline_row, &row, &fault);
    state_query_close(query);
    if (result != RESULT_OK)
        return command_fail(line, &fault);
    if (!row.is_found) {
        fprintf(stderr, "refreshd why: there is no consent %s (write PROVIDER/ID)\n", consent);
        return 1;
    }
    print_answer((void *)line, row.answer);
    json_decref(row.answer);
    return 0;
}

static int why(const struct command_line *line, const struct config *config, const char *consent)
{
    struct fault fault;

    if (!control_is_running(config))
        return why_offline(line, config, consent);
    if (control_call(config, json_pack("{s:s, s:s}", "command", "why", "consent", consent),
                     print_answer, (void *)line, &fault) == RESULT_OK)
        return 0;
    (void)command_fail(line, &fault);
    return fault.code == FAULT_USAGE ? 1 : (int)fault.code;
}

int command_why(int argc, char **argv)
{
    static const struct option options[] = {COMMON_LONG_OPTIONS, {0}};
    struct command_line line;
    struct config *config;
    int option;
    int status;

    command_line_init(&line, "why", usage);
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        status = command_line_common(&line, option);
        if (status >= 0)
            return status;
    }
    if (argc - optind != 1)
        return command_usage_error(&line, "name one consent as PROVIDER/ID");
    config = command_load_config(&line, NULL);
    if (config == NULL)
        return FAULT_CONFIGURATION;
    status = why(&line, config, argv[optind]);
    config_release(config);
    return status;
}
