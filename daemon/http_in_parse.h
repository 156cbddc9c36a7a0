/* SPDX-License-Identifier: MIT
 *
 * http_in_parse.h - the strict reader of one HTTP request: bytes in, a request or a refusal out.
 *
 * Layer:  daemon. No sockets, no clock: the same bytes give the same verdict, however they are cut
 *         into pieces.
 * Source: RFC 9112 sections 2-6, without its allowances for old or broken senders.
 */
#ifndef REFRESHD_DAEMON_HTTP_IN_PARSE_H
#define REFRESHD_DAEMON_HTTP_IN_PARSE_H

#include "daemon/http_in.h"

enum http_in_progress {
    HTTP_IN_MORE,     /* bytes are missing */
    HTTP_IN_CONTINUE, /* once, before HTTP_IN_MORE: the sender waits for "100 Continue" */
    HTTP_IN_COMPLETE, /* `request` is filled */
    HTTP_IN_REFUSED,  /* `status` and `problem` are filled */
};

struct http_in_parser {
    char *head; /* HTTP_IN_HEAD_BYTES_MAX + 1 bytes, cut up in place once complete */
    size_t head_length;
    size_t head_scanned; /* so far without the empty line, and clean */
    bool is_head_done;
    char *body;
    size_t body_length; /* arrived */
    size_t body_wanted; /* announced */
    int status;
    const char *problem;
    struct http_in_request request;
    struct http_in_header headers[HTTP_IN_HEADERS_MAX];
};

/* All zero is an empty parser. */
void http_in_parser_deinit(struct http_in_parser *parser);

/* How many bytes to give it next, at most; 0 when it has all it wants. */
size_t http_in_parser_room(const struct http_in_parser *parser);

/* Take `length` bytes, not more than its room. After HTTP_IN_CONTINUE call it again with none.
 * Bytes beyond a complete request are the caller's to refuse. */
enum http_in_progress http_in_parser_take(struct http_in_parser *parser, const char *bytes,
                                          size_t length);

#endif
