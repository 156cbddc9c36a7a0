/* SPDX-License-Identifier: MIT
 * test_result.c - faults carry a message; a bug ends the process loudly. */
#include "base/result.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit_test.h"

static void test_a_fault_has_code_and_text(void **state)
{
    struct fault fault = {0};

    (void)state;
    assert_int_equal(fault_set(&fault, FAULT_IO, "cannot read %s: line %d", "a.csv", 7),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_IO);
    assert_string_equal(fault.text, "cannot read a.csv: line 7");
    assert_int_equal(fault_prefix(&fault, "provider %s", "x"), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_IO);
    assert_string_equal(fault.text, "provider x: cannot read a.csv: line 7");
}

static void test_nobody_has_to_listen(void **state)
{
    (void)state;
    assert_int_equal(fault_set(NULL, FAULT_DATA, "%d", 1), RESULT_FAULT);
    assert_int_equal(fault_prefix(NULL, "%d", 1), RESULT_FAULT);
}

static void test_long_texts_are_cut(void **state)
{
    struct fault fault;
    char text[3000];

    (void)state;
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)fault_set(&fault, FAULT_DATA, "%s", text);
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
    (void)fault_prefix(&fault, "where");
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
    assert_memory_equal(fault.text, "where: yyy", 10);
    (void)fault_prefix(&fault, "%s", text);
    assert_int_equal(strlen(fault.text), sizeof fault.text - 1);
}

static void test_require_holds(void **state)
{
    (void)state;
    REQUIRE(1 + 1 == 2);
}

static void test_require_names_the_place_and_aborts(void **state)
{
    char message[300] = "";
    size_t used = 0;
    ssize_t got;
    int ends[2];
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)dup2(ends[1], STDERR_FILENO);
        REQUIRE(1 + 1 == 3);
        _exit(0);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], message + used, sizeof message - 1 - used)) > 0)
        used += (size_t)got;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(message, "test_result.c:"));
    assert_non_null(strstr(message, "1 + 1 == 3 does not hold"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fault_has_code_and_text),
        cmocka_unit_test(test_nobody_has_to_listen),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_require_holds),
        cmocka_unit_test(test_require_names_the_place_and_aborts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
