#include "support_files.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD = 3073, RECORDS = 10000 };

void test_prefer_memory(void)
{
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
}

void test_make_folder(char path[TEST_PATH_BYTES])
{
    const char *base = getenv("TMPDIR");
    snprintf(path, TEST_PATH_BYTES, "%s/remat-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(path)) {
        perror(path);
        abort();
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void test_remove_folder(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void test_write_file(const char *folder, const char *name, const void *data, size_t bytes)
{
    char path[2 * TEST_PATH_BYTES];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0) {
        perror(path);
        abort();
    }
}

uint8_t test_cifar10_byte(int file, int record, int place)
{
    return (uint8_t)(file * 37 + record * 11 + place * 7 + place / 256);
}

void test_write_cifar10(const char *folder)
{
    unsigned char *bytes = malloc((size_t)RECORD * RECORDS);
    if (!bytes)
        abort();
    for (int file = 0; file < 6; file++) {
        char name[32];
        snprintf(name, sizeof name, file < 5 ? "data_batch_%d.bin" : "test_batch.bin", file + 1);
        for (int record = 0; record < RECORDS; record++) {
            unsigned char *out = bytes + (size_t)record * RECORD;
            out[0] = (unsigned char)(record % 10);
            for (int i = 0; i < RECORD - 1; i++)
                out[1 + i] = test_cifar10_byte(file, record, i);
        }
        test_write_file(folder, name, bytes, (size_t)RECORD * RECORDS);
    }
    free(bytes);
}
