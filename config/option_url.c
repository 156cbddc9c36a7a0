/* SPDX-License-Identifier: MIT
 * option_url.c - take URLs and listen addresses apart, strictly. */
#include "config/option_url.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define HOST_BYTES_MAX 253
#define PATH_BYTES_MAX 2000

static void tell(struct text *problem, const char *message)
{
    if (problem != NULL)
        text_append_string(problem, message);
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

/* A name, a dotted IPv4 address, or an IPv6 address in brackets. */
static bool host_is_valid(const char *host, size_t length)
{
    if (length == 0 || length > HOST_BYTES_MAX)
        return false;
    if (host[0] == '[') {
        char address[64];
        struct in6_addr parsed;

        if (length < 4 || length >= sizeof address || host[length - 1] != ']')
            return false;
        memcpy(address, host + 1, length - 2);
        address[length - 2] = '\0';
        return inet_pton(AF_INET6, address, &parsed) == 1;
    }
    for (size_t i = 0; i < length; i++)
        if (!is_host_byte(host[i]))
            return false;
    return host[0] != '.' && host[0] != '-';
}

static bool host_is_loopback(const char *host, size_t length)
{
    char copy[HOST_BYTES_MAX + 1];
    struct in_addr v4;
    struct in6_addr v6;

    memcpy(copy, host, length);
    copy[length] = '\0';
    if (strcasecmp(copy, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, copy, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (host[0] != '[')
        return false;
    copy[length - 1] = '\0';
    return inet_pton(AF_INET6, copy + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Where the host ends: at the colon of a port, or at the end. */
static size_t host_length(const char *authority, size_t length)
{
    size_t i = 0;

    if (length > 0 && authority[0] == '[')
        while (i < length && authority[i] != ']')
            i++;
    while (i < length && authority[i] != ':')
        i++;
    return i;
}

static void append_lower(struct text *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        text_append(out, &c, 1);
    }
}

static bool authority_is_valid(const char *authority, size_t length, size_t host,
                               struct text *problem)
{
    int64_t port;

    if (memchr(authority, '@', length) != NULL) {
        tell(problem, "a URL may not hold a user name or password: use a secret reference");
        return false;
    }
    if (!host_is_valid(authority, host)) {
        tell(problem, "the URL has no valid host");
        return false;
    }
    if (host < length && !integer_parse(authority + host + 1, length - host - 1, 1, 65535, &port)) {
        tell(problem, "the URL has no valid port; 1 to 65535 is allowed");
        return false;
    }
    return true;
}

static bool path_is_valid(const char *path, size_t length, struct text *problem)
{
    if (memchr(path, '?', length) != NULL || memchr(path, '#', length) != NULL) {
        tell(problem, "a URL may not hold a query (?) or a fragment (#) here");
        return false;
    }
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)path[i] <= ' ' || (unsigned char)path[i] >= 0x7F ||
            strchr("\"<>\\^`{|}", path[i]) != NULL) {
            tell(problem, "the URL holds a character that must be written as %XX");
            return false;
        }
    if (length > PATH_BYTES_MAX) {
        tell(problem, "the URL is too long");
        return false;
    }
    return true;
}

bool option_url_parse(const char *text, size_t length, bool *is_clear_http, struct text *canonical,
                      struct text *problem)
{
    bool is_https = length >= 8 && strncasecmp(text, "https://", 8) == 0;
    bool is_http = length >= 7 && strncasecmp(text, "http://", 7) == 0;
    const char *authority = text + (is_https ? 8 : 7);
    size_t rest = length - (is_https ? 8 : 7);
    size_t authority_length = 0;
    size_t host;

    if (!is_https && !is_http) {
        tell(problem, "a URL must begin with https:// (http:// is for this machine only)");
        return false;
    }
    while (authority_length < rest && strchr("/?#", authority[authority_length]) == NULL)
        authority_length++;
    host = host_length(authority, authority_length);
    if (!authority_is_valid(authority, authority_length, host, problem) ||
        !path_is_valid(authority + authority_length, rest - authority_length, problem))
        return false;
    while (rest > authority_length && authority[rest - 1] == '/')
        rest--;
    if (canonical != NULL) {
        append_lower(canonical, text, (size_t)(authority - text) + host);
        text_append(canonical, authority + host, rest - host);
    }
    *is_clear_http = is_http && !host_is_loopback(authority, host);
    return true;
}

bool option_address_parse(const char *text, size_t length, struct text *canonical,
                          struct text *problem)
{
    size_t host = host_length(text, length);
    int64_t port;
    bool good;

    if (length > 6 && memcmp(text, "unix:/", 6) == 0)
        good = length - 5 < 108; /* sizeof sun_path */
    else
        good = host < length && host_is_valid(text, host) &&
               integer_parse(text + host + 1, length - host - 1, 0, 65535, &port);
    if (!good) {
        tell(problem, "not an address to listen on: write host:port, [v6]:port or unix:/path, such "
                      "as 127.0.0.1:9410");
        return false;
    }
    if (canonical != NULL)
        text_append(canonical, text, length);
    return true;
}
