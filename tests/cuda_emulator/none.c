/* The emulated GPU has no libraries: own kernels alone. */
#include "runtime/backend/cuda/cuda.h"

#include <stddef.h>
#include <stdio.h>

enum remat_status remat_cuda_libraries_open(struct remat_device *device, struct remat_error *err)
{
    (void)device;
    (void)err;
    return REMAT_OK;
}

void remat_cuda_libraries_close(struct remat_device *device)
{
    (void)device;
}

void remat_cuda_libraries_describe(const struct remat_device *device, char *text, int capacity)
{
    (void)device;
    snprintf(text, (size_t)capacity, "own kernels");
}

void remat_cuda_libraries_found(char *text, int capacity)
{
    remat_cuda_libraries_describe(NULL, text, capacity);
}

const struct remat_op_impl *const remat_cuda_table[] = {
#define X(name) &name,
    REMAT_CUDA_OWN_IMPLS(X)
#undef X
        NULL};
