/* SPDX-License-Identifier: MIT
 * listener_probe.c - the real HTTP listener and control socket on the real loop, for stories.
 *
 * listener_probe --http ADDRESS [--connections N] [--request-ms N] [--answer-ms N] [--write-ms N]
 * listener_probe --control PATH
 * listener_probe --call PATH --request JSON [--timeout-ms N]
 *
 * The first two print "listening WHERE", serve until SIGTERM, and then print one JSON line of
 * counts. HTTP: /later answers after 50 ms, /never does not, /large sends 4 MiB, /stream sends a
 * line each 20 ms, anything else is echoed as JSON. Control: {"echo"...} comes back,
 * {"lines":N} sends N lines, {"later"...} ends after 50 ms, {"never"...} does not, else a fault.
 * The third is a client: lines on standard output, faults on standard error, exit status. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "daemon/control_client.h"
#include "daemon/control_socket.h"
#include "daemon/event_loop.h"
#include "daemon/http_in.h"

#define LATER_MS 50
#define STREAM_MS 20
#define LARGE_BYTES ((size_t)4 * 1024 * 1024)

static struct event_loop *loop;
static uint64_t streams_closed;

/* ---- a callback once, later ---- */

struct delayed {
    struct delayed *next;
    struct event *timer;
    void (*call)(void *context);
    void *context;
};

static struct delayed *all_delayed;

/* Out of the list; answers what to call. */
static struct delayed take_delayed(struct delayed *delayed)
{
    struct delayed **link = &all_delayed;
    struct delayed copy = *delayed;

    while (*link != delayed) {
        link = &(*link)->next;
    }
    *link = delayed->next;
    event_free(delayed->timer);
    free(delayed);
    return copy;
}

static void on_delay(evutil_socket_t fd, short what, void *context)
{
    struct delayed delayed = take_delayed(context);

    (void)fd;
    (void)what;
    delayed.call(delayed.context);
}

static void call_later(int64_t delay_ms, void (*call)(void *context), void *context)
{
    struct delayed *delayed = calloc(1, sizeof *delayed);
    struct timeval delay = {.tv_usec = (suseconds_t)delay_ms * 1000};

    REQUIRE(delayed != NULL);
    delayed->call = call;
    delayed->context = context;
    delayed->timer = evtimer_new(event_loop_base(loop), on_delay, delayed);
    REQUIRE(delayed->timer != NULL);
    delayed->next = all_delayed;
    all_delayed = delayed;
    evtimer_add(delayed->timer, &delay);
}

/* ---- HTTP ---- */

static void respond_later(void *context)
{
    http_in_respond_text(context, 200, "later");
}

struct stream {
    struct http_in_exchange *exchange; /* NULL: closed */
};

static void on_stream_closed(void *context)
{
    struct stream *stream = context;

    stream->exchange = NULL;
    streams_closed++;
}

static void stream_more(void *context)
{
    struct stream *stream = context;

    if (stream->exchange == NULL) {
        free(stream);
        return;
    }
    (void)http_in_stream_write(stream->exchange, "data: tick\n\n", 12);
    call_later(STREAM_MS, stream_more, stream);
}

static void begin_stream(struct http_in_exchange *exchange)
{
    const struct http_in_answer answer = {.status = 200, .content_type = "text/event-stream"};
    struct stream *stream = calloc(1, sizeof *stream);

    REQUIRE(stream != NULL);
    stream->exchange = exchange;
    http_in_stream_begin(exchange, &answer, on_stream_closed, stream);
    stream_more(stream);
}

static void echo_string(struct text *json, const char *key, const char *value, size_t length)
{
    text_append_format(json, "\"%s\":\"", key);
    text_append_json(json, value, length);
    text_append_string(json, "\",");
}

static void echo(struct http_in_exchange *exchange, const struct http_in_request *request)
{
    struct text json;
    struct http_in_answer answer = {.status = 200, .content_type = "application/json"};

    text_init(&json, 1024 * 1024);
    text_append_string(&json, "{");
    echo_string(&json, "path", request->path, strlen(request->path));
    echo_string(&json, "query", request->query, strlen(request->query));
    echo_string(&json, "body", request->body, request->body_length);
    for (size_t i = 0; i < request->header_count; i++) {
        echo_string(&json, request->headers[i].name, request->headers[i].value,
                    strlen(request->headers[i].value));
    }
    text_append_format(&json, "\"method\":\"%s\"}\n",
                       request->method == HTTP_IN_GET ? "GET" : "POST");
    answer.body = json.bytes;
    answer.body_length = json.length;
    http_in_respond(exchange, &answer);
    text_deinit(&json);
}

static void on_http_request(void *context, struct http_in_exchange *exchange,
                            const struct http_in_request *request)
{
    (void)context;
    if (strcmp(request->path, "/later") == 0) {
        call_later(LATER_MS, respond_later, exchange);
    } else if (strcmp(request->path, "/large") == 0) {
        char *body = calloc(1, LARGE_BYTES);
        const struct http_in_answer answer = {
            .status = 200, .body = body, .body_length = LARGE_BYTES};

        http_in_respond(exchange, &answer);
        free(body);
    } else if (strcmp(request->path, "/stream") == 0) {
        begin_stream(exchange);
    } else if (strcmp(request->path, "/never") != 0) {
        echo(exchange, request);
    }
}

/* ---- control ---- */

static void end_later(void *context)
{
    control_end(context);
}

static void on_control_request(void *context, struct control_exchange *exchange,
                               const struct control_peer *peer, const char *line, size_t length)
{
    struct fault fault;
    int lines = 0;

    (void)context;
    if (strncmp(line, "{\"echo\"", 7) == 0) {
        char who[64];
        int who_length = snprintf(who, sizeof who, "{\"uid\":%u}", peer->uid);

        control_line(exchange, line, length);
        control_line(exchange, who, (size_t)who_length);
        control_end(exchange);
    } else if (sscanf(line, "{\"lines\":%d}", &lines) == 1) {
        for (int i = 0; i < lines; i++) {
            control_line(exchange, "{\"some\":\"line of an answer\"}", 28);
        }
        control_end(exchange);
    } else if (strncmp(line, "{\"later\"", 8) == 0) {
        call_later(LATER_MS, end_later, exchange);
    } else if (strncmp(line, "{\"never\"", 8) != 0) {
        (void)fault_set(&fault, FAULT_USAGE, "nobody knows \"%.20s\"\n", line);
        control_end_fault(exchange, &fault);
    }
}

/* ---- main ---- */

static void on_turn(void *context, struct time_now now)
{
    (void)context;
    (void)now;
}

static void on_signal(void *context, int number)
{
    (void)context;
    (void)number;
    event_loop_leave(loop);
}

static void on_clock_step(void *context)
{
    (void)context;
}

static void on_line(void *context, const char *line, size_t length)
{
    (void)context;
    printf("%.*s\n", (int)length, line);
}

/* At the end: closed streams still wait for their next line. */
static void forget_delayed(void)
{
    while (all_delayed != NULL) {
        struct delayed delayed = take_delayed(all_delayed);

        if (delayed.call == stream_more) {
            free(delayed.context);
        }
    }
}

struct arguments {
    struct http_in_settings http;
    const char *control;
    const char *call;
    const char *request;
    int64_t timeout_ms;
};

static void read_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"http", required_argument, NULL, 'h'},       {"connections", required_argument, NULL, 'n'},
        {"request-ms", required_argument, NULL, 'r'}, {"answer-ms", required_argument, NULL, 'a'},
        {"write-ms", required_argument, NULL, 'w'},   {"control", required_argument, NULL, 'c'},
        {"call", required_argument, NULL, 'l'},       {"request", required_argument, NULL, 'q'},
        {"timeout-ms", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h': arguments->http.address = optarg; break;
        case 'n': arguments->http.connections_max = (uint32_t)atoi(optarg); break;
        case 'r': arguments->http.request_ms = atoi(optarg); break;
        case 'a': arguments->http.answer_ms = atoi(optarg); break;
        case 'w': arguments->http.write_ms = atoi(optarg); break;
        case 'c': arguments->control = optarg; break;
        case 'l': arguments->call = optarg; break;
        case 'q': arguments->request = optarg; break;
        case 't': arguments->timeout_ms = atoi(optarg); break;
        default: exit(64);
        }
    }
}

static enum result serve(const struct arguments *arguments, struct fault *fault)
{
    const struct http_in_handler http_handler = {.on_request = on_http_request};
    const struct control_handler control_handler = {.on_request = on_control_request};
    struct http_in *http = NULL;
    struct control_socket *control = NULL;
    enum result result;

    if (arguments->http.address != NULL) {
        result = http_in_create(loop, &arguments->http, &http_handler, &http, fault);
    } else {
        result = control_socket_create(loop, arguments->control, &control_handler, &control, fault);
    }
    if (result == RESULT_OK) {
        printf("listening %s\n", http != NULL ? http_in_bound(http) : arguments->control);
        result = event_loop_run(loop, fault);
    }
    if (http != NULL) {
        struct http_in_counts counts = http_in_counts(http);

        http_in_destroy(http);
        printf("{\"open\":%u,\"accepted\":%llu,\"requests\":%llu,\"refused\":%llu,"
               "\"timed_out\":%llu,\"streams_closed\":%llu}\n",
               counts.open, (unsigned long long)counts.accepted,
               (unsigned long long)counts.requests, (unsigned long long)counts.refused,
               (unsigned long long)counts.timed_out, (unsigned long long)streams_closed);
    }
    control_socket_destroy(control);
    forget_delayed();
    return result;
}

int main(int argc, char **argv)
{
    const struct event_loop_settings settings = {.signals = {15}};
    const struct event_loop_handler handler = {
        .on_turn = on_turn, .on_signal = on_signal, .on_clock_step = on_clock_step};
    struct arguments arguments = {.timeout_ms = 10000};
    struct fault fault = {0};
    enum result result;

    setvbuf(stdout, NULL, _IOLBF, 0);
    read_arguments(argc, argv, &arguments);
    if (arguments.call != NULL) {
        result = control_client_call(arguments.call, arguments.request, arguments.timeout_ms,
                                     on_line, NULL, &fault);
    } else {
        result = event_loop_create(&settings, &handler, &loop, &fault);
        if (result == RESULT_OK) {
            result = serve(&arguments, &fault);
        }
        event_loop_destroy(loop);
    }
    if (result != RESULT_OK) {
        fprintf(stderr, "listener_probe: %s\n", fault.text);
        return (int)fault.code;
    }
    return 0;
}
