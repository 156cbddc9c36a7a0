/* SPDX-License-Identifier: MIT
 * test_institutions.c - what a provider's list of institutions says of their maintenance. The rules
 * are those of docs/DEFINITIONS.md; it is 2026-11-20T23:41:40Z. */
#include "provider/classify.h"

#include "tests/unit/api_fixture.h"

static struct api_fixture bud;

static int open_all(void **state)
{
    (void)state;
    api_fixture_open(&bud, "bud-v1");
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    api_fixture_close(&bud);
    return 0;
}

struct list {
    struct institution_item items[8];
    uint32_t count;
    struct answer answer;
    struct answer_texts texts;
};

static void take(void *context, const struct institution_item *item)
{
    struct list *list = context;

    assert_true(list->count < ROW_COUNT(list->items));
    list->items[list->count++] = *item;
}

static void read_list(struct list *list, int status, const char *body)
{
    const struct http_answer http = {.status = status, .body = body, .body_length = strlen(body)};
    const struct request_variables ours = api_variables();

    list->count = 0;
    classify_institutions(bud.definition, &http, &ours, API_FIXTURE_NOW, take, list, &list->answer,
                          &list->texts);
}

static struct utc_time at(const char *text)
{
    struct utc_time instant = UTC_NONE;

    if (text == NULL)
        return UTC_NEVER;
    if (!utc_parse(text, strlen(text), &instant))
        fail_msg("%s", text);
    return instant;
}

#define NOW_IN "\"2026-11-20T22:00:00Z\",\"end\":\"2026-11-21T02:00:00Z\""
#define LATER "\"2026-11-21T02:00:00Z\",\"end\":\"2026-11-21T04:00:00Z\""
#define OVER "\"2026-11-19T02:00:00Z\",\"end\":\"2026-11-19T04:00:00Z\""
#define BEGUN "1970-01-01T00:00:00Z"

/* One institution. `spans`: start, end (NULL: until further notice), in pairs; none: open. */
static const struct {
    const char *rest;
    bool is_understood;
    uint32_t span_count;
    const char *spans[4];
} item_rows[] = {
    {"\"maintenance_status\":\"inactive\",\"maintenance_window\":null", true, 0, {NULL}},
    {"\"maintenance_status\":\"inactive\"", true, 0, {NULL}},
    {"\"maintenance_window\":null", true, 0, {NULL}},
    {"\"maintenance_status\":\"active\",\"maintenance_window\":null", true, 1, {BEGUN, NULL}},
    {"\"maintenance_status\":\"ACTIVE\"", true, 1, {BEGUN, NULL}},
    {"\"maintenance_status\":\"active\",\"maintenance_window\":{\"start\":" NOW_IN "}",
     true,
     1,
     {"2026-11-20T22:00:00Z", "2026-11-21T02:00:00Z"}},
    {"\"maintenance_status\":\"active\",\"maintenance_window\":"
     "{\"start\":\"2026-11-20T22:00:00+00:00\",\"end\":null}",
     true,
     1,
     {"2026-11-20T22:00:00Z", NULL}},
    {"\"maintenance_status\":\"active\",\"maintenance_window\":"
     "{\"start\":null,\"end\":\"2026-11-21T02:00:00Z\"}",
     true,
     1,
     {BEGUN, "2026-11-21T02:00:00Z"}},
    /* Planned: nothing now, closed then. */
    {"\"maintenance_status\":\"inactive\",\"maintenance_window\":{\"start\":" LATER "}",
     true,
     1,
     {"2026-11-21T02:00:00Z", "2026-11-21T04:00:00Z"}},
    /* The word decides about now: lifted early, or longer than was planned. */
    {"\"maintenance_status\":\"inactive\",\"maintenance_window\":{\"start\":" NOW_IN "}",
     true,
     0,
     {NULL}},
    {"\"maintenance_status\":\"active\",\"maintenance_window\":{\"start\":" OVER "}",
     true,
     1,
     {BEGUN, NULL}},
    {"\"maintenance_status\":\"active\",\"maintenance_window\":{\"start\":" LATER "}",
     true,
     2,
     {BEGUN, NULL, "2026-11-21T02:00:00Z", "2026-11-21T04:00:00Z"}},
    {"\"maintenance_window\":{\"start\":" NOW_IN "}",
     true,
     1,
     {"2026-11-20T22:00:00Z", "2026-11-21T02:00:00Z"}},
    {"\"maintenance_window\":[{\"start\":" LATER "},{\"start\":" NOW_IN "}]",
     true,
     2,
     {"2026-11-20T22:00:00Z", "2026-11-21T02:00:00Z", "2026-11-21T02:00:00Z",
      "2026-11-21T04:00:00Z"}},
    /* Not understood, never guessed. */
    {"\"maintenance_status\":\"soon\",\"maintenance_window\":{\"start\":" LATER "}",
     false,
     0,
     {NULL}},
    {"\"maintenance_status\":true", false, 0, {NULL}},
    {"\"maintenance_window\":{\"start\":\"21.11.2026 02:00\",\"end\":null}", false, 0, {NULL}},
    {"\"maintenance_window\":{\"start\":\"2026-11-21T02:00:00\",\"end\":null}", false, 0, {NULL}},
    {"\"maintenance_window\":{\"start\":1795226400,\"end\":null}", false, 0, {NULL}},
    {"\"maintenance_window\":{\"start\":\"2026-11-21T02:00:00Z\",\"end\":\"later\"}",
     false,
     0,
     {NULL}},
    {"\"maintenance_window\":{\"end\":\"2026-11-21T02:00:00Z\"}", false, 0, {NULL}},
    {"\"maintenance_window\":{\"start\":\"2026-11-21T04:00:00Z\",\"end\":"
     "\"2026-11-21T02:00:00Z\"}",
     false,
     0,
     {NULL}},
    {"\"maintenance_window\":\"tonight\"", false, 0, {NULL}},
};

static void test_items(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROW_COUNT(item_rows); i++) {
        struct list list;
        char body[600];

        print_message("%s\n", item_rows[i].rest);
        (void)snprintf(body, sizeof body, "{\"data\":[{\"provider\":\"a\",%s}]}",
                       item_rows[i].rest);
        read_list(&list, 200, body);
        assert_int_equal(list.answer.class_, CLASS_SUCCESS);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.items[0].name, "a");
        assert_int_equal(list.items[0].is_understood, item_rows[i].is_understood);
        assert_int_equal(list.items[0].span_count, item_rows[i].span_count);
        for (uint32_t j = 0; j < item_rows[i].span_count; j++) {
            assert_int_equal(list.items[0].spans[j].start.ms, at(item_rows[i].spans[2 * j]).ms);
            assert_int_equal(list.items[0].spans[j].end.ms, at(item_rows[i].spans[2 * j + 1]).ms);
        }
    }
}

/* Of too many windows the sooner ones count. */
static void test_many_windows(void **state)
{
    struct list list;

    (void)state;
    read_list(&list, 200,
              "{\"data\":[{\"provider\":\"a\",\"maintenance_window\":["
              "{\"start\":\"2026-11-26T00:00:00Z\",\"end\":null},"
              "{\"start\":\"2026-11-24T00:00:00Z\",\"end\":\"2026-11-24T01:00:00Z\"},"
              "{\"start\":\"2026-11-22T00:00:00Z\",\"end\":\"2026-11-22T01:00:00Z\"},"
              "{\"start\":\"2026-11-25T00:00:00Z\",\"end\":\"2026-11-25T01:00:00Z\"},"
              "{\"start\":\"2026-11-23T00:00:00Z\",\"end\":\"2026-11-23T01:00:00Z\"}]},"
              "{\"maintenance_status\":\"active\"},7]}");
    assert_int_equal(list.count, 3);
    assert_int_equal(list.items[0].span_count, MAINTENANCE_MAX);
    for (uint32_t i = 0; i < MAINTENANCE_MAX; i++)
        assert_int_equal(list.items[0].spans[i].start.ms,
                         at("2026-11-22").ms + (int64_t)i * MS_PER_DAY);
    assert_false(list.items[1].is_understood);
    assert_false(list.items[2].is_understood);
}

static void test_answers_that_are_no_list(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum answer_class class_;
    } rows[] = {
        {200, "{\"data\":{}}", CLASS_BAD_ANSWER},
        {200, "{}", CLASS_BAD_ANSWER},
        {200, "", CLASS_BAD_ANSWER},
        {200, "<html>", CLASS_BAD_ANSWER},
        {204, "", CLASS_BAD_ANSWER},
        {401, "{\"code_id\":\"token_expired\"}", CLASS_CREDENTIALS},
        {401, "{\"code_id\":\"unauthorized_scope\"}", CLASS_CONFIG_ERROR},
        {404, "{\"code_id\":\"unknown\"}", CLASS_CONFIG_ERROR},
        {429, "{}", CLASS_PUSHBACK},
        {503, "{}", CLASS_RETRY_LATER},
        {200, "{\"data\":[]}", CLASS_SUCCESS},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct list list;

        read_list(&list, rows[i].status, rows[i].body);
        print_message("%d %s\n", rows[i].status, rows[i].body);
        assert_int_equal(list.answer.class_, rows[i].class_);
        assert_int_equal(list.count, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_many_windows),
        cmocka_unit_test(test_answers_that_are_no_list),
    };

    return cmocka_run_group_tests(tests, open_all, close_all);
}
