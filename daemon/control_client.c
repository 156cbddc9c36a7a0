/* SPDX-License-Identifier: MIT
 * control_client.c - one request, then lines until the last one. */
#include "daemon/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "daemon/listen_address.h"

/* One line of an answer: a report as a single JSON value can be long. */
#define LINE_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define PIECE_BYTES 65536

static const char last_line_begin[] = "{\"ok\":";

struct call {
    int fd;
    int timeout_ms;
    struct text pending; /* bytes of lines not complete yet */
    size_t scanned;      /* of them, without a newline */
    void (*on_line)(void *context, const char *line, size_t length);
    void *context;
};

static enum result send_request(struct call *call, const char *request, struct fault *fault)
{
    struct text line;
    size_t sent = 0;
    enum result result = RESULT_OK;

    text_init(&line, strlen(request) + 1);
    text_append_string(&line, request);
    text_append_string(&line, "\n");
    while (result == RESULT_OK && sent < line.length) {
        ssize_t count = send(call->fd, line.bytes + sent, line.length - sent, MSG_NOSIGNAL);

        if (count >= 0) {
            sent += (size_t)count;
        } else if (errno != EINTR) {
            result = fault_set(fault, FAULT_TEMPORARY, "the running process did not listen: %s",
                               strerror(errno));
        }
    }
    text_deinit(&line);
    return result;
}

/* More bytes into `pending`. */
static enum result receive(struct call *call, struct fault *fault)
{
    struct pollfd watched = {.fd = call->fd, .events = POLLIN};
    char piece[PIECE_BYTES];
    ssize_t count;
    int ready;

    do {
        ready = poll(&watched, 1, call->timeout_ms);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) {
        return fault_set(fault, FAULT_TEMPORARY,
                         "the running process did not answer within %d ms; try again",
                         call->timeout_ms);
    }
    count = recv(call->fd, piece, sizeof piece, 0);
    if (count < 0 && errno == EINTR) {
        return RESULT_OK;
    }
    if (count <= 0) {
        return fault_set(fault, FAULT_TEMPORARY,
                         "the running process closed the control socket before it had answered");
    }
    text_append(&call->pending, piece, (size_t)count);
    if (call->pending.is_cut) {
        return fault_set(fault, FAULT_DATA, "a line of the answer is longer than 64 MiB");
    }
    return RESULT_OK;
}

/* The text of a JSON string as control_end_fault writes it, into a fault's text. */
static void unescape(const char *json, size_t length, char *out, size_t out_size)
{
    size_t at = 0;

    for (size_t i = 0; i < length && json[i] != '"' && at + 1 < out_size; i++) {
        char byte = json[i];

        if (byte == '\\' && i + 1 < length) {
            byte = json[++i];
            if (byte == 'u') { /* only control bytes are written so */
                byte = ' ';
                i += 4;
            } else if (byte == 'n' || byte == 't' || byte == 'r' || byte == 'b' || byte == 'f') {
                byte = ' ';
            }
        }
        out[at++] = byte;
    }
    out[at] = '\0';
}

/* {"ok":true} or {"ok":false,"exit":N,"error":"TEXT"} */
static enum result read_last_line(const char *line, size_t length, struct fault *fault)
{
    static const char good[] = "{\"ok\":true}";
    static const char bad[] = "{\"ok\":false,\"exit\":";
    static const char error[] = ",\"error\":\"";
    char text[sizeof fault->text];
    const char *at = line + sizeof bad - 1;
    size_t digits;
    int64_t exit_status;

    if (length == sizeof good - 1 && memcmp(line, good, length) == 0) {
        return RESULT_OK;
    }
    if (length <= sizeof bad - 1 || memcmp(line, bad, sizeof bad - 1) != 0) {
        return fault_set(fault, FAULT_DATA,
                         "the running process answered in an unknown way; is it "
                         "of another version?");
    }
    digits = strspn(at, "0123456789");
    if (!integer_parse(at, digits, 1, 255, &exit_status) ||
        strncmp(at + digits, error, sizeof error - 1) != 0) {
        return fault_set(fault, FAULT_DATA,
                         "the running process answered in an unknown way; is it "
                         "of another version?");
    }
    at += digits + sizeof error - 1;
    unescape(at, (size_t)(line + length - at), text, sizeof text);
    return fault_set(fault, (enum fault_code)exit_status, "%s", text);
}

/* Hand over the complete lines of `pending`. True when the last one was among them. */
static bool take_lines(struct call *call, enum result *result, struct fault *fault)
{
    size_t begin = 0;
    char *newline;

    while ((newline = memchr(call->pending.bytes + begin + call->scanned, '\n',
                             call->pending.length - begin - call->scanned)) != NULL) {
        char *line = call->pending.bytes + begin;
        size_t length = (size_t)(newline - line);

        call->scanned = 0;
        *newline = '\0';
        if (strncmp(line, last_line_begin, sizeof last_line_begin - 1) == 0) {
            *result = read_last_line(line, length, fault);
            return true;
        }
        if (call->on_line != NULL) {
            call->on_line(call->context, line, length);
        }
        begin += length + 1;
    }
    memmove(call->pending.bytes, call->pending.bytes + begin, call->pending.length - begin + 1);
    call->pending.length -= begin;
    call->scanned = call->pending.length;
    return false;
}

enum result control_client_call(const char *path, const char *request, int64_t timeout_ms,
                                void (*on_line)(void *context, const char *line, size_t length),
                                void *context, struct fault *fault)
{
    struct call call = {.fd = -1, .on_line = on_line, .context = context};
    enum result result;
    bool is_last = false;

    REQUIRE(strchr(request, '\n') == NULL);
    call.timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
    text_init(&call.pending, LINE_BYTES_MAX);
    result = listen_address_connect_unix(path, &call.fd, fault);
    if (result == RESULT_OK) {
        result = send_request(&call, request, fault);
    }
    while (result == RESULT_OK && !is_last) {
        result = receive(&call, fault);
        if (result == RESULT_OK && call.pending.length > 0) {
            is_last = take_lines(&call, &result, fault);
        }
    }
    if (call.fd >= 0) {
        close(call.fd);
    }
    text_deinit(&call.pending);
    return result;
}
