/* SPDX-License-Identifier: MIT
 * sandbox_http_parse.c - the head of a request, split in place. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "sandbox/sandbox_http.h"

const char *sandbox_http_header(const struct sandbox_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static bool is_token(const char *text)
{
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text == 127 || strchr("()<>@,;:\\\"/[]?={}", *text) != NULL)
            return false;
    return true;
}

/* "METHOD SP target SP HTTP/1.x", NUL-ended; answers 0 or a status. */
static int parse_request_line(char *line, struct sandbox_http_request *request)
{
    char *target = strchr(line, ' ');
    char *version;
    char *query;

    if (target == NULL)
        return 400;
    *target++ = '\0';
    version = strchr(target, ' ');
    if (version == NULL)
        return 400;
    *version++ = '\0';
    if (strcmp(version, "HTTP/1.1") == 0)
        request->keep_alive = true;
    else if (strcmp(version, "HTTP/1.0") == 0)
        request->keep_alive = false;
    else
        return 400;
    if (!is_token(line) || target[0] != '/')
        return 400;
    query = strchr(target, '?');
    if (query != NULL)
        *query++ = '\0';
    request->method = line;
    request->path = target;
    request->query = query != NULL ? query : "";
    return 0;
}

/* "Name: value", NUL-ended; blanks around the value are dropped. */
static int parse_header_line(char *line, struct sandbox_http_request *request)
{
    char *value = strchr(line, ':');
    size_t length;

    if (value == NULL)
        return 400;
    *value++ = '\0';
    if (!is_token(line))
        return 400;
    if (request->header_count == SANDBOX_HTTP_HEADERS_MAX)
        return 431;
    value += strspn(value, " \t");
    length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        value[--length] = '\0';
    request->headers[request->header_count++] =
        (struct sandbox_http_header){.name = line, .value = value};
    return 0;
}

/* What the headers say about the body and the connection. */
static int read_framing(struct sandbox_http_request *request, size_t *body_length,
                        bool *expects_continue)
{
    const char *length_text = NULL;
    int64_t length = 0;

    *expects_continue = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const char *name = request->headers[i].name;
        const char *value = request->headers[i].value;

        if (strcasecmp(name, "content-length") == 0) {
            if (length_text != NULL && strcmp(length_text, value) != 0)
                return 400;
            length_text = value;
        } else if (strcasecmp(name, "transfer-encoding") == 0) {
            return 411;
        } else if (strcasecmp(name, "connection") == 0) {
            if (strcasecmp(value, "close") == 0)
                request->keep_alive = false;
            else if (strcasecmp(value, "keep-alive") == 0)
                request->keep_alive = true;
        } else if (strcasecmp(name, "expect") == 0) {
            *expects_continue = strcasecmp(value, "100-continue") == 0;
        }
    }
    if (length_text != NULL &&
        !integer_parse(length_text, strlen(length_text), 0, INT64_MAX, &length))
        return 400;
    if (length > SANDBOX_HTTP_BODY_BYTES_MAX)
        return 413;
    *body_length = (size_t)length;
    return 0;
}

int sandbox_http_parse_head(char *bytes, size_t head_length, struct sandbox_http_request *request,
                            size_t *body_length, bool *expects_continue)
{
    char *line = bytes;
    char *end = bytes + head_length;
    bool is_first = true;

    request->header_count = 0;
    while (line < end) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        int status;

        if (newline == NULL || newline == line || newline[-1] != '\r')
            return 400;
        newline[-1] = '\0';
        if (strlen(line) != (size_t)(newline - 1 - line))
            return 400; /* a NUL inside */
        if (line[0] == '\0')
            break;
        status = is_first ? parse_request_line(line, request) : parse_header_line(line, request);
        if (status != 0)
            return status;
        is_first = false;
        line = newline + 1;
    }
    if (is_first)
        return 400;
    return read_framing(request, body_length, expects_continue);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool sandbox_http_query(const struct sandbox_http_request *request, const char *name, char *out,
                        size_t out_size)
{
    size_t name_length = strlen(name);
    const char *p = request->query;

    while (*p != '\0') {
        size_t part = strcspn(p, "&");

        if (part > name_length && strncmp(p, name, name_length) == 0 && p[name_length] == '=') {
            const char *end = p + part;
            size_t length = 0;

            for (const char *c = p + name_length + 1; c < end; c++) {
                char decoded = *c == '+' ? ' ' : *c;

                if (*c == '%' && end - c > 2 && hex_value(c[1]) >= 0 && hex_value(c[2]) >= 0) {
                    decoded = (char)(hex_value(c[1]) * 16 + hex_value(c[2]));
                    c += 2;
                }
                if (length + 1 >= out_size)
                    return false;
                out[length++] = decoded;
            }
            out[length] = '\0';
            return true;
        }
        p += part;
        if (*p == '&')
            p++;
    }
    return false;
}
