/* SPDX-License-Identifier: MIT
 * transport_handle.c - the options of a libcurl handle, set once, and the callbacks behind them. */
#include "provider/transport_private.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "provider/address_filter.h"

/* A request that moves less than a byte a second for this long is dead, however patient its own
 * timeout is. */
#define LOW_SPEED_BYTES_PER_S 1L
#define LOW_SPEED_TIME_S 60L
/* Idle connections older than this are not tried again: common servers close after 60 s, and a
 * request sent into a closing connection would be in doubt. */
#define IDLE_CONNECTION_MAX_S 50L
#define RECEIVE_BUFFER_BYTES 16384L

static bool is_allowed(const struct transport_client *client, const struct sockaddr *address)
{
    if (client->is_internal || client->proxy != NULL || address_is_public(address)) {
        return true;
    }
    for (int i = 0; i < ORIGINS_MAX; i++) {
        const struct named_address *named = &client->origins[i].named;

        if (client->origins[i].text == NULL) {
            continue;
        }
        if (named->is_set && address_is_same(address, (const struct sockaddr *)&named->address)) {
            return true;
        }
        if (named->is_localhost && address_is_loopback(address)) {
            return true;
        }
    }
    return false;
}

static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transport_call *call = user;
    struct transport_client *client = call->shard->client;
    int fd;

    (void)purpose;
    if (!is_allowed(client, &address->addr)) {
        call->is_address_blocked = true;
        return CURL_SOCKET_BAD;
    }
    fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0) {
        client->counts.connections_opened++;
        call->has_opened_socket = true;
        transport_socket_opened(call->shard, fd);
    }
    return fd;
}

/* The call that opened it may be gone; the shard is not. */
static int on_close_socket(void *user, curl_socket_t fd)
{
    transport_socket_closed(user, fd);
    return close(fd);
}

/* Frames of HTTP/2 may come at any time, so nothing can be told from waiting bytes there. */
static bool is_http1(const struct transport_call *call)
{
    const struct transport_client *client = call->shard->client;

    return !call->is_secure || (client->has_tls_http1 && !client->has_http2);
}

/* The connection is ready and the first byte comes next: the hand-over. */
static int on_before_request(void *user, char *remote, char *local, int remote_port, int local_port)
{
    struct transport_call *call = user;
    struct transport_client *client = call->shard->client;
    const struct transport_hooks *hooks = &client->transport->hooks;
    const struct socket_ends ends = {remote, local, remote_port, local_port};

    if (call->is_sent) {
        /* libcurl lost the connection and would send again. */
        call->is_repeat_refused = true;
        client->counts.repeats_refused++;
        return CURL_PREREQFUNC_ABORT;
    }
    if (call->has_opened_socket) {
        transport_socket_name(call->shard, &ends);
    } else if (is_http1(call) && transport_socket_is_stale(call->shard, &ends)) {
        call->is_stale = true;
        return CURL_PREREQFUNC_ABORT;
    }
    call->is_sent = true;
    call->sent = hooks->now(hooks->context);
    client->handler.on_sent(call->user, call->sent);
    return CURL_PREREQFUNC_OK;
}

static CURLcode set_limits(CURL *easy, const struct transport_client *client)
{
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A resolver that hangs must not hang the loop when its request is given up. */
    code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)client->connect_timeout_ms);
    code |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)client->request_timeout_ms);
    code |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES_PER_S);
    code |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, LOW_SPEED_TIME_S);
    code |= curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, IDLE_CONNECTION_MAX_S);
    code |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
    code |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    return code;
}

/* choices.md A.4, written out even where it is libcurl's default. */
static CURLcode set_safety(CURL *easy, const struct transport_client *client)
{
    bool is_clear_allowed = false;
    const char *protocols;
    CURLcode code = CURLE_OK;

    for (int i = 0; i < ORIGINS_MAX; i++) {
        is_clear_allowed |= client->origins[i].text != NULL && !client->origins[i].is_secure;
    }
    protocols = is_clear_allowed ? "http,https" : "https";
    code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols);
    code |= curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
    code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    code |= curl_easy_setopt(easy, CURLOPT_COOKIEFILE, NULL);
    code |= curl_easy_setopt(easy, CURLOPT_HSTS_CTRL, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_PROXY, client->proxy != NULL ? client->proxy : "");
    code |= curl_easy_setopt(easy, CURLOPT_PRE_PROXY, "");
    code |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
    code |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    code |= curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (client->ca_file != NULL) {
        code |= curl_easy_setopt(easy, CURLOPT_CAINFO, client->ca_file);
        code |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    return code;
}

static CURLcode set_callbacks(CURL *easy, struct transport_call *call)
{
    CURLcode code = CURLE_OK;

    code |= curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    code |= curl_easy_setopt(easy, CURLOPT_CURLU, call->url);
    code |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error_text);
    code |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transport_on_header);
    code |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transport_on_body);
    code |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    code |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, call->shard);
    code |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_before_request);
    code |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    code |= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    return code;
}

CURL *transport_handle_create(struct transport_call *call)
{
    const struct transport_client *client = call->shard->client;
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;

    if (easy == NULL) {
        return NULL;
    }
    code |= curl_easy_setopt(easy, CURLOPT_SHARE, client->share);
    code |= set_limits(easy, client);
    code |= set_safety(easy, client);
    code |= set_callbacks(easy, call);
    /* HTTP/2 where TLS offers it, HTTP/1.1 in clear. Without CURLOPT_PIPEWAIT: all requests on one
     * connection would be in doubt together when it breaks, and would wait out a first connection
     * that hangs. */
    code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    if (client->user_agent != NULL) {
        code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    }
    if (code != CURLE_OK) {
        curl_easy_cleanup(easy);
        return NULL;
    }
    return easy;
}
