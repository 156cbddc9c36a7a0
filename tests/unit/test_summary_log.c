/* SPDX-License-Identifier: MIT
 * test_summary_log.c - lines per period and run: their numbers, their times, and a file that cannot
 * be written. */
#include "reporting/summary_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <signal.h>

#include "tests/unit/unit_test.h"

/* 2026-11-21T01:07:30Z: in the middle of a quarter of an hour. */
#define BEGIN ((struct utc_time){INT64_C(1795223250000)})

struct setting {
    char folder[64];
    char path[128];
    struct config config;
    struct config_provider providers[2];
    struct summary_log *log;
};

static void open_log(struct setting *setting, enum log_format format)
{
    struct fault fault;

    memset(setting, 0, sizeof *setting);
    (void)snprintf(setting->folder, sizeof setting->folder, "/tmp/test_summary.XXXXXX");
    assert_non_null(mkdtemp(setting->folder));
    (void)snprintf(setting->path, sizeof setting->path, "%s/summary.log", setting->folder);
    setting->providers[0].name = "bud";
    setting->providers[1].name = "finq";
    setting->config.providers = setting->providers;
    setting->config.provider_count = 2;
    setting->config.summary.log = setting->path;
    setting->config.summary.every_ms = 15 * MS_PER_MINUTE;
    setting->config.summary.format = format;
    if (summary_log_open(&setting->config, BEGIN, &setting->log, &fault) != RESULT_OK)
        fail_msg("%s", fault.text);
}

static void close_log(struct setting *setting, struct utc_time now)
{
    summary_log_close(setting->log, now);
    setting->log = NULL;
}

static void remove_log(struct setting *setting)
{
    (void)unlink(setting->path);
    assert_int_equal(rmdir(setting->folder), 0);
}

static const char *read_file(const char *path)
{
    static char bytes[65536];
    FILE *file = fopen(path, "r");
    size_t length;

    assert_non_null(file);
    length = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[length] = '\0';
    (void)fclose(file);
    return bytes;
}

static void count(struct setting *setting, const char *provider, enum outcome outcome,
                  enum reason reason, int times)
{
    for (int i = 0; i < times; i++)
        summary_log_count(setting->log, provider, outcome, reason);
}

static void test_periods_in_logfmt(void **state)
{
    struct setting setting;
    struct stat status;
    struct utc_time next;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    count(&setting, "finq", OUTCOME_REFRESHED, REASON_NONE, 5);
    count(&setting, "finq", OUTCOME_FAILED, REASON_TRANSPORT, 2);
    count(&setting, "finq", OUTCOME_FAILED, REASON_REJECTED, 1);
    count(&setting, "finq", OUTCOME_SKIPPED, REASON_QUOTA, 3);
    next = summary_log_tick(setting.log, utc_add_ms(BEGIN, 1000), 7, 2);
    /* Not over yet, and it is over at the next full quarter. */
    assert_string_equal(read_file(setting.path), "");
    assert_int_equal(next.ms, BEGIN.ms + 450000);
    next = summary_log_tick(setting.log, next, 9, 4);
    assert_int_equal(next.ms, BEGIN.ms + 450000 + 15 * MS_PER_MINUTE);
    assert_string_equal(
        read_file(setting.path),
        "time=2026-11-21T01:15:00.000Z level=info event=summary provider=bud period_s=450"
        " refreshed=0 partial=0 deduplicated=0 reconnect_required=0 failed=0 skipped=0 unknown=0"
        " waiting_total=9 open_jobs_total=4\n"
        "time=2026-11-21T01:15:00.000Z level=info event=summary provider=finq period_s=450"
        " refreshed=5 partial=0 deduplicated=0 reconnect_required=0 failed=3 skipped=3 unknown=0"
        " failed_rejected=1 failed_transport=2 skipped_quota=3"
        " waiting_total=9 open_jobs_total=4\n");
    assert_int_equal(stat(setting.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);

    /* Counts begin anew; a period in which nobody asked is one long line. */
    count(&setting, "bud", OUTCOME_PARTIAL, REASON_NONE, 1);
    assert_int_equal(truncate(setting.path, 0), 0);
    next = summary_log_tick(setting.log, utc_add_ms(BEGIN, 450000 + 3600500), 0, 0);
    assert_int_equal(next.ms, BEGIN.ms + 450000 + 75 * MS_PER_MINUTE);
    assert_non_null(
        strstr(read_file(setting.path), "provider=bud period_s=3601 refreshed=0 partial=1 "));
    assert_non_null(
        strstr(read_file(setting.path), "provider=finq period_s=3601 refreshed=0 partial=0 "));
    close_log(&setting, next);
    remove_log(&setting);
}

static struct manifest night(void)
{
    struct manifest manifest = {.run = 1,
                                .run_id = "nightly@2026-11-21T01:00:00Z",
                                .schedule = "nightly",
                                .trigger = TRIGGER_SCHEDULE,
                                .slot = {BEGIN.ms},
                                .deadline = {BEGIN.ms + MS_PER_HOUR},
                                .started = {BEGIN.ms},
                                .finished = {BEGIN.ms + 90500},
                                .due = 28,
                                .reconciled = true};

    for (int i = OUTCOME_REFRESHED; i < OUTCOME_COUNT; i++)
        manifest.counts[i] = (uint32_t)i;
    return manifest;
}

static void test_run_line_in_both_formats(void **state)
{
    struct setting setting;
    struct manifest manifest = night();

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    summary_log_run(setting.log, manifest.finished, &manifest);
    manifest.late = true;
    summary_log_run(setting.log, manifest.finished, &manifest);
    manifest.reconciled = false;
    summary_log_run(setting.log, manifest.finished, &manifest);
    assert_string_equal(
        read_file(setting.path),
        "time=2026-11-21T01:09:00.500Z level=info event=run_finished"
        " run=nightly@2026-11-21T01:00:00Z schedule=nightly trigger=schedule due=28 refreshed=1"
        " partial=2 deduplicated=3 reconnect_required=4 failed=5 skipped=6 unknown=7"
        " reconciled=true late=false started_at=2026-11-21T01:07:30.000Z"
        " finished_at=2026-11-21T01:09:00.500Z\n"
        "time=2026-11-21T01:09:00.500Z level=warning event=run_finished"
        " run=nightly@2026-11-21T01:00:00Z schedule=nightly trigger=schedule due=28 refreshed=1"
        " partial=2 deduplicated=3 reconnect_required=4 failed=5 skipped=6 unknown=7"
        " reconciled=true late=true started_at=2026-11-21T01:07:30.000Z"
        " finished_at=2026-11-21T01:09:00.500Z\n"
        "time=2026-11-21T01:09:00.500Z level=error event=run_finished"
        " run=nightly@2026-11-21T01:00:00Z schedule=nightly trigger=schedule due=28 refreshed=1"
        " partial=2 deduplicated=3 reconnect_required=4 failed=5 skipped=6 unknown=7"
        " reconciled=false late=true started_at=2026-11-21T01:07:30.000Z"
        " finished_at=2026-11-21T01:09:00.500Z\n");
    close_log(&setting, BEGIN);
    remove_log(&setting);

    open_log(&setting, LOG_FORMAT_JSON);
    manifest = night();
    summary_log_run(setting.log, manifest.finished, &manifest);
    count(&setting, "finq", OUTCOME_UNKNOWN, REASON_IN_DOUBT, 1);
    (void)summary_log_tick(setting.log, utc_add_ms(BEGIN, 450000), 0, 0);
    assert_string_equal(
        read_file(setting.path),
        "{\"time\":\"2026-11-21T01:09:00.500Z\",\"level\":\"info\",\"event\":\"run_finished\","
        "\"run\":\"nightly@2026-11-21T01:00:00Z\",\"schedule\":\"nightly\","
        "\"trigger\":\"schedule\",\"due\":28,\"refreshed\":1,\"partial\":2,\"deduplicated\":3,"
        "\"reconnect_required\":4,\"failed\":5,\"skipped\":6,\"unknown\":7,\"reconciled\":true,"
        "\"late\":false,\"started_at\":\"2026-11-21T01:07:30.000Z\","
        "\"finished_at\":\"2026-11-21T01:09:00.500Z\"}\n"
        "{\"time\":\"2026-11-21T01:15:00.000Z\",\"level\":\"info\",\"event\":\"summary\","
        "\"provider\":\"bud\",\"period_s\":450,\"refreshed\":0,\"partial\":0,\"deduplicated\":0,"
        "\"reconnect_required\":0,\"failed\":0,\"skipped\":0,\"unknown\":0,\"waiting_total\":0,"
        "\"open_jobs_total\":0}\n"
        "{\"time\":\"2026-11-21T01:15:00.000Z\",\"level\":\"info\",\"event\":\"summary\","
        "\"provider\":\"finq\",\"period_s\":450,\"refreshed\":0,\"partial\":0,\"deduplicated\":0,"
        "\"reconnect_required\":0,\"failed\":0,\"skipped\":0,\"unknown\":1,"
        "\"unknown_in_doubt\":1,\"waiting_total\":0,\"open_jobs_total\":0}\n");
    close_log(&setting, BEGIN);
    remove_log(&setting);
}

/* What was counted is written at the end too, and providers without anything are not. */
static void test_close_writes_the_rest(void **state)
{
    struct setting setting;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    count(&setting, "finq", OUTCOME_REFRESHED, REASON_NONE, 3);
    count(&setting, "added-by-reload", OUTCOME_REFRESHED, REASON_NONE, 2);
    close_log(&setting, utc_add_ms(BEGIN, 2400));
    assert_non_null(strstr(read_file(setting.path), "provider=finq period_s=2 refreshed=3 "));
    assert_non_null(
        strstr(read_file(setting.path), "provider=added-by-reload period_s=2 refreshed=2 "));
    assert_null(strstr(read_file(setting.path), "provider=bud"));
    remove_log(&setting);
}

static void test_a_clock_set_back_begins_a_new_period(void **state)
{
    struct setting setting;
    struct utc_time next;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    count(&setting, "finq", OUTCOME_REFRESHED, REASON_NONE, 1);
    next = summary_log_tick(setting.log, utc_add_ms(BEGIN, -MS_PER_DAY), 0, 0);
    assert_int_equal(next.ms, BEGIN.ms + 450000 - MS_PER_DAY);
    (void)summary_log_tick(setting.log, next, 0, 0);
    assert_non_null(strstr(read_file(setting.path), "provider=finq period_s=450 refreshed=1 "));
    close_log(&setting, next);
    remove_log(&setting);
}

static void test_reopen_after_a_move(void **state)
{
    struct setting setting;
    struct manifest manifest = night();
    char moved[200];
    struct fault fault;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    (void)snprintf(moved, sizeof moved, "%s.1", setting.path);
    assert_int_equal(rename(setting.path, moved), 0);
    summary_log_run(setting.log, BEGIN, &manifest);
    assert_true(strlen(read_file(moved)) > 0);
    assert_int_equal(summary_log_reopen(setting.log, &fault), RESULT_OK);
    summary_log_run(setting.log, BEGIN, &manifest);
    assert_int_equal(strlen(read_file(setting.path)), strlen(read_file(moved)));

    /* Where that fails, the old file stays in use. */
    assert_int_equal(unlink(setting.path), 0);
    assert_int_equal(mkdir(setting.path, 0755), 0);
    assert_int_equal(summary_log_reopen(setting.log, &fault), RESULT_FAULT);
    assert_non_null(strstr(fault.text, setting.path));
    summary_log_run(setting.log, BEGIN, &manifest);
    assert_false(summary_log_trouble(setting.log, &fault));
    assert_int_equal(rmdir(setting.path), 0);
    assert_int_equal(unlink(moved), 0);
    close_log(&setting, BEGIN);
    remove_log(&setting);
}

static void test_a_path_that_cannot_be_written(void **state)
{
    struct setting setting;
    struct summary_log *log = NULL;
    struct fault fault;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    close_log(&setting, BEGIN);
    setting.config.summary.log = "/nonexistent/summary.log";
    assert_int_equal(summary_log_open(&setting.config, BEGIN, &log, &fault), RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_CANNOT_CREATE);
    assert_non_null(strstr(fault.text, "/nonexistent/summary.log"));
    assert_null(log);
    remove_log(&setting);
}

/* A full disk, played by a limit on the size of files: lines are dropped whole, the reason is told
 * once, and the log says later how many are missing. */
static void test_dropped_lines_are_counted(void **state)
{
    struct setting setting;
    struct manifest manifest = night();
    struct rlimit before;
    struct rlimit small;
    size_t line_length;
    char expected[1000];
    struct fault fault;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    summary_log_run(setting.log, BEGIN, &manifest);
    line_length = strlen(read_file(setting.path));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    small = before;
    small.rlim_cur = line_length + 10; /* the next line is torn */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    summary_log_run(setting.log, BEGIN, &manifest);
    summary_log_run(setting.log, BEGIN, &manifest);
    summary_log_run(setting.log, BEGIN, &manifest);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(summary_log_trouble(setting.log, &fault));
    assert_non_null(strstr(fault.text, setting.path));
    assert_false(summary_log_trouble(setting.log, &fault));
    summary_log_run(setting.log, BEGIN, &manifest);
    (void)snprintf(expected, sizeof expected,
                   "\ntime=2026-11-21T01:07:30.000Z level=warning event=summary_lines_dropped"
                   " count=3\ntime=2026-11-21T01:07:30.000Z level=info event=run_finished");
    assert_non_null(strstr(read_file(setting.path), expected));
    summary_log_run(setting.log, BEGIN, &manifest);
    assert_non_null(strstr(read_file(setting.path), expected));
    assert_null(strstr(strstr(read_file(setting.path), "lines_dropped") + 1, "lines_dropped"));
    assert_false(summary_log_trouble(setting.log, &fault));
    close_log(&setting, BEGIN);
    remove_log(&setting);
}

static void test_a_reload_changes_the_log(void **state)
{
    struct setting setting;
    char other[200];
    struct utc_time next;
    struct fault fault;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    count(&setting, "finq", OUTCOME_REFRESHED, REASON_NONE, 4);
    /* A path that cannot be written: everything stays. */
    setting.config.summary.log = "/nonexistent/summary.log";
    setting.config.summary.format = LOG_FORMAT_JSON;
    setting.config.summary.every_ms = MS_PER_MINUTE;
    assert_int_equal(summary_log_configure(setting.log, &setting.config, BEGIN, &fault),
                     RESULT_FAULT);
    next = summary_log_tick(setting.log, BEGIN, 0, 0);
    assert_int_equal(next.ms, BEGIN.ms + 450000);
    /* Another file, form and period; what was counted goes on. */
    (void)snprintf(other, sizeof other, "%s/other.log", setting.folder);
    setting.config.summary.log = other;
    assert_int_equal(summary_log_configure(setting.log, &setting.config, BEGIN, &fault), RESULT_OK);
    next = summary_log_tick(setting.log, BEGIN, 0, 0);
    assert_int_equal(next.ms, BEGIN.ms + 30000);
    (void)summary_log_tick(setting.log, next, 0, 0);
    assert_string_equal(read_file(setting.path), "");
    assert_non_null(strstr(read_file(other), "\"provider\":\"finq\",\"period_s\":30,"
                                             "\"refreshed\":4,"));
    close_log(&setting, next);
    assert_int_equal(unlink(other), 0);
    remove_log(&setting);
}

static void test_standard_error(void **state)
{
    struct setting setting;
    struct summary_log *log = NULL;
    struct manifest manifest = night();
    int saved = dup(STDERR_FILENO);
    int file;
    struct fault fault;
    enum result result;

    (void)state;
    open_log(&setting, LOG_FORMAT_LOGFMT);
    close_log(&setting, BEGIN);
    file = open(setting.path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(file >= 0 && saved >= 0);
    (void)dup2(file, STDERR_FILENO);
    setting.config.summary.log = "-";
    result = summary_log_open(&setting.config, BEGIN, &log, &fault);
    if (result == RESULT_OK) {
        result = summary_log_reopen(log, &fault);
        summary_log_run(log, BEGIN, &manifest);
        summary_log_close(log, BEGIN);
    }
    /* Closing the log must not close standard error. */
    assert_int_equal(write(STDERR_FILENO, "still open\n", 11), 11);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    (void)close(file);
    assert_int_equal(result, RESULT_OK);
    assert_non_null(strstr(read_file(setting.path), "event=run_finished run=nightly@"));
    assert_non_null(strstr(read_file(setting.path), "still open\n"));
    remove_log(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_periods_in_logfmt),
        cmocka_unit_test(test_run_line_in_both_formats),
        cmocka_unit_test(test_close_writes_the_rest),
        cmocka_unit_test(test_a_clock_set_back_begins_a_new_period),
        cmocka_unit_test(test_reopen_after_a_move),
        cmocka_unit_test(test_a_path_that_cannot_be_written),
        cmocka_unit_test(test_dropped_lines_are_counted),
        cmocka_unit_test(test_a_reload_changes_the_log),
        cmocka_unit_test(test_standard_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
