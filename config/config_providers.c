/* SPDX-License-Identifier: MIT
 * config_providers.c - `providers:` to settings for the core and for the transport. */
#include <stdlib.h>
#include <string.h>

#include "config/config_load.h"
#include "config/option_value.h"
#include "scheduler/record.h"

#define PROVIDERS_MAX 1000

static const struct yaml_node *part(const struct yaml_node *node, const char *key)
{
    return node == NULL ? NULL : yaml_get(node, key);
}

static struct yaml_node *part_to_change(struct load *load, struct yaml_node *node, const char *key)
{
    static const struct place nowhere = {"API definition", 0, 0, NULL};
    struct yaml_node *child = NULL;

    for (size_t i = 0; i < node->count; i++)
        if (strcmp(node->keys[i]->text, key) == 0)
            child = node->values[i];
    if (child == NULL) {
        child = config_tree_mapping(load->arena, nowhere);
        config_tree_put(load->arena, node, key, nowhere, child);
    }
    return child;
}

/* --- Defaults of the API definition ------------------------------------------------------------
 */

static void default_duration(struct load *load, struct yaml_node *node, const char *path,
                             int64_t ms)
{
    char text[DURATION_TEXT_SIZE];

    config_default(load, node, path, duration_text(ms, text));
}

/* A default never contradicts what a person wrote: it gives way. */
static void default_poll(struct load *load, const struct completion_settings *completion,
                         struct yaml_node *poll)
{
    bool has_first = config_get_node(poll, "providers.*.completion.poll.first") != NULL;
    bool has_max = config_get_node(poll, "providers.*.completion.poll.max") != NULL;
    int64_t first =
        config_get_number(poll, "providers.*.completion.poll.first", completion->poll_first_ms);
    int64_t max =
        config_get_number(poll, "providers.*.completion.poll.max", completion->poll_max_ms);
    int64_t floor_ms = completion->poll_floor_ms;

    if (!has_first && first > max)
        first = max;
    if (!has_max && max < first)
        max = first;
    if (floor_ms > first)
        floor_ms = first;
    default_duration(load, poll, "providers.*.completion.poll.first", first);
    default_duration(load, poll, "providers.*.completion.poll.floor", floor_ms);
    default_duration(load, poll, "providers.*.completion.poll.max", max);
}

static void put_defaults(struct load *load, const struct api_definition *definition,
                         struct yaml_node *node)
{
    const struct completion_settings *completion = &definition->completion;
    const struct cooldown_settings *cooldown = &definition->cooldown;
    struct yaml_node *under = part_to_change(load, node, "completion");

    if (under->kind == YAML_MAPPING) {
        default_duration(load, under, "providers.*.completion.give_up_after",
                         completion->give_up_after_ms);
        default_poll(load, completion, part_to_change(load, under, "poll"));
    }
    under = part_to_change(load, node, "consent");
    if (under->kind == YAML_MAPPING) {
        under = part_to_change(load, under, "cooldown");
        default_duration(load, under, "providers.*.consent.cooldown.after_accept",
                         cooldown->after_accept_ms);
        default_duration(load, under, "providers.*.consent.cooldown.after_failure",
                         cooldown->after_failure_ms);
        default_duration(load, under, "providers.*.consent.cooldown.after_success",
                         cooldown->after_success_ms);
        config_consent_life_defaults(load, definition, part_to_change(load, node, "consent"));
    }
    if (definition->mode_count == 1 && part(node, "auth") != NULL)
        config_default(load, part_to_change(load, node, "auth"), "providers.*.auth.mode",
                       definition->modes[0].name);
}

/* --- Auth and addresses --------------------------------------------------------------------------
 */

static const char *get_url(struct load *load, const struct yaml_node *node, const char *path,
                           bool insecure)
{
    const char *url = config_get_text(node, path);
    struct option_value value;

    if (url == NULL)
        return NULL;
    value = option_value_of(option_find(path), url);
    if (value.is_clear_http && !insecure)
        diagnostics_error(load->diagnostics, config_get_place(node, path),
                          "\"%.200s\" would send secrets in the clear: use https://, or write "
                          "\"insecure: true\" at the provider if you accept that",
                          url);
    return url;
}

static void check_mode(struct load *load, const struct config_provider *provider,
                       const struct yaml_node *node)
{
    const struct yaml_node *auth = part(node, "auth");
    struct place auth_place = config_get_key_place(node, "providers.*.auth");
    const struct api_definition *definition = provider->definition;
    int mode = api_definition_mode(definition, provider->auth_mode);
    struct place place = config_get_place(auth, "providers.*.auth.mode");
    struct text known;

    text_init(&known, 1024);
    for (uint32_t i = 0; i < definition->mode_count; i++)
        text_append_format(&known, "%s%s", i == 0 ? "" : ", ", definition->modes[i].name);
    if (mode < 0 && provider->auth_mode == NULL)
        diagnostics_error(load->diagnostics, auth_place,
                          "providers.%s.auth: key \"mode\" is missing: API %s knows %s",
                          provider->name, definition->name, known.bytes);
    else if (mode < 0)
        diagnostics_error(load->diagnostics, place,
                          "\"%.64s\" is not an auth mode of API %s; it knows %s",
                          provider->auth_mode, definition->name, known.bytes);
    else if (provider->token_url != NULL && !definition->modes[mode].has_token)
        diagnostics_error(load->diagnostics, config_get_place(auth, "providers.*.auth.token_url"),
                          "auth mode \"%s\" of API %s obtains no token: leave \"token_url\" out",
                          provider->auth_mode, definition->name);
    else if (provider->scope != NULL && !definition->modes[mode].has_token)
        diagnostics_error(load->diagnostics, config_get_place(auth, "providers.*.auth.scope"),
                          "auth mode \"%s\" of API %s obtains no token: leave \"scope\" out",
                          provider->auth_mode, definition->name);
    else if (provider->token_url == NULL && definition->modes[mode].has_token &&
             definition->modes[mode].token.uses_configured_url)
        diagnostics_error(load->diagnostics, auth_place,
                          "providers.%s.auth: key \"token_url\" is missing: auth mode \"%s\" of "
                          "API %s needs it",
                          provider->name, provider->auth_mode, definition->name);
    text_deinit(&known);
}

static void make_auth(struct load *load, struct config_provider *provider,
                      const struct yaml_node *node)
{
    const struct yaml_node *auth = part(node, "auth");

    provider->auth_mode = config_get_text(auth, "providers.*.auth.mode");
    provider->token_url = get_url(load, auth, "providers.*.auth.token_url", provider->insecure);
    provider->scope = config_get_text(auth, "providers.*.auth.scope");
    provider->client_id = config_get_secret(auth, "providers.*.auth.client_id");
    provider->client_secret = config_get_secret(auth, "providers.*.auth.client_secret");
    provider->customer_secret = config_get_secret(node, "providers.*.customer_secret");
    if (provider->definition == NULL)
        return;
    if (auth != NULL && auth->kind == YAML_MAPPING)
        check_mode(load, provider, node);
    if (provider->customer_secret.kind != SECRET_NONE &&
        !provider->definition->uses_customer_secret)
        diagnostics_error(load->diagnostics, config_get_place(node, "providers.*.customer_secret"),
                          "API %s takes no secrets of customers: leave \"customer_secret\" out",
                          provider->definition->name);
}

/* --- What holds per consent, and how jobs end ------------------------------------------------ */

static void make_consent_rules(struct load *load, struct provider_settings *settings,
                               const struct yaml_node *node)
{
    const struct config *config = load->config;
    const struct yaml_node *consent = part(node, "consent");
    const struct yaml_node *cooldown = part(consent, "cooldown");
    const char *quota_text = config_get_text(consent, "providers.*.consent.quota");
    char window[DURATION_TEXT_SIZE];
    char kept[DURATION_TEXT_SIZE];

    if (quota_text != NULL) {
        struct rate quota =
            option_value_of(option_find("providers.*.consent.quota"), quota_text).rate;

        settings->quota = (struct quota_settings){quota.count, quota.span_ms};
        if (quota.span_ms > config->state.retain_attempts_ms)
            diagnostics_error(load->diagnostics,
                              config_get_place(consent, "providers.*.consent.quota"),
                              "a quota window of %s needs attempts to be kept that long; "
                              "state.retain.attempts is %s",
                              duration_text(quota.span_ms, window),
                              duration_text(config->state.retain_attempts_ms, kept));
    }
    if (cooldown != NULL && cooldown->kind == YAML_SCALAR) {
        int64_t ms = config_get_number(consent, "providers.*.consent.cooldown", 0);

        settings->cooldown = (struct cooldown_settings){ms, ms, ms};
    } else {
        settings->cooldown.after_accept_ms =
            config_get_number(cooldown, "providers.*.consent.cooldown.after_accept", 0);
        settings->cooldown.after_success_ms =
            config_get_number(cooldown, "providers.*.consent.cooldown.after_success", 0);
        settings->cooldown.after_failure_ms =
            config_get_number(cooldown, "providers.*.consent.cooldown.after_failure", 0);
    }
}

static void check_webhook(struct load *load, const struct config_provider *provider,
                          const struct yaml_node *completion)
{
    struct place place = config_get_place(completion, "providers.*.completion.webhook");

    if (provider->definition != NULL && provider->definition->webhook.url == API_WEBHOOK_NONE)
        diagnostics_error(load->diagnostics, place,
                          "API %s has no webhooks: write \"webhook: false\"",
                          provider->definition->name);
    if (load->config->http.webhook_public_url == NULL)
        diagnostics_error(load->diagnostics, place,
                          "webhook: true needs http.webhooks.public_url, the address that the "
                          "provider is told");
    else if (load->config->http.webhook_listen == NULL)
        diagnostics_warning(load->diagnostics, place,
                            "webhook: true, but http.webhooks.listen is not set: nothing will "
                            "take the calls");
}

static void make_completion(struct load *load, const struct config_provider *provider,
                            struct completion_settings *completion, const struct yaml_node *node)
{
    const struct yaml_node *under = part(node, "completion");
    const struct yaml_node *poll = part(under, "poll");
    int64_t first = config_get_number(poll, "providers.*.completion.poll.first", 10000);
    int64_t floor_ms = config_get_number(poll, "providers.*.completion.poll.floor", 5000);
    int64_t max = config_get_number(poll, "providers.*.completion.poll.max", 300000);
    char text[DURATION_TEXT_SIZE];
    char other[DURATION_TEXT_SIZE];

    completion->webhook = config_get_number(under, "providers.*.completion.webhook", 0) != 0;
    completion->poll_first_ms = first;
    completion->poll_floor_ms = floor_ms;
    completion->poll_max_ms = max;
    completion->give_up_after_ms =
        config_get_number(under, "providers.*.completion.give_up_after", 2 * MS_PER_HOUR);
    if (completion->webhook)
        check_webhook(load, provider, under);
    if (first > max || floor_ms > max)
        diagnostics_error(
            load->diagnostics, config_get_place(poll, "providers.*.completion.poll.max"),
            "poll.max is %s, less than poll.%s (%s)", duration_text(max, text),
            first > max ? "first" : "floor", duration_text(first > max ? first : floor_ms, other));
}

static void make_wait(struct load *load, const struct yaml_node *waits, const char *key,
                      int64_t *first_ms, int64_t *max_ms)
{
    char shown[64];

    /* The three waits share their ranges, so the rows of one stand for all. */
    (void)snprintf(shown, sizeof shown, "waits.%s", key);
    config_get_waits(load, part(waits, key), "providers.*.waits.pushback", shown, first_ms, max_ms);
}

/* Who wrote a cooldown and no wait after a refusal means the cooldown: that long, then doubling. */
static void make_cooldown_wait(struct load *load, struct provider_settings *settings,
                               const struct yaml_node *consent, const struct yaml_node *waits)
{
    const struct yaml_node *wait = part(waits, "cooldown");
    const struct yaml_node *cooldown = part(consent, "cooldown");
    const bool is_written = config_is_written(consent, "cooldown") &&
                            (cooldown == NULL || cooldown->kind != YAML_MAPPING ||
                             config_is_written(cooldown, "after_accept"));
    int64_t ms = settings->cooldown.after_accept_ms;

    make_wait(load, waits, "cooldown", &settings->cooldown_refused_first_ms,
              &settings->cooldown_refused_max_ms);
    if (!is_written || ms == 0 || config_is_written(wait, "first"))
        return;
    ms = ms > MS_PER_SECOND ? ms : MS_PER_SECOND;
    if (ms > settings->cooldown_refused_max_ms) {
        if (config_default_yields(load, wait, "max", ms))
            settings->cooldown_refused_max_ms = ms;
        else
            ms = settings->cooldown_refused_max_ms;
    }
    if (config_default_yields(load, wait, "first", ms))
        settings->cooldown_refused_first_ms = ms;
}

/* --- Maintenance ------------------------------------------------------------------------------ */

#define MAINTENANCE_EVERY_MS MS_PER_HOUR

/* On where the API can be asked: one call an hour is less than one refresh that could not succeed,
 * and those use up quotas of consents. */
static void make_maintenance(struct load *load, const struct config_provider *provider,
                             struct provider_settings *settings, const struct yaml_node *node)
{
    static const char path[] = "providers.*.maintenance.every";
    const struct yaml_node *under = part(node, "maintenance");
    const char *text = config_get_text(under, path);
    bool is_never = text != NULL && option_value_of(option_find(path), text).is_word;
    bool can_ask = provider->definition->requests[REQUEST_INSTITUTIONS].is_used;

    if (text != NULL && !is_never && !can_ask)
        diagnostics_error(load->diagnostics, config_get_place(under, path),
                          "API %s does not tell of maintenance: leave \"maintenance\" out",
                          provider->definition->name);
    if (can_ask && !is_never)
        settings->maintenance_every_ms = config_get_number(under, path, MAINTENANCE_EVERY_MS);
}

/* --- Institutions ---------------------------------------------------------------------------- */

static void make_institutions(struct load *load, uint32_t index, const struct yaml_node *node)
{
    struct config_provider *provider = &load->config->providers[index];
    const struct yaml_node *list = part(node, "institutions");
    size_t count = list == NULL || list->kind != YAML_MAPPING ? 0 : list->count;

    config_limits_make(load, part(list, "default"), NULL, &provider->institution_default);
    provider->institutions = arena_alloc(load->arena, count * sizeof *provider->institutions);
    REQUIRE(provider->institutions != NULL);
    for (size_t i = 0; i < count; i++) {
        struct institution_settings *out = &provider->institutions[provider->institution_count];

        if (strcmp(list->keys[i]->text, "default") == 0)
            continue;
        out->name = list->keys[i]->text;
        out->provider = index;
        config_limits_make(load, list->values[i], &provider->institution_default, &out->limits);
        provider->institution_count++;
    }
}

/* --- One provider ---------------------------------------------------------------------------- */

/* Providers with one `api:` share its definition. */
static const struct api_definition *load_definition(struct load *load, uint32_t index,
                                                    const char *api, struct place place)
{
    const char *path = api;

    for (uint32_t i = 0; i < index; i++)
        if (load->config->providers[i].api != NULL &&
            strcmp(load->config->providers[i].api, api) == 0)
            return load->config->providers[i].definition;
    if (strchr(api, '/') != NULL)
        path = config_path_to_open(load, api);
    return api_definition_load(path, place, load->arena, load->diagnostics);
}

static void make_provider(struct load *load, uint32_t index, const struct yaml_node *key,
                          struct yaml_node *node)
{
    struct config_provider *provider = &load->config->providers[index];
    struct provider_settings *settings = &load->config->provider_settings[index];
    const struct yaml_node *timeouts;
    const struct yaml_node *waits;
    const struct yaml_node *limits;
    int mode;

    provider->name = settings->name = key->text;
    provider->place = key->place;
    provider->api = config_get_text(node, "providers.*.api");
    if (provider->api != NULL)
        provider->definition =
            load_definition(load, index, provider->api, config_get_place(node, "providers.*.api"));
    if (provider->definition != NULL)
        put_defaults(load, provider->definition, node);
    provider->insecure = config_get_number(node, "providers.*.insecure", 0) != 0;
    provider->internal = config_get_number(node, "providers.*.internal", 0) != 0;
    provider->base_url = get_url(load, node, "providers.*.base_url", provider->insecure);
    provider->proxy = config_get_text(node, "providers.*.proxy");
    provider->ca_file = config_get_text(node, "providers.*.ca_file");
    timeouts = part(node, "timeouts");
    provider->connect_timeout_ms =
        config_get_number(timeouts, "providers.*.timeouts.connect", 10 * MS_PER_SECOND);
    provider->request_timeout_ms =
        config_get_number(timeouts, "providers.*.timeouts.request", 30 * MS_PER_SECOND);
    provider->body_bytes_max =
        (uint32_t)config_get_number(node, "providers.*.body_max", 1024 * 1024);
    make_auth(load, provider, node);
    make_institutions(load, index, node);

    limits = part(node, "limits");
    config_limits_make(load, limits, NULL, &settings->limits);
    settings->rate_guard_ms = config_get_number(limits, "providers.*.limits.guard", 0);
    make_consent_rules(load, settings, node);
    config_consent_life_make(load, provider, settings, part(node, "consent"));
    make_completion(load, provider, &settings->completion, node);
    waits = part(node, "waits");
    make_cooldown_wait(load, settings, part(node, "consent"), waits);
    make_wait(load, waits, "credentials", &settings->auth_retry_first_ms,
              &settings->auth_retry_max_ms);
    make_wait(load, waits, "pushback", &settings->pushback_first_ms, &settings->pushback_max_ms);
    config_breaker_make(load, node, settings);
    settings->pushback_yields = !config_is_written(part(waits, "pushback"), "first");
    if (provider->definition == NULL)
        return;
    mode = api_definition_mode(provider->definition, provider->auth_mode);
    settings->in_doubt = provider->definition->in_doubt;
    settings->dedupe_window_ms = provider->definition->dedupe_window_ms;
    settings->needs_token = mode >= 0 && provider->definition->modes[mode].has_token;
    make_maintenance(load, provider, settings, node);
    settings->can_look_up = provider->definition->requests[REQUEST_LOOK_UP].is_used;
}

void config_providers_make(struct load *load)
{
    struct config *config = load->config;
    const struct yaml_node *list = yaml_get(load->tree, "providers");
    size_t count = list == NULL || list->kind != YAML_MAPPING ? 0 : list->count;

    if (count > PROVIDERS_MAX) {
        diagnostics_error(load->diagnostics, list->place, "%zu providers; at most %d are allowed",
                          count, PROVIDERS_MAX);
        return;
    }
    config->providers = arena_alloc(load->arena, count * sizeof *config->providers);
    config->provider_settings = arena_alloc(load->arena, count * sizeof *config->provider_settings);
    REQUIRE(config->providers != NULL && config->provider_settings != NULL);
    for (size_t i = 0; i < count; i++)
        if (list->values[i]->kind == YAML_MAPPING)
            make_provider(load, config->provider_count++, list->keys[i], list->values[i]);
}
