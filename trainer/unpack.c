#include "trainer/unpack.h"

#include "trainer/checkpoint/folder.h"
#include "trainer/checkpoint/output.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char folder_prefix[] = "cifar-10-batches-bin/";
static const char *const allowed[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                      "data_batch_5.bin", "test_batch.bin",   "batches.meta.txt", "readme.html"};
enum { FILE_LIMIT_BYTES = 1 << 26, ENTRIES_LIMIT = 64, BLOCK_BYTES = 1 << 16 };

/* The plain name of an entry that belongs to the data set, or NULL. */
static const char *plain_name(const char *path)
{
    if (strncmp(path, "./", 2) == 0)
        path += 2;
    if (strncmp(path, folder_prefix, sizeof folder_prefix - 1) != 0)
        return NULL;
    path += sizeof folder_prefix - 1;
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        if (strcmp(path, allowed[i]) == 0)
            return allowed[i];
    return NULL;
}

static enum remat_status archive_failed(struct archive *in, const char *path, struct remat_error *err)
{
    const char *reason = archive_error_string(in);
    return remat_fail(err, REMAT_BAD_DATA, "%s cannot be unpacked: %s", path, reason ? reason : "it is damaged");
}

static enum remat_status copy_data(struct archive *in, const char *path, const char *name, struct remat_output *out,
                                   struct remat_error *err)
{
    static const char too_large[] = "%s: '%s' unpacks to more than %d bytes, too many for CIFAR-10";
    unsigned char block[BLOCK_BYTES];
    int64_t total = 0;
    la_ssize_t got;
    while ((got = archive_read_data(in, block, sizeof block)) > 0) {
        total += got;
        if (total > FILE_LIMIT_BYTES)
            return remat_fail(err, REMAT_BAD_DATA, too_large, path, name, FILE_LIMIT_BYTES);
        REMAT_TRY(remat_output_write(out, block, (size_t)got, err));
    }
    return got < 0 ? archive_failed(in, path, err) : REMAT_OK;
}

static enum remat_status unpack_file(struct archive *in, const char *path, const char *name, const char *folder,
                                     struct remat_error *err)
{
    struct remat_output *output = NULL;
    char *file;
    int64_t bytes;
    uint64_t hash;
    enum remat_status status;
    REMAT_TRY(remat_format_path(&file, err, "%s/%s", folder, name));
    status = remat_output_open(file, 0, &output, err);
    if (status == REMAT_OK)
        status = copy_data(in, path, name, output, err);
    if (status == REMAT_OK)
        status = remat_output_finish(output, &bytes, &hash, err);
    else
        remat_output_abandon(output);
    free(file);
    return status;
}

static enum remat_status unpack_entry(struct archive *in, struct archive_entry *entry, const char *path,
                                      const char *folder, struct remat_error *err)
{
    const char *found = archive_entry_pathname(entry), *name = found ? plain_name(found) : NULL;
    bool folder_itself = archive_entry_filetype(entry) == AE_IFDIR;
    if (folder_itself)
        return REMAT_OK;
    if (!name || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry))
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s holds '%s', which is no file of CIFAR-10's binary version; nothing was unpacked", path,
                          found ? found : "(a name that cannot be read)");
    return unpack_file(in, path, name, folder, err);
}

static enum remat_status unpack_all(struct archive *in, const char *path, const char *folder, struct remat_error *err)
{
    struct archive_entry *entry;
    int result;
    if (archive_read_open_filename(in, path, BLOCK_BYTES) != ARCHIVE_OK)
        return archive_failed(in, path, err);
    for (int count = 0; (result = archive_read_next_header(in, &entry)) == ARCHIVE_OK; count++) {
        if (count == ENTRIES_LIMIT)
            return remat_fail(err, REMAT_BAD_DATA, "%s has more than %d entries; it is not CIFAR-10", path,
                              ENTRIES_LIMIT);
        REMAT_TRY(unpack_entry(in, entry, path, folder, err));
    }
    return result == ARCHIVE_EOF ? REMAT_OK : archive_failed(in, path, err);
}

enum remat_status remat_unpack_cifar10(const char *archive, const char *out, struct remat_error *err)
{
    struct archive *in = archive_read_new();
    enum remat_status status;
    if (!in)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory while unpacking %s", archive);
    archive_read_support_filter_gzip(in);
    archive_read_support_format_tar(in);
    status = unpack_all(in, archive, out, err);
    archive_read_free(in);
    return status;
}
