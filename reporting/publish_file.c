/* SPDX-License-Identifier: MIT
 * publish_file.c - see publish_file.h. */
#include "reporting/publish_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum result errno_fault(struct fault *fault, const char *path, const char *doing)
{
    enum fault_code code = FAULT_IO;
    int error = errno;

    if (error == EACCES || error == EPERM || error == EROFS)
        code = FAULT_PERMISSION;
    else if (error == ENOENT || error == ENOTDIR)
        code = FAULT_CANNOT_CREATE;
    else if (error == ENOSPC || error == EDQUOT || error == EMFILE || error == ENFILE)
        code = FAULT_TEMPORARY;
    return fault_set(fault, code, "%s: %s: %s", path, doing, strerror(error));
}

static enum result folder_of(const char *path, char folder[PUBLISH_PATH_BYTES], struct fault *fault)
{
    char *slash;

    if ((size_t)snprintf(folder, PUBLISH_PATH_BYTES, "%s", path) >= PUBLISH_PATH_BYTES)
        return fault_set(fault, FAULT_CONFIGURATION, "%.200s...: the path is too long", path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        (void)strcpy(folder, ".");
    else
        slash[slash == folder ? 1 : 0] = '\0';
    return RESULT_OK;
}

enum result publish_file_create(const char *path, char temporary[PUBLISH_PATH_BYTES], int *fd,
                                struct fault *fault)
{
    char folder[PUBLISH_PATH_BYTES];
    int opened;

    if (folder_of(path, folder, fault) != RESULT_OK)
        return RESULT_FAULT;
    if ((size_t)snprintf(temporary, PUBLISH_PATH_BYTES, "%s.tmp", path) >= PUBLISH_PATH_BYTES)
        return fault_set(fault, FAULT_CONFIGURATION, "%.200s...: the path is too long", path);
    if (mkdir(folder, 0750) != 0 && errno != EEXIST)
        return errno_fault(fault, folder, "cannot make this directory");
    if (unlink(temporary) != 0 && errno != ENOENT)
        return errno_fault(fault, temporary, "cannot remove what a crash left");
    opened = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (opened < 0)
        return errno_fault(fault, temporary, "cannot create");
    *fd = opened;
    return RESULT_OK;
}

static enum result sync_path(const char *path, int flags, struct fault *fault)
{
    int fd = open(path, flags | O_CLOEXEC);
    enum result result = RESULT_OK;

    if (fd < 0)
        return errno_fault(fault, path, "cannot open to sync");
    if (fsync(fd) != 0)
        result = errno_fault(fault, path, "cannot sync");
    (void)close(fd);
    return result;
}

enum result publish_file_commit(const char *temporary, const char *path, struct fault *fault)
{
    char folder[PUBLISH_PATH_BYTES];

    if (folder_of(path, folder, fault) != RESULT_OK ||
        sync_path(temporary, O_RDWR, fault) != RESULT_OK) {
        publish_file_abandon(temporary);
        return RESULT_FAULT;
    }
    if (rename(temporary, path) != 0) {
        (void)errno_fault(fault, path, "cannot put the new file in its place");
        publish_file_abandon(temporary);
        return RESULT_FAULT;
    }
    return sync_path(folder, O_RDONLY | O_DIRECTORY, fault);
}

void publish_file_abandon(const char *temporary)
{
    (void)unlink(temporary);
}
