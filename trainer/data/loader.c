#include "trainer/data/loader.h"

#include "core/base/memory.h"
#include "trainer/data/order.h"

#include <stdlib.h>
#include <string.h>

enum remat_status remat_loader_open(const struct remat_data_source *source, int64_t batch, struct remat_loader *out,
                                    struct remat_error *err)
{
    int64_t samples = source->samples[REMAT_TRAINING_SET];
    *out = (struct remat_loader){.source = source, .batch = batch, .order_epoch = -1};
    if (batch < 1)
        return remat_fail(err, REMAT_USAGE, "the batch size is %lld; expected at least 1", (long long)batch);
    if (samples < batch)
        return remat_fail(err, REMAT_BAD_DATA, "the training set has %lld samples, too few for one batch of %lld",
                          (long long)samples, (long long)batch);
    if (samples > INT32_MAX)
        return remat_fail(err, REMAT_BAD_DATA, "the training set has %lld samples; at most %d are supported",
                          (long long)samples, INT32_MAX);
    return REMAT_ALLOC(out->order, samples, err);
}

void remat_loader_close(struct remat_loader *loader)
{
    free(loader->order);
    memset(loader, 0, sizeof *loader);
}

int64_t remat_loader_batches(const struct remat_loader *loader, enum remat_split split)
{
    int64_t samples = loader->source->samples[split];
    return split == REMAT_TRAINING_SET ? samples / loader->batch : (samples + loader->batch - 1) / loader->batch;
}

/* The sample at a place of the pass, or -1 behind its end. */
static int64_t sample_at(struct remat_loader *loader, enum remat_split split, int64_t epoch, int64_t place)
{
    int64_t samples = loader->source->samples[split];
    if (split == REMAT_TEST_SET)
        return place < samples ? place : -1;
    if (loader->order_epoch != epoch) {
        remat_order_shuffle(loader->source->seed, epoch, (int32_t)samples, loader->order);
        loader->order_epoch = epoch;
    }
    return loader->order[place];
}

enum remat_status remat_loader_fill(struct remat_loader *loader, enum remat_split split, int64_t epoch, int64_t index,
                                    const struct remat_batch *out, struct remat_error *err)
{
    const struct remat_data_source *source = loader->source;
    int64_t bytes = remat_sample_bytes(&source->shape), labels = remat_sample_labels(&source->shape);
    if (index < 0 || index >= remat_loader_batches(loader, split))
        return remat_fail(err, REMAT_INTERNAL, "batch %lld asked for, but the pass has %lld", (long long)index,
                          (long long)remat_loader_batches(loader, split));
    for (int64_t row = 0; row < loader->batch; row++) {
        int64_t sample = sample_at(loader, split, epoch, index * loader->batch + row);
        char *input = (char *)out->inputs + row * bytes;
        int32_t *row_labels = out->labels + row * labels;
        if (sample >= 0) {
            REMAT_TRY(remat_data_read(source, split, epoch, sample, input, row_labels, err));
        } else {
            memset(input, 0, (size_t)bytes);
            for (int64_t i = 0; i < labels; i++)
                row_labels[i] = -1;
        }
    }
    return REMAT_OK;
}
