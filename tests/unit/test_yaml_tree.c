/* SPDX-License-Identifier: MIT
 * test_yaml_tree.c - trees with places, every refusal with its message, streaming, bounds. */
#include "config/yaml_tree.h"

#include <string.h>
#include <time.h>

#include "tests/unit/unit_test.h"

struct fixture {
    struct arena arena;
    struct diagnostics diagnostics;
    struct text text;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    arena_init(&fixture.arena);
    diagnostics_init(&fixture.diagnostics, 100);
    text_init(&fixture.text, 1000000);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    arena_deinit(&fixture->arena);
    diagnostics_deinit(&fixture->diagnostics);
    text_deinit(&fixture->text);
    return 0;
}

/* {key=1:4'value',...} with the place of each scalar; quoted ones end in q. */
static void dump(const struct yaml_node *node, struct text *out)
{
    if (node->kind == YAML_SCALAR) {
        text_append_format(out, "%u:%u'%s'%s", node->place.line, node->place.column, node->text,
                           node->is_plain ? "" : "q");
        return;
    }
    text_append_string(out, node->kind == YAML_MAPPING ? "{" : "[");
    for (size_t i = 0; i < node->count; i++) {
        if (i > 0)
            text_append_string(out, ",");
        if (node->kind == YAML_MAPPING)
            text_append_format(out, "%s=", node->keys[i]->text);
        dump(node->values[i], out);
    }
    text_append_string(out, node->kind == YAML_MAPPING ? "}" : "]");
}

static const char *all_messages(struct fixture *fixture)
{
    text_clear(&fixture->text);
    diagnostics_sort(&fixture->diagnostics);
    for (size_t i = 0; i < fixture->diagnostics.count; i++) {
        if (i > 0)
            text_append_string(&fixture->text, "\n");
        diagnostic_format(&fixture->diagnostics.items[i], &fixture->text);
    }
    return fixture->text.bytes == NULL ? "" : fixture->text.bytes;
}

static void test_trees(void **state)
{
    static const struct {
        const char *yaml;
        const char *expected;
    } rows[] = {
        {"", "{}"},
        {"# only a comment\n", "{}"},
        {"---\n", "{}"},
        {"---\n...\n", "{}"},
        {"a: 1", "{a=1:4'1'}"},
        {"\xEF\xBB\xBF"
         "a: 1\r\nb: 2\r\n",
         "{a=1:4'1',b=2:4'2'}"},
        {"a: NO\nb: \"NO\"\nc: 'x'\nd: 0777\ne: 22:30\nf: 1.10\n",
         "{a=1:4'NO',b=2:4'NO'q,c=3:4'x'q,d=4:4'0777',e=5:4'22:30',f=6:4'1.10'}"},
        {"a:\n  - b\n  - [c, d]\n", "{a=[2:5'b',[3:6'c',3:9'd']]}"},
        {"a: &x {b: 1}\nc: *x\n", "{a={b=1:11'1'},c={b=1:11'1'}}"},
        {"a: &x 1\na2: &x 2\nc: *x\n", "{a=1:4'1',a2=2:5'2',c=2:5'2'}"},
        {"a: |\n  two\n  lines\n", "{a=1:4'two\nlines\n'q}"},
        {"a: \"\\x41\\u00e9\"", "{a=1:4'A\xC3\xA9'q}"},
        {"[1, 2]", "[1:2'1',1:5'2']"},
        {"just text", "1:1'just text'"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;
        struct yaml_node *root = yaml_tree_parse(rows[i].yaml, strlen(rows[i].yaml), "f",
                                                 &fixture->arena, NULL, &fixture->diagnostics);

        if (root == NULL)
            fail_msg("%s: %s", rows[i].yaml, all_messages(fixture));
        text_clear(&fixture->text);
        dump(root, &fixture->text);
        if (strcmp(fixture->text.bytes, rows[i].expected) != 0)
            fail_msg("%s: %s instead of %s", rows[i].yaml, fixture->text.bytes, rows[i].expected);
        assert_string_equal(root->place.file, "f");
    }
}

/* The whole of what is said, for each thing that is refused. */
static void test_refusals(void **state)
{
    static const struct {
        const char *yaml;
        const char *expected;
    } rows[] = {
        {"a: 1\nb: 2\na: 3\n",
         "f:3:1: error: key \"a\" is given twice; it was first given at line 1, column 1"},
        {"a: !!str x\n", "f:1:4: error: tags are not supported: leave \"tag:yaml.org,2002:str\" "
                         "out; the meaning of a value is decided by its key"},
        {"a: ! x\n", "f:1:4: error: tags are not supported: leave \"!\" out; the meaning of a "
                     "value is decided by its key"},
        {"a: *b\n", "f:1:4: error: alias *b names nothing above it"},
        {"a: &a [x, *a]\n", "f:1:11: error: alias *a stands inside what it names: that has no end"},
        {"a: &a {b: {c: *a}}\n",
         "f:1:15: error: alias *a stands inside what it names: that has no end"},
        {"a: 1\n---\nb: 1\n", "f:2:1: error: a second document starts here; one document per file"},
        {"? [a]\n: 1\n", "f:1:3: error: a key must be a single text"},
        {"a: \"x\\0y\"\n", "f:1:4: error: a text may not hold a NUL"},
        {"a: 1\n\tb: 2\n", "f:2:1: error: not valid YAML: found a tab character that violates "
                           "indentation; this line starts with a tab: use spaces"},
        {"a: \xFF\n", "f:1:4: error: not valid YAML: invalid leading UTF-8 octet (0xFF); the file "
                      "must be UTF-8 text"},
        {"a: 1\nb: \x01\n", "f:2:4: error: not valid YAML: control characters are not allowed "
                            "(0x01); the file must be UTF-8 text"},
        {"a: {b: 1\nc: 2\n", "f:2:2: error: not valid YAML: did not find expected ',' or '}', "
                             "while parsing a flow mapping that starts at line 1"},
        {"a: \"x\n", "f:2:1: error: not valid YAML: found unexpected end of stream, while scanning "
                     "a quoted scalar that starts at line 1"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;
        struct yaml_node *root = yaml_tree_parse(rows[i].yaml, strlen(rows[i].yaml), "f",
                                                 &fixture->arena, NULL, &fixture->diagnostics);

        assert_null(root);
        if (strcmp(all_messages(fixture), rows[i].expected) != 0)
            fail_msg("%s\nsays     %s\nexpected %s", rows[i].yaml, all_messages(fixture),
                     rows[i].expected);
        diagnostics_deinit(&fixture->diagnostics);
    }
}

static void test_merge_keys_are_refused_with_advice(void **state)
{
    static const char yaml[] = "a: &a {x: 1}\nb:\n  <<: *a\n  y: 2\n";
    struct fixture *fixture = *state;

    assert_null(
        yaml_tree_parse(yaml, strlen(yaml), "f", &fixture->arena, NULL, &fixture->diagnostics));
    assert_int_equal(fixture->diagnostics.count, 1);
    assert_non_null(strstr(all_messages(fixture), "f:3:3: error: merge keys (<<) are not"));
    assert_non_null(strstr(all_messages(fixture), "institutions: {default: ...}"));
}

/* With keep_tree the rest of the file can still be looked at. */
static void test_keep_tree(void **state)
{
    static const char yaml[] = "a: 1\na: 2\nb: !!int 3\nc: 4\n";
    const struct yaml_options options = {.keep_tree = true};
    struct fixture *fixture = *state;
    struct yaml_node *root =
        yaml_tree_parse(yaml, strlen(yaml), "f", &fixture->arena, &options, &fixture->diagnostics);

    assert_non_null(root);
    assert_int_equal(fixture->diagnostics.error_count, 2);
    assert_string_equal(yaml_get(root, "c")->text, "4");
    assert_null(yaml_get(root, "d"));
    assert_null(yaml_get(yaml_get(root, "c"), "x"));
}

static void test_duplicates_in_a_large_mapping(void **state)
{
    struct fixture *fixture = *state;
    struct text yaml;

    text_init(&yaml, 100000);
    for (int i = 0; i < 1000; i++)
        text_append_format(&yaml, "key%d: 1\n", i == 900 ? 100 : i);
    assert_null(yaml_tree_parse(yaml.bytes, yaml.length, "f", &fixture->arena, NULL,
                                &fixture->diagnostics));
    assert_string_equal(all_messages(fixture), "f:901:1: error: key \"key100\" is given twice; it "
                                               "was first given at line 101, column 1");
    text_deinit(&yaml);
}

/* --- Bounds -------------------------------------------------------------------------------------
 */

static double cpu_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* libyaml alone needs most of a minute for the first of these. */
static void test_deep_nesting_is_refused_at_once(void **state)
{
    static const char *const openers[] = {"[", "{", "- ", "? ", "[{", "- - ? "};

    for (size_t i = 0; i < ROW_COUNT(openers); i++) {
        struct fixture *fixture = *state;
        double start = cpu_seconds();
        struct text yaml;

        text_init(&yaml, 300000);
        while (yaml.length < 200000)
            text_append_string(&yaml, openers[i]);
        assert_null(yaml_tree_parse(yaml.bytes, yaml.length, "f", &fixture->arena, NULL,
                                    &fixture->diagnostics));
        assert_non_null(strstr(all_messages(fixture), "nested deeper than 32 levels"));
        assert_true(cpu_seconds() - start < 1.0);
        diagnostics_deinit(&fixture->diagnostics);
        text_deinit(&yaml);
    }
}

static void test_depth_32_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    char yaml[70] = "";

    memset(yaml, '[', 32);
    memset(yaml + 32, ']', 32);
    assert_non_null(
        yaml_tree_parse(yaml, strlen(yaml), "f", &fixture->arena, NULL, &fixture->diagnostics));
}

static void test_aliases_have_a_budget(void **state)
{
    struct fixture *fixture = *state;
    struct text yaml;

    text_init(&yaml, 10000);
    text_append_string(&yaml, "a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (char c = 'b'; c <= 'i'; c++) {
        text_append_format(&yaml, "%c: &%c [", c, c);
        for (int i = 0; i < 9; i++)
            text_append_format(&yaml, "%s*%c", i == 0 ? "" : ", ", c - 1);
        text_append_string(&yaml, "]\n");
    }
    assert_null(yaml_tree_parse(yaml.bytes, yaml.length, "f", &fixture->arena, NULL,
                                &fixture->diagnostics));
    assert_string_equal(all_messages(fixture), "f:6:8: error: aliases expand to more than 100000 "
                                               "values; write fewer of them");
    text_deinit(&yaml);
}

/* Each level looks shallow where it is written. */
static void test_aliases_cannot_hide_depth(void **state)
{
    struct fixture *fixture = *state;
    struct text yaml;

    text_init(&yaml, 10000);
    text_append_string(&yaml, "k0: &k0 [x]\n");
    for (int i = 1; i < 40; i++)
        text_append_format(&yaml, "k%d: &k%d [*k%d]\n", i, i, i - 1);
    assert_null(yaml_tree_parse(yaml.bytes, yaml.length, "f", &fixture->arena, NULL,
                                &fixture->diagnostics));
    assert_non_null(strstr(all_messages(fixture), "nests deeper than 32 levels"));
    text_deinit(&yaml);
}

static void test_long_texts(void **state)
{
    static const struct {
        size_t key;
        size_t value;
        const char *expected;
    } rows[] = {
        {256, 65536, ""},
        {257, 1, "f:1:1: error: a key has 257 bytes; at most 256 are allowed"},
        {1, 65537, "f:1:6: error: a text has 65537 bytes; at most 65536 are allowed"},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;
        struct text yaml;

        text_init(&yaml, 100000);
        for (size_t j = 0; j < rows[i].key; j++)
            text_append_string(&yaml, "k");
        text_append_string(&yaml, ":   ");
        for (size_t j = 0; j < rows[i].value; j++)
            text_append_string(&yaml, "v");
        (void)yaml_tree_parse(yaml.bytes, yaml.length, "f", &fixture->arena, NULL,
                              &fixture->diagnostics);
        /* Column 6 is that of the value behind a key of one letter. */
        assert_string_equal(all_messages(fixture), rows[i].expected);
        diagnostics_deinit(&fixture->diagnostics);
        text_deinit(&yaml);
    }
}

/* --- Streaming ------------------------------------------------------------------------------- */

struct streamed {
    struct text text;
    size_t count;
};

static void on_item(void *context, const struct yaml_node *item)
{
    struct streamed *streamed = context;

    streamed->count++;
    dump(item, &streamed->text);
    text_append_string(&streamed->text, ";");
}

static void test_streaming(void **state)
{
    static const struct {
        const char *yaml;
        const char *items;
    } rows[] = {
        {"x: 1\nlist:\n  - {a: 1}\n  - b\n  - [c]\ny: 2\n", "{a=3:9'1'};4:5'b';[5:6'c'];"},
        {"list: []\n", ""},
        {"list: text\n", ""},
        /* What carries an anchor outlives its item. */
        {"list:\n  - {a: &v {deep: [1, 2]}}\n  - {b: *v}\ny: *v\n",
         "{a={deep=[2:20'1',2:23'2']}};{b={deep=[2:20'1',2:23'2']}};"},
        {"all: &all\n  - a\n  - b\nlist: *all\n", "2:5'a';3:5'b';"},
        {"list: &l\n  - a\nother: *l\n", "2:5'a';"},
        {"other: {list: [a]}\n", ""},
    };

    for (size_t i = 0; i < ROW_COUNT(rows); i++) {
        struct fixture *fixture = *state;
        struct streamed streamed = {.count = 0};
        const struct yaml_options options = {
            .stream_key = "list", .on_item = on_item, .context = &streamed};
        struct yaml_node *root;

        text_init(&streamed.text, 10000);
        root = yaml_tree_parse(rows[i].yaml, strlen(rows[i].yaml), "f", &fixture->arena, &options,
                               &fixture->diagnostics);
        if (root == NULL)
            fail_msg("%s: %s", rows[i].yaml, all_messages(fixture));
        assert_string_equal(streamed.text.bytes == NULL ? "" : streamed.text.bytes, rows[i].items);
        if (streamed.count > 0) {
            assert_int_equal(yaml_get(root, "list")->count, streamed.count);
            assert_null(yaml_get(root, "list")->values);
        }
        text_deinit(&streamed.text);
    }
}

static void test_streamed_items_take_no_memory(void **state)
{
    struct fixture *fixture = *state;
    struct streamed streamed = {.count = 0};
    const struct yaml_options options = {
        .stream_key = "list", .on_item = on_item, .context = &streamed};
    struct text yaml;

    text_init(&yaml, 10000000);
    text_init(&streamed.text, 0);
    text_append_string(&yaml, "list:\n");
    for (int i = 0; i < 20000; i++)
        text_append_format(&yaml, "  - {id: consent-%06d, provider: p, schedule: [s, t]}\n", i);
    assert_non_null(yaml_tree_parse(yaml.bytes, yaml.length, "f", &fixture->arena, &options,
                                    &fixture->diagnostics));
    assert_int_equal(streamed.count, 20000);
    assert_true(fixture->arena.bytes_used < 10000);
    text_deinit(&yaml);
    text_deinit(&streamed.text);
}

static void test_files_that_cannot_be_read(void **state)
{
    struct fixture *fixture = *state;
    const struct yaml_options options = {.file = "conf.d/new.yaml"};

    assert_null(yaml_tree_load("/nonexistent/a", &fixture->arena, NULL, &fixture->diagnostics));
    assert_null(yaml_tree_load("/", &fixture->arena, &options, &fixture->diagnostics));
    assert_string_equal(all_messages(fixture),
                        "/nonexistent/a:0:0: error: cannot be read: No such file or directory\n"
                        "conf.d/new.yaml:0:0: error: cannot read /: Is a directory");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trees),
        TEST(test_refusals),
        TEST(test_merge_keys_are_refused_with_advice),
        TEST(test_keep_tree),
        TEST(test_duplicates_in_a_large_mapping),
        TEST(test_deep_nesting_is_refused_at_once),
        TEST(test_depth_32_is_allowed),
        TEST(test_aliases_have_a_budget),
        TEST(test_aliases_cannot_hide_depth),
        TEST(test_long_texts),
        TEST(test_streaming),
        TEST(test_streamed_items_take_no_memory),
        TEST(test_files_that_cannot_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
