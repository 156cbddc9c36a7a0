/* SPDX-License-Identifier: MIT
 * state_lock.c - see state_lock.h. */
#include "state/state_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCK_PATH_BYTES 4200
#define LOCK_TEXT_BYTES 128

static void lock_path(const char *database, char path[LOCK_PATH_BYTES])
{
    (void)snprintf(path, LOCK_PATH_BYTES, "%s.lock", database);
}

/* The whole file, for writing. */
static int lock_call(int fd, int command, struct flock *lock)
{
    *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, command, lock);
}

/* First line of the file: "pid command". */
static void read_holder(int fd, char *holder, size_t size)
{
    ssize_t length = pread(fd, holder, size - 1, 0);

    holder[length > 0 ? length : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
}

static enum result say_held(const char *database, int fd, struct fault *fault)
{
    char holder[LOCK_TEXT_BYTES];

    read_holder(fd, holder, sizeof holder);
    return fault_set(fault, FAULT_TEMPORARY,
                     "%s is in use by another refreshd (%s%s): only one may send and write",
                     database, holder[0] == '\0' ? "unknown process" : "process ", holder);
}

enum result state_lock_take(const char *database, const char *command, struct state_lock *lock,
                            struct fault *fault)
{
    char path[LOCK_PATH_BYTES];
    char text[LOCK_TEXT_BYTES];
    struct flock request;
    int length;
    int fd;

    lock_path(database, path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return fault_set(fault,
                         errno == EACCES || errno == EPERM ? FAULT_PERMISSION : FAULT_CANNOT_CREATE,
                         "%s: cannot open the lock file: %s", path, strerror(errno));
    if (lock_call(fd, F_OFD_SETLK, &request) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            (void)say_held(database, fd, fault);
        else
            (void)fault_set(fault, FAULT_IO, "%s: cannot lock: %s", path, strerror(errno));
        (void)close(fd);
        return RESULT_FAULT;
    }
    length = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), command);
    /* Only for people: a full disk does not make the lock weaker. */
    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) < 0)
        errno = 0;
    lock->fd = fd;
    return RESULT_OK;
}

void state_lock_release(struct state_lock *lock)
{
    if (lock->fd >= 0)
        (void)close(lock->fd);
    lock->fd = -1;
}

bool state_lock_is_held(const char *database, char *holder, size_t holder_size)
{
    char path[LOCK_PATH_BYTES];
    struct flock request;
    bool is_held;
    int fd;

    lock_path(database, path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    is_held = lock_call(fd, F_OFD_GETLK, &request) == 0 && request.l_type != F_UNLCK;
    if (holder != NULL)
        read_holder(fd, holder, holder_size);
    (void)close(fd);
    return is_held;
}
