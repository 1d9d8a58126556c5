/* Made-up samples, every one a pure function of (seed, split, sample). They can be learnt, so that a falling loss shows
 * a working trainer: an image is the mean of noise and its class's pattern; a token follows from the one before it
 * half of the time. */
#include "core/base/rng.h"
#include "trainer/data/source.h"

enum { DEFAULT_TRAINING_SAMPLES = 5120, DEFAULT_TEST_SAMPLES = 1024 };

/* Numbers of the generator's streams (its `salt`). */
enum { STREAM_LABEL, STREAM_NOISE, STREAM_PATTERN, STREAM_TOKENS };

static enum remat_status open_synthetic(const struct remat_data_config *config, struct remat_data_source *source,
                                        struct remat_error *err)
{
    const struct remat_sample_shape *shape = &config->shape;
    bool images = shape->kind == REMAT_IMAGE_SAMPLES;
    if (images && (shape->height <= 0 || shape->width <= 0 || shape->channels <= 0 || shape->classes <= 0))
        return remat_fail(err, REMAT_USAGE, "synthetic images: height, width, channels and classes must be positive");
    if (!images && (shape->length <= 0 || shape->vocabulary <= 0))
        return remat_fail(err, REMAT_USAGE, "synthetic tokens: length and vocabulary must be positive");
    source->shape = *shape;
    source->samples[REMAT_TRAINING_SET] =
        config->samples[REMAT_TRAINING_SET] > 0 ? config->samples[REMAT_TRAINING_SET] : DEFAULT_TRAINING_SAMPLES;
    source->samples[REMAT_TEST_SET] =
        config->samples[REMAT_TEST_SET] > 0 ? config->samples[REMAT_TEST_SET] : DEFAULT_TEST_SAMPLES;
    return REMAT_OK;
}

/* Bytes are the low bytes of four words a call; noise and pattern differ in what they are keyed by. */
static void make_image(const struct remat_data_source *source, uint64_t sample_key, int32_t label, uint8_t *out)
{
    int64_t bytes = remat_sample_bytes(&source->shape);
    for (int64_t i = 0; i < bytes; i += 4) {
        struct remat_rng_block noise = remat_rng(source->seed, REMAT_RNG_SYNTHETIC, (uint32_t)sample_key, STREAM_NOISE,
                                                 (uint64_t)i | (sample_key >> 32) << 48);
        struct remat_rng_block pattern =
            remat_rng(source->seed, REMAT_RNG_SYNTHETIC, (uint32_t)label, STREAM_PATTERN, (uint64_t)i);
        for (int64_t k = 0; k < 4 && i + k < bytes; k++)
            out[i + k] = (uint8_t)(((noise.word[k] & 255) + (pattern.word[k] & 255)) / 2);
    }
}

static void make_tokens(const struct remat_data_source *source, uint64_t sample_key, int32_t *tokens, int32_t *labels)
{
    uint32_t vocabulary = (uint32_t)source->shape.vocabulary, token = 0;
    for (int64_t i = 0; i <= source->shape.length; i++) {
        struct remat_rng_block draw = remat_rng(source->seed, REMAT_RNG_SYNTHETIC, (uint32_t)sample_key, STREAM_TOKENS,
                                                (uint64_t)i | (sample_key >> 32) << 48);
        token = i > 0 && (draw.word[1] & 1) ? (uint32_t)((5ull * token + 3) % vocabulary) : draw.word[0] % vocabulary;
        if (i < source->shape.length)
            tokens[i] = (int32_t)token;
        if (i > 0)
            labels[i - 1] = (int32_t)token;
    }
}

static enum remat_status read_synthetic(const struct remat_data_source *source, enum remat_split split, int64_t epoch,
                                        int64_t sample, void *input, int32_t *labels, struct remat_error *err)
{
    uint64_t key = (uint64_t)sample * REMAT_SPLIT_COUNT + (uint64_t)split;
    (void)epoch;
    (void)err;
    if (source->shape.kind == REMAT_IMAGE_SAMPLES) {
        struct remat_rng_block draw = remat_rng(source->seed, REMAT_RNG_SYNTHETIC, 0, STREAM_LABEL, key);
        labels[0] = (int32_t)(draw.word[0] % (uint32_t)source->shape.classes);
        make_image(source, key, labels[0], input);
    } else {
        make_tokens(source, key, input, labels);
    }
    return REMAT_OK;
}

static void close_synthetic(struct remat_data_source *source)
{
    (void)source;
}

const struct remat_data_kind remat_data_synthetic = {
    .name = "synthetic",
    .summary = "made-up images or tokens, drawn by a counter-based generator",
    .open = open_synthetic,
    .read = read_synthetic,
    .close = close_synthetic,
};
