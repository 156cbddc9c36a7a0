/* SPDX-License-Identifier: MIT
 * diff_report.c - see diff_report.h. */
#include "command/diff_report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const consent_words[CONSENT_DIFF_COUNT] = {
    [CONSENT_DIFF_ADDED] = "added",
    [CONSENT_DIFF_REMOVED] = "removed",
    [CONSENT_DIFF_MOVED] = "moved",
    [CONSENT_DIFF_CHANGED] = "changed",
};
static const char *const change_words[] = {
    [CONFIG_ADDED] = "added", [CONFIG_REMOVED] = "removed", [CONFIG_CHANGED] = "changed"};
static const char change_signs[] = {
    [CONFIG_ADDED] = '+', [CONFIG_REMOVED] = '-', [CONFIG_CHANGED] = '~'};

/* ---- collecting ---- */

static char *copy(const char *text)
{
    char *copied = text == NULL ? NULL : strdup(text);

    REQUIRE(copied != NULL || text == NULL);
    return copied;
}

/* Room for one more in an array of `count`. */
static void *grow(void *items, size_t count, size_t size)
{
    void *grown = items;

    if ((count & (count - 1)) == 0) /* 0, 1, 2, 4, 8, ...: full */
        grown = realloc(items, (count == 0 ? 1 : 2 * count) * size);
    REQUIRE(grown != NULL);
    return grown;
}

void diff_report_option(void *context, const struct config_change *change)
{
    struct diff_report *report = context;

    report->options = grow(report->options, report->option_count, sizeof *report->options);
    report->options[report->option_count++] =
        (struct diff_option){.kind = change->kind,
                             .path = copy(change->path),
                             .from = copy(change->from),
                             .to = copy(change->to),
                             .needs_restart = change->needs_restart};
}

void diff_report_name(struct diff_names *names, const char *name, const char *detail)
{
    if (names->count < DIFF_NAMES_SHOWN) {
        names->first[names->count] = copy(name);
        names->detail[names->count] = copy(detail);
    }
    names->count++;
}

void diff_report_firing(struct diff_report *report, const char *schedule, struct utc_time from,
                        struct utc_time to)
{
    report->firings = grow(report->firings, report->firing_count, sizeof *report->firings);
    report->firings[report->firing_count++] = (struct diff_firing){copy(schedule), from, to};
}

void diff_report_fired(struct diff_report *report, uint32_t run, const char *schedule,
                       struct utc_time slot, enum trigger trigger, uint32_t due)
{
    report->fired = grow(report->fired, report->fired_count, sizeof *report->fired);
    report->fired[report->fired_count++] =
        (struct diff_fired){run, copy(schedule), slot, trigger, due};
    report->fired_due += due;
}

static void free_names(struct diff_names *names)
{
    for (size_t i = 0; i < DIFF_NAMES_SHOWN; i++) {
        free(names->first[i]);
        free(names->detail[i]);
    }
}

void diff_report_free(struct diff_report *report)
{
    for (size_t i = 0; i < report->option_count; i++) {
        free(report->options[i].path);
        free(report->options[i].from);
        free(report->options[i].to);
    }
    for (size_t i = 0; i < CONSENT_DIFF_COUNT; i++)
        free_names(&report->consents[i]);
    free_names(&report->expired);
    free_names(&report->released);
    for (size_t i = 0; i < report->firing_count; i++)
        free(report->firings[i].schedule);
    for (size_t i = 0; i < report->fired_count; i++)
        free(report->fired[i].schedule);
    free(report->options);
    free(report->firings);
    free(report->fired);
    free(report->refusal);
    free(report->shrink);
    *report = (struct diff_report){0};
}

bool diff_report_differs(const struct diff_report *report)
{
    bool differs = report->option_count > 0 || report->firing_count > 0 ||
                   report->fired_count > 0 || report->released.count > 0 ||
                   report->slots_removed > 0;

    for (size_t i = 0; i < CONSENT_DIFF_COUNT; i++)
        differs = differs || report->consents[i].count > 0;
    return differs;
}

/* ---- text ---- */

static const char *instant_text(struct utc_time at, char text[UTC_TEXT_SIZE])
{
    return at.ms == UTC_NEVER.ms || at.ms == UTC_NONE.ms ? "never" : utc_text(at, text);
}

static void print_option(const struct diff_option *option)
{
    printf("%c %s", change_signs[option->kind], option->path);
    if (option->kind == CONFIG_CHANGED)
        printf(": %s -> %s", option->from, option->to);
    else if (option->from != NULL || option->to != NULL)
        printf(": %s", option->from != NULL ? option->from : option->to);
    puts(option->needs_restart ? " (needs a restart)" : "");
}

static void print_names(char sign, const char *what, const struct diff_names *names)
{
    if (names->count == 0)
        return;
    printf("%c consents %s: %" PRIu64 "\n", sign, what, names->count);
    for (size_t i = 0; i < names->count && i < DIFF_NAMES_SHOWN; i++)
        printf("%c   %s%s%s\n", sign, names->first[i], names->detail[i][0] == '\0' ? "" : ": ",
               names->detail[i]);
    if (names->count > DIFF_NAMES_SHOWN)
        printf("%c   and %" PRIu64 " more\n", sign, names->count - DIFF_NAMES_SHOWN);
}

void diff_report_print_text(const struct diff_report *report)
{
    static const char signs[CONSENT_DIFF_COUNT] = {
        [CONSENT_DIFF_ADDED] = '+',
        [CONSENT_DIFF_REMOVED] = '-',
        [CONSENT_DIFF_MOVED] = '~',
        [CONSENT_DIFF_CHANGED] = '~',
    };
    char from[UTC_TEXT_SIZE];
    char to[UTC_TEXT_SIZE];

    for (size_t i = 0; i < report->option_count; i++)
        print_option(&report->options[i]);
    for (size_t i = 0; i < CONSENT_DIFF_COUNT; i++)
        print_names(signs[i], consent_words[i], &report->consents[i]);
    print_names('~', "that expire by this", &report->expired);
    print_names('~', "let go by this", &report->released);
    for (size_t i = 0; i < report->firing_count; i++)
        printf("~ schedule %s fires next: %s -> %s\n", report->firings[i].schedule,
               instant_text(report->firings[i].from, from),
               instant_text(report->firings[i].to, to));
    if (report->slots_removed > 0)
        printf("~ unsent slots of open runs that end as skipped/removed: %" PRIu64 "\n",
               report->slots_removed);
    if (report->started_sooner > 0)
        printf("~ slots due already that wider limits start at once: %" PRIu64 "\n",
               report->started_sooner);
    if (!diff_report_differs(report))
        puts("no difference");
    if (report->shrink != NULL)
        printf("shrink guard: %s\n", report->shrink);
    if (report->refusal != NULL)
        printf("a reload would be refused: %s\n", report->refusal);
    for (size_t i = 0; i < report->fired_count; i++)
        printf("! %s@%s (%s) would open with %" PRIu32 " slots\n", report->fired[i].schedule,
               instant_text(report->fired[i].slot, from), trigger_text(report->fired[i].trigger),
               report->fired[i].due);
    printf("would fire now: %" PRIu64 "\n", report->fired_due);
}

/* ---- JSON ---- */

static json_t *instant_json(struct utc_time at)
{
    char text[UTC_TEXT_SIZE];

    return at.ms == UTC_NEVER.ms || at.ms == UTC_NONE.ms ? json_null()
                                                         : json_string(utc_text(at, text));
}

static json_t *names_json(const struct diff_names *names)
{
    json_t *first = json_array();

    for (size_t i = 0; i < names->count && i < DIFF_NAMES_SHOWN; i++)
        json_array_append_new(
            first, json_pack("{s:s, s:s}", "consent", names->first[i], "detail", names->detail[i]));
    return json_pack("{s:I, s:o}", "count", (json_int_t)names->count, "first", first);
}

static void append_once(json_t *list, const char *name)
{
    size_t last = json_array_size(list);

    if (last == 0 || strcmp(json_string_value(json_array_get(list, last - 1)), name) != 0)
        json_array_append_new(list, json_string(name));
}

/* "providers.finq.limits.rate" names finq. A change below a name is a change of what it names. */
static json_t *named_json(const struct diff_report *report, const char *section)
{
    json_t *lists[] = {json_array(), json_array(), json_array()};
    size_t length = strlen(section);
    char alone[256] = ""; /* the last one that came or went as a whole */

    for (size_t i = 0; i < report->option_count; i++) {
        const struct diff_option *option = &report->options[i];
        const char *name = option->path + length + 1;
        char text[256];

        if (strncmp(option->path, section, length) != 0 || option->path[length] != '.')
            continue;
        (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(name, "."), name);
        if (strchr(name, '.') == NULL && option->kind != CONFIG_CHANGED && option->from == NULL &&
            option->to == NULL) {
            (void)snprintf(alone, sizeof alone, "%s", text);
            append_once(lists[option->kind], text);
        } else if (strcmp(alone, text) != 0) {
            append_once(lists[CONFIG_CHANGED], text);
        }
    }
    return json_pack("{s:o, s:o, s:o}", change_words[0], lists[0], change_words[1], lists[1],
                     change_words[2], lists[2]);
}

static json_t *options_json(const struct diff_report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; i < report->option_count; i++) {
        const struct diff_option *option = &report->options[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:s?, s:s?, s:b}", "change",
                                              change_words[option->kind], "option", option->path,
                                              "from", option->from, "to", option->to,
                                              "needs_restart", option->needs_restart));
    }
    return list;
}

static json_t *consents_json(const struct diff_report *report)
{
    json_t *object = json_object();

    for (size_t i = 0; i < CONSENT_DIFF_COUNT; i++)
        json_object_set_new(object, consent_words[i], names_json(&report->consents[i]));
    json_object_set_new(object, "expired", names_json(&report->expired));
    json_object_set_new(object, "released", names_json(&report->released));
    return object;
}

static json_t *firings_json(const struct diff_report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; i < report->firing_count; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:o, s:o}", "schedule", report->firings[i].schedule,
                                        "from_at", instant_json(report->firings[i].from), "to_at",
                                        instant_json(report->firings[i].to)));
    return list;
}

static json_t *fired_json(const struct diff_report *report)
{
    json_t *list = json_array();

    for (size_t i = 0; i < report->fired_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:o, s:s, s:i}", "schedule",
                                              report->fired[i].schedule, "slot_at",
                                              instant_json(report->fired[i].slot), "trigger",
                                              trigger_text(report->fired[i].trigger), "due",
                                              (int)report->fired[i].due));
    return list;
}

void diff_report_print_json(const struct diff_report *report)
{
    json_t *object = json_pack(
        "{s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:s?, s:s?, s:o, s:I}", "differs",
        diff_report_differs(report), "offline", report->is_offline, "options", options_json(report),
        "providers", named_json(report, "providers"), "schedules", named_json(report, "schedules"),
        "consents", consents_json(report), "firings", firings_json(report), "slots_removed",
        (json_int_t)report->slots_removed, "started_sooner", (json_int_t)report->started_sooner,
        "shrink", report->shrink, "refusal", report->refusal, "would_fire", fired_json(report),
        "would_fire_now", (json_int_t)report->fired_due);

    REQUIRE(object != NULL);
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(object);
}
