/* SPDX-License-Identifier: MIT
 *
 * reading.h - one answer on its way to a class; shared by the classify files, and by nobody else.
 *
 * Use: reading_open, reading_common, then a judge; reading_close frees the JSON tree before
 *      anything returns to the loop.
 */
#ifndef REFRESHD_PROVIDER_READING_H
#define REFRESHD_PROVIDER_READING_H

#include "provider/classify.h"
#include "provider/json_read.h"
#include "provider/judge.h"

struct reading {
    const struct api_definition *definition;
    const struct api_request *request;
    const struct http_answer *http;
    const struct request_variables *ours;
    struct utc_time now;
    json_t *root; /* NULL: no usable JSON */
    json_error_t error;
    struct facts facts;
    struct answer *answer;
    struct answer_texts *texts;
};

/* Parse the body and read Retry-After; answer and texts begin anew. */
void reading_open(struct reading *reading);
void reading_close(struct reading *reading);
/* What every answer may hold, whatever it is an answer to: codes, messages, instants. */
void reading_common(struct reading *reading, enum request_kind kind);

bool reading_is_accepted(const struct reading *reading);
/* Does the answer speak of another consent or job? Absent echoes say nothing. */
bool reading_is_anothers(const struct reading *reading);

void reading_facts_init(const struct reading *reading, enum request_kind kind, struct facts *facts);
void reading_status(const struct reading *reading, json_t *root, const struct api_source *source,
                    struct facts *facts);
void reading_flags(const struct reading *reading, json_t *root,
                   const struct api_source sources[API_FLAGS_MAX], struct facts *facts);
/* A word that rules compare; one that is too long or of a wrong type matches nothing. */
void reading_word(json_t *root, const struct api_source *source, char word[JUDGE_WORD_SIZE]);
/* No control bytes: fit to stand in a path, a header, a log. */
bool reading_is_fit_id(const char *id);

void reading_keep_text(const struct reading *reading, char *out, size_t size, const char *text);
void reading_decide(struct reading *reading, struct verdict verdict);
/* The answer makes no sense: say why, keep the head of it. */
void reading_bad(struct reading *reading, const char *why);
void reading_not_json(struct reading *reading);
/* Not an accepted code: rules, then HTTP. */
void reading_refused(struct reading *reading);

void reading_answer_init(struct answer *answer);
void reading_texts_init(struct answer_texts *texts);

/* ---- classify_look_up.c ---- */

/* The accepted answer to a look-up. */
void classify_look_up(struct reading *reading);

/* ---- classify_poll.c ---- */

/* Is this one of the answer's `children` about the institution of ours? */
bool classify_is_our_institution(const struct reading *reading, json_t *child);

/* The accepted answer to a poll. */
void classify_poll(struct reading *reading);
/* Keep the id of our institution's part of the job, where the answer has one. */
void classify_child_job(struct reading *reading);

#endif
