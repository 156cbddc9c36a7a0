/* SPDX-License-Identifier: MIT
 * test_zone_file.c - zones by name: which names are refused, and what bad files give. */
#include "base/zone_file.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/unit/unit_test.h"

struct fixture {
    char directory[64];
    struct arena arena;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    (void)snprintf(fixture.directory, sizeof fixture.directory, "/tmp/test_zone_file.XXXXXX");
    if (mkdtemp(fixture.directory) == NULL)
        return -1;
    arena_init(&fixture.arena);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[128];

    arena_deinit(&fixture->arena);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->directory);
    return system(command);
}

static void make_path(const struct fixture *fixture, const char *name, char path[128])
{
    (void)snprintf(path, 128, "%s/%s", fixture->directory, name);
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    make_path(fixture, name, path);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_names(void **state)
{
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "/etc/passwd",
        "/Europe/London",
        "../zoneinfo/Europe/London",
        "Europe/../Europe/London",
        "Europe//London",
        "Europe/London/",
        "Europe", /* a directory */
        "Europe/Londn",
        "Europe/London/x", /* a file where a directory is needed */
        "localtime",       /* the host's */
        "posixrules",
        "zone.tab",
        "Europe/London ",
        "Europe\\London",
    };
    struct fixture *fixture = *state;
    char longest[400];
    struct fault fault;
    const struct zone *zone = NULL;

    for (size_t i = 0; i < ROW_COUNT(bad); i++) {
        if (zone_load(ZONE_DIRECTORY, bad[i], &fixture->arena, &zone, &fault) == RESULT_OK)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(fault.code, FAULT_CONFIGURATION);
        assert_non_null(strstr(fault.text, "unknown time zone"));
        assert_null(zone);
    }
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(zone_load(ZONE_DIRECTORY, longest, &fixture->arena, &zone, &fault),
                     RESULT_FAULT);
    /* No file is needed for UTC. */
    assert_int_equal(zone_load("/nowhere", "UTC", &fixture->arena, &zone, &fault), RESULT_OK);
    assert_ptr_equal(zone, &zone_utc);
    assert_int_equal(zone_load("/nowhere", "Etc/UTC", &fixture->arena, &zone, &fault), RESULT_OK);
    assert_ptr_equal(zone, &zone_utc);
    assert_string_equal(zone_offset_at(zone, UTC_NEVER).abbreviation, "UTC");
    assert_int_equal(zone_offset_at(zone, UTC_NEVER).offset_s, 0);
    assert_false(zone_offset_at(zone, UTC_NEVER).is_daylight);
}

static void test_bad_file_by_name(void **state)
{
    struct fixture *fixture = *state;
    const struct zone *zone = NULL;
    struct fault fault;
    char path[128];

    write_file(fixture, "Broken", "TZif2 and no more");
    assert_int_equal(zone_load(fixture->directory, "Broken", &fixture->arena, &zone, &fault),
                     RESULT_FAULT);
    assert_int_equal(fault.code, FAULT_DATA);
    make_path(fixture, "Broken", path);
    assert_non_null(strstr(fault.text, path));
    /* A pipe must not hold us up. */
    make_path(fixture, "Pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(zone_load(fixture->directory, "Pipe", &fixture->arena, &zone, &fault),
                     RESULT_FAULT);
}

static void test_data_version(void **state)
{
    struct fixture *fixture = *state;
    char version[ZONE_VERSION_SIZE];

    assert_string_equal(zone_data_version(fixture->directory, version), "unknown");
    write_file(fixture, "+VERSION", "2031a\n");
    assert_string_equal(zone_data_version(fixture->directory, version), "2031a");
    write_file(fixture, "tzdata.zi", "# redistributed\n");
    assert_string_equal(zone_data_version(fixture->directory, version), "2031a");
    write_file(fixture, "tzdata.zi", "# version 2031b\n# and more\n");
    assert_string_equal(zone_data_version(fixture->directory, version), "2031b");
    write_file(fixture, "tzdata.zi", "# version 2031b-with-a-very-long-local-suffix\n");
    assert_string_equal(zone_data_version(fixture->directory, version), "2031b-with-a-very-long-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_file_by_name),
        cmocka_unit_test(test_data_version),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
