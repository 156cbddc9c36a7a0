/* SPDX-License-Identifier: MIT
 *
 * option_url.h - URLs to talk to and addresses to listen on.
 *
 * Layer:  config. Pure; nothing is resolved.
 * Rule:   https only; http for a literal loopback host (127/8, ::1, localhost), elsewhere the
 *         caller decides. No user name in it, no query, no fragment. Messages never quote a URL
 *         that may hold a password.
 */
#ifndef REFRESHD_CONFIG_OPTION_URL_H
#define REFRESHD_CONFIG_OPTION_URL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* `canonical`: scheme and host in small letters, without final slashes. `is_clear_http`: http:// to
 * a host that is not this machine. */
bool option_url_parse(const char *text, size_t length, bool *is_clear_http, struct text *canonical,
                      struct text *problem);

/* host:port, [v6]:port or unix:/path; port 0 lets the system choose. */
bool option_address_parse(const char *text, size_t length, struct text *canonical,
                          struct text *problem);

#endif
