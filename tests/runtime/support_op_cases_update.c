/* Cases of accumulation, norms and optimizers. */
#include "support_op_case.h"

#include <stddef.h>

static void accumulate(struct op_cases *cases, int64_t rows, int64_t columns, int32_t micro)
{
    struct op_case *c = op_case_begin(cases, "accumulate [%d,%d], micro step %d", (int)rows, (int)columns, (int)micro);
    int gradient = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int sum = op_slot_add(c, micro == 0 ? OP_COMPUTED : OP_NORMAL, OP_DIMS(rows, columns)); /* 0: NaN before */
    c->record.micro = micro;
    op_call_add(c, REMAT_OP_ACCUMULATE, NULL, OP_SLOTS(gradient), OP_EMPTY, OP_SLOTS(sum));
}

static void norm(struct op_cases *cases, int64_t rows, int64_t columns)
{
    struct op_case *c = op_case_begin(cases, "square norm and reset [%d,%d]", (int)rows, (int)columns);
    int gradient = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int sum = op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(2));
    int cleared = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_SQUARE_NORM, NULL, OP_EMPTY, OP_EMPTY, OP_SLOTS(gradient, sum));
    op_call_add(c, REMAT_OP_RESET, NULL, OP_EMPTY, OP_EMPTY, OP_SLOTS(cleared));
    op_call_add(c, REMAT_OP_RESET, NULL, OP_EMPTY, OP_EMPTY, OP_SLOTS(sum));
}

static void sgd(struct op_cases *cases, int64_t rows, int64_t columns, struct remat_op_attr attr)
{
    struct op_case *c =
        op_case_begin(cases, "sgd [%d,%d], momentum %.1f%s%s%s", (int)rows, (int)columns, (double)attr.momentum,
                      attr.nesterov ? ", nesterov" : "", attr.grad_in_cell ? ", gradient in a cell" : "",
                      attr.max_norm > 0 ? ", clipped" : "");
    int w = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int momentum = attr.momentum != 0 ? op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)) : OP_ABSENT;
    int gradient = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int norm_cell = attr.grad_in_cell ? op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(2)) : OP_ABSENT;
    op_call_add(c, REMAT_OP_SGD, &attr, OP_SLOTS(attr.grad_in_cell ? OP_ABSENT : gradient), OP_EMPTY,
                OP_SLOTS(w, momentum, attr.grad_in_cell ? gradient : OP_ABSENT, norm_cell));
}

static void adamw(struct op_cases *cases, int64_t rows, int64_t columns, struct remat_op_attr attr, int64_t step)
{
    struct op_case *c =
        op_case_begin(cases, "adamw [%d,%d], step %d%s%s", (int)rows, (int)columns, (int)step,
                      attr.grad_in_cell ? ", gradient in a cell" : "", attr.max_norm > 0 ? ", clipped" : "");
    int w = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int m = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), v = op_slot_add(c, OP_POSITIVE, OP_DIMS(rows, columns));
    int gradient = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int norm_cell = attr.grad_in_cell ? op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(2)) : OP_ABSENT;
    attr.beta1 = 0.9f;
    attr.beta2 = 0.999f;
    attr.epsilon = 1e-8f;
    c->record.step = step;
    op_call_add(c, REMAT_OP_ADAMW, &attr, OP_SLOTS(attr.grad_in_cell ? OP_ABSENT : gradient), OP_EMPTY,
                OP_SLOTS(w, m, v, attr.grad_in_cell ? gradient : OP_ABSENT, norm_cell));
}

void op_cases_update(struct op_cases *cases)
{
    accumulate(cases, 7, 64, 0);
    accumulate(cases, 33, 13, 1);
    norm(cases, 7, 64);
    norm(cases, 123, 33);
    norm(cases, 1, 1);
    sgd(cases, 7, 64, (struct remat_op_attr){.weight_decay = 1e-2f});
    sgd(cases, 33, 13, (struct remat_op_attr){.momentum = 0.9f, .weight_decay = 1e-2f});
    sgd(cases, 1, 3, (struct remat_op_attr){.momentum = 0.9f, .nesterov = true});
    sgd(cases, 7, 64, (struct remat_op_attr){.grad_in_cell = true});
    sgd(cases, 33, 13, (struct remat_op_attr){.momentum = 0.9f, .grad_in_cell = true, .max_norm = 0.25f});
    sgd(cases, 33, 13, (struct remat_op_attr){.momentum = 0.9f, .grad_in_cell = true, .max_norm = 25});
    adamw(cases, 7, 64, (struct remat_op_attr){.weight_decay = 0.1f}, 0);
    adamw(cases, 33, 13, (struct remat_op_attr){.weight_decay = 0}, 1000);
    adamw(cases, 7, 64, (struct remat_op_attr){.grad_in_cell = true}, 7);
    adamw(cases, 33, 13, (struct remat_op_attr){.weight_decay = 0.1f, .grad_in_cell = true, .max_norm = 0.25f}, 2);
}

void op_cases_large_update(struct op_cases *cases)
{
    accumulate(cases, 100, 1000, 1);
    norm(cases, 100, 1000);
    sgd(cases, 100, 1000, (struct remat_op_attr){.momentum = 0.9f, .nesterov = true, .weight_decay = 1e-4f});
    adamw(cases, 100, 1000, (struct remat_op_attr){.weight_decay = 0.1f}, 5);
}
