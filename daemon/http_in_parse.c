/* SPDX-License-Identifier: MIT
 * http_in_parse.c - request line, headers and body, with nothing tolerated. */
#include "daemon/http_in_parse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Nine digits: far beyond the limit, and no overflow. */
#define LENGTH_DIGITS_MAX 9

void http_in_parser_deinit(struct http_in_parser *parser)
{
    free(parser->head);
    free(parser->body);
    parser->head = NULL;
    parser->body = NULL;
}

size_t http_in_parser_room(const struct http_in_parser *parser)
{
    if (parser->status != 0) {
        return 0;
    }
    if (!parser->is_head_done) {
        return HTTP_IN_HEAD_BYTES_MAX - parser->head_length;
    }
    return parser->body_wanted - parser->body_length;
}

static enum http_in_progress refuse(struct http_in_parser *parser, int status, const char *problem)
{
    parser->status = status;
    parser->problem = problem;
    return HTTP_IN_REFUSED;
}

static bool is_token_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL);
}

/* Look at the bytes that are new: line ends are CRLF and nothing else, no NUL, no control byte.
 * Answers the length of the head with its empty line, 0 when that is not there yet, SIZE_MAX when
 * the bytes are not clean. */
static size_t scan(struct http_in_parser *parser)
{
    const char *head = parser->head;
    size_t at = parser->head_scanned;

    for (; at < parser->head_length; at++) {
        unsigned char byte = (unsigned char)head[at];

        if (byte == '\n') {
            if (at == 0 || head[at - 1] != '\r') {
                return SIZE_MAX;
            }
            if (at >= 3 && head[at - 2] == '\n') {
                return at + 1;
            }
        } else if (at > 0 && head[at - 1] == '\r') {
            return SIZE_MAX;
        } else if ((byte < 0x20 && byte != '\t' && byte != '\r') || byte == 0x7f) {
            return SIZE_MAX;
        }
    }
    parser->head_scanned = at;
    return 0;
}

/* End the line that begins at `*at` and step to the next one. */
static char *next_line(struct http_in_parser *parser, size_t *at, size_t *length)
{
    char *line = parser->head + *at;
    char *end = memchr(line, '\r', parser->head_length - *at);

    *end = '\0';
    *length = (size_t)(end - line);
    *at += *length + 2;
    return line;
}

/* "POST /path?query HTTP/1.1", with single blanks. 0, or the status of the refusal. */
static int read_request_line(struct http_in_parser *parser, char *line, const char **problem)
{
    struct http_in_request *request = &parser->request;
    char *target = strchr(line, ' ');
    char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
    char *query;

    *problem = "the request line is not METHOD TARGET HTTP/1.1";
    if (target == NULL || version == NULL || strchr(version + 1, ' ') != NULL ||
        strchr(line, '\t') != NULL) {
        return 400;
    }
    *target++ = '\0';
    *version++ = '\0';
    for (const char *byte = line; *byte != '\0'; byte++) {
        if (!is_token_byte((unsigned char)*byte)) {
            return 400;
        }
    }
    if (line[0] == '\0' || strncmp(version, "HTTP/", 5) != 0) {
        return 400;
    }
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0) {
        *problem = "only HTTP/1.1 and HTTP/1.0 are spoken here";
        return 505;
    }
    if (strcmp(line, "POST") == 0) {
        request->method = HTTP_IN_POST;
    } else if (strcmp(line, "GET") == 0) {
        request->method = HTTP_IN_GET;
    } else {
        *problem = "only GET and POST are taken";
        return 405;
    }
    *problem = "the target is not a path";
    if (target[0] != '/' || strchr(target, '#') != NULL) {
        return 400;
    }
    for (const char *byte = target; *byte != '\0'; byte++) {
        if ((unsigned char)*byte >= 0x80) {
            return 400;
        }
    }
    if (strlen(target) > HTTP_IN_TARGET_BYTES_MAX) {
        *problem = "the target is too long";
        return 414;
    }
    query = strchr(target, '?');
    if (query != NULL) {
        *query++ = '\0';
    }
    request->path = target;
    request->query = query != NULL ? query : "";
    return 0;
}

/* "Name: value". 0, or the status of the refusal. */
static int read_header(struct http_in_parser *parser, char *line, size_t length,
                       const char **problem)
{
    struct http_in_header *header = &parser->headers[parser->request.header_count];
    char *colon = memchr(line, ':', length);
    char *value;
    char *end = line + length;

    if (parser->request.header_count == HTTP_IN_HEADERS_MAX) {
        *problem = "too many headers";
        return 431;
    }
    *problem = "a header is not Name: value";
    if (colon == NULL || colon == line) {
        return 400;
    }
    for (const char *byte = line; byte < colon; byte++) {
        if (!is_token_byte((unsigned char)*byte)) { /* blanks and folded lines end here */
            return 400;
        }
    }
    *colon = '\0';
    value = colon + 1;
    while (*value == ' ' || *value == '\t') {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        *--end = '\0';
    }
    header->name = line;
    header->value = value;
    parser->request.header_count++;
    return 0;
}

static size_t count_of(const struct http_in_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++) {
        count += strcasecmp(request->headers[i].name, name) == 0 ? 1 : 0;
    }
    return count;
}

/* Who it is for and how long its body is. 0, or the status of the refusal. */
static int read_framing(struct http_in_parser *parser, const char **problem)
{
    const struct http_in_request *request = &parser->request;
    const char *host = http_in_header_value(request, "host");
    const char *text = http_in_header_value(request, "content-length");
    size_t digits;

    *problem = "exactly one Host is needed";
    if (count_of(request, "host") != 1 || host[0] == '\0' || strpbrk(host, " \t,/@") != NULL) {
        return 400;
    }
    *problem = "Transfer-Encoding is not taken";
    if (count_of(request, "transfer-encoding") != 0) {
        return 400;
    }
    if (request->method == HTTP_IN_GET) {
        *problem = "a GET has no body";
        return text == NULL ? 0 : 400;
    }
    if (text == NULL) {
        *problem = "Content-Length is needed";
        return 411;
    }
    digits = strspn(text, "0123456789");
    *problem = "exactly one Content-Length of digits is needed";
    if (count_of(request, "content-length") != 1 || digits == 0 || text[digits] != '\0') {
        return 400;
    }
    if (digits > LENGTH_DIGITS_MAX || atol(text) > HTTP_IN_BODY_BYTES_MAX) {
        *problem = "the body is too large";
        return 413;
    }
    parser->body_wanted = (size_t)atol(text);
    return 0;
}

/* The head is complete: cut it up. */
static int read_head(struct http_in_parser *parser, const char **problem)
{
    size_t at = 0;
    size_t length;
    char *line = next_line(parser, &at, &length);
    int status = read_request_line(parser, line, problem);

    parser->request.headers = parser->headers;
    while (status == 0) {
        line = next_line(parser, &at, &length);
        if (length == 0) {
            return read_framing(parser, problem);
        }
        status = read_header(parser, line, length, problem);
    }
    return status;
}

static enum http_in_progress complete(struct http_in_parser *parser)
{
    if (parser->body_length < parser->body_wanted) {
        return HTTP_IN_MORE;
    }
    parser->request.body = parser->body;
    parser->request.body_length = parser->body_length;
    return HTTP_IN_COMPLETE;
}

/* `taken` bytes of the last piece belong behind the head: they begin the body. */
static enum http_in_progress begin_body(struct http_in_parser *parser, size_t head_end)
{
    const char *expect = http_in_header_value(&parser->request, "expect");
    size_t rest = parser->head_length - head_end;

    if (expect != NULL && strcasecmp(expect, "100-continue") != 0) {
        return refuse(parser, 417, "only Expect: 100-continue is known");
    }
    if (rest > parser->body_wanted) {
        return refuse(parser, 400, "bytes follow the request");
    }
    parser->body = malloc(parser->body_wanted + 1);
    if (parser->body == NULL) {
        return refuse(parser, 503, "no memory");
    }
    memcpy(parser->body, parser->head + head_end, rest);
    parser->body[rest] = '\0';
    parser->body_length = rest;
    parser->is_head_done = true;
    if (expect != NULL && rest == 0 && parser->body_wanted > 0) {
        return HTTP_IN_CONTINUE;
    }
    return complete(parser);
}

static enum http_in_progress take_head(struct http_in_parser *parser, const char *bytes,
                                       size_t length)
{
    const char *problem = NULL;
    size_t end;
    int status;

    if (parser->head == NULL) {
        parser->head = malloc(HTTP_IN_HEAD_BYTES_MAX + 1);
        if (parser->head == NULL) {
            return refuse(parser, 503, "no memory");
        }
    }
    memcpy(parser->head + parser->head_length, bytes, length);
    parser->head_length += length;
    end = scan(parser);
    if (end == SIZE_MAX) {
        return refuse(parser, 400, "control bytes, or lines that do not end in CRLF");
    }
    if (end == 0) {
        return parser->head_length < HTTP_IN_HEAD_BYTES_MAX
                   ? HTTP_IN_MORE
                   : refuse(parser, 431, "the headers are too large");
    }
    status = read_head(parser, &problem);
    return status == 0 ? begin_body(parser, end) : refuse(parser, status, problem);
}

enum http_in_progress http_in_parser_take(struct http_in_parser *parser, const char *bytes,
                                          size_t length)
{
    REQUIRE(length <= http_in_parser_room(parser));
    if (!parser->is_head_done) {
        return take_head(parser, bytes, length);
    }
    if (length > 0) {
        memcpy(parser->body + parser->body_length, bytes, length);
        parser->body_length += length;
        parser->body[parser->body_length] = '\0';
    }
    return complete(parser);
}

const char *http_in_header_value(const struct http_in_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) == 0) {
            return request->headers[i].value;
        }
    }
    return NULL;
}
