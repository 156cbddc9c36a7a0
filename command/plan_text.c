/* SPDX-License-Identifier: MIT
 * plan_text.c - a plan for people: at most 80 columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "command/plan_print.h"
#include "command/text_table.h"

#define BAR_WIDTH 36
#define NODES_SHOWN 12

static bool is_told(const struct plan_run *run, uint32_t schedule)
{
    return schedule == UINT32_MAX || run->schedule == schedule;
}

bool plan_fits(const struct plan *plan, uint32_t schedule)
{
    for (uint32_t i = 0; i < plan->run_count; i++)
        if (is_told(&plan->runs[i], schedule) && !plan->runs[i].fits)
            return false;
    return true;
}

static const char *instant(struct utc_time at, char text[UTC_TEXT_SIZE])
{
    if (at.ms == UTC_NONE.ms || at.ms == UTC_NEVER.ms)
        return strcpy(text, "-");
    return utc_text_seconds(at, text);
}

/* "finq/BRD", or "finq" for the provider's own node. */
static const char *node_name(const struct plan *plan, const struct config *config,
                             uint32_t provider, uint32_t institution, char text[200])
{
    (void)snprintf(text, 200, "%.60s%s%.120s", config->providers[provider].name,
                   institution == UINT32_MAX ? "" : "/",
                   institution == UINT32_MAX ? "" : plan->institutions[institution].name);
    return text;
}

static void print_head(const struct plan *plan)
{
    char from[UTC_TEXT_SIZE];
    char until[UTC_TEXT_SIZE];
    char count[TEXT_TABLE_COUNT_SIZE];

    printf("plan %s .. %s  %s consents\n", instant(plan->from, from), instant(plan->until, until),
           text_table_count(plan->consents, count));
    if (plan->history_jobs > 0)
        printf("learned from %s jobs since %s\n",
               text_table_count((int64_t)plan->history_jobs, count),
               instant(plan->history_since, from));
    else
        puts("no history is used: every job is assumed to succeed within 5 s to 35 s");
}

static void print_counts(const char *label, const uint32_t *counts, int first, int end,
                         const char *(*name)(int value))
{
    char count[TEXT_TABLE_COUNT_SIZE];
    int column = 0;

    for (int i = first; i < end; i++) {
        char item[64];
        int length;

        if (counts[i] == 0)
            continue;
        length = snprintf(item, sizeof item, "%s %s", name(i), text_table_count(counts[i], count));
        if (column == 0 || column + 2 + length > 80)
            column = printf("%s%s  %-10s", column == 0 ? "" : "\n", "", column == 0 ? label : "");
        column += printf("  %s", item);
    }
    if (column > 0)
        putchar('\n');
}

static const char *outcome_name(int value)
{
    return outcome_text((enum outcome)value);
}

static const char *reason_name(int value)
{
    return reason_text((enum reason)value);
}

static void print_binding(const struct plan *plan, const struct config *config,
                          const struct plan_run *run)
{
    const struct plan_binding *binding = &run->binding;
    char name[200];
    char count[TEXT_TABLE_COUNT_SIZE];
    char span[TEXT_TABLE_SPAN_SIZE];
    /* "jobs_running 50" says what it is, "5/s" does not. */
    bool is_named = binding->limit[0] != '\0' && binding->reason != REASON_RATE;

    if (binding->reason == REASON_NONE) {
        puts("  bound by    nothing but its own spread and the length of the jobs");
        return;
    }
    printf("  bound by    %s %s %s%s%s",
           binding->institution == UINT32_MAX ? "provider" : "institution",
           node_name(plan, config, binding->provider, binding->institution, name),
           is_named ? "" : reason_text(binding->reason), is_named ? "" : " ", binding->limit);
    if (binding->other_count > 0)
        printf(" (and %s more like it)", text_table_count(binding->other_count, count));
    if (binding->short_count > 0)
        printf(": %s consents short\n", text_table_count(binding->short_count, count));
    else
        printf(":\n              %s of waiting there for each consent\n",
               text_table_span(run->due == 0 ? 0 : binding->waited_s * MS_PER_SECOND / run->due,
                               span));
}

static void print_losses(const struct plan *plan, const struct config *config,
                         const struct plan_run *run)
{
    char count[TEXT_TABLE_COUNT_SIZE];

    if (run->lost_count == 0)
        return;
    printf("  WILL NOT FIT  %s\n", text_table_count(run->lost_count, count));
    for (int i = 0; i < PLAN_TOP && run->losses[i].count > 0; i++) {
        char name[200];

        printf("    %10s  %-40.40s %s\n", text_table_count(run->losses[i].count, count),
               node_name(plan, config, run->losses[i].provider, run->losses[i].institution, name),
               reason_text(run->losses[i].reason));
    }
}

static void print_times(const struct plan_run *run)
{
    char start[UTC_TEXT_SIZE];
    char finish[UTC_TEXT_SIZE];
    char deadline[UTC_TEXT_SIZE];
    char span[TEXT_TABLE_SPAN_SIZE];

    printf("  start %s  finish %s\n", instant(run->start, start), instant(run->finish, finish));
    printf("  deadline %s", instant(run->deadline, deadline));
    if (run->finish.ms != UTC_NONE.ms && run->deadline.ms != UTC_NEVER.ms) {
        int64_t slack_ms = run->deadline.ms - run->finish.ms;

        printf("  %s %s", slack_ms < 0 ? "LATE BY" : "slack",
               text_table_span(llabs(slack_ms), span));
    }
    putchar('\n');
}

static void print_run(const struct plan *plan, const struct config *config,
                      const struct plan_run *run)
{
    const struct calendar *calendar = &config->schedule_settings[run->schedule].calendar;
    struct civil_time local = zone_utc_to_local(calendar->zone, run->slot);
    char slot[UTC_TEXT_SIZE];
    char count[TEXT_TABLE_COUNT_SIZE];

    printf("\n%s@%s  %s\n", config->schedules[run->schedule].name, instant(run->slot, slot),
           run->is_missed  ? "missed"
           : !run->fits    ? "DOES NOT FIT"
           : run->was_open ? "fits, in progress"
                           : "fits");
    printf("  local %04d-%02d-%02d %02d:%02d:%02d %s  by %s  due %s\n", local.year, local.month,
           local.day, local.hour, local.minute, local.second, calendar->zone->name,
           trigger_text(run->trigger), text_table_count(run->due, count));
    if (run->is_missed)
        return;
    print_times(run);
    print_counts("expected", run->outcomes, OUTCOME_REFRESHED, OUTCOME_COUNT, outcome_name);
    print_counts("failing", run->failed, 1, REASON_COUNT, reason_name);
    print_counts("not asked", run->skipped, 1, REASON_COUNT, reason_name);
    print_losses(plan, config, run);
    print_binding(plan, config, run);
}

/* Busiest nodes first: by share of the rate, then by requests. */
static int compare_nodes(const void *a, const void *b)
{
    const struct plan_node *x = *(const struct plan_node *const *)a;
    const struct plan_node *y = *(const struct plan_node *const *)b;
    uint64_t sent_x = x->initiations + x->calls;
    uint64_t sent_y = y->initiations + y->calls;

    if ((x->institution == UINT32_MAX) != (y->institution == UINT32_MAX))
        return x->institution == UINT32_MAX ? -1 : 1;
    if (x->utilisation != y->utilisation)
        return x->utilisation > y->utilisation ? -1 : 1;
    if (sent_x != sent_y)
        return sent_x > sent_y ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void print_nodes(const struct plan *plan, const struct config *config)
{
    static const struct text_table_column columns[] = {
        {"node", 30, false}, {"limit", 10, false},  {"used", 5, true},
        {"peak/s", 6, true}, {"peak/min", 8, true}, {"jobs", 6, true},
    };
    const struct plan_node **nodes = calloc((size_t)plan->node_count + 1, sizeof *nodes);
    struct text_table table;

    if (nodes == NULL || plan->node_count == 0) {
        free(nodes);
        return;
    }
    for (uint32_t i = 0; i < plan->node_count; i++)
        nodes[i] = &plan->nodes[i];
    qsort(nodes, plan->node_count, sizeof *nodes, compare_nodes);
    putchar('\n');
    text_table_init(&table, stdout, columns, sizeof columns / sizeof *columns, "");
    for (uint32_t i = 0; i < plan->node_count && i < NODES_SHOWN; i++) {
        char name[200];
        char used[16] = "-";

        if (nodes[i]->utilisation >= 0)
            (void)snprintf(used, sizeof used, "%d %%", nodes[i]->utilisation);
        text_table_cell(&table,
                        node_name(plan, config, nodes[i]->provider, nodes[i]->institution, name));
        text_table_cell(&table, nodes[i]->limit[0] == '\0' ? NULL : nodes[i]->limit);
        text_table_cell(&table, used);
        text_table_number(&table, nodes[i]->peak_second);
        text_table_number(&table, nodes[i]->peak_minute);
        text_table_number(&table, nodes[i]->peak_jobs);
    }
    (void)text_table_finish(&table);
    text_table_deinit(&table);
    free(nodes);
}

static void print_chart(const struct plan *plan)
{
    static const char marks[BAR_WIDTH + 1] = "####################################";
    uint32_t first = plan->bucket_count;
    uint32_t last = 0;
    uint64_t most = 0;

    for (uint32_t i = 0; i < plan->bucket_count; i++) {
        if (plan->buckets[i].initiations + plan->buckets[i].peak_jobs == 0)
            continue;
        first = first < i ? first : i;
        last = i;
        if (plan->buckets[i].initiations > most)
            most = plan->buckets[i].initiations;
    }
    if (most == 0)
        return;
    printf("\n%-17s%-*s%14s%11s\n", "UTC", BAR_WIDTH + 1, "", "initiated", "jobs");
    for (uint32_t i = first; i <= last; i++) {
        const struct plan_bucket *bucket = &plan->buckets[i];
        int width = (int)((bucket->initiations * BAR_WIDTH + most - 1) / most);
        char at[UTC_TEXT_SIZE];
        char count[TEXT_TABLE_COUNT_SIZE];
        char jobs[TEXT_TABLE_COUNT_SIZE];

        instant(bucket->at, at);
        at[10] = ' ';
        printf("%.16s %-*.*s%15s%11s\n", at, BAR_WIDTH, width, marks,
               text_table_count((int64_t)bucket->initiations, count),
               text_table_count(bucket->peak_jobs, jobs));
    }
}

void plan_print_text(const struct plan *plan, const struct config *config, uint32_t schedule)
{
    uint32_t told = 0;

    print_head(plan);
    for (uint32_t i = 0; i < plan->run_count; i++) {
        if (!is_told(&plan->runs[i], schedule))
            continue;
        print_run(plan, config, &plan->runs[i]);
        told++;
    }
    if (told == 0)
        puts("\nnothing fires in this time");
    print_nodes(plan, config);
    print_chart(plan);
    if (!plan_fits(plan, schedule))
        puts("\nA deadline cannot be met.");
}
