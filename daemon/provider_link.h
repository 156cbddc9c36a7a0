/* SPDX-License-Identifier: MIT
 *
 * provider_link.h - one provider account made ready for work: compiled requests, secrets, token,
 * connections.
 *
 * Layer:  daemon. Counted: a reload makes new links while requests in flight keep the old one.
 * Secrets: read once at start and reload, wiped at the last release, never logged.
 */
#ifndef REFRESHD_DAEMON_PROVIDER_LINK_H
#define REFRESHD_DAEMON_PROVIDER_LINK_H

#include "base/arena.h"
#include "base/text.h"
#include "config/config.h"
#include "provider/request.h"
#include "provider/transport.h"

struct provider_link {
    uint32_t references;
    uint32_t index;        /* in `config` */
    struct config *config; /* retained */
    const struct config_provider *settings;
    const struct api_definition *definition;
    int mode; /* auth mode of the definition */
    struct arena arena;
    const struct request_plan *plan;
    struct text client_id;
    struct text client_secret;
    bool list_has_failed;  /* the list of institutions could not be read last time */
    bool list_was_doubted; /* or not all of it: each is said once */
    bool is_refused;       /* the core has stopped for our credentials, and it was said */
    int refused_status;    /* of the last answer that refused them, and its words */
    char refused_code[129];
    char refused_message[513];
    struct text token;                       /* empty: none */
    const struct transport_handler *handler; /* borrowed */
    struct transport_client *client;
};

/* Read the secrets, compile the requests, open the (still unconnected) client. `handler` gets what
 * becomes of its requests. The fault names the provider. */
MUST_CHECK enum result provider_link_create(struct config *config, uint32_t index,
                                            struct transport *transport,
                                            const struct transport_handler *handler,
                                            struct provider_link **link, struct fault *fault);
struct provider_link *provider_link_retain(struct provider_link *link);
void provider_link_release(struct provider_link *link);

/* After a reload: what was said of the old link needs no second telling; keep its token when the
 * account is the same one. */
void provider_link_inherit(struct provider_link *link, const struct provider_link *old);

/* Use `token` (copied) from now on. */
void provider_link_set_token(struct provider_link *link, const struct text *token);

/* The variables that every request of the account has in common. */
void provider_link_variables(const struct provider_link *link, struct utc_time now,
                             struct request_variables *variables);

/* Overlay what `link`, the account in force, has in place of `old`: the token, and id and secret
 * where both are for the same place. */
void provider_link_newest_credentials(const struct provider_link *link,
                                      const struct provider_link *old,
                                      struct request_variables *variables);

#endif
