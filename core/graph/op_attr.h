/* The fields of struct remat_op_attr as a table, so that signatures and files need not know them one by one (and
 * padding never counts). */
#ifndef REMAT_CORE_GRAPH_OP_ATTR_H
#define REMAT_CORE_GRAPH_OP_ATTR_H

#include "core/graph/op.h"

#include <stddef.h>

enum remat_attr_type { REMAT_ATTR_INT, REMAT_ATTR_BOOL, REMAT_ATTR_FLOAT };

struct remat_attr_field {
    const char *name;
    enum remat_attr_type type;
    size_t offset;
    int32_t count; /* elements; 1 for scalars */
};

/* Ended by a null name. */
extern const struct remat_attr_field remat_attr_fields[];

/* Element k of a field; bools are 0 or 1. */
double remat_attr_get(const struct remat_op_attr *attr, const struct remat_attr_field *field, int32_t k);
void remat_attr_set(struct remat_op_attr *attr, const struct remat_attr_field *field, int32_t k, double value);

#endif
