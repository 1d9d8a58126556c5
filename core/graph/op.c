#include "core/graph/op.h"

#include "core/base/hash.h"
#include "core/graph/op_attr.h"

#include <string.h>

static const char *const texts[] = {
#define X(name, text) text,
    REMAT_OP_LIST(X)
#undef X
};

const char *remat_op_text(enum remat_op op)
{
    return (unsigned)op < REMAT_OP_COUNT ? texts[op] : "unknown op";
}

enum remat_status remat_op_parse(const char *text, enum remat_op *out, struct remat_error *err)
{
    for (int i = 0; i < REMAT_OP_COUNT; i++)
        if (strcmp(text, texts[i]) == 0) {
            *out = (enum remat_op)i;
            return REMAT_OK;
        }
    return remat_fail(err, REMAT_BAD_DATA, "unknown op \"%.64s\"; core/graph/op.h lists the known ones", text);
}

enum { MAX_PAIRS = 4 };

/* The pairs of the contract in the order in which plans try them. */
static const struct {
    enum remat_op op;
    int32_t count;
    struct remat_in_place pairs[MAX_PAIRS];
} permitted[] = {
    {REMAT_OP_CONV2D_BWD_DATA_ADD, 1, {{0, 1}}},
    {REMAT_OP_BATCHNORM, 2, {{0, 0}, {0, 1}}},
    {REMAT_OP_BATCHNORM_APPLY, 2, {{0, 0}, {0, 3}}},
    {REMAT_OP_BATCHNORM_EVAL, 2, {{0, 0}, {0, 1}}},
    {REMAT_OP_BATCHNORM_BWD, 3, {{0, 3}, {0, 0}, {3, 3}}},
    {REMAT_OP_RELU, 1, {{0, 0}}},
    {REMAT_OP_RELU_BWD, 1, {{0, 1}}},
    {REMAT_OP_ADD, 2, {{0, 0}, {0, 1}}},
    {REMAT_OP_LINEAR_ADD, 1, {{0, 1}}},
    {REMAT_OP_LOSS, 1, {{0, 0}}},
    {REMAT_OP_EMBEDDING_BWD, 1, {{0, 2}}},
    {REMAT_OP_LAYERNORM, 1, {{0, 0}}},
    {REMAT_OP_LAYERNORM_APPLY, 1, {{0, 0}}},
    {REMAT_OP_LAYERNORM_BWD, 3, {{0, 3}, {0, 0}, {0, 4}}},
    {REMAT_OP_GELU, 1, {{0, 0}}},
    {REMAT_OP_GELU_BWD, 2, {{0, 1}, {0, 0}}},
    {REMAT_OP_DROPOUT, 1, {{0, 0}}},
    {REMAT_OP_DROPOUT_BWD, 1, {{0, 0}}},
    {REMAT_OP_CLASSIFIER_LOSS, 1, {{0, 0}}},
};

static int32_t inputs_before_weight(enum remat_op op)
{
    switch (op) {
    case REMAT_OP_CONV2D:
    case REMAT_OP_CONV2D_BWD_DATA:
    case REMAT_OP_LINEAR:
    case REMAT_OP_LINEAR_BWD_DATA:
        return 1;
    case REMAT_OP_CONV2D_BWD_DATA_ADD:
    case REMAT_OP_LINEAR_ADD:
    case REMAT_OP_LINEAR_GELU_BWD:
    case REMAT_OP_CLASSIFIER_LOSS:
    case REMAT_OP_CLASSIFIER_EVAL:
        return 2;
    default:
        return REMAT_MAX_INPUTS;
    }
}

static bool fits(const struct remat_kernel_spec *spec, struct remat_in_place pair)
{
    return pair.output < spec->outputs_count && pair.input < spec->inputs_count &&
           remat_tensor_bytes(&spec->outputs[pair.output]) == remat_tensor_bytes(&spec->inputs[pair.input]);
}

int32_t remat_op_in_place(const struct remat_kernel_spec *spec, struct remat_in_place out[4])
{
    int32_t count = 0;
    for (size_t i = 0; i < sizeof permitted / sizeof permitted[0]; i++)
        if (permitted[i].op == spec->op)
            for (int32_t k = 0; k < permitted[i].count; k++)
                if (fits(spec, permitted[i].pairs[k]))
                    out[count++] = permitted[i].pairs[k];
    return count;
}

bool remat_op_is_fusion(enum remat_op op)
{
    return op == REMAT_OP_CONV2D_BWD_DATA_ADD || op == REMAT_OP_LINEAR_ADD || op == REMAT_OP_LINEAR_GELU_BWD;
}

int32_t remat_op_cast_weight(const struct remat_kernel_spec *spec)
{
    int32_t before = inputs_before_weight(spec->op);
    return spec->inputs_count > before ? before : -1;
}

const struct remat_tensor *remat_op_weight(const struct remat_kernel_spec *spec)
{
    int32_t input = remat_op_cast_weight(spec);
    return input >= 0 ? &spec->inputs[input] : &spec->cells[0];
}

static uint64_t hash_attr(uint64_t hash, const struct remat_op_attr *attr)
{
    double values[64];
    int32_t count = 0;
    for (const struct remat_attr_field *field = remat_attr_fields; field->name; field++)
        for (int32_t k = 0; k < field->count; k++)
            values[count++] = remat_attr_get(attr, field, k) + 0.0; /* -0 becomes 0 */
    return remat_hash(values, (size_t)count * sizeof values[0], hash);
}

static uint64_t hash_tensors(uint64_t hash, int32_t count, const struct remat_tensor *tensors)
{
    hash = remat_hash(&count, sizeof count, hash);
    for (int32_t i = 0; i < count; i++)
        hash = remat_tensor_hash(&tensors[i], hash);
    return hash;
}

uint64_t remat_kernel_signature(const struct remat_kernel_spec *spec)
{
    uint64_t hash = remat_hash_text(remat_op_text(spec->op), 0);
    hash = hash_attr(hash, &spec->attr);
    hash = hash_tensors(hash, spec->inputs_count, spec->inputs);
    hash = hash_tensors(hash, spec->outputs_count, spec->outputs);
    return hash_tensors(hash, spec->cells_count, spec->cells);
}
