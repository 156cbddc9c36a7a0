/* SPDX-License-Identifier: MIT
 * classify_poll.c - how a job stands: its own words, our institution's part of it, or all parts. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "provider/reading.h"

/* ---- children ---- */

bool classify_is_our_institution(const struct reading *reading, json_t *child)
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
        if (classify_is_our_institution(reading, json_array_get(children, i)))
            return json_array_get(children, i);
    return NULL;
}

static void read_child(const struct reading *reading, json_t *child, struct facts *facts)
{
    const struct api_children *where = &reading->request->answer.children;

    reading_facts_init(reading, reading->facts.kind, facts);
    reading_status(reading, child, &where->status, facts);
    reading_word(child, &where->result, facts->result);
    reading_flags(reading, child, where->flags, facts);
}

static enum tristate new_data(const struct reading *reading, const struct facts *facts)
{
    const int index = reading->definition->flag_new_data;

    return index < 0 ? TRI_UNKNOWN : facts->flags[index];
}

/* The end of our consent, where our institution's part tells it. */
static void learn_end(struct reading *reading, json_t *child)
{
    struct utc_time end = json_read_instant(child, &reading->request->answer.children.expires);

    if (end.ms != UTC_NONE.ms)
        reading->answer->expires = end;
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
        reading_keep_text(reading, texts->error_code, sizeof texts->error_code, cause);
    if (who != NULL && texts->error_message[0] == '\0') {
        (void)snprintf(message, sizeof message, "%s: %s", who, cause);
        reading_keep_text(reading, texts->error_message, sizeof texts->error_message, message);
    }
}

/* The job's or our child's own words decide. */
static void decide_by_facts(struct reading *reading, const struct facts *facts)
{
    struct verdict verdict = judge_poll(reading->definition, facts);

    if (verdict.class_ == CLASS_NONE) {
        reading_bad(reading, "the answer tells no status of the job");
        return;
    }
    reading_decide(reading, verdict);
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
            reading_decide(reading, (struct verdict){CLASS_RUNNING, REASON_NONE, false});
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
            reading_word(child, &reading->request->answer.children.key, worst_key);
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
    reading_decide(reading, worst);
    reading->answer->is_about_job = true;
}

/* The flag of the whole job, which decides before anything else. */
static bool says_reconnect(const struct reading *reading)
{
    const int index = reading->definition->flag_reconnect;

    return index >= 0 && reading->facts.flags[index] == TRI_TRUE;
}

static void decide_by_children(struct reading *reading, json_t *children)
{
    const bool is_parent_running =
        reading->facts.has_status && reading->facts.status == API_STATUS_RUNNING;
    json_t *child;
    struct facts facts;

    if (reading->ours->values[API_VARIABLE_INSTITUTION].length == 0) {
        if (is_parent_running || says_reconnect(reading))
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
            reading_bad(reading, "none of the answer's parts is about our institution");
        return;
    }
    read_child(reading, child, &facts);
    if (is_parent_running) { /* the next refresh may not start before the whole task has ended */
        facts.has_status = true;
        facts.status = API_STATUS_RUNNING;
        facts.result[0] = '\0';
    }
    learn_end(reading, child);
    reading->answer->has_new_data = new_data(reading, &facts);
    decide_by_facts(reading, &facts);
}

void classify_child_job(struct reading *reading)
{
    json_t *children = children_of(reading);
    json_t *child = NULL;

    if (children != NULL && reading->ours->values[API_VARIABLE_INSTITUTION].length > 0)
        child = our_child(reading, children);
    if (child != NULL)
        (void)json_read_text(child, &reading->request->answer.children.job,
                             reading->texts->child_job_id, sizeof reading->texts->child_job_id);
}

void classify_poll(struct reading *reading)
{
    const struct api_answer *where = &reading->request->answer;
    json_t *children = children_of(reading);

    reading_status(reading, reading->root, &where->status, &reading->facts);
    reading_word(reading->root, &where->result, reading->facts.result);
    reading_flags(reading, reading->root, where->flags, &reading->facts);
    reading->answer->has_new_data = new_data(reading, &reading->facts);
    classify_child_job(reading);
    if (children != NULL)
        decide_by_children(reading, children);
    else
        decide_by_facts(reading, &reading->facts);
}
