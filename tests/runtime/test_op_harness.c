/* The op harness finds faults: ref with one deliberate mistake must fail the check that is meant for it. Each mistake
 * runs in a process of its own, since a check that finds something ends its test. */
#include "support_op_case.h"

#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FAULT_LIST(X)                                                     \
    X(NONE, "none")                                                       \
    X(INEXACT, "relative error of 1e-4 in one element")                   \
    X(BEYOND_OUTPUT, "write beyond an output")                            \
    X(BEYOND_SCRATCH, "write beyond the scratch")                         \
    X(INPUT, "write to an input")                                         \
    X(CELL, "write to a cell that is only read")                          \
    X(UNDECLARED, "result that depends on undeclared memory")             \
    X(STALE, "result that depends on what the output held")               \
    X(ADDRESS, "result that depends on the address")                      \
    X(COUNTER, "result that differs from run to run")                     \
    X(IN_PLACE, "result that is wrong when an output lies over an input") \
    X(SCRATCH, "kernel that uses more scratch than promised")

enum fault {
#define X(name, text) name,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT
};

static const char *const fault_texts[] = {
#define X(name, text) text,
    FAULT_LIST(X)
#undef X
};

static enum fault fault;
static struct op_backend ref, faulty;

/* A kernel of ref and its spec. */
struct remat_kernel {
    struct remat_kernel *inner;
    struct remat_kernel_spec spec;
};

/* Kernel runs so far. */
static int64_t runs;

static enum remat_status open_device(const struct remat_device_config *config, struct remat_device **out,
                                     struct remat_error *err)
{
    return ref.backend->open(config, out, err);
}

static void close_device(struct remat_device *device)
{
    ref.backend->close(device);
}

static enum remat_status options(struct remat_device *device, const struct remat_kernel_spec *spec,
                                 struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                 struct remat_error *err)
{
    enum remat_status status = ref.backend->options(device, spec, out, count, err);
    if (status == REMAT_OK && fault == SCRATCH)
        out[0].scratch_bytes -= 8;
    return status;
}

static enum remat_status kernel_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                       int32_t option, struct remat_kernel **out, struct remat_error *err)
{
    *out = calloc(1, sizeof **out);
    if (!*out)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "test");
    (*out)->spec = *spec;
    return ref.backend->kernel_create(device, spec, option, &(*out)->inner, err);
}

static int64_t kernel_scratch_bytes(const struct remat_kernel *kernel)
{
    return ref.backend->kernel_scratch_bytes(kernel->inner);
}

static void spoil(const struct remat_kernel *kernel, const struct remat_kernel_args *args, const unsigned char *stale)
{
    int64_t bytes = remat_tensor_bytes(&kernel->spec.outputs[0]);
    unsigned char *end = (unsigned char *)args->outputs[0] + bytes;
    float *y = args->outputs[0];
    switch (fault) {
    case INEXACT:
        y[0] += 1e-4f * y[0];
        break;
    case BEYOND_OUTPUT:
        end[0] ^= 1;
        break;
    case BEYOND_SCRATCH:
        ((unsigned char *)args->scratch)[kernel_scratch_bytes(kernel)] ^= 1;
        break;
    case INPUT:
        ((unsigned char *)(uintptr_t)args->inputs[0])[0] ^= 1;
        break;
    case CELL:
        ((unsigned char *)args->cells[0])[0] ^= 1;
        break;
    case UNDECLARED:
        ((unsigned char *)y)[0] ^= end[1] & 1 && end[1] != 0x7F;
        break;
    case STALE:
        ((unsigned char *)y)[0] ^= stale[0] == 0xFF;
        break;
    case ADDRESS:
        ((unsigned char *)y)[0] ^= (uintptr_t)y / 64 & 1;
        break;
    case COUNTER:
        ((unsigned char *)y)[0] ^= ++runs & 1;
        break;
    case IN_PLACE:
        ((unsigned char *)y)[0] ^= args->outputs[0] == args->inputs[3];
        break;
    default:
        break;
    }
}

static enum remat_status kernel_run(const struct remat_kernel *kernel, const struct remat_kernel_args *args,
                                    struct remat_error *err)
{
    unsigned char stale[1] = {((unsigned char *)args->outputs[0])[0]};
    enum remat_status status = ref.backend->kernel_run(kernel->inner, args, err);
    spoil(kernel, args, stale);
    return status;
}

static void kernel_destroy(struct remat_kernel *kernel)
{
    ref.backend->kernel_destroy(kernel->inner);
    free(kernel);
}

static const struct remat_backend faulty_backend = {.name = "faulty",
                                                    .ops = &remat_host_ops,
                                                    .open = open_device,
                                                    .close = close_device,
                                                    .options = options,
                                                    .kernel_create = kernel_create,
                                                    .kernel_scratch_bytes = kernel_scratch_bytes,
                                                    .kernel_run = kernel_run,
                                                    .kernel_destroy = kernel_destroy};

/* The backward call of a layer normalisation: inputs, a cell, scratch, in-place pairs. */
static void check_case(const struct op_case *c)
{
    struct op_values values;
    op_values_fill(c, &values);
    for (int32_t k = 0; k < c->calls_count; k++)
        op_check_call(&ref, c->calls[k].op == REMAT_OP_LAYERNORM_BWD ? &faulty : NULL, c, &c->calls[k], &values);
    op_values_free(&values);
}

static void check(void **state)
{
    const struct op_cases *cases = *state;
    for (int32_t i = 0; i < cases->count; i++) {
        if (strcmp(cases->items[i]->name, "layernorm [7,64]") == 0)
            check_case(cases->items[i]);
    }
}

static int run_check(void)
{
    struct op_cases cases = {0};
    struct remat_device_config config = {0};
    struct CMUnitTest tests[1] = {{"check", check, NULL, NULL, &cases}};
    int failed;
    op_cases_text(&cases);
    faulty.backend = &faulty_backend;
    if (remat_backend_find("ref", &ref.backend, NULL) != REMAT_OK ||
        ref.backend->open(&config, &ref.device, NULL) != REMAT_OK ||
        faulty.backend->open(&config, &faulty.device, NULL) != REMAT_OK)
        return 2;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    close_device(ref.device);
    close_device(faulty.device);
    op_cases_free(&cases);
    fflush(NULL);
    _exit(failed); /* a check that stopped half-way leaks */
}

static void fault_is_found(void **state)
{
    char number[16], program[] = "/proc/self/exe", *arguments[] = {program, number, NULL};
    posix_spawn_file_actions_t quiet;
    pid_t child;
    int status;
    snprintf(number, sizeof number, "%d", (int)(intptr_t)*state);
    assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawn(&child, program, &quiet, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    posix_spawn_file_actions_destroy(&quiet);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), (intptr_t)*state == NONE ? 0 : 1);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[FAULT_COUNT];
    if (argc > 1) {
        fault = (enum fault)atoi(argv[1]);
        return run_check();
    }
    for (int i = 0; i < FAULT_COUNT; i++)
        tests[i] = (struct CMUnitTest){fault_texts[i], fault_is_found, NULL, NULL, (void *)(intptr_t)i};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
