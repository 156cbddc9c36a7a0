/* SPDX-License-Identifier: MIT
 * classify_token.c - the answer to a token request. What it holds is never kept as evidence. */
#include <string.h>
#include <strings.h>

#include "provider/reading.h"

#define TOKEN_BYTES_MAX 65536
#define TOKEN_LIFETIME_MS_MAX (30 * MS_PER_DAY)

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
        json_string_length(text) > TOKEN_BYTES_MAX || !reading_is_fit_id(json_string_value(text))) {
        reading_bad(reading, "the answer holds no usable token");
    } else if (!is_bearer(reading)) {
        reading_bad(reading, "the answer's token is not of type bearer");
    } else {
        text_append(&token->access_token, json_string_value(text), json_string_length(text));
        if (token->access_token.is_cut) {
            reading_bad(reading, "the answer's token is too long");
            return;
        }
        lifetime_ms = json_read_duration(reading->root, &where->expires_in, MS_PER_SECOND,
                                         TOKEN_LIFETIME_MS_MAX);
        token->lifetime_ms = lifetime_ms > 0 ? lifetime_ms : where->default_lifetime_ms;
        token->is_granted = true;
        reading_decide(reading, (struct verdict){CLASS_SUCCESS, REASON_NONE, false});
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
    reading_common(&reading, REQUEST_TOKEN);
    if (!reading_is_accepted(&reading)) {
        reading_refused(&reading);
    } else if (reading.root == NULL) {
        reading_not_json(&reading);
        texts->body_head[0] = '\0';
    } else {
        judge_token_answer(&reading, token);
    }
    reading_close(&reading);
}
