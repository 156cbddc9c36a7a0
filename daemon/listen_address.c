/* SPDX-License-Identifier: MIT
 * listen_address.c - sockets that listen, on addresses as people write them. */
#include "daemon/listen_address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 512
#define UNIX_PREFIX "unix:"

static enum result fault_of_errno(struct fault *fault, const char *what, const char *address)
{
    int error = errno;
    enum fault_code code = FAULT_UNAVAILABLE;

    if (error == EACCES || error == EPERM) {
        code = FAULT_PERMISSION;
    } else if (error == EADDRINUSE) {
        code = FAULT_TEMPORARY;
    }
    return fault_set(fault, code, "%s %s: %s", what, address, strerror(error));
}

/* ---- Unix sockets ---- */

/* sun_path takes 107 bytes. Longer paths go through a descriptor of their folder, which the caller
 * closes (-1: not needed). */
static bool unix_address(const char *path, struct sockaddr_un *address, int *folder_fd)
{
    char folder[4096];
    const char *name = strrchr(path, '/');
    int length;

    *folder_fd = -1;
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof address->sun_path) {
        memcpy(address->sun_path, path, strlen(path) + 1);
        return true;
    }
    length =
        snprintf(folder, sizeof folder, "%.*s", name != NULL ? (int)(name - path + 1) : 0, path);
    if (name == NULL || length >= (int)sizeof folder) {
        errno = ENAMETOOLONG;
        return false;
    }
    *folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder_fd < 0) {
        return false;
    }
    length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s",
                      *folder_fd, name + 1);
    if (length >= (int)sizeof address->sun_path) {
        close(*folder_fd);
        *folder_fd = -1;
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

enum result listen_address_connect_unix(const char *path, int *fd, struct fault *fault)
{
    struct sockaddr_un address;
    int folder_fd;
    int connected = -1;
    enum result result = RESULT_OK;

    if (!unix_address(path, &address, &folder_fd)) {
        return fault_of_errno(fault, "cannot reach", path);
    }
    connected = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connected < 0 ||
        connect(connected, (const struct sockaddr *)&address, sizeof address) != 0) {
        result = fault_of_errno(fault, "cannot reach", path);
        close_if_open(connected);
    } else {
        *fd = connected;
    }
    close_if_open(folder_fd);
    return result;
}

/* Make room for the socket: only a socket that nobody answers on may be removed. */
static enum result remove_stale(const char *path, struct fault *fault)
{
    struct stat status;
    int fd = -1;

    if (lstat(path, &status) != 0) {
        return errno == ENOENT ? RESULT_OK : fault_of_errno(fault, "cannot look at", path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        return fault_set(fault, FAULT_CANNOT_CREATE,
                         "%s is there and is not a socket; move it away", path);
    }
    if (listen_address_connect_unix(path, &fd, NULL) == RESULT_OK) {
        close(fd);
        return fault_set(fault, FAULT_TEMPORARY, "another process listens on %s", path);
    }
    if (unlink(path) != 0 && errno != ENOENT) {
        return fault_of_errno(fault, "cannot remove the stale socket", path);
    }
    return RESULT_OK;
}

enum result listen_address_open_unix(const char *path, int *fd, struct fault *fault)
{
    struct sockaddr_un address;
    int folder_fd = -1;
    int opened = -1;
    mode_t mask;
    int failed;

    if (remove_stale(path, fault) != RESULT_OK) {
        return RESULT_FAULT;
    }
    if (!unix_address(path, &address, &folder_fd)) {
        return fault_of_errno(fault, "cannot listen on", path);
    }
    opened = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (opened < 0) {
        (void)fault_of_errno(fault, "cannot listen on", path);
        close_if_open(folder_fd);
        return RESULT_FAULT;
    }
    /* Born with its final mode, whatever the umask: never open to others, not for a moment. */
    mask = umask(0117);
    failed = bind(opened, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (failed != 0 || listen(opened, BACKLOG) != 0) {
        (void)fault_of_errno(fault, "cannot listen on", path);
        close(opened);
        close_if_open(folder_fd);
        return RESULT_FAULT;
    }
    close_if_open(folder_fd);
    *fd = opened;
    return RESULT_OK;
}

/* ---- host:port ---- */

/* Cut "host:port" or "[v6]:port" in two. */
static bool split(const char *address, char *host, size_t host_size, char *port, size_t port_size)
{
    const char *colon = strrchr(address, ':');
    const char *begin = address;
    size_t length;

    if (colon == NULL || colon == address || colon[1] == '\0' || strlen(colon + 1) >= port_size) {
        return false;
    }
    length = (size_t)(colon - address);
    if (address[0] == '[') {
        if (length < 3 || colon[-1] != ']') {
            return false;
        }
        begin++;
        length -= 2;
    } else if (memchr(address, ':', length) != NULL) {
        return false; /* an IPv6 address without brackets */
    }
    if (length >= host_size || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        atoi(colon + 1) > UINT16_MAX) {
        return false;
    }
    memcpy(host, begin, length);
    host[length] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return true;
}

static int open_found(const struct addrinfo *found)
{
    int on = 1;
    int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    found->ai_protocol);

    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (found->ai_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;

        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void describe(int fd, char bound[LISTEN_ADDRESS_TEXT_SIZE])
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char host[64] = "?";
    char port[16] = "?";

    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0) {
        (void)getnameinfo((const struct sockaddr *)&address, length, host, sizeof host, port,
                          sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    }
    (void)snprintf(bound, LISTEN_ADDRESS_TEXT_SIZE,
                   address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

enum result listen_address_open(const char *address, int *fd, char bound[LISTEN_ADDRESS_TEXT_SIZE],
                                struct fault *fault)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[200];
    char port[8];
    int opened;
    int error;

    if (strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        if (listen_address_open_unix(address + strlen(UNIX_PREFIX), fd, fault) != RESULT_OK) {
            return RESULT_FAULT;
        }
        (void)snprintf(bound, LISTEN_ADDRESS_TEXT_SIZE, "%s", address);
        return RESULT_OK;
    }
    if (!split(address, host, sizeof host, port, sizeof port)) {
        return fault_set(fault, FAULT_CONFIGURATION,
                         "\"%s\" is no address to listen on; write 127.0.0.1:9410, [::1]:9410 or "
                         "unix:/path",
                         address);
    }
    error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        return fault_set(fault, FAULT_CONFIGURATION, "cannot listen on %s: %s", address,
                         gai_strerror(error));
    }
    opened = open_found(found);
    freeaddrinfo(found);
    if (opened < 0) {
        return fault_of_errno(fault, "cannot listen on", address);
    }
    describe(opened, bound);
    *fd = opened;
    return RESULT_OK;
}
