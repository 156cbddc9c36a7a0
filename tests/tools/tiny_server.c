/* SPDX-License-Identifier: MIT
 * tiny_server.c - the cheapest HTTP server there can be, as a yardstick for clients.
 *
 * tiny_server          listens on a free port of 127.0.0.1, prints it, answers each complete
 * request with the same 200 and 132 bytes of JSON, keeps connections; until SIGTERM, then prints
 * {"requests":N,"connections":N}. It understands just enough: a request ends after its
 * Content-Length, which is found in any case of letters as long as no header is folded. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define BUFFER_BYTES 16384
#define EVENTS_MAX 256

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 132\r\n"
    "X-Request-Id: 0123456789abcdef\r\n\r\n"
    "{\"operation_id\":\"6f2c1a0e-5a7b-4d2e-9c1f-0123456789ab\",\"data\":{\"task_id\":"
    "\"6f2c1a0e-5a7b-4d2e-9c1f-0123456789ab\",\"status\":\"STARTED\"}}";

struct connection {
    char bytes[BUFFER_BYTES];
    size_t length;
};

static struct connection *connections[CONNECTIONS_MAX];
static volatile sig_atomic_t is_stopping;
static unsigned long long request_count;
static unsigned long long connection_count;

static void on_signal(int number)
{
    (void)number;
    is_stopping = 1;
}

/* Length of the first request in the buffer, 0 when it is not complete. */
static size_t request_length(const struct connection *connection)
{
    const char *end = memmem(connection->bytes, connection->length, "\r\n\r\n", 4);
    const char *line = connection->bytes;
    size_t total;

    if (end == NULL) {
        return 0;
    }
    total = (size_t)(end - connection->bytes) + 4;
    while (line < end) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            total += (size_t)atol(line + 15);
        }
        line = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1;
    }
    return total <= connection->length ? total : 0;
}

static void close_connection(int fd)
{
    free(connections[fd]);
    connections[fd] = NULL;
    close(fd);
}

static void serve(int fd)
{
    struct connection *connection = connections[fd];
    ssize_t count = recv(fd, connection->bytes + connection->length,
                         sizeof connection->bytes - 1 - connection->length, 0);
    size_t length;

    if (count <= 0) {
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
            close_connection(fd);
        }
        return;
    }
    connection->length += (size_t)count;
    connection->bytes[connection->length] = '\0';
    while ((length = request_length(connection)) > 0) {
        request_count++;
        connection->length -= length;
        memmove(connection->bytes, connection->bytes + length, connection->length + 1);
        if (send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL) != (ssize_t)sizeof answer - 1) {
            close_connection(fd);
            return;
        }
    }
    if (connection->length == sizeof connection->bytes - 1) {
        close_connection(fd);
    }
}

static void take(int epoll, int listener)
{
    int on = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};

    if (fd < 0) {
        return;
    }
    if (fd >= CONNECTIONS_MAX || (connections[fd] = calloc(1, sizeof **connections)) == NULL) {
        close(fd);
        return;
    }
    connection_count++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    event.data.fd = fd;
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGTERM, &action, NULL);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("tiny_server");
        return 1;
    }
    event.data.fd = listener;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (!is_stopping) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener) {
                take(epoll, listener);
            } else if (connections[events[i].data.fd] != NULL) {
                serve(events[i].data.fd);
            }
        }
    }
    printf("{\"requests\":%llu,\"connections\":%llu}\n", request_count, connection_count);
    return 0;
}
