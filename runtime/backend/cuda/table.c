#include "runtime/backend/cuda/cuda.h"

#include <stddef.h>

const struct remat_op_impl *const remat_cuda_table[] = {
#define X(name) &name,
    REMAT_CUDA_LIBRARY_IMPLS(X) REMAT_CUDA_OWN_IMPLS(X)
#undef X
        NULL};
