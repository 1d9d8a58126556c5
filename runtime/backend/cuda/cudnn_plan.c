#include "runtime/backend/cuda/cudnn_plan.h"

#include "core/base/memory.h"

#include <stdlib.h>

enum { MOST_DESCRIPTORS = 16, MOST_ENGINES = 64, MOST_NOTES = 32 };

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

/* --- descriptors: after the first failure all calls do nothing ---------------------------------------------------- */

struct builder {
    struct remat_cudnn_plan *p;
    cudnnStatus_t status;
    const char *what; /* was being described when it failed */
};

static cudnnBackendDescriptor_t make(struct builder *b, cudnnBackendDescriptorType_t type, const char *what)
{
    cudnnBackendDescriptor_t made = NULL;
    if (b->status != CUDNN_STATUS_SUCCESS)
        return NULL;
    b->what = what;
    b->status = library_of(b->p)->cudnnBackendCreateDescriptor(type, &made);
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->p->made[b->p->made_count++] = made;
    return made;
}

static void set(struct builder *b, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = library_of(b->p)->cudnnBackendSetAttribute(of, name, type, count, values);
}

static void finish(struct builder *b, cudnnBackendDescriptor_t made)
{
    if (b->status == CUDNN_STATUS_SUCCESS)
        b->status = library_of(b->p)->cudnnBackendFinalize(made);
}

static cudnnBackendDescriptor_t make_tensor(struct builder *b, const struct remat_cudnn_tensor *of)
{
    const int64_t *d = of->tensor.dims;
    const int64_t dims[4] = {d[0], d[3], d[1], d[2]};
    const int64_t strides[4] = {d[1] * d[2] * d[3], 1, d[2] * d[3], d[3]};
    const int64_t alignment = REMAT_ALIGNMENT;
    const cudnnDataType_t type = of->tensor.dtype == REMAT_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t made = make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor");
    set(b, made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(b, made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(b, made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(b, made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &of->id);
    set(b, made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    finish(b, made);
    return made;
}

static cudnnBackendDescriptor_t make_description(struct builder *b, const struct remat_cudnn_convolution *of)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t spatial = 2, ones[2] = {1, 1}, strides[2] = {of->stride[0], of->stride[1]};
    const int64_t pads[2] = {of->pad[0], of->pad[1]};
    cudnnBackendDescriptor_t made = make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution");
    set(b, made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    set(b, made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(b, made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial);
    set(b, made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    set(b, made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    set(b, made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    set(b, made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    finish(b, made);
    return made;
}

static cudnnBackendDescriptor_t make_operation(struct builder *b, const struct remat_cudnn_convolution *of)
{
    const float one = 1, zero = 0;
    cudnnBackendDescriptor_t description = make_description(b, of), tensors[REMAT_CUDNN_OPERANDS], made;
    for (int i = 0; i < REMAT_CUDNN_OPERANDS; i++)
        tensors[i] = make_tensor(b, &of->operands[i]);
    made = make(b, of->kind, "an operation");
    set(b, made, of->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(b, made, of->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    set(b, made, of->description, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &description);
    for (int i = 0; i < REMAT_CUDNN_OPERANDS; i++)
        set(b, made, of->operands[i].role, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &tensors[i]);
    finish(b, made);
    return made;
}

static cudnnBackendDescriptor_t make_graph(struct builder *b, const struct remat_cudnn_convolution *of)
{
    cudnnBackendDescriptor_t operation = make_operation(b, of);
    cudnnBackendDescriptor_t made = make(b, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "a graph");
    set(b, made, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &b->p->device->libraries->cudnn_handle);
    set(b, made, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &operation);
    finish(b, made);
    return made;
}

/* --- the choice of an engine -------------------------------------------------------------------------------------- */

/* What an engine may not do: change its result from run to run, or round operands that were to be kept whole. */
static bool acceptable(const struct remat_device *device, const cudnnBackendNumericalNote_t *notes, int64_t count,
                       bool whole)
{
    for (int64_t i = 0; i < count; i++) {
        if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)
            return false;
        if (notes[i] == CUDNN_NUMERICAL_NOTE_FFT)
            return false;
        if (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && whole && !device->tf32)
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

/* The configurations that one heuristic proposes, tried in its order. The chosen one lives on with the plan. */
static bool try_configs(struct remat_cudnn_plan *p, cudnnBackendDescriptor_t heuristic, int64_t cap_bytes, bool whole,
                        int64_t *scratch_bytes)
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
        bool chosen = !found && i < count && config_acceptable(p, configs[i], whole) &&
                      try_config(p, configs[i], cap_bytes, scratch_bytes);
        found |= chosen;
        if (chosen)
            p->made[p->made_count++] = configs[i];
        else
            (void)cudnn->cudnnBackendDestroyDescriptor(configs[i]);
    }
    return found;
}

static bool choose(struct builder *b, cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode, int64_t cap_bytes,
                   bool whole, int64_t *scratch_bytes)
{
    cudnnBackendDescriptor_t heuristic = make(b, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "a heuristic");
    set(b, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph);
    set(b, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finish(b, heuristic);
    return b->status == CUDNN_STATUS_SUCCESS && try_configs(b->p, heuristic, cap_bytes, whole, scratch_bytes);
}

/* --- the plan ----------------------------------------------------------------------------------------------------- */

void remat_cudnn_plan_destroy(struct remat_cudnn_plan *plan)
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

static enum remat_status build(struct remat_cudnn_plan *p, const struct remat_cudnn_convolution *of, int64_t cap_bytes,
                               int64_t *scratch_bytes, struct remat_error *err)
{
    struct builder b = {p, CUDNN_STATUS_SUCCESS, ""};
    bool whole = of->operands[0].tensor.dtype == REMAT_F32;
    cudnnBackendDescriptor_t graph = make_graph(&b, of);
    if (b.status != CUDNN_STATUS_SUCCESS)
        return remat_fail(err, REMAT_UNAVAILABLE, "cuDNN cannot describe %s: %s", b.what,
                          library_of(p)->cudnnGetErrorString(b.status));
    if (choose(&b, graph, CUDNN_HEUR_MODE_A, cap_bytes, whole, scratch_bytes))
        return REMAT_OK;
    b.status = CUDNN_STATUS_SUCCESS; /* a heuristic may have nothing to say of a graph */
    if (choose(&b, graph, CUDNN_HEUR_MODE_FALLBACK, cap_bytes, whole, scratch_bytes))
        return REMAT_OK;
    return remat_fail(err, REMAT_UNAVAILABLE,
                      "cuDNN has no deterministic engine for a convolution within %lld bytes of scratch",
                      (long long)cap_bytes);
}

enum remat_status remat_cudnn_plan_create(const struct remat_device *device,
                                          const struct remat_cudnn_convolution *convolution, int64_t scratch_cap_bytes,
                                          struct remat_cudnn_plan **out, int64_t *scratch_bytes,
                                          struct remat_error *err)
{
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->device = device;
    *scratch_bytes = 0;
    status = build(*out, convolution, scratch_cap_bytes, scratch_bytes, err);
    if (status != REMAT_OK) {
        remat_cudnn_plan_destroy(*out);
        *out = NULL;
    }
    return status;
}

enum remat_status remat_cudnn_plan_run(const struct remat_cudnn_plan *plan, const int64_t *ids, void *const *addresses,
                                       void *scratch, struct remat_error *err)
{
    const struct remat_cudnn *cudnn = library_of(plan);
    cudnnBackendDescriptor_t pack = NULL;
    cudnnStatus_t status = cudnn->cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                                                 REMAT_CUDNN_OPERANDS, addresses);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                                                 REMAT_CUDNN_OPERANDS, ids);
    if (status == CUDNN_STATUS_SUCCESS)
        status =
            cudnn->cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &scratch);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendFinalize(pack);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnBackendExecute(plan->device->libraries->cudnn_handle, plan->plan, pack);
    if (pack)
        (void)cudnn->cudnnBackendDestroyDescriptor(pack);
    if (status == CUDNN_STATUS_SUCCESS)
        return REMAT_OK;
    return remat_fail(err, REMAT_FAILED, "cuDNN: a convolution failed: %s", cudnn->cudnnGetErrorString(status));
}
