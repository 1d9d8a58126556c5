/* What the reference system published of its own solver test, to be drawn beside ours: ColossalAI's auto-checkpoint,
 * images of November 2022 in its repository; a GPU of 80 GB. Peaks are without parameters; times are relative to its
 * largest budget's. */
#ifndef REMAT_BENCH_PUBLISHED_H
#define REMAT_BENCH_PUBLISHED_H

#include <jansson.h>

#include <stdint.h>

/* The member `reference` of a sweep (docs/format-results.md), or NULL if nothing was published for this size; `size`
 * is that of images or the tokens of a sequence. The caller owns it. */
json_t *remat_published_points(const char *model, int64_t batch, int64_t size);

#endif
