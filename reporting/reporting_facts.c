/* SPDX-License-Identifier: MIT
 * reporting_facts.c - see reporting_facts.h. */
#include "reporting/reporting_facts.h"

#include <string.h>

#include "base/text.h"
#include "reporting/reporting_row.h"

static void put_reason(struct reporting_row *row, enum reason reason)
{
    reporting_row_text(row, reason == REASON_NONE ? NULL : reason_text(reason));
}

/* The zone `name`, read once; NULL when memory is out. A name that no longer has a file is taken as
 * UTC and told: facts that wait for zone data would wait for ever. */
static const struct zone *zone_of(struct reporting_database *database, const char *name)
{
    struct reporting_zone *entry;
    struct fault fault;

    if (name == NULL)
        return &zone_utc;
    for (entry = database->zones; entry != NULL; entry = entry->next)
        if (strcmp(entry->name, name) == 0)
            return entry->zone;
    entry = arena_alloc(&database->zones_arena, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->name = arena_copy(&database->zones_arena, name, strlen(name));
    if (entry->name == NULL)
        return NULL;
    if (zone_load(ZONE_DIRECTORY, name, &database->zones_arena, &entry->zone, &fault) !=
        RESULT_OK) {
        entry->zone = &zone_utc;
        if (database->zone_fault.text[0] == '\0') {
            database->zone_fault = fault;
            (void)fault_prefix(&database->zone_fault,
                               "days of daily_institution are counted in UTC");
        }
    }
    entry->next = database->zones;
    database->zones = entry;
    return entry->zone;
}

static enum result put_day(struct reporting_row *row, const char *timezone, struct utc_time slot,
                           struct fault *fault)
{
    const struct zone *zone = zone_of(row->database, timezone);
    struct civil_time local;

    if (zone == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    local = zone_utc_to_local(zone, slot);
    reporting_row_date(row, &local);
    return RESULT_OK;
}

static enum result put_institution(struct reporting_database *database, const char *provider,
                                   const char *institution, struct fault *fault)
{
    uint64_t hash =
        hash_bytes(institution, strlen(institution), hash_bytes(provider, strlen(provider), 1));
    uint64_t *known = &database->institutions[hash % REPORTING_KNOWN_INSTITUTIONS];
    struct reporting_row row;

    if (*known == hash)
        return RESULT_OK;
    if (reporting_row_begin(database, REPORTING_PUT_INSTITUTION, &row, fault) != RESULT_OK)
        return RESULT_FAULT;
    reporting_row_text(&row, provider);
    reporting_row_text(&row, institution);
    if (reporting_row_write(&row, fault) != RESULT_OK)
        return RESULT_FAULT;
    *known = hash;
    return RESULT_OK;
}

static enum result put_job(struct reporting_database *database, const struct fact_job *job,
                           struct fault *fault)
{
    struct reporting_row row;

    if (reporting_row_begin(database, REPORTING_PUT_REFRESH, &row, fault) != RESULT_OK)
        return RESULT_FAULT;
    reporting_row_text(&row, job->job_uid);
    reporting_row_text(&row, job->run_id);
    reporting_row_text(&row, job->consent);
    reporting_row_text(&row, job->schedule);
    reporting_row_text(&row, trigger_text(job->trigger));
    reporting_row_instant(&row, job->due);
    reporting_row_instant(&row, job->started);
    reporting_row_instant(&row, job->finished);
    reporting_row_span(&row, job->due, job->started);
    reporting_row_span(&row, job->started, job->finished);
    reporting_row_integer(&row, job->attempts);
    reporting_row_text(&row, outcome_text(job->outcome));
    put_reason(&row, job->reason);
    if (job->has_new_data == TRI_UNKNOWN)
        reporting_row_null(&row);
    else
        reporting_row_integer(&row, job->has_new_data == TRI_TRUE);
    reporting_row_text(&row, job->error_code);
    reporting_row_text(&row, job->provider);
    reporting_row_text(&row, job->institution);
    if (put_day(&row, job->timezone, job->slot, fault) != RESULT_OK ||
        reporting_row_write(&row, fault) != RESULT_OK)
        return RESULT_FAULT;
    return put_institution(database, job->provider, job->institution, fault);
}

static enum result put_skip(struct reporting_database *database, const struct fact_skip *skip,
                            struct fault *fault)
{
    struct reporting_row row;

    if (reporting_row_begin(database, REPORTING_PUT_SKIP, &row, fault) != RESULT_OK)
        return RESULT_FAULT;
    reporting_row_text(&row, skip->run_id);
    reporting_row_text(&row, skip->consent == NULL ? "*" : skip->consent);
    reporting_row_text(&row, skip->schedule);
    reporting_row_instant(&row, skip->slot);
    reporting_row_instant(&row, skip->due);
    reporting_row_text(&row, reason_text(skip->reason));
    reporting_row_text(&row, skip->detail);
    reporting_row_integer(&row, skip->count);
    reporting_row_instant(&row, skip->at);
    reporting_row_text(&row, skip->provider);
    reporting_row_text(&row, skip->institution);
    if (put_day(&row, skip->timezone, skip->slot, fault) != RESULT_OK ||
        reporting_row_write(&row, fault) != RESULT_OK)
        return RESULT_FAULT;
    return skip->provider == NULL
               ? RESULT_OK
               : put_institution(database, skip->provider, skip->institution, fault);
}

static enum result put_run(struct reporting_database *database, const struct manifest *run,
                           struct fault *fault)
{
    struct reporting_row row;
    bool is_finished = run->finished.ms != UTC_NONE.ms;

    if (reporting_row_begin(database, REPORTING_PUT_RUN, &row, fault) != RESULT_OK)
        return RESULT_FAULT;
    reporting_row_text(&row, run->run_id);
    reporting_row_text(&row, run->schedule);
    reporting_row_instant(&row, run->slot);
    reporting_row_integer(&row, run->due);
    for (enum outcome outcome = OUTCOME_REFRESHED; outcome < OUTCOME_COUNT; outcome++)
        reporting_row_integer(&row, run->counts[outcome]);
    if (is_finished) {
        reporting_row_integer(&row, run->reconciled);
        reporting_row_integer(&row, run->late);
    } else {
        reporting_row_null(&row);
        reporting_row_null(&row);
    }
    reporting_row_instant(&row, run->started);
    reporting_row_instant(&row, run->finished);
    reporting_row_text(&row, trigger_text(run->trigger));
    reporting_row_instant(&row, run->deadline);
    reporting_row_text(&row, run->config_digest[0] == '\0' ? NULL : run->config_digest);
    return reporting_row_write(&row, fault);
}

static enum result put_consent(struct reporting_database *database,
                               const struct fact_consent *consent, struct fault *fault)
{
    struct reporting_row row;

    if (reporting_row_begin(database, REPORTING_PUT_CONSENT, &row, fault) != RESULT_OK)
        return RESULT_FAULT;
    reporting_row_text(&row, consent->consent);
    reporting_row_text(&row, consent->provider);
    reporting_row_text(&row, consent->consent_id);
    reporting_row_text(&row, consent->customer);
    reporting_row_text(&row, consent->institution);
    reporting_row_text(&row, consent->schedules);
    reporting_row_text(&row, consent_mode_text(consent->mode));
    reporting_row_integer(&row, consent->is_held);
    reporting_row_instant(&row, consent->expires);
    reporting_row_instant(&row, consent->removed);
    if (reporting_row_write(&row, fault) != RESULT_OK)
        return RESULT_FAULT;
    return put_institution(database, consent->provider, consent->institution, fault);
}

enum result reporting_facts_put(struct reporting_database *database, const struct fact *fact,
                                struct fault *fault)
{
    switch (fact->kind) {
    case FACT_JOB: return put_job(database, &fact->as.job, fault);
    case FACT_SKIP: return put_skip(database, &fact->as.skip, fault);
    case FACT_RUN: return put_run(database, &fact->as.run, fault);
    case FACT_CONSENT: return put_consent(database, &fact->as.consent, fault);
    }
    return fault_set(fault, FAULT_INTERNAL, "the outbox holds a fact of an unknown kind");
}
