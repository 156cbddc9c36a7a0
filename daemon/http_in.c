/* SPDX-License-Identifier: MIT
 * http_in.c - connections of the HTTP listener: deadlines, answers, closing with care.
 *
 * Life of an exchange: reading -> waiting (the handler has it) -> writing or streaming -> closed.
 *                      Refused requests are answered and drained for a moment (draining), because a
 *                      close with unread bytes would reset the connection and lose the answer.
 * Memory:              freed when the connection is closed AND the handler does not owe an answer.
 */
#include "daemon/http_in.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/http_in_parse.h"
#include "daemon/listen_address.h"

#define CONNECTIONS_DEFAULT 256U
#define REQUEST_DEFAULT_MS 5000
#define ANSWER_DEFAULT_MS 30000
#define WRITE_DEFAULT_MS 30000
#define DRAIN_MS 1000
#define DRAIN_BYTES_MAX ((size_t)1024 * 1024)
#define STREAM_UNREAD_MAX ((size_t)1024 * 1024)
#define ANSWER_HEAD_MAX ((size_t)16 * 1024)
/* After a failed accept (out of descriptors): try again then. */
#define ACCEPT_PAUSE_MS 200
#define READ_PIECE 16384

enum exchange_state { READING, WAITING, WRITING, STREAMING, DRAINING };

struct http_in_exchange {
    struct http_in_exchange *next;
    struct http_in_exchange *previous;
    struct http_in *http;
    enum exchange_state state;
    struct bufferevent *connection; /* NULL: closed */
    struct event *deadline;
    bool is_owed;      /* the handler has it and has not answered */
    bool is_drain_due; /* after the answer: read away what the peer still sends */
    size_t drained;
    struct http_in_parser parser;
    void (*on_closed)(void *context); /* streams */
    void *on_closed_context;
};

struct http_in {
    struct event_base *base;
    struct http_in_settings settings;
    struct http_in_handler handler;
    struct evconnlistener *listener;
    struct event *resume_timer;
    bool is_full; /* accepting pauses until a connection closes */
    char bound[LISTEN_ADDRESS_TEXT_SIZE];
    struct http_in_exchange *exchanges;
    struct http_in_counts counts;
};

/* ---- ending ---- */

static void exchange_free(struct http_in_exchange *exchange)
{
    struct http_in *http = exchange->http;

    if (exchange->previous != NULL) {
        exchange->previous->next = exchange->next;
    } else {
        http->exchanges = exchange->next;
    }
    if (exchange->next != NULL) {
        exchange->next->previous = exchange->previous;
    }
    if (exchange->deadline != NULL) {
        event_free(exchange->deadline);
    }
    http_in_parser_deinit(&exchange->parser);
    free(exchange);
}

/* Close the connection. The exchange is gone afterwards unless the handler still owes an answer. */
static void exchange_close(struct http_in_exchange *exchange)
{
    struct http_in *http = exchange->http;
    bool was_stream = exchange->state == STREAMING;

    if (exchange->connection != NULL) {
        bufferevent_free(exchange->connection);
        exchange->connection = NULL;
        http->counts.open--;
        if (http->is_full && http->listener != NULL) {
            http->is_full = false;
            evconnlistener_enable(http->listener);
        }
    }
    event_del(exchange->deadline);
    if (was_stream) {
        exchange->is_owed = false;
        exchange->on_closed(exchange->on_closed_context);
    }
    if (!exchange->is_owed) {
        exchange_free(exchange);
    }
}

static void set_deadline(struct http_in_exchange *exchange, int64_t delay_ms)
{
    struct timeval delay = {.tv_sec = (time_t)(delay_ms / MS_PER_SECOND),
                            .tv_usec = (suseconds_t)(delay_ms % MS_PER_SECOND) * 1000};

    evtimer_add(exchange->deadline, &delay);
}

/* ---- answers ---- */

static const char *status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {202, "Accepted"},
        {204, "No Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Answer";
}

static void write_answer(struct http_in_exchange *exchange, const struct http_in_answer *answer,
                         bool has_length)
{
    struct text head;

    REQUIRE(answer->status >= 200 && answer->status <= 599);
    text_init(&head, ANSWER_HEAD_MAX);
    text_append_format(&head, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n", answer->status,
                       status_phrase(answer->status),
                       answer->content_type != NULL ? answer->content_type
                                                    : "text/plain; charset=utf-8");
    if (has_length && answer->status != 204) { /* RFC 9110 section 8.6 */
        text_append_format(&head, "Content-Length: %zu\r\n", answer->body_length);
    }
    text_append_string(&head, "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
                              "Connection: close\r\n");
    if (answer->extra != NULL) {
        text_append_string(&head, answer->extra);
    }
    text_append_string(&head, "\r\n");
    if (head.is_cut || bufferevent_write(exchange->connection, head.bytes, head.length) != 0 ||
        (answer->body_length > 0 &&
         bufferevent_write(exchange->connection, answer->body, answer->body_length) != 0)) {
        /* Out of memory. Half an answer must not look like a whole one: the peer sees the
         * connection break before Content-Length bytes. */
        set_deadline(exchange, 0);
    }
    text_deinit(&head);
}

static void begin_writing(struct http_in_exchange *exchange, const struct http_in_answer *answer)
{
    exchange->state = WRITING;
    set_deadline(exchange, exchange->http->settings.write_ms);
    write_answer(exchange, answer, true);
}

/* Our own refusal: the request never reaches the handler. */
static void refuse(struct http_in_exchange *exchange, int status, const char *problem)
{
    char body[160];
    int length = snprintf(body, sizeof body, "%s\n", problem);
    const struct http_in_answer answer = {
        .status = status,
        .extra = status == 405 ? "Allow: GET, POST\r\n" : NULL,
        .body = body,
        .body_length = (size_t)length,
    };

    exchange->http->counts.refused++;
    exchange->is_drain_due = true;
    begin_writing(exchange, &answer);
}

void http_in_respond(struct http_in_exchange *exchange, const struct http_in_answer *answer)
{
    REQUIRE(exchange->is_owed && exchange->state != STREAMING);
    exchange->is_owed = false;
    if (exchange->connection == NULL) {
        exchange_free(exchange);
    } else if (exchange->state == WAITING) {
        begin_writing(exchange, answer);
    } /* else: it came too late, 503 is on its way */
}

void http_in_respond_text(struct http_in_exchange *exchange, int status, const char *text)
{
    char body[512];
    int length = snprintf(body, sizeof body, "%s\n", text);
    const struct http_in_answer answer = {
        .status = status,
        .body = body,
        .body_length = length < (int)sizeof body ? (size_t)length : sizeof body - 1,
    };

    http_in_respond(exchange, &answer);
}

/* ---- streams ---- */

void http_in_stream_begin(struct http_in_exchange *exchange, const struct http_in_answer *answer,
                          void (*on_closed)(void *context), void *context)
{
    bool is_alive = exchange->connection != NULL && exchange->state == WAITING;

    REQUIRE(exchange->is_owed && exchange->state != STREAMING);
    exchange->state = STREAMING;
    exchange->on_closed = on_closed;
    exchange->on_closed_context = context;
    if (is_alive) {
        set_deadline(exchange, exchange->http->settings.write_ms);
        write_answer(exchange, answer, false);
        bufferevent_enable(exchange->connection, EV_READ); /* to see the peer leave */
    } else {
        set_deadline(exchange, 0); /* tells on_closed, from the loop */
    }
}

bool http_in_stream_write(struct http_in_exchange *exchange, const char *bytes, size_t length)
{
    struct evbuffer *output;

    REQUIRE(exchange->state == STREAMING);
    if (exchange->connection == NULL) {
        return false;
    }
    output = bufferevent_get_output(exchange->connection);
    if (evbuffer_get_length(output) + length > STREAM_UNREAD_MAX ||
        bufferevent_write(exchange->connection, bytes, length) != 0) {
        set_deadline(exchange, 0);
        return false;
    }
    if (!evtimer_pending(exchange->deadline, NULL)) {
        set_deadline(exchange, exchange->http->settings.write_ms);
    }
    return true;
}

void http_in_stream_end(struct http_in_exchange *exchange)
{
    REQUIRE(exchange->state == STREAMING);
    exchange->is_owed = false;
    if (exchange->connection == NULL) {
        exchange_free(exchange);
        return;
    }
    exchange->state = WRITING;
    set_deadline(exchange, exchange->http->settings.write_ms);
    if (evbuffer_get_length(bufferevent_get_output(exchange->connection)) == 0) {
        exchange_close(exchange);
    }
}

/* ---- what the connection does ---- */

static void begin_draining(struct http_in_exchange *exchange)
{
    struct evbuffer *input = bufferevent_get_input(exchange->connection);

    exchange->state = DRAINING;
    evbuffer_drain(input, evbuffer_get_length(input)); /* a full buffer would stop the reading */
    shutdown(bufferevent_getfd(exchange->connection), SHUT_WR);
    set_deadline(exchange, DRAIN_MS);
    bufferevent_enable(exchange->connection, EV_READ);
}

/* Read away without looking. */
static void drain(struct http_in_exchange *exchange)
{
    struct evbuffer *input = bufferevent_get_input(exchange->connection);

    exchange->drained += evbuffer_get_length(input);
    evbuffer_drain(input, evbuffer_get_length(input));
    if (exchange->drained > DRAIN_BYTES_MAX) {
        exchange_close(exchange);
    }
}

static void give_to_handler(struct http_in_exchange *exchange)
{
    struct http_in *http = exchange->http;

    exchange->state = WAITING;
    exchange->is_owed = true;
    bufferevent_disable(exchange->connection, EV_READ);
    set_deadline(exchange, http->settings.answer_ms);
    http->counts.requests++;
    http->handler.on_request(http->handler.context, exchange, &exchange->parser.request);
}

/* Feed the parser. The exchange may be gone afterwards. */
static void read_request(struct http_in_exchange *exchange)
{
    struct evbuffer *input = bufferevent_get_input(exchange->connection);
    enum http_in_progress progress = HTTP_IN_MORE;
    char piece[READ_PIECE];

    while (progress == HTTP_IN_MORE || progress == HTTP_IN_CONTINUE) {
        size_t room = http_in_parser_room(&exchange->parser);
        int length = evbuffer_remove(input, piece, room < sizeof piece ? room : sizeof piece);

        if (progress == HTTP_IN_CONTINUE) {
            static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

            bufferevent_write(exchange->connection, go_on, sizeof go_on - 1);
        } else if (length <= 0) {
            return;
        }
        progress = http_in_parser_take(&exchange->parser, piece, length > 0 ? (size_t)length : 0);
    }
    if (progress == HTTP_IN_REFUSED) {
        refuse(exchange, exchange->parser.status, exchange->parser.problem);
    } else if (evbuffer_get_length(input) > 0) {
        refuse(exchange, 400, "bytes follow the request");
    } else {
        give_to_handler(exchange);
    }
}

static void on_read(struct bufferevent *connection, void *context)
{
    struct http_in_exchange *exchange = context;

    (void)connection;
    if (exchange->state == READING) {
        read_request(exchange);
    } else {
        drain(exchange);
    }
}

/* Everything written has gone to the kernel. */
static void on_written(struct bufferevent *connection, void *context)
{
    struct http_in_exchange *exchange = context;

    (void)connection;
    if (exchange->state == STREAMING) {
        event_del(exchange->deadline);
    } else if (exchange->state == WRITING && exchange->is_drain_due) {
        begin_draining(exchange);
    } else if (exchange->state == WRITING) {
        exchange_close(exchange);
    }
}

static void on_connection_event(struct bufferevent *connection, short what, void *context)
{
    struct http_in_exchange *exchange = context;
    bool has_left = (what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) != 0;

    /* A peer may close its half after a complete request and still read our answer. */
    if ((what & BEV_EVENT_ERROR) == 0 &&
        (exchange->state == WAITING || exchange->state == WRITING)) {
        bufferevent_disable(connection, EV_READ);
    } else if (has_left) {
        exchange_close(exchange);
    }
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    struct http_in_exchange *exchange = context;
    struct http_in *http = exchange->http;

    (void)fd;
    (void)what;
    if (exchange->connection != NULL) {
        http->counts.timed_out++;
    }
    switch (exchange->state) {
    case READING:
        if (exchange->parser.head_length == 0) {
            exchange_close(exchange); /* an idle connection asked nothing */
        } else {
            refuse(exchange, 408, "the request took too long");
        }
        return;
    case WAITING:
        /* The handler keeps the exchange and may still answer, to nobody. */
        refuse(exchange, 503, "no answer in time; try again later");
        return;
    case WRITING:
    case STREAMING:
    case DRAINING: exchange_close(exchange); return;
    }
}

/* ---- accepting ---- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int address_length, void *context)
{
    struct http_in *http = context;
    struct http_in_exchange *exchange = calloc(1, sizeof *exchange);

    (void)address;
    (void)address_length;
    if (exchange != NULL) {
        exchange->http = http;
        exchange->deadline = evtimer_new(http->base, on_deadline, exchange);
        exchange->connection = bufferevent_socket_new(http->base, fd, BEV_OPT_CLOSE_ON_FREE);
    }
    if (exchange == NULL || exchange->deadline == NULL || exchange->connection == NULL) {
        if (exchange != NULL && exchange->deadline != NULL) {
            event_free(exchange->deadline);
        }
        free(exchange);
        close(fd);
        return;
    }
    exchange->next = http->exchanges;
    if (http->exchanges != NULL) {
        http->exchanges->previous = exchange;
    }
    http->exchanges = exchange;
    http->counts.accepted++;
    http->counts.open++;
    if (http->counts.open >= http->settings.connections_max) {
        http->is_full = true;
        evconnlistener_disable(listener);
    }
    set_deadline(exchange, http->settings.request_ms);
    bufferevent_setcb(exchange->connection, on_read, on_written, on_connection_event, exchange);
    bufferevent_setwatermark(exchange->connection, EV_READ, 0, READ_PIECE);
    bufferevent_enable(exchange->connection, EV_READ | EV_WRITE);
}

static void on_accept_failed(struct evconnlistener *listener, void *context)
{
    struct http_in *http = context;
    struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

    evconnlistener_disable(listener);
    evtimer_add(http->resume_timer, &pause);
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
    struct http_in *http = context;

    (void)fd;
    (void)what;
    if (http->listener != NULL && !http->is_full) {
        evconnlistener_enable(http->listener);
    }
}

/* ---- making and unmaking ---- */

static void fill_defaults(struct http_in_settings *settings)
{
    if (settings->connections_max == 0) {
        settings->connections_max = CONNECTIONS_DEFAULT;
    }
    if (settings->request_ms == 0) {
        settings->request_ms = REQUEST_DEFAULT_MS;
    }
    if (settings->answer_ms == 0) {
        settings->answer_ms = ANSWER_DEFAULT_MS;
    }
    if (settings->write_ms == 0) {
        settings->write_ms = WRITE_DEFAULT_MS;
    }
    settings->address = NULL; /* the caller's text; `bound` says it for good */
}

enum result http_in_create(struct event_loop *loop, const struct http_in_settings *settings,
                           const struct http_in_handler *handler, struct http_in **out,
                           struct fault *fault)
{
    struct http_in *http = calloc(1, sizeof *http);
    int fd = -1;

    if (http == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for a listener");
    }
    http->base = event_loop_base(loop);
    http->handler = *handler;
    http->settings = *settings;
    fill_defaults(&http->settings);
    if (listen_address_open(settings->address, &fd, http->bound, fault) != RESULT_OK) {
        free(http);
        return RESULT_FAULT;
    }
    http->resume_timer = evtimer_new(http->base, on_resume, http);
    http->listener = evconnlistener_new(http->base, on_accept, http,
                                        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (http->listener == NULL || http->resume_timer == NULL) {
        if (http->listener == NULL) {
            close(fd);
        }
        http_in_destroy(http);
        return fault_set(fault, FAULT_INTERNAL, "no memory for a listener");
    }
    evconnlistener_set_error_cb(http->listener, on_accept_failed);
    *out = http;
    return RESULT_OK;
}

void http_in_close_listener(struct http_in *http)
{
    if (http->listener != NULL) {
        evconnlistener_free(http->listener);
        http->listener = NULL;
        if (strncmp(http->bound, "unix:", 5) == 0) {
            unlink(http->bound + 5);
        }
    }
}

void http_in_destroy(struct http_in *http)
{
    if (http == NULL) {
        return;
    }
    http_in_close_listener(http);
    while (http->exchanges != NULL) {
        if (http->exchanges->state != STREAMING) {
            http->exchanges->is_owed = false;
        }
        exchange_close(http->exchanges);
    }
    if (http->resume_timer != NULL) {
        event_free(http->resume_timer);
    }
    free(http);
}

const char *http_in_bound(const struct http_in *http)
{
    return http->bound;
}

struct http_in_counts http_in_counts(const struct http_in *http)
{
    return http->counts;
}
