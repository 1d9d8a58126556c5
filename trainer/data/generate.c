#include "trainer/data/generate.h"

#include "core/base/file.h"
#include "core/base/memory.h"
#include "core/base/rng.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 32, CLASSES = 10, RECORDS = 10000, RECORD_BYTES = 1 + 3 * SIDE * SIDE, FILES = 6 };

/* Brightness of one pixel: stripes whose direction and width tell the class, shifted, under noise of the same strength.
 */
static unsigned char pixel(int32_t label, int32_t channel, int32_t row, int32_t column, uint32_t shift, uint32_t noise)
{
    int32_t along = label % 2 ? row : column, period = 3 + label / 2;
    int32_t phase = (along + (int32_t)(shift % 16)) % period;
    int32_t signal = phase * 2 < period ? 40 : -40, tint = channel == label % 3 ? 20 : 0;
    return (unsigned char)(128 + signal + tint + (int32_t)(noise % 120) - 60);
}

static void make_record(uint64_t seed, uint32_t file, int64_t index, unsigned char *record)
{
    struct remat_rng_block chosen = remat_rng(seed, REMAT_RNG_SYNTHETIC, file, 1, (uint64_t)index);
    int32_t label = (int32_t)(chosen.word[0] % CLASSES);
    struct remat_rng_block noise = {{0}};
    *record++ = (unsigned char)label;
    for (int32_t i = 0; i < 3 * SIDE * SIDE; i++) {
        uint32_t at = (uint32_t)(i / (SIDE * SIDE));
        if (i % 4 == 0)
            noise = remat_rng(seed, REMAT_RNG_SYNTHETIC, file, 2, (uint64_t)(index * 3 * SIDE * SIDE + i));
        *record++ = pixel(label, (int32_t)at, i / SIDE % SIDE, i % SIDE, chosen.word[1], noise.word[i % 4]);
    }
}

static enum remat_status write_file(const char *folder, uint64_t seed, uint32_t file, unsigned char *records,
                                    struct remat_error *err)
{
    char path[512];
    if (file < FILES - 1)
        snprintf(path, sizeof path, "%s/data_batch_%u.bin", folder, file + 1);
    else
        snprintf(path, sizeof path, "%s/test_batch.bin", folder);
    for (int64_t i = 0; i < RECORDS; i++)
        make_record(seed, file, i, records + i * RECORD_BYTES);
    return remat_file_write(path, records, (size_t)RECORDS * RECORD_BYTES, err);
}

enum remat_status remat_generate_cifar10(const char *folder, uint64_t seed, struct remat_error *err)
{
    static const char names[] = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    unsigned char *records = NULL;
    char path[512];
    enum remat_status status;
    REMAT_TRY(remat_make_folders(folder, err));
    snprintf(path, sizeof path, "%s/batches.meta.txt", folder);
    REMAT_TRY(remat_file_write(path, names, sizeof names - 1, err));
    REMAT_TRY(REMAT_ALLOC(records, (int64_t)RECORDS * RECORD_BYTES, err));
    status = REMAT_OK;
    for (uint32_t file = 0; file < FILES && status == REMAT_OK; file++)
        status = write_file(folder, seed, file, records, err);
    free(records);
    return status;
}
