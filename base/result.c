/* SPDX-License-Identifier: MIT
 * result.c - faults with a message, and the end of the road for bugs. */
#include "base/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum result fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
{
    if (fault != NULL) {
        va_list arguments;

        fault->code = code;
        va_start(arguments, format);
        (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
        va_end(arguments);
    }
    return RESULT_FAULT;
}

enum result fault_prefix(struct fault *fault, const char *format, ...)
{
    if (fault != NULL) {
        char old[sizeof fault->text];
        va_list arguments;
        size_t used;

        memcpy(old, fault->text, sizeof old);
        va_start(arguments, format);
        (void)vsnprintf(fault->text, sizeof fault->text, format, arguments);
        va_end(arguments);
        used = strlen(fault->text);
        (void)snprintf(fault->text + used, sizeof fault->text - used, ": %s", old);
    }
    return RESULT_FAULT;
}

_Noreturn void bug_abort(const char *file, int line, const char *condition)
{
    fprintf(stderr, "refreshd: bug at %s:%d: %s does not hold; state is safe, restart me\n", file,
            line, condition);
    abort();
}
