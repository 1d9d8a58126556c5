/* Data sources: where training and test samples come from. A source is a table of independent samples; which sample
 * goes into which batch is the loader's business (loader.h), so every source is resumable by construction.
 *
 * An image sample is u8 [H,W,C] and one i32 label; a token sample is i32 [T] and T i32 labels, the tokens that follow.
 * read() is a pure function of (seed, split, epoch, sample): the same bytes at any time, in any order, on any thread.
 * A label of -1 is ignored by the loss. */
#ifndef REMAT_TRAINER_DATA_SOURCE_H
#define REMAT_TRAINER_DATA_SOURCE_H

#include "core/base/status.h"
#include "trainer/data/augment.h"

#include <stdbool.h>
#include <stdint.h>

enum remat_sample_kind { REMAT_IMAGE_SAMPLES, REMAT_TOKEN_SAMPLES };
enum remat_split { REMAT_TRAINING_SET, REMAT_TEST_SET, REMAT_SPLIT_COUNT };

struct remat_sample_shape {
    enum remat_sample_kind kind;
    int64_t height, width, channels, classes; /* images */
    int64_t length, vocabulary;               /* tokens */
};

struct remat_data_config {
    const char *kind; /* "cifar10", "text", "synthetic"; NULL = recognised from `path` */
    const char *path; /* folder or file; unused by "synthetic" */
    uint64_t seed;
    struct remat_augment augment;       /* of training images */
    struct remat_sample_shape shape;    /* synthetic: what to make; text: `length` */
    bool byte_vocabulary;               /* text: tokens are byte values (256), not the distinct bytes of the file */
    int64_t samples[REMAT_SPLIT_COUNT]; /* synthetic */
};

struct remat_data_kind;

struct remat_data_source {
    const struct remat_data_kind *kind;
    struct remat_sample_shape shape;
    int64_t samples[REMAT_SPLIT_COUNT];
    uint64_t seed;
    struct remat_augment augment;
    void *state; /* the kind's own */
};

struct remat_data_kind {
    const char *name, *summary;
    /* Fills shape, samples and state; the rest is set. On failure nothing is left to close. */
    enum remat_status (*open)(const struct remat_data_config *config, struct remat_data_source *source,
                              struct remat_error *err);
    enum remat_status (*read)(const struct remat_data_source *source, enum remat_split split, int64_t epoch,
                              int64_t sample, void *input, int32_t *labels, struct remat_error *err);
    void (*close)(struct remat_data_source *source);
};

extern const struct remat_data_kind remat_data_cifar10, remat_data_text, remat_data_synthetic;

/* A missing path is REMAT_MISSING_INPUT, wrong content REMAT_BAD_DATA. The caller closes *out, also after a failure. */
REMAT_MUST_CHECK enum remat_status remat_data_open(const struct remat_data_config *config,
                                                   struct remat_data_source *out, struct remat_error *err);
void remat_data_close(struct remat_data_source *source);

/* Bytes of one sample's input and number of its labels. */
int64_t remat_sample_bytes(const struct remat_sample_shape *shape);
int64_t remat_sample_labels(const struct remat_sample_shape *shape);

REMAT_MUST_CHECK enum remat_status remat_data_read(const struct remat_data_source *source, enum remat_split split,
                                                   int64_t epoch, int64_t sample, void *input, int32_t *labels,
                                                   struct remat_error *err);

#endif
