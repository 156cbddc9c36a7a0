/* SPDX-License-Identifier: MIT
 * sandbox_http_send.c - answers, each in its manner, and late where it is told to be. */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "base/time_point.h"
#include "sandbox/sandbox_http_private.h"

#define OUTPUT_KEEP_BYTES 16384 /* a larger buffer is given back after its answer */
#define STREAM_CHUNK_BYTES 65536

/* Everything of this answer has left: the next request, or the end. */
static bool answer_finished(struct sandbox_http_connection *connection)
{
    struct sandbox_http_server *server = connection->server;

    connection->is_answering = false;
    server->handler.done(server->handler.context, connection->tag);
    connection->tag = 0;
    if (connection->closes_after) {
        sandbox_http_close(connection);
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
bool sandbox_http_flush(struct sandbox_http_connection *connection)
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
            sandbox_http_close(connection);
            return false;
        }
        if (is_stream)
            connection->stream_left -= (uint64_t)sent;
        else
            connection->output_sent += (size_t)sent;
    }
    return answer_finished(connection);
}

void sandbox_http_on_writable(evutil_socket_t fd, short what, void *context)
{
    struct sandbox_http_connection *connection = context;

    (void)fd;
    (void)what;
    if (sandbox_http_flush(connection) && !connection->is_answering) {
        event_add(connection->reading, NULL);
        sandbox_http_serve(connection);
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
    struct sandbox_http_connection *connection = context;

    if (connection->gone != NULL)
        event_del(connection->gone);
    sandbox_http_on_writable(fd, what, context);
}

/* Nobody waits for the answer any more: the request is not in flight. */
static void on_gone(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    sandbox_http_close(context);
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
        if (connection->gone == NULL)
            connection->gone =
                event_new(connection->server->base, connection->fd, EV_CLOSED, on_gone, connection);
        if (connection->delay != NULL) {
            evtimer_add(connection->delay, &wait);
            if (connection->gone != NULL)
                event_add(connection->gone, NULL);
            return;
        }
    }
    /* Sent by sandbox_http_serve, after the handler has returned. */
}
