/* SPDX-License-Identifier: MIT
 * test_webhook_token.c - tokens that are good, forged, altered, cut. */
#include <string.h>

#include "base/random.h"
#include "provider/webhook_token.h"
#include "tests/unit/unit_test.h"

static const uint8_t key[WEBHOOK_TOKEN_KEY_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static const uint8_t other_key[WEBHOOK_TOKEN_KEY_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1};

static bool verify(const char *text, uint64_t *job, uint16_t *attempt)
{
    return webhook_token_verify(key, text, strlen(text), job, attempt);
}

/* Computed with Python's hmac and base64 from the form in the header file. */
static void test_known_token(void **state)
{
    char token[WEBHOOK_TOKEN_SIZE];

    (void)state;
    webhook_token_make(key, 0x0102030405060708, 0x090a, token);
    assert_string_equal(token, "AQIDBAUGBwgJCg.1BbnzKUBeLvLH68eRDOkow");
}

static void test_what_goes_in_comes_out(void **state)
{
    static const struct {
        uint64_t job;
        uint16_t attempt;
    } rows[] = {{0, 0}, {1, 1}, {255, 256}, {UINT64_MAX, UINT16_MAX}, {UINT64_C(1) << 63, 3}};
    char token[WEBHOOK_TOKEN_SIZE];

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        uint64_t job = 7;
        uint16_t attempt = 7;

        webhook_token_make(key, rows[i].job, rows[i].attempt, token);
        assert_int_equal(strlen(token), WEBHOOK_TOKEN_SIZE - 1);
        assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789-_."),
                         WEBHOOK_TOKEN_SIZE - 1);
        assert_true(verify(token, &job, &attempt));
        assert_true(job == rows[i].job);
        assert_int_equal(attempt, rows[i].attempt);
    }
}

/* Every other byte at every place, also those that decode to the same bits. */
static void test_any_altered_byte_is_refused(void **state)
{
    char token[WEBHOOK_TOKEN_SIZE];
    uint64_t job = 7;
    uint16_t attempt = 7;

    (void)state;
    webhook_token_make(key, 4711, 2, token);
    for (size_t i = 0; i < WEBHOOK_TOKEN_SIZE - 1; i++) {
        char good = token[i];

        for (int byte = 0; byte < 256; byte++) {
            token[i] = (char)byte;
            if (token[i] != good &&
                webhook_token_verify(key, token, WEBHOOK_TOKEN_SIZE - 1, &job, &attempt)) {
                fail_msg("byte %zu may be 0x%02x", i, (unsigned)byte);
            }
        }
        token[i] = good;
    }
    assert_int_equal(job, 7); /* written only when good */
    assert_int_equal(attempt, 7);
    assert_true(verify(token, &job, &attempt));
}

static void test_cut_and_lengthened_are_refused(void **state)
{
    char token[WEBHOOK_TOKEN_SIZE + 1];
    uint64_t job;
    uint16_t attempt;

    (void)state;
    webhook_token_make(key, 4711, 2, token);
    for (size_t length = 0; length < WEBHOOK_TOKEN_SIZE - 1; length++) {
        assert_false(webhook_token_verify(key, token, length, &job, &attempt));
    }
    strcat(token, "=");
    assert_false(verify(token, &job, &attempt));
}

static void test_another_key_is_refused(void **state)
{
    char token[WEBHOOK_TOKEN_SIZE];
    uint64_t job;
    uint16_t attempt;

    (void)state;
    webhook_token_make(other_key, 4711, 2, token);
    assert_false(verify(token, &job, &attempt));
}

/* The signature of one attempt does not fit another. */
static void test_signatures_cannot_be_moved(void **state)
{
    char token[WEBHOOK_TOKEN_SIZE];
    char other[WEBHOOK_TOKEN_SIZE];
    uint64_t job;
    uint16_t attempt;

    (void)state;
    webhook_token_make(key, 4711, 2, token);
    webhook_token_make(key, 4711, 3, other);
    memcpy(other + 14, token + 14, WEBHOOK_TOKEN_SIZE - 14);
    assert_false(verify(other, &job, &attempt));
}

static void test_random_texts_are_refused(void **state)
{
    struct random random;
    char text[WEBHOOK_TOKEN_SIZE - 1];
    uint64_t job;
    uint16_t attempt;

    (void)state;
    random_init(&random, unit_seed());
    for (int i = 0; i < 20000; i++) {
        for (size_t at = 0; at < sizeof text; at++) {
            text[at] = (char)random_below(&random, 256);
        }
        assert_false(webhook_token_verify(key, text, sizeof text, &job, &attempt));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_token),
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_any_altered_byte_is_refused),
        cmocka_unit_test(test_cut_and_lengthened_are_refused),
        cmocka_unit_test(test_another_key_is_refused),
        cmocka_unit_test(test_signatures_cannot_be_moved),
        cmocka_unit_test(test_random_texts_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
