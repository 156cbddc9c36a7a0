/* SPDX-License-Identifier: MIT
 * words.c - public texts of the words in words.h. */
#include "scheduler/words.h"

#include <string.h>

/* Index of `text` in `words`, or `count`. */
static size_t word_find(const char *const words[], size_t count, const char *text, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (words[i] != NULL && strlen(words[i]) == length && length > 0 &&
            memcmp(words[i], text, length) == 0)
            return i;
    return count;
}

static const char *const outcome_words[OUTCOME_COUNT] = {
    [OUTCOME_NONE] = "",
    [OUTCOME_REFRESHED] = "refreshed",
    [OUTCOME_PARTIAL] = "partial",
    [OUTCOME_DEDUPLICATED] = "deduplicated",
    [OUTCOME_RECONNECT_REQUIRED] = "reconnect_required",
    [OUTCOME_FAILED] = "failed",
    [OUTCOME_SKIPPED] = "skipped",
    [OUTCOME_UNKNOWN] = "unknown",
};

const char *outcome_text(enum outcome outcome)
{
    return (unsigned)outcome < OUTCOME_COUNT ? outcome_words[outcome] : "?";
}

bool outcome_parse(const char *text, size_t length, enum outcome *out)
{
    size_t index = word_find(outcome_words, OUTCOME_COUNT, text, length);

    if (index == OUTCOME_COUNT)
        return false;
    *out = (enum outcome)index;
    return true;
}

static const char *const reason_words[REASON_COUNT] = {
    [REASON_NONE] = "",
    [REASON_QUOTA] = "quota",
    [REASON_COOLDOWN] = "cooldown",
    [REASON_RATE] = "rate",
    [REASON_CONCURRENCY] = "concurrency",
    [REASON_FAIRNESS] = "fairness",
    [REASON_PUSHBACK] = "pushback",
    [REASON_BREAKER] = "breaker",
    [REASON_AUTH] = "auth",
    [REASON_WINDOW] = "window",
    [REASON_BLACKOUT] = "blackout",
    [REASON_MAINTENANCE] = "maintenance",
    [REASON_PAUSED] = "paused",
    [REASON_HELD] = "held",
    [REASON_EXPIRED] = "expired",
    [REASON_NOT_READY] = "not_ready",
    [REASON_REMOVED] = "removed",
    [REASON_LISTEN_ONLY] = "listen_only",
    [REASON_SINGLE_FLIGHT] = "single_flight",
    [REASON_DEADLINE] = "deadline",
    [REASON_RETRY_WAIT] = "retry_wait",
    [REASON_RETRY_BUDGET] = "retry_budget",
    [REASON_IN_DOUBT] = "in_doubt",
    [REASON_STORAGE] = "storage",
    [REASON_MISSED] = "missed",
    [REASON_SUPERSEDED] = "superseded",
    [REASON_DRAINING] = "draining",
    [REASON_REJECTED] = "rejected",
    [REASON_PROVIDER_ERROR] = "provider_error",
    [REASON_INSTITUTION_ERROR] = "institution_error",
    [REASON_TRANSPORT] = "transport",
    [REASON_BAD_ANSWER] = "bad_answer",
    [REASON_JOB_FAILED] = "job_failed",
    [REASON_LOST] = "lost",
    [REASON_CONFIGURATION] = "configuration",
};

const char *reason_text(enum reason reason)
{
    return (unsigned)reason < REASON_COUNT ? reason_words[reason] : "?";
}

bool reason_parse(const char *text, size_t length, enum reason *out)
{
    size_t index = word_find(reason_words, REASON_COUNT, text, length);

    if (index == REASON_COUNT)
        return false;
    *out = (enum reason)index;
    return true;
}

static const char *const answer_class_words[CLASS_COUNT] = {
    [CLASS_NONE] = "",
    [CLASS_ACCEPTED] = "accepted",
    [CLASS_RUNNING] = "running",
    [CLASS_SUCCESS] = "success",
    [CLASS_PARTIAL] = "partial",
    [CLASS_RETRY_LATER] = "retry_later",
    [CLASS_COOLDOWN] = "cooldown",
    [CLASS_RECONNECT_REQUIRED] = "reconnect_required",
    [CLASS_CONFIG_ERROR] = "config_error",
    [CLASS_LOST] = "lost",
    [CLASS_CREDENTIALS] = "credentials",
    [CLASS_PUSHBACK] = "pushback",
    [CLASS_NOT_READY] = "not_ready",
    [CLASS_REJECTED] = "rejected",
    [CLASS_TRANSPORT] = "transport",
    [CLASS_BAD_ANSWER] = "bad_answer",
};

const char *answer_class_text(enum answer_class class_)
{
    return (unsigned)class_ < CLASS_COUNT ? answer_class_words[class_] : "?";
}

static const char *const job_state_words[JOB_STATE_COUNT] = {
    [JOB_NEW] = "new",           [JOB_INITIATING] = "initiating", [JOB_RUNNING] = "running",
    [JOB_POLLING] = "polling",   [JOB_LOOKING_UP] = "looking_up", [JOB_RETRY_WAIT] = "retry_wait",
    [JOB_IN_DOUBT] = "in_doubt", [JOB_CLOSED] = "closed",
};

const char *job_state_text(enum job_state state)
{
    return (unsigned)state < JOB_STATE_COUNT ? job_state_words[state] : "?";
}

static const char *const trigger_words[TRIGGER_COUNT] = {
    [TRIGGER_SCHEDULE] = "schedule",
    [TRIGGER_CATCH_UP] = "catch_up",
    [TRIGGER_ONCE] = "once",
    [TRIGGER_MANUAL] = "manual",
};

const char *trigger_text(enum trigger trigger)
{
    return (unsigned)trigger < TRIGGER_COUNT ? trigger_words[trigger] : "?";
}

static const char *const consent_status_words[CONSENT_STATUS_COUNT] = {
    [CONSENT_ACTIVE] = "active",   [CONSENT_HELD] = "held",       [CONSENT_PAUSED] = "paused",
    [CONSENT_EXPIRED] = "expired", [CONSENT_REMOVED] = "removed",
};

const char *consent_status_text(enum consent_status status)
{
    return (unsigned)status < CONSENT_STATUS_COUNT ? consent_status_words[status] : "?";
}

static const char *const consent_mode_words[MODE_COUNT] = {
    [MODE_ACTIVE] = "active",
    [MODE_LISTEN] = "listen",
    [MODE_OFF] = "off",
};

const char *consent_mode_text(enum consent_mode mode)
{
    return (unsigned)mode < MODE_COUNT ? consent_mode_words[mode] : "?";
}
