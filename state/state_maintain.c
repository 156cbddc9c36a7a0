/* SPDX-License-Identifier: MIT
 * state_maintain.c - copies of the state database, and retention applied at once. */
#include "state/state_maintain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state/state_care.h"

#define BACKUP_PAGES 256

void state_maintain_backup_name(const char *database, struct utc_time now, char *path,
                                size_t path_size)
{
    struct civil_time civil = civil_from_utc(now);

    (void)snprintf(path, path_size, "%s.backup-%04d%02d%02dT%02d%02d%02d.%03dZ", database,
                   civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second,
                   civil.millisecond);
}

/* Make what was written under `path` safe: the file, and its name in the directory. */
static enum result sync_file(const char *path, struct fault *fault)
{
    char directory[STATE_PATH_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) != 0) {
        (void)fault_set(fault, FAULT_IO, "%s: cannot sync: %s", path, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return RESULT_FAULT;
    }
    (void)close(fd);
    state_open_directory(path, directory);
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    return RESULT_OK;
}

/* Copy all pages. A writer beside us makes SQLite start over: that is its business, and ours to
 * go on. */
static enum result copy_pages(sqlite3 *source, sqlite3 *target, const char *path,
                              struct fault *fault)
{
    sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
    int code;

    if (backup == NULL)
        return fault_set(fault, FAULT_IO, "%s: cannot begin the copy: %s", path,
                         sqlite3_errmsg(target));
    do {
        code = sqlite3_backup_step(backup, BACKUP_PAGES);
        if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
            (void)sqlite3_sleep(20);
    } while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED);
    (void)sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE)
        return fault_set(fault, (code & 0xff) == SQLITE_FULL ? FAULT_TEMPORARY : FAULT_IO,
                         "%s: cannot write the copy: %s", path, sqlite3_errmsg(target));
    /* One file that anybody can read with any tool: no log beside it. */
    return state_sql_execute(target, "PRAGMA journal_mode = DELETE", "finish the copy", fault);
}

enum result state_maintain_backup(const char *database, const char *target, struct fault *fault)
{
    char temporary[STATE_PATH_BYTES + 128];
    struct stat status;
    sqlite3 *source = NULL;
    sqlite3 *copy = NULL;
    enum result result = RESULT_FAULT;
    int fd;

    if (stat(target, &status) == 0)
        return fault_set(fault, FAULT_CANNOT_CREATE,
                         "%s is there already: name another file for the copy", target);
    (void)snprintf(temporary, sizeof temporary, "%s.part", target);
    (void)unlink(temporary);
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return fault_set(fault, errno == EACCES ? FAULT_PERMISSION : FAULT_CANNOT_CREATE,
                         "%s: cannot create the copy: %s", temporary, strerror(errno));
    (void)fchmod(fd, 0640);
    (void)close(fd);
    if (state_open_connection(database, STATE_READ_ONLY, &source, fault) != RESULT_OK)
        goto out;
    if (sqlite3_open_v2(temporary, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        (void)fault_set(fault, FAULT_CANNOT_CREATE, "%s: %s", temporary, sqlite3_errmsg(copy));
        goto out;
    }
    result = copy_pages(source, copy, temporary, fault);
out:
    (void)sqlite3_close(source);
    (void)sqlite3_close(copy);
    if (result == RESULT_OK)
        result = sync_file(temporary, fault);
    if (result == RESULT_OK && rename(temporary, target) != 0)
        result =
            fault_set(fault, FAULT_IO, "%s: cannot rename the copy: %s", target, strerror(errno));
    if (result == RESULT_OK)
        return sync_file(target, fault);
    (void)unlink(temporary);
    return RESULT_FAULT;
}

enum result state_maintain_prune(struct state_store *store, struct utc_time now,
                                 struct prune_counts *counts, struct fault *fault)
{
    bool more = true;

    *counts = (struct prune_counts){0};
    while (more) {
        if (state_care_prune_step(store, now, counts, &more, fault) != RESULT_OK)
            return RESULT_FAULT;
        state_store_checkpoint_if_due(store);
    }
    return state_sql_execute(store->db, "PRAGMA incremental_vacuum", "give pages back", fault);
}
