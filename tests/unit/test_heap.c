/* SPDX-License-Identifier: MIT
 * test_heap.c - the indexed heap against a model that looks at everything every time. */
#include "base/heap.h"

#include <string.h>

#include "base/random.h"
#include "tests/unit/unit_test.h"

#define IDS_MAX 64

/* Which ids are in, with which key; the first is found by looking at all. */
struct model {
    int64_t keys[IDS_MAX];
    bool is_in[IDS_MAX];
    uint32_t count;
};

static uint32_t model_first(const struct model *model)
{
    uint32_t first = UINT32_MAX;

    for (uint32_t id = 0; id < IDS_MAX; id++)
        if (model->is_in[id] && (first == UINT32_MAX || model->keys[id] < model->keys[first]))
            first = id;
    return first;
}

static void assert_same(const struct heap *heap, const struct model *model)
{
    uint32_t first = model_first(model);

    assert_int_equal(heap->count, model->count);
    for (uint32_t id = 0; id < heap->capacity; id++)
        assert_int_equal(heap_contains(heap, id), model->is_in[id]);
    if (first == UINT32_MAX) {
        assert_true(heap_first_key(heap) == INT64_MAX);
    } else {
        assert_true(heap_first_key(heap) == model->keys[first]);
        assert_int_equal(heap_first_id(heap), first);
    }
}

static void model_set(struct model *model, uint32_t id, int64_t key)
{
    model->count += model->is_in[id] ? 0 : 1;
    model->is_in[id] = true;
    model->keys[id] = key;
}

static void model_remove(struct model *model, uint32_t id)
{
    model->count -= model->is_in[id] ? 1 : 0;
    model->is_in[id] = false;
}

static void test_empty(void **state)
{
    struct heap heap;

    (void)state;
    heap_init(&heap, NULL, NULL, 0);
    assert_true(heap_first_key(&heap) == INT64_MAX);
    assert_false(heap_contains(&heap, 0));
    heap_remove(&heap, 0);
    assert_int_equal(heap.count, 0);
}

static void test_equal_keys_come_in_order_of_ids(void **state)
{
    static const uint32_t put[] = {5, 0, 7, 3, 1, 6, 2, 4};
    struct heap_entry entries[8];
    uint32_t positions[8];
    struct heap heap;

    (void)state;
    heap_init(&heap, entries, positions, 8);
    for (size_t i = 0; i < ROW_COUNT(put); i++)
        heap_set(&heap, put[i], 100);
    for (uint32_t id = 0; id < 8; id++) {
        assert_int_equal(heap_first_id(&heap), id);
        heap_remove(&heap, id);
    }
    assert_int_equal(heap.count, 0);
}

static void test_extreme_keys(void **state)
{
    struct heap_entry entries[3];
    uint32_t positions[3];
    struct heap heap;

    (void)state;
    heap_init(&heap, entries, positions, 3);
    heap_set(&heap, 0, INT64_MAX);
    heap_set(&heap, 1, INT64_MIN);
    heap_set(&heap, 2, 0);
    assert_int_equal(heap_first_id(&heap), 1);
    heap_set(&heap, 1, INT64_MAX);
    assert_int_equal(heap_first_id(&heap), 2);
    heap_remove(&heap, 2);
    assert_int_equal(heap_first_id(&heap), 0);
}

/* Few distinct keys, so that ties are common; capacities that grow on the way. */
static void test_random_changes_against_the_model(void **state)
{
    struct random random;

    (void)state;
    random_init(&random, unit_seed());
    for (int round = 0; round < 200; round++) {
        struct heap_entry entries[IDS_MAX];
        uint32_t positions[IDS_MAX];
        struct model model = {0};
        struct heap heap;

        memset(positions, 0xA5, sizeof positions);
        heap_init(&heap, entries, positions, 1 + (uint32_t)random_below(&random, IDS_MAX));
        for (int step = 0; step < 300; step++) {
            uint32_t id = (uint32_t)random_below(&random, heap.capacity);
            uint64_t what = random_below(&random, 100);

            if (what < 60) {
                int64_t key = (int64_t)random_below(&random, 20) - 10;

                heap_set(&heap, id, key);
                model_set(&model, id, key);
            } else if (what < 85 || model.count == 0) {
                heap_remove(&heap, id);
                model_remove(&model, id);
            } else if (what < 98) {
                id = heap_first_id(&heap);
                heap_remove(&heap, id);
                model_remove(&model, id);
            } else {
                uint32_t more = (uint32_t)random_below(&random, IDS_MAX - heap.capacity + 1);

                heap_grow(&heap, entries, positions, heap.capacity + more);
            }
            assert_same(&heap, &model);
        }
        while (model.count > 0) {
            uint32_t first = model_first(&model);

            heap_remove(&heap, first);
            model_remove(&model, first);
            assert_same(&heap, &model);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_equal_keys_come_in_order_of_ids),
        cmocka_unit_test(test_extreme_keys),
        cmocka_unit_test(test_random_changes_against_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
