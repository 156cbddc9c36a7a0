/* SPDX-License-Identifier: MIT
 * report_json.c - `refreshd report` for programs: one object. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "command/report_data.h"

static void print_string(const char *value)
{
    struct text text;

    if (value == NULL) {
        fputs("null", stdout);
        return;
    }
    text_init(&text, 65536);
    text_append_json(&text, value, strlen(value));
    printf("\"%s\"", text.bytes == NULL ? "" : text.bytes);
    text_deinit(&text);
}

static void print_text_member(const char *key, const char *value)
{
    printf("\"%s\":", key);
    print_string(value);
    putchar(',');
}

/* The manifest of design section 8, and what else the run's row says. */
static void print_run(const struct report_data *data)
{
    bool is_open = data->finished_ms < 0;

    fputs("\"run\":{", stdout);
    print_text_member("run_id", data->run_id);
    print_text_member("schedule", data->schedule);
    print_text_member("slot_at", data->slot_at);
    printf("\"due\":%" PRId64 ",", data->due);
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        printf("\"%s\":%" PRId64 ",", outcome_text(outcome), data->counts[outcome]);
    printf("\"reconciled\":%s,", is_open ? "null" : data->is_reconciled ? "true" : "false");
    printf("\"late\":%s,", is_open ? "null" : data->is_late ? "true" : "false");
    print_text_member("started_at", data->started_at);
    print_text_member("finished_at", data->finished_at);
    print_text_member("deadline_at", data->deadline_at);
    fputs("\"trigger\":", stdout);
    print_string(data->trigger);
    putchar('}');
}

static void print_duration(const char *key, const struct report_institution *row, int percent)
{
    int64_t duration_ms = report_data_percentile(row, percent);

    if (duration_ms < 0)
        printf(",\"%s\":null", key);
    else
        printf(",\"%s\":%" PRId64, key, duration_ms);
}

static void print_counts(const struct report_institution *row)
{
    printf("\"slots\":%" PRIu32, row->slots);
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        printf(",\"%s\":%" PRIu32, outcome_text(outcome), row->counts[outcome]);
    printf(",\"open\":%" PRIu32, row->counts[OUTCOME_NONE]);
    if (row->slots == 0)
        fputs(",\"success_share\":null", stdout);
    else
        printf(",\"success_share\":%.4f", (double)report_data_good(row) / (double)row->slots);
    print_duration("duration_p50_ms", row, 50);
    print_duration("duration_p95_ms", row, 95);
}

static void print_reasons(const struct report_data *data, enum outcome outcome)
{
    bool is_first = true;

    putchar('[');
    for (int reason = 0; reason < REASON_COUNT; reason++) {
        const struct report_group *group = &data->groups[outcome][reason];

        if (group->count == 0)
            continue;
        printf("%s{\"reason\":", is_first ? "" : ",");
        print_string(reason == REASON_NONE ? NULL : reason_text((enum reason)reason));
        printf(",\"count\":%" PRIu32 ",\"consents\":[", group->count);
        for (int i = 0; i < REPORT_SAMPLES && group->samples[i] != NULL; i++) {
            fputs(i == 0 ? "" : ",", stdout);
            print_string(group->samples[i]);
        }
        fputs("],\"error\":", stdout);
        print_string(group->error);
        putchar('}');
        is_first = false;
    }
    putchar(']');
}

void report_json_print(const struct report_data *data)
{
    static const enum outcome outcomes[] = {OUTCOME_FAILED, OUTCOME_UNKNOWN,
                                            OUTCOME_RECONNECT_REQUIRED, OUTCOME_SKIPPED};

    putchar('{');
    print_run(data);
    fputs(",\"all\":{", stdout);
    print_counts(&data->all);
    fputs("},\"institutions\":[", stdout);
    for (uint32_t i = 0; i < data->institution_count; i++) {
        const struct report_institution *row = &data->institutions[i];

        fputs(i == 0 ? "{" : ",{", stdout);
        print_text_member("provider", row->provider);
        print_text_member("institution", row->institution);
        print_counts(row);
        putchar('}');
    }
    fputs("],\"reasons\":{", stdout);
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        printf("%s\"%s\":", i == 0 ? "" : ",", outcome_text(outcomes[i]));
        print_reasons(data, outcomes[i]);
    }
    puts("}}");
}
