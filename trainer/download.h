/* Fetches CIFAR-10's official binary archive, verifies its MD5, unpacks it and puts it in place in one step: what is in
 * the folder is either nothing or the whole checked data set. */
#ifndef REMAT_TRAINER_DOWNLOAD_H
#define REMAT_TRAINER_DOWNLOAD_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct remat_download_options {
    const char *url;       /* NULL = the official one */
    const char *md5;       /* NULL = the official archive's */
    int32_t stall_seconds; /* give up after that long without a byte; 0 = 30 */
    /* Called now and then; total_bytes is 0 while unknown. A false return cancels (REMAT_INTERRUPTED). NULL is fine. */
    bool (*progress)(void *context, int64_t done_bytes, int64_t total_bytes);
    void *context;
};

extern const char remat_cifar10_url[], remat_cifar10_md5[];

/* Puts the data at `folder`/cifar-10-batches-bin. If a valid data set is there already, nothing is fetched and *already
 * is set. Network and disk errors are REMAT_IO, wrong content REMAT_BAD_DATA. */
REMAT_MUST_CHECK enum remat_status remat_download_cifar10(const char *folder,
                                                          const struct remat_download_options *options, bool *already,
                                                          struct remat_error *err);

#endif
