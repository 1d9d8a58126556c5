/* Cases in bf16, made of those in f32, and the reference's own check: it stores what f32 gives, rounded. */
#include "support_op_case.h"

#include "runtime/backend/bf16.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How many cells, from the first on, are read as copies in bf16. */
static int copied_cells(enum remat_op op)
{
    switch (op) {
    case REMAT_OP_CONV2D:
    case REMAT_OP_CONV2D_BWD_DATA:
    case REMAT_OP_CONV2D_BWD_DATA_ADD:
    case REMAT_OP_LINEAR:
    case REMAT_OP_LINEAR_ADD:
    case REMAT_OP_LINEAR_BWD_DATA:
    case REMAT_OP_LINEAR_GELU_BWD:
        return REMAT_MAX_CELLS;
    case REMAT_OP_CLASSIFIER_LOSS:
    case REMAT_OP_CLASSIFIER_EVAL:
        return 1;
    default:
        return 0;
    }
}

/* The outputs, from the first on, that stay f32 (the contract in core/graph/op.h). */
static int first_wide_output(enum remat_op op)
{
    switch (op) {
    case REMAT_OP_LINEAR_BWD_WEIGHTS:
    case REMAT_OP_EMBEDDING_BWD:
        return 0;
    case REMAT_OP_BATCHNORM:
    case REMAT_OP_BATCHNORM_BWD: /* but dz */
    case REMAT_OP_LAYERNORM:
    case REMAT_OP_LAYERNORM_BWD:
    case REMAT_OP_ATTENTION:
    case REMAT_OP_CLASSIFIER_LOSS:
        return 1;
    default:
        return REMAT_MAX_OUTPUTS;
    }
}

static int count_of(const int *slots)
{
    int count = 0;
    while (slots[count] != OP_NONE)
        count++;
    return count;
}

static void copy_weights(struct op_call *call)
{
    int inputs = count_of(call->inputs), cells = count_of(call->cells), copied = copied_cells(call->op);
    copied = copied < cells ? copied : cells;
    memcpy(call->inputs + inputs, call->cells, (size_t)copied * sizeof call->cells[0]);
    call->inputs[inputs + copied] = OP_NONE;
    memmove(call->cells, call->cells + copied, (size_t)(cells - copied + 1) * sizeof call->cells[0]);
}

static void mark_wide(const struct op_call *call, bool wide[OP_MAX_SLOTS])
{
    for (int k = 0; call->cells[k] != OP_NONE; k++)
        wide[call->cells[k]] = true;
    for (int k = first_wide_output(call->op); k < count_of(call->outputs); k++)
        wide[call->outputs[k]] |= !(call->op == REMAT_OP_BATCHNORM_BWD && k == 3);
    if (call->op == REMAT_OP_EMBEDDING_BWD && call->attr.accumulate)
        wide[call->inputs[2]] = true;
}

static bool narrow(struct op_case *c)
{
    bool wide[OP_MAX_SLOTS] = {false}, any = false;
    for (int32_t k = 0; k < c->calls_count; k++) {
        copy_weights(&c->calls[k]);
        mark_wide(&c->calls[k], wide);
    }
    for (int32_t i = 0; i < c->slots_count; i++) {
        if (wide[i] || c->slots[i].tensor.dtype != REMAT_F32)
            continue;
        c->slots[i].tensor.dtype = REMAT_BF16;
        any = true;
    }
    return any;
}

static void cast(struct op_cases *cases, int64_t rows, int64_t columns)
{
    struct op_case *c = op_case_begin(cases, "cast [%d,%d]", (int)rows, (int)columns);
    int w = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int copy = op_slot_add_typed(c, OP_COMPUTED, REMAT_BF16, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_CAST, NULL, OP_EMPTY, OP_SLOTS(copy), OP_SLOTS(w));
}

void op_cases_cast(struct op_cases *cases)
{
    cast(cases, 1, 1);
    cast(cases, 7, 64);
    cast(cases, 123, 33);
}

void op_cases_bf16(const struct op_cases *from, int32_t begin, int32_t end, struct op_cases *cases)
{
    for (int32_t i = begin; i < end; i++) {
        struct op_case copy = *from->items[i];
        if (narrow(&copy)) {
            strncat(copy.name, ", bf16", sizeof copy.name - strlen(copy.name) - 1);
            *op_case_begin(cases, "%s", copy.name) = copy;
        }
    }
}

/* The same values with bf16 as f32. */
static void widen(const struct op_case *c, const struct op_values *values, struct op_case *wide, struct op_values *out)
{
    op_values_copy(c, values, out);
    *wide = *c;
    for (int32_t i = 0; i < c->slots_count; i++) {
        int64_t count = remat_tensor_elements(&c->slots[i].tensor);
        float *data;
        if (c->slots[i].tensor.dtype != REMAT_BF16)
            continue;
        wide->slots[i].tensor.dtype = REMAT_F32;
        data = malloc((size_t)count * sizeof *data + 1);
        assert_non_null(data);
        for (int64_t e = 0; e < count; e++)
            data[e] = remat_bf16_to_f32(((const uint16_t *)values->slot[i])[e]);
        free(out->slot[i]);
        out->slot[i] = data;
    }
}

static void check_rounded(const struct op_case *c, int slot, const void *wide, const void *found)
{
    const struct remat_tensor *tensor = &c->slots[slot].tensor;
    if (tensor->dtype != REMAT_BF16) {
        assert_memory_equal(wide, found, (size_t)remat_tensor_bytes(tensor));
        return;
    }
    for (int64_t e = 0; e < remat_tensor_elements(tensor); e++) {
        uint16_t expected = remat_bf16_from_f32(((const float *)wide)[e]), is = ((const uint16_t *)found)[e];
        if (expected != is)
            fail_msg("%s: slot %d, element %lld: expected %g (%g rounded), found %g", c->name, slot, (long long)e,
                     (double)remat_bf16_to_f32(expected), (double)((const float *)wide)[e],
                     (double)remat_bf16_to_f32(is));
    }
}

void op_check_rounding(const struct op_backend *ref, const struct op_case *c, const struct op_call *call,
                       const struct op_values *values)
{
    static const struct op_placement plain = {.pattern = 0xFF, .gap = 64};
    struct op_case wide_case;
    struct op_values wide, found;
    widen(c, values, &wide_case, &wide);
    op_values_copy(c, values, &found);
    op_call_run(ref, &wide_case, call, 0, &plain, &wide, &wide);
    op_call_run(ref, c, call, 0, &plain, values, &found);
    for (int k = 0; call->outputs[k] != OP_NONE; k++)
        check_rounded(c, call->outputs[k], wide.slot[call->outputs[k]], found.slot[call->outputs[k]]);
    for (int k = 0; call->cells[k] != OP_NONE; k++)
        check_rounded(c, call->cells[k], wide.slot[call->cells[k]], found.slot[call->cells[k]]);
    op_values_free(&wide);
    op_values_free(&found);
}
