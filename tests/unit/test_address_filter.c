/* SPDX-License-Identifier: MIT
 * test_address_filter.c - public and special addresses, in every spelling. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "provider/address_filter.h"
#include "tests/unit/unit_test.h"

static const struct sockaddr *parse(const char *text, struct sockaddr_storage *address)
{
    if (!address_parse(text, strlen(text), address)) {
        fail_msg("%s is an address", text);
    }
    return (const struct sockaddr *)address;
}

static const struct {
    const char *address;
    bool is_public;
} public_rows[] = {
    {"8.8.8.8", true},
    {"1.1.1.1", true},
    {"9.255.255.255", true},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.0", false},
    {"100.100.100.200", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"10.0.0.1", false},
    {"10.255.255.255", false},
    {"127.0.0.1", false},
    {"127.255.255.254", false},
    {"128.0.0.0", true},
    {"168.63.129.16", false},
    {"168.63.129.17", true},
    {"169.253.255.255", true},
    {"169.254.169.254", false},
    {"169.255.0.0", true},
    {"172.15.255.255", true},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"192.0.0.192", false},
    {"192.0.2.1", false},
    {"192.167.255.255", true},
    {"192.168.0.1", false},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.18.0.1", false},
    {"198.19.255.255", false},
    {"198.20.0.0", true},
    {"203.0.113.9", false},
    {"223.255.255.255", true},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::", false},
    {"::1", false},
    {"::2", false},
    {"::7f00:1", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:10.1.2.3", false},
    {"::ffff:169.254.169.254", false},
    {"::ffff:8.8.8.8", true},
    {"64:ff9b::a00:1", false},
    {"64:ff9b::808:808", true},
    {"64:ff9b:1::1", false},
    {"100::1", false},
    {"2001:0:1::1", false},
    {"2001:db8::1", false},
    {"2001:4860:4860::8888", true},
    {"2002:a00:1::1", false},
    {"2002:7f00:1::1", false},
    {"2002:808:808::1", true},
    {"fbff::1", true},
    {"fc00::1", false},
    {"fd00:ec2::254", false},
    {"fdff::1", false},
    {"fe80::1", false},
    {"febf::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
    {"2a00:1450::1", true},
};

static void test_public_and_special(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(public_rows); i++) {
        struct sockaddr_storage address;

        if (address_is_public(parse(public_rows[i].address, &address)) !=
            public_rows[i].is_public) {
            fail_msg("%s should be %s", public_rows[i].address,
                     public_rows[i].is_public ? "public" : "special");
        }
    }
}

static void test_other_families_are_not_public(void **state)
{
    const struct sockaddr address = {.sa_family = AF_UNIX};

    (void)state;
    assert_false(address_is_public(&address));
    assert_false(address_is_loopback(&address));
    assert_false(address_is_same(&address, &address));
}

static void test_loopback(void **state)
{
    static const struct {
        const char *address;
        bool is_loopback;
    } rows[] = {
        {"127.0.0.1", true},        {"127.9.9.9", true}, {"::1", true},
        {"::ffff:127.0.0.1", true}, {"::", false},       {"128.0.0.1", false},
        {"::ffff:8.8.8.8", false},  {"::2", false},      {"10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct sockaddr_storage address;

        if (address_is_loopback(parse(rows[i].address, &address)) != rows[i].is_loopback) {
            fail_msg("loopback: %s", rows[i].address);
        }
    }
}

static void test_same(void **state)
{
    struct sockaddr_storage a;
    struct sockaddr_storage b;

    (void)state;
    assert_true(address_is_same(parse("10.0.0.1", &a), parse("::ffff:10.0.0.1", &b)));
    assert_true(address_is_same(parse("fd00::1", &a), parse("[fd00:0::1]", &b)));
    assert_false(address_is_same(parse("10.0.0.1", &a), parse("10.0.0.2", &b)));
    assert_false(address_is_same(parse("10.0.0.1", &a), parse("::10.0.0.1", &b)));
    ((struct sockaddr_in *)&a)->sin_port = htons(80);
    assert_true(address_is_same((struct sockaddr *)&a, parse("10.0.0.1", &b)));
}

static void test_texts_that_are_no_literals(void **state)
{
    static const char *const rows[] = {"",         "localhost",  "127.1",     "0x7f000001",
                                       "1.2.3",    "1.2.3.4.5",  "1.2.3.256", "2130706433",
                                       "01.2.3.4", "fe80::1%lo", "[1.2.3.4",  " 1.2.3.4"};
    struct sockaddr_storage address;

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        if (address_parse(rows[i], strlen(rows[i]), &address)) {
            fail_msg("\"%s\" is no literal address", rows[i]);
        }
    }
    assert_false(address_parse("1.2.3.4\0x", 9, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_public_and_special),
        cmocka_unit_test(test_other_families_are_not_public),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_texts_that_are_no_literals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
