/* SPDX-License-Identifier: MIT
 * address_filter.c - special-purpose addresses as two tables. */
#include "provider/address_filter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct network4 {
    uint8_t bytes[4];
    uint8_t bits;
};

static const struct network4 special4[] = {
    {{0, 0, 0, 0}, 8},        /* "this network", unspecified */
    {{10, 0, 0, 0}, 8},       /* private */
    {{100, 64, 0, 0}, 10},    /* shared (CGNAT); one cloud's metadata */
    {{127, 0, 0, 0}, 8},      /* loopback */
    {{168, 63, 129, 16}, 32}, /* one cloud's host agent */
    {{169, 254, 0, 0}, 16},   /* link-local; metadata of most clouds */
    {{172, 16, 0, 0}, 12},    /* private */
    {{192, 0, 0, 0}, 24},     /* protocol assignments; one cloud's metadata */
    {{192, 0, 2, 0}, 24},     /* documentation */
    {{192, 88, 99, 0}, 24},   /* old 6to4 relays */
    {{192, 168, 0, 0}, 16},   /* private */
    {{198, 18, 0, 0}, 15},    /* benchmarks */
    {{198, 51, 100, 0}, 24},  /* documentation */
    {{203, 0, 113, 0}, 24},   /* documentation */
    {{224, 0, 0, 0}, 4},      /* multicast */
    {{240, 0, 0, 0}, 4},      /* reserved, broadcast */
};

struct network6 {
    uint8_t bytes[16];
    uint8_t bits;
    int8_t embedded4; /* where an IPv4 address begins that decides; -1: always special */
};

static const struct network6 special6[] = {
    {{0}, 96, 12},                                        /* ::, ::1, IPv4-compatible */
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 12}, /* IPv4-mapped */
    {{0, 0x64, 0xff, 0x9b}, 96, 12},                      /* NAT64 */
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, -1},                /* local NAT64 */
    {{1}, 64, -1},                                        /* discard */
    {{0x20, 0x01}, 32, -1},                               /* Teredo */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, -1},                   /* documentation */
    {{0x20, 0x02}, 16, 2},                                /* 6to4 */
    {{0x3f, 0xff}, 20, -1},                               /* documentation */
    {{0xfc}, 7, -1},                                      /* unique local */
    {{0xfe, 0x80}, 10, -1},                               /* link-local */
    {{0xfe, 0xc0}, 10, -1},                               /* site-local */
    {{0xff}, 8, -1},                                      /* multicast */
};

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool prefix_matches(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;

    if (memcmp(address, network, whole) != 0) {
        return false;
    }
    return rest == 0 || ((address[whole] ^ network[whole]) >> (8 - rest)) == 0;
}

static bool is_public4(const uint8_t bytes[4])
{
    for (size_t i = 0; i < sizeof special4 / sizeof special4[0]; i++) {
        if (prefix_matches(bytes, special4[i].bytes, special4[i].bits)) {
            return false;
        }
    }
    return true;
}

static bool is_public6(const uint8_t bytes[16])
{
    for (size_t i = 0; i < sizeof special6 / sizeof special6[0]; i++) {
        if (prefix_matches(bytes, special6[i].bytes, special6[i].bits)) {
            return special6[i].embedded4 >= 0 && is_public4(bytes + special6[i].embedded4);
        }
    }
    return true;
}

/* The address as 16 bytes, IPv4 in its mapped form. False for other families. */
static bool to_mapped(const struct sockaddr *address, uint8_t out[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in4;

        memcpy(&in4, address, sizeof in4);
        memcpy(out, mapped_prefix, sizeof mapped_prefix);
        memcpy(out + 12, &in4.sin_addr, 4);
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        memcpy(out, &in6.sin6_addr, 16);
        return true;
    }
    return false;
}

bool address_is_public(const struct sockaddr *address)
{
    uint8_t bytes[16];

    return to_mapped(address, bytes) && is_public6(bytes);
}

bool address_is_loopback(const struct sockaddr *address)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    uint8_t bytes[16];

    if (!to_mapped(address, bytes)) {
        return false;
    }
    return memcmp(bytes, loopback6, 16) == 0 ||
           (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0 && bytes[12] == 127);
}

bool address_is_same(const struct sockaddr *a, const struct sockaddr *b)
{
    uint8_t bytes_a[16];
    uint8_t bytes_b[16];

    return to_mapped(a, bytes_a) && to_mapped(b, bytes_b) && memcmp(bytes_a, bytes_b, 16) == 0;
}

bool address_parse(const char *text, size_t length, struct sockaddr_storage *out)
{
    char copy[INET6_ADDRSTRLEN];
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof copy || memchr(text, '\0', length) != NULL) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET, copy, &in4.sin_addr) == 1) {
        memset(out, 0, sizeof *out);
        memcpy(out, &in4, sizeof in4);
        return true;
    }
    if (inet_pton(AF_INET6, copy, &in6.sin6_addr) == 1) {
        memset(out, 0, sizeof *out);
        memcpy(out, &in6, sizeof in6);
        return true;
    }
    return false;
}
