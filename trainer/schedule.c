#include "trainer/schedule.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

const char *remat_rate_text(enum remat_rate_kind kind)
{
    switch (kind) {
#define X(name, text) \
    case name:        \
        return text;
        REMAT_RATE_LIST(X)
#undef X
    }
    return "unknown";
}

enum remat_status remat_rate_parse(const char *text, enum remat_rate_kind *out, struct remat_error *err)
{
#define X(name, word)              \
    if (strcmp(text, word) == 0) { \
        *out = name;               \
        return REMAT_OK;           \
    }
    REMAT_RATE_LIST(X)
#undef X
    return remat_fail(err, REMAT_USAGE,
                      "unknown learning-rate schedule '%s': there are constant, step, multistep, cosine and linear",
                      text);
}

enum remat_status remat_rate_check(const struct remat_rate *rate, struct remat_error *err)
{
    bool decays = rate->kind == REMAT_RATE_STEP || rate->kind == REMAT_RATE_MULTISTEP;
    if (!(rate->peak >= 0) || !isfinite(rate->peak))
        return remat_fail(err, REMAT_USAGE, "the learning rate is %g; expected a finite number >= 0", rate->peak);
    if (!(rate->floor >= 0) || rate->floor > rate->peak)
        return remat_fail(err, REMAT_USAGE, "the final learning rate is %g; expected 0 to the learning rate, %g",
                          rate->floor, rate->peak);
    if (decays && (!(rate->gamma > 0) || rate->gamma > 1))
        return remat_fail(err, REMAT_USAGE, "the learning rate's decay factor is %g; expected above 0, at most 1",
                          rate->gamma);
    if (rate->kind == REMAT_RATE_STEP && rate->period < 1)
        return remat_fail(err, REMAT_USAGE, "the step schedule's period is %d epochs; expected at least 1 (--period)",
                          rate->period);
    if (rate->warmup_steps < 0 || !(rate->warmup_epochs >= 0))
        return remat_fail(err, REMAT_USAGE, "the warm-up is negative; expected 0 or more");
    for (int32_t i = 1; i < rate->milestones_count; i++)
        if (rate->milestones[i] <= rate->milestones[i - 1])
            return remat_fail(err, REMAT_USAGE, "milestone %d follows %d; expected ascending epochs",
                              rate->milestones[i], rate->milestones[i - 1]);
    return REMAT_OK;
}

static double after_warmup(const struct remat_rate *rate, double t, int64_t epoch)
{
    int32_t passed = 0;
    switch (rate->kind) {
    case REMAT_RATE_CONSTANT:
        break;
    case REMAT_RATE_STEP:
        return rate->peak * pow(rate->gamma, (double)(epoch / rate->period));
    case REMAT_RATE_MULTISTEP:
        while (passed < rate->milestones_count && rate->milestones[passed] <= epoch)
            passed++;
        return rate->peak * pow(rate->gamma, passed);
    case REMAT_RATE_COSINE:
        return rate->floor + (rate->peak - rate->floor) * (1 + cos(acos(-1.0) * t)) / 2;
    case REMAT_RATE_LINEAR:
        return rate->floor + (rate->peak - rate->floor) * (1 - t);
    }
    return rate->peak;
}

double remat_rate_at(const struct remat_rate *rate, int64_t step, int64_t steps_per_epoch, int64_t total_steps)
{
    int64_t warmup = rate->warmup_steps;
    int64_t last;
    double t;
    if (warmup == 0)
        warmup = (int64_t)(rate->warmup_epochs * (double)steps_per_epoch + 0.5);
    if (step < warmup)
        return after_warmup(rate, 0, 0) * (double)(step + 1) / (double)warmup;
    last = total_steps - 1;
    t = last > warmup ? (double)(step - warmup) / (double)(last - warmup) : 0;
    return after_warmup(rate, t < 1 ? t : 1, step / steps_per_epoch);
}
