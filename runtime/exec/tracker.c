#include "runtime/exec/tracker.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

struct record {
    int64_t begin, end; /* relative to the base */
    int32_t instruction;
    bool write;
};

/* A stretch of addresses that every record covers wholly or not at all. */
struct atom {
    int32_t first, last; /* instructions of the current interval; first > last: already counted */
    bool written;
};

struct remat_tracker {
    const unsigned char *base;
    int64_t resident_bytes, extent_bytes;
    int32_t instructions;
    int64_t count, capacity;
    struct record *records;
    /* Room for the evaluation. */
    int64_t *bounds;
    struct atom *atoms;
    int64_t *delta;
};

enum remat_status remat_tracker_create(int64_t records, int32_t instructions, const unsigned char *base,
                                       int64_t resident_bytes, struct remat_tracker **out, struct remat_error *err)
{
    struct remat_tracker *tracker;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(tracker, 1, err));
    tracker->base = base;
    tracker->resident_bytes = tracker->extent_bytes = resident_bytes;
    tracker->instructions = instructions;
    tracker->capacity = records;
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->records, records, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->bounds, 2 * records, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->atoms, 2 * records, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(tracker->delta, (int64_t)instructions + 1, err), fail);
    *out = tracker;
    return REMAT_OK;
fail:
    remat_tracker_destroy(tracker);
    *out = NULL;
    return status;
}

void remat_tracker_destroy(struct remat_tracker *tracker)
{
    if (!tracker)
        return;
    free(tracker->records);
    free(tracker->bounds);
    free(tracker->atoms);
    free(tracker->delta);
    free(tracker);
}

void remat_tracker_begin(struct remat_tracker *tracker)
{
    tracker->count = 0;
}

void remat_tracker_record(struct remat_tracker *tracker, int32_t instruction, const void *address, int64_t bytes,
                          bool write)
{
    int64_t begin = (int64_t)((intptr_t)address - (intptr_t)tracker->base), end = begin + bytes;
    if (bytes <= 0)
        return;
    if (end > tracker->extent_bytes)
        tracker->extent_bytes = end;
    if (begin < tracker->resident_bytes)
        begin = tracker->resident_bytes;
    if (begin < end && tracker->count < tracker->capacity)
        tracker->records[tracker->count++] = (struct record){begin, end, instruction, write};
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

/* Cuts the address range at every record's ends; returns the number of cuts. */
static int64_t cut(const struct remat_tracker *tracker)
{
    int64_t count = 0, distinct = 0;
    for (int64_t i = 0; i < tracker->count; i++) {
        tracker->bounds[count++] = tracker->records[i].begin;
        tracker->bounds[count++] = tracker->records[i].end;
    }
    qsort(tracker->bounds, (size_t)count, sizeof *tracker->bounds, compare);
    for (int64_t i = 0; i < count; i++)
        if (distinct == 0 || tracker->bounds[i] != tracker->bounds[distinct - 1])
            tracker->bounds[distinct++] = tracker->bounds[i];
    return distinct;
}

static void count_interval(const struct remat_tracker *tracker, const struct atom *atom, int64_t bytes)
{
    if (!atom->written || atom->first > atom->last)
        return;
    tracker->delta[atom->first] += bytes;
    tracker->delta[atom->last + 1] -= bytes;
}

static void use_atom(const struct remat_tracker *tracker, struct atom *atom, int64_t bytes, const struct record *record)
{
    int32_t now = record->instruction;
    if (!record->write) {
        /* Read before any write: the bytes must have been there from the start. */
        if (!atom->written)
            *atom = (struct atom){0, now, true};
        atom->last = now;
        return;
    }
    count_interval(tracker, atom, bytes);
    /* Written over by an instruction that also reads it: this instruction is counted already. */
    *atom = (struct atom){atom->written && atom->last == now ? now + 1 : now, now, true};
}

static int64_t index_of(const struct remat_tracker *tracker, int64_t cuts, int64_t bound)
{
    const int64_t *found = bsearch(&bound, tracker->bounds, (size_t)cuts, sizeof bound, compare);
    return found - tracker->bounds;
}

int64_t remat_tracker_live_peak_bytes(const struct remat_tracker *tracker)
{
    int64_t cuts = cut(tracker), live = tracker->resident_bytes, peak = live;
    const int64_t *bounds = tracker->bounds;
    memset(tracker->atoms, 0, (size_t)cuts * sizeof *tracker->atoms);
    memset(tracker->delta, 0, (size_t)(tracker->instructions + 1) * sizeof *tracker->delta);
    for (int64_t i = 0; i < tracker->count; i++) {
        const struct record *record = &tracker->records[i];
        for (int64_t a = index_of(tracker, cuts, record->begin); bounds[a] < record->end; a++)
            use_atom(tracker, &tracker->atoms[a], bounds[a + 1] - bounds[a], record);
    }
    for (int64_t a = 0; a + 1 < cuts; a++)
        count_interval(tracker, &tracker->atoms[a], bounds[a + 1] - bounds[a]);
    for (int32_t i = 0; i < tracker->instructions; i++) {
        live += tracker->delta[i];
        peak = live > peak ? live : peak;
    }
    return peak;
}
