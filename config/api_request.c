/* SPDX-License-Identifier: MIT
 * api_request.c - one request of a definition: how it is sent, and which answers are accepted. */
#include <string.h>

#include "base/text.h"
#include "config/api_parse.h"

static const char *const method_words[] = {"GET", "POST", "PUT"};
static const char *const request_whats[] = {"the request \"initiate\"", "the request \"poll\"",
                                            "the request \"look_up\"", "the token request",
                                            "the request \"institutions\""};

static void parse_url(struct api_parse *parse, const struct yaml_node *node, const char *what,
                      enum request_kind kind, api_mode_set modes, struct api_request *out)
{
    const struct yaml_node *path = yaml_get(node, "path");
    const struct yaml_node *url = yaml_get(node, "url");

    if (url != NULL && kind == REQUEST_TOKEN) {
        if (path != NULL)
            api_parse_error(parse, url, "%s has both a path and a url; keep one", what);
        (void)api_parse_word(parse, url, "url", "configured");
        out->uses_configured_url = true;
        return;
    }
    if (path == NULL) {
        api_parse_error(parse, node, "%s has no \"path\"; it is required%s", what,
                        kind == REQUEST_TOKEN
                            ? " (or `url: configured`, which means auth.token_url "
                              "of the provider)"
                            : "");
        return;
    }
    (void)api_parse_template(parse, path, kind, API_IN_PATH, modes, &out->path);
}

/* 2xx, and those 4xx that an API may use to say "there is a job already". */
static bool is_acceptable(int64_t code)
{
    return (code >= 200 && code <= 299) || (code >= 404 && code <= 428);
}

static void parse_accepted(struct api_parse *parse, const struct yaml_node *node,
                           struct api_request *out)
{
    const struct yaml_node *const *items = NULL;
    uint32_t count = api_parse_items(parse, node, "accepted", &items);

    for (uint32_t i = 0; i < count; i++) {
        int64_t code;

        if (items[i]->kind != YAML_SCALAR ||
            !integer_parse(items[i]->text, items[i]->length, 100, 599, &code) ||
            !is_acceptable(code))
            api_parse_error(parse, items[i],
                            "an accepted HTTP code is 200 to 299, or 404 to 428 "
                            "where such an answer still names a job; found \"%s\"",
                            items[i]->kind == YAML_SCALAR ? items[i]->text : "something else");
        else if (out->accepted_count == API_ACCEPTED_MAX)
            api_parse_error(parse, items[i], "more than %d accepted codes", API_ACCEPTED_MAX);
        else
            out->accepted[out->accepted_count++] = (uint16_t)code;
    }
}

static void parse_body(struct api_parse *parse, const struct yaml_node *node, const char *what,
                       enum request_kind kind, api_mode_set modes, struct api_request *out)
{
    const struct yaml_node *json = yaml_get(node, "json");
    const struct yaml_node *form = yaml_get(node, "form");

    if (json != NULL && form != NULL)
        api_parse_error(parse, form, "%s has both a json and a form body; keep one", what);
    if ((json != NULL || form != NULL) && out->method != NULL && strcmp(out->method, "GET") == 0)
        api_parse_error(parse, json != NULL ? json : form, "a GET request has no body");
    if (json != NULL) {
        out->body_kind = API_BODY_JSON;
        api_parse_body(parse, json, kind, API_IN_JSON, modes, &out->body);
    } else if (form != NULL) {
        out->body_kind = API_BODY_FORM;
        api_parse_body(parse, form, kind, API_IN_FORM, modes, &out->body);
    }
}

void api_parse_request(struct api_parse *parse, const struct yaml_node *node,
                       enum request_kind kind, api_mode_set modes, struct api_request *out)
{
    const char *what = request_whats[kind];
    const struct yaml_node *method;
    const struct yaml_node *headers;
    const struct yaml_node *accepted;
    const struct yaml_node *answer;

    if (!api_parse_mapping(parse, node, what,
                           kind == REQUEST_TOKEN
                               ? "method|path|url|headers|json|form|accepted|answer"
                               : "method|path|headers|json|form|accepted|answer"))
        return;
    out->is_used = true;
    out->place = node->place;
    method = api_parse_required(parse, node, what, "method");
    if (method != NULL) {
        int index = api_parse_word(parse, method, "method", "GET|POST|PUT");

        if (index >= 0)
            out->method = method_words[index];
    }
    parse_url(parse, node, what, kind, modes, out);
    headers = yaml_get(node, "headers");
    if (headers != NULL)
        api_parse_headers(parse, headers, kind, modes, out);
    parse_body(parse, node, what, kind, modes, out);
    accepted = api_parse_required(parse, node, what, "accepted");
    if (accepted != NULL)
        parse_accepted(parse, accepted, out);
    answer = api_parse_required(parse, node, what, "answer");
    if (answer != NULL)
        api_parse_answer(parse, answer, kind, &out->answer);
}
