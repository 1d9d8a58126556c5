/* Whether the real cuDNN has engines for the graphs that the cuda backend describes, for the tasks of whole models, on
 * an H200 that is not there: cuDNN plans for a device that it is told the properties of. Nothing runs. Skipped where
 * there is no cuDNN, or one before 9.8. */
#include "models/models.h"
#include "runtime/backend/cuda/cudnn_plan.h"
#include "runtime/backend/cuda/library_search.h"
#include "runtime/backend/op_table.h"
#include "runtime/lower/lower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char h200[] =
    "{\"cudaDeviceId\":0,\"deviceName\":\"NVIDIA H200\",\"deviceVer\":900,\"driverVer\":13000,"
    "\"totalGlobalMem\":150754820096,\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],"
    "\"regsPerBlock\":65536,\"multiProcessorCount\":132,\"smClockRateKHz\":1980000,\"memClockRateKHz\":3201000,"
    "\"l2CacheSize\":62914560,\"warpSize\":32,\"maxSharedMemoryPerBlock\":49152,"
    "\"maxSharedMemoryPerBlockOptin\":232448,\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,"
    "\"pciDeviceId\":0,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":2048,\"isTccDriver\":0,"
    "\"supportCoopLaunch\":1}";

extern const struct remat_op_impl remat_cuda_conv2d, remat_cuda_conv2d_bwd_data, remat_cuda_conv2d_bwd_weights,
    remat_cuda_attention_fused, remat_cuda_attention_bwd_fused;

/* cuDNN as it is, and the device that it is to plan for: a descriptor of its own. */
static struct remat_cudnn cudnn;
static cudnnBackendDescriptor_t properties;

/* The backend's file with the rest of it needs CUDA's runtime. */
bool remat_cuda_supports_floats(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    (void)spec;
    return true;
}

/* Where the backend names its handle, which only a GPU has, the properties go. */
static cudnnStatus_t set_attribute(cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                                   cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    cudnnStatus_t status;
    if (name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE)
        return CUDNN_STATUS_SUCCESS;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE)
        return cudnn.cudnnBackendSetAttribute(of, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                              1, &properties);
    status = cudnn.cudnnBackendSetAttribute(of, name, type, count, values);
    if (name == CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH && status == CUDNN_STATUS_SUCCESS)
        status = cudnn.cudnnBackendSetAttribute(of, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                                &properties);
    return status;
}

static bool load_cudnn(void)
{
    static const struct remat_cuda_file file = {"libcudnn.so.9", "cudnn"};
    void *library = remat_cuda_find(&file);
    bool complete = library != NULL;
#define X(name) complete = complete && remat_cuda_take(library, #name, &cudnn.name);
    REMAT_CUDNN_FUNCTIONS(X)
#undef X
    return complete && cudnn.cudnnGetVersion() >= 90800;
}

static bool describe_device(void)
{
    return cudnn.cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &properties) ==
               CUDNN_STATUS_SUCCESS &&
           cudnn.cudnnBackendSetAttribute(properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                          (int64_t)strlen(h200), h200) == CUDNN_STATUS_SUCCESS &&
           cudnn.cudnnBackendFinalize(properties) == CUDNN_STATUS_SUCCESS;
}

static int close_device(void **state)
{
    (void)state;
    if (properties)
        (void)cudnn.cudnnBackendDestroyDescriptor(properties);
    properties = NULL;
    return 0;
}

static void need_device(void)
{
    if (properties)
        return;
    if (!load_cudnn()) {
        print_message("no cuDNN from 9.8 on\n");
        skip();
    }
    if (!describe_device())
        fail_msg("cuDNN %zu does not take the device's properties", cudnn.cudnnGetVersion());
}

static const struct remat_op_impl *fused_by_cudnn(const struct remat_kernel_spec *spec)
{
    switch (spec->op) {
    case REMAT_OP_CONV2D:
        return &remat_cuda_conv2d;
    case REMAT_OP_CONV2D_BWD_DATA:
        return &remat_cuda_conv2d_bwd_data;
    case REMAT_OP_CONV2D_BWD_WEIGHTS:
        return &remat_cuda_conv2d_bwd_weights;
    case REMAT_OP_ATTENTION:
        return spec->inputs[0].dtype == REMAT_BF16 ? &remat_cuda_attention_fused : NULL;
    case REMAT_OP_ATTENTION_BWD:
        return spec->inputs[0].dtype == REMAT_BF16 ? &remat_cuda_attention_bwd_fused : NULL;
    default:
        return NULL;
    }
}

/* The reference, for which models are lowered here, fuses more than the cuda backend. */
static struct remat_kernel_spec unfused(struct remat_kernel_spec spec)
{
    if (spec.op != REMAT_OP_CONV2D_BWD_DATA_ADD)
        return spec;
    spec.op = REMAT_OP_CONV2D_BWD_DATA;
    for (int32_t i = 2; i < spec.inputs_count; i++)
        spec.inputs[i - 1] = spec.inputs[i];
    spec.inputs_count--;
    return spec;
}

struct run {
    const char *model;
    int64_t batch, length;
    enum remat_dtype dtype;
    bool tf32;
};

static void lower(const struct run *run, struct remat_task_graph *graph)
{
    const struct remat_model_options options = {.batch = run->batch, .length = run->length};
    struct remat_lower_options how = remat_lower_defaults(REMAT_TRAIN, REMAT_SGD);
    struct remat_layer_graph layers;
    const struct remat_device_config config = {.threads = 1};
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_error err = {0};
    how.dtype = run->dtype;
    if (remat_model_build(run->model, &options, &layers, &err) != REMAT_OK ||
        remat_backend_find("ref", &backend, &err) != REMAT_OK || backend->open(&config, &device, &err) != REMAT_OK ||
        remat_lower(&layers, backend, device, &how, graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    backend->close(device);
    remat_layer_graph_free(&layers);
}

/* Engines for tensor cores need scratch for its three channels; those that do not are slow. */
static bool is_of_images(const struct remat_kernel_spec *spec)
{
    return (spec->op == REMAT_OP_CONV2D || spec->op == REMAT_OP_CONV2D_BWD_WEIGHTS) && spec->inputs[0].dims[3] == 3;
}

/* Of f32's engines without tensor cores the one that needs no scratch for this is the last that is proposed. */
static bool turns_images(const struct remat_kernel_spec *spec, const struct run *run)
{
    return spec->op == REMAT_OP_CONV2D_BWD_DATA && run->dtype == REMAT_F32 && !run->tf32;
}

/* An engine for each convolution and attention of a model's step; returns how many. */
static int32_t plan_all(const struct run *run, const struct remat_task_graph *graph)
{
    struct remat_cuda_libraries libraries = {.cudnn = cudnn};
    struct remat_device device = {.libraries = &libraries, .tf32 = run->tf32};
    int32_t count = 0;
    libraries.cudnn.cudnnBackendSetAttribute = set_attribute;
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        const struct remat_kernel_spec spec = unfused(remat_task_spec(graph, &graph->tasks[t]));
        const struct remat_op_impl *impl = fused_by_cudnn(&spec);
        struct remat_error err = {0};
        int64_t scratch_bytes;
        void *state;
        if (impl && impl->create(&device, &spec, &state, &scratch_bytes, &err) != REMAT_OK)
            fail_msg("%s at %d, %s: %s: %s", run->model, (int)run->batch, remat_dtype_text(run->dtype),
                     graph->tasks[t].name, err.message);
        if (impl && spec.inputs[0].dtype == REMAT_BF16 && is_of_images(&spec))
            assert_true(scratch_bytes > 0);
        if (impl && turns_images(&spec, run))
            assert_true(scratch_bytes > 1 << 20);
        count += impl != NULL;
    }
    remat_cudnn_made_free(&libraries);
    return count;
}

static void expect_plans(const struct run *run, int32_t count)
{
    struct remat_task_graph graph;
    need_device();
    lower(run, &graph);
    assert_int_equal(plan_all(run, &graph), count);
    remat_task_graph_free(&graph);
}

/* The first convolution needs no gradient of its input. */
static void convolutions(void **state)
{
    static const struct run runs[] = {
        {"resnet50", 256, 0, REMAT_F32, false},   {"resnet50", 256, 0, REMAT_F32, true},
        {"resnet50", 256, 0, REMAT_BF16, false},  {"resnet50", 1024, 0, REMAT_BF16, false},
        {"resnet152", 512, 0, REMAT_BF16, false}, {"resnet18", 100, 0, REMAT_F32, false}};
    static const int32_t convolutions_of[] = {53, 53, 53, 53, 155, 20};
    (void)state;
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++)
        expect_plans(&runs[k], 3 * convolutions_of[k] - 1);
}

static void attention(void **state)
{
    static const struct run runs[] = {{"gpt2-small", 16, 1024, REMAT_BF16, false},
                                      {"gpt2-medium", 16, 1024, REMAT_BF16, false},
                                      {"gpt2-xl", 1, 1024, REMAT_BF16, false},
                                      {"gpt2-small", 3, 64, REMAT_BF16, false}};
    static const int32_t layers[] = {12, 24, 48, 12};
    (void)state;
    for (size_t k = 0; k < sizeof runs / sizeof *runs; k++)
        expect_plans(&runs[k], 2 * layers[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(convolutions), cmocka_unit_test(attention)};
    return cmocka_run_group_tests(tests, NULL, close_device);
}
