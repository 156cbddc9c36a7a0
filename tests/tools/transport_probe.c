/* SPDX-License-Identifier: MIT
 * transport_probe.c - the real transport on the real loop, for stories and figures.
 *
 * transport_probe [OPTION]... URL...      send one request to each URL, in order, and print one
 * JSON line for each answer transport_probe --count N --concurrency C [OPTION]... URL send N
 * requests, C at a time; print one line of figures Options: --base URL (default: the first URL),
 * --token URL, --insecure, --internal, --proxy URL,
 *          --ca FILE, --connect-ms N, --timeout-ms N, --body-max N, --method M, --body TEXT,
 *          --header LINE, --parallel (all URLs at once), --cancel-after-ms N, --busy-us N,
 *          --pause-ms N (between the URLs) */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/text.h"
#include "daemon/clock.h"
#include "daemon/event_loop.h"
#include "provider/transport.h"

#define URLS_MAX 256

struct probe {
    struct event_loop *loop;
    struct transport_client *client;
    struct transport_request request;
    const char *header_lines[TRANSPORT_HEADERS_MAX];
    char *const *urls;
    int url_count;
    int next_url;
    bool is_parallel;
    int open;
    int64_t count; /* > 0: figures */
    int64_t concurrency;
    int64_t started;
    int64_t finished;
    int64_t failed;
    int64_t cancel_after_ms;
    int64_t busy_us;
    int64_t pause_ms;
    struct mono_time next_at; /* not before: the pause */
    bool is_cancelled;
    struct mono_time begin;
    int sent_count[URLS_MAX];
    struct text line;
};

static struct probe probe;

static int index_of(void *user)
{
    return (int)((int *)user - probe.sent_count);
}

static void on_sent(void *user, struct time_now at)
{
    (void)at;
    probe.sent_count[index_of(user)]++;
}

static void append_text(const char *key, const char *value, size_t length)
{
    text_append_format(&probe.line, ",\"%s\":", key);
    if (value == NULL) {
        text_append_string(&probe.line, "null");
        return;
    }
    text_append_string(&probe.line, "\"");
    text_append_json(&probe.line, value, length);
    text_append_string(&probe.line, "\"");
}

static void print_answer(int index, const struct transport_answer *answer)
{
    size_t shown = answer->body_length < 200 ? answer->body_length : 200;

    text_clear(&probe.line);
    text_append_format(&probe.line,
                       "{\"index\":%d,\"error\":\"%s\",\"status\":%d,\"reached_socket\":%s,"
                       "\"http2\":%s,\"unframed\":%s,\"sent_calls\":%d,\"body_length\":%zu",
                       index, transport_error_text(answer->error), answer->http_status,
                       answer->reached_socket ? "true" : "false",
                       answer->is_http2 ? "true" : "false", answer->is_unframed ? "true" : "false",
                       probe.sent_count[index], answer->body_length);
    append_text("body", answer->body, shown);
    append_text("detail", answer->detail, strlen(answer->detail));
    append_text("retry_after", answer->retry_after,
                answer->retry_after != NULL ? strlen(answer->retry_after) : 0);
    append_text("content_type", answer->content_type,
                answer->content_type != NULL ? strlen(answer->content_type) : 0);
    append_text("request_id", answer->request_id,
                answer->request_id != NULL ? strlen(answer->request_id) : 0);
    if (answer->reached_socket) {
        text_append_format(&probe.line, ",\"took_us\":%lld",
                           (long long)(answer->answered.mono.us - answer->sent.mono.us));
    }
    printf("%s}\n", probe.line.bytes);
}

static void on_answer(void *user, const struct transport_answer *answer)
{
    int index = index_of(user);

    probe.open--;
    probe.finished++;
    probe.next_at = mono_add_us(answer->answered.mono, probe.pause_ms * US_PER_MS);
    if (probe.count > 0) {
        if (answer->error != TRANSPORT_OK && probe.failed++ == 0) {
            fprintf(stderr, "first failure: %s: %s\n", transport_error_text(answer->error),
                    answer->detail);
        }
        return;
    }
    print_answer(index, answer);
}

static void send_one(int index)
{
    struct fault fault;

    probe.request.url = probe.urls[index];
    probe.request.user = &probe.sent_count[index];
    if (transport_send(probe.client, &probe.request, &fault) == RESULT_OK) {
        probe.open++;
        return;
    }
    text_clear(&probe.line);
    text_append_format(&probe.line, "{\"index\":%d,\"error\":\"refused\"", index);
    append_text("detail", fault.text, strlen(fault.text));
    printf("%s}\n", probe.line.bytes);
    probe.finished++;
}

static void on_turn(void *context, struct time_now now)
{
    (void)context;
    while (probe.count > 0 && probe.open < probe.concurrency && probe.started < probe.count) {
        send_one(0);
        probe.started++;
    }
    while (probe.count == 0 && probe.next_url < probe.url_count &&
           (probe.is_parallel || (probe.open == 0 && now.mono.us >= probe.next_at.us))) {
        send_one(probe.next_url++);
    }
    if (probe.cancel_after_ms > 0 && !probe.is_cancelled) {
        struct mono_time at = mono_add_us(probe.begin, probe.cancel_after_ms * US_PER_MS);

        event_loop_set_wake(probe.loop, at);
        if (now.mono.us >= at.us) {
            uint32_t cancelled = transport_cancel(probe.client, &probe.sent_count[0]);

            probe.is_cancelled = true;
            probe.open -= (int)cancelled;
            printf("{\"cancelled\":%u}\n", cancelled);
        }
    }
    if (probe.open == 0 && probe.count == 0 && probe.next_url < probe.url_count) {
        event_loop_set_wake(probe.loop, probe.next_at);
    } else if (probe.open == 0) {
        event_loop_leave(probe.loop);
    }
}

static void on_signal(void *context, int number)
{
    (void)context;
    (void)number;
    event_loop_leave(probe.loop); /* with requests in flight: destroying must be clean */
}

static void on_clock_step(void *context)
{
    (void)context;
}

static int64_t cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_SECOND +
           usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void print_figures(int64_t cpu_before_us)
{
    struct transport_counts counts = transport_client_counts(probe.client);
    int64_t wall_us = clock_now().mono.us - probe.begin.us;

    printf("{\"requests\":%lld,\"failed\":%lld,\"seconds\":%.3f,\"per_second\":%.0f,"
           "\"cpu_us_per_request\":%.2f,\"connections\":%llu}\n",
           (long long)probe.finished, (long long)probe.failed, (double)wall_us / 1e6,
           (double)probe.finished * 1e6 / (double)wall_us,
           (double)(cpu_us() - cpu_before_us) / (double)probe.finished,
           (unsigned long long)counts.connections_opened);
}

enum option_id {
    OPTION_BASE = 256,
    OPTION_TOKEN,
    OPTION_INSECURE,
    OPTION_INTERNAL,
    OPTION_PROXY,
    OPTION_CA,
    OPTION_CONNECT_MS,
    OPTION_TIMEOUT_MS,
    OPTION_BODY_MAX,
    OPTION_METHOD,
    OPTION_BODY,
    OPTION_HEADER,
    OPTION_COUNT,
    OPTION_CONCURRENCY,
    OPTION_PARALLEL,
    OPTION_CANCEL_AFTER_MS,
    OPTION_BUSY_US,
    OPTION_PAUSE_MS,
};

static const struct option options[] = {
    {"base", required_argument, NULL, OPTION_BASE},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"internal", no_argument, NULL, OPTION_INTERNAL},
    {"proxy", required_argument, NULL, OPTION_PROXY},
    {"ca", required_argument, NULL, OPTION_CA},
    {"connect-ms", required_argument, NULL, OPTION_CONNECT_MS},
    {"timeout-ms", required_argument, NULL, OPTION_TIMEOUT_MS},
    {"body-max", required_argument, NULL, OPTION_BODY_MAX},
    {"method", required_argument, NULL, OPTION_METHOD},
    {"body", required_argument, NULL, OPTION_BODY},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
    {"parallel", no_argument, NULL, OPTION_PARALLEL},
    {"cancel-after-ms", required_argument, NULL, OPTION_CANCEL_AFTER_MS},
    {"busy-us", required_argument, NULL, OPTION_BUSY_US},
    {"pause-ms", required_argument, NULL, OPTION_PAUSE_MS},
    {NULL, 0, NULL, 0},
};

static bool read_option(int option, struct transport_settings *settings)
{
    switch (option) {
    case OPTION_BASE: settings->base_url = optarg; return true;
    case OPTION_TOKEN: settings->token_url = optarg; return true;
    case OPTION_INSECURE: settings->insecure = true; return true;
    case OPTION_INTERNAL: settings->internal = true; return true;
    case OPTION_PROXY: settings->proxy = optarg; return true;
    case OPTION_CA: settings->ca_file = optarg; return true;
    case OPTION_CONNECT_MS: settings->connect_timeout_ms = atoll(optarg); return true;
    case OPTION_TIMEOUT_MS: settings->request_timeout_ms = atoll(optarg); return true;
    case OPTION_BODY_MAX: settings->body_bytes_max = (size_t)atoll(optarg); return true;
    case OPTION_METHOD: probe.request.method = optarg; return true;
    case OPTION_BODY:
        probe.request.body = optarg;
        probe.request.body_length = strlen(optarg);
        return true;
    case OPTION_HEADER:
        if (probe.request.header_count < TRANSPORT_HEADERS_MAX) {
            probe.header_lines[probe.request.header_count++] = optarg;
        }
        return true;
    case OPTION_COUNT: probe.count = atoll(optarg); return true;
    case OPTION_CONCURRENCY: probe.concurrency = atoll(optarg); return true;
    case OPTION_PARALLEL: probe.is_parallel = true; return true;
    case OPTION_CANCEL_AFTER_MS: probe.cancel_after_ms = atoll(optarg); return true;
    case OPTION_BUSY_US: probe.busy_us = atoll(optarg); return true;
    case OPTION_PAUSE_MS: probe.pause_ms = atoll(optarg); return true;
    default: return false;
    }
}

static enum result run(const struct transport_settings *settings, struct fault *fault)
{
    const struct event_loop_handler loop_handler = {
        .on_turn = on_turn, .on_signal = on_signal, .on_clock_step = on_clock_step};
    const struct event_loop_settings loop_settings = {.signals = {15},
                                                      .busy_interval_us = probe.busy_us};
    const struct transport_handler handler = {.on_sent = on_sent, .on_answer = on_answer};
    struct transport *transport = NULL;
    struct transport_hooks hooks;
    enum result result;
    int64_t cpu_before_us;

    result = event_loop_create(&loop_settings, &loop_handler, &probe.loop, fault);
    if (result == RESULT_OK) {
        hooks = event_loop_transport_hooks(probe.loop);
        result = transport_create(&hooks, &transport, fault);
    }
    if (result == RESULT_OK) {
        result = transport_client_create(transport, settings, &handler, &probe.client, fault);
    }
    if (result == RESULT_OK) {
        probe.begin = clock_now().mono;
        cpu_before_us = cpu_us();
        result = event_loop_run(probe.loop, fault);
        if (probe.count > 0) {
            print_figures(cpu_before_us);
        }
    }
    transport_client_destroy(probe.client);
    transport_destroy(transport);
    event_loop_destroy(probe.loop);
    return result;
}

int main(int argc, char **argv)
{
    struct transport_settings settings = {
        .connect_timeout_ms = 5000,
        .request_timeout_ms = 10000,
        .user_agent = "refreshd-probe",
        .request_id_headers = {"X-Request-Id", "Trace-Id"},
    };
    struct fault fault = {0};
    int option;

    setvbuf(stdout, NULL, _IOLBF, 0);
    probe.request.method = "GET";
    probe.concurrency = 1;
    probe.request.headers = probe.header_lines;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!read_option(option, &settings)) {
            return 64;
        }
    }
    probe.urls = argv + optind;
    probe.url_count = argc - optind;
    if (probe.url_count < 1 || probe.url_count > URLS_MAX) {
        fprintf(stderr, "transport_probe: 1 to %d URLs, please\n", URLS_MAX);
        return 64;
    }
    if (settings.base_url == NULL) {
        settings.base_url = probe.urls[0];
    }
    settings.concurrency_max = (uint32_t)probe.concurrency;
    text_init(&probe.line, 1024 * 1024);
    if (run(&settings, &fault) != RESULT_OK) {
        fprintf(stderr, "transport_probe: %s\n", fault.text);
    }
    text_deinit(&probe.line);
    return (int)fault.code;
}
