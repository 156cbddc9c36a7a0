/* SPDX-License-Identifier: MIT
 *
 * words.h - the words of design section 1 as enums: outcomes, reasons, classes, states, triggers.
 *
 * Layer: scheduler (pure). Every other layer takes its words from here; texts are the public
 *        names in views, logs and JSON and never change. Each X_text answers a static string;
 *        each X_parse answers false on an unknown word.
 */
#ifndef REFRESHD_SCHEDULER_WORDS_H
#define REFRESHD_SCHEDULER_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* How a slot ended. OUTCOME_NONE means "not ended yet": there is no default outcome. */
enum outcome {
    OUTCOME_NONE,
    OUTCOME_REFRESHED,
    OUTCOME_PARTIAL,
    OUTCOME_DEDUPLICATED,
    OUTCOME_RECONNECT_REQUIRED,
    OUTCOME_FAILED,
    OUTCOME_SKIPPED,
    OUTCOME_UNKNOWN,
    OUTCOME_COUNT
};

enum reason {
    REASON_NONE,
    REASON_QUOTA,
    REASON_COOLDOWN,
    REASON_RATE,
    REASON_CONCURRENCY,
    REASON_FAIRNESS,
    REASON_PUSHBACK,
    REASON_BREAKER,
    REASON_AUTH,
    REASON_WINDOW,
    REASON_BLACKOUT,
    REASON_MAINTENANCE,
    REASON_PAUSED,
    REASON_HELD,
    REASON_EXPIRED,
    REASON_NOT_READY,
    REASON_REMOVED,
    REASON_LISTEN_ONLY,
    REASON_SINGLE_FLIGHT,
    REASON_DEADLINE,
    REASON_RETRY_WAIT,
    REASON_RETRY_BUDGET,
    REASON_IN_DOUBT,
    REASON_STORAGE,
    REASON_MISSED,
    REASON_SUPERSEDED,
    REASON_DRAINING,
    REASON_REJECTED,
    REASON_PROVIDER_ERROR,
    REASON_INSTITUTION_ERROR,
    REASON_TRANSPORT,
    REASON_BAD_ANSWER,
    REASON_JOB_FAILED,
    REASON_LOST,
    REASON_CONFIGURATION,
    REASON_COUNT
};

/* What one answer of a provider means (provider-apis section 5, plus the answers that are about
 * us or the line and not about the job). */
enum answer_class {
    CLASS_NONE,               /* no answer yet */
    CLASS_ACCEPTED,           /* initiate: a job exists at the provider */
    CLASS_RUNNING,            /* poll: still running, or a status word nobody knows */
    CLASS_SUCCESS,            /* terminal: data is there */
    CLASS_PARTIAL,            /* terminal: some data is there */
    CLASS_RETRY_LATER,        /* failed for a passing reason */
    CLASS_COOLDOWN,           /* too soon for this consent */
    CLASS_RECONNECT_REQUIRED, /* the customer has to act */
    CLASS_CONFIG_ERROR,       /* wrong request; more of the same cannot help */
    CLASS_LOST,               /* the provider does not know the job (any more) */
    CLASS_CREDENTIALS,        /* the provider refuses us, not the consent */
    CLASS_PUSHBACK,           /* 429: slow down */
    CLASS_NOT_READY,          /* the consent is not authorised yet */
    CLASS_REJECTED,           /* an unknown 4xx: not tried again in this run */
    CLASS_TRANSPORT,          /* no usable HTTP answer arrived */
    CLASS_BAD_ANSWER,         /* an answer arrived and makes no sense */
    CLASS_COUNT
};

/* Life of a job; job_state.c holds the table of legal moves. */
enum job_state {
    JOB_NEW,        /* created in this step, no attempt yet */
    JOB_INITIATING, /* attempt recorded, answer outstanding */
    JOB_RUNNING,    /* accepted, waits for its next poll or webhook */
    JOB_POLLING,    /* a poll is outstanding */
    JOB_LOOKING_UP, /* a consent look-up refines the verdict */
    JOB_RETRY_WAIT, /* the next attempt has a time or waits for a limit */
    JOB_IN_DOUBT,   /* sent, and nobody knows whether it arrived */
    JOB_CLOSED,
    JOB_STATE_COUNT
};

enum trigger { TRIGGER_SCHEDULE, TRIGGER_CATCH_UP, TRIGGER_ONCE, TRIGGER_MANUAL, TRIGGER_COUNT };

/* What of a consent is shown to people; `expired` is computed from time, never stored. */
enum consent_status {
    CONSENT_ACTIVE,
    CONSENT_HELD,
    CONSENT_PAUSED,
    CONSENT_EXPIRED,
    CONSENT_REMOVED,
    CONSENT_STATUS_COUNT
};

/* Who refreshes the consent. */
enum consent_mode { MODE_ACTIVE, MODE_LISTEN, MODE_OFF, MODE_COUNT };

/* A boolean that may be unknown; stored as 0, 1 or NULL. */
enum tristate { TRI_UNKNOWN = -1, TRI_FALSE = 0, TRI_TRUE = 1 };

const char *outcome_text(enum outcome outcome);          /* OUTCOME_NONE gives "" */
const char *reason_text(enum reason reason);             /* REASON_NONE gives "" */
const char *answer_class_text(enum answer_class class_); /* CLASS_NONE gives "" */
const char *job_state_text(enum job_state state);
const char *trigger_text(enum trigger trigger);
const char *consent_status_text(enum consent_status status);
const char *consent_mode_text(enum consent_mode mode);

bool outcome_parse(const char *text, size_t length, enum outcome *out);
bool reason_parse(const char *text, size_t length, enum reason *out);

#endif
