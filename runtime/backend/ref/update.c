/* Gradient accumulation, norms and the optimizers; formulas in runtime/backend/optimizer.h. */
#include "runtime/backend/optimizer.h"
#include "runtime/backend/ref/ref.h"

#include <string.h>

static enum remat_status accumulate(const void *state, const struct remat_kernel_spec *spec,
                                    const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array gradient = remat_ref_input(spec, args, 0), sum = remat_ref_cell(spec, args, 0);
    bool first = args->record->micro == 0;
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++)
        remat_ref_set(sum, i, remat_ref_get(gradient, i) + (first ? 0 : remat_ref_get(sum, i)));
    return REMAT_OK;
}

static enum remat_status square_norm(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array gradient = remat_ref_cell(spec, args, 0);
    double *norm = args->cells[1];
    (void)state;
    (void)err;
    norm[0] += remat_ref_dot(gradient, 0, gradient, 0, remat_tensor_elements(&spec->cells[0]));
    return REMAT_OK;
}

static enum remat_status reset(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    memset(args->cells[0], 0, (size_t)remat_tensor_bytes(&spec->cells[0]));
    return REMAT_OK;
}

/* The gradient is input 0 or, with grad_in_cell, cell `next`, followed by the norm. */
static struct remat_ref_array gradient_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                                          int32_t next, const double **norm)
{
    *norm = spec->attr.grad_in_cell ? args->cells[next + 1] : NULL;
    return spec->attr.grad_in_cell ? remat_ref_cell(spec, args, next) : remat_ref_input(spec, args, 0);
}

static enum remat_status sgd(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    bool momentum = spec->attr.momentum != 0;
    const double *norm;
    struct remat_ref_array g = gradient_of(spec, args, momentum ? 2 : 1, &norm), w = remat_ref_cell(spec, args, 0);
    struct remat_sgd_f64 factors = remat_sgd_make_f64(&spec->attr, args->record, norm);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->cells[0]); i++) {
        double gi = remat_ref_get(g, i), wi = remat_ref_get(w, i), buffer;
        if (!momentum) {
            remat_ref_set(w, i, remat_sgd_plain_f64(&factors, gi, wi));
            continue;
        }
        buffer = remat_ref_get(remat_ref_cell(spec, args, 1), i);
        remat_ref_set(w, i, remat_sgd_momentum_f64(&factors, gi, wi, &buffer));
        remat_ref_set(remat_ref_cell(spec, args, 1), i, buffer);
    }
    return REMAT_OK;
}

static enum remat_status adamw(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    const double *norm;
    struct remat_ref_array g = gradient_of(spec, args, 3, &norm), w = remat_ref_cell(spec, args, 0),
                           m = remat_ref_cell(spec, args, 1), v = remat_ref_cell(spec, args, 2);
    struct remat_adamw_f64 factors = remat_adamw_make_f64(&spec->attr, args->record, norm);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->cells[0]); i++) {
        double mi = remat_ref_get(m, i), vi = remat_ref_get(v, i);
        remat_ref_set(w, i, remat_adamw_f64(&factors, remat_ref_get(g, i), remat_ref_get(w, i), &mi, &vi));
        remat_ref_set(m, i, mi);
        remat_ref_set(v, i, vi);
    }
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_accumulate, REMAT_OP_ACCUMULATE, accumulate);
REMAT_REF_IMPL(remat_ref_square_norm, REMAT_OP_SQUARE_NORM, square_norm);
REMAT_REF_IMPL(remat_ref_reset, REMAT_OP_RESET, reset);
REMAT_REF_IMPL(remat_ref_sgd, REMAT_OP_SGD, sgd);
REMAT_REF_IMPL(remat_ref_adamw, REMAT_OP_ADAMW, adamw);
