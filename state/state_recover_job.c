/* SPDX-License-Identifier: MIT
 * state_recover_job.c - open jobs back into the core, with the texts that the shell needs. */
#include "state/state_recover.h"

#include <string.h>

/* Columns of an open job. */
enum {
    JOB_NO,
    JOB_CONSENT,
    JOB_RUN,
    JOB_TRIGGER,
    JOB_DUE,
    JOB_ATTEMPTS,
    JOB_NEXT,
    JOB_PROVIDER,
    JOB_NAME,
    JOB_CUSTOMER,
    JOB_OWN_ID,
    JOB_INSTITUTION,
    JOB_INSTITUTION_NAME,
    JOB_REMOVED,
    JOB_IS_ORPHAN,
    JOB_PHASE,
    JOB_PRIORITY
};
static const char jobs_sql[] =
    "SELECT j.job_no, j.consent_no, coalesce(j.run_no, 0), j.trigger, j.due_ms, j.attempts,"
    " j.next_attempt_ms, c.provider_no, c.consent, coalesce(c.customer, ''),"
    " c.customer_is_own_id, c.institution_no, i.name, c.removed_ms, coalesce(r.is_orphan, 0),"
    " c.phase, coalesce(c.priority, 255)"
    " FROM job AS j JOIN consent AS c ON c.consent_no = j.consent_no"
    " JOIN institution AS i ON i.institution_no = c.institution_no"
    " LEFT JOIN run AS r ON r.run_no = j.run_no"
    " WHERE j.job_no >= (SELECT job_no FROM job_mark ORDER BY at_ms DESC LIMIT 1)"
    " AND j.finished_ms IS NULL ORDER BY j.job_no";
/* Attempts of a job, in order. Attached: accepted and yet not charged, or sent again and answered
 * with the id of an earlier job. */
enum {
    SENT_MS,
    SENT_ANSWERED,
    SENT_CLASS,
    SENT_REASON,
    SENT_REPEAT,
    SENT_REFERENCE,
    SENT_ID,
    SENT_ATTACHED
};
static const char attempts_sql[] =
    "SELECT sent_ms, answered_ms, coalesce(class, 0), coalesce(reason, 0), is_repeat,"
    " coalesce(reference_hash, 0), provider_job_id,"
    " CASE WHEN answered_ms IS NULL OR reference_hash IS NULL THEN 0"
    " WHEN is_repeat = 0 THEN is_charged = 0"
    " ELSE EXISTS (SELECT 1 FROM job AS mine"
    " JOIN job AS other ON other.consent_no = mine.consent_no AND other.job_no < mine.job_no"
    " JOIN attempt AS o ON o.attempt_key BETWEEN other.job_no << 16"
    " AND (other.job_no << 16) + 65535"
    " WHERE mine.job_no = ?1 AND o.reference_hash = attempt.reference_hash) END FROM attempt"
    " WHERE attempt_key BETWEEN ?1 << 16 AND (?1 << 16) + 65535 ORDER BY attempt_key";

/* Does an answer of this class use up an attempt? (design section 4, Retries; a repeat never does,
 * one without an answer always) */
static bool is_counted(enum answer_class class_)
{
    return class_ != CLASS_PUSHBACK && class_ != CLASS_COOLDOWN && class_ != CLASS_CREDENTIALS;
}

/* Read the attempts of `job` into it. The statement stays on the last one, whose text it lends. */
static enum result read_attempts(struct recovery *recovery, sqlite3_stmt *attempts,
                                 struct recovered_job *job, char *provider_job_id, size_t size,
                                 struct fault *fault)
{
    bool found = false;

    (void)sqlite3_bind_int64(attempts, 1, (int64_t)job->job);
    for (;;) {
        const char *id;

        if (state_sql_step(recovery->store->db, attempts, &found, "read the attempts", fault) !=
            RESULT_OK)
            return RESULT_FAULT;
        if (!found)
            break;
        job->is_repeat = sqlite3_column_int(attempts, SENT_REPEAT) != 0;
        job->is_answered = sqlite3_column_type(attempts, SENT_ANSWERED) != SQLITE_NULL;
        job->last_class = (enum answer_class)sqlite3_column_int(attempts, SENT_CLASS);
        job->last_reason = (enum reason)sqlite3_column_int(attempts, SENT_REASON);
        job->reference_hash = (uint64_t)sqlite3_column_int64(attempts, SENT_REFERENCE);
        job->is_attached = sqlite3_column_int(attempts, SENT_ATTACHED) != 0;
        if (sqlite3_column_type(attempts, SENT_MS) != SQLITE_NULL) {
            job->last_sent = state_column_time(attempts, SENT_MS, UTC_NONE);
            if (job->opened.ms == UTC_NONE.ms)
                job->opened = job->last_sent;
        }
        if (!job->is_repeat && (!job->is_answered || is_counted(job->last_class)))
            job->attempts_counted++;
        id = state_column_text(attempts, SENT_ID);
        (void)sqlite3_snprintf((int)size, provider_job_id, "%s", id == NULL ? "" : id);
    }
    (void)sqlite3_reset(attempts);
    if (recovery->is_live && !job->is_answered) {
        /* Its answer is on the way; the usual one is that a job exists. */
        job->is_answered = true;
        job->last_class = CLASS_ACCEPTED;
    }
    if (job->opened.ms == UTC_NONE.ms) /* nothing ever left: what the slot says will do */
        job->opened = job->last_sent = job->due;
    return RESULT_OK;
}

static uint32_t node_index(const struct state_store *store, int64_t institution_no)
{
    for (uint32_t i = 0; i < store->institution_count; i++)
        if (store->institution_nos[i] == institution_no)
            return i;
    return UINT32_MAX;
}

/* Index of the institution of a job: its own, else any of its provider. UINT32_MAX: none. */
static enum result institution_index(const struct recovery *recovery, sqlite3_stmt *row,
                                     uint32_t *index, struct fault *fault)
{
    static const char doing[] = "read the institutions";
    sqlite3 *db = recovery->store->db;
    sqlite3_stmt *statement = NULL;
    enum result result = RESULT_FAULT;
    bool found = true;

    *index = node_index(recovery->store, sqlite3_column_int64(row, JOB_INSTITUTION));
    if (*index != UINT32_MAX)
        return RESULT_OK;
    if (state_sql_prepare(db, "SELECT institution_no FROM institution WHERE provider_no = ?1",
                          &statement, doing, fault) != RESULT_OK)
        return RESULT_FAULT;
    (void)sqlite3_bind_int64(statement, 1, sqlite3_column_int64(row, JOB_PROVIDER));
    while (*index == UINT32_MAX) {
        if (state_sql_step(db, statement, &found, doing, fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        *index = node_index(recovery->store, sqlite3_column_int64(statement, 0));
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(statement);
    return result;
}

static bool is_provider_configured(const struct recovery *recovery, int64_t provider_no,
                                   uint32_t *index)
{
    for (uint32_t i = 0; i < recovery->config->provider_count; i++)
        if (recovery->store->names.provider_nos[i] == provider_no) {
            *index = i;
            return true;
        }
    return false;
}

/* Nobody can follow it: its provider or its bank is not configured any more. */
static enum result close_unfollowed(struct recovery *recovery, const struct recovered_job *job,
                                    struct fault *fault)
{
    struct record record = {.kind = RECORD_JOB_CLOSE, .at = recovery->now.utc};
    uint32_t index = 0;

    if (!number_set_add(&recovery->unfollowed, job->consent))
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    if (recovery->is_looking)
        return RESULT_OK;
    record.as.job_close.job = job->job;
    record.as.job_close.consent = job->consent;
    record.as.job_close.run = job->run;
    record.as.job_close.outcome = OUTCOME_UNKNOWN;
    record.as.job_close.reason = REASON_CONFIGURATION;
    record.as.job_close.has_new_data = TRI_UNKNOWN;
    return state_commit_record(recovery->store, &record, 1, &index, fault);
}

static enum result feed_job(struct recovery *recovery, sqlite3_stmt *row,
                            const struct recovered_job *job, uint32_t provider,
                            uint32_t institution, const char *provider_job_id, struct fault *fault)
{
    const char *consent = state_column_text(row, JOB_NAME);
    const char *provider_name = recovery->config->providers[provider].name;
    bool is_gone = sqlite3_column_type(row, JOB_REMOVED) != SQLITE_NULL;
    uint32_t job_slot = 0;
    struct open_job_texts texts;

    if (is_gone) {
        /* A member of nothing: it is only there to carry its last job. */
        struct consent_settings settings = {
            .hash = (uint64_t)sqlite3_column_int64(row, JOB_PHASE) << 32,
            .institution = institution,
            .schedule_set = 0,
            .priority = (uint8_t)sqlite3_column_int(row, JOB_PRIORITY),
            .mode = MODE_OFF,
            .expires = UTC_NEVER,
            .authorized_at = UTC_NONE,
        };

        scheduler_consent_put(recovery->scheduler, job->consent, &settings);
    }
    if (scheduler_recover_job(recovery->scheduler, job, &job_slot, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (is_gone)
        scheduler_consent_remove(recovery->scheduler, job->consent);
    texts = (struct open_job_texts){
        .provider = provider_name,
        .consent_id = strchr(consent, '/') + 1,
        .customer = state_column_text(row, JOB_CUSTOMER),
        .customer_is_own_id = sqlite3_column_int(row, JOB_OWN_ID) != 0,
        .institution = state_column_text(row, JOB_INSTITUTION_NAME),
        .provider_job_id = provider_job_id[0] == '\0' ? NULL : provider_job_id,
    };
    if (recovery->on_open_job != NULL)
        recovery->on_open_job(recovery->context, job, job_slot, &texts);
    return RESULT_OK;
}

/* `attempts` NULL: only close it if nobody can follow it. */
static enum result recover_one(struct recovery *recovery, sqlite3_stmt *row, sqlite3_stmt *attempts,
                               struct fault *fault)
{
    char provider_job_id[1024] = "";
    uint32_t provider = 0;
    uint32_t institution = UINT32_MAX;
    struct recovered_job job = {
        .job = (uint64_t)sqlite3_column_int64(row, JOB_NO),
        .consent = (uint32_t)sqlite3_column_int64(row, JOB_CONSENT),
        .run = sqlite3_column_int(row, JOB_IS_ORPHAN) != 0
                   ? 0
                   : (uint32_t)sqlite3_column_int64(row, JOB_RUN),
        .trigger = (enum trigger)sqlite3_column_int(row, JOB_TRIGGER),
        .due = {sqlite3_column_int64(row, JOB_DUE)},
        .opened = UTC_NONE,
        .last_sent = UTC_NONE,
        .attempts = (uint16_t)sqlite3_column_int(row, JOB_ATTEMPTS),
        .next_attempt = state_column_time(row, JOB_NEXT, UTC_NONE),
    };

    if (institution_index(recovery, row, &institution, fault) != RESULT_OK)
        return RESULT_FAULT;
    if (institution == UINT32_MAX || recovery->store->set_count == 0 ||
        !is_provider_configured(recovery, sqlite3_column_int64(row, JOB_PROVIDER), &provider))
        return attempts == NULL ? close_unfollowed(recovery, &job, fault) : RESULT_OK;
    if (attempts == NULL)
        return RESULT_OK;
    if (read_attempts(recovery, attempts, &job, provider_job_id, sizeof provider_job_id, fault) !=
        RESULT_OK)
        return RESULT_FAULT;
    return feed_job(recovery, row, &job, provider, institution, provider_job_id, fault);
}

/* All open jobs: first those that nobody can follow are closed, later the others are fed. */
static enum result each_job(struct recovery *recovery, bool feeds, struct fault *fault)
{
    static const char doing[] = "read the open jobs";
    sqlite3 *db = recovery->store->db;
    sqlite3_stmt *row = NULL;
    sqlite3_stmt *attempts = NULL;
    enum result result = RESULT_FAULT;
    bool found = false;

    if (state_sql_prepare(db, jobs_sql, &row, doing, fault) != RESULT_OK ||
        (feeds && state_sql_prepare(db, attempts_sql, &attempts, doing, fault) != RESULT_OK))
        goto out;
    for (;;) {
        if (state_sql_step(db, row, &found, doing, fault) != RESULT_OK)
            goto out;
        if (!found)
            break;
        if (recover_one(recovery, row, attempts, fault) != RESULT_OK)
            goto out;
    }
    result = RESULT_OK;
out:
    sqlite3_finalize(row);
    sqlite3_finalize(attempts);
    return result;
}

enum result state_recover_unfollowed(struct recovery *recovery, struct fault *fault)
{
    return each_job(recovery, false, fault);
}

enum result state_recover_jobs(struct recovery *recovery, struct fault *fault)
{
    return each_job(recovery, true, fault);
}
