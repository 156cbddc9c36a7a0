/* SPDX-License-Identifier: MIT
 * test_text.c - bounded text, JSON escaping, integers, the stable hash.
 *
 * Linked with --wrap=malloc and --wrap=realloc: allocations fail on demand. */
#include "base/text.h"

#include <string.h>

#include "tests/unit/unit_test.h"

static bool is_memory_out;

void *__real_malloc(size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    return is_memory_out ? NULL : __real_malloc(bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return is_memory_out ? NULL : __real_realloc(memory, bytes);
}

static void test_append_stops_at_the_maximum(void **state)
{
    static const struct {
        size_t bytes_max;
        const char *first;
        const char *second;
        const char *expected;
        bool is_cut;
    } rows[] = {
        {6, "abc", "def", "abcdef", false},
        {5, "abc", "def", "abcde", true},
        {3, "abc", "def", "abc", true},
        {3, "abc", "", "abc", false},
        {2, "abc", "def", "ab", true},
        {0, "", "", "", false},
        {0, "a", "", "", true},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct text text;

        text_init(&text, rows[i].bytes_max);
        text_append_string(&text, rows[i].first);
        text_append_string(&text, rows[i].second);
        assert_string_equal(text.bytes, rows[i].expected);
        assert_int_equal(text.length, strlen(rows[i].expected));
        assert_int_equal(text.is_cut, rows[i].is_cut);
        text_deinit(&text);
    }
}

static void test_append_byte_by_byte_over_many_growths(void **state)
{
    struct text text;

    (void)state;
    text_init(&text, 10000);
    for (int i = 0; i < 10000; i++) {
        char byte = (char)(i % 251);

        text_append(&text, &byte, 1);
        assert_int_equal(text.bytes[text.length], '\0');
    }
    assert_false(text.is_cut);
    assert_int_equal(text.length, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal((unsigned char)text.bytes[i], i % 251);
    text_append(&text, "x", 1);
    assert_true(text.is_cut);
    assert_int_equal(text.length, 10000);
    text_deinit(&text);
}

static void test_clear_keeps_the_memory_and_forgets_the_cut(void **state)
{
    struct text text;
    char *bytes;

    (void)state;
    text_init(&text, 4);
    text_clear(&text);
    assert_null(text.bytes);
    text_append_string(&text, "longer");
    assert_true(text.is_cut);
    bytes = text.bytes;
    text_clear(&text);
    assert_ptr_equal(text.bytes, bytes);
    assert_string_equal(text.bytes, "");
    assert_int_equal(text.length, 0);
    assert_false(text.is_cut);
    text_append_string(&text, "abcd");
    assert_string_equal(text.bytes, "abcd");
    assert_false(text.is_cut);
    text_wipe(&text);
    assert_null(text.bytes);
    assert_int_equal(text.bytes_max, 4);
}

static void test_format_shorter_and_longer_than_the_buffer(void **state)
{
    static const int widths[] = {1, 510, 511, 512, 513, 4000};

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(widths); i++) {
        struct text text;

        text_init(&text, 5000);
        text_append_string(&text, "<");
        text_append_format(&text, "%*d", widths[i], 7);
        text_append_string(&text, ">");
        assert_int_equal(text.length, widths[i] + 2);
        assert_int_equal(text.bytes[0], '<');
        assert_int_equal(text.bytes[widths[i]], '7');
        assert_int_equal(text.bytes[widths[i] + 1], '>');
        text_deinit(&text);
    }
}

static void test_a_failed_allocation_cuts_and_keeps_what_is_there(void **state)
{
    struct text text;

    (void)state;
    text_init(&text, 100000);
    is_memory_out = true;
    text_append_string(&text, "lost");
    is_memory_out = false;
    assert_true(text.is_cut);
    assert_int_equal(text.length, 0);

    text_clear(&text);
    text_append_string(&text, "kept");
    is_memory_out = true;
    text_append_format(&text, "%1000d", 1);
    is_memory_out = false;
    assert_true(text.is_cut);
    assert_string_equal(text.bytes, "kept");
    text_deinit(&text);
}

static void test_json_escapes(void **state)
{
#define REPLACED "\xEF\xBF\xBD"
#define ROW(input, expected) \
    { \
        input, sizeof(input) - 1, expected \
    }
    static const struct {
        const char *input;
        size_t length;
        const char *expected;
    } rows[] = {
        ROW("", ""),
        ROW("plain text", "plain text"),
        ROW("say \"hi\"", "say \\\"hi\\\""),
        ROW("back\\slash", "back\\\\slash"),
        ROW("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ROW("\x01\x1f\x7f", "\\u0001\\u001f\\u007f"),
        ROW("a\0b", "a\\u0000b"),
        ROW("\xC3\xA9", "\xC3\xA9"),
        ROW("\xE2\x82\xAC", "\xE2\x82\xAC"),
        ROW("\xF0\x9F\x8F\xA6", "\xF0\x9F\x8F\xA6"),
        ROW("\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"),
        /* not UTF-8: alone, cut, overlong, surrogate, beyond U+10FFFF */
        ROW("\x80", REPLACED),
        ROW("a\xFF", "a" REPLACED),
        ROW("\xC3", REPLACED),
        ROW("\xC3(", REPLACED "("),
        ROW("\xE2\x82", REPLACED REPLACED),
        ROW("\xC0\xAF", REPLACED REPLACED),
        ROW("\xC1\xBF", REPLACED REPLACED),
        ROW("\xE0\x9F\xBF", REPLACED REPLACED REPLACED),
        ROW("\xED\xA0\x80", REPLACED REPLACED REPLACED),
        ROW("\xF0\x8F\xBF\xBF", REPLACED REPLACED REPLACED REPLACED),
        ROW("\xF4\x90\x80\x80", REPLACED REPLACED REPLACED REPLACED),
        ROW("\xF5\x80\x80\x80", REPLACED REPLACED REPLACED REPLACED),
    };
#undef ROW

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct text text;

        text_init(&text, 1000);
        text_append_json(&text, rows[i].input, rows[i].length);
        assert_string_equal(text.bytes == NULL ? "" : text.bytes, rows[i].expected);
        text_deinit(&text);
    }
#undef REPLACED
}

static void test_integers_in_range(void **state)
{
    static const struct {
        const char *text;
        int64_t min;
        int64_t max;
        int64_t expected;
    } rows[] = {
        {"0", 0, 9, 0},
        {"-0", 0, 9, 0},
        {"7", 7, 7, 7},
        {"007", 0, 9, 7},
        {"-12", -12, 12, -12},
        {"9223372036854775807", INT64_MIN, INT64_MAX, INT64_MAX},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, INT64_MIN},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        int64_t value = 99;

        assert_true(
            integer_parse(rows[i].text, strlen(rows[i].text), rows[i].min, rows[i].max, &value));
        assert_true(value == rows[i].expected);
    }
}

static void test_integers_refused(void **state)
{
    static const struct {
        const char *text;
        int64_t min;
        int64_t max;
    } rows[] = {
        {"", INT64_MIN, INT64_MAX},
        {"-", INT64_MIN, INT64_MAX},
        {"+1", INT64_MIN, INT64_MAX},
        {"--1", INT64_MIN, INT64_MAX},
        {" 1", INT64_MIN, INT64_MAX},
        {"1 ", INT64_MIN, INT64_MAX},
        {"1.0", INT64_MIN, INT64_MAX},
        {"1:", INT64_MIN, INT64_MAX},
        {"1/", INT64_MIN, INT64_MAX},
        {"0x10", INT64_MIN, INT64_MAX},
        {"1e3", INT64_MIN, INT64_MAX},
        {"\xD9\xA1", INT64_MIN, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX},
        {"-9223372036854775809", INT64_MIN, INT64_MAX},
        {"99999999999999999999", INT64_MIN, INT64_MAX},
        {"8", 9, 10},
        {"11", 9, 10},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        int64_t value = 99;

        assert_false(
            integer_parse(rows[i].text, strlen(rows[i].text), rows[i].min, rows[i].max, &value));
        assert_true(value == 99);
    }
}

static void test_integer_reads_only_the_given_length(void **state)
{
    int64_t value = 99;

    (void)state;
    assert_true(integer_parse("123456", 3, 0, 1000, &value));
    assert_int_equal(value, 123);
    assert_false(integer_parse("1\0", 2, 0, 1000, &value));
    assert_int_equal(value, 123);
}

static void test_memory_wipe_clears_exactly_its_bytes(void **state)
{
    char bytes[] = "secret!";

    (void)state;
    memory_wipe(bytes + 1, 4);
    assert_memory_equal(bytes, "s\0\0\0\0t!", sizeof bytes);
}

/* Every consent keeps its place in a spread for ever, so these values may never change. They were
 * computed with an implementation of their own from the published constants. */
static void test_the_hash_never_changes(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        uint64_t seed;
        uint64_t expected;
    } rows[] = {
        {"", 0, UINT64_C(0), UINT64_C(0xefd01f60ba992926)},
        {"a", 1, UINT64_C(0), UINT64_C(0x82a2a958a9bece5b)},
        {"acme/7d3e", 9, UINT64_C(0), UINT64_C(0x18244983bd2d2a7a)},
        {"acme/7d3e", 9, UINT64_C(1), UINT64_C(0x53b01efaa65d726c)},
        {"\x00\xff\x80", 3, UINT64_C(0), UINT64_C(0xfbf948707efea51b)},
        {"nightly", 7, UINT64_C(0xffffffffffffffff), UINT64_C(0x094d0be9660c481e)},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        assert_true(hash_bytes(rows[i].bytes, rows[i].length, rows[i].seed) == rows[i].expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_stops_at_the_maximum),
        cmocka_unit_test(test_append_byte_by_byte_over_many_growths),
        cmocka_unit_test(test_clear_keeps_the_memory_and_forgets_the_cut),
        cmocka_unit_test(test_format_shorter_and_longer_than_the_buffer),
        cmocka_unit_test(test_a_failed_allocation_cuts_and_keeps_what_is_there),
        cmocka_unit_test(test_json_escapes),
        cmocka_unit_test(test_integers_in_range),
        cmocka_unit_test(test_integers_refused),
        cmocka_unit_test(test_integer_reads_only_the_given_length),
        cmocka_unit_test(test_memory_wipe_clears_exactly_its_bytes),
        cmocka_unit_test(test_the_hash_never_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
