#include "support_op_case.h"

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "runtime/backend/bf16.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int op_slot_add_typed(struct op_case *c, enum op_fill fill, enum remat_dtype dtype, int32_t dims_count,
                      const int64_t *dims)
{
    struct op_slot *slot = &c->slots[c->slots_count];
    assert_true(c->slots_count < OP_MAX_SLOTS);
    slot->tensor = remat_tensor_make(dtype, dims_count, dims);
    slot->fill = fill;
    return c->slots_count++;
}

int op_slot_add(struct op_case *c, enum op_fill fill, int32_t dims_count, const int64_t *dims)
{
    return op_slot_add_typed(c, fill, fill == OP_BYTES ? REMAT_U8 : REMAT_F32, dims_count, dims);
}

int op_slot_add_indices(struct op_case *c, int32_t least, int32_t limit, int32_t dims_count, const int64_t *dims)
{
    int slot = op_slot_add_typed(c, OP_INDEX, REMAT_I32, dims_count, dims);
    c->slots[slot].least = least;
    c->slots[slot].limit = limit;
    return slot;
}

static void copy_slots(int *to, const int *from, int capacity)
{
    int count = 0;
    for (; *from != OP_NONE; from++) {
        if (*from == OP_ABSENT)
            continue;
        assert_true(count < capacity);
        to[count++] = *from;
    }
    to[count] = OP_NONE;
}

void op_call_add(struct op_case *c, enum remat_op op, const struct remat_op_attr *attr, const int *inputs,
                 const int *outputs, const int *cells)
{
    struct op_call *call = &c->calls[c->calls_count++];
    assert_true(c->calls_count <= OP_MAX_CALLS);
    call->op = op;
    if (attr)
        call->attr = *attr;
    copy_slots(call->inputs, inputs, REMAT_MAX_INPUTS);
    copy_slots(call->outputs, outputs, REMAT_MAX_OUTPUTS);
    copy_slots(call->cells, cells, REMAT_MAX_CELLS);
}

void op_gradient_add(struct op_case *c, int of, int gradient, int base)
{
    assert_true(c->gradients_count < OP_MAX_PAIRS);
    c->gradients[c->gradients_count++] = (struct op_gradient){of, gradient, base};
}

void op_twins_add(struct op_case *c, int a, int b)
{
    assert_true(c->twins_count < OP_MAX_PAIRS);
    c->twins[c->twins_count].a = a;
    c->twins[c->twins_count++].b = b;
}

struct op_case *op_case_begin(struct op_cases *cases, const char *format, ...)
{
    struct op_case *c = calloc(1, sizeof *c);
    va_list args;
    assert_non_null(c);
    assert_int_equal(REMAT_GROW(cases->items, cases->capacity, cases->count + 1, NULL), REMAT_OK);
    cases->items[cases->count++] = c;
    va_start(args, format);
    vsnprintf(c->name, sizeof c->name, format, args);
    va_end(args);
    c->output = c->weight = c->metrics = OP_NONE;
    c->record = (struct remat_step_record){.seed = 0x123456789ABCDEFu,
                                           .step = 3,
                                           .micro = 1,
                                           .micro_count = 2,
                                           .learning_rate = 0.05f,
                                           .loss_scale = 0.5f};
    return c;
}

void op_cases_free(struct op_cases *cases)
{
    for (int32_t i = 0; i < cases->count; i++)
        free(cases->items[i]);
    free(cases->items);
    *cases = (struct op_cases){0};
}

static int32_t take(const struct op_case *c, const int *slots, struct remat_tensor *out)
{
    int32_t count = 0;
    for (; slots[count] != OP_NONE; count++)
        out[count] = c->slots[slots[count]].tensor;
    return count;
}

struct remat_kernel_spec op_call_spec(const struct op_case *c, const struct op_call *call)
{
    struct remat_kernel_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.op = call->op;
    spec.attr = call->attr;
    spec.inputs_count = take(c, call->inputs, spec.inputs);
    spec.outputs_count = take(c, call->outputs, spec.outputs);
    spec.cells_count = take(c, call->cells, spec.cells);
    return spec;
}

bool op_call_wanted(const struct op_call *call)
{
    const char *filter = getenv("REMAT_TEST_OP");
    return !filter || !*filter || strstr(remat_op_text(call->op), filter);
}

/* Four uniform numbers make one that is nearly normal, of variance 1. */
static double draw(enum op_fill fill, struct remat_rng_block r)
{
    double u[4], sum = 0;
    for (int k = 0; k < 4; k++) {
        u[k] = (double)remat_rng_uniform(r.word[k]);
        sum += u[k];
    }
    if (fill == OP_POSITIVE)
        return 0.5 + u[0];
    sum = (sum - 2) * 1.7320508075688772;
    if (fill == OP_SMALL)
        return sum / 8;
    return fill == OP_COARSE ? (double)(int)(2 * sum) / 2 : sum;
}

static void fill_slot(const struct op_slot *slot, uint32_t stream, void *data)
{
    for (int64_t i = 0; i < remat_tensor_elements(&slot->tensor); i++) {
        struct remat_rng_block r = remat_rng(7, REMAT_RNG_SYNTHETIC, stream, 0, (uint64_t)i);
        if (slot->fill == OP_COMPUTED)
            memset((char *)data + i * remat_dtype_bytes(slot->tensor.dtype), 0xFF,
                   (size_t)remat_dtype_bytes(slot->tensor.dtype));
        else if (slot->fill == OP_INDEX)
            ((int32_t *)data)[i] = slot->least + (int32_t)(r.word[0] % (uint32_t)(slot->limit - slot->least));
        else if (slot->fill == OP_BYTES)
            ((uint8_t *)data)[i] = (uint8_t)r.word[0];
        else if (slot->tensor.dtype == REMAT_F64)
            ((double *)data)[i] = (double)(float)draw(slot->fill, r);
        else if (slot->tensor.dtype == REMAT_BF16)
            ((uint16_t *)data)[i] = remat_bf16_from_f32((float)draw(slot->fill, r));
        else
            ((float *)data)[i] = (float)draw(slot->fill, r);
    }
}

void op_values_fill(const struct op_case *c, struct op_values *out)
{
    memset(out, 0, sizeof *out);
    for (int32_t i = 0; i < c->slots_count; i++) {
        out->slot[i] = malloc((size_t)remat_tensor_bytes(&c->slots[i].tensor) + 1);
        assert_non_null(out->slot[i]);
        fill_slot(&c->slots[i], (uint32_t)i, out->slot[i]);
    }
}

void op_values_copy(const struct op_case *c, const struct op_values *from, struct op_values *out)
{
    memset(out, 0, sizeof *out);
    for (int32_t i = 0; i < c->slots_count; i++) {
        size_t bytes = (size_t)remat_tensor_bytes(&c->slots[i].tensor);
        out->slot[i] = malloc(bytes + 1);
        assert_non_null(out->slot[i]);
        memcpy(out->slot[i], from->slot[i], bytes);
    }
}

void op_values_free(struct op_values *values)
{
    for (int i = 0; i < OP_MAX_SLOTS; i++)
        free(values->slot[i]);
    memset(values, 0, sizeof *values);
}
