/* Tiles of images for fast convolution, shared by its files: tile t covers 4x4 target pixels, numbered by image, row,
 * column. Pixels outside an image are read from zeros and written to a place that nobody reads. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_WINOGRAD_TILES_H
#define REMAT_RUNTIME_BACKEND_CPU_WINOGRAD_TILES_H

#include "runtime/backend/cpu/conv_shape.h"

/* Images [n, size[0], size[1], channels]. */
struct remat_images {
    int64_t n, size[2], channels;
};

/* Number of tiles that cover images of this size. */
int64_t remat_tiles_count(const struct remat_images *images);
/* Writes the pointers to the edge x edge pixels that begin `offset` before tile `tile` of the images `covered`. */
void remat_tile_pixels(const struct remat_images *covered, int64_t tile, int64_t offset, int32_t edge,
                       const struct remat_images *images, const float *data, const float *outside,
                       const float **pixels);

#endif
