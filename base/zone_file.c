/* SPDX-License-Identifier: MIT
 * zone_file.c - see zone_file.h. */
#include "base/zone_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_LENGTH_MAX 255
#define FILE_BYTES_MAX ((size_t)256 * 1024) /* the largest real one has 4 KiB */

/* Words separated by single slashes, without dots: nothing that can leave the directory. */
static bool is_zone_name(const char *name)
{
    size_t length = strnlen(name, NAME_LENGTH_MAX + 1);

    if (length == 0 || length > NAME_LENGTH_MAX || name[0] == '/' || name[length - 1] == '/' ||
        strstr(name, "//") != NULL)
        return false;
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") !=
        length)
        return false;
    /* Links to the host's own zone, and Debian's default for POSIX rules. */
    return strcmp(name, "localtime") != 0 && strcmp(name, "posixrules") != 0;
}

static enum result unknown_zone(const char *directory, const char *name, struct fault *fault)
{
    return fault_set(fault, FAULT_CONFIGURATION,
                     "unknown time zone \"%.64s\": not in %s (an IANA name such as Europe/London "
                     "is needed)",
                     name, directory);
}

/* Read up to `capacity` bytes. -1 with errno set on an error. */
static ssize_t read_whole(int fd, unsigned char *bytes, size_t capacity)
{
    size_t length = 0;

    while (length < capacity) {
        ssize_t got = read(fd, bytes + length, capacity - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

static enum result open_zone(const char *directory, const char *name, int *fd, struct fault *fault)
{
    char path[PATH_MAX];
    struct stat status;

    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return unknown_zone(directory, name, fault);
    /* Not blocking: the name may be that of a pipe. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return unknown_zone(directory, name, fault);
    if (*fd < 0 || fstat(*fd, &status) != 0)
        return fault_set(fault, FAULT_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return unknown_zone(directory, name, fault);
    return RESULT_OK;
}

enum result zone_load(const char *directory, const char *name, struct arena *arena,
                      const struct zone **out, struct fault *fault)
{
    enum result result = RESULT_FAULT;
    unsigned char *bytes = NULL;
    ssize_t length;
    int fd = -1;

    if (strcmp(name, "UTC") == 0 || strcmp(name, "Etc/UTC") == 0) {
        *out = &zone_utc;
        return RESULT_OK;
    }
    if (!is_zone_name(name))
        return unknown_zone(directory, name, fault);
    if (open_zone(directory, name, &fd, fault) != RESULT_OK)
        goto out;
    bytes = malloc(FILE_BYTES_MAX);
    if (bytes == NULL) {
        result = fault_set(fault, FAULT_INTERNAL, "out of memory");
        goto out;
    }
    length = read_whole(fd, bytes, FILE_BYTES_MAX);
    if (length < 0) {
        result = fault_set(fault, FAULT_IO, "%s/%s: %s", directory, name, strerror(errno));
        goto out;
    }
    result = zone_parse(name, bytes, (size_t)length, arena, out, fault);
    if (result != RESULT_OK)
        result = fault_prefix(fault, "%s/%s", directory, name);
out:
    free(bytes);
    if (fd >= 0)
        (void)close(fd);
    return result;
}

/* The first line of a file without its newline; false when there is none. */
static bool first_line(const char *directory, const char *name, char *line, int size)
{
    char path[PATH_MAX];
    FILE *file;
    bool is_read;

    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return false;
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    is_read = fgets(line, size, file) != NULL;
    (void)fclose(file);
    if (is_read)
        line[strcspn(line, "\n")] = '\0';
    return is_read;
}

char *zone_data_version(const char *directory, char text[ZONE_VERSION_SIZE])
{
    static const char prefix[] = "# version ";
    char line[64];
    const char *version = "unknown";

    if (first_line(directory, "tzdata.zi", line, sizeof line) &&
        strncmp(line, prefix, sizeof prefix - 1) == 0)
        version = line + sizeof prefix - 1;
    else if (first_line(directory, "+VERSION", line, sizeof line))
        version = line;
    (void)snprintf(text, ZONE_VERSION_SIZE, "%.*s", ZONE_VERSION_SIZE - 1, version);
    return text;
}
