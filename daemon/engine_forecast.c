/* SPDX-License-Identifier: MIT
 * engine_forecast.c - runs that will not fit into their window: one line when that is first seen,
 * and one each time it has doubled. */
#include <stdio.h>

#include "daemon/engine_internal.h"

#define FORECAST_EVERY_US US_PER_SECOND

/* Where the run is remembered, or where it may be. Those that ended make room. */
static struct foretold *foretold_of(struct engine *engine, uint32_t run)
{
    struct foretold *place = NULL;

    for (uint32_t i = 0; i < FORETOLD_MAX; i++) {
        if (engine->foretold[i].run == run)
            return &engine->foretold[i];
        if (engine->foretold[i].run == 0)
            place = &engine->foretold[i];
    }
    if (place == NULL)
        return NULL; /* more runs than anybody reads about */
    *place = (struct foretold){run, 0};
    return place;
}

static void forget_ended(struct engine *engine)
{
    struct run_view view;

    for (uint32_t i = 0; i < FORETOLD_MAX; i++) {
        bool is_open = false;

        if (engine->foretold[i].run == 0)
            continue;
        for (uint32_t j = 0; !is_open && j < scheduler_run_count(engine->scheduler); j++) {
            scheduler_run_view(engine->scheduler, j, &view);
            is_open = view.run == engine->foretold[i].run;
        }
        if (!is_open)
            engine->foretold[i].run = 0;
    }
}

static void tell(struct engine *engine, struct time_now now, const struct run_view *view)
{
    const struct scheduler_settings *settings = &engine->settings;

    log_begin(engine->log, now.utc, LOG_WARNING, "run_will_not_fit");
    log_text(engine->log, "schedule", settings->schedules[view->schedule].name);
    log_instant(engine->log, "slot", view->slot);
    log_instant(engine->log, "deadline", view->deadline);
    log_integer(engine->log, "due", view->due);
    log_integer(engine->log, "will_miss", view->will_miss);
    log_integer(engine->log, "skipped_early", view->skipped_early);
    log_text(engine->log, "limit", reason_text(view->limit));
    if (view->limit_provider < settings->provider_count)
        log_text(engine->log, "provider", settings->providers[view->limit_provider].name);
    if (view->limit_institution < settings->institution_count)
        log_text(engine->log, "institution", settings->institutions[view->limit_institution].name);
    if (view->finish.ms != UTC_NONE.ms)
        log_instant(engine->log, "finish", view->finish);
    log_end(engine->log);
}

void engine_foretell(struct engine *engine, struct time_now now)
{
    struct run_view view;

    if (now.mono.us < engine->next_forecast.us)
        return;
    engine->next_forecast = mono_add_us(now.mono, FORECAST_EVERY_US);
    forget_ended(engine);
    for (uint32_t i = 0; i < scheduler_run_count(engine->scheduler); i++) {
        struct foretold *known;

        scheduler_run_view(engine->scheduler, i, &view);
        if (view.will_miss + view.skipped_early == 0 ||
            view.schedule >= engine->settings.schedule_count)
            continue;
        known = foretold_of(engine, view.run);
        if (known == NULL || view.will_miss + view.skipped_early < 2 * (uint64_t)known->count)
            continue;
        known->count = view.will_miss + view.skipped_early;
        tell(engine, now, &view);
    }
}
