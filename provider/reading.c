/* SPDX-License-Identifier: MIT
 * reading.c - what all answers have in common: body, echoes, texts, and the answers that make no
 * sense. */
#include "provider/reading.h"

#include <stdio.h>
#include <string.h>

#include "provider/evidence_text.h"
#include "provider/retry_after.h"

#define POLL_HINT_MS_MAX MS_PER_HOUR
#define NEXT_ALLOWED_MS_MAX (31 * MS_PER_DAY)

void reading_answer_init(struct answer *answer)
{
    *answer = ANSWER_NONE;
    answer->reached_socket = true;
    answer->answered = true;
}

void reading_texts_init(struct answer_texts *texts)
{
    texts->provider_job_id[0] = '\0';
    texts->child_job_id[0] = '\0';
    texts->error_code[0] = '\0';
    texts->error_id[0] = '\0';
    texts->error_message[0] = '\0';
    texts->request_id[0] = '\0';
    texts->retry_after_raw[0] = '\0';
    texts->body_head[0] = '\0';
}

void reading_keep_text(const struct reading *reading, char *out, size_t size, const char *text)
{
    evidence_text(out, size, text, strlen(text), reading->ours);
}

/* A string or integer of the body, for people: cut where it is too long. */
static void keep_source(const struct reading *reading, char *out, size_t size,
                        const struct api_source *source)
{
    json_t *value = json_read_source(reading->root, source);
    char number[32];

    if (json_is_string(value)) {
        evidence_text(out, size, json_string_value(value), json_string_length(value),
                      reading->ours);
    } else if (json_is_integer(value)) {
        (void)snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        reading_keep_text(reading, out, size, number);
    }
}

void reading_decide(struct reading *reading, struct verdict verdict)
{
    reading->answer->class_ = verdict.class_;
    reading->answer->reason = verdict.reason;
    reading->answer->wants_look_up = verdict.wants_look_up;
}

void reading_bad(struct reading *reading, const char *why)
{
    struct answer_texts *texts = reading->texts;

    reading_decide(reading, (struct verdict){CLASS_BAD_ANSWER, REASON_BAD_ANSWER, false});
    if (texts->error_message[0] == '\0')
        reading_keep_text(reading, texts->error_message, sizeof texts->error_message, why);
    evidence_text(texts->body_head, sizeof texts->body_head, reading->http->body,
                  reading->http->body_length, reading->ours);
}

void reading_not_json(struct reading *reading)
{
    char why[256];

    if (reading->http->body_length == 0)
        (void)snprintf(why, sizeof why, "the answer has no body");
    else if (reading->http->body_length > CLASSIFY_BODY_BYTES_MAX)
        (void)snprintf(why, sizeof why, "the answer has %zu bytes, more than is read",
                       reading->http->body_length);
    else
        (void)snprintf(why, sizeof why, "the answer is not JSON: %s at line %d, column %d",
                       reading->error.text, reading->error.line, reading->error.column);
    reading_bad(reading, why);
}

void reading_open(struct reading *reading)
{
    const struct http_answer *http = reading->http;
    struct answer_texts *texts = reading->texts;

    reading_answer_init(reading->answer);
    reading_texts_init(texts);
    reading->root = NULL;
    memset(&reading->error, 0, sizeof reading->error);
    if (http->body_length > 0 && http->body_length <= CLASSIFY_BODY_BYTES_MAX)
        reading->root = json_read_parse(http->body, http->body_length, &reading->error);
    reading->answer->retry_after_ms = retry_after_parse(http->retry_after, reading->now);
    if (http->retry_after != NULL)
        reading_keep_text(reading, texts->retry_after_raw, sizeof texts->retry_after_raw,
                          http->retry_after);
    if (http->request_id != NULL)
        reading_keep_text(reading, texts->request_id, sizeof texts->request_id, http->request_id);
}

void reading_close(struct reading *reading)
{
    json_decref(reading->root);
    reading->root = NULL;
}

bool reading_is_accepted(const struct reading *reading)
{
    for (uint32_t i = 0; i < reading->request->accepted_count; i++)
        if (reading->request->accepted[i] == reading->http->status)
            return true;
    return false;
}

void reading_word(json_t *root, const struct api_source *source, char word[JUDGE_WORD_SIZE])
{
    (void)json_read_text(root, source, word, JUDGE_WORD_SIZE);
}

void reading_status(const struct reading *reading, json_t *root, const struct api_source *source,
                    struct facts *facts)
{
    facts->has_status =
        json_read_text(root, source, facts->status_word, JUDGE_WORD_SIZE) == JSON_TEXT_GOOD;
    facts->status = API_STATUS_RUNNING;
    if (facts->has_status)
        (void)judge_status(reading->definition, facts->status_word, &facts->status);
}

void reading_flags(const struct reading *reading, json_t *root,
                   const struct api_source sources[API_FLAGS_MAX], struct facts *facts)
{
    for (uint32_t i = 0; i < API_FLAGS_MAX; i++)
        facts->flags[i] =
            i < reading->definition->flag_count ? json_read_flag(root, &sources[i]) : TRI_UNKNOWN;
}

void reading_facts_init(const struct reading *reading, enum request_kind kind, struct facts *facts)
{
    facts->kind = kind;
    facts->http = reading->http->status;
    facts->has_status = false;
    facts->status = API_STATUS_RUNNING;
    facts->status_word[0] = '\0';
    facts->code[0] = '\0';
    facts->result[0] = '\0';
    for (uint32_t i = 0; i < API_FLAGS_MAX; i++)
        facts->flags[i] = TRI_UNKNOWN;
}

void reading_common(struct reading *reading, enum request_kind kind)
{
    const struct api_answer *where = &reading->request->answer;
    struct answer *answer = reading->answer;
    struct answer_texts *texts = reading->texts;
    int64_t latest = utc_add_ms(reading->now, NEXT_ALLOWED_MS_MAX).ms;

    reading_facts_init(reading, kind, &reading->facts);
    if (reading->root == NULL)
        return;
    reading_word(reading->root, &where->code, reading->facts.code);
    keep_source(reading, texts->error_code, sizeof texts->error_code, &where->code);
    keep_source(reading, texts->error_id, sizeof texts->error_id, &where->error_id);
    keep_source(reading, texts->error_message, sizeof texts->error_message, &where->message);
    if (texts->request_id[0] == '\0')
        keep_source(reading, texts->request_id, sizeof texts->request_id, &where->request_id);
    answer->not_before = json_read_instant(reading->root, &where->next_allowed);
    if (answer->not_before.ms > latest)
        answer->not_before.ms = latest;
    answer->expires = json_read_instant(reading->root, &where->expires);
    answer->job_started = json_read_instant(reading->root, &where->job_started);
    answer->poll_hint_ms = json_read_duration(reading->root, &where->poll_hint,
                                              where->poll_hint_unit_ms, POLL_HINT_MS_MAX);
}

bool reading_is_anothers(const struct reading *reading)
{
    const struct api_answer *where = &reading->request->answer;

    for (uint32_t i = 0; i < where->echo_count; i++) {
        const struct request_value *ours = &reading->ours->values[where->echoes[i].variable];
        char theirs[CLASSIFY_JOB_ID_BYTES_MAX + 1];
        enum json_text told =
            json_read_text(reading->root, &where->echoes[i].source, theirs, sizeof theirs);

        if (told == JSON_TEXT_ABSENT || ours->length == 0)
            continue;
        if (told == JSON_TEXT_WRONG || strlen(theirs) != ours->length ||
            memcmp(theirs, ours->bytes, ours->length) != 0)
            return true;
    }
    return false;
}

bool reading_is_fit_id(const char *id)
{
    for (; *id != '\0'; id++)
        if ((unsigned char)*id < 0x20 || *id == 0x7F)
            return false;
    return true;
}

void reading_refused(struct reading *reading)
{
    struct verdict verdict = judge_refusal(reading->definition, &reading->facts);
    char why[96];

    if (verdict.class_ != CLASS_BAD_ANSWER) {
        reading_decide(reading, verdict);
        if (reading->root == NULL && reading->http->body_length > 0)
            evidence_text(reading->texts->body_head, sizeof reading->texts->body_head,
                          reading->http->body, reading->http->body_length, reading->ours);
        return;
    }
    (void)snprintf(why, sizeof why, "HTTP %d is no answer that this API gives",
                   reading->http->status);
    reading_bad(reading, why);
}
