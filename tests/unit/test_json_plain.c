/* SPDX-License-Identifier: MIT
 * test_json_plain.c - what the quick parser takes, jansson takes with the same values; and it takes
 * what answers are made of. */
#include <string.h>

#include "base/random.h"
#include "provider/json_plain.h"
#include "provider/json_read.h"
#include "tests/unit/unit_test.h"

static json_t *judge(const char *bytes, size_t length)
{
    json_error_t error;

    return json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
}

/* Whether the quick parser took it. */
static bool compare(const char *bytes, size_t length)
{
    json_t *quick = json_plain_parse(bytes, length);
    json_t *slow = judge(bytes, length);
    bool is_taken = quick != NULL;

    if (quick != NULL && (slow == NULL || !json_equal(quick, slow)))
        fail_msg("parsers differ (%s) over %zu bytes: %.*s", slow == NULL ? "refused" : "values",
                 length, (int)length, bytes);
    json_decref(quick);
    json_decref(slow);
    return is_taken;
}

static void test_plain_is_taken(void **state)
{
    static const char *const rows[] = {
        "{}",
        "[]",
        " { } ",
        "{\"a\":\"b\"}",
        ("{\"request_id\":\"2b630611-d84b\",\"status\":\"completed\",\"n\":0,\"m\":-12,"
         "\"new\":true,\"old\":false,\"none\":null,\"list\":[1,{\"x\":[]},\"y\"]}\r\n"),
        "{\"big\":999999999999999999,\"empty\":\"\",\"\":1}",
        "[[[[[[[{}]]]]]]]",
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        if (!compare(rows[i], strlen(rows[i])))
            fail_msg("not taken: %s", rows[i]);
}

static void test_the_rest_is_left_to_jansson(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "1",
        "\"a\"",
        "{",
        "[",
        "[1",
        "[true",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{} {}",
        "{}x",
        "{\"a\":1,\"a\":1}",
        "{\"a\":\"\\u0041\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\x7f\"}",
        "{\"a\":\"\xc3\xa9\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":1.0}",
        "{\"a\":1e3}",
        "{\"a\":01}",
        "{\"a\":-0}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":1234567890123456789}",
        "{\"a\":99999999999999999999}",
        "{\"a\":NaN}",
        "{\"a\":truely}",
        "{\"a\":True}",
        "{a:1}",
        "{'a':1}",
        "[1 2]",
        "[1]]",
        "[[[[[[[[[[]]]]]]]]]]",
        "\xef\xbb\xbf{}",
    };
    static const char nul[] = "{\"a\":\0001}";
    static const char nul_end[] = "{\"a\":1\0";
    static const char nul_behind[] = "{}\0";

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++)
        if (compare(rows[i], strlen(rows[i])))
            fail_msg("taken: %s", rows[i]);
    assert_false(compare(nul, sizeof nul - 1));
    assert_false(compare(nul_end, sizeof nul_end - 1));
    assert_false(compare(nul_behind, sizeof nul_behind - 1));
}

/* Whoever asks sees no difference: duplicates and errors are still told. */
static void test_errors_are_jansson_s(void **state)
{
    json_error_t error;

    (void)state;
    assert_null(json_read_parse("{\"a\":1,\"a\":1}", 13, &error));
    assert_non_null(strstr(error.text, "duplicate"));
    assert_null(json_read_parse("{\"a\":1", 6, &error));
    assert_int_equal(error.line, 1);
}

static const char *const seeds[] = {
    ("{\"request_id\":\"2b630611-d84b\",\"consent_id\":\"wrk-1\",\"status\":\"job_started\","
     "\"n\":[1,-20,300],\"o\":{\"a\":true,\"b\":false,\"c\":null},\"d\":1.5e3}"),
    "[{\"a\":\"x\\\"y\",\"b\":[[],[{}]]},12345678901234567,\"\\u00e9\\ud83d\\ude00\"]",
    "{\"job_id\":\"904b317e\",\"list\":[1,-2,{\"x\":true}],\"n\":null,\"m\":120}",
    " { \"a\" : [ 1 , 2 ] ,\r\n\t\"b\" : -0 , \"c\" : 0 } ",
};

/* Bytes that matter to a parser more often than others. */
static char some_byte(struct random *random)
{
    static const char known[] = "{}[]\",:\\0123456789-+.eEtruefalsn \n\r\t\x7f\x80\xc3\xa9\xff/u";

    return random_below(random, 4) == 0 ? (char)random_below(random, 256)
                                        : known[random_below(random, sizeof known)];
}

static size_t mutate(struct random *random, char *bytes, size_t length, size_t size)
{
    size_t at = (size_t)random_below(random, length + 1);
    size_t count;

    switch (random_below(random, 5)) {
    case 0: /* change */
        if (at < length)
            bytes[at] = some_byte(random);
        return length;
    case 1: /* insert */
        if (length == size)
            return length;
        memmove(bytes + at + 1, bytes + at, length - at);
        bytes[at] = some_byte(random);
        return length + 1;
    case 2: /* remove */
        count = (size_t)random_below(random, 4);
        count = count > length - at ? length - at : count;
        memmove(bytes + at, bytes + at + count, length - at - count);
        return length - count;
    case 3: /* cut */ return random_below(random, 8) == 0 ? at : length;
    default: /* repeat a piece: duplicate keys, more commas */
        count = (size_t)random_below(random, 12);
        if (at + count > length || length + count > size)
            return length;
        memmove(bytes + at + count, bytes + at, length - at);
        return length + count;
    }
}

static void test_random_bodies(void **state)
{
    struct random random;
    uint32_t taken = 0;

    (void)state;
    random_init(&random, unit_seed());
    for (int round = 0; round < 200000; round++) {
        const char *seed = seeds[random_below(&random, ROW_COUNT(seeds))];
        size_t length = strlen(seed);
        uint64_t steps = random_below(&random, 6);
        char bytes[512];
        char *exact;

        memcpy(bytes, seed, length);
        while (steps-- > 0)
            length = mutate(&random, bytes, length, sizeof bytes);
        exact = malloc(length > 0 ? length : 1); /* so that a sanitizer sees reads behind the end */
        assert_non_null(exact);
        memcpy(exact, bytes, length);
        taken += compare(exact, length);
        free(exact);
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_is_taken),
        cmocka_unit_test(test_the_rest_is_left_to_jansson),
        cmocka_unit_test(test_errors_are_jansson_s),
        cmocka_unit_test(test_random_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
