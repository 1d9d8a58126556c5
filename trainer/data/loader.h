/* Batches of a source: which samples they hold, and filling their memory.
 *
 * A pass is one epoch of the training set, shuffled by (seed, epoch), its last ragged batch dropped; or the whole
 * test set in order, its last ragged batch filled up with zeros and ignored labels (-1). */
#ifndef REMAT_TRAINER_DATA_LOADER_H
#define REMAT_TRAINER_DATA_LOADER_H

#include "trainer/data/source.h"

/* Memory of one batch: [batch] inputs and their labels; borrowed. */
struct remat_batch {
    void *inputs;
    int32_t *labels;
};

struct remat_loader {
    const struct remat_data_source *source; /* borrowed */
    int64_t batch;
    int32_t *order;      /* owned: the permutation of order_epoch */
    int64_t order_epoch; /* -1 = none yet */
};

/* REMAT_BAD_DATA if the training set does not fill one batch. The caller closes *out, also after a failure. */
REMAT_MUST_CHECK enum remat_status remat_loader_open(const struct remat_data_source *source, int64_t batch,
                                                     struct remat_loader *out, struct remat_error *err);
void remat_loader_close(struct remat_loader *loader);

/* Batches in a pass. */
int64_t remat_loader_batches(const struct remat_loader *loader, enum remat_split split);
/* Fills batch `index` of a pass; `epoch` must not be negative. One thread at a time. */
REMAT_MUST_CHECK enum remat_status remat_loader_fill(struct remat_loader *loader, enum remat_split split, int64_t epoch,
                                                     int64_t index, const struct remat_batch *out,
                                                     struct remat_error *err);

#endif
