/* Fills the next batch on a thread while the current one is used. Two slots alternate: batch k of a pass is in slot
 * k % 2. The thread lives from open to close and sleeps between passes.
 *
 * An error met by the thread is returned by the remat_prefetch_next() that would have given the batch. */
#ifndef REMAT_TRAINER_DATA_PREFETCH_H
#define REMAT_TRAINER_DATA_PREFETCH_H

#include "trainer/data/loader.h"

struct remat_prefetch;

/* Borrows the loader. The caller closes *out, also after a failure (NULL is fine). */
REMAT_MUST_CHECK enum remat_status remat_prefetch_open(struct remat_loader *loader, struct remat_prefetch **out,
                                                       struct remat_error *err);
/* Stops the thread, waiting for the batch it is filling. */
void remat_prefetch_close(struct remat_prefetch *prefetch);

/* Begins a pass over batches [first, end) into the two slots, whose memory is borrowed until remat_prefetch_end(). */
void remat_prefetch_begin(struct remat_prefetch *prefetch, enum remat_split split, int64_t epoch, int64_t first,
                          int64_t end, const struct remat_batch slots[2]);
/* Whether the pass has another batch to take. */
bool remat_prefetch_more(struct remat_prefetch *prefetch);
/* Gives back the slot taken before, waits for the next batch, and tells its slot. Not to be called more often than the
 * pass has batches. */
REMAT_MUST_CHECK enum remat_status remat_prefetch_next(struct remat_prefetch *prefetch, int32_t *slot,
                                                       struct remat_error *err);
/* Ends the pass, also early; on return nobody writes to the slots. */
void remat_prefetch_end(struct remat_prefetch *prefetch);

#endif
