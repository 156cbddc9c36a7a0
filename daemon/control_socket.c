/* SPDX-License-Identifier: MIT
 * control_socket.c - clients of the control socket, one request at a time each.
 *
 * Memory: a client (which is also its exchange) is freed when its connection is closed AND the
 *         handler does not owe an answer. */
#include "daemon/control_socket.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/listen_address.h"

#define CLIENTS_MAX 64U
#define LINE_BYTES_MAX ((size_t)64 * 1024)
#define LINE_MS 10000
#define IDLE_MS MS_PER_HOUR
#define UNREAD_MAX ((size_t)64 * 1024 * 1024)
/* How long a client may leave an answer unread. */
#define WRITE_MS 60000
#define LAST_LINE_MAX 4096

struct control_exchange {
    struct control_exchange *next;
    struct control_exchange *previous;
    struct control_socket *control;
    struct control_peer peer;
    struct bufferevent *connection; /* NULL: the client has left */
    struct event *deadline;
    bool is_owed;       /* the handler has a request and has not ended it */
    bool is_line_begun; /* part of a line is here, and its deadline runs */
    bool has_ended;     /* no more requests will come: close when all is written */
};

struct control_socket {
    struct event_base *base;
    struct control_handler handler;
    struct evconnlistener *listener;
    char *path;
    struct control_exchange *clients;
    uint32_t client_count; /* with a connection */
};

static void client_free(struct control_exchange *client)
{
    if (client->previous != NULL) {
        client->previous->next = client->next;
    } else {
        client->control->clients = client->next;
    }
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    event_free(client->deadline);
    free(client);
}

static void client_close(struct control_exchange *client)
{
    struct control_socket *control = client->control;

    if (client->connection != NULL) {
        bufferevent_free(client->connection);
        client->connection = NULL;
        control->client_count--;
        if (control->listener != NULL && control->client_count < CLIENTS_MAX) {
            evconnlistener_enable(control->listener);
        }
    }
    event_del(client->deadline);
    if (!client->is_owed) {
        client_free(client);
    }
}

static void set_deadline(struct control_exchange *client, int64_t delay_ms)
{
    struct timeval delay = {.tv_sec = (time_t)(delay_ms / MS_PER_SECOND),
                            .tv_usec = (suseconds_t)(delay_ms % MS_PER_SECOND) * 1000};

    evtimer_add(client->deadline, &delay);
}

/* ---- answers ---- */

static void write_line(struct control_exchange *client, const char *line, size_t length)
{
    struct evbuffer *output;

    if (client->connection == NULL) {
        return;
    }
    output = bufferevent_get_output(client->connection);
    if (evbuffer_get_length(output) + length + 1 > UNREAD_MAX ||
        bufferevent_write(client->connection, line, length) != 0 ||
        bufferevent_write(client->connection, "\n", 1) != 0) {
        /* The answer is broken: better no last line than a wrong one. */
        client_close(client);
        return;
    }
    set_deadline(client, WRITE_MS);
}

void control_line(struct control_exchange *exchange, const char *json, size_t length)
{
    REQUIRE(exchange->is_owed);
    REQUIRE(memchr(json, '\n', length) == NULL);
    REQUIRE(length < 6 || memcmp(json, "{\"ok\":", 6) != 0);
    write_line(exchange, json, length);
}

static void end_with(struct control_exchange *exchange, const char *line, size_t length)
{
    REQUIRE(exchange->is_owed);
    write_line(exchange, line, length);
    exchange->is_owed = false;
    if (exchange->connection == NULL) {
        client_free(exchange);
        return;
    }
    bufferevent_enable(exchange->connection, EV_READ);
    /* The next request may be here already; the callback runs from the loop, not inside this. */
    bufferevent_trigger(exchange->connection, EV_READ,
                        BEV_TRIG_DEFER_CALLBACKS | BEV_TRIG_IGNORE_WATERMARKS);
}

void control_end(struct control_exchange *exchange)
{
    static const char line[] = "{\"ok\":true}";

    end_with(exchange, line, sizeof line - 1);
}

void control_end_fault(struct control_exchange *exchange, const struct fault *fault)
{
    struct text line;

    text_init(&line, LAST_LINE_MAX);
    text_append_format(&line, "{\"ok\":false,\"exit\":%d,\"error\":\"", (int)fault->code);
    text_append_json(&line, fault->text, strnlen(fault->text, sizeof fault->text));
    text_append_string(&line, "\"}");
    end_with(exchange, line.bytes, line.length);
    text_deinit(&line);
}

/* A request that is not even a line: say so and close. */
static void refuse(struct control_exchange *client, const char *problem)
{
    struct fault fault;

    (void)fault_set(&fault, FAULT_DATA, "%s", problem);
    client->has_ended = true;
    client->is_owed = true;
    control_end_fault(client, &fault);
}

/* ---- requests ---- */

/* Take the next line if it is complete. The client may be gone afterwards. */
static void read_requests(struct control_exchange *client)
{
    struct control_socket *control = client->control;
    struct evbuffer *input = bufferevent_get_input(client->connection);
    size_t length = 0;
    char *line;

    if (client->is_owed) {
        return;
    }
    if (client->has_ended) {
        evbuffer_drain(input, evbuffer_get_length(input));
        return;
    }
    line = evbuffer_readln(input, &length, EVBUFFER_EOL_LF);
    if (line == NULL) {
        if (evbuffer_get_length(input) >= LINE_BYTES_MAX) {
            refuse(client, "the request line is longer than 64 KiB");
        } else if (evbuffer_get_length(input) > 0 && !client->is_line_begun) {
            client->is_line_begun = true;
            set_deadline(client, LINE_MS);
        }
        return;
    }
    if (length > LINE_BYTES_MAX || memchr(line, '\0', length) != NULL) {
        refuse(client, "the request line holds a NUL or is longer than 64 KiB");
    } else {
        client->is_owed = true;
        client->is_line_begun = false;
        event_del(client->deadline);
        bufferevent_disable(client->connection, EV_READ);
        control->handler.on_request(control->handler.context, client, &client->peer, line, length);
    }
    free(line);
}

static void on_read(struct bufferevent *connection, void *context)
{
    (void)connection;
    read_requests(context);
}

static void on_written(struct bufferevent *connection, void *context)
{
    struct control_exchange *client = context;

    (void)connection;
    if (client->is_owed) {
        event_del(client->deadline);
    } else if (client->has_ended) {
        client_close(client);
    } else if (!client->is_line_begun) {
        set_deadline(client, IDLE_MS);
    }
}

static void on_connection_event(struct bufferevent *connection, short what, void *context)
{
    struct control_exchange *client = context;

    (void)connection;
    if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF)) == 0) {
        return;
    }
    /* A client that closed its half and waits for the rest of its answer gets it. */
    if ((what & BEV_EVENT_ERROR) == 0 &&
        evbuffer_get_length(bufferevent_get_output(client->connection)) > 0) {
        client->has_ended = true;
    } else {
        client_close(client);
    }
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    client_close(context);
}

/* ---- accepting ---- */

static bool ask_peer(int fd, struct control_peer *peer)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
        return false;
    }
    peer->uid = credentials.uid;
    peer->gid = credentials.gid;
    peer->pid = credentials.pid;
    return true;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int address_length, void *context)
{
    struct control_socket *control = context;
    struct control_exchange *client = calloc(1, sizeof *client);

    (void)address;
    (void)address_length;
    if (client == NULL || !ask_peer(fd, &client->peer)) {
        free(client);
        close(fd);
        return;
    }
    client->control = control;
    client->deadline = evtimer_new(control->base, on_deadline, client);
    client->connection = bufferevent_socket_new(control->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (client->deadline == NULL || client->connection == NULL) {
        if (client->deadline != NULL) {
            event_free(client->deadline);
        }
        if (client->connection != NULL) {
            bufferevent_free(client->connection);
        } else {
            close(fd);
        }
        free(client);
        return;
    }
    client->next = control->clients;
    if (control->clients != NULL) {
        control->clients->previous = client;
    }
    control->clients = client;
    if (++control->client_count >= CLIENTS_MAX) {
        evconnlistener_disable(listener);
    }
    set_deadline(client, LINE_MS);
    bufferevent_setcb(client->connection, on_read, on_written, on_connection_event, client);
    bufferevent_setwatermark(client->connection, EV_READ, 0, LINE_BYTES_MAX + 1);
    bufferevent_enable(client->connection, EV_READ | EV_WRITE);
}

/* ---- making and unmaking ---- */

enum result control_socket_create(struct event_loop *loop, const char *path,
                                  const struct control_handler *handler,
                                  struct control_socket **out, struct fault *fault)
{
    struct control_socket *control = calloc(1, sizeof *control);
    int fd = -1;

    if (control == NULL) {
        return fault_set(fault, FAULT_INTERNAL, "no memory for the control socket");
    }
    control->base = event_loop_base(loop);
    control->handler = *handler;
    if (listen_address_open_unix(path, &fd, fault) != RESULT_OK) {
        free(control);
        return fault_prefix(fault, "control socket");
    }
    control->path = strdup(path);
    control->listener = evconnlistener_new(control->base, on_accept, control,
                                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (control->listener == NULL || control->path == NULL) {
        if (control->listener == NULL) {
            close(fd);
        }
        unlink(path);
        control_socket_destroy(control);
        return fault_set(fault, FAULT_INTERNAL, "no memory for the control socket");
    }
    *out = control;
    return RESULT_OK;
}

/* What is written and not sent yet: one try, so that the answer to "drain" gets out. */
static void flush(struct control_exchange *client)
{
    if (client->connection != NULL) {
        struct evbuffer *output = bufferevent_get_output(client->connection);

        if (evbuffer_get_length(output) > 0) {
            evbuffer_unfreeze(output, 1); /* a bufferevent keeps its front to itself */
            (void)evbuffer_write(output, bufferevent_getfd(client->connection));
        }
    }
}

void control_socket_destroy(struct control_socket *control)
{
    if (control == NULL) {
        return;
    }
    if (control->listener != NULL) {
        evconnlistener_free(control->listener);
        control->listener = NULL;
        unlink(control->path);
    }
    while (control->clients != NULL) {
        flush(control->clients);
        control->clients->is_owed = false;
        client_close(control->clients);
    }
    free(control->path);
    free(control);
}
