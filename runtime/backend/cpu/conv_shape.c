#include "runtime/backend/cpu/conv_shape.h"

struct remat_conv_shape remat_conv_shape_of(const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *x = spec->op == REMAT_OP_CONV2D_BWD_DATA ? &spec->outputs[0] : &spec->inputs[0];
    const struct remat_tensor *y = spec->op == REMAT_OP_CONV2D            ? &spec->outputs[0]
                                   : spec->op == REMAT_OP_CONV2D_BWD_DATA ? &spec->inputs[0]
                                                                          : &spec->inputs[1];
    struct remat_conv_shape shape = {.n = x->dims[0], .c = x->dims[3], .k = y->dims[3]};
    for (int axis = 0; axis < 2; axis++) {
        shape.in[axis] = x->dims[1 + axis];
        shape.out[axis] = y->dims[1 + axis];
        shape.kernel[axis] = spec->attr.kernel[axis];
        shape.stride[axis] = spec->attr.stride[axis];
        shape.pad[axis] = spec->attr.pad[axis];
    }
    return shape;
}
