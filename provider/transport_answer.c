/* SPDX-License-Identifier: MIT
 * transport_answer.c - headers and bodies counted and judged as they arrive.
 *
 * libcurl takes some answers that two readers could understand differently (two lengths, a length
 * beside a transfer encoding, status 999, lengths of twenty digits); they are refused here. */
#include "provider/transport_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* Longest length that is read: 18 digits always fit. */
#define LENGTH_DIGITS_MAX 18
#define BODY_CAPACITY_FIRST 2048U

/* Callbacks refuse by answering 0: libcurl then ends this transfer alone. */
static size_t refuse(struct transport_call *call, enum transport_error error, const char *text)
{
    if (call->verdict == TRANSPORT_OK) {
        call->verdict = error;
        call->verdict_text = text;
    }
    return 0;
}

/* "HTTP/1.1 200 OK": one digit or "2" as version, exactly three digits as status. */
static bool read_status_line(struct answer_head *head, const char *line, size_t length)
{
    size_t at = 5;
    int status = 0;

    *head = (struct answer_head){.is_open = true, .request_id_rank = INT32_MAX};
    while (at < length && line[at] != ' ') {
        at++;
    }
    if (at < 6 || length < at + 4 || line[5] < '1' || line[5] > '9') {
        return false;
    }
    head->version_major = line[5] - '0';
    for (size_t i = at + 1; i < at + 4; i++) {
        if (line[i] < '0' || line[i] > '9') {
            return false;
        }
        status = status * 10 + (line[i] - '0');
    }
    head->status = status;
    return (length == at + 4 || line[at + 4] == ' ' || line[at + 4] == '\r' ||
            line[at + 4] == '\n') &&
           status >= 100 && status <= 599;
}

static bool name_is(const char *line, size_t name_length, const char *name, size_t length)
{
    return name_length == length && strncasecmp(line, name, length) == 0;
}

#define NAME_IS(line, length, name) name_is(line, length, name, sizeof(name) - 1)

static void keep_text(char out[HEADER_TEXT_SIZE], const char *value, size_t length)
{
    size_t kept = length < HEADER_TEXT_SIZE - 1 ? length : HEADER_TEXT_SIZE - 1;

    memcpy(out, value, kept);
    out[kept] = '\0';
}

/* RFC 9110 section 8.6: digits only, and one value. */
static bool read_length(struct answer_head *head, const char *value, size_t length)
{
    uint64_t number = 0;

    if (length == 0 || length > LENGTH_DIGITS_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (value[i] < '0' || value[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(value[i] - '0');
    }
    if (head->has_length && head->content_length != number) {
        return false;
    }
    head->has_length = true;
    head->content_length = number;
    return true;
}

static void keep_request_id(struct transport_call *call, const char *line, size_t name_length,
                            const char *value, size_t length)
{
    char *const *names = call->shard->client->request_id_headers;

    for (int i = 0; i < TRANSPORT_REQUEST_ID_NAMES_MAX && names[i] != NULL; i++) {
        if (i < call->head.request_id_rank &&
            name_is(line, name_length, names[i], strlen(names[i]))) {
            call->head.request_id_rank = i;
            keep_text(call->head.request_id, value, length);
        }
    }
}

/* One "Name: value" line. False, with `*problem`, when the answer must not be trusted. */
static bool read_field(struct transport_call *call, const char *line, size_t length,
                       const char **problem)
{
    struct answer_head *head = &call->head;
    const char *colon = memchr(line, ':', length);
    size_t name_length;
    const char *value;
    size_t value_length;

    if (colon == NULL) {
        return true; /* libcurl's own checks have passed; nothing for us in it */
    }
    name_length = (size_t)(colon - line);
    value = colon + 1;
    value_length = length - name_length - 1;
    while (value_length > 0 && (*value == ' ' || *value == '\t')) {
        value++;
        value_length--;
    }
    while (value_length > 0 && strchr(" \t\r\n", value[value_length - 1]) != NULL) {
        value_length--;
    }
    if (NAME_IS(line, name_length, "content-length")) {
        *problem = "contradicting or senseless Content-Length";
        return read_length(head, value, value_length);
    }
    if (NAME_IS(line, name_length, "transfer-encoding")) {
        head->has_transfer_encoding = true;
        *problem = "Transfer-Encoding other than chunked";
        return NAME_IS(value, value_length, "chunked");
    }
    if (NAME_IS(line, name_length, "content-encoding")) {
        *problem = "Content-Encoding that was not asked for";
        return NAME_IS(value, value_length, "identity");
    }
    if (NAME_IS(line, name_length, "retry-after")) {
        keep_text(head->retry_after, value, value_length);
    } else if (NAME_IS(line, name_length, "content-type")) {
        keep_text(head->content_type, value, value_length);
    } else {
        keep_request_id(call, line, name_length, value, value_length);
    }
    return true;
}

static bool has_body(const struct transport_call *call)
{
    return !call->is_head && call->head.status != 204 && call->head.status != 304;
}

/* The empty line: is this answer one that may go on? */
static size_t end_of_head(struct transport_call *call, size_t length)
{
    struct answer_head *head = &call->head;

    head->is_open = false;
    if (head->status == 101) {
        return refuse(call, TRANSPORT_PROTOCOL, "101 Switching Protocols that was not asked for");
    }
    if (head->status < 200) {
        return length;
    }
    head->is_final = true;
    if (head->has_length && head->has_transfer_encoding) {
        return refuse(call, TRANSPORT_PROTOCOL, "Content-Length beside Transfer-Encoding");
    }
    if (has_body(call) && head->has_length &&
        head->content_length > call->shard->client->body_bytes_max) {
        return refuse(call, TRANSPORT_TOO_LARGE, "announced body is larger than allowed");
    }
    return length;
}

size_t transport_on_header(char *bytes, size_t size, size_t count, void *user)
{
    struct transport_call *call = user;
    size_t length = size * count;
    const char *problem = NULL;

    if (length > HEADER_BYTES_MAX - call->header_bytes || call->header_lines >= HEADER_LINES_MAX) {
        return refuse(call, TRANSPORT_HEADER_LIMIT, "more headers than allowed");
    }
    call->header_bytes += (uint32_t)length;
    call->header_lines++;
    if (call->head.is_final) {
        return length; /* trailers: counted, never used */
    }
    if (!call->head.is_open) {
        if (length < 5 || memcmp(bytes, "HTTP/", 5) != 0) {
            return length;
        }
        return read_status_line(&call->head, bytes, length)
                   ? length
                   : refuse(call, TRANSPORT_PROTOCOL, "status line that is not HTTP's");
    }
    if (bytes[0] == '\r' || bytes[0] == '\n') {
        return end_of_head(call, length);
    }
    if (!read_field(call, bytes, length, &problem)) {
        return refuse(call, TRANSPORT_PROTOCOL, problem);
    }
    return length;
}

/* Room for `length` bytes more and a NUL. */
static bool body_reserve(struct transport_call *call, size_t length)
{
    size_t needed = call->body_length + length + 1;
    size_t capacity = call->body_capacity == 0 ? BODY_CAPACITY_FIRST : call->body_capacity;
    char *grown;

    if (needed <= call->body_capacity) {
        return true;
    }
    while (capacity < needed) {
        capacity *= 2;
    }
    grown = malloc(capacity);
    if (grown == NULL) {
        return false;
    }
    if (call->body != NULL) {
        memcpy(grown, call->body, call->body_length);
        memory_wipe(call->body, call->body_length);
        free(call->body);
    }
    call->body = grown;
    call->body_capacity = capacity;
    return true;
}

size_t transport_on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct transport_call *call = user;
    size_t length = size * count;
    size_t room = call->shard->client->body_bytes_max - call->body_length;
    size_t kept = length < room ? length : room;

    if (!body_reserve(call, kept)) {
        return refuse(call, TRANSPORT_INTERNAL, "no memory for the body");
    }
    memcpy(call->body + call->body_length, bytes, kept);
    call->body_length += kept;
    call->body[call->body_length] = '\0';
    return kept == length ? length
                          : refuse(call, TRANSPORT_TOO_LARGE, "body is larger than allowed");
}

/* What libcurl's verdict means when our own callbacks found nothing. */
static enum transport_error error_of_code(CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK: return TRANSPORT_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return TRANSPORT_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_INTERFACE_FAILED:
    case CURLE_PROXY: return TRANSPORT_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_USE_SSL_FAILED: return TRANSPORT_TLS;
    case CURLE_OPERATION_TIMEDOUT: return TRANSPORT_TIMEOUT;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SSL_SHUTDOWN_FAILED: return TRANSPORT_RESET;
    case CURLE_PARTIAL_FILE: return TRANSPORT_TRUNCATED;
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_URL_MALFORMAT: return TRANSPORT_PROTOCOL;
    default: return TRANSPORT_INTERNAL;
    }
}

static void judge(struct transport_call *call, CURLcode code, struct transport_answer *answer)
{
    const struct answer_head *head = &call->head;

    answer->error = error_of_code(code);
    answer->detail = "";
    if (call->verdict != TRANSPORT_OK) {
        answer->error = call->verdict;
        answer->detail = call->verdict_text;
    } else if (call->is_stale) {
        answer->error = TRANSPORT_CONNECT;
        answer->detail = "no connection stayed usable until the request";
    } else if (call->is_repeat_refused) {
        answer->error = TRANSPORT_RESET;
        answer->detail = "connection lost before the answer; not sent a second time";
    } else if (code == CURLE_OUT_OF_MEMORY && head->is_open) {
        /* libcurl's word for a single header line beyond its own limit of 100 KB. */
        answer->error = TRANSPORT_HEADER_LIMIT;
        answer->detail = "a header line is longer than allowed";
    } else if (code != CURLE_OK) {
        if (call->is_address_blocked && answer->error == TRANSPORT_CONNECT) {
            answer->error = TRANSPORT_BLOCKED_ADDRESS;
            answer->detail = "the name resolves to a private or special address; say "
                             "`internal: true` if that is meant";
        } else {
            answer->detail =
                call->error_text[0] != '\0' ? call->error_text : curl_easy_strerror(code);
        }
    } else if (!head->is_final) {
        answer->error = TRANSPORT_PROTOCOL;
        answer->detail = "no answer after the interim ones";
    } else if (has_body(call) && head->has_length && head->content_length != call->body_length) {
        answer->error = TRANSPORT_TRUNCATED;
        answer->detail = "body is not as long as announced";
    }
}

void transport_answer_fill(struct transport_call *call, CURLcode code,
                           struct transport_answer *answer)
{
    const struct answer_head *head = &call->head;

    *answer = (struct transport_answer){
        .reached_socket = call->is_sent,
        .is_http2 = head->version_major == 2,
        .is_unframed = head->is_final && head->version_major == 1 && has_body(call) &&
                       !head->has_length && !head->has_transfer_encoding,
        .http_status = head->status,
        .retry_after = head->retry_after[0] != '\0' ? head->retry_after : NULL,
        .content_type = head->content_type[0] != '\0' ? head->content_type : NULL,
        .request_id = head->request_id[0] != '\0' ? head->request_id : NULL,
        .body = call->body_length > 0 ? call->body : "",
        .body_length = call->body_length,
        .sent = call->sent,
    };
    judge(call, code, answer);
}

const char *transport_error_text(enum transport_error error)
{
    static const char *const words[TRANSPORT_ERROR_COUNT] = {
        [TRANSPORT_OK] = "ok",
        [TRANSPORT_RESOLVE] = "resolve",
        [TRANSPORT_CONNECT] = "connect",
        [TRANSPORT_BLOCKED_ADDRESS] = "blocked_address",
        [TRANSPORT_TLS] = "tls",
        [TRANSPORT_TIMEOUT] = "timeout",
        [TRANSPORT_RESET] = "reset",
        [TRANSPORT_TRUNCATED] = "truncated",
        [TRANSPORT_TOO_LARGE] = "too_large",
        [TRANSPORT_HEADER_LIMIT] = "header_limit",
        [TRANSPORT_PROTOCOL] = "protocol",
        [TRANSPORT_INTERNAL] = "internal",
    };

    REQUIRE((unsigned)error < TRANSPORT_ERROR_COUNT);
    return words[error];
}
