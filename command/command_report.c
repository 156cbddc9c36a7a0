/* SPDX-License-Identifier: MIT
 * command_report.c - `refreshd report`: a night in one page. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command/command_line.h"
#include "command/commands.h"
#include "command/query_row.h"
#include "command/report_data.h"
#include "reporting/csv_line.h"
#include "state/state_query.h"

static const char usage[] =
    "usage: refreshd report [-c FILE] [--run ID|last] [--format text|json|csv]\n"
    "\n"
    "One run in one page: totals, institutions (those with most failures first), reasons with\n"
    "sample consents. Reads the state database; the daemon may be running or not. Instants are\n"
    "UTC. Exit status 1 when there is no such run.\n"
    "\n"
    "  --run ID  such as nightly@2026-11-21T01:00:00Z; `last` (the default) is the run that\n"
    "            opened last; `refreshd runs` lists them\n"
    "\n"
    "DATA is the share of slots that were refreshed, partial or deduplicated; P50 and P95 are the\n"
    "durations from first sending to the end that half, and 95 %, of the jobs did not exceed.\n"
    "json is one object, csv one row per slot: the column `count` adds up to the slots with an\n"
    "outcome or an open job.\n";

/* The columns of the export files, and the message. */
static const char csv_sql[] =
    "SELECT j.run_id, j.consent, j.provider, j.institution, j.schedule, j.trigger, j.outcome,"
    " j.reason, NULL AS detail, 1 AS count, j.job_uid, r.slot_at, j.due_at, j.started_at,"
    " j.finished_at, max(0, j.started_ms - j.due_ms) AS wait_ms,"
    " max(0, j.finished_ms - j.started_ms) AS duration_ms, j.attempts, j.has_new_data,"
    " j.error_code, j.error_message"
    " FROM v1_jobs AS j JOIN v1_runs AS r ON r.run_id = j.run_id WHERE j.run_id = ?1"
    " UNION ALL "
    "SELECT k.run_id, k.consent, c.provider, c.institution, r.schedule, r.trigger, 'skipped',"
    " k.reason, k.detail, k.count, NULL, k.slot_at, k.due_at, NULL, k.decided_at, NULL, NULL, 0,"
    " NULL, NULL, NULL"
    " FROM v1_skips AS k JOIN v1_runs AS r ON r.run_id = k.run_id"
    " LEFT JOIN v1_consents AS c ON c.consent = k.consent WHERE k.run_id = ?1";

struct csv_output {
    struct csv_line line;
    bool has_heading;
};

static enum result on_slot(void *context, uint32_t count, const char *const *columns,
                           const struct query_value *values, struct fault *fault)
{
    struct csv_output *output = context;
    const struct query_row row = {count, columns, values};

    if (!output->has_heading) {
        query_row_csv_heading(&row, &output->line);
        (void)fwrite(output->line.text.bytes, 1, output->line.text.length, stdout);
        output->has_heading = true;
    }
    query_row_csv(&row, &output->line);
    (void)fwrite(output->line.text.bytes, 1, output->line.text.length, stdout);
    if (ferror(stdout))
        return fault_set(fault, FAULT_IO, "cannot write to standard output: %s", strerror(errno));
    return RESULT_OK;
}

static enum result print_csv(struct state_query *query, const struct report_data *data,
                             struct fault *fault)
{
    struct csv_output output = {.has_heading = false};
    enum result result;

    csv_line_init(&output.line);
    result = state_query_sql(query, csv_sql, &data->run_id, 1, on_slot, &output, fault);
    csv_line_deinit(&output.line);
    return result;
}

static int print_report(const struct command_line *line, struct state_query *query,
                        const char *run_id)
{
    struct report_data data;
    struct fault fault;
    bool found = false;
    int status = 0;

    if (report_data_read(&data, query, run_id, &found, &fault) != RESULT_OK) {
        status = command_fail(line, &fault);
    } else if (!found) {
        fprintf(stderr, "refreshd report: there is no run %s; `refreshd runs` lists them\n",
                run_id);
        status = 1;
    } else if (line->format == OUTPUT_JSON) {
        report_json_print(&data);
    } else if (line->format == OUTPUT_TEXT) {
        report_text_print(&data);
    } else if (print_csv(query, &data, &fault) != RESULT_OK) {
        status = command_fail(line, &fault);
    }
    report_data_deinit(&data);
    return status;
}

int command_report(int argc, char **argv)
{
    static const struct option options[] = {
        COMMON_LONG_OPTIONS, {"run", required_argument, NULL, 256}, {0}};
    struct command_line line;
    struct config *config;
    struct state_query *query = NULL;
    struct fault fault;
    const char *run_id = "last";
    int option;
    int status;

    command_line_init(&line, "report", usage);
    line.csv_allowed = true;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 256) {
            run_id = optarg;
            continue;
        }
        status = command_line_common(&line, option);
        if (status >= 0)
            return status;
    }
    if (optind != argc)
        return command_usage_error(&line, "unexpected argument \"%s\"", argv[optind]);
    config = command_load_config(&line, NULL);
    if (config == NULL)
        return FAULT_CONFIGURATION;
    if (state_query_open(config->state.database, &query, &fault) != RESULT_OK)
        status = command_fail(&line, &fault);
    else
        status = print_report(&line, query, run_id);
    state_query_close(query);
    config_release(config);
    return status;
}
