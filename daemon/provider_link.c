/* SPDX-License-Identifier: MIT
 * provider_link.c - see provider_link.h. */
#include "daemon/provider_link.h"

#include <stdlib.h>
#include <string.h>

#include "config/secret.h"

#define SECRET_BYTES_MAX ((size_t)64 * 1024)
#define CONCURRENCY_DEFAULT 64

static enum result open_client(struct provider_link *link, struct transport *transport,
                               struct fault *fault);

static void link_free(struct provider_link *link)
{
    text_wipe(&link->client_id);
    text_wipe(&link->client_secret);
    text_wipe(&link->token);
    transport_client_destroy(link->client);
    arena_deinit(&link->arena);
    config_release(link->config);
    free(link);
}

enum result provider_link_create(struct config *config, uint32_t index, struct transport *transport,
                                 const struct transport_handler *handler,
                                 struct provider_link **out, struct fault *fault)
{
    const struct config_provider *settings = &config->providers[index];
    struct provider_link *link = calloc(1, sizeof *link);

    if (link == NULL)
        return fault_set(fault, FAULT_TEMPORARY, "out of memory");
    link->references = 1;
    link->index = index;
    link->config = config_retain(config);
    link->settings = settings;
    link->definition = settings->definition;
    link->mode = api_definition_mode(settings->definition, settings->auth_mode);
    link->handler = handler;
    arena_init(&link->arena);
    text_init(&link->client_id, SECRET_BYTES_MAX);
    text_init(&link->client_secret, SECRET_BYTES_MAX);
    text_init(&link->token, SECRET_BYTES_MAX);
    REQUIRE(link->mode >= 0);
    if (settings->client_id.kind != SECRET_NONE &&
        secret_read(&settings->client_id, NULL, &link->client_id, fault) != RESULT_OK)
        goto failed;
    if (settings->client_secret.kind != SECRET_NONE &&
        secret_read(&settings->client_secret, NULL, &link->client_secret, fault) != RESULT_OK)
        goto failed;
    if (request_compile(link->definition, link->mode, settings->base_url, settings->token_url,
                        &link->arena, &link->plan, fault) != RESULT_OK)
        goto failed;
    if (open_client(link, transport, fault) != RESULT_OK)
        goto failed;
    *out = link;
    return RESULT_OK;

failed:
    (void)fault_prefix(fault, "provider %s", settings->name);
    link_free(link);
    return RESULT_FAULT;
}

static enum result open_client(struct provider_link *link, struct transport *transport,
                               struct fault *fault)
{
    const struct config_provider *settings = link->settings;
    uint32_t in_flight = link->config->provider_settings[link->index].limits.requests_in_flight_max;
    struct transport_settings client = {
        .base_url = settings->base_url,
        .token_url = settings->token_url,
        .insecure = settings->insecure,
        .internal = settings->internal,
        .proxy = settings->proxy,
        .ca_file = settings->ca_file,
        .connect_timeout_ms = settings->connect_timeout_ms,
        .request_timeout_ms = settings->request_timeout_ms,
        .body_bytes_max = settings->body_bytes_max,
        .concurrency_max = in_flight == 0 ? CONCURRENCY_DEFAULT : in_flight,
        .user_agent = "refreshd/" PACKAGE_VERSION,
        .request_id_headers = {link->definition->request_id_header},
    };

    return transport_client_create(transport, &client, link->handler, &link->client, fault);
}

struct provider_link *provider_link_retain(struct provider_link *link)
{
    link->references++;
    return link;
}

void provider_link_release(struct provider_link *link)
{
    if (link != NULL && --link->references == 0)
        link_free(link);
}

static bool same_text(const struct text *a, const struct text *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}

void provider_link_inherit(struct provider_link *link, const struct provider_link *old)
{
    link->is_refused = old->is_refused;
    if (old->token.length == 0 || !same_text(&link->client_id, &old->client_id) ||
        !same_text(&link->client_secret, &old->client_secret) ||
        strcmp(link->settings->base_url, old->settings->base_url) != 0 ||
        link->definition->modes[link->mode].has_token !=
            old->definition->modes[old->mode].has_token)
        return;
    provider_link_set_token(link, &old->token);
}

void provider_link_set_token(struct provider_link *link, const struct text *token)
{
    text_wipe(&link->token);
    text_append(&link->token, token->bytes, token->length);
}

static struct request_value value_of(const struct text *text)
{
    return (struct request_value){text->bytes, text->length};
}

void provider_link_variables(const struct provider_link *link, struct utc_time now,
                             struct request_variables *variables)
{
    *variables = (struct request_variables){.from = UTC_NONE, .to = UTC_NONE, .now = now};
    variables->values[API_VARIABLE_CLIENT_ID] = value_of(&link->client_id);
    variables->values[API_VARIABLE_CLIENT_SECRET] = value_of(&link->client_secret);
    variables->values[API_VARIABLE_TOKEN] = value_of(&link->token);
    if (link->settings->scope != NULL)
        variables->values[API_VARIABLE_SCOPE] =
            (struct request_value){link->settings->scope, strlen(link->settings->scope)};
}

void provider_link_newest_credentials(const struct provider_link *link,
                                      const struct provider_link *old,
                                      struct request_variables *variables)
{
    variables->values[API_VARIABLE_TOKEN] = value_of(&link->token);
    if (strcmp(link->settings->base_url, old->settings->base_url) != 0)
        return; /* another place: its secret is nothing for the old one */
    variables->values[API_VARIABLE_CLIENT_ID] = value_of(&link->client_id);
    variables->values[API_VARIABLE_CLIENT_SECRET] = value_of(&link->client_secret);
}
