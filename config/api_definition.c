/* SPDX-License-Identifier: MIT
 * api_definition.c - the top level of an API definition, its cross-checks, and finding one. */
#include "config/api_definition.h"

#include <ctype.h>
#include <string.h>

#include "config/api_builtin.h"
#include "config/api_parse.h"
#include "config/yaml_tree.h"

#define TOP_KEYS \
    "name|title|unattended|auth|consent|dedupe_window|in_doubt|cooldown|completion|" \
    "look_back_max|errors|requests|statuses|causes|webhook"
#define DEFAULT_POLL_FIRST_MS (10 * MS_PER_SECOND)
#define DEFAULT_POLL_FLOOR_MS (5 * MS_PER_SECOND)
#define DEFAULT_POLL_MAX_MS (5 * MS_PER_MINUTE)
#define DEFAULT_GIVE_UP_MS (2 * MS_PER_HOUR)

int api_definition_mode(const struct api_definition *definition, const char *name)
{
    if (name == NULL)
        return definition->mode_count == 1 ? 0 : -1;
    for (uint32_t i = 0; i < definition->mode_count; i++)
        if (strcmp(definition->modes[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool is_name(const char *name)
{
    if (*name == '\0' || strlen(name) > 64)
        return false;
    for (; *name != '\0'; name++)
        if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name) && *name != '-' &&
            *name != '_')
            return false;
    return true;
}

static const char *parse_name(struct api_parse *parse, const struct yaml_node *node,
                              const char *what)
{
    const char *name = api_parse_text(parse, node, what);

    if (name != NULL && !is_name(name))
        api_parse_error(parse, node, "%s is \"%s\"; a name holds a-z, 0-9, - and _ only", what,
                        name);
    return name;
}

/* auth: {MODE: {title:, token: {...}}}. First only names and whether there is a token, because
 * `when:` and {token} of the token requests themselves refer to them. */
static void parse_modes(struct api_parse *parse, const struct yaml_node *node)
{
    struct api_definition *definition = parse->definition;

    if (node->kind != YAML_MAPPING || node->count == 0 || node->count > API_MODES_MAX) {
        api_parse_error(parse, node, "auth is a mapping of 1 to %d modes", API_MODES_MAX);
        return;
    }
    for (size_t i = 0; i < node->count; i++) {
        struct api_mode *mode = &definition->modes[definition->mode_count];
        const struct yaml_node *value = node->values[i];
        const struct yaml_node *title;

        mode->name = parse_name(parse, node->keys[i], "an auth mode");
        if (mode->name == NULL)
            continue;
        definition->mode_count++;
        if (!api_parse_mapping(parse, value, "an auth mode", "title|token"))
            continue;
        mode->title = mode->name;
        if ((title = yaml_get(value, "title")) != NULL)
            mode->title = api_parse_text(parse, title, "title");
        mode->has_token = yaml_get(value, "token") != NULL;
    }
}

static void parse_tokens(struct api_parse *parse, const struct yaml_node *node)
{
    for (uint32_t i = 0; i < parse->definition->mode_count; i++) {
        struct api_mode *mode = &parse->definition->modes[i];
        const struct yaml_node *value = yaml_get(node, mode->name);

        if (mode->has_token)
            api_parse_request(parse, yaml_get(value, "token"), REQUEST_TOKEN,
                              (api_mode_set)(1u << i), &mode->token);
    }
}

static void parse_consent(struct api_parse *parse, const struct yaml_node *node)
{
    struct api_definition *definition = parse->definition;
    const struct yaml_node *requires;
    const struct yaml_node *key;
    const struct yaml_node *const *items = NULL;
    uint32_t count;

    if (!api_parse_mapping(parse, node, "consent", "requires|single_flight"))
        return;
    if ((requires = yaml_get(node, "requires")) != NULL) {
        count = api_parse_items(parse, requires, "requires", &items);
        for (uint32_t i = 0; i < count; i++) {
            int index = api_parse_word(parse, items[i], "requires", "customer|institution");

            if (index >= 0)
                definition->consent_requires |= index == 0 ? API_KEY_CUSTOMER : API_KEY_INSTITUTION;
        }
    }
    key = api_parse_required(parse, node, "consent", "single_flight");
    if (key == NULL)
        return;
    count = api_parse_items(parse, key, "single_flight", &items);
    for (uint32_t i = 0; i < count; i++) {
        int index = api_parse_word(parse, items[i], "single_flight", "id|customer|institution");

        if (index >= 0)
            definition->single_flight |= (uint8_t)(1u << index);
    }
    if ((definition->single_flight & ~API_KEY_ID & ~definition->consent_requires) != 0)
        api_parse_error(parse, key,
                        "what single_flight is made of must stand in requires too, so "
                        "that every consent has it");
}

/* cooldown: D, or {after_accept:, after_success:, after_failure:} */
static void parse_cooldown(struct api_parse *parse, const struct yaml_node *node)
{
    struct cooldown_settings *cooldown = &parse->definition->cooldown;
    const struct yaml_node *field;
    const int64_t max = 31 * MS_PER_DAY;

    if (node->kind == YAML_SCALAR) {
        if (api_parse_duration(parse, node, "cooldown", 0, max, &cooldown->after_accept_ms))
            cooldown->after_success_ms = cooldown->after_failure_ms = cooldown->after_accept_ms;
        return;
    }
    if (!api_parse_mapping(parse, node, "cooldown", "after_accept|after_success|after_failure"))
        return;
    if ((field = yaml_get(node, "after_accept")) != NULL)
        (void)api_parse_duration(parse, field, "after_accept", 0, max, &cooldown->after_accept_ms);
    if ((field = yaml_get(node, "after_success")) != NULL)
        (void)api_parse_duration(parse, field, "after_success", 0, max,
                                 &cooldown->after_success_ms);
    if ((field = yaml_get(node, "after_failure")) != NULL)
        (void)api_parse_duration(parse, field, "after_failure", 0, max,
                                 &cooldown->after_failure_ms);
}

/* completion: {poll: {first:, floor:, max:}, give_up_after:} */
static void parse_completion(struct api_parse *parse, const struct yaml_node *node)
{
    struct completion_settings *completion = &parse->definition->completion;
    const struct yaml_node *poll;
    const struct yaml_node *field;
    const int64_t max = 7 * MS_PER_DAY;

    if (!api_parse_mapping(parse, node, "completion", "poll|give_up_after"))
        return;
    if ((field = yaml_get(node, "give_up_after")) != NULL)
        (void)api_parse_duration(parse, field, "give_up_after", MS_PER_SECOND, max,
                                 &completion->give_up_after_ms);
    poll = yaml_get(node, "poll");
    if (poll == NULL || !api_parse_mapping(parse, poll, "poll", "first|floor|max"))
        return;
    if ((field = yaml_get(poll, "first")) != NULL)
        (void)api_parse_duration(parse, field, "first", 1, max, &completion->poll_first_ms);
    if ((field = yaml_get(poll, "floor")) != NULL)
        (void)api_parse_duration(parse, field, "floor", 1, max, &completion->poll_floor_ms);
    if ((field = yaml_get(poll, "max")) != NULL)
        (void)api_parse_duration(parse, field, "max", 1, max, &completion->poll_max_ms);
    if (completion->poll_floor_ms > completion->poll_max_ms)
        api_parse_error(parse, poll, "floor is longer than max, so no poll could be timed");
}

static void parse_requests(struct api_parse *parse, const struct yaml_node *node)
{
    static const struct {
        const char *name;
        enum request_kind kind;
    } kinds[] = {
        {"initiate", REQUEST_INITIATE},
        {"poll", REQUEST_POLL},
        {"look_up", REQUEST_LOOK_UP},
        {"institutions", REQUEST_INSTITUTIONS},
    };
    struct api_definition *definition = parse->definition;
    const api_mode_set all = (api_mode_set)((1u << definition->mode_count) - 1);

    if (!api_parse_mapping(parse, node, "requests", "initiate|poll|look_up|institutions"))
        return;
    (void)api_parse_required(parse, node, "requests", "initiate");
    (void)api_parse_required(parse, node, "requests", "poll");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct yaml_node *value = yaml_get(node, kinds[i].name);

        if (value != NULL)
            api_parse_request(parse, value, kinds[i].kind, all,
                              &definition->requests[kinds[i].kind]);
    }
}

static void parse_scalars(struct api_parse *parse, const struct yaml_node *root)
{
    struct api_definition *definition = parse->definition;
    const struct yaml_node *field;
    int index;

    if ((field = api_parse_required(parse, root, "the definition", "name")) != NULL)
        definition->name = parse_name(parse, field, "name");
    if ((field = api_parse_required(parse, root, "the definition", "title")) != NULL)
        definition->title = api_parse_text(parse, field, "title");
    if ((field = api_parse_required(parse, root, "the definition", "unattended")) != NULL)
        (void)api_parse_bool(parse, field, "unattended", &definition->is_unattended);
    if ((field = api_parse_required(parse, root, "the definition", "in_doubt")) != NULL &&
        (index = api_parse_word(parse, field, "in_doubt", "reinitiate|await")) >= 0)
        definition->in_doubt = index == 0 ? IN_DOUBT_REINITIATE : IN_DOUBT_AWAIT;
    if ((field = yaml_get(root, "dedupe_window")) != NULL)
        (void)api_parse_duration(parse, field, "dedupe_window", 0, 7 * MS_PER_DAY,
                                 &definition->dedupe_window_ms);
    if ((field = yaml_get(root, "look_back_max")) != NULL)
        (void)api_parse_duration(parse, field, "look_back_max", MS_PER_HOUR, 3660 * MS_PER_DAY,
                                 &definition->look_back_max_ms);
    if ((field = yaml_get(root, "cooldown")) != NULL)
        parse_cooldown(parse, field);
    if ((field = yaml_get(root, "completion")) != NULL)
        parse_completion(parse, field);
}

/* What several parts must agree on. */
static void check_whole(struct api_parse *parse, const struct yaml_node *root)
{
    struct api_definition *definition = parse->definition;
    const uint32_t seen = parse->variables_seen;
    const bool is_per_request = definition->webhook.url == API_WEBHOOK_PER_REQUEST;

    definition->allows_own_customer_id = (seen & (1u << API_VARIABLE_CUSTOMER_OWN_ID)) != 0;
    definition->uses_customer_secret = (seen & (1u << API_VARIABLE_CUSTOMER_SECRET)) != 0;
    definition->uses_look_back = (seen & (1u << API_VARIABLE_FROM | 1u << API_VARIABLE_TO)) != 0;
    if ((seen & (1u << API_VARIABLE_CALLBACK_URL)) != 0 && !is_per_request)
        diagnostics_error(parse->diagnostics, parse->callback_place,
                          "{callback_url?} is sent, but `webhook.url` is not per_request");
    if ((seen & (1u << API_VARIABLE_CALLBACK_URL)) == 0 && is_per_request)
        api_parse_error(parse, yaml_get(root, "webhook"),
                        "webhook.url is per_request, but the "
                        "request \"initiate\" does not send {callback_url?}");
}

static void parse_root(struct api_parse *parse, const struct yaml_node *root)
{
    static const char what[] = "the definition";
    const struct yaml_node *auth;
    const struct yaml_node *field;

    parse_scalars(parse, root);
    if ((field = yaml_get(root, "errors")) != NULL)
        api_parse_errors(parse, field);
    if ((field = api_parse_required(parse, root, what, "consent")) != NULL)
        parse_consent(parse, field);
    auth = api_parse_required(parse, root, what, "auth");
    if (auth != NULL) {
        parse_modes(parse, auth);
        parse_tokens(parse, auth);
    }
    if ((field = api_parse_required(parse, root, what, "requests")) != NULL)
        parse_requests(parse, field);
    if ((field = api_parse_required(parse, root, what, "statuses")) != NULL)
        api_parse_statuses(parse, field);
    if ((field = api_parse_required(parse, root, what, "causes")) != NULL)
        api_parse_rules(parse, field);
    if ((field = yaml_get(root, "webhook")) != NULL)
        api_parse_webhook(parse, field);
    check_whole(parse, root);
}

static const struct api_definition *definition_from_tree(const struct yaml_node *root,
                                                         struct arena *arena, const char *file,
                                                         struct diagnostics *diagnostics)
{
    struct api_parse parse = {.arena = arena, .diagnostics = diagnostics};
    struct api_definition *definition = arena_alloc(arena, sizeof *definition);
    size_t errors_before = diagnostics->error_count;

    if (definition == NULL) {
        diagnostics_error(diagnostics, (struct place){file, 1, 1, NULL},
                          "out of memory while this API definition was read");
        return NULL;
    }
    parse.definition = definition;
    definition->file = file;
    definition->flag_reconnect = -1;
    definition->flag_new_data = -1;
    definition->completion = (struct completion_settings){
        .poll_first_ms = DEFAULT_POLL_FIRST_MS,
        .poll_floor_ms = DEFAULT_POLL_FLOOR_MS,
        .poll_max_ms = DEFAULT_POLL_MAX_MS,
        .give_up_after_ms = DEFAULT_GIVE_UP_MS,
    };
    if (api_parse_mapping(&parse, root, "the definition", TOP_KEYS))
        parse_root(&parse, root);
    return diagnostics->error_count == errors_before ? definition : NULL;
}

const struct api_definition *api_definition_parse(const char *bytes, size_t length,
                                                  const char *file, struct arena *arena,
                                                  struct diagnostics *diagnostics)
{
    const struct yaml_node *root = yaml_tree_parse(bytes, length, file, arena, NULL, diagnostics);

    return root == NULL ? NULL : definition_from_tree(root, arena, file, diagnostics);
}

const struct api_definition *api_definition_load(const char *api, struct place place,
                                                 struct arena *arena,
                                                 struct diagnostics *diagnostics)
{
    const struct api_builtin *builtin;
    const struct yaml_node *root;
    char known[512] = "";
    size_t used = 0;

    if (strchr(api, '/') != NULL) {
        root = yaml_tree_load(api, arena, NULL, diagnostics);
        return root == NULL ? NULL
                            : definition_from_tree(root, arena, root->place.file, diagnostics);
    }
    builtin = api_builtin_find(api);
    if (builtin != NULL)
        return api_definition_parse(builtin->text, builtin->length, builtin->name, arena,
                                    diagnostics);
    for (size_t i = 0; (builtin = api_builtin_at(i)) != NULL && used < sizeof known - 80; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ",
                                 builtin->name);
    diagnostics_error(diagnostics, place,
                      "no API definition is called \"%s\"; built in: %s; a "
                      "value with a slash is the path of a definition of your own",
                      api, known);
    return NULL;
}
