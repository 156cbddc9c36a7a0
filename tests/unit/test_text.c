/* SPDX-License-Identifier: MIT
 * test_text.c - bounded text, JSON escaping, integers, the stable hash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

static void test_append_within_and_beyond_the_maximum(void **state)
{
    struct text text;

    (void)state;
    text_init(&text, 5);
    text_append_string(&text, "abc");
    assert_false(text.is_cut);
    text_append_string(&text, "def");
    assert_true(text.is_cut);
    assert_string_equal(text.bytes, "abcde");
    text_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_within_and_beyond_the_maximum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
