/* SPDX-License-Identifier: MIT
 * evidence_text.c - escape, cut, and keep secrets out. */
#include "provider/evidence_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define SECRETS_MAX 4

struct secrets {
    struct request_value items[SECRETS_MAX];
    size_t count;
    char basic[REQUEST_BASIC_SIZE];
    size_t basic_length;
};

static void add_secret(struct secrets *secrets, struct request_value value)
{
    if (value.length > 0)
        secrets->items[secrets->count++] = value;
}

/* Those that a text of `length` bytes can hold. */
static void secrets_init(struct secrets *secrets, const struct request_variables *ours,
                         size_t length)
{
    secrets->count = 0;
    secrets->basic_length = 0;
    if (ours == NULL)
        return;
    add_secret(secrets, ours->values[API_VARIABLE_CLIENT_SECRET]);
    add_secret(secrets, ours->values[API_VARIABLE_TOKEN]);
    add_secret(secrets, ours->values[API_VARIABLE_CUSTOMER_SECRET]);
    if (length > ours->values[API_VARIABLE_CLIENT_ID].length +
                     ours->values[API_VARIABLE_CLIENT_SECRET].length) {
        secrets->basic_length = request_basic(ours, secrets->basic);
        add_secret(secrets, (struct request_value){secrets->basic, secrets->basic_length});
    }
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

static bool is_hex(const char *at, size_t left, unsigned char byte)
{
    return left >= 2 && hex_value(at[0]) == byte >> 4 && hex_value(at[1]) == (byte & 15);
}

enum echo { ECHO_RAW, ECHO_PERCENT, ECHO_JSON, ECHO_COUNT };

/* As written in a JSON string, or in a JSON string that stands in a JSON string: any number of
 * backslashes before a quote, a slash or u00XX; a backslash itself is doubled. */
static size_t match_json(const char *at, size_t left, char byte)
{
    size_t run = 0;

    if (byte == '\\')
        return left >= 2 && at[0] == '\\' && at[1] == '\\' ? 2 : 0;
    while (run < left && at[run] == '\\')
        run++;
    if (run == 0)
        return left > 0 && at[0] == byte && byte != '"' ? 1 : 0;
    if (run < left && at[run] == byte && (byte == '"' || byte == '/'))
        return run + 1;
    if (left - run >= 5 && memcmp(at + run, "u00", 3) == 0 &&
        is_hex(at + run + 3, left - run - 3, (unsigned char)byte))
        return run + 5;
    return 0;
}

/* How many bytes at `at` stand for `byte`, in one way of writing; 0: they do not. */
static size_t match_byte(const char *at, size_t left, char byte, enum echo echo)
{
    const bool is_same = left > 0 && at[0] == byte;

    switch (echo) {
    case ECHO_PERCENT:
        if (left >= 3 && at[0] == '%' && is_hex(at + 1, left - 1, (unsigned char)byte))
            return 3;
        return (is_same && byte != '%') || (left > 0 && byte == ' ' && at[0] == '+') ? 1 : 0;
    case ECHO_JSON: return match_json(at, left, byte);
    default: return is_same ? 1 : 0;
    }
}

/* How many bytes at `at` are `secret`, in one way of writing; 0: it is not there. */
static size_t match_whole(const struct request_value *secret, const char *at, size_t left,
                          enum echo echo)
{
    size_t used = 0;

    for (size_t k = 0; k < secret->length; k++) {
        size_t step = match_byte(at + used, left - used, secret->bytes[k], echo);

        if (step == 0)
            return 0;
        used += step;
    }
    return used;
}

/* Length of the longest secret that begins at `at`, as written there; 0: none does. */
static size_t match_secret(const struct secrets *secrets, const char *at, size_t left)
{
    const bool is_escape = at[0] == '%' || at[0] == '\\' || at[0] == '+';
    size_t longest = 0;

    for (size_t i = 0; i < secrets->count; i++) {
        const struct request_value *secret = &secrets->items[i];

        if ((!is_escape && at[0] != secret->bytes[0]) || left < secret->length)
            continue; /* no way of writing makes a secret shorter */
        for (int echo = ECHO_RAW; echo < ECHO_COUNT; echo++) {
            size_t used = match_whole(secret, at, left, (enum echo)echo);

            if (used > longest)
                longest = used;
        }
    }
    return longest;
}

/* How many bytes stand for themselves: printable, and no secret begins there. */
static size_t plain_run(const struct secrets *secrets, const char *at, size_t left)
{
    size_t run = 0;

    for (; run < left; run++) {
        const char byte = at[run];

        if (byte < 0x20 || byte == 0x7F || byte == '%' || byte == '\\' || byte == '+')
            break;
        for (size_t i = 0; i < secrets->count; i++)
            if (byte == secrets->items[i].bytes[0])
                return run;
    }
    return run;
}

/* Length of the printable UTF-8 sequence at `p` (2..4), or 0: not UTF-8, or a C1 control. */
static size_t printable_sequence(const unsigned char *p, size_t left)
{
    size_t length = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
                    : p[0] >= 0xE0 && p[0] <= 0xEF ? 3
                    : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                                   : 0;

    if (length == 0 || left < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F) ||
        (p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F) ||
        (p[0] == 0xC2 && p[1] < 0xA0))
        return 0;
    return length;
}

/* The text for what begins at `p`; answers how many bytes it stands for. */
static size_t printable(const unsigned char *p, size_t left, char piece[8], size_t *piece_length)
{
    size_t length = 1;

    if (p[0] >= 0x20 && p[0] < 0x7F) {
        piece[0] = (char)p[0];
        *piece_length = 1;
    } else if (p[0] == '\n' || p[0] == '\t') {
        memcpy(piece, p[0] == '\n' ? "\\n" : "\\t", 2);
        *piece_length = 2;
    } else if ((length = printable_sequence(p, left)) > 0) {
        memcpy(piece, p, length);
        *piece_length = length;
    } else {
        length = 1;
        *piece_length = (size_t)snprintf(piece, 8, "\\x%02x", p[0]);
    }
    return length;
}

void evidence_text(char *out, size_t size, const char *bytes, size_t length,
                   const struct request_variables *ours)
{
    struct secrets secrets;
    size_t used = 0;

    secrets_init(&secrets, ours, length);
    for (size_t i = 0; i < length;) {
        char piece[8];
        size_t piece_length = 3;
        size_t room = size - 1 - used;
        size_t left = length - i;
        size_t taken = plain_run(&secrets, bytes + i, left < room ? left : room);

        if (taken > 0) {
            memcpy(out + used, bytes + i, taken);
            used += taken;
            i += taken;
            continue;
        }
        taken = match_secret(&secrets, bytes + i, left);
        if (taken > 0)
            memcpy(piece, "***", 3);
        else
            taken = printable((const unsigned char *)bytes + i, left, piece, &piece_length);
        if (used + piece_length >= size)
            break;
        memcpy(out + used, piece, piece_length);
        used += piece_length;
        i += taken;
    }
    out[used] = '\0';
    memory_wipe(secrets.basic, secrets.basic_length);
}
