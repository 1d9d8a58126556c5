#include "runtime/backend/cuda/cudnn_plan.h"

#include "core/base/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_DESCRIPTORS = 128, MOST_ENGINES = 64, MOST_NOTES = 32 };

struct remat_cudnn_plan {
    const struct remat_device *device;
    cudnnBackendDescriptor_t made[MOST_DESCRIPTORS]; /* kept as long as the plan, which refers to them */
    int made_count;
    cudnnBackendDescriptor_t plan;
};

static const struct remat_cudnn *library_of(const struct remat_cudnn_plan *p)
{
    return &p->device->libraries->cudnn;
}

static enum remat_status fail(const struct remat_cudnn *cudnn, cudnnStatus_t error, enum remat_status status,
                              const char *what, struct remat_error *err)
{
    char detail[256] = "";
    cudnn->cudnnGetLastErrorString(detail, sizeof detail);
    return remat_fail(err, status, "cuDNN: %s: %s (%s)", what, cudnn->cudnnGetErrorString(error), detail);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

enum remat_status remat_cudnn_begin(const struct remat_device *device, struct remat_cudnn_builder *out,
                                    struct remat_error *err)
{
    *out = (struct remat_cudnn_builder){.status = CUDNN_STATUS_SUCCESS, .what = ""};
    REMAT_TRY(REMAT_ALLOC(out->plan, 1, err));
    out->plan->device = device;
    return REMAT_OK;
}

cudnnBackendDescriptor_t remat_cudnn_make(struct remat_cudnn_builder *b, cudnnBackendDescriptorType_t type,
                                          const char *what)
{
    cudnnBackendDescriptor_t made = NULL;
    if (b->status != CUDNN_STATUS_SUCCESS)
        return NULL;
    b->what = what;
    b->status = b->plan->made_count < MOST_DESCRIPTORS ? library_of(b->plan)->cudnnBackendCreateDescriptor(type, &made)
                                                       : CUDNN_STATUS_NOT_SUPPORTED;
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->plan->made[b->plan->made_count++] = made;
    return made;
}

void remat_cudnn_set(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                     cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = library_of(b->plan)->cudnnBackendSetAttribute(of, name, type, count, values);
}

void remat_cudnn_set_descriptor(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t of,
                                cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value)
{
    remat_cudnn_set(b, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

void remat_cudnn_finish(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t made)
{
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = library_of(b->plan)->cudnnBackendFinalize(made);
}

void remat_cudnn_operation(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t made)
{
    remat_cudnn_finish(b, made);
    if (b->status == CUDNN_STATUS_SUCCESS && b->operations_count == REMAT_CUDNN_MOST_OPERATIONS)
        b->status = CUDNN_STATUS_NOT_SUPPORTED;
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->operations[b->operations_count++] = made;
}

static cudnnBackendDescriptor_t make_graph(struct remat_cudnn_builder *b)
{
    cudnnBackendDescriptor_t made = remat_cudnn_make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "a graph");
    remat_cudnn_set(b, made, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
                    &b->plan->device->libraries->cudnn_handle);
    remat_cudnn_set(b, made, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, b->operations_count,
                    b->operations);
    remat_cudnn_finish(b, made);
    return made;
}

/* --- the choice of an engine -------------------------------------------------------------------------------------- */

/* What an engine may not do: change its result from run to run, round operands that were to be kept whole, or add up in
 * less than f32. */
static bool acceptable(const struct remat_device *device, const cudnnBackendNumericalNote_t *notes, int64_t count,
                       bool whole)
{
    for (int64_t i = 0; i < count && remat_cuda_traces(); i++)
        fprintf(stderr, "cuDNN: the next engine has numerical note %d\n", (int)notes[i]);
    for (int64_t i = 0; i < count; i++) {
        if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)
            return false;
        if (notes[i] == CUDNN_NUMERICAL_NOTE_FFT || notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
            return false;
        if (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && whole && !device->tf32)
            return false;
        if (notes[i] == CUDNN_NUMERICAL_NOTE_WINOGRAD && !whole) /* its transforms would be rounded to bf16 */
            return false;
    }
    return true;
}

static bool config_acceptable(const struct remat_cudnn_plan *p, cudnnBackendDescriptor_t config, bool whole)
{
    const struct remat_cudnn *cudnn = library_of(p);
    cudnnBackendNumericalNote_t notes[MOST_NOTES];
    cudnnBackendDescriptor_t engine = NULL;
    int64_t count = 0;
    bool good;
    if (cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != CUDNN_STATUS_SUCCESS)
        return false;
    good = cudnn->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                           &count, &engine) == CUDNN_STATUS_SUCCESS &&
           cudnn->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                           MOST_NOTES, &count, notes) == CUDNN_STATUS_SUCCESS &&
           acceptable(p->device, notes, count < MOST_NOTES ? count : MOST_NOTES, whole);
    (void)cudnn->cudnnBackendDestroyDescriptor(engine);
    return good;
}

/* Makes the plan of one configuration; false if cuDNN cannot, or only with more scratch than the cap. */
static bool try_config(struct remat_cudnn_plan *p, cudnnBackendDescriptor_t config, int64_t cap_bytes,
                       int64_t *scratch_bytes)
{
    const struct remat_cudnn *cudnn = library_of(p);
    cudnnBackendDescriptor_t plan = NULL;
    int64_t count = 0;
    if (cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan) != CUDNN_STATUS_SUCCESS)
        return false;
    if (cudnn->cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                        &p->device->libraries->cudnn_handle) == CUDNN_STATUS_SUCCESS &&
        cudnn->cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                        &config) == CUDNN_STATUS_SUCCESS &&
        cudnn->cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS &&
        cudnn->cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                        scratch_bytes) == CUDNN_STATUS_SUCCESS &&
        *scratch_bytes <= cap_bytes) {
        p->plan = plan;
        return true;
    }
    (void)cudnn->cudnnBackendDestroyDescriptor(plan);
    return false;
}

/* Whether the configuration qualifies and is the one wanted: *rank counts down over those that qualify. */
static bool takes(struct remat_cudnn_plan *p, cudnnBackendDescriptor_t config, const struct remat_cudnn_demand *demand,
                  int *rank, int64_t *scratch_bytes)
{
    int64_t cap_bytes = demand->scratch_cap_bytes;
    bool possible = config_acceptable(p, config, demand->whole) && try_config(p, config, cap_bytes, scratch_bytes);
    if (remat_cuda_traces())
        fprintf(stderr, "cuDNN: an engine is %s, %lld bytes of scratch\n", possible ? "good" : "refused",
                (long long)*scratch_bytes);
    if (!possible)
        return false;
    if ((*rank)-- == 0)
        return true;
    (void)library_of(p)->cudnnBackendDestroyDescriptor(p->plan);
    p->plan = NULL;
    return false;
}

/* The configurations that one heuristic proposes, tried in its order. The chosen one lives on with the plan. */
static bool try_configs(struct remat_cudnn_plan *p, cudnnBackendDescriptor_t heuristic,
                        const struct remat_cudnn_demand *demand, int *rank, int64_t *scratch_bytes)
{
    const struct remat_cudnn *cudnn = library_of(p);
    cudnnBackendDescriptor_t configs[MOST_ENGINES] = {NULL};
    int64_t count = 0;
    int made = 0;
    bool found = false;
    while (made < MOST_ENGINES && cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                                                                      &configs[made]) == CUDNN_STATUS_SUCCESS)
        made++;
    if (cudnn->cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, made,
                                        &count, configs) != CUDNN_STATUS_SUCCESS)
        count = 0;
    for (int i = 0; i < made; i++) {
        bool chosen = !found && i < count && takes(p, configs[i], demand, rank, scratch_bytes);
        found |= chosen;
        if (chosen)
            p->made[p->made_count++] = configs[i];
        else
            (void)cudnn->cudnnBackendDestroyDescriptor(configs[i]);
    }
    return found;
}

static bool choose(struct remat_cudnn_builder *b, cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode,
                   const struct remat_cudnn_demand *demand, int *rank, int64_t *scratch_bytes)
{
    cudnnBackendDescriptor_t heuristic = remat_cudnn_make(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a heuristic");
    remat_cudnn_set_descriptor(b, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    remat_cudnn_set(b, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    remat_cudnn_finish(b, heuristic);
    return b->status == CUDNN_STATUS_SUCCESS && try_configs(b->plan, heuristic, demand, rank, scratch_bytes);
}

/* --- the plan ----------------------------------------------------------------------------------------------------- */

static void destroy(struct remat_cudnn_plan *plan)
{
    const struct remat_cudnn *cudnn;
    if (!plan)
        return;
    cudnn = library_of(plan);
    if (plan->plan)
        (void)cudnn->cudnnBackendDestroyDescriptor(plan->plan);
    for (int i = plan->made_count - 1; i >= 0; i--)
        (void)cudnn->cudnnBackendDestroyDescriptor(plan->made[i]);
    free(plan);
}

static enum remat_status choose_any(struct remat_cudnn_builder *b, const struct remat_cudnn_demand *demand,
                                    int64_t *scratch_bytes, struct remat_error *err)
{
    cudnnBackendDescriptor_t graph = make_graph(b);
    int rank = demand->rank;
    if (b->status != CUDNN_STATUS_SUCCESS)
        return fail(library_of(b->plan), b->status, REMAT_UNAVAILABLE, b->what, err);
    if (choose(b, graph, CUDNN_HEUR_MODE_A, demand, &rank, scratch_bytes))
        return REMAT_OK;
    b->status = CUDNN_STATUS_SUCCESS; /* a heuristic may have nothing to say of a graph */
    if (choose(b, graph, CUDNN_HEUR_MODE_FALLBACK, demand, &rank, scratch_bytes))
        return REMAT_OK;
    return remat_fail(err, REMAT_UNAVAILABLE, "cuDNN has %d deterministic engines within %lld bytes of scratch",
                      demand->rank - rank, (long long)demand->scratch_cap_bytes);
}

enum remat_status remat_cudnn_end(struct remat_cudnn_builder *b, const struct remat_cudnn_demand *demand,
                                  struct remat_cudnn_plan **out, int64_t *scratch_bytes, struct remat_error *err)
{
    enum remat_status status;
    *scratch_bytes = 0;
    status = choose_any(b, demand, scratch_bytes, err);
    *scratch_bytes = remat_cuda_scratch_bytes(*scratch_bytes);
    if (status != REMAT_OK)
        destroy(b->plan);
    *out = status == REMAT_OK ? b->plan : NULL;
    return status;
}

enum remat_status remat_cudnn_create(struct remat_device *device, const struct remat_kernel_spec *spec, int rank,
                                     enum remat_status (*make)(struct remat_device *device,
                                                               const struct remat_kernel_spec *spec,
                                                               struct remat_cudnn_made *made, struct remat_error *err),
                                     void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_cudnn_made **known = &device->libraries->cudnn_made, *made;
    uint64_t signature = remat_kernel_signature(spec);
    for (made = *known; made && (made->signature != signature || made->rank != rank);)
        made = made->next;
    if (!made) {
        REMAT_TRY(REMAT_ALLOC(made, 1, err));
        *made = (struct remat_cudnn_made){.next = *known, .signature = signature, .rank = rank};
        *known = made;
        REMAT_TRY(make(device, spec, made, err));
    }
    if (!made->plan)
        return remat_fail(err, REMAT_UNAVAILABLE, "cuDNN has no engine for this kernel");
    *scratch_bytes = made->scratch_bytes;
    *state = made;
    return REMAT_OK;
}

void remat_cudnn_made_free(struct remat_cuda_libraries *libraries)
{
    while (libraries->cudnn_made) {
        struct remat_cudnn_made *made = libraries->cudnn_made;
        libraries->cudnn_made = made->next;
        destroy(made->plan);
        free(made);
    }
}

size_t remat_cudnn_version(const struct remat_cudnn_plan *plan)
{
    return library_of(plan)->cudnnGetVersion();
}

enum remat_status remat_cudnn_plan_run(const struct remat_cudnn_plan *plan, int64_t count, const int64_t *ids,
                                       void *const *addresses, void *scratch, struct remat_error *err)
{
    const struct remat_cudnn *cudnn = library_of(plan);
    cudnnBackendDescriptor_t pack = NULL;
    void *aligned = remat_cuda_scratch(scratch);
    cudnnStatus_t status = cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                                 count, addresses);
    if (status == CUDNN_STATUS_SUCCESS)
        status =
            cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids);
    if (status == CUDNN_STATUS_SUCCESS)
        status =
            cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &aligned);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendFinalize(pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendExecute(plan->device->libraries->cudnn_handle, plan->plan, pack);
    if (pack)
        (void)cudnn->cudnnBackendDestroyDescriptor(pack);
    if (status == CUDNN_STATUS_SUCCESS)
        return REMAT_OK;
    return fail(cudnn, status, REMAT_FAILED, "running a graph", err);
}
