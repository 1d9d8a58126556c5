#include "solver/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void remat_steps_free(struct remat_steps *steps)
{
    free(steps->bytes);
    free(steps->costs);
    memset(steps, 0, sizeof *steps);
}

enum remat_status remat_steps_push(const struct remat_steps_work *work, struct remat_steps *steps, int64_t bytes,
                                   double cost, struct remat_error *err)
{
    int32_t last = steps->count - 1, capacity = steps->capacity;
    if (bytes > work->limit_bytes || isinf(cost) || (last >= 0 && cost >= steps->costs[last] - work->tolerance))
        return REMAT_OK;
    if (last >= 0 && steps->bytes[last] == bytes) {
        steps->costs[last] = cost;
        return REMAT_OK;
    }
    REMAT_TRY(REMAT_GROW(steps->bytes, capacity, steps->count + 1, err));
    REMAT_TRY(REMAT_GROW(steps->costs, steps->capacity, steps->count + 1, err));
    steps->bytes[steps->count] = bytes;
    steps->costs[steps->count++] = cost;
    return REMAT_OK;
}

int32_t remat_steps_find(const struct remat_steps *steps, int64_t bytes)
{
    int32_t low = 0, high = steps->count;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (steps->bytes[middle] <= bytes)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

double remat_steps_at(const struct remat_steps *steps, int64_t bytes)
{
    int32_t at = remat_steps_find(steps, bytes);
    return at < 0 ? INFINITY : steps->costs[at];
}

double remat_term_at(const struct remat_term *term, int64_t bytes)
{
    if (bytes < term->from)
        return INFINITY;
    return term->cost + remat_steps_at(term->left, bytes - term->shift) +
           (term->right ? remat_steps_at(term->right, bytes) : 0);
}

/* Goes along the steps of one function. */
struct walk {
    const struct remat_steps *steps; /* NULL: the constant 0 */
    int64_t shift;
    int32_t passed;
};

static int64_t next_step(const struct walk *walk)
{
    if (!walk->steps || walk->passed == walk->steps->count)
        return INT64_MAX;
    return walk->steps->bytes[walk->passed] + walk->shift;
}

/* The cost at `bytes`, all steps up to there passed. */
static double pass_steps(struct walk *walk, int64_t bytes)
{
    if (!walk->steps)
        return 0;
    while (next_step(walk) <= bytes)
        walk->passed++;
    return walk->passed > 0 ? walk->steps->costs[walk->passed - 1] : INFINITY;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

enum remat_status remat_steps_relax(struct remat_steps_work *work, struct remat_steps *steps,
                                    const struct remat_term *term, struct remat_error *err)
{
    struct walk own = {steps, 0, 0}, left = {term->left, term->shift, 0}, right = {term->right, 0, 0};
    struct remat_steps swap;
    int64_t at = INT64_MIN;
    work->spare.count = 0;
    for (;;) {
        int64_t next = at < term->from ? term->from : INT64_MAX;
        double best, other;
        at = smaller(smaller(next, next_step(&own)), smaller(next_step(&left), next_step(&right)));
        if (at > work->limit_bytes)
            break;
        best = pass_steps(&own, at);
        other = term->cost + pass_steps(&left, at) + pass_steps(&right, at);
        REMAT_TRY(remat_steps_push(work, &work->spare, at, at >= term->from && other < best ? other : best, err));
    }
    swap = *steps;
    *steps = work->spare;
    work->spare = swap;
    return REMAT_OK;
}
