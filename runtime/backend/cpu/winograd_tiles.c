#include "runtime/backend/cpu/winograd_tiles.h"

#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/winograd_kernels.h"

int64_t remat_tiles_count(const struct remat_images *images)
{
    return images->n * remat_units(images->size[0], REMAT_WINOGRAD_TARGET) *
           remat_units(images->size[1], REMAT_WINOGRAD_TARGET);
}

void remat_tile_pixels(const struct remat_images *covered, int64_t tile, int64_t offset, int32_t edge,
                       const struct remat_images *images, const float *data, const float *outside, const float **pixels)
{
    int64_t down = remat_units(covered->size[0], REMAT_WINOGRAD_TARGET);
    int64_t across = remat_units(covered->size[1], REMAT_WINOGRAD_TARGET);
    int64_t n = tile / (down * across), row = tile / across % down * REMAT_WINOGRAD_TARGET - offset;
    int64_t column = tile % across * REMAT_WINOGRAD_TARGET - offset;
    for (int32_t i = 0; i < edge; i++) {
        bool row_inside = row + i >= 0 && row + i < images->size[0];
        int64_t line = ((n * images->size[0] + row + i) * images->size[1] + column) * images->channels;
        for (int32_t j = 0; j < edge; j++) {
            bool inside = row_inside && column + j >= 0 && column + j < images->size[1];
            pixels[i * edge + j] = inside ? data + line + j * images->channels : outside;
        }
    }
}
