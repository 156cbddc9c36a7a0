/* SPDX-License-Identifier: MIT
 *
 * classify.h - what an HTTP answer of a provider means, by its API definition.
 *
 * Layer:  provider; jansson inside, in no interface. Never fails: whatever arrives ends in a class.
 * Order:  accepted code and usable body, then the definition's rules in their order, then the
 *         mapped status word, then the HTTP status (docs/DEFINITIONS.md, "How an answer is
 * judged"). Texts:  free of our secrets, control bytes escaped, cut to their sizes; "" means
 * absent.
 */
#ifndef REFRESHD_PROVIDER_CLASSIFY_H
#define REFRESHD_PROVIDER_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/time_point.h"
#include "config/api_definition.h"
#include "provider/request.h"
#include "scheduler/record.h"

#define CLASSIFY_BODY_BYTES_MAX (4 * 1024 * 1024) /* more is not even parsed (choices A.1) */
#define CLASSIFY_JOB_ID_BYTES_MAX 255             /* a longer job id is a bad answer, never cut */

/* A complete HTTP answer as the transport saw it. Borrowed. */
struct http_answer {
    int status;
    const char *body; /* any bytes */
    size_t body_length;
    const char *retry_after; /* value of Retry-After; NULL */
    const char *request_id;  /* value of definition->request_id_header; NULL */
};

struct answer_texts {
    char provider_job_id[CLASSIFY_JOB_ID_BYTES_MAX + 1];
    char child_job_id[CLASSIFY_JOB_ID_BYTES_MAX + 1]; /* our institution's part of the job */
    char error_code[129];
    char error_id[129];
    char error_message[513];
    char request_id[129];
    char retry_after_raw[129];
    char body_head[513]; /* of answers that made no sense */
};

/* Judge the answer to an initiation, a poll or a look-up. `ours` are the variables that the
 * request was built from: for the echo checks, the children, and the secrets to keep out.
 * `now` is the instant of the answer. A look-up that could be read has CLASS_SUCCESS, whatever its
 * verdict; one that could not has the class of its error and LOOK_UP_NONE. */
void classify_answer(const struct api_definition *definition, enum request_kind kind,
                     const struct http_answer *http, const struct request_variables *ours,
                     struct utc_time now, struct answer *answer, struct answer_texts *texts);

/* How the core knows a provider's job id: struct answer's reference_hash. Never 0. */
uint64_t classify_reference_hash(const char *provider_job_id);

struct token_answer {
    bool is_granted;
    int64_t lifetime_ms;      /* > 0 when granted */
    struct text access_token; /* the caller's: text_init before, text_wipe after */
    struct answer answer;     /* class and Retry-After of a refusal */
};

/* Judge the answer to a token request of auth mode `mode` (index). */
void classify_token(const struct api_definition *definition, int mode,
                    const struct http_answer *http, const struct request_variables *ours,
                    struct utc_time now, struct token_answer *token, struct answer_texts *texts);

#define INSTITUTION_NAME_SIZE 256

/* One item of a provider's list of institutions. */
struct institution_item {
    char name[INSTITUTION_NAME_SIZE]; /* "": it could not be read */
    bool is_understood;               /* false: something in it is not as the definition says */
    uint32_t span_count;              /* maintenance under way or ahead, sooner ones first */
    struct utc_span spans[MAINTENANCE_MAX];
};
typedef void institution_function(void *context, const struct institution_item *item);

/* Judge the answer to a request for that list, and give each of its items to `take`. A list that
 * could be read has CLASS_SUCCESS. Of an item the status word decides about now: in maintenance
 * without a window that says so means until further notice; a window that has begun does not count
 * where the word says that there is no maintenance. An instant or a word that is not understood
 * makes its whole item one that is not. */
void classify_institutions(const struct api_definition *definition, const struct http_answer *http,
                           const struct request_variables *ours, struct utc_time now,
                           institution_function *take, void *context, struct answer *answer,
                           struct answer_texts *texts);

/* No complete answer: what the transport knows, without its vocabulary. */
struct transport_failure {
    bool reached_socket;     /* the request was handed over, at least in part */
    bool is_oversized;       /* answer beyond the caps: a bad answer, not a bad line */
    bool is_malformed;       /* not HTTP, or contradicting framing: likewise */
    int status;              /* HTTP status where one was seen, else 0 */
    const char *retry_after; /* NULL */
    const char *description; /* for people; NULL */
};

void classify_transport(const struct transport_failure *failure,
                        const struct request_variables *ours, struct utc_time now,
                        struct answer *answer, struct answer_texts *texts);

#endif
