/* SPDX-License-Identifier: MIT
 * test_secret.c - every form of reference, and every reason not to take a secret. */
#include "config/secret.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit_test.h"

struct fixture {
    char directory[64];
    struct text secret;
    struct fault fault;
    char path[256];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    strcpy(fixture.directory, "/tmp/refreshd-secret-XXXXXX");
    if (mkdtemp(fixture.directory) == NULL)
        return -1;
    text_init(&fixture.secret, 100000);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char command[128];

    text_wipe(&fixture->secret);
    (void)snprintf(command, sizeof command, "rm -rf %s", fixture->directory);
    return system(command);
}

/* Path of a file with this content and mode. */
static const char *write_file(struct fixture *fixture, const char *name, const char *content,
                              size_t length, mode_t mode)
{
    FILE *file;

    (void)snprintf(fixture->path, sizeof fixture->path, "%s/%s", fixture->directory, name);
    (void)unlink(fixture->path); /* an earlier one may be read-only */
    file = fopen(fixture->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    fclose(file);
    assert_int_equal(chmod(fixture->path, mode), 0);
    return fixture->path;
}

static enum result read_file(struct fixture *fixture, const char *path, const char *customer)
{
    const struct secret_reference reference = {SECRET_FILE, path};

    text_clear(&fixture->secret);
    return secret_read(&reference, customer, &fixture->secret, &fixture->fault);
}

static void test_content(void **state)
{
    static const struct {
        const char *content;
        const char *expected; /* NULL: refused */
    } rows[] = {
        {"hunter2", "hunter2"},
        {"hunter2\n", "hunter2"},
        {"hunter2\r\n", "hunter2"},
        {"hunter2\n\n", "hunter2\n"},
        {" hunter2 ", " hunter2 "},
        {"", NULL},
        {"\n", NULL},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;
        const char *path = write_file(fixture, "s", rows[i].content, strlen(rows[i].content), 0600);

        if (rows[i].expected == NULL) {
            assert_int_equal(read_file(fixture, path, NULL), RESULT_FAULT);
            assert_non_null(strstr(fixture->fault.text, "is empty"));
        } else {
            assert_int_equal(read_file(fixture, path, NULL), RESULT_OK);
            assert_string_equal(fixture->secret.bytes, rows[i].expected);
        }
    }
}

static void test_modes(void **state)
{
    static const struct {
        mode_t mode;
        bool is_accepted;
    } rows[] = {
        {0600, true},  {0400, true},  {0640, true},  {0644, true},  {0444, true},
        {0606, false}, {0660, false}, {0622, false}, {0602, false}, {0777, false},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;
        const char *path = write_file(fixture, "s", "hunter2", 7, rows[i].mode);
        enum result result = read_file(fixture, path, NULL);

        if (rows[i].is_accepted) {
            assert_int_equal(result, RESULT_OK);
            continue;
        }
        assert_int_equal(result, RESULT_FAULT);
        assert_int_equal(fixture->fault.code, FAULT_PERMISSION);
        assert_non_null(strstr(fixture->fault.text, "chmod go-w "));
        assert_non_null(strstr(fixture->fault.text, path));
        assert_null(strstr(fixture->fault.text, "hunter2"));
        assert_int_equal(fixture->secret.length, 0);
    }
}

static void test_unreadable_files(void **state)
{
    struct fixture *fixture = *state;
    char long_secret[70000];

    assert_int_equal(read_file(fixture, "/nonexistent/secret", NULL), RESULT_FAULT);
    assert_non_null(strstr(fixture->fault.text, "/nonexistent/secret: No such file"));
    assert_int_equal(read_file(fixture, fixture->directory, NULL), RESULT_FAULT);
    assert_non_null(strstr(fixture->fault.text, "not a regular file"));
    (void)snprintf(fixture->path, sizeof fixture->path, "%s/pipe", fixture->directory);
    assert_int_equal(mkfifo(fixture->path, 0600), 0);
    assert_int_equal(read_file(fixture, fixture->path, NULL), RESULT_FAULT); /* does not wait */
    memset(long_secret, 'x', sizeof long_secret);
    assert_int_equal(
        read_file(fixture, write_file(fixture, "s", long_secret, sizeof long_secret, 0600), NULL),
        RESULT_FAULT);
    assert_non_null(strstr(fixture->fault.text, "longer than 64 KiB"));
    assert_int_equal(read_file(fixture, write_file(fixture, "s", "a\0b", 3, 0600), NULL),
                     RESULT_FAULT);
    assert_non_null(strstr(fixture->fault.text, "NUL"));
}

static void test_customer_in_a_path(void **state)
{
    static const struct {
        const char *customer;
        const char *problem; /* NULL: the file is found */
    } rows[] = {
        {"c-17", NULL},
        {NULL, "no customer"},
        {"", "no customer"},
        {"../c-17", "cannot be part of a path"},
        {"a/b", "cannot be part of a path"},
        {".hidden", "cannot be part of a path"},
        {"a\nb", "cannot be part of a path"},
        {"other", "No such file"},
    };
    struct fixture *fixture = *state;
    char pattern[128];

    (void)write_file(fixture, "c-17", "hunter2", 7, 0600);
    (void)snprintf(pattern, sizeof pattern, "%s/{customer}", fixture->directory);
    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        enum result result = read_file(fixture, pattern, rows[i].customer);

        assert_int_equal(result, rows[i].problem == NULL ? RESULT_OK : RESULT_FAULT);
        if (rows[i].problem != NULL)
            assert_non_null(strstr(fixture->fault.text, rows[i].problem));
        else
            assert_string_equal(fixture->secret.bytes, "hunter2");
    }
}

static void test_environment_and_credentials(void **state)
{
    const struct secret_reference env = {SECRET_ENV, "REFRESHD_TEST_SECRET"};
    const struct secret_reference credential = {SECRET_CREDENTIAL, "bank"};
    struct fixture *fixture = *state;

    unsetenv("REFRESHD_TEST_SECRET");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_int_equal(secret_read(&env, NULL, &fixture->secret, &fixture->fault), RESULT_FAULT);
    assert_non_null(strstr(fixture->fault.text, "REFRESHD_TEST_SECRET is not set"));
    assert_int_equal(secret_read(&credential, NULL, &fixture->secret, &fixture->fault),
                     RESULT_FAULT);
    assert_non_null(strstr(fixture->fault.text, "LoadCredential=bank"));

    setenv("REFRESHD_TEST_SECRET", "from env", 1);
    assert_int_equal(secret_read(&env, NULL, &fixture->secret, &fixture->fault), RESULT_OK);
    assert_string_equal(fixture->secret.bytes, "from env");
    /* systemd makes the folder; the modes in it are its business. */
    (void)write_file(fixture, "bank", "from systemd\n", 13, 0444);
    setenv("CREDENTIALS_DIRECTORY", fixture->directory, 1);
    text_clear(&fixture->secret);
    assert_int_equal(secret_read(&credential, NULL, &fixture->secret, &fixture->fault), RESULT_OK);
    assert_string_equal(fixture->secret.bytes, "from systemd");
}

static void test_describe_never_tells(void **state)
{
    static const struct {
        struct secret_reference reference;
        const char *expected;
    } rows[] = {
        {{SECRET_ENV, "NAME"}, "{env: NAME}"},
        {{SECRET_FILE, "/a/{customer}"}, "{file: /a/{customer}}"},
        {{SECRET_CREDENTIAL, "c"}, "{credential: c}"},
        {{SECRET_NONE, NULL}, "none"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;

        text_clear(&fixture->secret);
        secret_describe(&rows[i].reference, &fixture->secret);
        assert_string_equal(fixture->secret.bytes, rows[i].expected);
    }
}

static void test_a_buffer_too_small_is_a_fault(void **state)
{
    struct fixture *fixture = *state;
    const struct secret_reference reference = {SECRET_FILE,
                                               write_file(fixture, "s", "0123456789", 10, 0600)};
    struct text small;

    text_init(&small, 4);
    assert_int_equal(secret_read(&reference, NULL, &small, &fixture->fault), RESULT_FAULT);
    text_wipe(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_content),
        TEST(test_modes),
        TEST(test_unreadable_files),
        TEST(test_customer_in_a_path),
        TEST(test_environment_and_credentials),
        TEST(test_describe_never_tells),
        TEST(test_a_buffer_too_small_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
