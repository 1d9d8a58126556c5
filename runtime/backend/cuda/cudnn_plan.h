/* A graph of cuDNN's operations, prepared to be run: descriptors, and one of the engines of the heuristics that are
 * deterministic, fit the scratch cap and keep the precision asked for.
 *
 * After the first failure all calls of a builder do nothing, so that graphs read like the formulas they stand for. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_CUDNN_PLAN_H
#define REMAT_RUNTIME_BACKEND_CUDA_CUDNN_PLAN_H

#include "runtime/backend/cuda/libraries.h"

enum { REMAT_CUDNN_MOST_OPERATIONS = 32 };

struct remat_cudnn_plan;

struct remat_cudnn_builder {
    struct remat_cudnn_plan *plan;
    cudnnStatus_t status;
    const char *what; /* was being described when it failed */
    int operations_count;
    cudnnBackendDescriptor_t operations[REMAT_CUDNN_MOST_OPERATIONS];
};

REMAT_MUST_CHECK enum remat_status remat_cudnn_begin(const struct remat_device *device, struct remat_cudnn_builder *out,
                                                     struct remat_error *err);
/* Descriptors live as long as the plan. */
cudnnBackendDescriptor_t remat_cudnn_make(struct remat_cudnn_builder *b, cudnnBackendDescriptorType_t type,
                                          const char *what);
void remat_cudnn_set(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                     cudnnBackendAttributeType_t type, int64_t count, const void *values);
void remat_cudnn_set_descriptor(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t of,
                                cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value);
void remat_cudnn_finish(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t made);
/* Finishes an operation and adds it to the graph. */
void remat_cudnn_operation(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t made);
struct remat_cudnn_demand {
    bool whole; /* operands may not be rounded */
    int64_t scratch_cap_bytes;
    int rank; /* of those that qualify: 0 is what the heuristics prefer */
};
/* Chooses an engine. Takes the builder, also when it fails: *out is then NULL. */
REMAT_MUST_CHECK enum remat_status remat_cudnn_end(struct remat_cudnn_builder *b,
                                                   const struct remat_cudnn_demand *demand,
                                                   struct remat_cudnn_plan **out, int64_t *scratch_bytes,
                                                   struct remat_error *err);

/* A plan, made once a device for each spec and rank: engines may be compiled for it, which takes a second each. */
struct remat_cudnn_made {
    struct remat_cudnn_made *next;
    uint64_t signature; /* of the kernel's spec */
    int rank;
    struct remat_cudnn_plan *plan; /* NULL: cuDNN has none */
    int64_t scratch_bytes;
};
/* A kernel's `create`: the plan that is known, or a new one, for which `make` fills in plan and scratch_bytes. *state
 * is a struct remat_cudnn_made that belongs to the device. */
REMAT_MUST_CHECK enum remat_status
remat_cudnn_create(struct remat_device *device, const struct remat_kernel_spec *spec, int rank,
                   enum remat_status (*make)(struct remat_device *device, const struct remat_kernel_spec *spec,
                                             struct remat_cudnn_made *made, struct remat_error *err),
                   void **state, int64_t *scratch_bytes, struct remat_error *err);

size_t remat_cudnn_version(const struct remat_cudnn_plan *plan);
/* addresses[i] is the operand with id ids[i]. */
REMAT_MUST_CHECK enum remat_status remat_cudnn_plan_run(const struct remat_cudnn_plan *plan, int64_t count,
                                                        const int64_t *ids, void *const *addresses, void *scratch,
                                                        struct remat_error *err);

#endif
