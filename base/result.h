/* SPDX-License-Identifier: MIT
 *
 * result.h - the three kinds of trouble, never mixed.
 *
 * Layer:   base (libc only).
 * Outcome: the world said no (HTTP 429, consent expired). Data, see scheduler/words.h;
 *          never an error code.
 * Fault:   an operation of ours failed (disk full, bad YAML). The function returns
 *          RESULT_FAULT and fills the caller's struct fault with a message on which a person
 *          can act. It is returned or handled, never logged and forgotten.
 * Bug:     a broken requirement. REQUIRE is on in every build: it prints one line and aborts;
 *          recovery is the same path as after power loss.
 */
#ifndef REFRESHD_BASE_RESULT_H
#define REFRESHD_BASE_RESULT_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))

enum result { RESULT_OK = 0, RESULT_FAULT = 1 };

/* What kind of operation failed. The values are the sysexits of design section 8, so that
 * command/ can turn a fault into an exit status without a second table. */
enum fault_code {
    FAULT_USAGE = 64,
    FAULT_DATA = 65,
    FAULT_UNAVAILABLE = 69,
    FAULT_INTERNAL = 70,
    FAULT_CANNOT_CREATE = 73,
    FAULT_IO = 74,
    FAULT_TEMPORARY = 75,
    FAULT_PERMISSION = 77,
    FAULT_CONFIGURATION = 78,
};

struct fault {
    enum fault_code code;
    char text[1024]; /* one line, no newline at its end, never a secret */
};

/* Fill `fault` (ignored when NULL) and return RESULT_FAULT, so that a failing function can end
 * with `return fault_set(...)`. A text longer than the buffer is cut. */
enum result fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Put "context: " in front of the text that is already there and return RESULT_FAULT. */
enum result fault_prefix(struct fault *fault, const char *format, ...) PRINTF_LIKE(2, 3);

/* A bug was found: print file, line and condition on standard error and abort. */
_Noreturn void bug_abort(const char *file, int line, const char *condition);

#define REQUIRE(condition) ((condition) ? (void)0 : bug_abort(__FILE__, __LINE__, #condition))

#endif
