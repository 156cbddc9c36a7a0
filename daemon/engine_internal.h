/* SPDX-License-Identifier: MIT
 *
 * engine_internal.h - the engine's insides, shared by the files engine_*.c and nobody else.
 *
 * Layer: daemon.
 */
#ifndef REFRESHD_DAEMON_ENGINE_INTERNAL_H
#define REFRESHD_DAEMON_ENGINE_INTERNAL_H

#include "daemon/clock.h"
#include "daemon/clock_drift.h"
#include "daemon/engine.h"
#include "daemon/event_loop.h"
#include "daemon/event_queue.h"
#include "daemon/job_context.h"
#include "daemon/population.h"
#include "daemon/provider_link.h"
#include "provider/transport.h"
#include "state/state_key.h"
#include "state/state_lock.h"

#define ENGINE_TURN_INTERVAL_US 2000
#define ENGINE_STORAGE_RETRY_US US_PER_SECOND
#define ENGINE_DRAIN_US (30 * US_PER_SECOND)

struct webhook_listener;
struct engine_control;
struct source_reader;
struct status_surface;
struct expiry_watch;
struct reporting;
struct summary_log;

/* What the core has decided and is not committed and performed yet. */
struct decisions {
    struct record *records;
    uint32_t record_count;
    uint32_t record_capacity;
    struct effect *effects;
    uint32_t effect_count;
    uint32_t effect_capacity;
};

/* What people were told of a run that will not fit. */
struct foretold {
    uint32_t run; /* 0: free */
    uint32_t count;
};
#define FORETOLD_MAX 64

/* One request on its way. */
struct flight {
    struct engine *engine;
    enum request_kind kind;
    uint32_t job_slot; /* not for tokens; NO_JOB: a look-up of `consent` without a job */
    uint64_t job;
    uint32_t consent;
    uint16_t attempt;
    struct provider_link *link;  /* retained */
    struct text customer_secret; /* kept to keep it out of texts; wiped */
    struct flight *next;         /* in the list of open or of ended flights */
    struct flight *prev;         /* in the list of open flights */
};

struct engine {
    struct log *log;
    const char *config_path;
    struct config *config;
    struct population population;
    struct provider_link **links; /* by provider index of `config` */
    uint32_t link_count;

    struct state_lock lock;
    struct state_store *store;
    uint8_t key[STATE_KEY_BYTES];

    struct scheduler *scheduler;
    struct scheduler_settings settings; /* what the core borrows */
    struct event_loop *loop;
    struct transport *transport;
    struct transport_handler handler;
    struct request request; /* reused for each send */

    struct event_queue queue;
    struct batch *batch; /* of the step that runs */
    struct decisions decisions;
    struct job_contexts jobs;
    struct flight *open_flights;
    struct flight *ended_flights; /* freed at the end of the turn */
    struct wake wake;

    struct clock_drift clock_drift;
    uint64_t clock_steps; /* since the start */
    uint64_t clock_resumes;
    int64_t clock_step_ms; /* the last one; 0: none */

    struct utc_time reload_at; /* of the last reload, taken or not; UTC_NONE */
    char reload_error[1024];   /* "": it was taken */
    uint64_t reloads;          /* taken */
    uint64_t reloads_refused;

    bool is_loaded; /* recovery is complete */
    bool is_storage_blocked;
    struct mono_time storage_retry;
    bool is_draining;
    struct mono_time drain_deadline;
    bool is_stopping;
    bool stops_when_idle; /* once no job is open any more */
    bool has_failed;      /* `failure` says why the loop was left */
    struct fault failure;

    bool fold_wanted;
    bool has_committed; /* since the last care */
    bool is_care_due;   /* there was work since the last care */
    bool has_more_care; /* the last look at the database left something to do */
    int64_t delivered;  /* what the outbox knows of reporting */
    struct mono_time next_fold;
    struct mono_time next_care;
    struct mono_time next_limits;
    struct mono_time next_summary;
    struct mono_time next_forecast;
    struct foretold foretold[FORETOLD_MAX];

    struct webhook_listener *webhooks;
    struct engine_control *control;
    struct status_surface *status;
    struct expiry_watch *expiry;
    struct source_reader *sources;
    struct reporting *reporting;
    struct summary_log *summary;

    void (*on_turn)(void *context, struct time_now now);
    void *on_turn_context;
    int64_t on_turn_every_us;
    void (*on_run_closed)(void *context, uint32_t run);
    void *on_run_closed_context;
};

/* engine.c */
void engine_put_event(struct engine *engine, struct time_now at, const struct event *event,
                      const struct answer_texts *texts, int http_status);
/* Leave the loop with this fault. */
void engine_fail(struct engine *engine, const struct fault *fault);

/* Index that the account of `link` has in the configuration in force; UINT32_MAX: gone. */
uint32_t engine_link_index(const struct engine *engine, const struct provider_link *link);

/* engine_forecast.c: tell people of runs that will not fit, once and whenever it doubles. */
void engine_foretell(struct engine *engine, struct time_now now);

/* engine_clock.c: tell the core of a clock that was set and of a machine that slept. */
void engine_look_at_clocks(struct engine *engine, struct time_now now);

/* engine_turn.c */
void engine_turn(void *context, struct time_now now);
/* Work off what is queued, so that no event refers to a configuration that is about to go. */
enum result engine_settle(struct engine *engine, struct time_now now,
                          struct fault *fault) MUST_CHECK;

/* engine_effects.c */
void engine_perform(struct engine *engine, struct time_now now, const struct effect *effect);
void engine_on_sent(void *user, struct time_now at);
void engine_on_answer(void *user, const struct transport_answer *answer);
/* engine_maintenance.c: the call for a list of institutions ended; `failure` is NULL where
 * an answer came. */
void engine_institutions_answered(struct engine *engine, struct time_now now,
                                  struct provider_link *link, const struct http_answer *http,
                                  const struct transport_failure *failure, bool reached_socket);
void engine_free_ended_flights(struct engine *engine);
/* Requests on their way when the engine ends: cancelled, and their accounts let go. */
void engine_drop_flights(struct engine *engine);

/* engine_records.c: what the shell does for a record once it is committed. */
void engine_committed(struct engine *engine, struct time_now now, const struct record *record);
/* What period the job's requests ask for: that of its run's schedule, else of the consent's first.
 * `view` is NULL when the consent is gone. */
void engine_set_look_back(struct engine *engine, struct job_context *job, uint32_t run,
                          const struct consent_view *view);

/* engine_recover.c */
enum result engine_load(struct engine *engine, struct consent_table *consents, struct time_now now,
                        struct fault *fault) MUST_CHECK;
enum result engine_open_links(struct engine *engine, struct config *config,
                              struct provider_link ***links, struct fault *fault) MUST_CHECK;
void engine_free_links(struct provider_link **links, uint32_t count);
/* RESULT_FAULT names the source that lost more than max_shrink of its consents. */
enum result engine_check_shrink(const struct engine *engine, const struct config *config,
                                const struct consent_table *consents,
                                struct fault *fault) MUST_CHECK;

/* engine_credentials.c: say when a provider stops for our credentials, and when it goes on. */
struct answer_texts;
void engine_credentials_refused(struct provider_link *link, int http_status,
                                const struct answer_texts *texts);
void engine_watch_credentials(struct engine *engine, struct time_now now);

/* engine_care.c: what is done now and then. */
void engine_care(struct engine *engine, struct time_now now);
/* At the end: what v1_limits and the summary log show is how things stand then. */
void engine_care_end(struct engine *engine, struct time_now now);
struct mono_time engine_care_wake(const struct engine *engine);

/* engine_sources.c: consent sources that are read again on their own period. */
enum result engine_sources_open(struct engine *engine, struct time_now now,
                                struct fault *fault) MUST_CHECK;
void engine_sources_close(struct engine *engine);
void engine_read_sources(struct engine *engine, struct time_now now);
struct mono_time engine_sources_wake(const struct engine *engine);
/* Make store, population and core agree on `consents` (taken over on success). */
enum result engine_adopt_consents(struct engine *engine, struct config *config,
                                  struct consent_table *consents, struct time_now now,
                                  bool is_first, struct fault *fault) MUST_CHECK;

#endif
