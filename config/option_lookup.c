/* SPDX-License-Identifier: MIT
 * option_lookup.c - find rows of the option table, and guess what a mistyped key meant. */
#include "config/option_table.h"

#include <string.h>

#define SUGGEST_BYTES_MAX 40

const struct config_option *option_find(const char *path)
{
    for (size_t i = 0; i < option_table_count; i++)
        if (strcmp(option_table[i].path, path) == 0)
            return &option_table[i];
    return NULL;
}

/* What follows the parent in the path of `option`, or NULL when it lies elsewhere. */
static const char *path_under(const struct config_option *option,
                              const struct config_option *parent)
{
    size_t length;

    if (parent == NULL)
        return option->path;
    length = strlen(parent->path);
    if (strncmp(option->path, parent->path, length) != 0)
        return NULL;
    if (option->path[length] == '.')
        return option->path + length + 1;
    return option->path[length] == '[' ? option->path + length : NULL;
}

const struct config_option *option_next_child(const struct config_option *parent,
                                              const struct config_option *previous)
{
    const struct config_option *end = option_table + option_table_count;
    const struct config_option *option = option_table;

    if (previous != NULL)
        option = previous + 1;
    else if (parent != NULL)
        option = parent + 1;
    for (; option < end; option++) {
        const char *rest = path_under(option, parent);

        if (rest == NULL)
            return NULL; /* the rows under a parent follow it without a gap */
        if (strpbrk(rest, ".[") == NULL || strcmp(rest, "[]") == 0)
            return option;
    }
    return NULL;
}

const char *option_key(const struct config_option *option)
{
    const char *dot = strrchr(option->path, '.');
    size_t length = strlen(option->path);

    if (length > 2 && strcmp(option->path + length - 2, "[]") == 0)
        return option->path + length - 2;
    return dot == NULL ? option->path : dot + 1;
}

const struct config_option *option_child(const struct config_option *parent, const char *key)
{
    const struct config_option *any = NULL;

    for (const struct config_option *option = option_next_child(parent, NULL); option != NULL;
         option = option_next_child(parent, option)) {
        const char *own = option_key(option);

        if (strcmp(own, key) == 0)
            return option;
        if (strcmp(own, "*") == 0)
            any = option;
    }
    return any;
}

bool option_word_allowed(const char *words, const char *word, size_t length)
{
    while (words != NULL && length > 0) {
        const char *bar = strchr(words, '|');
        size_t own = bar == NULL ? strlen(words) : (size_t)(bar - words);

        if (own == length && memcmp(words, word, length) == 0)
            return true;
        words = bar == NULL ? NULL : bar + 1;
    }
    return false;
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + ('a' - 'A'));
    return c == '-' ? '_' : c;
}

/* How many letters have to be put in, left out, changed or swapped with their neighbour. */
static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][SUGGEST_BYTES_MAX + 1];

    for (unsigned j = 0; j <= b_length; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i + 2) % 3];
        const unsigned *two_above = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= b_length; j++) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);

            row[j] = smaller(above[j - 1] + !same, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_length % 3][b_length];
}

const char *option_suggest(const struct config_option *parent, const char *key)
{
    size_t length = strlen(key);
    const char *best = NULL;
    unsigned best_distance = length <= 3 ? 2 : 3; /* distances below this are believed */

    if (length < 2 || length > SUGGEST_BYTES_MAX)
        return NULL;
    for (const struct config_option *option = option_next_child(parent, NULL); option != NULL;
         option = option_next_child(parent, option)) {
        const char *own = option_key(option);
        size_t own_length = strlen(own);

        if (own_length > SUGGEST_BYTES_MAX || own[0] == '*' || own[0] == '[')
            continue;
        unsigned distance = edit_distance(key, length, own, own_length);

        if (distance < best_distance) {
            best = own;
            best_distance = distance;
        }
    }
    return best;
}
