/* SPDX-License-Identifier: MIT
 * test_log_line.c - one event is one line, whatever is in it. */
#include "base/log_line.h"

#include <string.h>

#include "tests/unit/unit_test.h"

#define AT ((struct utc_time){INT64_C(1763682100123)})

static void test_values_in_both_formats(void **state)
{
    static const struct {
        const char *value;
        const char *logfmt;
        const char *json;
    } rows[] = {
        {"plain", "plain", "\"plain\""},
        {"finq/7d3e-1.2", "finq/7d3e-1.2", "\"finq/7d3e-1.2\""},
        {"", "\"\"", "\"\""},
        {"two words", "\"two words\"", "\"two words\""},
        {"a=b", "\"a=b\"", "\"a=b\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\"", "\"say \\\"hi\\\"\""},
        {"5\"", "\"5\\\"\"", "\"5\\\"\""},
        {"back\\slash", "\"back\\\\slash\"", "\"back\\\\slash\""},
        {"line\nbreak", "\"line\\nbreak\"", "\"line\\nbreak\""},
        {"\x1b[31m", "\"\\u001b[31m\"", "\"\\u001b[31m\""},
        {"\x7f", "\"\\u007f\"", "\"\\u007f\""},
        {"caf\xC3\xA9", "\"caf\xC3\xA9\"", "\"caf\xC3\xA9\""},
        {"\xFF", "\"\xEF\xBF\xBD\"", "\"\xEF\xBF\xBD\""},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char expected[200];
        struct log_line line;

        log_line_init(&line, LOG_FORMAT_LOGFMT);
        log_line_begin(&line, UTC_NONE, LOG_INFO, "e");
        log_line_text(&line, "error", rows[i].value);
        snprintf(expected, sizeof expected, "level=info event=e error=%s\n", rows[i].logfmt);
        assert_string_equal(log_line_end(&line), expected);
        log_line_deinit(&line);

        log_line_init(&line, LOG_FORMAT_JSON);
        log_line_begin(&line, UTC_NONE, LOG_INFO, "e");
        log_line_text(&line, "error", rows[i].value);
        snprintf(expected, sizeof expected, "{\"level\":\"info\",\"event\":\"e\",\"error\":%s}\n",
                 rows[i].json);
        assert_string_equal(log_line_end(&line), expected);
        log_line_deinit(&line);
    }
}

static void write_all_kinds(struct log_line *line)
{
    log_line_begin(line, AT, LOG_WARNING, "run_finished");
    log_line_text(line, "run", "nightly@2025-11-20T23:41:40Z");
    log_line_text(line, "reason", NULL);
    log_line_integer(line, "count", INT64_MIN);
    log_line_boolean(line, "late", true);
    log_line_boolean(line, "reconciled", false);
}

static void test_all_kinds_of_values(void **state)
{
    struct log_line line;

    (void)state;
    log_line_init(&line, LOG_FORMAT_LOGFMT);
    write_all_kinds(&line);
    assert_string_equal(log_line_end(&line),
                        "time=2025-11-20T23:41:40.123Z level=warning event=run_finished "
                        "run=nightly@2025-11-20T23:41:40Z count=-9223372036854775808 late=true "
                        "reconciled=false\n");
    log_line_deinit(&line);

    log_line_init(&line, LOG_FORMAT_JSON);
    write_all_kinds(&line);
    assert_string_equal(log_line_end(&line),
                        "{\"time\":\"2025-11-20T23:41:40.123Z\",\"level\":\"warning\","
                        "\"event\":\"run_finished\",\"run\":\"nightly@2025-11-20T23:41:40Z\","
                        "\"count\":-9223372036854775808,\"late\":true,\"reconciled\":false}\n");
    log_line_deinit(&line);
}

static void test_a_line_starts_afresh(void **state)
{
    struct log_line line;

    (void)state;
    log_line_init(&line, LOG_FORMAT_LOGFMT);
    log_line_begin(&line, UTC_NONE, LOG_ERROR, "first");
    (void)log_line_end(&line);
    log_line_begin(&line, UTC_NONE, LOG_DEBUG, "second");
    assert_string_equal(log_line_end(&line), "level=debug event=second\n");
    log_line_deinit(&line);
}

static void test_long_values_are_cut(void **state)
{
    char value[3000];
    struct log_line line;
    const char *written;

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    log_line_init(&line, LOG_FORMAT_LOGFMT);
    log_line_begin(&line, UTC_NONE, LOG_INFO, "e");
    log_line_text(&line, "error", value);
    log_line_integer(&line, "count", 1);
    written = log_line_end(&line);
    assert_int_equal(strlen(written),
                     strlen("level=info event=e error=") + 1024 + strlen(" count=1\n"));
    assert_string_equal(written + strlen(written) - strlen("x count=1\n"), "x count=1\n");
    log_line_deinit(&line);
}

static void test_level_words(void **state)
{
    (void)state;
    assert_string_equal(log_level_text(LOG_ERROR), "error");
    assert_string_equal(log_level_text(LOG_WARNING), "warning");
    assert_string_equal(log_level_text(LOG_INFO), "info");
    assert_string_equal(log_level_text(LOG_DEBUG), "debug");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_in_both_formats),
        cmocka_unit_test(test_all_kinds_of_values),
        cmocka_unit_test(test_a_line_starts_afresh),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_level_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
