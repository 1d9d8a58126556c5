/* Batches are uploaded beside the device's work and yet in the right order with it: the emulated GPU runs what no wait
 * holds back at once in one of its two orders, and puts it off as long as it can in the other. */
#include "runtime/backend/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 4096, BATCHES = 7 };

struct bench {
    const struct remat_device_ops *ops;
    struct remat_device *device;
    struct remat_memory places, seen, host;
};

static void ok(enum remat_status status, const struct remat_error *err)
{
    if (status != REMAT_OK)
        fail_msg("%s", err->message);
}

static void open_bench(const struct remat_backend *backend, struct bench *b)
{
    const struct remat_device_config config = {0};
    struct remat_error err;
    b->ops = backend->ops;
    ok(backend->open(&config, &b->device, &err), &err);
    ok(b->ops->memory_open(b->device, (int64_t)2 * BYTES, "two places", &b->places, &err), &err);
    ok(b->ops->memory_open(b->device, (int64_t)BATCHES * BYTES, "what was seen", &b->seen, &err), &err);
    ok(b->ops->pinned_open(b->device, (int64_t)BATCHES * BYTES, "batches", &b->host, &err), &err);
}

/* Batch k, all of whose bytes are k + 1, on its way to its place. */
static void stage(struct bench *b, int k)
{
    struct remat_error err;
    unsigned char *place = b->places.base + (int64_t)(k % 2) * BYTES, *batch = b->host.base + (int64_t)k * BYTES;
    memset(batch, k + 1, BYTES);
    ok(b->ops->upload_ahead(b->device, k % 2, place, batch, BYTES, &err), &err);
}

/* The work of a step: it copies what it sees of its batch, twice, as a feed that is run again does. */
static void work(struct bench *b, int k)
{
    struct remat_error err;
    unsigned char *place = b->places.base + (int64_t)(k % 2) * BYTES, *seen = b->seen.base + (int64_t)k * BYTES;
    ok(b->ops->upload_arrived(b->device, k % 2, &err), &err);
    ok(b->ops->copy(b->device, seen, place, BYTES / 2, &err), &err);
    ok(b->ops->copy(b->device, seen + BYTES / 2, place + BYTES / 2, BYTES / 2, &err), &err);
    ok(b->ops->upload_used(b->device, k % 2, &err), &err);
}

/* Nothing waits before the end, so the device has all the freedom that it may have. */
static void check_order(const struct remat_backend *backend)
{
    unsigned char seen[BATCHES * BYTES];
    struct bench b;
    struct remat_error err;
    open_bench(backend, &b);
    stage(&b, 0);
    for (int k = 0; k < BATCHES; k++) {
        work(&b, k);
        if (k + 1 < BATCHES)
            stage(&b, k + 1);
    }
    ok(b.ops->download(b.device, seen, b.seen.base, sizeof seen, &err), &err);
    for (int k = 0; k < BATCHES; k++)
        for (int i = 0; i < BYTES; i++)
            assert_int_equal(seen[k * BYTES + i], k + 1);
    remat_memory_close(&b.places);
    remat_memory_close(&b.seen);
    remat_memory_close(&b.host);
    backend->close(b.device);
}

static void test_both_orders(void **state)
{
    const struct remat_backend *backend;
    struct remat_error err;
    (void)state;
    ok(remat_backend_find("emulated", &backend, &err), &err);
    unsetenv("EMULATED_LAST_STREAM_FIRST");
    check_order(backend);
    setenv("EMULATED_LAST_STREAM_FIRST", "1", 1);
    check_order(backend);
    unsetenv("EMULATED_LAST_STREAM_FIRST");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_orders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
