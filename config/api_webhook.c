/* SPDX-License-Identifier: MIT
 * api_webhook.c - how a provider calls back: address, signature, events. */
#include <string.h>

#include "config/api_parse.h"

static void parse_signature(struct api_parse *parse, const struct yaml_node *node,
                            struct api_webhook *webhook)
{
    const struct yaml_node *scheme;
    const struct yaml_node *header;
    const struct yaml_node *field;
    int index;

    if (!api_parse_mapping(parse, node, "signature", "scheme|header|key_id_header|keys"))
        return;
    scheme = api_parse_required(parse, node, "signature", "scheme");
    header = api_parse_required(parse, node, "signature", "header");
    if (scheme != NULL && (index = api_parse_word(parse, scheme, "scheme", "jws|hmac_sha256")) >= 0)
        webhook->scheme = index == 0 ? API_SIGNATURE_JWS : API_SIGNATURE_HMAC_SHA256;
    if (header != NULL)
        webhook->signature_header = api_parse_text(parse, header, "header");
    if ((field = yaml_get(node, "key_id_header")) != NULL)
        webhook->key_id_header = api_parse_text(parse, field, "key_id_header");
    field = yaml_get(node, "keys");
    if (field == NULL) {
        if (webhook->scheme == API_SIGNATURE_JWS)
            api_parse_error(parse, node,
                            "a jws signature needs \"keys\": the JWKS as a path on "
                            "base_url or an https:// URL");
        return;
    }
    webhook->keys = api_parse_text(parse, field, "keys");
    if (webhook->keys != NULL && webhook->keys[0] != '/' &&
        strncmp(webhook->keys, "https://", 8) != 0)
        api_parse_error(parse, field, "keys is a path on base_url or an https:// URL; found \"%s\"",
                        webhook->keys);
}

/* match: {/type: job_status_update} */
static void parse_matches(struct api_parse *parse, const struct yaml_node *node,
                          struct api_event *event)
{
    struct api_match *matches;

    if (node->kind != YAML_MAPPING || node->count == 0) {
        api_parse_error(parse, node,
                        "match is a mapping of JSON pointers to the texts that must "
                        "stand there");
        return;
    }
    matches = api_parse_alloc(parse, node->count, sizeof *matches);
    if (matches == NULL)
        return;
    event->matches = matches;
    for (size_t i = 0; i < node->count; i++) {
        struct api_match *match = &matches[event->match_count];

        match->equals = api_parse_text(parse, node->values[i], "what a match must equal");
        if (api_parse_pointer(parse, node->keys[i], &match->pointer) && match->equals != NULL)
            event->match_count++;
    }
}

static void parse_event(struct api_parse *parse, const struct yaml_node *node,
                        struct api_event *event)
{
    static const char what[] = "a webhook event";
    const struct {
        const char *key;
        struct api_source *source;
    } fields[] = {
        {"job", &event->job},           {"consent", &event->consent},
        {"customer", &event->customer}, {"institution", &event->institution},
        {"status", &event->status},     {"result", &event->result},
        {"expires", &event->expires},   {"child_job", &event->child_job},
    };
    const struct yaml_node *kind;
    const struct yaml_node *match;
    const struct yaml_node *children;
    int index;

    if (!api_parse_mapping(parse, node, what,
                           "kind|match|job|consent|customer|institution|status|result|expires|"
                           "children|child_job"))
        return;
    event->place = node->place;
    kind = api_parse_required(parse, node, what, "kind");
    match = api_parse_required(parse, node, what, "match");
    if (kind != NULL &&
        (index = api_parse_word(parse, kind, "kind", "job|hold|release|ignore")) >= 0)
        event->kind = (enum api_event_kind)index;
    if (match != NULL)
        parse_matches(parse, match, event);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct yaml_node *value = yaml_get(node, fields[i].key);

        if (value != NULL)
            api_parse_source(parse, value, fields[i].source);
    }
    if ((children = yaml_get(node, "children")) != NULL) {
        (void)api_parse_pointer(parse, children, &event->children);
        if (event->child_job.pointer_count == 0)
            api_parse_error(parse, children,
                            "children needs \"child_job\": where each of them has "
                            "its job id");
    }
    if (event->kind == API_EVENT_JOB && event->job.pointer_count == 0 &&
        event->child_job.pointer_count == 0)
        api_parse_error(parse, node, "an event of kind job needs \"job\" or \"child_job\"");
    if ((event->kind == API_EVENT_HOLD || event->kind == API_EVENT_RELEASE) &&
        event->consent.pointer_count == 0 && event->customer.pointer_count == 0)
        api_parse_error(parse, node, "an event about a consent needs \"consent\" or \"customer\"");
}

void api_parse_webhook(struct api_parse *parse, const struct yaml_node *node)
{
    static const char what[] = "webhook";
    struct api_webhook *webhook = &parse->definition->webhook;
    const struct yaml_node *url;
    const struct yaml_node *signature;
    const struct yaml_node *events;
    struct api_event *list;
    int index;

    if (!api_parse_mapping(parse, node, what, "url|signature|events"))
        return;
    url = api_parse_required(parse, node, what, "url");
    if (url != NULL && (index = api_parse_word(parse, url, "url", "per_request|registered")) >= 0)
        webhook->url = index == 0 ? API_WEBHOOK_PER_REQUEST : API_WEBHOOK_REGISTERED;
    if ((signature = yaml_get(node, "signature")) != NULL)
        parse_signature(parse, signature, webhook);
    events = api_parse_required(parse, node, what, "events");
    if (events == NULL)
        return;
    if (events->kind != YAML_SEQUENCE || events->count == 0) {
        api_parse_error(parse, events, "events is a list with at least one event");
        return;
    }
    list = api_parse_alloc(parse, events->count, sizeof *list);
    if (list == NULL)
        return;
    webhook->events = list;
    for (size_t i = 0; i < events->count; i++)
        parse_event(parse, events->values[i], &list[webhook->event_count++]);
}
