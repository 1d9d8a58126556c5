/* A text file as token sequences. Tokens are its distinct bytes in ascending order ("characters"), or byte values.
 * The first 90 % of the file trains, the rest validates.
 *
 * Training: windows of `length` tokens side by side, shifted by an offset drawn per epoch, so that each epoch uses
 * each byte at most once but cuts the text at other places. Validation: side by side from the start; the last window
 * is filled up with ignored labels, so every byte after the first is predicted exactly once. */
#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"
#include "trainer/data/source.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_LIMIT_BYTES = 1 << 30 };

struct text {
    uint8_t *tokens;                      /* one a byte of the file */
    int64_t begin[REMAT_SPLIT_COUNT + 1]; /* of each split in `tokens`, and the end */
};

/* Replaces bytes by their rank among the distinct ones; returns how many there are. */
static int32_t rank_bytes(uint8_t *bytes, int64_t count)
{
    int32_t rank[256] = {0}, distinct = 0;
    for (int64_t i = 0; i < count; i++)
        rank[bytes[i]] = 1;
    for (int32_t b = 0; b < 256; b++)
        rank[b] = rank[b] ? distinct++ : -1;
    for (int64_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)rank[bytes[i]];
    return distinct;
}

static enum remat_status check_lengths(const struct remat_data_config *config, const int64_t *samples, int64_t bytes,
                                       struct remat_error *err)
{
    if (config->shape.kind == REMAT_IMAGE_SAMPLES && config->shape.height > 0)
        return remat_fail(err, REMAT_USAGE, "%s is a text, and the model takes images: give a folder with CIFAR-10",
                          config->path);
    if (config->shape.length <= 0)
        return remat_fail(err, REMAT_USAGE, "%s: the sequence length must be positive", config->path);
    if (samples[REMAT_TRAINING_SET] < 1 || samples[REMAT_TEST_SET] < 1)
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: %lld bytes are too few for sequences of %lld tokens: the first 90 %% must hold two "
                          "sequences and the rest two bytes",
                          config->path, (long long)bytes, (long long)config->shape.length);
    return REMAT_OK;
}

static enum remat_status open_text(const struct remat_data_config *config, struct remat_data_source *source,
                                   struct remat_error *err)
{
    struct text *text;
    char *bytes;
    size_t count;
    enum remat_status status;
    int64_t length = config->shape.length, train;
    REMAT_TRY(remat_file_read(config->path, TEXT_LIMIT_BYTES, &bytes, &count, err));
    train = (int64_t)count / 10 * 9 + (int64_t)count % 10 * 9 / 10;
    if (length > 0) {
        source->samples[REMAT_TRAINING_SET] = train / length - 1;
        source->samples[REMAT_TEST_SET] = ((int64_t)count - train - 1 + length - 1) / length;
    }
    REMAT_TRY_GOTO(check_lengths(config, source->samples, (int64_t)count, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(text, 1, err), fail);
    text->tokens = (uint8_t *)bytes;
    text->begin[REMAT_TEST_SET] = train;
    text->begin[REMAT_SPLIT_COUNT] = (int64_t)count;
    source->shape.kind = REMAT_TOKEN_SAMPLES;
    source->shape.length = length;
    source->shape.vocabulary = config->byte_vocabulary ? 256 : rank_bytes(text->tokens, (int64_t)count);
    source->state = text;
    return REMAT_OK;
fail:
    free(bytes);
    return status;
}

static enum remat_status read_text(const struct remat_data_source *source, enum remat_split split, int64_t epoch,
                                   int64_t sample, void *input, int32_t *labels, struct remat_error *err)
{
    const struct text *text = source->state;
    int64_t length = source->shape.length, start = text->begin[split] + sample * length, end = text->begin[split + 1];
    int32_t *tokens = input;
    (void)err;
    if (split == REMAT_TRAINING_SET) {
        struct remat_rng_block draw = remat_rng(source->seed, REMAT_RNG_AUGMENT, (uint32_t)epoch, 2, 0);
        start += (int64_t)(((uint64_t)draw.word[0] * (uint64_t)length) >> 32);
    }
    for (int64_t i = 0; i < length; i++) {
        tokens[i] = start + i < end ? text->tokens[start + i] : 0;
        labels[i] = start + i + 1 < end ? text->tokens[start + i + 1] : -1;
    }
    return REMAT_OK;
}

static void close_text(struct remat_data_source *source)
{
    struct text *text = source->state;
    free(text->tokens);
    free(text);
}

const struct remat_data_kind remat_data_text = {
    .name = "text",
    .summary = "the characters or bytes of a text file; first 90 % trains, last 10 % validates",
    .open = open_text,
    .read = read_text,
    .close = close_text,
};
