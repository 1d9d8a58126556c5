/* Unpacks the archive of CIFAR-10's binary version: only the files that belong to it, only plain files, only of
 * plausible size; whatever else an archive holds is refused, so nothing can be written outside the folder. */
#ifndef REMAT_TRAINER_UNPACK_H
#define REMAT_TRAINER_UNPACK_H

#include "core/base/status.h"

/* Writes the files of `archive`'s folder cifar-10-batches-bin into the existing folder `out`. */
REMAT_MUST_CHECK enum remat_status remat_unpack_cifar10(const char *archive, const char *out, struct remat_error *err);

#endif
