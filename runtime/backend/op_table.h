/* How host backends are made of ops: a table with, per op, its implementations in order of preference. One op (or one
 * family, forward and backward) a file; each file exports its implementations; a backend's table lists them. */
#ifndef REMAT_RUNTIME_BACKEND_OP_TABLE_H
#define REMAT_RUNTIME_BACKEND_OP_TABLE_H

#include "runtime/backend/backend.h"

struct remat_op_impl {
    enum remat_op op;
    const char *name; /* "onednn", "gemm", "loops" */
    int32_t numerics;
    /* Whether it can run the spec; NULL = always. Must be quick. */
    bool (*supports)(struct remat_device *device, const struct remat_kernel_spec *spec);
    /* Makes the state of a kernel (NULL state is fine) and tells its scratch. NULL = no state, no scratch. */
    enum remat_status (*create)(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err);
    enum remat_status (*run)(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err);
    void (*destroy)(void *state); /* NULL = nothing to do */
};

/* The backend functions of backend.h over a table of pointers to implementations ended by NULL. An option is the k-th
 * implementation of the op that supports the spec; scratch is learnt by making the kernel. */
enum remat_status remat_op_table_options(const struct remat_op_impl *const *table, struct remat_device *device,
                                         const struct remat_kernel_spec *spec,
                                         struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                         struct remat_error *err);
enum remat_status remat_op_table_create(const struct remat_op_impl *const *table, struct remat_device *device,
                                        const struct remat_kernel_spec *spec, int32_t option, struct remat_kernel **out,
                                        struct remat_error *err);
/* What a kernel was made from. */
const struct remat_op_impl *remat_op_table_impl(const struct remat_kernel *kernel);
const struct remat_kernel_spec *remat_op_table_spec(const struct remat_kernel *kernel);
void *remat_op_table_state(const struct remat_kernel *kernel);
int64_t remat_op_table_scratch_bytes(const struct remat_kernel *kernel);
enum remat_status remat_op_table_run(const struct remat_kernel *kernel, const struct remat_kernel_args *args,
                                     struct remat_error *err);
void remat_op_table_destroy(struct remat_kernel *kernel);

#endif
