/* SPDX-License-Identifier: MIT
 * classify.c - initiations, look-ups, and answers that never came. */
#include "provider/classify.h"

#include <string.h>

#include "provider/evidence_text.h"
#include "provider/reading.h"
#include "provider/retry_after.h"

uint64_t classify_reference_hash(const char *provider_job_id)
{
    uint64_t hash = hash_bytes(provider_job_id, strlen(provider_job_id), 0);

    return hash == 0 ? 1 : hash;
}

static void judge_initiate_answer(struct reading *reading)
{
    struct answer_texts *texts = reading->texts;
    enum json_text told = json_read_text(reading->root, &reading->request->answer.job,
                                         texts->provider_job_id, sizeof texts->provider_job_id);
    bool is_wrong_type =
        !reading->request->answer.job_may_be_integer &&
        json_is_integer(json_read_source(reading->root, &reading->request->answer.job));
    struct verdict verdict;

    if (told == JSON_TEXT_GOOD && !is_wrong_type && reading_is_fit_id(texts->provider_job_id)) {
        reading->answer->reference_hash = classify_reference_hash(texts->provider_job_id);
        classify_child_job(reading);
        reading_decide(reading, (struct verdict){CLASS_ACCEPTED, REASON_NONE, false});
        return;
    }
    texts->provider_job_id[0] = '\0';
    if (reading->http->status >= 400) { /* accepted only where it names a job */
        reading_decide(reading, judge_refusal(reading->definition, &reading->facts));
        return;
    }
    verdict = reading->facts.code[0] == '\0' ? (struct verdict){CLASS_NONE, REASON_NONE, false}
                                             : judge_by_rules(reading->definition, &reading->facts);
    if (verdict.class_ != CLASS_NONE)
        reading_decide(reading, verdict);
    else
        reading_bad(reading, told == JSON_TEXT_ABSENT
                                 ? "the answer names no job"
                                 : "the answer's job id is empty, too long or no text");
}

void classify_answer(const struct api_definition *definition, enum request_kind kind,
                     const struct http_answer *http, const struct request_variables *ours,
                     struct utc_time now, struct answer *answer, struct answer_texts *texts)
{
    struct reading reading = {
        .definition = definition,
        .request = &definition->requests[kind],
        .http = http,
        .ours = ours,
        .now = now,
        .answer = answer,
        .texts = texts,
    };

    REQUIRE(kind <= REQUEST_LOOK_UP && reading.request->is_used);
    reading_open(&reading);
    reading_common(&reading, kind);
    if (!reading_is_accepted(&reading) || (reading.root == NULL && http->status >= 400))
        reading_refused(&reading);
    else if (reading.root == NULL)
        reading_not_json(&reading);
    else if (reading_is_anothers(&reading))
        reading_bad(&reading, "the answer is about another consent or job");
    else if (kind == REQUEST_INITIATE)
        judge_initiate_answer(&reading);
    else if (kind == REQUEST_POLL)
        classify_poll(&reading);
    else
        classify_look_up(&reading);
    reading_close(&reading);
}

/* ---- no answer ---- */

void classify_transport(const struct transport_failure *failure,
                        const struct request_variables *ours, struct utc_time now,
                        struct answer *answer, struct answer_texts *texts)
{
    const bool is_bad = failure->is_oversized || failure->is_malformed;

    reading_answer_init(answer);
    reading_texts_init(texts);
    answer->reached_socket = failure->reached_socket;
    answer->answered = false;
    answer->class_ = is_bad ? CLASS_BAD_ANSWER : CLASS_TRANSPORT;
    answer->reason = is_bad ? REASON_BAD_ANSWER : REASON_TRANSPORT;
    answer->retry_after_ms = retry_after_parse(failure->retry_after, now);
    if (failure->retry_after != NULL)
        evidence_text(texts->retry_after_raw, sizeof texts->retry_after_raw, failure->retry_after,
                      strlen(failure->retry_after), ours);
    if (failure->description != NULL)
        evidence_text(texts->error_message, sizeof texts->error_message, failure->description,
                      strlen(failure->description), ours);
}
