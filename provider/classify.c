/* SPDX-License-Identifier: MIT
 * classify.c - read an answer's body by the definition, judge it, keep its texts. The JSON tree is
 * freed before anything returns. */
#include "provider/classify.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "provider/evidence_text.h"
#include "provider/json_read.h"
#include "provider/judge.h"
#include "provider/retry_after.h"

#define POLL_HINT_MS_MAX MS_PER_HOUR
#define NEXT_ALLOWED_MS_MAX (31 * MS_PER_DAY)
#define TOKEN_BYTES_MAX 65536
#define TOKEN_LIFETIME_MS_MAX (30 * MS_PER_DAY)

/* One answer on its way to a class. */
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

static void answer_init(struct answer *answer)
{
    *answer = (struct answer){
        .reached_socket = true,
        .answered = true,
        .has_new_data = TRI_UNKNOWN,
        .job_started = UTC_NONE,
        .retry_after_ms = -1,
        .not_before = UTC_NONE,
        .expires = UTC_NONE,
        .poll_hint_ms = -1,
    };
}

static void texts_init(struct answer_texts *texts)
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

static void keep_text(const struct reading *reading, char *out, size_t size, const char *text)
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
        keep_text(reading, out, size, number);
    }
}

static void decide(struct reading *reading, struct verdict verdict)
{
    reading->answer->class_ = verdict.class_;
    reading->answer->reason = verdict.reason;
    reading->answer->wants_look_up = verdict.wants_look_up;
}

/* The answer makes no sense: say why, keep the head of it. */
static void decide_bad(struct reading *reading, const char *why)
{
    struct answer_texts *texts = reading->texts;

    decide(reading, (struct verdict){CLASS_BAD_ANSWER, REASON_BAD_ANSWER, false});
    if (texts->error_message[0] == '\0')
        keep_text(reading, texts->error_message, sizeof texts->error_message, why);
    evidence_text(texts->body_head, sizeof texts->body_head, reading->http->body,
                  reading->http->body_length, reading->ours);
}

static void decide_not_json(struct reading *reading)
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
    decide_bad(reading, why);
}

/* ---- reading ---- */

static void reading_open(struct reading *reading)
{
    const struct http_answer *http = reading->http;
    struct answer_texts *texts = reading->texts;

    answer_init(reading->answer);
    texts_init(texts);
    reading->root = NULL;
    memset(&reading->error, 0, sizeof reading->error);
    if (http->body_length > 0 && http->body_length <= CLASSIFY_BODY_BYTES_MAX)
        reading->root = json_read_parse(http->body, http->body_length, &reading->error);
    reading->answer->retry_after_ms = retry_after_parse(http->retry_after, reading->now);
    if (http->retry_after != NULL)
        keep_text(reading, texts->retry_after_raw, sizeof texts->retry_after_raw,
                  http->retry_after);
    if (http->request_id != NULL)
        keep_text(reading, texts->request_id, sizeof texts->request_id, http->request_id);
}

static bool is_accepted(const struct reading *reading)
{
    for (uint32_t i = 0; i < reading->request->accepted_count; i++)
        if (reading->request->accepted[i] == reading->http->status)
            return true;
    return false;
}

/* A word that rules compare; one that is too long or of a wrong type matches nothing. */
static void read_word(json_t *root, const struct api_source *source, char word[JUDGE_WORD_SIZE])
{
    (void)json_read_text(root, source, word, JUDGE_WORD_SIZE);
}

static void read_status(const struct reading *reading, json_t *root,
                        const struct api_source *source, struct facts *facts)
{
    facts->has_status =
        json_read_text(root, source, facts->status_word, JUDGE_WORD_SIZE) == JSON_TEXT_GOOD;
    facts->status = API_STATUS_RUNNING;
    if (facts->has_status)
        (void)judge_status(reading->definition, facts->status_word, &facts->status);
}

static void read_flags(const struct reading *reading, json_t *root,
                       const struct api_source sources[API_FLAGS_MAX], struct facts *facts)
{
    for (uint32_t i = 0; i < API_FLAGS_MAX; i++)
        facts->flags[i] =
            i < reading->definition->flag_count ? json_read_flag(root, &sources[i]) : TRI_UNKNOWN;
}

static void facts_init(const struct reading *reading, enum request_kind kind, struct facts *facts)
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

/* What every answer may hold, whatever it is an answer to. */
static void read_common(struct reading *reading, enum request_kind kind)
{
    const struct api_answer *where = &reading->request->answer;
    struct answer *answer = reading->answer;
    struct answer_texts *texts = reading->texts;
    int64_t latest = utc_add_ms(reading->now, NEXT_ALLOWED_MS_MAX).ms;

    facts_init(reading, kind, &reading->facts);
    if (reading->root == NULL)
        return;
    read_word(reading->root, &where->code, reading->facts.code);
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

/* Does the answer speak of another consent or job? Absent echoes say nothing. */
static bool is_anothers(const struct reading *reading)
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

/* ---- children ---- */

static bool is_our_institution(const struct reading *reading, json_t *child)
{
    const struct request_value *ours = &reading->ours->values[API_VARIABLE_INSTITUTION];
    json_t *key = json_read_source(child, &reading->request->answer.children.key);

    return json_is_string(key) && json_string_length(key) == ours->length &&
           strncasecmp(json_string_value(key), ours->bytes, ours->length) == 0;
}

/* The array of children, or NULL when there is none or it is empty. */
static json_t *children_of(const struct reading *reading)
{
    const struct api_children *where = &reading->request->answer.children;
    json_t *array;

    if (!where->is_used || reading->root == NULL)
        return NULL;
    array = json_read_at(reading->root, &where->array);
    return json_is_array(array) && json_array_size(array) > 0 ? array : NULL;
}

static json_t *our_child(const struct reading *reading, json_t *children)
{
    for (size_t i = 0; i < json_array_size(children); i++)
        if (is_our_institution(reading, json_array_get(children, i)))
            return json_array_get(children, i);
    return NULL;
}

static void read_child(const struct reading *reading, json_t *child, struct facts *facts)
{
    const struct api_children *where = &reading->request->answer.children;

    facts_init(reading, reading->facts.kind, facts);
    read_status(reading, child, &where->status, facts);
    read_word(child, &where->result, facts->result);
    read_flags(reading, child, where->flags, facts);
}

static enum tristate new_data(const struct reading *reading, const struct facts *facts)
{
    const int index = reading->definition->flag_new_data;

    return index < 0 ? TRI_UNKNOWN : facts->flags[index];
}

/* ---- polls ---- */

static bool is_bad_end(enum answer_class class_)
{
    return class_ != CLASS_RUNNING && class_ != CLASS_SUCCESS;
}

/* A job that ended badly has its cause in the result or the status: that is its error code. */
static void keep_cause(struct reading *reading, const struct facts *facts, const char *who)
{
    struct answer_texts *texts = reading->texts;
    const char *cause = facts->result[0] != '\0' ? facts->result : facts->status_word;
    char message[2 * JUDGE_WORD_SIZE + 8];

    if (texts->error_code[0] == '\0')
        keep_text(reading, texts->error_code, sizeof texts->error_code, cause);
    if (who != NULL && texts->error_message[0] == '\0') {
        (void)snprintf(message, sizeof message, "%s: %s", who, cause);
        keep_text(reading, texts->error_message, sizeof texts->error_message, message);
    }
}

/* The job's or our child's own words decide. */
static void decide_by_facts(struct reading *reading, const struct facts *facts)
{
    struct verdict verdict = judge_poll(reading->definition, facts);

    if (verdict.class_ == CLASS_NONE) {
        decide_bad(reading, "the answer tells no status of the job");
        return;
    }
    decide(reading, verdict);
    reading->answer->is_about_job = verdict.class_ != CLASS_RUNNING;
    if (is_bad_end(verdict.class_))
        keep_cause(reading, facts, NULL);
}

/* Which of two failures to act on: what another try may mend, then what a wait mends, then the
 * customer, then the rest. */
static int rank(enum answer_class class_)
{
    static const enum answer_class order[] = {CLASS_RETRY_LATER, CLASS_COOLDOWN, CLASS_PUSHBACK,
                                              CLASS_NOT_READY, CLASS_RECONNECT_REQUIRED};

    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++)
        if (order[i] == class_)
            return i;
    return INT32_MAX;
}

/* No institution of ours: the outcome follows from all children together. */
static void decide_by_all(struct reading *reading, json_t *children)
{
    struct verdict worst = {CLASS_NONE, REASON_NONE, false};
    struct facts worst_facts;
    char worst_key[JUDGE_WORD_SIZE] = "";
    enum tristate has_new = TRI_FALSE;
    size_t good = 0;
    size_t half = 0;
    size_t count = json_array_size(children);

    for (size_t i = 0; i < count; i++) {
        json_t *child = json_array_get(children, i);
        struct facts facts;
        struct verdict verdict;

        read_child(reading, child, &facts);
        verdict = judge_poll(reading->definition, &facts);
        if (verdict.class_ == CLASS_RUNNING || verdict.class_ == CLASS_NONE) {
            decide(reading, (struct verdict){CLASS_RUNNING, REASON_NONE, false});
            return;
        }
        if (new_data(reading, &facts) == TRI_TRUE)
            has_new = TRI_TRUE;
        else if (new_data(reading, &facts) == TRI_UNKNOWN && has_new == TRI_FALSE)
            has_new = TRI_UNKNOWN;
        good += verdict.class_ == CLASS_SUCCESS;
        half += verdict.class_ == CLASS_PARTIAL;
        if (verdict.class_ == CLASS_SUCCESS || verdict.class_ == CLASS_PARTIAL)
            continue;
        if (worst.class_ == CLASS_NONE || rank(verdict.class_) < rank(worst.class_)) {
            worst = verdict;
            worst_facts = facts;
            read_word(child, &reading->request->answer.children.key, worst_key);
        }
    }
    if (reading->answer->has_new_data == TRI_UNKNOWN)
        reading->answer->has_new_data = has_new;
    if (worst.class_ != CLASS_NONE)
        keep_cause(reading, &worst_facts, worst_key[0] == '\0' ? NULL : worst_key);
    if (good == count)
        worst = (struct verdict){CLASS_SUCCESS, REASON_NONE, false};
    else if (good + half > 0)
        worst = (struct verdict){CLASS_PARTIAL, REASON_NONE, false};
    decide(reading, worst);
    reading->answer->is_about_job = true;
}

static void decide_by_children(struct reading *reading, json_t *children)
{
    const bool is_parent_running =
        reading->facts.has_status && reading->facts.status == API_STATUS_RUNNING;
    json_t *child;
    struct facts facts;

    if (reading->ours->values[API_VARIABLE_INSTITUTION].length == 0) {
        if (is_parent_running ||
            judge_poll(reading->definition, &reading->facts).class_ == CLASS_RECONNECT_REQUIRED)
            decide_by_facts(reading, &reading->facts);
        else
            decide_by_all(reading, children);
        return;
    }
    child = our_child(reading, children);
    if (child == NULL) {
        if (is_parent_running)
            decide_by_facts(reading, &reading->facts);
        else
            decide_bad(reading, "none of the answer's parts is about our institution");
        return;
    }
    read_child(reading, child, &facts);
    if (is_parent_running) { /* the next refresh may not start before the whole task has ended */
        facts.has_status = true;
        facts.status = API_STATUS_RUNNING;
        facts.result[0] = '\0';
    }
    reading->answer->has_new_data = new_data(reading, &facts);
    decide_by_facts(reading, &facts);
}

static void keep_child_job(struct reading *reading, json_t *children)
{
    json_t *child = NULL;

    if (children != NULL && reading->ours->values[API_VARIABLE_INSTITUTION].length > 0)
        child = our_child(reading, children);
    if (child != NULL)
        (void)json_read_text(child, &reading->request->answer.children.job,
                             reading->texts->child_job_id, sizeof reading->texts->child_job_id);
}

static void judge_poll_answer(struct reading *reading)
{
    const struct api_answer *where = &reading->request->answer;
    json_t *children = children_of(reading);

    read_status(reading, reading->root, &where->status, &reading->facts);
    read_word(reading->root, &where->result, reading->facts.result);
    read_flags(reading, reading->root, where->flags, &reading->facts);
    reading->answer->has_new_data = new_data(reading, &reading->facts);
    keep_child_job(reading, children);
    if (children != NULL)
        decide_by_children(reading, children);
    else
        decide_by_facts(reading, &reading->facts);
}

/* ---- initiations and look-ups ---- */

static bool is_fit_id(const char *id)
{
    for (; *id != '\0'; id++)
        if ((unsigned char)*id < 0x20 || *id == 0x7F)
            return false;
    return true;
}

static void judge_initiate_answer(struct reading *reading)
{
    struct answer_texts *texts = reading->texts;
    enum json_text told = json_read_text(reading->root, &reading->request->answer.job,
                                         texts->provider_job_id, sizeof texts->provider_job_id);
    struct verdict verdict;

    if (told == JSON_TEXT_GOOD && is_fit_id(texts->provider_job_id)) {
        uint64_t hash = hash_bytes(texts->provider_job_id, strlen(texts->provider_job_id), 0);

        reading->answer->reference_hash = hash == 0 ? 1 : hash;
        keep_child_job(reading, children_of(reading));
        decide(reading, (struct verdict){CLASS_ACCEPTED, REASON_NONE, false});
        return;
    }
    texts->provider_job_id[0] = '\0';
    if (reading->http->status >= 400) { /* accepted only where it names a job */
        decide(reading, judge_refusal(reading->definition, &reading->facts));
        return;
    }
    verdict = reading->facts.code[0] == '\0' ? (struct verdict){CLASS_NONE, REASON_NONE, false}
                                             : judge_by_rules(reading->definition, &reading->facts);
    if (verdict.class_ != CLASS_NONE)
        decide(reading, verdict);
    else
        decide_bad(reading, told == JSON_TEXT_ABSENT
                                ? "the answer names no job"
                                : "the answer's job id is empty, too long or no text");
}

static void judge_look_up_answer(struct reading *reading)
{
    const struct api_answer *where = &reading->request->answer;
    char word[JUDGE_WORD_SIZE];

    if (json_read_text(reading->root, &where->status, word, sizeof word) != JSON_TEXT_GOOD) {
        decide_bad(reading, "the answer tells no status of the consent");
        return;
    }
    decide(reading, (struct verdict){CLASS_SUCCESS, REASON_NONE, false});
    for (uint32_t i = 0; i < where->verdict_count; i++)
        if (strcasecmp(where->verdicts[i].word, word) == 0)
            reading->answer->look_up = (enum look_up_verdict)where->verdicts[i].value;
    if (reading->answer->look_up != LOOK_UP_ACTIVE)
        keep_text(reading, reading->texts->error_code, sizeof reading->texts->error_code, word);
}

static void judge_refused(struct reading *reading)
{
    struct verdict verdict = judge_refusal(reading->definition, &reading->facts);
    char why[96];

    if (verdict.class_ != CLASS_BAD_ANSWER) {
        decide(reading, verdict);
        if (reading->root == NULL && reading->http->body_length > 0)
            evidence_text(reading->texts->body_head, sizeof reading->texts->body_head,
                          reading->http->body, reading->http->body_length, reading->ours);
        return;
    }
    (void)snprintf(why, sizeof why, "HTTP %d is no answer that this API gives",
                   reading->http->status);
    decide_bad(reading, why);
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

    REQUIRE(kind != REQUEST_TOKEN && reading.request->is_used);
    reading_open(&reading);
    read_common(&reading, kind);
    if (!is_accepted(&reading) || (reading.root == NULL && http->status >= 400))
        judge_refused(&reading);
    else if (reading.root == NULL)
        decide_not_json(&reading);
    else if (is_anothers(&reading))
        decide_bad(&reading, "the answer is about another consent or job");
    else if (kind == REQUEST_INITIATE)
        judge_initiate_answer(&reading);
    else if (kind == REQUEST_POLL)
        judge_poll_answer(&reading);
    else
        judge_look_up_answer(&reading);
    json_decref(reading.root);
}

/* ---- tokens ---- */

static bool is_bearer(const struct reading *reading)
{
    json_t *type = json_read_source(reading->root, &reading->request->answer.token_type);

    return type == NULL ||
           (json_is_string(type) && strcasecmp(json_string_value(type), "bearer") == 0);
}

static void judge_token_answer(struct reading *reading, struct token_answer *token)
{
    const struct api_answer *where = &reading->request->answer;
    json_t *text = json_read_source(reading->root, &where->access_token);
    int64_t lifetime_ms;

    if (!json_is_string(text) || json_string_length(text) == 0 ||
        json_string_length(text) > TOKEN_BYTES_MAX || !is_fit_id(json_string_value(text))) {
        decide_bad(reading, "the answer holds no usable token");
    } else if (!is_bearer(reading)) {
        decide_bad(reading, "the answer's token is not of type bearer");
    } else {
        text_append(&token->access_token, json_string_value(text), json_string_length(text));
        if (token->access_token.is_cut) {
            decide_bad(reading, "the answer's token is too long");
            return;
        }
        lifetime_ms = json_read_duration(reading->root, &where->expires_in, MS_PER_SECOND,
                                         TOKEN_LIFETIME_MS_MAX);
        token->lifetime_ms = lifetime_ms > 0 ? lifetime_ms : where->default_lifetime_ms;
        token->is_granted = true;
        decide(reading, (struct verdict){CLASS_SUCCESS, REASON_NONE, false});
    }
    if (!token->is_granted) /* a body that was to hold a token is not kept */
        reading->texts->body_head[0] = '\0';
}

void classify_token(const struct api_definition *definition, int mode,
                    const struct http_answer *http, const struct request_variables *ours,
                    struct utc_time now, struct token_answer *token, struct answer_texts *texts)
{
    struct reading reading = {
        .definition = definition,
        .request = &definition->modes[mode].token,
        .http = http,
        .ours = ours,
        .now = now,
        .answer = &token->answer,
        .texts = texts,
    };

    REQUIRE(mode >= 0 && (uint32_t)mode < definition->mode_count && reading.request->is_used);
    token->is_granted = false;
    token->lifetime_ms = 0;
    text_clear(&token->access_token);
    reading_open(&reading);
    read_common(&reading, REQUEST_TOKEN);
    if (!is_accepted(&reading)) {
        judge_refused(&reading);
    } else if (reading.root == NULL) {
        decide_not_json(&reading);
        texts->body_head[0] = '\0';
    } else {
        judge_token_answer(&reading, token);
    }
    json_decref(reading.root);
}

/* ---- no answer ---- */

void classify_transport(const struct transport_failure *failure,
                        const struct request_variables *ours, struct utc_time now,
                        struct answer *answer, struct answer_texts *texts)
{
    const bool is_bad = failure->is_oversized || failure->is_malformed;

    answer_init(answer);
    texts_init(texts);
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
