/* SPDX-License-Identifier: MIT
 * transport_sockets.c - which descriptor a connection of libcurl's pool has, and whether bytes wait
 * on it that nobody asked for.
 *
 * libcurl tells the four ends of a connection before each request, but not its descriptor; so those
 * are noted when sockets open, named when they carry their first request, and forgotten when
 * libcurl closes them. The loop goes on watching a socket between two requests; what becomes ready
 * then is nobody's, and its watch ends. */
#include "provider/transport_private.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

static uint64_t key_of(const struct socket_ends *ends)
{
    uint64_t ports = (uint64_t)(uint32_t)ends->remote_port << 32 | (uint32_t)ends->local_port;

    return hash_bytes(ends->local, strlen(ends->local),
                      hash_bytes(ends->remote, strlen(ends->remote), ports)) |
           1; /* 0 says: not named yet */
}

void transport_socket_opened(struct transport_shard *shard, int fd)
{
    struct socket_note *grown;

    if (shard->socket_count == shard->socket_capacity) {
        uint32_t capacity = shard->socket_capacity == 0 ? 16 : shard->socket_capacity * 2;

        grown = realloc(shard->sockets, capacity * sizeof *grown);
        if (grown == NULL) {
            return; /* its connection is then taken for fresh each time */
        }
        shard->sockets = grown;
        shard->socket_capacity = capacity;
    }
    shard->sockets[shard->socket_count++] = (struct socket_note){.fd = fd};
}

static struct socket_note *note_of(struct transport_shard *shard, int fd)
{
    for (uint32_t i = 0; i < shard->socket_count; i++) {
        if (shard->sockets[i].fd == fd) {
            return &shard->sockets[i];
        }
    }
    return NULL;
}

void transport_socket_interest(struct transport_shard *shard, int fd, unsigned interest)
{
    struct socket_note *note = note_of(shard, fd);

    if (note != NULL) {
        note->interest = interest;
    }
}

bool transport_socket_rest(struct transport_shard *shard, int fd, void *watch)
{
    struct socket_note *note = note_of(shard, fd);

    if (note == NULL || note->interest != TRANSPORT_READ) {
        return false;
    }
    note->watch = watch;
    return true;
}

void *transport_socket_wake(struct transport_shard *shard, int fd)
{
    struct socket_note *note = note_of(shard, fd);
    void *watch = NULL;

    if (note != NULL) {
        watch = note->watch;
        note->watch = NULL;
    }
    return watch;
}

void transport_socket_closed(struct transport_shard *shard, int fd)
{
    const struct transport_hooks *hooks = &shard->client->transport->hooks;
    struct socket_note *note = note_of(shard, fd);

    if (note == NULL) {
        return;
    }
    if (note->watch != NULL) {
        hooks->socket_forget(hooks->context, note->watch);
    }
    *note = shard->sockets[--shard->socket_count];
}

static int port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    if (address->ss_family == AF_INET) {
        memcpy(&in4, address, sizeof in4);
        return ntohs(in4.sin_port);
    }
    memcpy(&in6, address, sizeof in6);
    return ntohs(in6.sin6_port);
}

void transport_socket_name(struct transport_shard *shard, const struct socket_ends *ends)
{
    for (uint32_t i = 0; i < shard->socket_count; i++) {
        struct socket_note *note = &shard->sockets[i];
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;

        if (note->key == 0 && getsockname(note->fd, (struct sockaddr *)&address, &length) == 0 &&
            port_of(&address) == ends->local_port) {
            note->key = key_of(ends);
            return;
        }
    }
}

bool transport_socket_is_stale(struct transport_shard *shard, const struct socket_ends *ends)
{
    uint64_t key = key_of(ends);
    char stray[512];
    ssize_t length;
    uint32_t i = 0;

    while (i < shard->socket_count && shard->sockets[i].key != key) {
        i++;
    }
    if (i == shard->socket_count) {
        return false;
    }
    length = recv(shard->sockets[i].fd, stray, sizeof stray, MSG_DONTWAIT);
    if (length < 0) {
        return errno != EAGAIN && errno != EWOULDBLOCK;
    }
    while (length == (ssize_t)sizeof stray) {
        length = recv(shard->sockets[i].fd, stray, sizeof stray, MSG_DONTWAIT);
    }
    shutdown(shard->sockets[i].fd, SHUT_RDWR); /* libcurl finds it dead the next time */
    return true;
}
