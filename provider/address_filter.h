/* SPDX-License-Identifier: MIT
 *
 * address_filter.h - may we connect to this address? The guard against a provider's name that
 * resolves into our own network (server-side request forgery).
 *
 * Layer:  provider. Pure: looks at bytes, resolves nothing.
 * Source: IANA special-purpose address registries (RFC 6890 and its updates), and the metadata
 *         addresses of the large clouds. IPv6 forms that carry an IPv4 address (mapped,
 *         compatible, NAT64, 6to4) are judged by the address they carry.
 */
#ifndef REFRESHD_PROVIDER_ADDRESS_FILTER_H
#define REFRESHD_PROVIDER_ADDRESS_FILTER_H

#include <stdbool.h>
#include <sys/socket.h>

/* True for an address of the public internet; false for loopback, link-local, private, shared
 * (CGNAT), documentation, benchmark, multicast, reserved, unspecified and cloud metadata
 * addresses, and for every family other than IPv4 and IPv6. */
bool address_is_public(const struct sockaddr *address);

/* True for 127.0.0.0/8, ::1, and 127.0.0.0/8 mapped into IPv6. */
bool address_is_loopback(const struct sockaddr *address);

/* The same address, whatever the ports; an IPv4 address mapped into IPv6 equals itself. */
bool address_is_same(const struct sockaddr *a, const struct sockaddr *b);

/* Read a literal address: "192.0.2.1", "2001:db8::1" (brackets around IPv6 are taken off). False
 * for anything else, names and shortened IPv4 forms ("127.1") included. */
bool address_parse(const char *text, size_t length, struct sockaddr_storage *out);

#endif
