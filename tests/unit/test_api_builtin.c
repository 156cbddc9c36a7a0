/* SPDX-License-Identifier: MIT
 * test_api_builtin.c - the definitions that are compiled in are the files, byte for byte.
 *
 * TEST_SOURCES names the tests/ folder of the source tree (set by `make check`). */
#include "config/api_builtin.h"

#include <string.h>

#include "tests/unit/unit_test.h"

static void assert_same_as_file(const struct api_builtin *api)
{
    const char *sources = getenv("TEST_SOURCES");
    char path[4096];
    char *text;
    size_t length;
    FILE *file;

    if (sources == NULL)
        skip();
    snprintf(path, sizeof path, "%s/../config/apis/%s.yaml", sources, api->name);
    file = fopen(path, "rb");
    assert_non_null(file);
    text = malloc(api->length + 2);
    assert_non_null(text);
    length = fread(text, 1, api->length + 2, file);
    (void)fclose(file);
    assert_int_equal(length, api->length);
    assert_memory_equal(text, api->text, length);
    free(text);
}

static void test_the_table_is_listed_and_searched(void **state)
{
    size_t count = 0;

    (void)state;
    for (const struct api_builtin *api; (api = api_builtin_at(count)) != NULL; count++) {
        assert_ptr_equal(api_builtin_find(api->name), api);
        assert_int_equal(strlen(api->text), api->length);
        assert_same_as_file(api);
    }
    assert_true(count >= 3);
    assert_null(api_builtin_at(count + 1));
    assert_null(api_builtin_find("nobody"));
    assert_null(api_builtin_find(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_listed_and_searched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
