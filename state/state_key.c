/* SPDX-License-Identifier: MIT
 * state_key.c - see state_key.h. */
#include "state/state_key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

#define KEY_PATH_BYTES 4200

/* Made under another name and linked into place, so that nobody ever reads half a key. */
static enum result make_key(const char *path, struct fault *fault)
{
    char temporary[KEY_PATH_BYTES + 16];
    uint8_t key[STATE_KEY_BYTES];
    enum result result = RESULT_FAULT;
    int fd;

    (void)snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key)
        return fault_set(fault, FAULT_INTERNAL, "the system gives no random bytes: %s",
                         strerror(errno));
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        (void)fault_set(fault, errno == EACCES ? FAULT_PERMISSION : FAULT_CANNOT_CREATE,
                        "%s: cannot make the key file: %s", temporary, strerror(errno));
        goto out;
    }
    if (fchmod(fd, 0600) != 0 || write(fd, key, sizeof key) != (ssize_t)sizeof key ||
        fsync(fd) != 0 || (link(temporary, path) != 0 && errno != EEXIST))
        (void)fault_set(fault, errno == ENOSPC ? FAULT_TEMPORARY : FAULT_IO,
                        "%s: cannot write the key file: %s", path, strerror(errno));
    else
        result = RESULT_OK;
    (void)close(fd);
    (void)unlink(temporary);
out:
    memory_wipe(key, sizeof key);
    return result;
}

static enum result read_key(const char *path, int fd, uint8_t key[STATE_KEY_BYTES],
                            struct fault *fault)
{
    struct stat status;
    uint8_t bytes[STATE_KEY_BYTES + 1];
    ssize_t length;

    if (fstat(fd, &status) != 0)
        return fault_set(fault, FAULT_IO, "%s: %s", path, strerror(errno));
    if ((status.st_mode & 077) != 0)
        return fault_set(fault, FAULT_PERMISSION,
                         "%s may be read by others: `chmod 600 %s` (and remove it instead, if it "
                         "may have been read: a new one is made at the next start)",
                         path, path);
    length = read(fd, bytes, sizeof bytes);
    if (length != STATE_KEY_BYTES) {
        memory_wipe(bytes, sizeof bytes);
        return fault_set(fault, FAULT_DATA,
                         "%s is not a key of %d bytes: remove it, a new one is made at the next "
                         "start",
                         path, STATE_KEY_BYTES);
    }
    memcpy(key, bytes, STATE_KEY_BYTES);
    memory_wipe(bytes, sizeof bytes);
    return RESULT_OK;
}

enum result state_key_load(const char *database, bool create, uint8_t key[STATE_KEY_BYTES],
                           struct fault *fault)
{
    char path[KEY_PATH_BYTES];
    enum result result;
    int fd;

    (void)snprintf(path, sizeof path, "%s.key", database);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT && create) {
        if (make_key(path, fault) != RESULT_OK)
            return RESULT_FAULT;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (fd < 0)
        return fault_set(fault,
                         errno == ENOENT   ? FAULT_UNAVAILABLE
                         : errno == EACCES ? FAULT_PERMISSION
                                           : FAULT_IO,
                         "%s: cannot read the key file: %s", path, strerror(errno));
    result = read_key(path, fd, key, fault);
    (void)close(fd);
    return result;
}
