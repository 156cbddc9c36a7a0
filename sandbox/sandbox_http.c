/* SPDX-License-Identifier: MIT
 * sandbox_http.c - connections: accept, read a request, hand it over. */
#include "sandbox/sandbox_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time_point.h"
#include "sandbox/sandbox_http_private.h"

#define INPUT_BYTES_FIRST 4096
#define INPUT_BYTES_MAX (SANDBOX_HTTP_HEAD_BYTES_MAX + SANDBOX_HTTP_BODY_BYTES_MAX + 1)

void sandbox_http_close(struct sandbox_http_connection *connection)
{
    struct sandbox_http_server *server = connection->server;

    if (connection->is_answering)
        server->handler.done(server->handler.context, connection->tag);
    if (connection->previous != NULL)
        connection->previous->next = connection->next;
    else
        server->connections = connection->next;
    if (connection->next != NULL)
        connection->next->previous = connection->previous;
    if (connection->resets) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};

        (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    event_free(connection->reading);
    event_free(connection->writing);
    if (connection->delay != NULL)
        event_free(connection->delay);
    if (connection->gone != NULL)
        event_free(connection->gone);
    evutil_closesocket(connection->fd);
    text_deinit(&connection->output);
    free(connection->input);
    free(connection);
    server->open--;
}

/* ---- receiving ---------------------------------------------------------------------------- */

static void refuse(struct sandbox_http_connection *connection, int status)
{
    static const char body[] = "{\"message\":\"the sandbox cannot read this request\"}";

    connection->closes_after = true;
    sandbox_http_answer(connection, &(struct sandbox_http_answer){.status = status,
                                                                  .body = body,
                                                                  .body_length = sizeof body - 1});
}

/* Take one whole request out of the input. Answers false when more bytes are needed. */
static bool take_request(struct sandbox_http_connection *connection)
{
    struct sandbox_http_server *server = connection->server;
    struct sandbox_http_request request;
    size_t head_length;
    size_t body_length = 0;
    bool expects_continue = false;
    char *end;
    int status;

    if (connection->input_length == 0)
        return false;
    end = memmem(connection->input, connection->input_length, "\r\n\r\n", 4);
    if (end == NULL) {
        if (connection->input_length < SANDBOX_HTTP_HEAD_BYTES_MAX)
            return false;
        refuse(connection, 431);
        return true;
    }
    head_length = (size_t)(end - connection->input) + 4;
    if (head_length > sizeof server->head) {
        refuse(connection, 431);
        return true;
    }
    /* Split a copy: the body may be incomplete, and then the head is read again. */
    memcpy(server->head, connection->input, head_length);
    status = sandbox_http_parse_head(server->head, head_length, &request, &body_length,
                                     &expects_continue);
    if (status != 0) {
        refuse(connection, status);
        return true;
    }
    if (connection->input_length < head_length + body_length) {
        if (expects_continue && !connection->sent_continue) {
            connection->sent_continue = true;
            (void)send(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
        }
        return false;
    }
    connection->sent_continue = false;
    request.body = connection->input + head_length;
    request.body_length = body_length;
    request.arrived_us = connection->arrived_us;
    connection->closes_after = !request.keep_alive;
    server->handler.handle(server->handler.context, connection, &request);
    REQUIRE(connection->is_answering);
    connection->input_length -= head_length + body_length;
    if (connection->input_length > 0)
        memmove(connection->input, connection->input + head_length + body_length,
                connection->input_length);
    return true;
}

/* Serve what is in the input until bytes are missing or an answer has to wait. */
void sandbox_http_serve(struct sandbox_http_connection *connection)
{
    while (take_request(connection)) {
        bool is_delayed = connection->delay != NULL && evtimer_pending(connection->delay, NULL);

        if (is_delayed) {
            event_del(connection->reading);
            return;
        }
        if (!sandbox_http_flush(connection))
            return;
        if (connection->is_answering) {
            event_del(connection->reading);
            return;
        }
    }
}

static bool input_grow(struct sandbox_http_connection *connection)
{
    size_t capacity = connection->input_capacity * 2;
    char *bytes;

    if (connection->input_length < connection->input_capacity)
        return true;
    if (capacity > INPUT_BYTES_MAX)
        capacity = INPUT_BYTES_MAX;
    if (capacity == connection->input_capacity)
        return false;
    bytes = realloc(connection->input, capacity + 1);
    if (bytes == NULL)
        return false;
    connection->input = bytes;
    connection->input_capacity = capacity;
    return true;
}

/* When the kernel received the bytes; the present where it does not tell. */
static int64_t receive_time_us(struct msghdr *message)
{
    struct timespec at;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
            memcpy(&at, CMSG_DATA(c), sizeof at);
            return (int64_t)at.tv_sec * US_PER_SECOND + at.tv_nsec / 1000;
        }
    }
    (void)clock_gettime(CLOCK_REALTIME, &at);
    return (int64_t)at.tv_sec * US_PER_SECOND + at.tv_nsec / 1000;
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    struct sandbox_http_connection *connection = context;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec space;
    struct msghdr message = {.msg_iov = &space,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t received;

    (void)what;
    if (!input_grow(connection)) {
        sandbox_http_close(connection);
        return;
    }
    space.iov_base = connection->input + connection->input_length;
    space.iov_len = connection->input_capacity - connection->input_length;
    received = recvmsg(fd, &message, 0);
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (received <= 0) {
        sandbox_http_close(connection);
        return;
    }
    connection->input_length += (size_t)received;
    connection->arrived_us = receive_time_us(&message);
    sandbox_http_serve(connection);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *peer,
                      int peer_length, void *context)
{
    struct sandbox_http_server *server = context;
    struct sandbox_http_connection *connection = calloc(1, sizeof *connection);
    int on = 1;

    (void)listener;
    (void)peer;
    (void)peer_length;
    if (connection == NULL)
        goto fail;
    connection->input = malloc(INPUT_BYTES_FIRST + 1);
    connection->reading =
        event_new(server->base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->writing =
        event_new(server->base, fd, EV_WRITE, sandbox_http_on_writable, connection);
    if (connection->input == NULL || connection->reading == NULL || connection->writing == NULL)
        goto fail;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    connection->server = server;
    connection->fd = fd;
    connection->input_capacity = INPUT_BYTES_FIRST;
    text_init(&connection->output, SIZE_MAX / 2);
    connection->next = server->connections;
    if (connection->next != NULL)
        connection->next->previous = connection;
    server->connections = connection;
    server->accepted++;
    server->open++;
    event_add(connection->reading, NULL);
    return;
fail:
    if (connection != NULL) {
        if (connection->reading != NULL)
            event_free(connection->reading);
        if (connection->writing != NULL)
            event_free(connection->writing);
        free(connection->input);
        free(connection);
    }
    evutil_closesocket(fd);
}

/* ---- life --------------------------------------------------------------------------------- */

/* "127.0.0.1:9420"; port 0 takes a free one. */
static bool parse_address(const char *listen, struct sockaddr_in *out)
{
    const char *colon = strrchr(listen, ':');
    char host[INET_ADDRSTRLEN];
    int64_t port;

    if (colon == NULL || (size_t)(colon - listen) >= sizeof host ||
        !integer_parse(colon + 1, strlen(colon + 1), 0, 65535, &port))
        return false;
    memcpy(host, listen, (size_t)(colon - listen));
    host[colon - listen] = '\0';
    *out = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

enum result sandbox_http_create(struct event_base *base, const char *listen,
                                const struct sandbox_http_handler *handler,
                                struct sandbox_http_server **out, struct fault *fault)
{
    struct sandbox_http_server *server = NULL;
    struct sockaddr_in address;
    socklen_t bound_length = sizeof address;

    if (!parse_address(listen, &address))
        return fault_set(fault, FAULT_USAGE,
                         "listen address \"%s\": want IPv4:PORT, for example 127.0.0.1:9420",
                         listen);
    server = calloc(1, sizeof *server);
    if (server == NULL)
        return fault_set(fault, FAULT_INTERNAL, "out of memory for the server");
    server->base = base;
    server->handler = *handler;
    server->listener = evconnlistener_new_bind(
        base, on_accept, server, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC,
        1024, (struct sockaddr *)&address, sizeof address);
    if (server->listener == NULL) {
        enum result result =
            fault_set(fault, FAULT_UNAVAILABLE,
                      "cannot listen on %s: %s; choose another address with --listen", listen,
                      strerror(errno));
        free(server);
        return result;
    }
    if (getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&address,
                    &bound_length) == 0) {
        char text[INET_ADDRSTRLEN];

        if (inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) != NULL)
            (void)snprintf(server->address, sizeof server->address, "%s:%u", text,
                           ntohs(address.sin_port));
    }
    *out = server;
    return RESULT_OK;
}

void sandbox_http_end_gone(struct sandbox_http_connection *except)
{
    struct sandbox_http_connection *next;

    for (struct sandbox_http_connection *c = except->server->connections; c != NULL; c = next) {
        struct pollfd entry = {.fd = c->fd, .events = POLLRDHUP};

        next = c->next;
        if (c != except && c->is_answering && poll(&entry, 1, 0) == 1)
            sandbox_http_close(c);
    }
}

void sandbox_http_destroy(struct sandbox_http_server *server)
{
    if (server == NULL)
        return;
    while (server->connections != NULL)
        sandbox_http_close(server->connections);
    evconnlistener_free(server->listener);
    free(server);
}

const char *sandbox_http_address(const struct sandbox_http_server *server)
{
    return server->address;
}

uint64_t sandbox_http_connections_accepted(const struct sandbox_http_server *server)
{
    return server->accepted;
}

uint32_t sandbox_http_connections_open(const struct sandbox_http_server *server)
{
    return server->open;
}
