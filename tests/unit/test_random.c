/* SPDX-License-Identifier: MIT
 * test_random.c - the same numbers for ever, and within their bounds. */
#include "base/random.h"

#include "tests/unit/unit_test.h"

/* A recorded night is replayed from its seed, so these numbers may never change. They were
 * computed with an implementation of their own from the published constants. The last seed is
 * the one for which splitmix64 gives 0. */
static void test_the_numbers_never_change(void **state)
{
    static const struct {
        uint64_t seed;
        uint64_t numbers[3];
        uint64_t below_1000[3];
    } rows[] = {
        {UINT64_C(0x0),
         {UINT64_C(0x7bbcb40d550682d0), UINT64_C(0xde7fe413d00cc9fd), UINT64_C(0xb3c638353c668c91)},
         {483, 869, 702}},
        {UINT64_C(0x1),
         {UINT64_C(0x4b46a55df3611b9b), UINT64_C(0xd7e1f1410e763ef4), UINT64_C(0x5f14ec66975f9b06)},
         {294, 843, 371}},
        {UINT64_C(0xffffffffffffffff),
         {UINT64_C(0x079ce65d09240e13), UINT64_C(0x1587f139eb004b7f), UINT64_C(0x3190cf0b897a2433)},
         {29, 84, 193}},
        {UINT64_C(0x61c8864680b583eb),
         {UINT64_C(0x47e4ce4b896cdd1d), UINT64_C(0xabcfa6a8e079651d), UINT64_C(0xb9d10d8feb731f57)},
         {280, 671, 725}},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct random plain;
        struct random bounded;

        random_init(&plain, rows[i].seed);
        random_init(&bounded, rows[i].seed);
        for (size_t k = 0; k < 3; k++) {
            assert_true(random_next(&plain) == rows[i].numbers[k]);
            assert_int_equal(random_below(&bounded, 1000), rows[i].below_1000[k]);
        }
    }
}

static void test_below_stays_below(void **state)
{
    static const uint64_t bounds[] = {1, 2, 3, 10, 1000, UINT64_C(1) << 40, UINT64_MAX};
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (size_t i = 0; i < ROW_COUNT(bounds); i++)
        for (int k = 0; k < 10000; k++)
            assert_true(random_below(&random, bounds[i]) < bounds[i]);
}

/* With a fixed seed this is no matter of luck: 16 cells of about 10,000, none off by 5 %. */
static void test_below_is_even(void **state)
{
    struct random random;
    int counts[16] = {0};

    (void)state;
    random_init(&random, 2026);
    for (int i = 0; i < 160000; i++)
        counts[random_below(&random, 16)]++;
    for (int i = 0; i < 16; i++)
        assert_in_range(counts[i], 9500, 10500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_numbers_never_change),
        cmocka_unit_test(test_below_stays_below),
        cmocka_unit_test(test_below_is_even),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
