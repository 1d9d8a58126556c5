#include "core/graph/op_attr.h"

#define FIELD(name, type, count)                                 \
    {                                                            \
#name, type, offsetof(struct remat_op_attr, name), count \
    }

const struct remat_attr_field remat_attr_fields[] = {
    FIELD(kernel, REMAT_ATTR_INT, 2),
    FIELD(stride, REMAT_ATTR_INT, 2),
    FIELD(pad, REMAT_ATTR_INT, 2),
    FIELD(heads, REMAT_ATTR_INT, 1),
    FIELD(layer, REMAT_ATTR_INT, 1),
    FIELD(chunk_rows, REMAT_ATTR_INT, 1),
    FIELD(relu, REMAT_ATTR_BOOL, 1),
    FIELD(residual, REMAT_ATTR_BOOL, 1),
    FIELD(bias, REMAT_ATTR_BOOL, 1),
    FIELD(accumulate, REMAT_ATTR_BOOL, 1),
    FIELD(grad_in_cell, REMAT_ATTR_BOOL, 1),
    FIELD(nesterov, REMAT_ATTR_BOOL, 1),
    FIELD(epsilon, REMAT_ATTR_FLOAT, 1),
    FIELD(momentum, REMAT_ATTR_FLOAT, 1),
    FIELD(probability, REMAT_ATTR_FLOAT, 1),
    FIELD(smoothing, REMAT_ATTR_FLOAT, 1),
    FIELD(beta1, REMAT_ATTR_FLOAT, 1),
    FIELD(beta2, REMAT_ATTR_FLOAT, 1),
    FIELD(weight_decay, REMAT_ATTR_FLOAT, 1),
    FIELD(max_norm, REMAT_ATTR_FLOAT, 1),
    FIELD(mean, REMAT_ATTR_FLOAT, 4),
    FIELD(std, REMAT_ATTR_FLOAT, 4),
    {NULL, REMAT_ATTR_INT, 0, 0},
};

double remat_attr_get(const struct remat_op_attr *attr, const struct remat_attr_field *field, int32_t k)
{
    const char *at = (const char *)attr + field->offset;
    switch (field->type) {
    case REMAT_ATTR_INT:
        return ((const int32_t *)at)[k];
    case REMAT_ATTR_BOOL:
        return ((const bool *)at)[k] ? 1.0 : 0.0;
    case REMAT_ATTR_FLOAT:
        return (double)((const float *)at)[k];
    }
    return 0.0;
}

void remat_attr_set(struct remat_op_attr *attr, const struct remat_attr_field *field, int32_t k, double value)
{
    char *at = (char *)attr + field->offset;
    switch (field->type) {
    case REMAT_ATTR_INT:
        ((int32_t *)at)[k] = (int32_t)value;
        break;
    case REMAT_ATTR_BOOL:
        ((bool *)at)[k] = value != 0.0;
        break;
    case REMAT_ATTR_FLOAT:
        ((float *)at)[k] = (float)value;
        break;
    }
}
