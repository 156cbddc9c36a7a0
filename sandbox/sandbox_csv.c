/* SPDX-License-Identifier: MIT
 * sandbox_csv.c - a small CSV reader: two columns by name. */
#include "sandbox/sandbox_csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/sandbox_state.h"

#define FIELDS_MAX 64

size_t sandbox_csv_split(char *line, char **fields, size_t fields_max)
{
    size_t count = 0;
    char *read = line;

    line[strcspn(line, "\r\n")] = '\0';
    while (count < fields_max) {
        char *write = read;

        fields[count++] = write;
        if (*read == '"') {
            read++;
            for (;; read++) {
                if (*read == '\0')
                    return 0;
                if (*read == '"' && *++read != '"')
                    break;
                *write++ = *read;
            }
        }
        while (*read != ',' && *read != '\0')
            *write++ = *read++;
        if (*read == '\0') {
            *write = '\0';
            return count;
        }
        read++;
        *write = '\0';
    }
    return count;
}

static bool take_row(struct sandbox *sandbox, const struct sandbox_account *account, const char *id,
                     const char *bank)
{
    uint32_t subject = sandbox_jobs_subject(&sandbox->jobs, account->number, SANDBOX_API_FINQWARE,
                                            id, SANDBOX_NONE);
    uint32_t label = sandbox_names_number(&sandbox->names, bank);

    if (subject == SANDBOX_NONE || label == SANDBOX_NAME_NONE)
        return false;
    sandbox->jobs.subjects[subject].label = label;
    return true;
}

/* Where the two columns are; false when one is missing. */
static bool find_columns(char **fields, size_t count, size_t *id, size_t *bank)
{
    *id = FIELDS_MAX;
    *bank = FIELDS_MAX;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i], "id") == 0)
            *id = i;
        else if (strcmp(fields[i], "institution") == 0)
            *bank = i;
    }
    return *id != FIELDS_MAX && *bank != FIELDS_MAX;
}

enum result sandbox_csv_load_banks(struct sandbox *sandbox, const char *path, struct fault *fault)
{
    struct sandbox_account *account = sandbox_account_find(sandbox, "finqware", 8);
    FILE *file = fopen(path, "re");
    enum result result = RESULT_OK;
    char *line = NULL;
    size_t size = 0;
    size_t number = 0;
    size_t id = 0;
    size_t bank = 0;

    if (file == NULL)
        return fault_set(fault, FAULT_UNAVAILABLE, "banks_csv %s: %s", path, strerror(errno));
    if (account == NULL) {
        result = fault_set(fault, FAULT_INTERNAL, "out of memory for %s", path);
        goto out;
    }
    while (result == RESULT_OK && getline(&line, &size, file) > 0) {
        char *fields[FIELDS_MAX];
        size_t count = sandbox_csv_split(line, fields, FIELDS_MAX);

        number++;
        if (number == 1) {
            if (!find_columns(fields, count, &id, &bank))
                result = fault_set(fault, FAULT_DATA,
                                   "%s:1: want columns named \"id\" and \"institution\"", path);
        } else if (count > 1 && (id >= count || bank >= count)) {
            result = fault_set(fault, FAULT_DATA, "%s:%zu: too few fields", path, number);
        } else if (count > 1 && fields[bank][0] != '\0' &&
                   !take_row(sandbox, account, fields[id], fields[bank])) {
            result = fault_set(fault, FAULT_INTERNAL, "%s:%zu: out of memory", path, number);
        }
    }
    free(line);
out:
    (void)fclose(file);
    return result;
}
