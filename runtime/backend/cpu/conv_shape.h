/* The sizes of a convolution x[N,H,W,C], w[K,R,S,C] -> y[N,P,Q,K], from the spec of any of its three ops. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_CONV_SHAPE_H
#define REMAT_RUNTIME_BACKEND_CPU_CONV_SHAPE_H

#include "core/graph/op.h"

/* Axis 0 is rows, axis 1 columns. */
struct remat_conv_shape {
    int64_t n, c, k;
    int64_t in[2], out[2], kernel[2], stride[2], pad[2];
};

struct remat_conv_shape remat_conv_shape_of(const struct remat_kernel_spec *spec);
#endif
