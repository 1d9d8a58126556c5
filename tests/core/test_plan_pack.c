/* Offset packing: validity, optimality against exhaustive search, and the shapes that training steps have. */
#include "core/plan/pack.h"
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { SMALL = 8, TILES = 60 };

static bool meet(const struct remat_pack_item *a, const struct remat_pack_item *b)
{
    return a->begin <= b->end && b->begin <= a->end;
}

static int64_t pack(struct remat_pack_item *items, int32_t count, int64_t base, int32_t effort)
{
    struct remat_error err = {0};
    int64_t extent, top = base;
    int32_t i, k;
    if (remat_pack(items, count, base, effort, &extent, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    for (i = 0; i < count; i++) {
        assert_true(items[i].offset >= base);
        if (items[i].offset + items[i].bytes > top)
            top = items[i].offset + items[i].bytes;
        for (k = 0; k < i; k++)
            if (meet(&items[i], &items[k]))
                assert_true(items[i].offset + items[i].bytes <= items[k].offset ||
                            items[k].offset + items[k].bytes <= items[i].offset);
    }
    assert_int_equal(extent, top);
    return extent;
}

static int64_t live_peak(const struct remat_pack_item *items, int32_t count, int64_t base)
{
    int64_t peak = base, sum;
    int32_t i, k;
    for (i = 0; i < count; i++) {
        for (k = 0, sum = base; k < count; k++)
            if (items[k].begin <= items[i].begin && items[i].begin <= items[k].end)
                sum += items[k].bytes;
        if (sum > peak)
            peak = sum;
    }
    return peak;
}

/* Some order of first fits is optimal: take the optimal packing's offsets ascending, then each item's lowest place is
 * at most its optimal one. So the orders whose places ascend give the optimum. */
static int64_t lowest_place(const struct remat_pack_item *items, const int32_t *placed, int32_t count,
                            const struct remat_pack_item *item)
{
    int64_t offset = 0;
    int32_t i;
    bool moved = true;
    while (moved) {
        moved = false;
        for (i = 0; i < count; i++) {
            const struct remat_pack_item *other = &items[placed[i]];
            if (meet(item, other) && offset < other->offset + other->bytes && other->offset < offset + item->bytes) {
                offset = other->offset + other->bytes;
                moved = true;
            }
        }
    }
    return offset;
}

struct exhaustion {
    struct remat_pack_item *items;
    int32_t count, placed_count;
    int32_t placed[SMALL];
    int64_t bound, best;
};

static void exhaust(struct exhaustion *search, int64_t lowest, int64_t extent)
{
    int32_t i, k;
    if (extent >= search->best || search->best == search->bound)
        return;
    if (search->placed_count == search->count)
        search->best = extent;
    for (i = 0; i < search->count; i++) {
        struct remat_pack_item *item = &search->items[i];
        for (k = 0; k < search->placed_count && search->placed[k] != i; k++)
            ;
        if (k < search->placed_count)
            continue;
        item->offset = lowest_place(search->items, search->placed, search->placed_count, item);
        if (item->offset < lowest)
            continue;
        search->placed[search->placed_count++] = i;
        exhaust(search, item->offset, item->offset + item->bytes > extent ? item->offset + item->bytes : extent);
        search->placed_count--;
    }
}

static int64_t optimum(const struct remat_pack_item *items, int32_t count)
{
    struct remat_pack_item copy[SMALL];
    struct exhaustion search = {.items = copy, .count = count, .bound = live_peak(items, count, 0), .best = INT64_MAX};
    memcpy(copy, items, (size_t)count * sizeof *copy);
    exhaust(&search, 0, 0);
    return search.best;
}

static void small_cases_are_optimal(void **state)
{
    struct random_stream stream = {.seed = 1};
    int32_t round, i;
    (void)state;
    for (round = 0; round < 2000; round++) {
        struct remat_pack_item items[SMALL];
        int32_t count = 1 + random_below(&stream, SMALL);
        for (i = 0; i < count; i++) {
            int32_t begin = random_below(&stream, 10);
            items[i] = (struct remat_pack_item){1 + random_below(&stream, 9), begin,
                                                begin + random_below(&stream, 10 - begin), 0};
        }
        assert_int_equal(pack(items, count, 0, 100), optimum(items, count));
    }
}

static void the_live_peak_is_not_always_reachable(void **state)
{
    struct remat_pack_item items[SMALL] = {{3, 0, 0, 0}, {3, 0, 2, 0}, {3, 0, 6, 0}, {1, 1, 5, 0},
                                           {2, 2, 3, 0}, {2, 3, 4, 0}, {3, 4, 6, 0}, {3, 6, 6, 0}};
    (void)state;
    assert_int_equal(live_peak(items, SMALL, 0), 9);
    assert_int_equal(optimum(items, SMALL), 10);
    assert_int_equal(pack(items, SMALL, 0, 100), 10);
}

/* Cuts a rectangle of time and bytes again and again: what results fits without a hole. */
static int32_t cut(struct random_stream *stream, struct remat_pack_item *items, int32_t wanted)
{
    int32_t count = 1;
    items[0] = (struct remat_pack_item){1 << 20, 0, 99, 0};
    while (count < wanted) {
        struct remat_pack_item *item = &items[random_below(stream, count)], *rest = &items[count];
        *rest = *item;
        if (random_below(stream, 2) && item->end > item->begin) {
            item->end = item->begin + random_below(stream, item->end - item->begin);
            rest->begin = item->end + 1;
        } else if (item->bytes >= 128) {
            item->bytes = 64 * (1 + random_below(stream, (int32_t)(item->bytes / 64) - 1));
            rest->bytes -= item->bytes;
        } else {
            continue;
        }
        count++;
    }
    return count;
}

static void tilings_without_a_hole_are_found(void **state)
{
    struct random_stream stream = {.seed = 2};
    struct remat_pack_item items[TILES];
    int32_t round, exact = 0;
    (void)state;
    for (round = 0; round < 60; round++) {
        int64_t found = pack(items, cut(&stream, items, 1 + round), 0, 100);
        assert_true(found <= (1 << 20) * 1.10);
        exact += found == 1 << 20;
    }
    assert_true(exact >= 55);
}

/* Forward keeps, backward frees in reverse, with short-lived pieces and nested recomputation in between. */
static int32_t nest(struct random_stream *stream, struct remat_pack_item *items, int32_t layers)
{
    int32_t count = 0, i, k, length = 6 * layers;
    for (i = 0; i < layers; i++) {
        int64_t bytes = 64 * (1 + random_below(stream, 64));
        int32_t made = 2 * i, used = length - 1 - 4 * i;
        if (random_below(stream, 3) > 0) {
            items[count++] = (struct remat_pack_item){bytes, made, used, 0};
        } else {
            items[count++] = (struct remat_pack_item){bytes, made, made + 2, 0};
            items[count++] = (struct remat_pack_item){bytes, used - random_below(stream, 12), used, 0};
        }
        for (k = 0; k < 2; k++) {
            int32_t at = k == 0 ? made : used;
            items[count++] = (struct remat_pack_item){64 * (1 + random_below(stream, 8)), at, at, 0};
        }
    }
    return count;
}

static void nested_lifetimes_reach_the_live_peak(void **state)
{
    struct random_stream stream = {.seed = 3};
    struct remat_pack_item *items = calloc(4 * 500, sizeof *items);
    int32_t round;
    (void)state;
    assert_non_null(items);
    for (round = 0; round < 20; round++) {
        int32_t count = nest(&stream, items, 20 + 20 * round);
        assert_int_equal(pack(items, count, 4096, 20), live_peak(items, count, 4096));
    }
    free(items);
}

static void random_lifetimes_are_packed_soundly(void **state)
{
    struct random_stream stream = {.seed = 5};
    struct remat_pack_item items[120];
    int32_t round, i;
    (void)state;
    for (round = 0; round < 40; round++) {
        int32_t count = random_below(&stream, 121);
        for (i = 0; i < count; i++) {
            int32_t begin = random_below(&stream, 60);
            items[i] = (struct remat_pack_item){64 * random_below(&stream, 50), begin,
                                                begin + random_below(&stream, 60 - begin), 0};
        }
        assert_true(pack(items, count, 640, 50) * 10 <= 11 * live_peak(items, count, 640));
    }
}

static void packing_is_deterministic_and_effort_never_hurts(void **state)
{
    struct random_stream stream = {.seed = 8};
    struct remat_pack_item items[200], again[200];
    int32_t i;
    int64_t quick, slow;
    (void)state;
    for (i = 0; i < 200; i++) {
        int32_t begin = random_below(&stream, 100);
        items[i] = (struct remat_pack_item){64 * (1 + random_below(&stream, 99)), begin,
                                            begin + random_below(&stream, 100 - begin), 0};
    }
    memcpy(again, items, sizeof again);
    quick = pack(items, 200, 0, 0);
    slow = pack(again, 200, 0, 200);
    assert_true(slow <= quick);
    memcpy(items, again, sizeof again);
    assert_int_equal(pack(again, 200, 0, 200), slow);
    assert_memory_equal(items, again, sizeof again);
}

static void nothing_and_too_much(void **state)
{
    struct remat_pack_item items[2] = {{INT64_MAX - 10, 0, 1, 0}, {64, 0, 0, 0}};
    struct remat_error err = {0};
    int64_t extent;
    (void)state;
    assert_int_equal(pack(items, 0, 128, 10), 128);
    assert_int_equal(remat_pack(items, 2, 0, 10, &extent, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "2 buffers"));
    items[0].bytes = -64;
    assert_int_equal(remat_pack(items, 2, 0, 10, &extent, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "buffer 0"));
    items[0] = (struct remat_pack_item){0, 0, 3, 0};
    assert_int_equal(pack(items, 2, 128, 10), 192);
    assert_int_equal(pack(items, 1, 128, 10), 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_cases_are_optimal),
        cmocka_unit_test(the_live_peak_is_not_always_reachable),
        cmocka_unit_test(tilings_without_a_hole_are_found),
        cmocka_unit_test(nested_lifetimes_reach_the_live_peak),
        cmocka_unit_test(random_lifetimes_are_packed_soundly),
        cmocka_unit_test(packing_is_deterministic_and_effort_never_hurts),
        cmocka_unit_test(nothing_and_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
