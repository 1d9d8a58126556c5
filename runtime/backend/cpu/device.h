/* The cpu backend's device, for the files of this folder (and tests that force an instruction set).
 *
 * Parallel loops are `#pragma omp parallel for num_threads(device->threads) schedule(static)`, and a result may depend
 * on the thread count but on nothing else. The team has that size also where there is less work: GCC's runtime
 * allocates a team, and starts or ends threads, whenever the size differs from the last region's. run() allocates
 * nothing: what it needs comes from its kernel's scratch. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_DEVICE_H
#define REMAT_RUNTIME_BACKEND_CPU_DEVICE_H

#include "runtime/backend/cpu/simd/simd.h"
#include "runtime/backend/op_table.h"

enum { REMAT_CPU_MAX_THREADS = 1024 };

struct dnnl_engine;
struct dnnl_stream;

struct remat_device {
    int32_t threads;
    enum remat_isa isa;         /* which variant of the kernels in simd/ is used */
    struct dnnl_engine *engine; /* owns */
    struct dnnl_stream *stream; /* owns */
    char processor[96];
};

/* A `create` for implementations whose only state is the device: *state is the device (borrowed), no scratch. */
enum remat_status remat_cpu_create_stateless(struct remat_device *device, const struct remat_kernel_spec *spec,
                                             void **state, int64_t *scratch_bytes, struct remat_error *err);

enum remat_status remat_cpu_open(const struct remat_device_config *config, struct remat_device **out,
                                 struct remat_error *err);
void remat_cpu_close(struct remat_device *device);
void remat_cpu_describe(struct remat_device *device, struct remat_device_info *out);

/* The best instruction set of this processor that kernels were compiled for. */
enum remat_isa remat_cpu_best_isa(void);

#endif
