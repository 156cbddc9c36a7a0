/* SPDX-License-Identifier: MIT
 * transport.c - clients: settings checked, requests copied and handed to the least busy shard. */
#include "provider/transport.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "provider/address_filter.h"
#include "provider/transport_private.h"

/* ---- the transport ---- */

enum result transport_create(const struct transport_hooks *hooks, struct transport **out,
                             struct fault *fault)
{
    const curl_version_info_data *version;
    struct transport *transport;

    /* libcurl would write TLS keys to the file that this names. */
    unsetenv("SSLKEYLOGFILE");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return fault_set(fault, FAULT_INTERNAL, "libcurl cannot be initialised");
    }
    version = curl_version_info(CURLVERSION_NOW);
    if ((version->features & CURL_VERSION_SSL) == 0 ||
        (version->features & CURL_VERSION_ASYNCHDNS) == 0) {
        curl_global_cleanup();
        return fault_set(fault, FAULT_INTERNAL,
                         "this libcurl (%s) lacks TLS or a resolver that does not block; use one "
                         "built with both",
                         version->version);
    }
    transport = calloc(1, sizeof *transport);
    if (transport == NULL) {
        curl_global_cleanup();
        return fault_set(fault, FAULT_INTERNAL, "no memory for the transport");
    }
    transport->hooks = *hooks;
    *out = transport;
    return RESULT_OK;
}

void transport_destroy(struct transport *transport)
{
    if (transport == NULL) {
        return;
    }
    REQUIRE(transport->client_count == 0);
    free(transport);
    curl_global_cleanup();
}

/* ---- origins ---- */

/* scheme://host[:port] of a URL; the rest of it may be anything. */
static enum result origin_read(const char *url, bool insecure, struct origin *out,
                               struct fault *fault)
{
    struct origin origin = {0};
    const char *host;
    size_t authority;
    size_t host_length;
    bool is_loopback;

    if (strncasecmp(url, "https://", 8) == 0) {
        origin.is_secure = true;
    } else if (strncasecmp(url, "http://", 7) != 0) {
        return fault_set(fault, FAULT_CONFIGURATION,
                         "\"%s\" is not a URL of the form https://host[:port]/path", url);
    }
    host = url + (origin.is_secure ? 8 : 7);
    authority = strcspn(host, "/?#");
    host_length = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    if (host_length == 0 || host_length > authority || memchr(host, '@', authority) != NULL) {
        return fault_set(fault, FAULT_CONFIGURATION,
                         "the URL names no host, or a user: write https://host[:port]/path");
    }
    origin.named.is_set = address_parse(host, host_length, &origin.named.address);
    origin.named.is_localhost = host_length == 9 && strncasecmp(host, "localhost", 9) == 0;
    is_loopback = origin.named.is_localhost ||
                  (origin.named.is_set &&
                   address_is_loopback((const struct sockaddr *)&origin.named.address));
    if (!origin.is_secure && !insecure && !is_loopback) {
        return fault_set(fault, FAULT_CONFIGURATION,
                         "\"%s\": http:// beyond this machine sends secrets in clear; use https:// "
                         "or say `insecure: true`",
                         url);
    }
    origin.length = (size_t)(host - url) + authority;
    origin.text = strndup(url, origin.length);
    if (origin.text == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for an origin");
    }
    *out = origin;
    return RESULT_OK;
}

static bool is_of_origin(const char *url, const struct origin *origin)
{
    return origin->text != NULL && strncmp(url, origin->text, origin->length) == 0 &&
           strchr("/?#", url[origin->length]) != NULL; /* the NUL is found, too */
}

/* ---- clients ---- */

static bool copy_text(char **out, const char *text)
{
    *out = text != NULL ? strdup(text) : NULL;
    return text == NULL || *out != NULL;
}

static enum result copy_settings(struct transport_client *client,
                                 const struct transport_settings *settings, struct fault *fault)
{
    bool is_copied;

    client->is_internal = settings->internal;
    client->connect_timeout_ms = settings->connect_timeout_ms;
    client->request_timeout_ms = settings->request_timeout_ms;
    client->body_bytes_max =
        settings->body_bytes_max > 0 ? settings->body_bytes_max : BODY_BYTES_DEFAULT;
    is_copied = copy_text(&client->proxy, settings->proxy) &&
                copy_text(&client->ca_file, settings->ca_file) &&
                copy_text(&client->user_agent, settings->user_agent);
    for (int i = 0; i < TRANSPORT_REQUEST_ID_NAMES_MAX; i++) {
        is_copied =
            is_copied && copy_text(&client->request_id_headers[i], settings->request_id_headers[i]);
    }
    if (!is_copied) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for a provider's connections");
    }
    if (settings->ca_file != NULL && access(settings->ca_file, R_OK) != 0) {
        return fault_set(fault, FAULT_CONFIGURATION,
                         "ca_file \"%s\" cannot be read; it must be a PEM file", settings->ca_file);
    }
    return RESULT_OK;
}

static bool make_shards(struct transport_client *client, uint32_t concurrency_max)
{
    uint32_t count = (concurrency_max + SHARD_CONNECTIONS_MAX - 1) / SHARD_CONNECTIONS_MAX;

    client->share = curl_share_init();
    if (client->share == NULL ||
        curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) != CURLSHE_OK ||
        curl_share_setopt(client->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
            CURLSHE_OK) {
        return false;
    }
    count = count > 0 ? count : 1;
    client->shards = calloc(count, sizeof(struct transport_shard *));
    if (client->shards == NULL) {
        return false;
    }
    for (; client->shard_count < count; client->shard_count++) {
        client->shards[client->shard_count] = transport_shard_create(client);
        if (client->shards[client->shard_count] == NULL) {
            return false;
        }
    }
    return true;
}

enum result transport_client_create(struct transport *transport,
                                    const struct transport_settings *settings,
                                    const struct transport_handler *handler,
                                    struct transport_client **out, struct fault *fault)
{
    struct transport_client *client = calloc(1, sizeof *client);
    enum result result;

    if (client == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for a provider's connections");
    }
    client->transport = transport;
    client->handler = *handler;
    transport->client_count++;
    result = copy_settings(client, settings, fault);
    if (result == RESULT_OK) {
        result = origin_read(settings->base_url, settings->insecure, &client->origins[0], fault);
    }
    if (result == RESULT_OK && settings->token_url != NULL) {
        result = origin_read(settings->token_url, settings->insecure, &client->origins[1], fault);
    }
    if (result == RESULT_OK && !make_shards(client, settings->concurrency_max)) {
        result = fault_set(fault, FAULT_INTERNAL, "no memory for a provider's connections");
    }
    if (result != RESULT_OK) {
        transport_client_destroy(client);
        return result;
    }
    *out = client;
    return RESULT_OK;
}

void transport_client_destroy(struct transport_client *client)
{
    if (client == NULL) {
        return;
    }
    for (uint32_t i = 0; i < client->shard_count; i++) {
        transport_shard_destroy(client->shards[i]);
    }
    free(client->shards);
    if (client->share != NULL) {
        curl_share_cleanup(client->share);
    }
    for (int i = 0; i < ORIGINS_MAX; i++) {
        free(client->origins[i].text);
    }
    for (int i = 0; i < TRANSPORT_REQUEST_ID_NAMES_MAX; i++) {
        free(client->request_id_headers[i]);
    }
    if (client->proxy != NULL) { /* may hold the proxy's password */
        memory_wipe(client->proxy, strlen(client->proxy));
    }
    free(client->proxy);
    free(client->ca_file);
    free(client->user_agent);
    client->transport->client_count--;
    free(client);
}

struct transport_counts transport_client_counts(const struct transport_client *client)
{
    return client->counts;
}

/* ---- requests ---- */

/* The first shard with a connection to spare, so that no more are opened than needed. */
static struct transport_shard *choose_shard(const struct transport_client *client)
{
    struct transport_shard *least = client->shards[0];

    for (uint32_t i = 0; i < client->shard_count; i++) {
        if (client->shards[i]->in_flight < SHARD_CONNECTIONS_MAX) {
            return client->shards[i];
        }
        if (client->shards[i]->in_flight < least->in_flight) {
            least = client->shards[i];
        }
    }
    return least;
}

/* Length of a text without control bytes; SIZE_MAX when it has one (tabs included). */
static size_t clean_length(const char *text)
{
    size_t length = 0;

    for (; text[length] != '\0'; length++) {
        unsigned char byte = (unsigned char)text[length];

        if (byte < 0x20 || byte == 0x7f) {
            return SIZE_MAX;
        }
    }
    return length;
}

static enum result check_request(const struct transport_client *client,
                                 const struct transport_request *request, size_t *bytes,
                                 struct fault *fault)
{
    size_t length = clean_length(request->url);

    if (!is_of_origin(request->url, &client->origins[0]) &&
        !is_of_origin(request->url, &client->origins[1])) {
        return fault_set(fault, FAULT_DATA,
                         "a request to another host than the provider's was refused");
    }
    if (length == SIZE_MAX || strchr(request->url, ' ') != NULL) {
        return fault_set(fault, FAULT_DATA, "a URL with a blank or control byte was refused");
    }
    if (request->header_count > TRANSPORT_HEADERS_MAX) {
        return fault_set(fault, FAULT_DATA, "a request with %zu headers was refused; at most %d",
                         request->header_count, TRANSPORT_HEADERS_MAX);
    }
    *bytes = length + 1 + request->body_length;
    for (size_t i = 0; i < request->header_count; i++) {
        length = clean_length(request->headers[i]);
        if (length == SIZE_MAX) {
            return fault_set(fault, FAULT_DATA, "a header with a control byte was refused");
        }
        *bytes += length + 1;
    }
    return RESULT_OK;
}

static char *store(struct transport_call *call, const char *bytes, size_t length)
{
    char *place = call->storage + call->storage_used;

    if (length > 0) {
        memcpy(place, bytes, length);
    }
    call->storage_used += length;
    return place;
}

/* Can path and query be put into a parsed URL byte by byte? libcurl writes percent escapes anew
 * when they are set alone, and a fragment is neither. */
static bool is_plain_target(const char *target)
{
    size_t i = 0;

    while (target[i] > 0x20 && target[i] < 0x7f && target[i] != '%' && target[i] != '#') {
        i++;
    }
    return target[0] == '/' && target[i] == '\0';
}

/* Tell libcurl the URL: as a rule the parsed origin with another path and query, because parsing it
 * and putting it together again is a tenth of all that libcurl does for a request. */
static CURLUcode set_url(struct transport_call *call, char *url)
{
    const struct transport_client *client = call->shard->client;
    const struct origin *origin = &client->origins[is_of_origin(url, &client->origins[0]) ? 0 : 1];
    char *target = url + origin->length;
    char *query = strchr(target, '?');
    CURLUcode code = CURLUE_OK;

    if (!is_plain_target(target) || call->url_origin != origin) {
        code = curl_url_set(call->url, CURLUPART_URL, url, CURLU_DISALLOW_USER | CURLU_PATH_AS_IS);
        call->url_origin = code == CURLUE_OK && is_plain_target(target) ? origin : NULL;
        return code;
    }
    if (query != NULL) {
        *query = '\0';
    }
    code |= curl_url_set(call->url, CURLUPART_PATH, target, 0);
    code |= curl_url_set(call->url, CURLUPART_QUERY, query != NULL ? query + 1 : NULL, 0);
    return code;
}

/* Copy the request into the call's storage and tell libcurl where it lies. */
static CURLcode prepare(struct transport_call *call, const struct transport_request *request)
{
    static char no_expect[] = "Expect:"; /* no 100-continue round trip */
    CURL *easy = call->easy;
    bool is_post = strcmp(request->method, "POST") == 0;
    bool has_plain_method = is_post || strcmp(request->method, "GET") == 0;
    struct curl_slist *nodes = call->header_nodes;
    CURLcode code = CURLE_OK;

    if (set_url(call, store(call, request->url, strlen(request->url) + 1)) != CURLUE_OK) {
        return CURLE_URL_MALFORMAT;
    }
    for (size_t i = 0; i < request->header_count; i++) {
        nodes[i].data = store(call, request->headers[i], strlen(request->headers[i]) + 1);
        nodes[i].next = &nodes[i + 1];
    }
    nodes[request->header_count].data = no_expect;
    nodes[request->header_count].next = NULL;
    code |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, nodes);
    if (call->wants_fresh) {
        code |= curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 0L);
        call->wants_fresh = false;
    }
    call->is_secure = strncasecmp(request->url, "https:", 6) == 0;
    call->is_head = strcmp(request->method, "HEAD") == 0;
    if (is_post || request->body != NULL) {
        code |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
        code |=
            curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        code |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                                 store(call, request->body, request->body_length));
        has_plain_method = is_post;
    } else {
        code |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        if (call->is_head) {
            code |= curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        }
    }
    if (!has_plain_method || call->has_custom_method) {
        code |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                                 has_plain_method ? NULL : request->method);
        call->has_custom_method = !has_plain_method;
    }
    return code;
}

void transport_call_reset(struct transport_call *call)
{
    call->is_finished = false;
    call->is_sent = false;
    call->is_address_blocked = false;
    call->is_repeat_refused = false;
    call->has_opened_socket = false;
    call->is_stale = false;
    call->sent = (struct time_now){UTC_NONE, {0}};
    call->head.is_open = false;
    call->head.is_final = false;
    call->head.status = 0;
    call->head.version_major = 0;
    call->head.has_length = false;
    call->head.has_transfer_encoding = false;
    call->head.retry_after[0] = '\0';
    call->head.content_type[0] = '\0';
    call->head.request_id[0] = '\0';
    call->header_bytes = 0;
    call->header_lines = 0;
    call->verdict = TRANSPORT_OK;
    call->verdict_text = "";
    call->error_text[0] = '\0';
}

enum result transport_send(struct transport_client *client, const struct transport_request *request,
                           struct fault *fault)
{
    struct transport_call *call;
    size_t bytes = 0;
    CURLcode code;

    if (check_request(client, request, &bytes, fault) != RESULT_OK) {
        return RESULT_FAULT;
    }
    call = transport_call_take(choose_shard(client));
    if (call == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for a request");
    }
    if (bytes > call->storage_size) {
        free(call->storage); /* wiped when its last request ended */
        call->storage = malloc(bytes);
        call->storage_size = call->storage != NULL ? bytes : 0;
    }
    call->user = request->user;
    call->stale_count = 0;
    transport_call_reset(call);
    code = call->storage != NULL ? prepare(call, request) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK || curl_multi_add_handle(call->shard->multi, call->easy) != CURLM_OK) {
        transport_call_release(call);
        if (code == CURLE_URL_MALFORMAT) {
            return fault_set(fault, FAULT_DATA, "a senseless URL was refused");
        }
        return fault_set(fault, FAULT_INTERNAL, "no memory for a request");
    }
    client->counts.requests++;
    return RESULT_OK;
}

uint32_t transport_cancel(struct transport_client *client, const void *user)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < client->shard_count; i++) {
        struct transport_call *next;

        for (struct transport_call *call = client->shards[i]->active; call != NULL; call = next) {
            next = call->next;
            if (call->user == user && !call->is_finished) {
                transport_call_release(call);
                count++;
            }
        }
    }
    return count;
}
