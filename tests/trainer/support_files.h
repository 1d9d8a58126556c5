/* Temporary folders and files for the tests of the trainer. */
#ifndef REMAT_TESTS_TRAINER_SUPPORT_FILES_H
#define REMAT_TESTS_TRAINER_SUPPORT_FILES_H

#include <stddef.h>
#include <stdint.h>

enum { TEST_PATH_BYTES = 512 };

/* Puts later test folders into memory where the system has /dev/shm: for tests that sync often and write little. */
void test_prefer_memory(void);
/* A new empty folder under the system's temporary folder; the caller removes it with test_remove_folder. */
void test_make_folder(char path[TEST_PATH_BYTES]);
/* Removes a folder and all in it. */
void test_remove_folder(const char *path);
/* Writes folder/name. */
void test_write_file(const char *folder, const char *name, const void *data, size_t bytes);
/* The six files of CIFAR-10's binary version, full size: pixels are a function of (file, record, place), labels record
 * % 10. */
void test_write_cifar10(const char *folder);
uint8_t test_cifar10_byte(int file, int record, int place);

#endif
