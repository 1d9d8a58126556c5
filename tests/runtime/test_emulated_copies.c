/* Copies beside the work of a GPU, plainly and recorded: the emulated GPU runs what no wait holds back at once in one
 * of its two orders, and puts it off as long as it can in the other. */
#include "runtime/backend/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 4096, STEPS = 3 };
enum { VALUE, BACK, SEEN, PLACES };

struct bench {
    const struct remat_device_ops *ops;
    struct remat_device *device;
    struct remat_memory places, host;
    struct remat_copies *copies;
};

static void ok(enum remat_status status, const struct remat_error *err)
{
    if (status != REMAT_OK)
        fail_msg("%s", err->message);
}

static unsigned char *place(const struct bench *b, int which)
{
    return b->places.base + (int64_t)which * BYTES;
}

static void open_bench(struct bench *b)
{
    const struct remat_device_config config = {0};
    const struct remat_backend *backend;
    struct remat_error err;
    ok(remat_backend_find("emulated", &backend, &err), &err);
    b->ops = backend->ops;
    ok(backend->open(&config, &b->device, &err), &err);
    ok(b->ops->memory_open(b->device, (int64_t)PLACES * BYTES, "places", &b->places, &err), &err);
    ok(b->ops->pinned_open(b->device, BYTES, "the host's side", &b->host, &err), &err);
    ok(b->ops->copies_open(b->device, 2, &b->copies, &err), &err);
}

static void close_bench(struct bench *b)
{
    const struct remat_backend *backend;
    struct remat_error err;
    ok(remat_backend_find("emulated", &backend, &err), &err);
    b->ops->copies_close(b->copies);
    remat_memory_close(&b->places);
    remat_memory_close(&b->host);
    backend->close(b->device);
}

static void fill(struct bench *b, int which, uint8_t byte)
{
    struct remat_error err;
    ok(b->ops->fill(b->device, place(b, which), byte, BYTES, &err), &err);
}

/* Which waits are left out. */
struct omission {
    bool store, fetch;
};

/* Work makes a value of `byte`, which goes to the host and is overwritten; it comes back into another place, where work
 * reads it. */
static void offload(struct bench *b, uint8_t byte, struct omission omit)
{
    const struct remat_device_ops *ops = b->ops;
    struct remat_error err;
    fill(b, VALUE, byte);
    ok(ops->copy_beside(b->copies, REMAT_TO_HOST, 0, b->host.base, place(b, VALUE), BYTES, &err), &err);
    if (!omit.store)
        ok(ops->copy_await(b->copies, 0, &err), &err);
    fill(b, VALUE, 0xEE);
    fill(b, BACK, 0xDD);
    ok(ops->copy_beside(b->copies, REMAT_TO_DEVICE, 1, place(b, BACK), b->host.base, BYTES, &err), &err);
    if (!omit.fetch)
        ok(ops->copy_await(b->copies, 1, &err), &err);
    ok(ops->copy(b->device, place(b, SEEN), place(b, BACK), BYTES, &err), &err);
}

/* The byte that the work read, which must be the same all over. */
static int seen(struct bench *b)
{
    unsigned char bytes[BYTES];
    struct remat_error err;
    ok(b->ops->download(b->device, bytes, place(b, SEEN), BYTES, &err), &err);
    for (int i = 1; i < BYTES; i++)
        assert_int_equal(bytes[i], bytes[0]);
    return bytes[0];
}

static void in_both_orders(void (*check)(struct bench *b, bool last_first))
{
    for (int last_first = 0; last_first < 2; last_first++) {
        struct bench b;
        if (last_first)
            setenv("EMULATED_LAST_STREAM_FIRST", "1", 1);
        else
            unsetenv("EMULATED_LAST_STREAM_FIRST");
        open_bench(&b);
        check(&b, last_first);
        close_bench(&b);
    }
    unsetenv("EMULATED_LAST_STREAM_FIRST");
}

/* Nothing waits before the end, so the device has all the freedom that it may have. */
static void check_plain(struct bench *b, bool last_first)
{
    (void)last_first;
    for (int step = 0; step < STEPS; step++)
        offload(b, (uint8_t)(step + 1), (struct omission){0});
    assert_int_equal(seen(b), STEPS);
}

/* Whoever leaves out a wait does not go unnoticed where kernels run ahead of copies. */
static void check_omissions(struct bench *b, bool last_first)
{
    if (last_first)
        return;
    offload(b, 1, (struct omission){.store = true});
    assert_int_not_equal(seen(b), 1);
    offload(b, 2, (struct omission){.fetch = true});
    assert_int_not_equal(seen(b), 2);
    offload(b, 3, (struct omission){0});
    assert_int_equal(seen(b), 3);
}

/* Ranges that overlap, copied either way by less and by more than half of them, in a recording, too. */
static void check_overlapping(struct bench *b, bool last_first)
{
    static const int distances[] = {1, 64, BYTES / 2 - 3, BYTES - 1};
    unsigned char bytes[2 * BYTES], seen[2 * BYTES];
    struct remat_error err;
    (void)last_first;
    for (int i = 0; i < 2 * BYTES; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    for (int k = 0; k < 8; k++) {
        int by = distances[k / 2], from = k % 2 ? by : 0, to = k % 2 ? 0 : by;
        struct remat_recording *recording;
        unsigned char *base = place(b, 0);
        ok(b->ops->upload(b->device, base, bytes, 2 * BYTES, &err), &err);
        ok(b->ops->record_begin(b->device, &err), &err);
        ok(b->ops->copy(b->device, base + to, base + from, BYTES, &err), &err);
        ok(b->ops->record_end(b->device, &recording, &err), &err);
        ok(b->ops->replay(recording, &err), &err);
        ok(b->ops->download(b->device, seen, base, 2 * BYTES, &err), &err);
        assert_memory_equal(seen + to, bytes + from, BYTES);
        b->ops->recording_close(recording);
        ok(b->ops->upload(b->device, base, bytes, 2 * BYTES, &err), &err);
        ok(b->ops->copy(b->device, base + to, base + from, BYTES, &err), &err);
        ok(b->ops->download(b->device, seen, base, 2 * BYTES, &err), &err);
        assert_memory_equal(seen + to, bytes + from, BYTES);
    }
}

static void check_recorded(struct bench *b, bool last_first)
{
    struct remat_recording *recording;
    struct remat_error err;
    (void)last_first;
    offload(b, 1, (struct omission){0}); /* the same copies, not recorded */
    ok(b->ops->record_begin(b->device, &err), &err);
    offload(b, 2, (struct omission){0});
    ok(b->ops->record_end(b->device, &recording, &err), &err);
    assert_int_equal(seen(b), 1); /* noted, not done */
    for (int step = 0; step < STEPS; step++) {
        fill(b, SEEN, 0xCC);
        memset(b->host.base, 0xBB, BYTES);
        ok(b->ops->replay(recording, &err), &err);
        assert_int_equal(seen(b), 2);
        fill(b, SEEN, 0xCC);
        ok(b->ops->replay(recording, &err), &err);
        ok(b->ops->replay(recording, &err), &err);
        assert_int_equal(seen(b), 2);
        offload(b, 3, (struct omission){0});
        assert_int_equal(seen(b), 3);
    }
    b->ops->recording_close(recording);
}

/* A recording that leaves a copy behind is refused by the device, in any order. */
static void check_unjoined(struct bench *b, bool last_first)
{
    struct remat_recording *recording = NULL;
    struct remat_error err;
    (void)last_first;
    ok(b->ops->record_begin(b->device, &err), &err);
    offload(b, 1, (struct omission){.fetch = true});
    assert_int_not_equal(b->ops->record_end(b->device, &recording, &err), REMAT_OK);
    assert_null(recording);
    offload(b, 4, (struct omission){0});
    assert_int_equal(seen(b), 4);
}

static void test_plain(void **state)
{
    (void)state;
    in_both_orders(check_plain);
}

static void test_missing_waits_show(void **state)
{
    (void)state;
    in_both_orders(check_omissions);
}

static void test_recorded(void **state)
{
    (void)state;
    in_both_orders(check_recorded);
}

static void test_overlapping(void **state)
{
    (void)state;
    in_both_orders(check_overlapping);
}

static void test_unjoined_recordings_are_refused(void **state)
{
    (void)state;
    in_both_orders(check_unjoined);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_missing_waits_show),
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_overlapping),
        cmocka_unit_test(test_unjoined_recordings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
