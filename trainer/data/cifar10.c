/* CIFAR-10, binary version (https://www.cs.toronto.edu/~kriz/cifar.html): five training files and one test file of
 * 10,000 records, each a label byte (0-9) and 32x32 bytes of red, of green and of blue.
 *
 * Sizes and labels are all checked when opening. Records are then read one by one: the page cache holds the data set,
 * not this process, so its memory stays what the plan says. */
#include "core/base/memory.h"
#include "trainer/data/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SIDE = 32,
    PLANE = SIDE * SIDE,
    CHANNELS = 3,
    RECORD = 1 + CHANNELS * PLANE,
    RECORDS = 10000,
    FILES = 6,
    TRAINING_FILES = 5,
    CLASSES = 10,
    BLOCK_RECORDS = 100,
    PATH_BYTES = 4096
};
static const char *const file_names[FILES] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                              "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
static const char *const subfolder = "cifar-10-batches-bin";
static const char *const advice = "'remat data cifar10 DIR' downloads the right files";

struct cifar10 {
    int descriptors[FILES];
    char folder[PATH_BYTES];
};

static bool exists(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &info) == 0;
}

/* Explains a folder without data_batch_1.bin: another version or another data set, else just missing. */
static enum remat_status explain_missing(const char *folder, struct remat_error *err)
{
    if (exists(folder, "data_batch_1") || exists(folder, "cifar-10-batches-py/data_batch_1"))
        return remat_fail(
            err, REMAT_BAD_DATA,
            "%s holds the Python (pickle) version of CIFAR-10, whose files are programs to run rather than "
            "data; expected the binary version: %s",
            folder, advice);
    if (exists(folder, "train.bin") || exists(folder, "cifar-100-binary/train.bin") ||
        exists(folder, "fine_label_names.txt"))
        return remat_fail(err, REMAT_BAD_DATA, "%s holds CIFAR-100; expected CIFAR-10's binary version: %s", folder,
                          advice);
    if (exists(folder, "data_batch_1.mat") || exists(folder, "cifar-10-batches-mat/data_batch_1.mat"))
        return remat_fail(err, REMAT_BAD_DATA, "%s holds the Matlab version of CIFAR-10; expected the binary one: %s",
                          folder, advice);
    return remat_fail(err, REMAT_MISSING_INPUT, "%s: no data_batch_1.bin here nor in %s/%s; %s", folder, folder,
                      subfolder, advice);
}

static enum remat_status find_folder(const char *path, struct cifar10 *data, struct remat_error *err)
{
    if (strlen(path) + 64 > sizeof data->folder)
        return remat_fail(err, REMAT_USAGE, "the data folder's path has %zu bytes; at most %d are supported",
                          strlen(path), PATH_BYTES - 64);
    snprintf(data->folder, sizeof data->folder, "%s", path);
    if (exists(data->folder, file_names[0]))
        return REMAT_OK;
    snprintf(data->folder, sizeof data->folder, "%s/%s", path, subfolder);
    return exists(data->folder, file_names[0]) ? REMAT_OK : explain_missing(path, err);
}

/* A file of the wrong size: what it probably is. A CIFAR-100 record has two label bytes; a pickle starts with 0x80 and
 * the protocol's number. */
static enum remat_status explain_size(const char *path, int descriptor, int64_t bytes, struct remat_error *err)
{
    unsigned char head[2] = {0, 0};
    int64_t expected = (int64_t)RECORDS * RECORD;
    if (pread(descriptor, head, sizeof head, 0) == sizeof head && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5)
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: this is a pickle of CIFAR-10's Python version; expected the binary version: %s", path,
                          advice);
    if (bytes > 0 && bytes % (RECORD + 1) == 0)
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: %lld bytes are CIFAR-100 records (%d bytes each, two labels); expected CIFAR-10: %lld "
                          "bytes of %d; %s",
                          path, (long long)bytes, RECORD + 1, (long long)expected, RECORD, advice);
    return remat_fail(
        err, REMAT_BAD_DATA, "%s is %s: %lld bytes, expected %lld (%d records of %d bytes); delete it, then %s", path,
        bytes < expected ? "truncated" : "oversized", (long long)bytes, (long long)expected, RECORDS, RECORD, advice);
}

static enum remat_status read_fully(int descriptor, const char *path, void *out, size_t bytes, int64_t offset,
                                    struct remat_error *err)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = pread(descriptor, (char *)out + done, bytes - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return remat_fail(err, REMAT_IO, "%s: reading at byte %lld failed: %s", path,
                              (long long)(offset + (int64_t)done), strerror(errno));
        if (got == 0)
            return remat_fail(err, REMAT_IO, "%s ends at byte %lld: it was cut while in use", path,
                              (long long)(offset + (int64_t)done));
        done += (size_t)got;
    }
    return REMAT_OK;
}

static enum remat_status check_labels(int descriptor, const char *path, struct remat_error *err)
{
    unsigned char *block;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(block, (int64_t)BLOCK_RECORDS * RECORD, err));
    for (int64_t first = 0; first < RECORDS; first += BLOCK_RECORDS) {
        REMAT_TRY_GOTO(read_fully(descriptor, path, block, (size_t)BLOCK_RECORDS * RECORD, first * RECORD, err), done);
        for (int64_t i = 0; i < BLOCK_RECORDS; i++)
            if (block[i * RECORD] >= CLASSES) {
                status =
                    remat_fail(err, REMAT_BAD_DATA,
                               "%s: record %lld has label %d; expected 0 to %d: this is no CIFAR-10 binary file; %s",
                               path, (long long)(first + i), block[i * RECORD], CLASSES - 1, advice);
                goto done;
            }
    }
    status = REMAT_OK;
done:
    free(block);
    return status;
}

static enum remat_status open_file(const struct cifar10 *data, int32_t file, int *descriptor, struct remat_error *err)
{
    char path[PATH_BYTES + 32];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", data->folder, file_names[file]);
    *descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (*descriptor < 0)
        return remat_fail(err, errno == ENOENT ? REMAT_MISSING_INPUT : REMAT_IO, "%s: %s; %s", path, strerror(errno),
                          advice);
    if (fstat(*descriptor, &info) != 0)
        return remat_fail(err, REMAT_IO, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return remat_fail(err, REMAT_BAD_DATA, "%s is not a plain file; %s", path, advice);
    if (info.st_size != (int64_t)RECORDS * RECORD)
        return explain_size(path, *descriptor, info.st_size, err);
    return check_labels(*descriptor, path, err);
}

static void free_cifar10(struct cifar10 *data)
{
    for (int32_t i = 0; i < FILES; i++)
        if (data->descriptors[i] >= 0)
            close(data->descriptors[i]);
    free(data);
}

static enum remat_status open_cifar10(const struct remat_data_config *config, struct remat_data_source *source,
                                      struct remat_error *err)
{
    struct cifar10 *data;
    enum remat_status status;
    if (!config->path)
        return remat_fail(err, REMAT_USAGE, "no CIFAR-10 folder given; %s", advice);
    REMAT_TRY(REMAT_ALLOC(data, 1, err));
    for (int32_t i = 0; i < FILES; i++)
        data->descriptors[i] = -1;
    REMAT_TRY_GOTO(find_folder(config->path, data, err), fail);
    for (int32_t i = 0; i < FILES; i++)
        REMAT_TRY_GOTO(open_file(data, i, &data->descriptors[i], err), fail);
    source->shape = (struct remat_sample_shape){
        .kind = REMAT_IMAGE_SAMPLES, .height = SIDE, .width = SIDE, .channels = CHANNELS, .classes = CLASSES};
    source->samples[REMAT_TRAINING_SET] = (int64_t)TRAINING_FILES * RECORDS;
    source->samples[REMAT_TEST_SET] = RECORDS;
    source->state = data;
    return REMAT_OK;
fail:
    free_cifar10(data);
    return status;
}

static void planes_to_pixels(const unsigned char *planes, uint8_t *pixels)
{
    for (int32_t i = 0; i < PLANE; i++)
        for (int32_t c = 0; c < CHANNELS; c++)
            pixels[i * CHANNELS + c] = planes[c * PLANE + i];
}

static enum remat_status read_cifar10(const struct remat_data_source *source, enum remat_split split, int64_t epoch,
                                      int64_t sample, void *input, int32_t *labels, struct remat_error *err)
{
    const struct cifar10 *data = source->state;
    int64_t file = split == REMAT_TEST_SET ? TRAINING_FILES : sample / RECORDS, record = sample % RECORDS;
    unsigned char bytes[RECORD];
    uint8_t pixels[CHANNELS * PLANE];
    struct remat_augment_draw draw;
    REMAT_TRY(read_fully(data->descriptors[file], file_names[file], bytes, sizeof bytes, record * RECORD, err));
    if (bytes[0] >= CLASSES)
        return remat_fail(err, REMAT_BAD_DATA, "%s/%s: record %lld changed while in use: its label is %d", data->folder,
                          file_names[file], (long long)record, bytes[0]);
    labels[0] = bytes[0];
    if (split == REMAT_TEST_SET) {
        planes_to_pixels(bytes + 1, input);
        return REMAT_OK;
    }
    planes_to_pixels(bytes + 1, pixels);
    draw = remat_augment_draw(&source->augment, SIDE, SIDE, source->seed, epoch, sample);
    remat_augment_apply(&source->augment, &draw, SIDE, SIDE, CHANNELS, pixels, input);
    return REMAT_OK;
}

static void close_cifar10(struct remat_data_source *source)
{
    free_cifar10(source->state);
}

const struct remat_data_kind remat_data_cifar10 = {
    .name = "cifar10",
    .summary = "a folder with CIFAR-10's binary version",
    .open = open_cifar10,
    .read = read_cifar10,
    .close = close_cifar10,
};
