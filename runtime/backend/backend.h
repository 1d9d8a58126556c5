/* A backend: a device with memory and kernels. ref (plain loops, the oracle), cpu (oneDNN and own kernels), later cuda.
 *
 * A kernel is made once from a spec and an option and run many times; run allocates nothing, blocks, and never keeps
 * addresses. Its scratch is given by the caller: exactly the bytes that the option asked for. */
#ifndef REMAT_RUNTIME_BACKEND_BACKEND_H
#define REMAT_RUNTIME_BACKEND_BACKEND_H

#include "core/graph/op.h"
#include "core/graph/task_graph.h"

struct remat_device;
struct remat_kernel;

struct remat_device_config {
    int32_t threads; /* 0 = all cores */
    int32_t ordinal; /* of the device, where there are several */
};

struct remat_device_info {
    char name[64];         /* "cpu" */
    char description[128]; /* processor or card */
    char fingerprint[256]; /* device, ISA, threads, library versions: plans and profiles are tied to it */
    int32_t threads;
    int64_t memory_bytes; /* available now */
};

/* What varies from step to step; kernels read it through the pointer, so that a captured step stays the same. */
struct remat_step_record {
    uint64_t seed;
    int64_t step;  /* optimizer step, from 0; Adam's bias correction uses step + 1 */
    int32_t micro; /* micro step, from 0 */
    int32_t micro_count;
    float learning_rate;
    float loss_scale; /* gradients are scaled by it; 1 / micro_count with accumulation */
};

struct remat_kernel_args {
    const void *inputs[REMAT_MAX_INPUTS];
    void *outputs[REMAT_MAX_OUTPUTS];
    void *cells[REMAT_MAX_CELLS];
    void *scratch;
    const struct remat_step_record *record;
};

enum { REMAT_MAX_OPTIONS = 4 };

struct remat_kernel_option {
    const char *name;      /* static: "onednn", "gemm", "loops" */
    int64_t scratch_bytes; /* not aligned */
    int32_t numerics;
};

struct remat_backend {
    const char *name;
    enum remat_status (*open)(const struct remat_device_config *config, struct remat_device **out,
                              struct remat_error *err);
    void (*close)(struct remat_device *device);
    void (*describe)(struct remat_device *device, struct remat_device_info *out);
    /* The implementations of a spec, the preferred one first. REMAT_UNAVAILABLE if there is none. */
    enum remat_status (*options)(struct remat_device *device, const struct remat_kernel_spec *spec,
                                 struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                 struct remat_error *err);
    enum remat_status (*kernel_create)(struct remat_device *device, const struct remat_kernel_spec *spec,
                                       int32_t option, struct remat_kernel **out, struct remat_error *err);
    /* Scratch that a made kernel really uses; the memory tracker counts this, not the plan's number. */
    int64_t (*kernel_scratch_bytes)(const struct remat_kernel *kernel);
    enum remat_status (*kernel_run)(const struct remat_kernel *kernel, const struct remat_kernel_args *args,
                                    struct remat_error *err);
    void (*kernel_destroy)(struct remat_kernel *kernel);
};

/* All backends, ended by a null name. */
extern const struct remat_backend *const remat_backends[];
REMAT_MUST_CHECK enum remat_status remat_backend_find(const char *name, const struct remat_backend **out,
                                                      struct remat_error *err);

#endif
