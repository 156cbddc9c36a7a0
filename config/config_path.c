/* SPDX-License-Identifier: MIT
 * config_path.c - relative paths start at the folder of the file that names them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config_load.h"

#define PATH_TEXT_MAX 16384

/* Append the components of `path` to the absolute path in `out`. */
static void append_components(struct text *out, const char *path)
{
    while (*path != '\0') {
        size_t length = strcspn(path, "/");

        if (length == 2 && memcmp(path, "..", 2) == 0) {
            while (out->length > 0 && out->bytes[--out->length] != '/')
                ;
            if (out->bytes != NULL)
                out->bytes[out->length] = '\0';
        } else if (length > 0 && !(length == 1 && path[0] == '.')) {
            text_append(out, "/", 1);
            text_append(out, path, length);
        }
        path += length;
        while (*path == '/')
            path++;
    }
}

const char *config_path_resolve(struct arena *arena, const char *file, const char *path)
{
    const char *slash = file == NULL ? NULL : strrchr(file, '/');
    const char *resolved = NULL;
    struct text out;

    text_init(&out, PATH_TEXT_MAX);
    if (path[0] != '/') {
        if (file == NULL || file[0] != '/') {
            char *folder = getcwd(NULL, 0);

            append_components(&out, folder == NULL ? "/" : folder);
            free(folder);
        }
        if (slash != NULL) {
            char *folder = strndup(file, (size_t)(slash - file));

            if (folder != NULL)
                append_components(&out, folder);
            free(folder);
        }
    }
    append_components(&out, path);
    if (out.length == 0)
        text_append(&out, "/", 1);
    if (out.bytes != NULL && !out.is_cut)
        resolved = arena_copy_packed(arena, out.bytes, out.length);
    text_deinit(&out);
    return resolved;
}

const char *config_path_to_open(struct load *load, const char *path)
{
    if (load->as_path == NULL || strcmp(load->as_path, path) != 0)
        return path;
    load->as_was_used = true;
    return load->options->as_path;
}
