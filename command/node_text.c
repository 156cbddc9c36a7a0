/* SPDX-License-Identifier: MIT
 * node_text.c - see node_text.h. */
#include "command/node_text.h"

#include <stdbool.h>
#include <stdio.h>

static const char *const ages[][2] = {{"under_1m", "<1m"},   {"under_5m", "<5m"},
                                      {"under_15m", "<15m"}, {"under_1h", "<1h"},
                                      {"under_6h", "<6h"},   {"more", "more"}};
#define AGE_COUNT (sizeof ages / sizeof *ages)

static const char *text_of(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "-" : value;
}

static long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool has(const json_t *object, const char *key)
{
    return json_is_string(json_object_get(object, key));
}

static void print_name(const json_t *node)
{
    if (has(node, "institution"))
        printf("%s/%s", text_of(node, "provider"), text_of(node, "institution"));
    else
        printf("%s", text_of(node, "provider"));
}

/* "412 waiting: rate 1/s learned from 5/s, 380 by deadline" */
static void print_sentence(const json_t *node)
{
    long long all = number_of(node, "waiting") + number_of(node, "coming");

    printf(": %lld waiting", number_of(node, "waiting"));
    if (number_of(node, "coming") > 0)
        printf(" and %lld to come", number_of(node, "coming"));
    if (has(node, "learned_rate"))
        printf(": rate %s learned from %s", text_of(node, "learned_rate"),
               has(node, "configured_rate") ? text_of(node, "configured_rate") : "no limit");
    else if (has(node, "configured_rate"))
        printf(": rate %s", text_of(node, "configured_rate"));
    if (has(node, "deadline_at") && all > 0)
        printf(", %lld by deadline %s", number_of(node, "by_deadline"),
               text_of(node, "deadline_at"));
    putchar('\n');
}

static void print_counts(const char *what, const json_t *counts)
{
    const char *key;
    const json_t *value;

    if (json_object_size(counts) == 0)
        return;
    printf("  %-10s", what);
    json_object_foreach((json_t *)counts, key, value)
        printf(" %s %lld ", key, (long long)json_integer_value(value));
    putchar('\n');
}

void node_text_print(const json_t *node)
{
    const json_t *age = json_object_get(node, "ages");

    print_name(node);
    if (json_is_true(json_object_get(node, "offline")))
        fputs("  (offline)", stdout);
    print_sentence(node);
    print_counts("waits for", json_object_get(node, "reasons"));
    fputs("  since     ", stdout);
    for (size_t i = 0; i < AGE_COUNT; i++)
        printf(" %s %lld ", ages[i][1], number_of(age, ages[i][0]));
    printf(" oldest %s\n", text_of(node, "oldest_at"));
    printf("  running    jobs %lld  requests %lld  breaker %s  %s%s%s\n",
           number_of(node, "jobs_running"), number_of(node, "requests_in_flight"),
           text_of(node, "breaker"), has(node, "blocked_by") ? text_of(node, "blocked_by") : "open",
           has(node, "not_before_at") ? " until " : "",
           has(node, "not_before_at") ? text_of(node, "not_before_at") : "");
    if (has(node, "expected_rate"))
        printf("  expected   %s (%s), all sent by %s\n", text_of(node, "expected_rate"),
               text_of(node, "bound_by"), text_of(node, "done_by_at"));
}

void node_text_print_head(void)
{
    printf("%-40s %7s", "backlog", "waiting");
    for (size_t i = 0; i < AGE_COUNT; i++)
        printf(" %6s", ages[i][1]);
    printf(" %7s  %s\n", "to come", "all sent by");
}

void node_text_print_ages(const json_t *node)
{
    char name[256];
    const json_t *age = json_object_get(node, "ages");

    (void)snprintf(name, sizeof name, "%s%s%s", text_of(node, "provider"),
                   has(node, "institution") ? "/" : "",
                   has(node, "institution") ? text_of(node, "institution") : "");
    printf("%-40s %7lld", name, number_of(node, "waiting"));
    for (size_t i = 0; i < AGE_COUNT; i++)
        printf(" %6lld", number_of(age, ages[i][0]));
    printf(" %7lld  %s\n", number_of(node, "coming"), text_of(node, "done_by_at"));
}
