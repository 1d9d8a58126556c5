#include "runtime/exec/tracker.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct record {
    int64_t begin, bytes; /* begin is relative to the base */
    int32_t instruction;
    enum remat_access access;
    int64_t shared; /* of a write: bytes that a read of the same instruction covers, too */
};

/* What was last written at an address: live from instruction `first` to `last`. 0 bytes = nothing yet. */
struct range {
    int64_t bytes;
    int32_t first, last;
};

struct remat_tracker {
    const unsigned char *base;
    int64_t resident_bytes, extent_bytes;
    int32_t instructions;
    int64_t count, capacity;
    struct record *records;
    /* Room for the evaluation: distinct addresses, ascending, their ranges, and the change of the sum at each
     * instruction. */
    int64_t *addresses;
    struct range *ranges;
    int64_t *delta;
};

enum remat_status remat_tracker_create(int64_t records, int32_t instructions, const unsigned char *base,
                                       int64_t resident_bytes, struct remat_tracker **out, struct remat_error *err)
{
    struct remat_tracker *tracker;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(tracker, 1, err));
    tracker->base = base;
    tracker->resident_bytes = tracker->extent_bytes = resident_bytes;
    tracker->instructions = instructions;
    tracker->capacity = records;
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->records, records, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->addresses, records, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->ranges, records, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->delta, (int64_t)instructions + 1, err), fail);
    *out = tracker;
    return REMAT_OK;
fail:
    remat_tracker_destroy(tracker);
    return status;
}

void remat_tracker_destroy(struct remat_tracker *tracker)
{
    if (!tracker)
        return;
    free(tracker->records);
    free(tracker->addresses);
    free(tracker->ranges);
    free(tracker->delta);
    free(tracker);
}

void remat_tracker_begin(struct remat_tracker *tracker)
{
    tracker->count = 0;
}

void remat_tracker_record(struct remat_tracker *tracker, int32_t instruction, const void *address, int64_t bytes,
                          enum remat_access access)
{
    int64_t begin = (int64_t)((intptr_t)address - (intptr_t)tracker->base), end = begin + bytes;
    if (bytes <= 0)
        return;
    if (end > tracker->extent_bytes)
        tracker->extent_bytes = end;
    /* Staging is counted as resident. */
    if (end <= tracker->resident_bytes || tracker->count == tracker->capacity)
        return;
    tracker->records[tracker->count++] = (struct record){begin, bytes, instruction, access, 0};
}

void remat_tracker_share(struct remat_tracker *tracker, int32_t instruction, const void *from, const void *to,
                         int64_t bytes)
{
    int64_t by = (int64_t)((intptr_t)to - (intptr_t)from), apart = by < 0 ? -by : by;
    struct record *last = tracker->count > 0 ? &tracker->records[tracker->count - 1] : NULL;
    if (last && last->instruction == instruction && last->access == REMAT_ACCESS_WRITE && apart < bytes)
        last->shared = bytes - apart;
}

int64_t remat_tracker_extent_bytes(const struct remat_tracker *tracker)
{
    return tracker->extent_bytes;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t collect_addresses(const struct remat_tracker *tracker)
{
    int64_t distinct = 0;
    for (int64_t i = 0; i < tracker->count; i++)
        tracker->addresses[i] = tracker->records[i].begin;
    qsort(tracker->addresses, (size_t)tracker->count, sizeof *tracker->addresses, compare);
    for (int64_t i = 0; i < tracker->count; i++)
        if (distinct == 0 || tracker->addresses[i] != tracker->addresses[distinct - 1])
            tracker->addresses[distinct++] = tracker->addresses[i];
    return distinct;
}

/* Adds bytes to the sum at instructions first to last, both included. */
static void count_bytes(const struct remat_tracker *tracker, int64_t bytes, int32_t first, int32_t last)
{
    tracker->delta[first] += bytes;
    tracker->delta[last + 1] -= bytes;
}

static void count_range(const struct remat_tracker *tracker, const struct range *range)
{
    if (range->bytes > 0)
        count_bytes(tracker, range->bytes, range->first, range->last);
}

static void read_range(struct range *range, const struct record *record)
{
    /* Never written: it must have been there from the start. */
    if (range->bytes < record->bytes)
        range->bytes = record->bytes;
    range->last = record->instruction;
}

static void write_range(const struct remat_tracker *tracker, struct range *range, const struct record *record)
{
    int32_t now = record->instruction;
    int64_t shared = range->bytes < record->bytes ? range->bytes : record->bytes;
    count_range(tracker, range);
    /* In place: what this instruction reads is there already. */
    if (range->last == now)
        count_bytes(tracker, -shared, now, now);
    count_bytes(tracker, -record->shared, now, now);
    *range = (struct range){record->bytes, now, now};
}

static void replay(const struct remat_tracker *tracker, int64_t addresses)
{
    for (int64_t i = 0; i < tracker->count; i++) {
        const struct record *record = &tracker->records[i];
        const int64_t *found =
            bsearch(&record->begin, tracker->addresses, (size_t)addresses, sizeof *tracker->addresses, compare);
        struct range *range = &tracker->ranges[found - tracker->addresses];
        if (record->access == REMAT_ACCESS_SCRATCH)
            count_bytes(tracker, record->bytes, record->instruction, record->instruction);
        else if (record->access == REMAT_ACCESS_READ)
            read_range(range, record);
        else
            write_range(tracker, range, record);
    }
}

int64_t remat_tracker_live_peak_bytes(const struct remat_tracker *tracker)
{
    int64_t addresses = collect_addresses(tracker), live = tracker->resident_bytes, peak = live;
    memset(tracker->ranges, 0, (size_t)addresses * sizeof *tracker->ranges);
    memset(tracker->delta, 0, (size_t)(tracker->instructions + 1) * sizeof *tracker->delta);
    replay(tracker, addresses);
    for (int64_t i = 0; i < addresses; i++)
        count_range(tracker, &tracker->ranges[i]);
    for (int32_t i = 0; i < tracker->instructions; i++) {
        live += tracker->delta[i];
        peak = live > peak ? live : peak;
    }
    return peak;
}
