/* SPDX-License-Identifier: MIT
 * sandbox_http.c - connections: read a request, hand it over, send the answer in its manner. */
#include "sandbox/sandbox_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "base/time_point.h"

#define INPUT_BYTES_FIRST 4096
#define INPUT_BYTES_MAX (SANDBOX_HTTP_HEAD_BYTES_MAX + SANDBOX_HTTP_BODY_BYTES_MAX + 1)
#define OUTPUT_KEEP_BYTES 16384 /* a larger buffer is given back after its answer */
#define STREAM_CHUNK_BYTES 65536

struct sandbox_http_connection {
    struct sandbox_http_server *server;
    struct sandbox_http_connection *next;
    struct sandbox_http_connection *previous;
    evutil_socket_t fd;
    struct event *reading;
    struct event *writing;
    struct event *delay; /* NULL until a delayed answer is needed */
    char *input;         /* one byte more than input_capacity, for a final NUL */
    size_t input_length;
    size_t input_capacity;
    struct text output;
    size_t output_sent;
    uint64_t stream_left; /* blanks still to be sent after `output` */
    int64_t arrived_us;   /* kernel time of the newest bytes */
    uint32_t tag;
    bool is_answering; /* an answer is delayed or not wholly sent */
    bool closes_after; /* close once the answer has left */
    bool resets;       /* close with a reset */
    bool sent_continue;
};

struct sandbox_http_server {
    struct event_base *base;
    struct evconnlistener *listener;
    struct sandbox_http_handler handler;
    struct sandbox_http_connection *connections;
    uint64_t accepted;
    uint32_t open;
    uint16_t port;
    char address[64];
    char head[SANDBOX_HTTP_HEAD_BYTES_MAX]; /* of the request being handled */
};

static void connection_close(struct sandbox_http_connection *connection)
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
    evutil_closesocket(connection->fd);
    text_deinit(&connection->output);
    free(connection->input);
    free(connection);
    server->open--;
}

/* ---- sending ------------------------------------------------------------------------------ */

static void connection_serve(struct sandbox_http_connection *connection);

/* Everything of this answer has left: the next request, or the end. */
static bool answer_finished(struct sandbox_http_connection *connection)
{
    struct sandbox_http_server *server = connection->server;

    connection->is_answering = false;
    server->handler.done(server->handler.context, connection->tag);
    connection->tag = 0;
    if (connection->closes_after) {
        connection_close(connection);
        return false;
    }
    connection->output_sent = 0;
    if (connection->output.capacity > OUTPUT_KEEP_BYTES)
        text_deinit(&connection->output);
    else
        text_clear(&connection->output);
    return true;
}

/* Send what can be sent. Answers false when the connection is gone, true when it lives;
 * `is_answering` tells whether something is left. */
static bool connection_flush(struct sandbox_http_connection *connection)
{
    static char blanks[STREAM_CHUNK_BYTES];

    while (connection->output_sent < connection->output.length || connection->stream_left > 0) {
        const char *bytes = connection->output.bytes + connection->output_sent;
        size_t length = connection->output.length - connection->output_sent;
        bool is_stream = length == 0;
        ssize_t sent;

        if (is_stream) {
            if (blanks[0] == '\0')
                memset(blanks, ' ', sizeof blanks);
            bytes = blanks;
            length = connection->stream_left < sizeof blanks ? (size_t)connection->stream_left
                                                             : sizeof blanks;
        }
        sent = send(connection->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            event_add(connection->writing, NULL);
            return true;
        }
        if (sent < 0) {
            connection_close(connection);
            return false;
        }
        if (is_stream)
            connection->stream_left -= (uint64_t)sent;
        else
            connection->output_sent += (size_t)sent;
    }
    return answer_finished(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct sandbox_http_connection *connection = context;

    (void)fd;
    (void)what;
    if (connection_flush(connection) && !connection->is_answering) {
        event_add(connection->reading, NULL);
        connection_serve(connection);
    }
}

static const char *status_reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 302: return "Found";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Status";
    }
}

static void append_decimal(struct text *out, uint64_t value)
{
    char digits[20];
    size_t length = 0;

    do {
        digits[sizeof digits - ++length] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text_append(out, digits + sizeof digits - length, length);
}

static void write_answer(struct sandbox_http_connection *connection,
                         const struct sandbox_http_answer *answer)
{
    struct text *out = &connection->output;
    size_t body_length = answer->body_length;
    uint64_t promised = body_length;

    if (answer->manner == SANDBOX_HTTP_RAW) {
        text_append(out, answer->body, body_length);
        return;
    }
    text_append_string(out, "HTTP/1.1 ");
    append_decimal(out, (uint64_t)answer->status);
    text_append(out, " ", 1);
    text_append_string(out, status_reason(answer->status));
    text_append_string(out, "\r\nContent-Type: ");
    text_append_string(out,
                       answer->content_type != NULL ? answer->content_type : "application/json");
    if (answer->manner == SANDBOX_HTTP_SHORT_LENGTH)
        promised += 100;
    if (answer->manner == SANDBOX_HTTP_STREAM)
        promised = answer->stream_bytes;
    if (answer->manner == SANDBOX_HTTP_NO_LENGTH_CUT) {
        body_length /= 2;
    } else {
        text_append_string(out, "\r\nContent-Length: ");
        append_decimal(out, promised);
    }
    if (connection->closes_after)
        text_append_string(out, "\r\nConnection: close");
    text_append_string(out, "\r\n");
    if (answer->extra_headers != NULL)
        text_append_string(out, answer->extra_headers);
    text_append_string(out, "\r\n");
    text_append(out, answer->body, body_length);
    if (answer->manner == SANDBOX_HTTP_STREAM && promised > body_length)
        connection->stream_left = promised - body_length;
}

static void on_delay_over(evutil_socket_t fd, short what, void *context)
{
    on_writable(fd, what, context);
}

void sandbox_http_set_tag(struct sandbox_http_connection *connection, uint32_t tag)
{
    connection->tag = tag;
}

void sandbox_http_answer(struct sandbox_http_connection *connection,
                         const struct sandbox_http_answer *answer)
{
    REQUIRE(!connection->is_answering);
    connection->is_answering = true;
    connection->output_sent = 0;
    connection->stream_left = 0;
    switch (answer->manner) {
    case SANDBOX_HTTP_PROPER:
    case SANDBOX_HTTP_STREAM: break;
    case SANDBOX_HTTP_RESET: connection->resets = true; /* fall through */
    case SANDBOX_HTTP_DROP:
    case SANDBOX_HTTP_SHORT_LENGTH:
    case SANDBOX_HTTP_NO_LENGTH_CUT:
    case SANDBOX_HTTP_RAW: connection->closes_after = true; break;
    }
    if (answer->manner != SANDBOX_HTTP_DROP && answer->manner != SANDBOX_HTTP_RESET)
        write_answer(connection, answer);
    if (answer->delay_ms > 0) {
        struct timeval wait = {.tv_sec = answer->delay_ms / MS_PER_SECOND,
                               .tv_usec = answer->delay_ms % MS_PER_SECOND * US_PER_MS};

        if (connection->delay == NULL)
            connection->delay = evtimer_new(connection->server->base, on_delay_over, connection);
        if (connection->delay != NULL) {
            evtimer_add(connection->delay, &wait);
            return;
        }
    }
    /* Sent by connection_serve, after the handler has returned. */
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
static void connection_serve(struct sandbox_http_connection *connection)
{
    while (take_request(connection)) {
        bool is_delayed = connection->delay != NULL && evtimer_pending(connection->delay, NULL);

        if (is_delayed) {
            event_del(connection->reading);
            return;
        }
        if (!connection_flush(connection))
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
        connection_close(connection);
        return;
    }
    space.iov_base = connection->input + connection->input_length;
    space.iov_len = connection->input_capacity - connection->input_length;
    received = recvmsg(fd, &message, 0);
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (received <= 0) {
        connection_close(connection);
        return;
    }
    connection->input_length += (size_t)received;
    connection->arrived_us = receive_time_us(&message);
    connection_serve(connection);
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
    connection->writing = event_new(server->base, fd, EV_WRITE, on_writable, connection);
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

        server->port = ntohs(address.sin_port);
        if (inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) != NULL)
            (void)snprintf(server->address, sizeof server->address, "%s:%u", text, server->port);
    }
    *out = server;
    return RESULT_OK;
}

void sandbox_http_destroy(struct sandbox_http_server *server)
{
    if (server == NULL)
        return;
    while (server->connections != NULL)
        connection_close(server->connections);
    evconnlistener_free(server->listener);
    free(server);
}

uint16_t sandbox_http_port(const struct sandbox_http_server *server)
{
    return server->port;
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
