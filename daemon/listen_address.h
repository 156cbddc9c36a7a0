/* SPDX-License-Identifier: MIT
 *
 * listen_address.h - "127.0.0.1:9410", "[::1]:0", "localhost:9410", "unix:/path": descriptors that
 * listen, and Unix sockets of any path length.
 *
 * Layer: daemon. All descriptors are non-blocking and close-on-exec.
 */
#ifndef REFRESHD_DAEMON_LISTEN_ADDRESS_H
#define REFRESHD_DAEMON_LISTEN_ADDRESS_H

#include "base/result.h"

#define LISTEN_ADDRESS_TEXT_SIZE 256

/* Listen on `address`. `bound` tells where: "127.0.0.1:43211" (the port found for 0), or the text
 * of a Unix address. Names are resolved, which may block: at start only. */
enum result listen_address_open(const char *address, int *fd, char bound[LISTEN_ADDRESS_TEXT_SIZE],
                                struct fault *fault) MUST_CHECK;

/* Listen on the Unix socket `path`, mode 0660. A socket file left there by a dead process is
 * removed, one that answers is a fault (75), and any other kind of file is a fault, too. */
enum result listen_address_open_unix(const char *path, int *fd, struct fault *fault) MUST_CHECK;

/* Connect to the Unix socket `path`; the descriptor blocks. FAULT_UNAVAILABLE where nobody listens,
 * FAULT_PERMISSION where the file system says no. */
enum result listen_address_connect_unix(const char *path, int *fd, struct fault *fault) MUST_CHECK;

#endif
