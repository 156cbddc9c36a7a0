/* SPDX-License-Identifier: MIT
 * classify_institutions.c - the list of institutions: which of them are, or will be, in
 * maintenance. What cannot be read is never guessed. */
#include <string.h>
#include <strings.h>

#include "provider/reading.h"

/* A window that has begun, nobody says when: one instant for it, so that reading the same again
 * changes nothing. */
static const struct utc_time long_ago = {0};

/* An instant of a window. False: there is something that is none. */
static bool read_end(json_t *window, const struct api_source *source, struct utc_time absent,
                     struct utc_time *out)
{
    *out = json_read_instant(window, source);
    if (json_read_source(window, source) == NULL)
        *out = absent;
    return out->ms != UTC_NONE.ms;
}

/* Sooner ones first; of too many the latest is left out. */
static void add_span(struct institution_item *item, struct utc_span span)
{
    uint32_t place = 0;

    while (place < item->span_count && item->spans[place].start.ms <= span.start.ms)
        place++;
    if (place == MAINTENANCE_MAX)
        return;
    if (item->span_count < MAINTENANCE_MAX)
        item->span_count++;
    for (uint32_t i = item->span_count - 1; i > place; i--)
        item->spans[i] = item->spans[i - 1];
    item->spans[place] = span;
}

static bool is_in(const struct utc_span *span, struct utc_time now)
{
    return span->start.ms <= now.ms && now.ms < span->end.ms;
}

/* One window. The status word decides about now, the window about later. */
static bool read_window(const struct reading *reading, json_t *window, enum tristate status,
                        struct institution_item *item)
{
    const struct api_maintenance *where = &reading->request->answer.maintenance;
    struct utc_span span;

    if (!json_is_object(window) ||
        !read_end(window, &where->start, status == TRI_TRUE ? long_ago : UTC_NONE, &span.start) ||
        !read_end(window, &where->end, UTC_NEVER, &span.end) || span.end.ms <= span.start.ms)
        return false;
    if (span.end.ms > reading->now.ms && !(status == TRI_FALSE && is_in(&span, reading->now)))
        add_span(item, span);
    return true;
}

static bool read_windows(const struct reading *reading, json_t *node, enum tristate status,
                         struct institution_item *item)
{
    json_t *windows = json_read_source(node, &reading->request->answer.maintenance.windows);
    bool is_good = true;

    if (windows == NULL)
        return true;
    if (!json_is_array(windows))
        return read_window(reading, windows, status, item);
    for (size_t i = 0; i < json_array_size(windows); i++)
        is_good = read_window(reading, json_array_get(windows, i), status, item) && is_good;
    return is_good;
}

/* TRI_UNKNOWN: not told. False: a word that the definition does not know. */
static bool read_status(const struct reading *reading, json_t *node, enum tristate *out)
{
    const struct api_answer *where = &reading->request->answer;
    char word[JUDGE_WORD_SIZE];

    *out = TRI_UNKNOWN;
    if (where->status.pointer_count == 0)
        return true;
    if (json_read_text(node, &where->status, word, sizeof word) != JSON_TEXT_GOOD)
        return json_read_source(node, &where->status) == NULL;
    for (uint32_t i = 0; i < where->verdict_count; i++)
        if (strcasecmp(where->verdicts[i].word, word) == 0) {
            *out = where->verdicts[i].value != 0 ? TRI_TRUE : TRI_FALSE;
            return true;
        }
    return false;
}

static void read_item(const struct reading *reading, json_t *node, struct institution_item *item)
{
    enum tristate status;
    bool is_now = false;

    item->span_count = 0;
    item->is_understood = json_read_text(node, &reading->request->answer.maintenance.name,
                                         item->name, sizeof item->name) == JSON_TEXT_GOOD;
    item->is_understood = item->is_understood && read_status(reading, node, &status) &&
                          read_windows(reading, node, status, item);
    if (!item->is_understood) {
        item->span_count = 0;
        return;
    }
    for (uint32_t i = 0; i < item->span_count; i++)
        is_now = is_now || is_in(&item->spans[i], reading->now);
    if (status == TRI_TRUE && !is_now) /* until the next reading says otherwise */
        add_span(item, (struct utc_span){long_ago, UTC_NEVER});
}

void classify_institutions(const struct api_definition *definition, const struct http_answer *http,
                           const struct request_variables *ours, struct utc_time now,
                           institution_function *take, void *context, struct answer *answer,
                           struct answer_texts *texts)
{
    struct reading reading = {
        .definition = definition,
        .request = &definition->requests[REQUEST_INSTITUTIONS],
        .http = http,
        .ours = ours,
        .now = now,
        .answer = answer,
        .texts = texts,
    };
    json_t *items;

    REQUIRE(reading.request->is_used);
    reading_open(&reading);
    reading_common(&reading, REQUEST_INSTITUTIONS);
    items = json_read_source(reading.root, &reading.request->answer.maintenance.items);
    if (!reading_is_accepted(&reading)) {
        reading_refused(&reading);
    } else if (reading.root == NULL) {
        reading_not_json(&reading);
    } else if (!json_is_array(items)) {
        reading_bad(&reading, "the answer holds no list of institutions");
    } else {
        reading_decide(&reading, (struct verdict){CLASS_SUCCESS, REASON_NONE, false});
        for (size_t i = 0; i < json_array_size(items); i++) {
            struct institution_item item;

            read_item(&reading, json_array_get(items, i), &item);
            take(context, &item);
        }
    }
    reading_close(&reading);
}
