/* SPDX-License-Identifier: MIT
 * test_http_in_parse.c - requests and what becomes of them, however they are cut into pieces. */
#include "daemon/http_in_parse.h"

#include <string.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

#define HOST "Host: h\r\n"

struct row {
    const char *name;
    const char *bytes;
    size_t length; /* 0: strlen */
    int status;    /* 0: complete; -1: wants more */
};

#define BYTES(text) text, sizeof(text) - 1

static const struct row rows[] = {
    {"get", BYTES("GET /healthz HTTP/1.1\r\n" HOST "\r\n"), 0},
    {"get 1.0", BYTES("GET / HTTP/1.0\r\n" HOST "\r\n"), 0},
    {"post", BYTES("POST /webhooks/a HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nabcd"), 0},
    {"post empty", BYTES("POST /a HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 0},
    {"names in any case", BYTES("POST /a HTTP/1.1\r\nhOST: h\r\ncONTENT-lENGTH: 1\r\n\r\nx"), 0},
    {"no blank after colon", BYTES("GET / HTTP/1.1\r\nHost:h\r\n\r\n"), 0},
    {"tab in value", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\tc\r\n\r\n"), 0},
    {"empty value", BYTES("GET / HTTP/1.1\r\n" HOST "A:\r\n\r\n"), 0},
    {"body of any bytes", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\n\0\r\n\xff"),
     0},

    {"nothing", "", 0, -1},
    {"half a line", BYTES("GET / HT"), -1},
    {"no empty line", BYTES("GET / HTTP/1.1\r\n" HOST), -1},
    {"half a body", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nab"), -1},

    {"garbage", BYTES("\x16\x03\x01\x02"), 400},
    {"bare LF", BYTES("GET / HTTP/1.1\n" HOST "\n"), 400},
    {"bare LF in headers", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n"), 400},
    {"bare CR", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\rC: d\r\n\r\n"), 400},
    {"CR CR LF", BYTES("GET / HTTP/1.1\r\r\n" HOST "\r\n"), 400},
    {"leading empty line", BYTES("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"NUL in target", BYTES("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"NUL in header", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n"), 400},
    {"DEL in header", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\x7f\r\n\r\n"), 400},
    {"escape in header", BYTES("GET / HTTP/1.1\r\n" HOST "A: \x1b[2J\r\n\r\n"), 400},
    {"folded header", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n"), 400},
    {"folded with tab", BYTES("GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n"), 400},
    {"folded at once", BYTES("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), 400},
    {"empty name", BYTES("GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n"), 400},
    {"blank in name", BYTES("GET / HTTP/1.1\r\n" HOST "A b: c\r\n\r\n"), 400},
    {"blank before colon", BYTES("GET / HTTP/1.1\r\n" HOST "A : c\r\n\r\n"), 400},
    {"no colon", BYTES("GET / HTTP/1.1\r\n" HOST "Abc\r\n\r\n"), 400},
    {"name beyond ASCII", BYTES("GET / HTTP/1.1\r\n" HOST "\xc3\xa4: c\r\n\r\n"), 400},

    {"no target", BYTES("GET HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"no version", BYTES("GET /\r\n" HOST "\r\n"), 400},
    {"two blanks", BYTES("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"blank in target", BYTES("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"blank at the end", BYTES("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400},
    {"tab in line", BYTES("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"whole URL as target", BYTES("GET http://h/ HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"fragment", BYTES("GET /#a HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"target beyond ASCII", BYTES("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"), 400},
    {"star", BYTES("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), 405},
    {"put", BYTES("PUT / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"), 405},
    {"head", BYTES("HEAD / HTTP/1.1\r\n" HOST "\r\n"), 405},
    {"method in small letters", BYTES("get / HTTP/1.1\r\n" HOST "\r\n"), 405},
    {"HTTP/2 preface", BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
    {"version 1.2", BYTES("GET / HTTP/1.2\r\n" HOST "\r\n"), 505},
    {"version 11", BYTES("GET / HTTP/11\r\n" HOST "\r\n"), 505},
    {"another protocol", BYTES("GET / SIP/1.1\r\n" HOST "\r\n"), 400},

    {"no Host", BYTES("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400},
    {"no header", BYTES("GET / HTTP/1.1\r\n\r\n"), 400},
    {"two Hosts", BYTES("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 400},
    {"empty Host", BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 400},
    {"two in one Host", BYTES("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), 400},

    {"GET with length", BYTES("GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\na"), 400},
    {"GET with length 0", BYTES("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 400},
    {"GET with bytes behind", BYTES("GET / HTTP/1.1\r\n" HOST "\r\nx"), 400},
    {"no length", BYTES("POST / HTTP/1.1\r\n" HOST "\r\n"), 411},
    {"two lengths",
     BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 400},
    {"one length twice",
     BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400},
    {"lengths in one", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\na"), 400},
    {"plus", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: +2\r\n\r\nab"), 400},
    {"minus", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"), 400},
    {"hexadecimal", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\na"), 400},
    {"empty length", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"), 400},
    {"blank inside length", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1 1\r\n\r\na"), 400},
    {"length and chunked",
     BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na"),
     400},
    {"chunked", BYTES("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
     400},
    {"identity", BYTES("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"), 400},
    {"bytes behind the body", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nab"), 400},
    {"64 KiB and one", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n"), 413},
    {"20 digits", BYTES("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551617\r\n\r\n"),
     413},
    {"unknown Expect",
     BYTES("POST / HTTP/1.1\r\n" HOST "Expect: tea\r\nContent-Length: 1\r\n\r\na"), 417},
};

static struct http_in_parser parser;

/* Feed `length` bytes in pieces of at most `first`, then `piece`. Answers the status, 0 when
 * complete, -1 when more is wanted. Left-over bytes count as a refusal, as the listener does. */
static int feed(const char *bytes, size_t length, size_t first, size_t piece)
{
    enum http_in_progress progress = HTTP_IN_MORE;
    size_t at = 0;

    http_in_parser_deinit(&parser);
    memset(&parser, 0, sizeof parser);
    while (at < length && (progress == HTTP_IN_MORE || progress == HTTP_IN_CONTINUE)) {
        size_t room = http_in_parser_room(&parser);
        size_t count = at == 0 ? first : piece;

        count = count < length - at ? count : length - at;
        count = count < room ? count : room;
        progress = http_in_parser_take(&parser, bytes + at, count);
        at += count;
    }
    if (progress == HTTP_IN_REFUSED) {
        assert_non_null(parser.problem);
        return parser.status;
    }
    if (progress == HTTP_IN_COMPLETE) {
        return at < length ? 400 : 0;
    }
    return -1;
}

static void test_verdicts_however_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        for (size_t first = 1; first <= rows[i].length; first++) {
            int whole = feed(rows[i].bytes, rows[i].length, first, rows[i].length);
            int bytewise = feed(rows[i].bytes, rows[i].length, first, 1);

            if (whole != rows[i].status || bytewise != rows[i].status) {
                fail_msg("%s, cut after %zu: %d and %d, not %d", rows[i].name, first, whole,
                         bytewise, rows[i].status);
            }
        }
    }
    http_in_parser_deinit(&parser);
}

static void test_what_is_read(void **state)
{
    static const char bytes[] =
        "POST /webhooks/a%2Fb?x=1?y HTTP/1.1\r\nHost: h:1\r\n"
        "X-One:  first \t\r\nx-one: second\r\nContent-Length: 3\r\n\r\n{}\n";

    (void)state;
    assert_int_equal(feed(bytes, sizeof bytes - 1, 7, 1), 0);
    assert_int_equal(parser.request.method, HTTP_IN_POST);
    assert_string_equal(parser.request.path, "/webhooks/a%2Fb"); /* raw: nothing is decoded */
    assert_string_equal(parser.request.query, "x=1?y");
    assert_int_equal(parser.request.header_count, 4);
    assert_string_equal(http_in_header_value(&parser.request, "X-ONE"), "first");
    assert_null(http_in_header_value(&parser.request, "x-two"));
    assert_int_equal(parser.request.body_length, 3);
    assert_string_equal(parser.request.body, "{}\n");
    http_in_parser_deinit(&parser);
}

static void test_expect_is_asked_once(void **state)
{
    static const char head[] =
        "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n";

    (void)state;
    memset(&parser, 0, sizeof parser);
    assert_int_equal(http_in_parser_take(&parser, head, sizeof head - 1), HTTP_IN_CONTINUE);
    assert_int_equal(http_in_parser_take(&parser, "", 0), HTTP_IN_MORE);
    assert_int_equal(http_in_parser_take(&parser, "a", 1), HTTP_IN_MORE);
    assert_int_equal(http_in_parser_take(&parser, "b", 1), HTTP_IN_COMPLETE);
    http_in_parser_deinit(&parser);
}

/* A head of exactly `length` bytes with one long header. */
static void make_head(char *head, size_t length)
{
    static const char begin[] = "GET / HTTP/1.1\r\n" HOST "A: ";

    memset(head, 'x', length);
    memcpy(head, begin, sizeof begin - 1);
    memcpy(head + length - 4, "\r\n\r\n", 4);
}

static void test_limits(void **state)
{
    static char bytes[HTTP_IN_HEAD_BYTES_MAX + 2];
    char *end;

    (void)state;
    make_head(bytes, HTTP_IN_HEAD_BYTES_MAX);
    assert_int_equal(feed(bytes, HTTP_IN_HEAD_BYTES_MAX, 100, 1000), 0);
    make_head(bytes, HTTP_IN_HEAD_BYTES_MAX + 1);
    assert_int_equal(feed(bytes, HTTP_IN_HEAD_BYTES_MAX + 1, 100, 1000), 431);

    end = bytes + sprintf(bytes, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 1; i < HTTP_IN_HEADERS_MAX; i++) {
        end += sprintf(end, "A: b\r\n");
    }
    strcpy(end, "\r\n");
    assert_int_equal(feed(bytes, strlen(bytes), 100, 1000), 0);
    strcpy(end, "A: b\r\n\r\n");
    assert_int_equal(feed(bytes, strlen(bytes), 100, 1000), 431);

    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "GET /", 5);
    strcpy(bytes + 4 + HTTP_IN_TARGET_BYTES_MAX, " HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(feed(bytes, strlen(bytes), 100, 1000), 0);
    bytes[4 + HTTP_IN_TARGET_BYTES_MAX] = 'x';
    strcpy(bytes + 5 + HTTP_IN_TARGET_BYTES_MAX, " HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(feed(bytes, strlen(bytes), 100, 1000), 414);
    http_in_parser_deinit(&parser);
}

static void test_largest_body(void **state)
{
    static char bytes[HTTP_IN_BODY_BYTES_MAX + 200];
    size_t head = (size_t)sprintf(bytes, "POST / HTTP/1.1\r\n" HOST "Content-Length: %d\r\n\r\n",
                                  HTTP_IN_BODY_BYTES_MAX);

    (void)state;
    assert_int_equal(feed(bytes, head + HTTP_IN_BODY_BYTES_MAX, 10, 16384), 0);
    assert_int_equal(parser.request.body_length, HTTP_IN_BODY_BYTES_MAX);
    assert_int_equal(feed(bytes, head + HTTP_IN_BODY_BYTES_MAX - 1, 10, 16384), -1);
    http_in_parser_deinit(&parser);
}

/* Good requests with a few bytes changed: any verdict, the same however cut, and no memory error.
 */
static void test_random_damage(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (int i = 0; i < 20000; i++) {
        const struct row *row = &rows[random_below(&random, ROW_COUNT(rows))];
        char bytes[256];
        size_t length = row->length;

        if (length == 0) {
            continue;
        }
        memcpy(bytes, row->bytes, length);
        for (uint64_t change = random_below(&random, 4); change > 0; change--) {
            bytes[random_below(&random, length)] =
                "\0\r\n \t:/aG1\xff\x7f"[random_below(&random, 12)];
        }
        assert_int_equal(feed(bytes, length, length, length),
                         feed(bytes, length, 1 + random_below(&random, length), 1));
    }
    http_in_parser_deinit(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_however_cut), cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_expect_is_asked_once), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_largest_body),         cmocka_unit_test(test_random_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
