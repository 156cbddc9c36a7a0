/* SPDX-License-Identifier: MIT
 * reporting.c - see reporting.h: the delivery thread. */
#include "reporting/reporting.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reporting/reporting_daily.h"
#include "reporting/reporting_delivery.h"
#include "reporting/reporting_publish.h"

/* Facts trickle in; each transaction is a sync of the disk. */
#define DELIVER_EVERY_US US_PER_SECOND
/* Percentiles of the day that runs are computed anew at most this often. */
#define DAILY_EVERY_US (30 * US_PER_SECOND)
/* What is made anew as a whole takes at most this share of the thread's time. */
#define DAILY_REST 20
#define SNAPSHOT_REST 10
#define DAILY_ROWS 500
#define RETRY_FIRST_US US_PER_SECOND
#define RETRY_MAX_US (60 * US_PER_SECOND)
#define RETRY_STOPPING_US (US_PER_SECOND / 5)

/* Something that the thread does, and tries again when it failed. */
enum task_kind { TASK_DELIVER, TASK_DAILY, TASK_EXPORT, TASK_SNAPSHOT, TASK_COUNT };
struct task {
    bool is_due;
    int64_t next_us;  /* not before */
    int64_t delay_us; /* of the next retry; 0: the last time went well */
    char told[1024];  /* trouble that was reported in this series */
};

/* Where a finished run is published; texts are owned, NULL: nowhere. */
struct targets {
    char *snapshot;
    char *export_directory;
    enum export_format export_format;
};

struct reporting {
    char *database_path;
    char *state_path;
    pthread_t thread;

    /* Under `mutex`. */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool has_news;
    bool is_asleep; /* the thread waits for news */
    bool is_stopping;
    bool has_ended;
    bool has_trouble;
    struct fault trouble;
    struct targets targets;

    atomic_llong delivered;
    atomic_bool is_abandoned; /* the time to stop is over */

    /* The thread's own. */
    struct reporting_delivery delivery;
    struct task tasks[TASK_COUNT];
    int64_t deliver_next_us;
    bool is_last_round; /* stopping: everything is due now */
};

static int64_t mono_us(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

static struct utc_time utc_now(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (struct utc_time){(int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000};
}

/* ---- trouble ---- */

static void tell(struct reporting *reporting, const struct fault *fault)
{
    (void)pthread_mutex_lock(&reporting->mutex);
    reporting->has_trouble = true;
    reporting->trouble = *fault;
    (void)pthread_mutex_unlock(&reporting->mutex);
}

static void task_failed(struct reporting *reporting, enum task_kind kind, const struct fault *fault)
{
    struct task *task = &reporting->tasks[kind];

    if (atomic_load(&reporting->is_abandoned))
        return;
    if (strcmp(task->told, fault->text) != 0) {
        (void)snprintf(task->told, sizeof task->told, "%s", fault->text);
        tell(reporting, fault);
    }
    task->delay_us = task->delay_us == 0 ? RETRY_FIRST_US : 2 * task->delay_us;
    if (task->delay_us > RETRY_MAX_US)
        task->delay_us = RETRY_MAX_US;
    if (reporting->is_last_round)
        task->delay_us = RETRY_STOPPING_US;
    task->next_us = mono_us() + task->delay_us;
}

static void task_done(struct reporting *reporting, enum task_kind kind, int64_t rest_us)
{
    struct task *task = &reporting->tasks[kind];

    task->is_due = false;
    task->delay_us = 0;
    task->told[0] = '\0';
    task->next_us = mono_us() + rest_us;
}

/* A task that failed waits even when stopping; pauses for comfort do not. */
static bool task_is_ready(const struct reporting *reporting, enum task_kind kind)
{
    const struct task *task = &reporting->tasks[kind];

    if (!task->is_due)
        return false;
    return task->next_us <= mono_us() || (reporting->is_last_round && task->delay_us == 0);
}

/* ---- delivering ---- */

static int stop_if_abandoned(void *context)
{
    const struct reporting *reporting = context;

    return atomic_load(&reporting->is_abandoned);
}

static void close_databases(struct reporting *reporting)
{
    reporting_database_close(reporting->delivery.database);
    reporting->delivery.database = NULL;
    state_store_close(reporting->delivery.store);
    reporting->delivery.store = NULL;
}

static enum result open_databases(struct reporting *reporting, struct fault *fault)
{
    struct reporting_delivery *delivery = &reporting->delivery;
    bool must_replay;

    if (delivery->database != NULL && reporting_database_has_moved(delivery->database))
        close_databases(reporting);
    if (delivery->database != NULL)
        return RESULT_OK;
    delivery->is_abandoned = &reporting->is_abandoned;
    if (reporting_database_open(reporting->database_path, &reporting->is_abandoned,
                                &delivery->database, fault) != RESULT_OK)
        return RESULT_FAULT;
    sqlite3_progress_handler(delivery->database->db, 10000, stop_if_abandoned, reporting);
    if (state_store_open(reporting->state_path, STATE_READ_ONLY, &delivery->store, fault) !=
            RESULT_OK ||
        reporting_delivery_resume(delivery, &must_replay, fault) != RESULT_OK)
        goto fail;
    if (must_replay &&
        (reporting_delivery_replay(delivery, utc_now(), NULL, NULL, fault) != RESULT_OK ||
         reporting_publish_forget(delivery->database, fault) != RESULT_OK))
        goto fail;
    delivery->has_closed_run = true; /* perhaps: publish what waits since the last time */
    return RESULT_OK;
fail:
    close_databases(reporting);
    return RESULT_FAULT;
}

static void note_delivered(struct reporting *reporting)
{
    /* After a restored state database the sequence may be behind what was said before. */
    if (reporting->delivery.sequence > atomic_load(&reporting->delivered))
        atomic_store(&reporting->delivered, reporting->delivery.sequence);
}

static enum result deliver_all(struct reporting *reporting, struct fault *fault)
{
    bool is_complete = false;

    if (open_databases(reporting, fault) != RESULT_OK)
        return RESULT_FAULT;
    note_delivered(reporting);
    while (!is_complete) {
        int64_t before = reporting->delivery.sequence;

        if (reporting_delivery_step(&reporting->delivery, utc_now(), &is_complete, fault) !=
            RESULT_OK)
            return RESULT_FAULT;
        if (reporting->delivery.sequence > before)
            reporting->tasks[TASK_DAILY].is_due = true;
        note_delivered(reporting);
    }
    if (reporting->delivery.database->zone_fault.text[0] != '\0') {
        tell(reporting, &reporting->delivery.database->zone_fault);
        reporting->delivery.database->zone_fault.text[0] = '\0';
    }
    return RESULT_OK;
}

static void deliver(struct reporting *reporting)
{
    struct reporting_delivery *delivery = &reporting->delivery;
    struct fault fault;

    if (!task_is_ready(reporting, TASK_DELIVER))
        return;
    if (deliver_all(reporting, &fault) != RESULT_OK) {
        if (fault.code == FAULT_IO || fault.code == FAULT_CANNOT_CREATE)
            close_databases(reporting);
        task_failed(reporting, TASK_DELIVER, &fault);
        return;
    }
    task_done(reporting, TASK_DELIVER, DELIVER_EVERY_US);
    if (delivery->has_closed_run) {
        delivery->has_closed_run = false;
        reporting->tasks[TASK_DAILY].is_due = true;
        if (reporting->tasks[TASK_DAILY].delay_us == 0)
            reporting->tasks[TASK_DAILY].next_us = 0;
        reporting->tasks[TASK_EXPORT].is_due = true;
        reporting->tasks[TASK_SNAPSHOT].is_due = true;
    }
}

static void refresh_daily(struct reporting *reporting)
{
    int64_t begun_us = mono_us();
    int64_t rest_us;
    bool more = true;
    struct fault fault;

    if (reporting->delivery.database == NULL || !task_is_ready(reporting, TASK_DAILY))
        return;
    while (more)
        if (reporting_daily_refresh(reporting->delivery.database, utc_now(), DAILY_ROWS, &more,
                                    &fault) != RESULT_OK) {
            task_failed(reporting, TASK_DAILY, &fault);
            return;
        }
    rest_us = DAILY_REST * (mono_us() - begun_us);
    task_done(reporting, TASK_DAILY, rest_us < DAILY_EVERY_US ? DAILY_EVERY_US : rest_us);
}

static void targets_free(struct targets *targets)
{
    free(targets->snapshot);
    free(targets->export_directory);
}

/* False when memory is out; then there is nothing to free. */
static bool targets_copy(struct targets *copy, const char *snapshot, const char *export_directory,
                         enum export_format export_format)
{
    *copy = (struct targets){.export_format = export_format};
    if (snapshot != NULL)
        copy->snapshot = strdup(snapshot);
    if (export_directory != NULL)
        copy->export_directory = strdup(export_directory);
    if ((snapshot == NULL || copy->snapshot != NULL) &&
        (export_directory == NULL || copy->export_directory != NULL))
        return true;
    targets_free(copy);
    return false;
}

static void publish_to(struct reporting *reporting, const struct targets *targets)
{
    struct reporting_database *database = reporting->delivery.database;
    int64_t begun_us;
    bool wants_export = false;
    bool wants_snapshot = false;
    struct fault fault;

    if (reporting_publish_waiting(database, &wants_export, &wants_snapshot, &fault) != RESULT_OK) {
        task_failed(reporting, TASK_EXPORT, &fault);
        return;
    }
    if (task_is_ready(reporting, TASK_EXPORT)) {
        if (!wants_export || reporting_publish_exports(database, targets->export_directory,
                                                       targets->export_format, &fault) == RESULT_OK)
            task_done(reporting, TASK_EXPORT, 0);
        else
            task_failed(reporting, TASK_EXPORT, &fault);
    }
    if (task_is_ready(reporting, TASK_SNAPSHOT)) {
        begun_us = mono_us();
        if (!wants_snapshot ||
            reporting_publish_snapshot(database, targets->snapshot, &fault) == RESULT_OK)
            task_done(reporting, TASK_SNAPSHOT, SNAPSHOT_REST * (mono_us() - begun_us));
        else
            task_failed(reporting, TASK_SNAPSHOT, &fault);
    }
}

/* Not before the day's rows are right: they are part of what is published. */
static void publish(struct reporting *reporting)
{
    struct targets targets;
    struct fault fault;
    bool is_copied;

    if (reporting->delivery.database == NULL || reporting->tasks[TASK_DAILY].delay_us > 0 ||
        (!task_is_ready(reporting, TASK_EXPORT) && !task_is_ready(reporting, TASK_SNAPSHOT)))
        return;
    (void)pthread_mutex_lock(&reporting->mutex);
    is_copied = targets_copy(&targets, reporting->targets.snapshot,
                             reporting->targets.export_directory, reporting->targets.export_format);
    (void)pthread_mutex_unlock(&reporting->mutex);
    if (!is_copied) {
        (void)fault_set(&fault, FAULT_TEMPORARY, "out of memory");
        task_failed(reporting, TASK_EXPORT, &fault);
        return;
    }
    publish_to(reporting, &targets);
    targets_free(&targets);
}

/* ---- the thread ---- */

/* When the next task wants to run; INT64_MAX: at the next news. */
static int64_t next_task_us(const struct reporting *reporting)
{
    int64_t next_us = INT64_MAX;

    for (int kind = 0; kind < TASK_COUNT; kind++) {
        const struct task *task = &reporting->tasks[kind];

        if (!task->is_due)
            continue;
        if (reporting->is_last_round && task->delay_us == 0)
            return 0;
        if (task->next_us < next_us)
            next_us = task->next_us;
    }
    return next_us;
}

static void wait_until(struct reporting *reporting, int64_t until_us)
{
    const struct timespec at = {until_us / US_PER_SECOND, until_us % US_PER_SECOND * 1000};

    if (until_us == INT64_MAX)
        (void)pthread_cond_wait(&reporting->changed, &reporting->mutex);
    else
        (void)pthread_cond_timedwait(&reporting->changed, &reporting->mutex, &at);
}

/* Sleep until there is something to do. False: the thread is to end. */
static bool wait_for_work(struct reporting *reporting)
{
    struct task *task = &reporting->tasks[TASK_DELIVER];
    bool goes_on = true;

    (void)pthread_mutex_lock(&reporting->mutex);
    for (;;) {
        int64_t next_us;

        if (reporting->has_news) {
            reporting->has_news = false;
            task->is_due = true;
        }
        if (atomic_load(&reporting->is_abandoned)) {
            goes_on = false;
            break;
        }
        if (reporting->is_stopping && !reporting->is_last_round) {
            reporting->is_last_round = true;
            task->is_due = true;
        }
        next_us = next_task_us(reporting);
        if (next_us <= mono_us())
            break;
        if (reporting->is_last_round && next_us == INT64_MAX) {
            goes_on = false;
            break;
        }
        /* News do not wake a thread that only waits for the end of a pause. */
        reporting->is_asleep = !task->is_due;
        wait_until(reporting, next_us);
        reporting->is_asleep = false;
    }
    (void)pthread_mutex_unlock(&reporting->mutex);
    return goes_on;
}

static void *deliver_in_thread(void *context)
{
    struct reporting *reporting = context;

    while (wait_for_work(reporting)) {
        deliver(reporting);
        refresh_daily(reporting);
        publish(reporting);
    }
    close_databases(reporting);
    (void)pthread_mutex_lock(&reporting->mutex);
    reporting->has_ended = true;
    (void)pthread_cond_broadcast(&reporting->changed);
    (void)pthread_mutex_unlock(&reporting->mutex);
    return NULL;
}

/* ---- what the main thread calls ---- */

static void destroy(struct reporting *reporting)
{
    (void)pthread_cond_destroy(&reporting->changed);
    (void)pthread_mutex_destroy(&reporting->mutex);
    free(reporting->database_path);
    free(reporting->state_path);
    targets_free(&reporting->targets);
    free(reporting);
}

/* Mistakes that a person made show at once; trouble that may pass is the thread's. */
static enum result try_open(const char *path, struct fault *fault)
{
    struct reporting_database *database = NULL;

    if (reporting_database_open(path, NULL, &database, fault) == RESULT_OK) {
        reporting_database_close(database);
        return RESULT_OK;
    }
    switch (fault->code) {
    case FAULT_CANNOT_CREATE:
    case FAULT_PERMISSION:
    case FAULT_DATA:
    case FAULT_INTERNAL: return RESULT_FAULT;
    default: return RESULT_OK;
    }
}

static int start_thread(struct reporting *reporting)
{
    sigset_t all;
    sigset_t before;
    int error;

    /* Signals are the main thread's. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&reporting->thread, NULL, deliver_in_thread, reporting);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

enum result reporting_start(const struct config *config, int64_t delivered, struct reporting **out,
                            struct fault *fault)
{
    struct reporting *reporting;
    pthread_condattr_t attributes;
    int error;

    if (config->reporting.database == NULL) {
        *out = NULL;
        return RESULT_OK;
    }
    if (try_open(config->reporting.database, fault) != RESULT_OK)
        return RESULT_FAULT;
    reporting = calloc(1, sizeof *reporting);
    if (reporting == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    (void)pthread_mutex_init(&reporting->mutex, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&reporting->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    atomic_init(&reporting->delivered, delivered);
    atomic_init(&reporting->is_abandoned, false);
    reporting->has_news = true;
    reporting->database_path = strdup(config->reporting.database);
    reporting->state_path = strdup(config->state.database);
    if (reporting->database_path == NULL || reporting->state_path == NULL ||
        reporting_configure(reporting, config, fault) != RESULT_OK) {
        destroy(reporting);
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    }
    error = start_thread(reporting);
    if (error != 0) {
        destroy(reporting);
        return fault_set(fault, FAULT_TEMPORARY, "cannot start the reporting thread: %s",
                         strerror(error));
    }
    *out = reporting;
    return RESULT_OK;
}

enum result reporting_configure(struct reporting *reporting, const struct config *config,
                                struct fault *fault)
{
    struct targets targets;
    struct targets before;

    if (reporting == NULL)
        return RESULT_OK;
    if (!targets_copy(&targets, config->reporting.snapshot, config->reporting.export_directory,
                      config->reporting.export_format))
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    (void)pthread_mutex_lock(&reporting->mutex);
    before = reporting->targets;
    reporting->targets = targets;
    (void)pthread_mutex_unlock(&reporting->mutex);
    targets_free(&before);
    return RESULT_OK;
}

void reporting_wake(struct reporting *reporting)
{
    if (reporting == NULL)
        return;
    (void)pthread_mutex_lock(&reporting->mutex);
    reporting->has_news = true;
    if (reporting->is_asleep)
        (void)pthread_cond_signal(&reporting->changed);
    (void)pthread_mutex_unlock(&reporting->mutex);
}

int64_t reporting_delivered(const struct reporting *reporting)
{
    return reporting == NULL ? 0 : (int64_t)atomic_load(&reporting->delivered);
}

bool reporting_trouble(struct reporting *reporting, struct fault *fault)
{
    bool has_trouble;

    if (reporting == NULL)
        return false;
    (void)pthread_mutex_lock(&reporting->mutex);
    has_trouble = reporting->has_trouble;
    if (has_trouble)
        *fault = reporting->trouble;
    reporting->has_trouble = false;
    (void)pthread_mutex_unlock(&reporting->mutex);
    return has_trouble;
}

bool reporting_stop(struct reporting *reporting, int64_t sequence, int64_t wait_ms,
                    int64_t *delivered)
{
    int64_t until_us = mono_us() + wait_ms * US_PER_MS;
    int64_t reached;

    if (reporting == NULL)
        return true;
    (void)pthread_mutex_lock(&reporting->mutex);
    reporting->is_stopping = true;
    (void)pthread_cond_broadcast(&reporting->changed);
    while (!reporting->has_ended && mono_us() < until_us)
        wait_until(reporting, until_us);
    if (!reporting->has_ended) {
        atomic_store(&reporting->is_abandoned, true);
        (void)pthread_cond_broadcast(&reporting->changed);
    }
    (void)pthread_mutex_unlock(&reporting->mutex);
    (void)pthread_join(reporting->thread, NULL);
    reached = reporting_delivered(reporting);
    if (delivered != NULL)
        *delivered = reached;
    destroy(reporting);
    return reached >= sequence;
}
