/* SPDX-License-Identifier: MIT
 * test_reporting_publish.c - CSV records, files that appear as a whole, export of a run. */
#include "reporting/reporting_publish.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "reporting/csv_line.h"
#include "reporting/publish_file.h"
#include "reporting/reporting_facts.h"
#include "tests/unit/reporting_fixture.h"

static char read_bytes[65536];
static const char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t length;

    if (file == NULL)
        fail_msg("%s is missing", path);
    length = fread(read_bytes, 1, sizeof read_bytes - 1, file);
    read_bytes[length] = '\0';
    (void)fclose(file);
    return read_bytes;
}

/* ---- CSV ---- */

static void test_csv_values(void **state)
{
    static const struct {
        const char *value;
        const char *field;
    } rows[] = {
        {"plain", "plain"},
        {NULL, ""},
        {"", ""},
        {"two words", "two words"},
        {"a,b", "\"a,b\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"line\nbreak", "\"line\nbreak\""},
        {"\xC3\xA9t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
        {"=1+1", "'=1+1"},
        {"+49", "'+49"},
        {"-1", "'-1"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"\t=1", "'\t=1"},
        {"\r=1", "\"'\r=1\""},
        {"=\"a\",b", "\"'=\"\"a\"\",b\""},
        {"a=1", "a=1"},
        {"-", "-"}, /* no institution */
        {"'=1", "'=1"},
    };
    struct csv_line line;

    (void)state;
    csv_line_init(&line);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        char expected[100];

        csv_line_begin(&line);
        csv_line_text(&line, rows[i].value);
        csv_line_text(&line, rows[i].value);
        csv_line_end(&line);
        (void)snprintf(expected, sizeof expected, "%s,%s\r\n", rows[i].field, rows[i].field);
        assert_string_equal(line.text.bytes, expected);
    }
    csv_line_begin(&line);
    csv_line_integer(&line, -5);
    csv_line_text(&line, NULL);
    csv_line_integer(&line, INT64_MAX);
    csv_line_end(&line);
    assert_string_equal(line.text.bytes, "-5,,9223372036854775807\r\n");
    csv_line_deinit(&line);
}

/* ---- files ---- */

static void test_a_file_appears_as_a_whole(void **state)
{
    char folder[64] = "/tmp/test_publish.XXXXXX";
    char path[128];
    char temporary[PUBLISH_PATH_BYTES];
    struct stat status;
    struct fault fault;
    int fd = -1;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/out/report.csv", folder);
    /* The last folder is made; what a crash left is replaced. */
    assert_int_equal(publish_file_create(path, temporary, &fd, &fault), RESULT_OK);
    assert_int_equal(write(fd, "left over from a crash", 22), 22);
    assert_int_equal(close(fd), 0);
    assert_int_equal(publish_file_create(path, temporary, &fd, &fault), RESULT_OK);
    assert_int_equal(write(fd, "new", 3), 3);
    assert_int_equal(close(fd), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(publish_file_commit(temporary, path, &fault), RESULT_OK);
    assert_string_equal(read_file(path), "new");
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);

    /* One that is given up leaves the old file. */
    assert_int_equal(publish_file_create(path, temporary, &fd, &fault), RESULT_OK);
    assert_int_equal(close(fd), 0);
    publish_file_abandon(temporary);
    assert_string_equal(read_file(path), "new");
    assert_int_equal(access(temporary, F_OK), -1);

    /* A path that is a folder cannot be replaced: told, and nothing is left behind. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(publish_file_create(path, temporary, &fd, &fault), RESULT_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(publish_file_commit(temporary, path, &fault), RESULT_FAULT);
    assert_non_null(strstr(fault.text, path));
    assert_int_equal(access(temporary, F_OK), -1);
    assert_int_equal(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/out", folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0);

    assert_int_equal(publish_file_create("/nonexistent/a/b.csv", temporary, &fd, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_CANNOT_CREATE);
}

/* ---- export ---- */

struct exported {
    char folder[64];
    char path[128];
    char directory[128];
    struct reporting_database *database;
};

static void put(struct exported *exported, const struct fact *fact)
{
    struct fault fault;

    if (reporting_facts_put(exported->database, fact, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

static void put_run(struct exported *exported, const char *run_id)
{
    struct fact fact = {.kind = FACT_RUN,
                        .as.run = {.schedule = "nightly",
                                   .trigger = TRIGGER_SCHEDULE,
                                   .slot = SLOT,
                                   .deadline = UTC_NEVER,
                                   .started = SLOT,
                                   .finished = SLOT,
                                   .due = 4,
                                   .reconciled = true}};
    struct fact job = {.kind = FACT_JOB,
                       .as.job = {.run_id = run_id,
                                  .consent = "finq/a,\"b\"",
                                  .provider = "finq",
                                  .institution = "-",
                                  .schedule = "nightly",
                                  .timezone = "Europe/London",
                                  .trigger = TRIGGER_SCHEDULE,
                                  .slot = SLOT,
                                  .due = SLOT,
                                  .started = utc_add_ms(SLOT, 250),
                                  .finished = utc_add_ms(SLOT, 1250),
                                  .attempts = 2,
                                  .outcome = OUTCOME_FAILED,
                                  .reason = REASON_REJECTED,
                                  .has_new_data = TRI_TRUE,
                                  .error_code = "=cmd|' /C calc'!A0"}};
    struct fact skip = {.kind = FACT_SKIP,
                        .as.skip = {.run_id = run_id,
                                    .schedule = "nightly",
                                    .timezone = "Europe/London",
                                    .slot = SLOT,
                                    .due = SLOT,
                                    .at = SLOT,
                                    .reason = REASON_MISSED,
                                    .count = 3}};
    char uid[256];

    (void)snprintf(fact.as.run.run_id, sizeof fact.as.run.run_id, "%s", run_id);
    (void)snprintf(uid, sizeof uid, "job-of-%s", run_id);
    job.as.job.job_uid = uid;
    put(exported, &fact);
    put(exported, &job);
    put(exported, &skip);
}

static void open_exported(struct exported *exported)
{
    struct fault fault;

    (void)snprintf(exported->folder, sizeof exported->folder, "/tmp/test_export.XXXXXX");
    assert_non_null(mkdtemp(exported->folder));
    (void)snprintf(exported->path, sizeof exported->path, "%s/reporting.db", exported->folder);
    (void)snprintf(exported->directory, sizeof exported->directory, "%s/export", exported->folder);
    if (reporting_database_open(exported->path, NULL, &exported->database, &fault) != RESULT_OK ||
        reporting_database_begin(exported->database, SLOT, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
    put_run(exported, "nightly@2026-11-21T01:00:00Z");
    put_run(exported, "nightly@2026-11-22T01:00:00Z");
    if (reporting_database_commit(exported->database, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

static void close_exported(struct exported *exported)
{
    reporting_database_close(exported->database);
    reporting_fixture_remove(exported->path);
    (void)rmdir(exported->directory);
    assert_int_equal(rmdir(exported->folder), 0);
}

static void test_each_run_has_its_file(void **state)
{
    static const struct {
        enum export_format format;
        const char *suffix;
        const char *text;
    } rows[] = {
        {EXPORT_CSV, ".csv",
         "run_id,consent,provider,institution,schedule,trigger,outcome,reason,detail,count,"
         "job_uid,slot_at,due_at,started_at,finished_at,wait_ms,duration_ms,attempts,"
         "has_new_data,error_code\r\n"
         "nightly@2026-11-21T01:00:00Z,\"finq/a,\"\"b\"\"\",finq,-,nightly,schedule,failed,"
         "rejected,,1,job-of-nightly@2026-11-21T01:00:00Z,2026-11-21T01:00:00.000Z,"
         "2026-11-21T01:00:00.000Z,2026-11-21T01:00:00.250Z,2026-11-21T01:00:01.250Z,250,1000,2,"
         "1,'=cmd|' /C calc'!A0\r\n"
         "nightly@2026-11-21T01:00:00Z,*,,,nightly,schedule,skipped,missed,,3,,"
         "2026-11-21T01:00:00.000Z,2026-11-21T01:00:00.000Z,,2026-11-21T01:00:00.000Z,,,0,,\r\n"},
        {EXPORT_JSON_LINES, ".jsonl",
         "{\"run_id\":\"nightly@2026-11-21T01:00:00Z\",\"consent\":\"finq/a,\\\"b\\\"\","
         "\"provider\":\"finq\",\"institution\":\"-\",\"schedule\":\"nightly\","
         "\"trigger\":\"schedule\",\"outcome\":\"failed\",\"reason\":\"rejected\",\"detail\":null,"
         "\"count\":1,\"job_uid\":\"job-of-nightly@2026-11-21T01:00:00Z\","
         "\"slot_at\":\"2026-11-21T01:00:00.000Z\",\"due_at\":\"2026-11-21T01:00:00.000Z\","
         "\"started_at\":\"2026-11-21T01:00:00.250Z\","
         "\"finished_at\":\"2026-11-21T01:00:01.250Z\",\"wait_ms\":250,\"duration_ms\":1000,"
         "\"attempts\":2,\"has_new_data\":1,\"error_code\":\"=cmd|' /C calc'!A0\"}\n"
         "{\"run_id\":\"nightly@2026-11-21T01:00:00Z\",\"consent\":\"*\",\"provider\":null,"
         "\"institution\":null,\"schedule\":\"nightly\",\"trigger\":\"schedule\","
         "\"outcome\":\"skipped\",\"reason\":\"missed\",\"detail\":null,\"count\":3,"
         "\"job_uid\":null,\"slot_at\":\"2026-11-21T01:00:00.000Z\","
         "\"due_at\":\"2026-11-21T01:00:00.000Z\",\"started_at\":null,"
         "\"finished_at\":\"2026-11-21T01:00:00.000Z\",\"wait_ms\":null,\"duration_ms\":null,"
         "\"attempts\":0,\"has_new_data\":null,\"error_code\":null}\n"},
    };

    (void)state;
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct exported exported;
        char first[256];
        char second[256];
        bool wants_export = false;
        bool wants_snapshot = false;
        struct fault fault;

        open_exported(&exported);
        if (reporting_publish_exports(exported.database, exported.directory, rows[i].format,
                                      &fault) != RESULT_OK)
            fail_msg("%s", fault.text);
        (void)snprintf(first, sizeof first, "%s/nightly@2026-11-21T01-00-00Z%s", exported.directory,
                       rows[i].suffix);
        (void)snprintf(second, sizeof second, "%s/nightly@2026-11-22T01-00-00Z%s",
                       exported.directory, rows[i].suffix);
        assert_string_equal(read_file(first), rows[i].text);
        assert_non_null(strstr(read_file(second), "job-of-nightly@2026-11-22T01:00:00Z"));
        if (reporting_publish_waiting(exported.database, &wants_export, &wants_snapshot, &fault) !=
            RESULT_OK)
            fail_msg("%s", fault.text);
        assert_false(wants_export);
        assert_true(wants_snapshot);
        /* Once is enough: a second call writes nothing. */
        assert_int_equal(unlink(first), 0);
        assert_int_equal(unlink(second), 0);
        assert_int_equal(reporting_publish_exports(exported.database, exported.directory,
                                                   rows[i].format, &fault),
                         RESULT_OK);
        assert_int_equal(access(first, F_OK), -1);
        close_exported(&exported);
    }
}

/* A folder that cannot be written: the run waits, and has its file later. */
static void test_an_export_that_failed_is_made_later(void **state)
{
    struct exported exported;
    char path[256];
    struct fault fault;
    FILE *file;

    (void)state;
    open_exported(&exported);
    file = fopen(exported.directory, "w"); /* a file where the folder should be */
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(
        reporting_publish_exports(exported.database, exported.directory, EXPORT_CSV, &fault),
        RESULT_FAULT);
    assert_non_null(strstr(fault.text, "export of run nightly@2026-11-21T01:00:00Z"));
    assert_int_equal(unlink(exported.directory), 0);
    assert_int_equal(
        reporting_publish_exports(exported.database, exported.directory, EXPORT_CSV, &fault),
        RESULT_OK);
    (void)snprintf(path, sizeof path, "%s/nightly@2026-11-21T01-00-00Z.csv", exported.directory);
    assert_int_equal(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/nightly@2026-11-22T01-00-00Z.csv", exported.directory);
    assert_int_equal(unlink(path), 0);
    close_exported(&exported);
}

static void test_nothing_configured_waits_for_nothing(void **state)
{
    struct exported exported;
    bool wants_export = true;
    bool wants_snapshot = true;
    struct fault fault;

    (void)state;
    open_exported(&exported);
    assert_int_equal(reporting_publish_exports(exported.database, NULL, EXPORT_CSV, &fault),
                     RESULT_OK);
    assert_int_equal(reporting_publish_snapshot(exported.database, NULL, &fault), RESULT_OK);
    assert_int_equal(
        reporting_publish_waiting(exported.database, &wants_export, &wants_snapshot, &fault),
        RESULT_OK);
    assert_false(wants_export);
    assert_false(wants_snapshot);
    close_exported(&exported);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_values),
        cmocka_unit_test(test_a_file_appears_as_a_whole),
        cmocka_unit_test(test_each_run_has_its_file),
        cmocka_unit_test(test_an_export_that_failed_is_made_later),
        cmocka_unit_test(test_nothing_configured_waits_for_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
