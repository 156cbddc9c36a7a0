/* SPDX-License-Identifier: MIT
 *
 * judge.h - the rules of an API definition applied to what one answer says.
 *
 * Layer:  provider; pure: no JSON, no HTTP. classify.c reads the answer and asks here.
 */
#ifndef REFRESHD_PROVIDER_JUDGE_H
#define REFRESHD_PROVIDER_JUDGE_H

#include <stdbool.h>

#include "config/api_definition.h"

#define JUDGE_WORD_SIZE 129

/* What an answer, or one child of it, says. */
struct facts {
    enum request_kind kind;
    int http;
    bool has_status;
    enum api_status status;            /* mapped; unknown words are running */
    char status_word[JUDGE_WORD_SIZE]; /* as written; "" when absent */
    char code[JUDGE_WORD_SIZE];
    char result[JUDGE_WORD_SIZE];
    enum tristate flags[API_FLAGS_MAX];
};

struct verdict {
    enum answer_class class_; /* CLASS_NONE: undecided */
    enum reason reason;
    bool wants_look_up;
};

/* Does the status map know the word, and what does it mean? False leaves `out` alone. */
bool judge_status(const struct api_definition *definition, const char *word, enum api_status *out);

/* The first rule that holds; CLASS_NONE where none does. */
struct verdict judge_by_rules(const struct api_definition *definition, const struct facts *facts);

/* A poll's answer: rules, then the status; CLASS_NONE when it has no status either. */
struct verdict judge_poll(const struct api_definition *definition, const struct facts *facts);

/* An answer that was not accepted: rules, then what HTTP itself says. */
struct verdict judge_refusal(const struct api_definition *definition, const struct facts *facts);

#endif
