/* SPDX-License-Identifier: MIT
 * test_sandbox_parts.c - the small pure parts of the sandbox: ids, names, the store of jobs, CSV
 * lines, heads of requests. */
#include <string.h>

#include "sandbox/sandbox_csv.h"
#include "sandbox/sandbox_http.h"
#include "sandbox/sandbox_ids.h"
#include "sandbox/sandbox_jobs.h"
#include "sandbox/sandbox_names.h"
#include "tests/unit/unit_test.h"

static void test_ids_read_back_and_nothing_else_does(void **state)
{
    static const uint32_t numbers[] = {0, 1, 2, 65535, 65536, 1000000, UINT32_MAX};
    char id[SANDBOX_ID_SIZE];
    char other[SANDBOX_ID_SIZE];
    uint32_t read;

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(numbers); i++) {
        sandbox_id_write(id, 7, SANDBOX_ID_JOB, numbers[i]);
        assert_int_equal(strlen(id), 36);
        assert_true(id[8] == '-' && id[13] == '-' && id[14] == '4' && id[18] == '-' &&
                    id[23] == '-' && strchr("89ab", id[19]) != NULL);
        assert_true(sandbox_id_read(id, 7, SANDBOX_ID_JOB, &read));
        assert_int_equal(read, numbers[i]);
        assert_false(sandbox_id_read(id, 8, SANDBOX_ID_JOB, &read));
        assert_false(sandbox_id_read(id, 7, SANDBOX_ID_SUB_TASK, &read));
        for (size_t at = 0; at < 36; at++) {
            memcpy(other, id, sizeof other);
            other[at] = other[at] == '0' ? '1' : '0';
            assert_false(sandbox_id_read(other, 7, SANDBOX_ID_JOB, &read));
        }
    }
    assert_false(sandbox_id_read("", 7, SANDBOX_ID_JOB, &read));
    assert_false(sandbox_id_read("not-an-id", 7, SANDBOX_ID_JOB, &read));
}

static void test_names_keep_their_numbers(void **state)
{
    struct sandbox_names names;
    char name[16];

    (void)state;
    sandbox_names_init(&names);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            (void)snprintf(name, sizeof name, "bank-%" PRIu32, i);
            assert_int_equal(sandbox_names_number(&names, name), i);
        }
    }
    assert_int_equal(names.count, 1000);
    assert_string_equal(sandbox_names_text(&names, 999), "bank-999");
    sandbox_names_deinit(&names);
}

static void test_subjects_are_apart_by_account_api_and_label(void **state)
{
    struct sandbox_jobs jobs;
    uint32_t first;
    uint32_t job;

    (void)state;
    sandbox_jobs_init(&jobs);
    first = sandbox_jobs_subject(&jobs, 0, SANDBOX_API_BUD_V1, "c", 1);
    assert_int_equal(sandbox_jobs_subject(&jobs, 0, SANDBOX_API_BUD_V1, "c", 1), first);
    assert_int_not_equal(sandbox_jobs_subject(&jobs, 1, SANDBOX_API_BUD_V1, "c", 1), first);
    assert_int_not_equal(sandbox_jobs_subject(&jobs, 0, SANDBOX_API_BUD_V2, "c", 1), first);
    assert_int_not_equal(sandbox_jobs_subject(&jobs, 0, SANDBOX_API_BUD_V1, "c", 2), first);
    /* A bank learned later does not make a Finqware consent another one. */
    first = sandbox_jobs_subject(&jobs, 0, SANDBOX_API_FINQWARE, "c", SANDBOX_NONE);
    jobs.subjects[first].label = 5;
    for (uint32_t i = 0; i < 3000; i++) {
        char id[16];

        (void)snprintf(id, sizeof id, "c-%" PRIu32, i);
        (void)sandbox_jobs_subject(&jobs, 0, SANDBOX_API_FINQWARE, id, SANDBOX_NONE);
    }
    assert_int_equal(sandbox_jobs_subject(&jobs, 0, SANDBOX_API_FINQWARE, "c", SANDBOX_NONE),
                     first);
    job = sandbox_jobs_add(&jobs, first, 100);
    assert_int_equal(jobs.jobs[job].previous, SANDBOX_NONE);
    assert_int_equal(jobs.jobs[sandbox_jobs_add(&jobs, first, 200)].previous, job);
    assert_int_equal(jobs.subjects[first].job_count, 2);
    sandbox_jobs_deinit(&jobs);
}

static void test_csv_lines(void **state)
{
    static const struct {
        const char *line;
        size_t count;
        const char *fields[3];
    } rows[] = {
        {"a,b,c\n", 3, {"a", "b", "c"}},
        {"a,,c\r\n", 3, {"a", "", "c"}},
        {"a", 1, {"a"}},
        {"", 1, {""}},
        {"a,", 2, {"a", ""}},
        {"\"a,b\",\"say \"\"x\"\"\",c", 3, {"a,b", "say \"x\"", "c"}},
        {"\"\",b", 2, {"", "b"}},
        {"\"never closed,b", 0, {NULL}},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char line[64];
        char *fields[8];

        (void)snprintf(line, sizeof line, "%s", rows[i].line);
        if (sandbox_csv_split(line, fields, 8) != rows[i].count)
            fail_msg("%s", rows[i].line);
        for (size_t k = 0; k < rows[i].count; k++)
            assert_string_equal(fields[k], rows[i].fields[k]);
    }
}

static void test_heads_of_requests(void **state)
{
    static const struct {
        const char *head;
        int status;
        size_t body_length;
        bool keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 0, 0, true},
        {"GET / HTTP/1.0\r\n\r\n", 0, 0, false},
        {"POST /a?b=c HTTP/1.1\r\nContent-Length: 12\r\n\r\n", 0, 12, true},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 0, 0, false},
        {"GET / HTTP/1.1\r\nConnection: Close\r\nA: b\r\n\r\n", 0, 0, false},
        {"GET / HTTP/1.1\nA: b\r\n\r\n", 400, 0, false},
        {"GET /\r\n\r\n", 400, 0, false},
        {"GET  / HTTP/1.1\r\n\r\n", 400, 0, false},
        {"G(T / HTTP/1.1\r\n\r\n", 400, 0, false},
        {"GET http://x/ HTTP/1.1\r\n\r\n", 400, 0, false},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400, 0, false},
        {"GET / HTTP/1.1\r\n folded: x\r\n\r\n", 400, 0, false},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, 0, false},
        {"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400, 0, false},
        {"GET / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413, 0, false},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411, 0, false},
        {"\r\n", 400, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct sandbox_http_request request;
        size_t body_length = 0;
        bool expects_continue;
        char head[128];

        (void)snprintf(head, sizeof head, "%s", rows[i].head);
        if (sandbox_http_parse_head(head, strlen(head), &request, &body_length,
                                    &expects_continue) != rows[i].status)
            fail_msg("%s", rows[i].head);
        if (rows[i].status == 0) {
            assert_int_equal(body_length, rows[i].body_length);
            assert_int_equal(request.keep_alive, rows[i].keep_alive);
        }
    }
}

static void test_headers_and_queries_are_found(void **state)
{
    char head[] = "GET /p%20q?a=1&consent=x%2Fy+z&bad=%zz HTTP/1.1\r\n"
                  "X-Client-Id:   acme \t\r\nExpect: 100-continue\r\n\r\n";
    struct sandbox_http_request request;
    size_t body_length;
    bool expects_continue;
    char value[8];

    (void)state;
    assert_int_equal(
        sandbox_http_parse_head(head, sizeof head - 1, &request, &body_length, &expects_continue),
        0);
    assert_true(expects_continue);
    assert_string_equal(request.method, "GET");
    assert_string_equal(request.path, "/p%20q");
    assert_string_equal(sandbox_http_header(&request, "x-client-id"), "acme");
    assert_null(sandbox_http_header(&request, "x-client"));
    assert_true(sandbox_http_query(&request, "consent", value, sizeof value));
    assert_string_equal(value, "x/y z");
    assert_true(sandbox_http_query(&request, "bad", value, sizeof value));
    assert_string_equal(value, "%zz");
    assert_false(sandbox_http_query(&request, "consent", value, 5));
    assert_false(sandbox_http_query(&request, "cons", value, sizeof value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_read_back_and_nothing_else_does),
        cmocka_unit_test(test_names_keep_their_numbers),
        cmocka_unit_test(test_subjects_are_apart_by_account_api_and_label),
        cmocka_unit_test(test_csv_lines),
        cmocka_unit_test(test_heads_of_requests),
        cmocka_unit_test(test_headers_and_queries_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
