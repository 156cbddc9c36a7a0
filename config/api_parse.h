/* SPDX-License-Identifier: MIT
 *
 * api_parse.h - what the files that read an API definition share; used by config/api_*.c only.
 *
 * Layer:  config. Every reader goes on after an error, so that all errors are told at once; the
 *         caller compares diagnostics->error_count before and after.
 */
#ifndef REFRESHD_CONFIG_API_PARSE_H
#define REFRESHD_CONFIG_API_PARSE_H

#include "config/api_definition.h"
#include "config/yaml_tree.h"

#define API_REQUEST_NAMES "initiate|poll|look_up|token|institutions"

struct api_parse {
    struct arena *arena;
    struct diagnostics *diagnostics;
    struct api_definition *definition;
    uint32_t variables_seen;     /* bit per enum api_variable, over all templates */
    struct api_answer errors;    /* what `errors:` says, for every answer */
    struct place callback_place; /* of the first {callback_url?} */
    struct place flag_places[API_FLAGS_MAX];
};

/* Where a template stands decides what it may hold. */
enum api_where { API_IN_PATH, API_IN_HEADER, API_IN_JSON, API_IN_FORM };

/* ---- api_parse.c: scalars, lists, memory ---- */

/* Zeroed memory for `count` items; exhaustion is a diagnostic and NULL. */
void *api_parse_alloc(struct api_parse *parse, size_t count, size_t size);
const char *api_parse_copy(struct api_parse *parse, const char *bytes, size_t length);
void api_parse_error(struct api_parse *parse, const struct yaml_node *node, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The node is a mapping and has no key beyond `allowed` ("a|b|c"); `what` names it in messages. */
bool api_parse_mapping(struct api_parse *parse, const struct yaml_node *node, const char *what,
                       const char *allowed);
/* yaml_get, and an error at the mapping's place when the key is missing. */
const struct yaml_node *api_parse_required(struct api_parse *parse, const struct yaml_node *mapping,
                                           const char *what, const char *key);
/* A scalar's text, copied; NULL after an error. Empty text is an error. */
const char *api_parse_text(struct api_parse *parse, const struct yaml_node *node, const char *what);
/* Index of the scalar in `words` ("a|b|c"), or -1 after an error. */
int api_parse_word(struct api_parse *parse, const struct yaml_node *node, const char *what,
                   const char *words);
bool api_parse_bool(struct api_parse *parse, const struct yaml_node *node, const char *what,
                    bool *out);
bool api_parse_duration(struct api_parse *parse, const struct yaml_node *node, const char *what,
                        int64_t min_ms, int64_t max_ms, int64_t *out);
/* "One or several": the items of a sequence, or the node itself. Answers their number; an empty
 * sequence is an error and 0. */
uint32_t api_parse_items(struct api_parse *parse, const struct yaml_node *node, const char *what,
                         const struct yaml_node *const **items);
/* Texts of api_parse_items, copied. */
uint32_t api_parse_texts(struct api_parse *parse, const struct yaml_node *node, const char *what,
                         const char *const **texts);
/* Is `word` one of `words` ("a|b|c")? Answers its index or -1. */
int api_word_index(const char *words, const char *word, size_t length);

/* ---- api_template.c ---- */

/* Parse one template of request `kind`; `modes` are those in which it is sent. */
bool api_parse_template(struct api_parse *parse, const struct yaml_node *node,
                        enum request_kind kind, enum api_where where, api_mode_set modes,
                        struct api_template *out);
/* `when: auth.MODE`, or a list of them; NULL: all of `outer`. */
api_mode_set api_parse_when(struct api_parse *parse, const struct yaml_node *node,
                            api_mode_set outer);

/* ---- api_request.c ---- */

/* One request: method, path or url, headers, body, accepted, answer. `modes`: where it is used. */
void api_parse_request(struct api_parse *parse, const struct yaml_node *node,
                       enum request_kind kind, api_mode_set modes, struct api_request *out);

/* ---- api_body.c ---- */

void api_parse_headers(struct api_parse *parse, const struct yaml_node *node,
                       enum request_kind kind, api_mode_set modes, struct api_request *out);
void api_parse_body(struct api_parse *parse, const struct yaml_node *node, enum request_kind kind,
                    enum api_where where, api_mode_set modes, struct api_node *out);

/* ---- api_answer.c ---- */

bool api_parse_pointer(struct api_parse *parse, const struct yaml_node *node,
                       struct api_pointer *out);
void api_parse_source(struct api_parse *parse, const struct yaml_node *node,
                      struct api_source *out);
/* The pointers that the answers to all requests share: code, message, error_id, request_id. */
void api_parse_errors(struct api_parse *parse, const struct yaml_node *node);
/* One answer: the shared pointers, and its own over them. */
void api_parse_answer(struct api_parse *parse, const struct yaml_node *node, enum request_kind kind,
                      struct api_answer *out);

/* ---- api_rule.c ---- */

void api_parse_statuses(struct api_parse *parse, const struct yaml_node *node);
void api_parse_rules(struct api_parse *parse, const struct yaml_node *node);
/* A word map {meaning: [word, ...]}; `meanings` ("a|b|c") in the order of their values. */
void api_parse_words(struct api_parse *parse, const struct yaml_node *node, const char *what,
                     const char *meanings, const int *values, const struct api_word **words,
                     uint32_t *count);

/* ---- api_webhook.c ---- */

void api_parse_webhook(struct api_parse *parse, const struct yaml_node *node);

#endif
