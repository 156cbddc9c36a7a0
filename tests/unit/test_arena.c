/* SPDX-License-Identifier: MIT
 * test_arena.c - pieces that are aligned, zeroed, apart from each other, and freed together.
 *
 * Linked with --wrap=malloc: allocations are counted and fail on demand. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

static bool is_memory_out;
static unsigned malloc_count;

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    malloc_count++;
    return is_memory_out ? NULL : __real_malloc(bytes);
}

static void test_pieces_are_zeroed_and_aligned(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 8, 15, 16, 17, 1000, 16384, 16385, 65536, 100000, 5};
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (size_t i = 0; i < ROW_COUNT(sizes); i++) {
        unsigned char *piece = arena_alloc(&arena, sizes[i]);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % alignof(max_align_t), 0);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(piece[k], 0);
        memset(piece, 0xFF, sizes[i]);
    }
    arena_deinit(&arena);
    assert_null(arena.blocks);
    assert_int_equal(arena.bytes_used, 0);
}

static void test_copies_end_in_a_nul(void **state)
{
    struct arena arena;
    char *copy;

    (void)state;
    arena_init(&arena);
    copy = arena_copy(&arena, "abcdef", 3);
    assert_string_equal(copy, "abc");
    assert_int_equal((uintptr_t)copy % alignof(max_align_t), 0);
    assert_string_equal(arena_copy(&arena, NULL, 0), "");
    assert_memory_equal(arena_copy(&arena, "a\0b", 3), "a\0b", 4);
    arena_deinit(&arena);
}

static void test_packed_copies_lie_side_by_side(void **state)
{
    struct arena arena;
    char *first;
    char *second;

    (void)state;
    arena_init(&arena);
    first = arena_copy_packed(&arena, "abc", 3);
    second = arena_copy_packed(&arena, "de", 2);
    assert_ptr_equal(second, first + 4);
    assert_string_equal(first, "abc");
    assert_string_equal(second, "de");
    assert_int_equal(arena.bytes_used, 7);
    arena_deinit(&arena);
}

/* A large piece must not waste what is left of the current block. */
static void test_a_large_piece_leaves_the_current_block_in_use(void **state)
{
    struct arena arena;
    char *before;
    char *after;

    (void)state;
    arena_init(&arena);
    before = arena_copy_packed(&arena, "a", 1);
    assert_non_null(arena_alloc(&arena, 1000000));
    after = arena_copy_packed(&arena, "b", 1);
    assert_ptr_equal(after, before + 2);
    arena_deinit(&arena);
}

static void test_many_small_pieces_need_few_allocations(void **state)
{
    struct arena arena;
    unsigned before = malloc_count;

    (void)state;
    arena_init(&arena);
    for (int i = 0; i < 100000; i++)
        assert_non_null(arena_copy_packed(&arena, "0123456789012345678901234567890123456", 36));
    assert_int_equal(arena.bytes_used, 3700000);
    assert_in_range(malloc_count - before, 56, 58);
    arena_deinit(&arena);
}

static void test_out_of_memory_gives_null_and_keeps_the_rest(void **state)
{
    struct arena arena;
    char *kept;

    (void)state;
    arena_init(&arena);
    kept = arena_copy(&arena, "kept", 4);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    is_memory_out = true;
    assert_null(arena_alloc(&arena, 100000));
    assert_non_null(arena_alloc(&arena, 100)); /* there is room without asking for more */
    is_memory_out = false;
    assert_string_equal(kept, "kept");
    assert_non_null(arena_alloc(&arena, 100000));
    arena_deinit(&arena);
}

/* Fill every piece with its own byte and look at all of them at the end. */
static void test_random_pieces_do_not_overlap(void **state)
{
    enum { PIECES = 3000 };
    static unsigned char *pieces[PIECES];
    static size_t sizes[PIECES];
    struct random random;
    struct arena arena;

    (void)state;
    random_init(&random, unit_seed());
    arena_init(&arena);
    for (int i = 0; i < PIECES; i++) {
        uint64_t kind = random_below(&random, 100);

        sizes[i] = (size_t)random_below(&random, kind < 90 ? 200 : kind < 98 ? 20000 : 200000);
        if (kind % 2 == 0) {
            pieces[i] = arena_alloc(&arena, sizes[i]);
        } else {
            pieces[i] = (unsigned char *)arena_copy_packed(&arena, "", 0);
            sizes[i] = 1;
        }
        assert_non_null(pieces[i]);
        memset(pieces[i], i % 256, sizes[i]);
    }
    for (int i = 0; i < PIECES; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            if (pieces[i][k] != i % 256)
                fail_msg("piece %d of %zu bytes was overwritten at %zu", i, sizes[i], k);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_are_zeroed_and_aligned),
        cmocka_unit_test(test_copies_end_in_a_nul),
        cmocka_unit_test(test_packed_copies_lie_side_by_side),
        cmocka_unit_test(test_a_large_piece_leaves_the_current_block_in_use),
        cmocka_unit_test(test_many_small_pieces_need_few_allocations),
        cmocka_unit_test(test_out_of_memory_gives_null_and_keeps_the_rest),
        cmocka_unit_test(test_random_pieces_do_not_overlap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
