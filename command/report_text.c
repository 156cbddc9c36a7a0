/* SPDX-License-Identifier: MIT
 * report_text.c - `refreshd report` for people: one page of at most 100 columns. */
#include <stdio.h>
#include <string.h>

#include "command/report_data.h"
#include "command/text_table.h"

#define INSTITUTIONS_SHOWN 25
#define BAR_WIDTH 40

static void percent_text(int64_t part, int64_t whole, char text[16])
{
    if (whole <= 0)
        (void)strcpy(text, "-");
    else
        (void)snprintf(text, 16, "%.1f %%", 100.0 * (double)part / (double)whole);
}

/* How the run stands, in words that say whether somebody has to act. */
static void print_verdict(const struct report_data *data)
{
    char due[TEXT_TABLE_COUNT_SIZE];
    char accounted[TEXT_TABLE_COUNT_SIZE];
    char span[TEXT_TABLE_SPAN_SIZE];
    int64_t sum = 0;

    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        sum += data->counts[outcome];
    text_table_count(data->due, due);
    text_table_count(sum, accounted);
    if (data->finished_ms < 0)
        printf("in progress: %s of %s slots have an outcome\n", accounted, due);
    else if (!data->is_reconciled)
        printf("DOES NOT ADD UP: %s of %s slots have an outcome; see `refreshd db verify`\n",
               accounted, due);
    else if (data->is_late)
        printf("finished late: %s after the deadline; all %s slots accounted for\n",
               text_table_span(data->deadline_ms < 0 ? -1 : data->finished_ms - data->deadline_ms,
                               span),
               due);
    else
        printf("finished: all %s slots accounted for\n", due);
}

static void print_line(const char *label, const char *at, const char *note)
{
    char text[TEXT_TABLE_INSTANT_SIZE];

    printf("  %-9s %s%s%s\n", label, text_table_instant(at, text), at == NULL ? "" : "Z", note);
}

static void print_heading(const struct report_data *data)
{
    char span[TEXT_TABLE_SPAN_SIZE];
    char note[64] = "";

    printf("Run %s\n", data->run_id);
    fputs("  ", stdout);
    print_verdict(data);
    printf("\n  %-9s %s, by %s\n", "schedule", data->schedule, data->trigger);
    print_line("slot", data->slot_at, "");
    print_line("started", data->started_at, "");
    if (data->finished_ms >= 0)
        (void)snprintf(note, sizeof note, "  (took %s)",
                       text_table_span(data->finished_ms - data->started_ms, span));
    print_line("finished", data->finished_at, note);
    print_line("deadline", data->deadline_at, "");
}

static void print_totals(const struct report_data *data)
{
    char number[TEXT_TABLE_COUNT_SIZE];
    char share[16];

    putchar('\n');
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++) {
        int64_t count = data->counts[outcome];
        int64_t width = data->due > 0 ? (count * BAR_WIDTH + data->due / 2) / data->due : 0;

        percent_text(count, data->due, share);
        printf("  %-18s %11s %8s%s", outcome_text(outcome), text_table_count(count, number), share,
               width > 0 ? "  " : "");
        for (int64_t i = 0; i < width && i < BAR_WIDTH; i++)
            putchar('#');
        putchar('\n');
    }
    printf("  %-18s %11s\n", "due", text_table_count(data->due, number));
    if (data->all.counts[OUTCOME_NONE] > 0)
        printf("  %-18s %11s\n", "open jobs",
               text_table_count(data->all.counts[OUTCOME_NONE], number));
}

static void institution_cells(struct text_table *table, const struct report_institution *row,
                              const char *name)
{
    char text[TEXT_TABLE_SPAN_SIZE];

    text_table_cell(table, name);
    text_table_number(table, row->slots);
    percent_text(report_data_good(row), row->slots, text);
    text_table_cell(table, text);
    text_table_number(table, row->counts[OUTCOME_RECONNECT_REQUIRED]);
    text_table_number(table, row->counts[OUTCOME_FAILED]);
    text_table_number(table, row->counts[OUTCOME_SKIPPED]);
    text_table_number(table, row->counts[OUTCOME_UNKNOWN]);
    text_table_cell(table, text_table_span(report_data_percentile(row, 50), text));
    text_table_cell(table, text_table_span(report_data_percentile(row, 95), text));
}

static void print_institutions(const struct report_data *data)
{
    static const struct text_table_column columns[] = {
        {"INSTITUTION", 28, false}, {"SLOTS", 9, true},  {"DATA", 7, true},
        {"RECONN", 7, true},        {"FAILED", 7, true}, {"SKIPPED", 9, true},
        {"UNKNOWN", 7, true},       {"P50", 8, true},    {"P95", 8, true},
    };
    struct text_table table;
    uint32_t shown = data->institution_count;

    if (shown == 0)
        return;
    if (shown > INSTITUTIONS_SHOWN)
        shown = INSTITUTIONS_SHOWN;
    putchar('\n');
    text_table_init(&table, stdout, columns, (int)(sizeof columns / sizeof *columns), "  ");
    for (uint32_t i = 0; i < shown; i++) {
        const struct report_institution *row = &data->institutions[i];
        char name[256];

        (void)snprintf(name, sizeof name, "%s%s%s", row->provider == NULL ? "" : row->provider,
                       row->provider == NULL ? "" : "/", row->institution);
        institution_cells(&table, row, name);
    }
    institution_cells(&table, &data->all, "all");
    (void)text_table_finish(&table);
    text_table_deinit(&table);
    if (data->institution_count > shown)
        printf("  and %u more (--format json has all)\n", data->institution_count - shown);
}

static void print_group(const struct report_group *group, const char *name)
{
    char number[TEXT_TABLE_COUNT_SIZE];

    printf("  %11s  %-18s", text_table_count(group->count, number), name);
    for (int i = 0; i < REPORT_SAMPLES && group->samples[i] != NULL; i++)
        printf("%s%.40s", i == 0 ? "  " : ", ", group->samples[i]);
    if (group->count > REPORT_SAMPLES && group->samples[0] != NULL)
        fputs(", ...", stdout);
    putchar('\n');
    if (group->error != NULL && group->error[0] != '\0')
        printf("  %11s  %-18s  e.g. %.60s\n", "", "", group->error);
}

/* The reasons of one outcome, the most frequent first. */
static void print_reasons(const struct report_data *data, enum outcome outcome, const char *title)
{
    bool is_printed[REASON_COUNT] = {false};

    if (data->all.counts[outcome] == 0)
        return;
    printf("\n%s\n", title);
    for (;;) {
        int most = -1;

        for (int reason = 0; reason < REASON_COUNT; reason++)
            if (!is_printed[reason] && data->groups[outcome][reason].count > 0 &&
                (most < 0 ||
                 data->groups[outcome][reason].count > data->groups[outcome][most].count))
                most = reason;
        if (most < 0)
            return;
        is_printed[most] = true;
        print_group(&data->groups[outcome][most],
                    most == REASON_NONE ? "-" : reason_text((enum reason)most));
    }
}

void report_text_print(const struct report_data *data)
{
    print_heading(data);
    print_totals(data);
    print_institutions(data);
    print_reasons(data, OUTCOME_FAILED, "Failed");
    print_reasons(data, OUTCOME_UNKNOWN, "Unknown");
    print_reasons(data, OUTCOME_RECONNECT_REQUIRED,
                  "Waiting for their customers (refreshd consents --status held)");
    print_reasons(data, OUTCOME_SKIPPED, "Skipped");
}
