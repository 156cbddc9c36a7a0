/* SPDX-License-Identifier: MIT
 * engine_maintenance.c - a provider's list of institutions becomes maintenance of ours. */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_internal.h"
#include "provider/classify.h"

/* One reading of a list. */
struct list_reading {
    struct engine *engine;
    struct time_now now;
    uint32_t provider;
    struct maintenance_told *told; /* by index of the settings' institutions */
    uint32_t items;
    uint32_t doubts;
    char doubt[INSTITUTION_NAME_SIZE]; /* the first */
};

struct maintenance_told {
    bool is_kept; /* what was known before stays: it could not be read */
    uint32_t count;
    struct utc_span spans[MAINTENANCE_MAX];
};

static void take_item(void *context, const struct institution_item *item)
{
    struct list_reading *reading = context;
    const struct scheduler_settings *settings = &reading->engine->settings;

    reading->items++;
    if (!item->is_understood) {
        if (reading->doubts++ == 0)
            memcpy(reading->doubt, item->name, sizeof reading->doubt);
    }
    for (uint32_t i = 0; i < settings->institution_count; i++) {
        struct maintenance_told *told = &reading->told[i];

        if (settings->institutions[i].provider != reading->provider ||
            strcmp(settings->institutions[i].name, item->name) != 0)
            continue;
        told->is_kept = !item->is_understood;
        told->count = item->span_count;
        memcpy(told->spans, item->spans, sizeof told->spans);
    }
}

static bool is_known(const struct engine *engine, uint32_t institution,
                     const struct maintenance_told *told)
{
    struct utc_span spans[MAINTENANCE_MAX];

    if (scheduler_maintenance(engine->scheduler, institution, spans) != told->count)
        return false;
    for (uint32_t i = 0; i < told->count; i++)
        if (spans[i].start.ms != told->spans[i].start.ms ||
            spans[i].end.ms != told->spans[i].end.ms)
            return false;
    return true;
}

static void log_change(struct list_reading *reading, uint32_t institution,
                       const struct maintenance_told *told)
{
    struct engine *engine = reading->engine;

    log_begin(engine->log, reading->now.utc, LOG_INFO, "maintenance");
    log_text(engine->log, "provider", engine->config->providers[reading->provider].name);
    log_text(engine->log, "institution", engine->settings.institutions[institution].name);
    log_integer(engine->log, "windows", told->count);
    if (told->count > 0) {
        char text[UTC_TEXT_SIZE];

        log_text(engine->log, "from", utc_text_seconds(told->spans[0].start, text));
        if (told->spans[0].end.ms != UTC_NEVER.ms)
            log_text(engine->log, "until", utc_text_seconds(told->spans[0].end, text));
    }
    log_end(engine->log);
}

/* The core hears of each institution whose maintenance is another one now. */
static void tell_core(struct list_reading *reading)
{
    struct engine *engine = reading->engine;

    for (uint32_t i = 0; i < engine->settings.institution_count; i++) {
        const struct maintenance_told *told = &reading->told[i];
        struct event event = {.kind = EVENT_MAINTENANCE};

        if (engine->settings.institutions[i].provider != reading->provider || told->is_kept ||
            is_known(engine, i, told))
            continue;
        event.as.maintenance.institution = i;
        event.as.maintenance.count = told->count;
        memcpy(event.as.maintenance.spans, told->spans, sizeof told->spans);
        engine_put_event(engine, reading->now, &event, NULL, 0);
        log_change(reading, i, told);
    }
}

/* Said once, until a list could be read in full again. */
static void log_doubts(struct list_reading *reading, struct provider_link *link)
{
    struct log *log = reading->engine->log;

    if (reading->doubts > 0 && !link->list_was_doubted) {
        log_begin(log, reading->now.utc, LOG_WARNING, "maintenance_not_understood");
        log_text(log, "provider", link->settings->name);
        log_integer(log, "institutions", reading->items);
        log_integer(log, "not_understood", reading->doubts);
        log_text(log, "first", reading->doubt);
        log_end(log);
    }
    link->list_was_doubted = reading->doubts > 0;
}

static void log_failure(struct engine *engine, struct time_now now, struct provider_link *link,
                        const struct answer *answer, const struct answer_texts *texts, int status)
{
    bool has_failed = answer->class_ != CLASS_SUCCESS;

    if (has_failed && !link->list_has_failed) {
        log_begin(engine->log, now.utc, LOG_WARNING, "maintenance_not_read");
        log_text(engine->log, "provider", link->settings->name);
        log_text(engine->log, "class", answer_class_text(answer->class_));
        log_integer(engine->log, "http_status", status);
        log_text(engine->log, "code", texts->error_code[0] == '\0' ? NULL : texts->error_code);
        log_text(engine->log, "error",
                 texts->error_message[0] == '\0' ? NULL : texts->error_message);
        log_end(engine->log);
    }
    link->list_has_failed = has_failed;
}

void engine_institutions_answered(struct engine *engine, struct time_now now,
                                  struct provider_link *link, const struct http_answer *http,
                                  const struct transport_failure *failure, bool reached_socket)
{
    struct list_reading reading = {
        .engine = engine, .now = now, .provider = engine_link_index(engine, link)};
    struct event event = {.kind = EVENT_INSTITUTIONS};
    struct answer *answer = &event.as.institutions.answer;
    struct answer_texts texts;
    struct request_variables ours;

    if (reading.provider == UINT32_MAX)
        return; /* the provider is gone, and what waited for the answer with it */
    provider_link_variables(link, now.utc, &ours);
    reading.told = calloc((size_t)engine->settings.institution_count + 1, sizeof *reading.told);
    REQUIRE(reading.told != NULL);
    if (failure != NULL)
        classify_transport(failure, &ours, now.utc, answer, &texts);
    else
        classify_institutions(link->definition, http, &ours, now.utc, take_item, &reading, answer,
                              &texts);
    answer->reached_socket = reached_socket;
    event.as.institutions.provider = reading.provider;
    engine_put_event(engine, now, &event, NULL, 0);
    if (answer->class_ == CLASS_SUCCESS) {
        tell_core(&reading);
        log_doubts(&reading, link);
    }
    log_failure(engine, now, link, answer, &texts, http->status);
    free(reading.told);
}
