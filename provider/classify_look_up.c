/* SPDX-License-Identifier: MIT
 * classify_look_up.c - how a consent stands: by the answer's own word, or by that of the best of
 * the consents in it that may be ours. */
#include <strings.h>

#include "provider/reading.h"

static enum look_up_verdict verdict_of(const struct api_answer *where, const char *word)
{
    for (uint32_t i = 0; i < where->verdict_count; i++)
        if (strcasecmp(where->verdicts[i].word, word) == 0)
            return (enum look_up_verdict)where->verdicts[i].value;
    return LOOK_UP_NONE;
}

/* A customer who came back has a new consent beside the old one: the best of them counts. */
static int rank(enum look_up_verdict verdict)
{
    static const enum look_up_verdict order[] = {LOOK_UP_NONE, LOOK_UP_RECONNECT, LOOK_UP_NOT_READY,
                                                 LOOK_UP_SUSPENDED, LOOK_UP_ACTIVE};

    for (int i = 0; i < (int)(sizeof order / sizeof order[0]); i++)
        if (order[i] == verdict)
            return i;
    return 0;
}

/* Of the consents with our institution; of all where ours has none. Only a good one tells an end:
 * the date of a dead one says nothing any more. */
static void judge_children(struct reading *reading)
{
    const struct api_answer *where = &reading->request->answer;
    json_t *children = json_read_at(reading->root, &where->children.array);
    char best_word[JUDGE_WORD_SIZE] = "no such consent";
    enum look_up_verdict best = LOOK_UP_NONE;
    struct utc_time expires = UTC_NONE;

    if (!json_is_array(children)) {
        reading_bad(reading, "the answer has no list of consents");
        return;
    }
    for (size_t i = 0; i < json_array_size(children); i++) {
        json_t *child = json_array_get(children, i);
        struct utc_time end = json_read_instant(child, &where->children.expires);
        char word[JUDGE_WORD_SIZE];
        enum look_up_verdict verdict;

        if ((reading->ours->values[API_VARIABLE_INSTITUTION].length > 0 &&
             !classify_is_our_institution(reading, child)) ||
            json_read_text(child, &where->children.status, word, sizeof word) != JSON_TEXT_GOOD)
            continue;
        verdict = verdict_of(where, word);
        if (verdict == LOOK_UP_ACTIVE && end.ms != UTC_NONE.ms && end.ms <= reading->now.ms)
            verdict = LOOK_UP_RECONNECT; /* a good word with a date that is over */
        if (rank(verdict) > rank(best)) {
            best = verdict;
            expires = UTC_NONE;
            reading_keep_text(reading, best_word, sizeof best_word, word);
        }
        if (verdict == LOOK_UP_ACTIVE && end.ms > expires.ms)
            expires = end;
    }
    reading_decide(reading, (struct verdict){CLASS_SUCCESS, REASON_NONE, false});
    reading->answer->look_up = best;
    reading->answer->expires = expires;
    if (best != LOOK_UP_ACTIVE)
        reading_keep_text(reading, reading->texts->error_code, sizeof reading->texts->error_code,
                          best_word);
}

void classify_look_up(struct reading *reading)
{
    const struct api_answer *where = &reading->request->answer;
    char word[JUDGE_WORD_SIZE];

    if (where->children.is_used) {
        judge_children(reading);
        return;
    }
    if (json_read_text(reading->root, &where->status, word, sizeof word) != JSON_TEXT_GOOD) {
        reading_bad(reading, "the answer tells no status of the consent");
        return;
    }
    reading_decide(reading, (struct verdict){CLASS_SUCCESS, REASON_NONE, false});
    reading->answer->look_up = verdict_of(where, word);
    if (reading->answer->look_up != LOOK_UP_ACTIVE)
        reading_keep_text(reading, reading->texts->error_code, sizeof reading->texts->error_code,
                          word);
}
