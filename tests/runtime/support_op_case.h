/* Op tests: a case is a small program of kernel calls over numbered slots, checked in five ways.
 *
 *   gradients   in f64 on ref: the backward calls' outputs against central differences of the forward call
 *   comparison  every option of a backend in f32 against ref, at a tolerance derived from the type and the reduction
 *   poisoning   undeclared memory (guard bands, scratch, outputs before the call) holds patterns; none may reach a
 *               result, none may be overwritten; in-place calls give the bits of out-of-place ones
 *   repetition  the same bits again, at other offsets, and by every option of a numerics class
 *   rounding    in bf16, ref gives what it gives in f32, rounded; comparisons then are with ref in bf16
 *
 * Call 0 is the forward call. Slots of one case: inputs and cells that are filled, and computed ones. */
#ifndef REMAT_TESTS_RUNTIME_SUPPORT_OP_CASE_H
#define REMAT_TESTS_RUNTIME_SUPPORT_OP_CASE_H

#include "runtime/backend/backend.h"

enum op_fill {
    OP_NORMAL,   /* mean 0, deviation 1 */
    OP_SMALL,    /* mean 0, deviation 1/8: weights before an exponential, which magnifies its argument's errors */
    OP_COARSE,   /* multiples of 1/2: many equal values */
    OP_POSITIVE, /* in [0.5, 1.5) */
    OP_INDEX,    /* integers in [least, limit) */
    OP_BYTES,    /* 0 .. 255 */
    OP_COMPUTED  /* the output of a call */
};

struct op_slot {
    struct remat_tensor tensor;
    enum op_fill fill;
    int32_t least, limit;
};

enum { OP_MAX_SLOTS = 24, OP_MAX_CALLS = 5, OP_MAX_PAIRS = 6, OP_NONE = -1, OP_ABSENT = -2 };

/* Operands are slots, ended by OP_NONE. */
struct op_call {
    enum remat_op op;
    struct remat_op_attr attr;
    int inputs[REMAT_MAX_INPUTS + 1], outputs[REMAT_MAX_OUTPUTS + 1], cells[REMAT_MAX_CELLS + 1];
};

/* Slot `gradient` minus slot `base` (or OP_NONE) is the objective's gradient by slot `of`. */
struct op_gradient {
    int of, gradient, base;
};

struct op_case {
    char name[96];
    struct remat_step_record record;
    int32_t slots_count, calls_count, gradients_count, twins_count;
    struct op_slot slots[OP_MAX_SLOTS];
    struct op_call calls[OP_MAX_CALLS];
    struct op_gradient gradients[OP_MAX_PAIRS];
    struct {
        int a, b;
    } twins[OP_MAX_PAIRS]; /* slots that must hold equal bits when one backend runs the whole program */
    int output, weight;    /* objective: the sum of output * weight */
    int metrics;           /* or, if not OP_NONE: metrics[0] * loss_scale / loss_rows */
    int64_t loss_rows;
};

#define OP_DIMS(...)                                                                       \
    (int32_t)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]) \
    {                                                                                      \
        __VA_ARGS__                                                                        \
    }
/* OP_ABSENT leaves an operand out. */
#define OP_SLOTS(...) ((const int[]){__VA_ARGS__, OP_NONE})
#define OP_EMPTY ((const int[]){OP_NONE})

/* Building. Slots are f32 unless OP_INDEX (i32) or OP_BYTES (u8); both return the slot. */
int op_slot_add(struct op_case *c, enum op_fill fill, int32_t dims_count, const int64_t *dims);
int op_slot_add_typed(struct op_case *c, enum op_fill fill, enum remat_dtype dtype, int32_t dims_count,
                      const int64_t *dims);
int op_slot_add_indices(struct op_case *c, int32_t least, int32_t limit, int32_t dims_count, const int64_t *dims);
void op_call_add(struct op_case *c, enum remat_op op, const struct remat_op_attr *attr, const int *inputs,
                 const int *outputs, const int *cells);
void op_gradient_add(struct op_case *c, int of, int gradient, int base);
void op_twins_add(struct op_case *c, int a, int b);

/* A growing list; cases live until op_cases_free. */
struct op_cases {
    int32_t count, capacity;
    struct op_case **items;
};
struct op_case *op_case_begin(struct op_cases *cases, const char *format, ...) __attribute__((format(printf, 2, 3)));
void op_cases_free(struct op_cases *cases);

/* Every op at several shapes; the large ones, at which backends use several threads and blocks, are for comparisons:
 * derivatives by differences would take long. */
void op_cases_image(struct op_cases *cases);
void op_cases_text(struct op_cases *cases);
void op_cases_update(struct op_cases *cases);
void op_cases_large_image(struct op_cases *cases);
void op_cases_large_text(struct op_cases *cases);
void op_cases_large_update(struct op_cases *cases);

/* Those of `from` from `begin` to before `end` as lowering makes them in bf16; and casts. */
void op_cases_bf16(const struct op_cases *from, int32_t begin, int32_t end, struct op_cases *cases);
void op_cases_cast(struct op_cases *cases);

/* The spec of a call with the case's tensors. */
struct remat_kernel_spec op_call_spec(const struct op_case *c, const struct op_call *call);
/* Whether the environment variable REMAT_TEST_OP (part of an op's name) is unset or occurs in the call's op. */
bool op_call_wanted(const struct op_call *call);

/* The contents of all slots; owns them. */
struct op_values {
    void *slot[OP_MAX_SLOTS];
};
void op_values_fill(const struct op_case *c, struct op_values *out);
void op_values_copy(const struct op_case *c, const struct op_values *from, struct op_values *out);
void op_values_free(struct op_values *values);

struct op_backend {
    const struct remat_backend *backend;
    struct remat_device *device;
};

/* How a call's operands lie in memory. */
struct op_placement {
    uint8_t pattern;  /* of everything undeclared */
    int64_t shift;    /* of the first operand, a multiple of the alignment */
    int64_t gap;      /* guard band between operands, a multiple of the alignment */
    int32_t in_place; /* output pairs[i].output lies over input pairs[i].input */
    struct remat_in_place pairs[2];
};

/* Runs one call with operands from `in`, leaves outputs and cells in `out` (which may be `in`); checks guard bands,
 * scratch sizes and that inputs stay as they were. */
void op_call_run(const struct op_backend *b, const struct op_case *c, const struct op_call *call, int32_t option,
                 const struct op_placement *placement, const struct op_values *in, struct op_values *out);

/* The checks; they fail the running cmocka test. */
void op_check_gradients(const struct op_backend *ref, const struct op_case *c);
/* Runs the call on ref, from `values` into `values`, and compares what `b` (NULL: nothing) makes of the same. */
void op_check_call(const struct op_backend *ref, const struct op_backend *b, const struct op_case *c,
                   const struct op_call *call, struct op_values *values);
void op_check_rounding(const struct op_backend *ref, const struct op_case *c, const struct op_call *call,
                       const struct op_values *values);
void op_check_twins(const struct op_backend *b, const struct op_case *c);

#endif
