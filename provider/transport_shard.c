/* SPDX-License-Identifier: MIT
 * transport_shard.c - one libcurl multi handle: sockets and timer lent by the loop, its calls. */
#include "provider/transport_private.h"

#include <stdlib.h>

#include "base/text.h"

/* ---- libcurl asks, the loop does. These never answer an error: libcurl would end every transfer
 * of the handle. A socket that could not be watched costs its own request, by timeout. ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *watch)
{
    struct transport_shard *shard = user;
    const struct transport_hooks *hooks = &shard->client->transport->hooks;
    unsigned interest = 0;
    void *resting = NULL;
    void *assigned;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            if (!transport_socket_rest(shard, fd, watch)) {
                hooks->socket_forget(hooks->context, watch);
            }
            curl_multi_assign(shard->multi, fd, NULL);
        }
        return 0;
    }
    interest |= (what & CURL_POLL_IN) != 0 ? TRANSPORT_READ : 0;
    interest |= (what & CURL_POLL_OUT) != 0 ? TRANSPORT_WRITE : 0;
    transport_socket_interest(shard, fd, interest);
    if (watch == NULL) {
        resting = transport_socket_wake(shard, fd);
    }
    if (resting != NULL && interest == TRANSPORT_READ) {
        assigned = resting;
    } else {
        assigned = hooks->socket_watch(hooks->context, resting != NULL ? resting : watch, shard, fd,
                                       interest);
    }
    if (assigned != watch) {
        curl_multi_assign(shard->multi, fd, assigned);
    }
    return 0;
}

static int on_timer(CURLM *multi, long delay_ms, void *user)
{
    struct transport_shard *shard = user;
    const struct transport_hooks *hooks = &shard->client->transport->hooks;

    (void)multi;
    hooks->timer_set(hooks->context, shard->timer, delay_ms);
    return 0;
}

/* ---- calls ---- */

static void link_in(struct transport_call **list, struct transport_call *call)
{
    call->previous = NULL;
    call->next = *list;
    if (*list != NULL) {
        (*list)->previous = call;
    }
    *list = call;
}

static void link_out(struct transport_call **list, struct transport_call *call)
{
    if (call->previous != NULL) {
        call->previous->next = call->next;
    } else {
        *list = call->next;
    }
    if (call->next != NULL) {
        call->next->previous = call->previous;
    }
}

static void buffer_wipe(char **bytes, size_t *size, size_t used)
{
    if (*bytes == NULL) {
        return;
    }
    memory_wipe(*bytes, used);
    if (*size > BUFFER_KEPT_MAX) {
        free(*bytes);
        *bytes = NULL;
        *size = 0;
    }
}

static void call_destroy(struct transport_call *call)
{
    if (call == NULL) {
        return;
    }
    if (call->easy != NULL) {
        curl_easy_cleanup(call->easy);
    }
    curl_url_cleanup(call->url);
    free(call->storage);
    free(call->body);
    free(call);
}

struct transport_call *transport_call_take(struct transport_shard *shard)
{
    struct transport_call *call = shard->idle;

    if (call != NULL) {
        link_out(&shard->idle, call);
    } else {
        call = calloc(1, sizeof *call);
        if (call == NULL) {
            return NULL;
        }
        call->shard = shard;
        call->url = curl_url();
        call->easy = call->url != NULL ? transport_handle_create(call) : NULL;
        if (call->easy == NULL) {
            call_destroy(call);
            return NULL;
        }
    }
    link_in(&shard->active, call);
    shard->in_flight++;
    shard->client->counts.in_flight++;
    return call;
}

void transport_call_release(struct transport_call *call)
{
    struct transport_shard *shard = call->shard;

    /* Harmless where it was never added. */
    curl_multi_remove_handle(shard->multi, call->easy);
    buffer_wipe(&call->storage, &call->storage_size, call->storage_used);
    buffer_wipe(&call->body, &call->body_capacity, call->body_length);
    call->storage_used = 0;
    call->body_length = 0;
    call->user = NULL;
    link_out(&shard->active, call);
    link_in(&shard->idle, call);
    shard->in_flight--;
    shard->client->counts.in_flight--;
}

/* ---- progress ---- */

/* The pooled connection was no good and nothing was sent: try a new one. */
static bool send_again(struct transport_call *call)
{
    if (!call->is_stale || call->stale_count >= STALE_RETRIES_MAX) {
        return false;
    }
    call->stale_count++;
    call->wants_fresh = true;
    transport_call_reset(call);
    return curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
           curl_multi_add_handle(call->shard->multi, call->easy) == CURLM_OK;
}

static void note_version(struct transport_client *client, const struct transport_call *call)
{
    if (call->head.version_major == 2) {
        client->has_http2 = true;
    } else if (call->head.version_major == 1 && call->is_secure) {
        client->has_tls_http1 = true;
    }
}

/* Tell every finished call. The handler may send and cancel meanwhile, so each round asks libcurl
 * anew; a call goes idle only after its callback, so that a send inside cannot take it. */
static void tell_finished(struct transport_shard *shard)
{
    struct transport_client *client = shard->client;
    const struct transport_hooks *hooks = &client->transport->hooks;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(shard->multi, &left)) != NULL) {
        struct transport_answer answer;
        struct transport_call *call = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        curl_multi_remove_handle(shard->multi, call->easy);
        if (send_again(call)) {
            continue;
        }
        call->is_finished = true;
        note_version(client, call);
        transport_answer_fill(call, code, &answer);
        answer.answered = hooks->now(hooks->context);
        client->handler.on_answer(call->user, &answer);
        transport_call_release(call);
    }
}

void transport_socket_ready(struct transport_shard *shard, int fd, unsigned ready)
{
    const struct transport_hooks *hooks = &shard->client->transport->hooks;
    void *resting = transport_socket_wake(shard, fd);
    int running;
    int what = 0;

    if (resting != NULL) { /* no request waits for that: see transport_socket_is_stale */
        hooks->socket_forget(hooks->context, resting);
        return;
    }
    what |= (ready & TRANSPORT_READ) != 0 ? CURL_CSELECT_IN : 0;
    what |= (ready & TRANSPORT_WRITE) != 0 ? CURL_CSELECT_OUT : 0;
    /* A failure here concerns single transfers, which end by themselves or by their timeout. */
    (void)curl_multi_socket_action(shard->multi, fd, what, &running);
    tell_finished(shard);
}

void transport_timer_expired(struct transport_shard *shard)
{
    int running;

    (void)curl_multi_socket_action(shard->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    tell_finished(shard);
}

/* ---- making and unmaking ---- */

static bool shard_set_up(struct transport_shard *shard)
{
    CURLMcode code = CURLM_OK;

    code |= curl_multi_setopt(shard->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    code |= curl_multi_setopt(shard->multi, CURLMOPT_SOCKETDATA, shard);
    code |= curl_multi_setopt(shard->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    code |= curl_multi_setopt(shard->multi, CURLMOPT_TIMERDATA, shard);
    code |= curl_multi_setopt(shard->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    code |= curl_multi_setopt(shard->multi, CURLMOPT_MAXCONNECTS,
                              (long)(SHARD_CONNECTIONS_MAX + SHARD_CONNECTIONS_SPARE));
    return code == CURLM_OK;
}

struct transport_shard *transport_shard_create(struct transport_client *client)
{
    const struct transport_hooks *hooks = &client->transport->hooks;
    struct transport_shard *shard = calloc(1, sizeof *shard);

    if (shard == NULL) {
        return NULL;
    }
    shard->client = client;
    shard->multi = curl_multi_init();
    shard->timer = hooks->timer_create(hooks->context, shard);
    if (shard->multi == NULL || shard->timer == NULL || !shard_set_up(shard)) {
        transport_shard_destroy(shard);
        return NULL;
    }
    return shard;
}

void transport_shard_destroy(struct transport_shard *shard)
{
    if (shard == NULL) {
        return;
    }
    while (shard->active != NULL) {
        transport_call_release(shard->active);
    }
    while (shard->idle != NULL) {
        struct transport_call *call = shard->idle;

        link_out(&shard->idle, call);
        call_destroy(call);
    }
    if (shard->multi != NULL) {
        curl_multi_cleanup(shard->multi);
    }
    if (shard->timer != NULL) {
        const struct transport_hooks *hooks = &shard->client->transport->hooks;

        hooks->timer_destroy(hooks->context, shard->timer);
    }
    free(shard->sockets);
    free(shard);
}
