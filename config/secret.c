/* SPDX-License-Identifier: MIT
 * secret.c - read secrets by reference, at the moment of use. */
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_BYTES_MAX ((size_t)64 * 1024)
#define PATH_BYTES_MAX 4096
static const char CUSTOMER_MARK[] = "{customer}";

/* A customer id becomes one path component and must not lead elsewhere. */
static bool is_safe_component(const char *customer)
{
    if (customer[0] == '\0' || customer[0] == '.')
        return false;
    for (const unsigned char *p = (const unsigned char *)customer; *p != '\0'; p++)
        if (*p == '/' || *p < 0x20 || *p == 0x7F)
            return false;
    return true;
}

static enum result expand_path(const char *pattern, const char *customer, struct text *path,
                               struct fault *fault)
{
    const char *rest = pattern;
    const char *mark;

    while ((mark = strstr(rest, CUSTOMER_MARK)) != NULL) {
        if (customer == NULL || customer[0] == '\0')
            return fault_set(fault, FAULT_CONFIGURATION,
                             "secret file %s: the consent has no customer to put in the place of "
                             "{customer}",
                             pattern);
        if (!is_safe_component(customer))
            return fault_set(fault, FAULT_DATA,
                             "secret file %s: this customer id cannot be part of a path (it holds "
                             "a slash or a control character, or starts with a dot)",
                             pattern);
        text_append(path, rest, (size_t)(mark - rest));
        text_append_string(path, customer);
        rest = mark + sizeof CUSTOMER_MARK - 1;
    }
    text_append_string(path, rest);
    if (path->is_cut || path->bytes == NULL)
        return fault_set(fault, FAULT_CONFIGURATION, "secret file %s: the path is too long",
                         pattern);
    return RESULT_OK;
}

/* Who can write the file decides whom we act for. Who can read it is for the operator to decide:
 * container platforms mount secrets readable for everybody inside. */
static enum result check_file(int fd, const char *path, struct fault *fault)
{
    struct stat status;

    if (fstat(fd, &status) != 0)
        return fault_set(fault, FAULT_IO, "secret file %s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fault_set(fault, FAULT_CONFIGURATION, "secret file %s is not a regular file", path);
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return fault_set(fault, FAULT_PERMISSION,
                         "secret file %s can be written by others (mode %04o); mend it with: "
                         "chmod go-w %s",
                         path, (unsigned)(status.st_mode & 07777), path);
    return RESULT_OK;
}

static enum result read_open_file(int fd, const char *path, struct text *secret,
                                  struct fault *fault)
{
    char buffer[4096];
    enum result result = RESULT_OK;
    ssize_t got;

    do {
        got = read(fd, buffer, sizeof buffer);
        if (got > 0)
            text_append(secret, buffer, (size_t)got);
    } while (got > 0 || (got < 0 && errno == EINTR));
    if (got < 0)
        result = fault_set(fault, FAULT_IO, "secret file %s: %s", path, strerror(errno));
    else if (secret->is_cut)
        result = fault_set(fault, FAULT_CONFIGURATION,
                           "secret file %s is longer than 64 KiB: is it the right file?", path);
    memory_wipe(buffer, sizeof buffer);
    return result;
}

static enum result read_file(const char *path, bool check_mode, struct text *secret,
                             struct fault *fault)
{
    /* O_NONBLOCK: opening a pipe by mistake must not wait for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    enum result result = RESULT_OK;

    if (fd < 0)
        return fault_set(fault, errno == EACCES ? FAULT_PERMISSION : FAULT_UNAVAILABLE,
                         "secret file %s: %s", path, strerror(errno));
    if (check_mode)
        result = check_file(fd, path, fault);
    if (result == RESULT_OK)
        result = read_open_file(fd, path, secret, fault);
    (void)close(fd);
    return result;
}

static enum result read_environment(const char *name, struct text *secret, struct fault *fault)
{
    const char *value = getenv(name);

    if (value == NULL)
        return fault_set(fault, FAULT_CONFIGURATION,
                         "the environment variable %s is not set; a secret refers to it", name);
    text_append_string(secret, value);
    return RESULT_OK;
}

/* systemd made the folder and its modes; only its content is looked at. */
static enum result read_credential(const char *name, struct text *secret, struct fault *fault)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    struct text path;
    enum result result;

    if (directory == NULL)
        return fault_set(fault, FAULT_CONFIGURATION,
                         "credential %s: CREDENTIALS_DIRECTORY is not set; add LoadCredential=%s "
                         "to the unit, or use {file: PATH}",
                         name, name);
    text_init(&path, PATH_BYTES_MAX);
    text_append_format(&path, "%s/%s", directory, name);
    if (path.is_cut || path.bytes == NULL)
        result = fault_set(fault, FAULT_CONFIGURATION, "credential %s: the path is too long", name);
    else
        result = read_file(path.bytes, false, secret, fault);
    text_deinit(&path);
    return result;
}

static enum result read_reference(const struct secret_reference *reference, const char *customer,
                                  struct text *secret, struct fault *fault)
{
    struct text path;
    enum result result;

    switch (reference->kind) {
    case SECRET_ENV: return read_environment(reference->name, secret, fault);
    case SECRET_CREDENTIAL: return read_credential(reference->name, secret, fault);
    case SECRET_FILE:
        text_init(&path, PATH_BYTES_MAX);
        result = expand_path(reference->name, customer, &path, fault);
        if (result == RESULT_OK)
            result = read_file(path.bytes, true, secret, fault);
        text_deinit(&path);
        return result;
    case SECRET_NONE: break;
    }
    return fault_set(fault, FAULT_CONFIGURATION, "no secret is configured here");
}

enum result secret_read(const struct secret_reference *reference, const char *customer,
                        struct text *secret, struct fault *fault)
{
    struct text found;
    struct text shown;
    enum result result;

    /* All memory at once: growing would leave copies of the secret behind. */
    text_init(&found, SECRET_BYTES_MAX);
    text_init(&shown, 256);
    found.bytes = malloc(SECRET_BYTES_MAX + 1);
    if (found.bytes == NULL)
        return fault_set(fault, FAULT_UNAVAILABLE, "out of memory while a secret was read");
    found.capacity = SECRET_BYTES_MAX + 1;
    found.bytes[0] = '\0';
    result = read_reference(reference, customer, &found, fault);
    if (result == RESULT_OK) {
        if (found.length > 0 && found.bytes[found.length - 1] == '\n')
            found.length--;
        if (found.length > 0 && found.bytes[found.length - 1] == '\r')
            found.length--;
        found.bytes[found.length] = '\0';
        secret_describe(reference, &shown);
        if (found.length == 0)
            result = fault_set(fault, FAULT_CONFIGURATION, "the secret %s is empty",
                               shown.bytes == NULL ? "" : shown.bytes);
        else if (memchr(found.bytes, '\0', found.length) != NULL)
            result = fault_set(fault, FAULT_CONFIGURATION, "the secret %s holds a NUL byte",
                               shown.bytes == NULL ? "" : shown.bytes);
        else
            text_append(secret, found.bytes, found.length);
    }
    text_deinit(&shown);
    text_wipe(&found);
    if (result == RESULT_OK && secret->is_cut)
        result = fault_set(fault, FAULT_CONFIGURATION, "a secret is longer than allowed here");
    return result;
}

void secret_describe(const struct secret_reference *reference, struct text *out)
{
    switch (reference->kind) {
    case SECRET_ENV: text_append_format(out, "{env: %s}", reference->name); break;
    case SECRET_FILE: text_append_format(out, "{file: %s}", reference->name); break;
    case SECRET_CREDENTIAL: text_append_format(out, "{credential: %s}", reference->name); break;
    case SECRET_NONE: text_append_string(out, "none"); break;
    }
}
