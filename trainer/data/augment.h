/* Image augmentation on bytes: pad with zeros, crop back at a random place, mirror, cut a square out. Keyed by (seed,
 * epoch, sample id), so that a resumed run sees the same images. */
#ifndef REMAT_TRAINER_DATA_AUGMENT_H
#define REMAT_TRAINER_DATA_AUGMENT_H

#include <stdbool.h>
#include <stdint.h>

struct remat_augment {
    int32_t pad;    /* pixels added on each side before the crop; 0 = no crop */
    int32_t cutout; /* side of the square of zeros, 0 = none; its centre is uniform over the image (DeVries and
                       Taylor, 2017, arXiv:1708.04552) */
    bool flip;      /* mirror left and right with probability 1/2 */
};

/* What was drawn for one sample. Offsets are in [-pad, pad]; cut_row and cut_column are the square's centre. */
struct remat_augment_draw {
    int32_t row_offset, column_offset, cut_row, cut_column;
    bool mirrored;
};

struct remat_augment_draw remat_augment_draw(const struct remat_augment *augment, int64_t height, int64_t width,
                                             uint64_t seed, int64_t epoch, int64_t sample);
/* From `in` to `out`, both u8 [H,W,C], not overlapping. */
void remat_augment_apply(const struct remat_augment *augment, const struct remat_augment_draw *draw, int64_t height,
                         int64_t width, int64_t channels, const uint8_t *in, uint8_t *out);

#endif
