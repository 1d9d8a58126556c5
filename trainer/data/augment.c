#include "trainer/data/augment.h"

#include "core/base/rng.h"

#include <string.h>

/* Uniform in [0, bound): the high half of word x bound; the bias is below bound / 2^32. */
static int32_t below(uint32_t word, int64_t bound)
{
    return (int32_t)(((uint64_t)word * (uint64_t)bound) >> 32);
}

struct remat_augment_draw remat_augment_draw(const struct remat_augment *augment, int64_t height, int64_t width,
                                             uint64_t seed, int64_t epoch, int64_t sample)
{
    struct remat_rng_block crop = remat_rng(seed, REMAT_RNG_AUGMENT, (uint32_t)epoch, 0, (uint64_t)sample);
    struct remat_rng_block cut = remat_rng(seed, REMAT_RNG_AUGMENT, (uint32_t)epoch, 1, (uint64_t)sample);
    struct remat_augment_draw draw;
    int32_t places = 2 * augment->pad + 1;
    draw.row_offset = below(crop.word[0], places) - augment->pad;
    draw.column_offset = below(crop.word[1], places) - augment->pad;
    draw.mirrored = augment->flip && (crop.word[2] >> 31);
    draw.cut_row = below(cut.word[0], height);
    draw.cut_column = below(cut.word[1], width);
    return draw;
}

static void copy_row(const struct remat_augment_draw *draw, int64_t width, int64_t channels, const uint8_t *in,
                     uint8_t *out)
{
    for (int64_t column = 0; column < width; column++) {
        int64_t from = (draw->mirrored ? width - 1 - column : column) + draw->column_offset;
        if (from >= 0 && from < width)
            memcpy(out + column * channels, in + from * channels, (size_t)channels);
        else
            memset(out + column * channels, 0, (size_t)channels);
    }
}

static int64_t clamp(int64_t x, int64_t limit)
{
    return x < 0 ? 0 : x > limit ? limit : x;
}

static void cut_out(int32_t side, const struct remat_augment_draw *draw, int64_t height, int64_t width,
                    int64_t channels, uint8_t *image)
{
    int64_t top = clamp(draw->cut_row - side / 2, height), bottom = clamp(draw->cut_row - side / 2 + side, height);
    int64_t left = clamp(draw->cut_column - side / 2, width), right = clamp(draw->cut_column - side / 2 + side, width);
    for (int64_t row = top; row < bottom; row++)
        memset(image + (row * width + left) * channels, 0, (size_t)((right - left) * channels));
}

void remat_augment_apply(const struct remat_augment *augment, const struct remat_augment_draw *draw, int64_t height,
                         int64_t width, int64_t channels, const uint8_t *in, uint8_t *out)
{
    int64_t row_bytes = width * channels;
    for (int64_t row = 0; row < height; row++) {
        int64_t from = row + draw->row_offset;
        if (from >= 0 && from < height)
            copy_row(draw, width, channels, in + from * row_bytes, out + row * row_bytes);
        else
            memset(out + row * row_bytes, 0, (size_t)row_bytes);
    }
    if (augment->cutout > 0)
        cut_out(augment->cutout, draw, height, width, channels, out);
}
