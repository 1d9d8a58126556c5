/* The parameter updates, once for all host backends: torch.optim.SGD (dampening 0, coupled weight decay) and
 * torch.optim.AdamW (decoupled weight decay, bias correction), in single and double precision.
 *
 *   SGD     g = scale * g + weight_decay * w;  b = momentum * b + g;  w -= rate * (nesterov ? g + momentum * b : b)
 *           A buffer b that starts at zero makes the first step b = g, as PyTorch's does.
 *   AdamW   w *= 1 - rate * weight_decay;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2
 *           w -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon),  t = step + 1
 *
 * The factors that hold for a whole call are computed in double and then rounded to the element type. */
#ifndef REMAT_RUNTIME_BACKEND_OPTIMIZER_H
#define REMAT_RUNTIME_BACKEND_OPTIMIZER_H

#include "core/base/rng.h"
#include "runtime/backend/backend.h"

#include <math.h>

/* What gradients are multiplied by: min(1, max_norm / (norm + 1e-6)), the norm being the root of norm[0], as
 * torch.nn.utils.clip_grad_norm_ does. `norm` may be NULL without grad_in_cell. */
static inline REMAT_HOST_DEVICE double remat_gradient_scale(const struct remat_op_attr *attr, const double *norm)
{
    double scale;
    if (!attr->grad_in_cell || !(attr->max_norm > 0))
        return 1;
    scale = (double)attr->max_norm / (sqrt(norm[0]) + 1e-6);
    return scale < 1 ? scale : 1;
}

#define REMAT_DEFINE_OPTIMIZERS(real, suffix, root)                                                                    \
    struct remat_sgd_##suffix {                                                                                        \
        real gradient_scale, rate, momentum, weight_decay;                                                             \
        bool nesterov;                                                                                                 \
    };                                                                                                                 \
                                                                                                                       \
    static inline REMAT_HOST_DEVICE struct remat_sgd_##suffix remat_sgd_make_##suffix(                                 \
        const struct remat_op_attr *attr, const struct remat_step_record *record, const double *norm)                  \
    {                                                                                                                  \
        struct remat_sgd_##suffix sgd = {(real)remat_gradient_scale(attr, norm), (real)record->learning_rate,          \
                                         (real)attr->momentum, (real)attr->weight_decay, attr->nesterov};              \
        return sgd;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    static inline REMAT_HOST_DEVICE real remat_sgd_plain_##suffix(const struct remat_sgd_##suffix *sgd, real gradient, \
                                                                  real w)                                              \
    {                                                                                                                  \
        return w - sgd->rate * (gradient * sgd->gradient_scale + sgd->weight_decay * w);                               \
    }                                                                                                                  \
                                                                                                                       \
    static inline REMAT_HOST_DEVICE real remat_sgd_momentum_##suffix(const struct remat_sgd_##suffix *sgd,             \
                                                                     real gradient, real w, real *buffer)              \
    {                                                                                                                  \
        real g = gradient * sgd->gradient_scale + sgd->weight_decay * w;                                               \
        *buffer = sgd->momentum * *buffer + g;                                                                         \
        return w - sgd->rate * (sgd->nesterov ? g + sgd->momentum * *buffer : *buffer);                                \
    }                                                                                                                  \
                                                                                                                       \
    struct remat_adamw_##suffix {                                                                                      \
        real gradient_scale, keep, fresh1, beta2, fresh2, rate, correction, epsilon;                                   \
    };                                                                                                                 \
                                                                                                                       \
    static inline REMAT_HOST_DEVICE struct remat_adamw_##suffix remat_adamw_make_##suffix(                             \
        const struct remat_op_attr *attr, const struct remat_step_record *record, const double *norm)                  \
    {                                                                                                                  \
        double t = (double)record->step + 1, rate = record->learning_rate, beta1 = attr->beta1, beta2 = attr->beta2;   \
        struct remat_adamw_##suffix adamw = {(real)remat_gradient_scale(attr, norm),                                   \
                                             (real)(1 - rate * attr->weight_decay),                                    \
                                             (real)(1 - beta1),                                                        \
                                             (real)beta2,                                                              \
                                             (real)(1 - beta2),                                                        \
                                             (real)(rate / (1 - pow(beta1, t))),                                       \
                                             (real)(1 / sqrt(1 - pow(beta2, t))),                                      \
                                             (real)attr->epsilon};                                                     \
        return adamw;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    static inline REMAT_HOST_DEVICE real remat_adamw_##suffix(const struct remat_adamw_##suffix *adamw, real gradient, \
                                                              real w, real *m, real *v)                                \
    {                                                                                                                  \
        real g = gradient * adamw->gradient_scale;                                                                     \
        *m += adamw->fresh1 * (g - *m);                                                                                \
        *v = adamw->beta2 * *v + adamw->fresh2 * g * g;                                                                \
        return w * adamw->keep - adamw->rate * (*m / (root(*v) * adamw->correction + adamw->epsilon));                 \
    }

REMAT_DEFINE_OPTIMIZERS(float, f32, sqrtf)
REMAT_DEFINE_OPTIMIZERS(double, f64, sqrt)

#undef REMAT_DEFINE_OPTIMIZERS

#endif
