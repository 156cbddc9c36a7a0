/* SPDX-License-Identifier: MIT
 * api_rule.c - status words and the ordered cause rules. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "config/api_parse.h"

void api_parse_words(struct api_parse *parse, const struct yaml_node *node, const char *what,
                     const char *meanings, const int *values, const struct api_word **words,
                     uint32_t *count)
{
    struct api_word *list;
    size_t total = 0;

    if (!api_parse_mapping(parse, node, what, meanings))
        return;
    for (size_t i = 0; i < node->count; i++)
        total += node->values[i]->kind == YAML_SEQUENCE ? node->values[i]->count : 1;
    list = api_parse_alloc(parse, total + 1, sizeof *list);
    if (list == NULL)
        return;
    *words = list;
    for (size_t i = 0; i < node->count; i++) {
        int meaning = api_word_index(meanings, node->keys[i]->text, node->keys[i]->length);
        const char *const *texts = NULL;
        uint32_t text_count;

        if (meaning < 0)
            continue; /* told by api_parse_mapping */
        text_count = api_parse_texts(parse, node->values[i], what, &texts);
        for (uint32_t k = 0; k < text_count; k++) {
            for (uint32_t j = 0; j < *count; j++)
                if (strcasecmp(list[j].word, texts[k]) == 0)
                    api_parse_error(parse, node->values[i], "the word \"%s\" stands twice in %s",
                                    texts[k], what);
            list[(*count)++] = (struct api_word){texts[k], values[meaning]};
        }
    }
}

void api_parse_statuses(struct api_parse *parse, const struct yaml_node *node)
{
    static const int values[] = {API_STATUS_RUNNING, API_STATUS_SUCCESS, API_STATUS_PARTIAL,
                                 API_STATUS_FAILED};
    struct api_definition *definition = parse->definition;
    bool has_success = false;

    api_parse_words(parse, node, "statuses", "running|success|partial|failed", values,
                    &definition->statuses, &definition->status_count);
    for (uint32_t i = 0; i < definition->status_count; i++)
        if (definition->statuses[i].value == API_STATUS_SUCCESS)
            has_success = true;
    if (!has_success && node->kind == YAML_MAPPING)
        api_parse_error(parse, node,
                        "statuses has no word for \"success\", so nothing could ever "
                        "be refreshed");
}

/* What a rule may decide, and the reason that goes with it when none is written. */
static const struct {
    const char *word;
    enum answer_class class_;
    enum reason reason;
} verdicts[] = {
    {"running", CLASS_RUNNING, REASON_NONE},
    {"success", CLASS_SUCCESS, REASON_NONE},
    {"partial", CLASS_PARTIAL, REASON_NONE},
    {"retry_later", CLASS_RETRY_LATER, REASON_PROVIDER_ERROR},
    {"cooldown", CLASS_COOLDOWN, REASON_COOLDOWN},
    {"reconnect_required", CLASS_RECONNECT_REQUIRED, REASON_NONE},
    {"config_error", CLASS_CONFIG_ERROR, REASON_CONFIGURATION},
    {"lost", CLASS_LOST, REASON_LOST},
    {"credentials", CLASS_CREDENTIALS, REASON_AUTH},
    {"pushback", CLASS_PUSHBACK, REASON_PUSHBACK},
    {"not_ready", CLASS_NOT_READY, REASON_NOT_READY},
    {"rejected", CLASS_REJECTED, REASON_REJECTED},
    {"bad_answer", CLASS_BAD_ANSWER, REASON_BAD_ANSWER},
};

#define CLASS_WORDS \
    "running|success|partial|retry_later|cooldown|reconnect_required|config_error|lost|" \
    "credentials|pushback|not_ready|rejected|bad_answer"
#define REASON_WORDS \
    "rejected|provider_error|institution_error|bad_answer|job_failed|lost|configuration|" \
    "cooldown|pushback|auth|maintenance|not_ready"

/* "400" or "4xx". Below 400 there is nothing to choose: accepted, or no sensible answer. */
static bool parse_http(const struct yaml_node *node, struct api_http_range *out)
{
    int64_t code;

    if (node->kind != YAML_SCALAR || node->length != 3)
        return false;
    if (strcmp(node->text + 1, "xx") == 0 && (node->text[0] == '4' || node->text[0] == '5')) {
        out->first = (uint16_t)((node->text[0] - '0') * 100);
        out->last = (uint16_t)(out->first + 99);
        return true;
    }
    if (!integer_parse(node->text, node->length, 400, 599, &code))
        return false;
    *out = (struct api_http_range){(uint16_t)code, (uint16_t)code};
    return true;
}

static void parse_http_list(struct api_parse *parse, const struct yaml_node *node,
                            struct api_rule *rule)
{
    const struct yaml_node *const *items = NULL;
    uint32_t count = api_parse_items(parse, node, "http", &items);
    struct api_http_range *ranges = api_parse_alloc(parse, count + 1, sizeof *ranges);

    if (ranges == NULL)
        return;
    rule->http = ranges;
    for (uint32_t i = 0; i < count; i++)
        if (parse_http(items[i], &ranges[rule->http_count]))
            rule->http_count++;
        else
            api_parse_error(parse, items[i],
                            "http is a code like 404 or a class like 5xx (400 and above); found "
                            "\"%s\"",
                            items[i]->kind == YAML_SCALAR ? items[i]->text : "something else");
}

/* A set of words as bits. */
static uint8_t parse_set(struct api_parse *parse, const struct yaml_node *node, const char *what,
                         const char *words)
{
    const struct yaml_node *const *items = NULL;
    uint32_t count = api_parse_items(parse, node, what, &items);
    uint8_t set = 0;

    for (uint32_t i = 0; i < count; i++) {
        int index = api_parse_word(parse, items[i], what, words);

        if (index >= 0)
            set |= (uint8_t)(1u << index);
    }
    return set;
}

static uint8_t parse_flag_set(struct api_parse *parse, const struct yaml_node *node)
{
    const struct api_definition *definition = parse->definition;
    char words[API_FLAGS_MAX * 80] = "";

    if (definition->flag_count == 0) {
        api_parse_error(parse, node,
                        "no answer of this definition has flags, so none can be "
                        "asked for");
        return 0;
    }
    for (uint32_t i = 0; i < definition->flag_count; i++) {
        strcat(words, i == 0 ? "" : "|");
        strcat(words, definition->flag_names[i]);
    }
    return parse_set(parse, node, "flag", words);
}

static bool parse_conditions(struct api_parse *parse, const struct yaml_node *node,
                             struct api_rule *rule)
{
    const struct yaml_node *field;
    unsigned conditions = 0;

    if ((field = yaml_get(node, "request")) != NULL && ++conditions > 0)
        rule->requests = parse_set(parse, field, "request", API_REQUEST_NAMES);
    if ((field = yaml_get(node, "http")) != NULL && ++conditions > 0)
        parse_http_list(parse, field, rule);
    if ((field = yaml_get(node, "code")) != NULL && ++conditions > 0)
        rule->code_count = api_parse_texts(parse, field, "code", &rule->codes);
    if ((field = yaml_get(node, "result")) != NULL && ++conditions > 0)
        rule->result_count = api_parse_texts(parse, field, "result", &rule->results);
    if ((field = yaml_get(node, "status")) != NULL && ++conditions > 0)
        rule->statuses = parse_set(parse, field, "status", "running|success|partial|failed");
    if ((field = yaml_get(node, "flag")) != NULL && ++conditions > 0)
        rule->flags = parse_flag_set(parse, field);
    return conditions > 0;
}

static void parse_verdict(struct api_parse *parse, const struct yaml_node *node,
                          struct api_rule *rule)
{
    const struct yaml_node *class_ = api_parse_required(parse, node, "a cause rule", "class");
    const struct yaml_node *reason = yaml_get(node, "reason");
    const struct yaml_node *look_up = yaml_get(node, "look_up");
    int index;

    if (class_ != NULL && (index = api_parse_word(parse, class_, "class", CLASS_WORDS)) >= 0) {
        rule->class_ = verdicts[index].class_;
        rule->reason = verdicts[index].reason;
    }
    if (reason != NULL && api_parse_word(parse, reason, "reason", REASON_WORDS) >= 0) {
        if (rule->class_ != CLASS_NONE && rule->reason == REASON_NONE)
            api_parse_error(parse, reason, "the class %s is no failure and has no reason",
                            answer_class_text(rule->class_));
        else
            (void)reason_parse(reason->text, reason->length, &rule->reason);
    }
    if (look_up != NULL && api_parse_bool(parse, look_up, "look_up", &rule->wants_look_up) &&
        rule->wants_look_up && !parse->definition->requests[REQUEST_LOOK_UP].is_used)
        api_parse_error(parse, look_up,
                        "look_up: true needs a request \"look_up\", and this "
                        "definition has none");
}

/* A flag that says "reconnect" wins over all else (design section 4, Outcomes), and the order of
 * the rules is where that is written. */
static void check_reconnect_first(struct api_parse *parse, const struct yaml_node *node)
{
    const struct api_definition *definition = parse->definition;
    const struct api_rule *first = definition->rules;

    if (definition->flag_reconnect < 0)
        return;
    if (definition->rule_count == 0 || first->flags != 1u << definition->flag_reconnect ||
        first->class_ != CLASS_RECONNECT_REQUIRED || first->requests != 0 || first->statuses != 0 ||
        first->http_count + first->code_count + first->result_count != 0)
        api_parse_error(parse, node,
                        "the flag reconnect_required decides before anything else: the "
                        "first rule must be {flag: reconnect_required, class: reconnect_required}");
}

void api_parse_rules(struct api_parse *parse, const struct yaml_node *node)
{
    struct api_definition *definition = parse->definition;
    struct api_rule *rules;

    if (node->kind != YAML_SEQUENCE) {
        api_parse_error(parse, node,
                        "causes is a list of rules like {code: too_soon, class: "
                        "cooldown}");
        return;
    }
    rules = api_parse_alloc(parse, node->count + 1, sizeof *rules);
    if (rules == NULL)
        return;
    definition->rules = rules;
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *item = node->values[i];
        struct api_rule *rule = &rules[definition->rule_count];

        if (!api_parse_mapping(parse, item, "a cause rule",
                               "request|http|code|result|status|flag|class|reason|look_up"))
            continue;
        rule->place = item->place;
        if (!parse_conditions(parse, item, rule))
            api_parse_error(parse, item,
                            "a cause rule without a condition would decide "
                            "everything; say when it holds");
        parse_verdict(parse, item, rule);
        definition->rule_count++;
    }
    check_reconnect_first(parse, node);
}
