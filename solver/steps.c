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

/* There is room for one more. */
static void push(const struct remat_steps_work *work, struct remat_steps *steps, int64_t bytes, double cost)
{
    int32_t last = steps->count - 1;
    if (bytes > work->limit_bytes || isinf(cost) || (last >= 0 && cost >= steps->costs[last] - work->tolerance))
        return;
    if (last < 0 || steps->bytes[last] != bytes)
        last = steps->count++;
    steps->bytes[last] = bytes;
    steps->costs[last] = cost;
}

static enum remat_status make_room(struct remat_steps *steps, int64_t count, struct remat_error *err)
{
    int32_t capacity = steps->capacity;
    REMAT_TRY(REMAT_GROW(steps->bytes, capacity, count, err));
    return REMAT_GROW(steps->costs, steps->capacity, count, err);
}

enum remat_status remat_steps_push(const struct remat_steps_work *work, struct remat_steps *steps, int64_t bytes,
                                   double cost, struct remat_error *err)
{
    REMAT_TRY(make_room(steps, (int64_t)steps->count + 1, err));
    push(work, steps, bytes, cost);
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

/* The bytes from which a term is finite, INT64_MAX if it never is. */
static int64_t term_begin(const struct remat_term *term)
{
    int64_t begin = term->from;
    if (term->left->count == 0 || (term->right && term->right->count == 0))
        return INT64_MAX;
    if (term->left->bytes[0] + term->shift > begin)
        begin = term->left->bytes[0] + term->shift;
    if (term->right && term->right->bytes[0] > begin)
        begin = term->right->bytes[0];
    return begin;
}

/* The least that a term ever is. */
static double term_least(const struct remat_term *term)
{
    return term->cost + term->left->costs[term->left->count - 1] +
           (term->right ? term->right->costs[term->right->count - 1] : 0);
}

/* Goes along the steps of one function. */
struct walk {
    const struct remat_steps *steps; /* NULL: the constant 0 */
    int64_t shift;
    int32_t passed;
};

static struct walk walk_from(const struct remat_steps *steps, int64_t shift, int64_t bytes)
{
    return (struct walk){steps, shift, steps ? remat_steps_find(steps, bytes - shift) + 1 : 0};
}

static int64_t next_step(const struct walk *walk)
{
    if (!walk->steps || walk->passed == walk->steps->count)
        return INT64_MAX;
    return walk->steps->bytes[walk->passed] + walk->shift;
}

static void pass_steps(struct walk *walk, int64_t bytes)
{
    while (next_step(walk) <= bytes)
        walk->passed++;
}

/* The cost after the steps passed. */
static double cost_of(const struct walk *walk)
{
    if (!walk->steps)
        return 0;
    return walk->passed > 0 ? walk->steps->costs[walk->passed - 1] : INFINITY;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static double lower(double a, double b)
{
    return a < b ? a : b;
}

/* The lower of both from `begin` on, appended to the spare row. */
static void merge(struct remat_steps_work *work, const struct remat_steps *steps, const struct remat_term *term,
                  int64_t begin)
{
    struct walk own = walk_from(steps, 0, begin), left = walk_from(term->left, term->shift, begin);
    struct walk right = walk_from(term->right, 0, begin);
    int64_t at;
    for (at = begin; at <= work->limit_bytes && at != INT64_MAX;
         at = smaller(next_step(&own), smaller(next_step(&left), next_step(&right)))) {
        pass_steps(&own, at);
        pass_steps(&left, at);
        pass_steps(&right, at);
        push(work, &work->spare, at, lower(cost_of(&own), term->cost + cost_of(&left) + cost_of(&right)));
    }
}

/* Where the term begins it may be known already that it never gains more than the tolerance. */
enum remat_status remat_steps_relax(struct remat_steps_work *work, struct remat_steps *steps,
                                    const struct remat_term *term, struct remat_error *err)
{
    struct remat_steps swap;
    int64_t begin = term_begin(term);
    int32_t before;
    if (begin > work->limit_bytes || begin == INT64_MAX)
        return REMAT_OK;
    before = remat_steps_find(steps, begin - 1) + 1;
    if (term_least(term) >= remat_steps_at(steps, begin) - work->tolerance)
        return REMAT_OK;
    REMAT_TRY(make_room(&work->spare,
                        (int64_t)steps->count + term->left->count + (term->right ? term->right->count : 0) + 1, err));
    work->spare.count = before;
    if (before > 0) {
        memcpy(work->spare.bytes, steps->bytes, (size_t)before * sizeof *steps->bytes);
        memcpy(work->spare.costs, steps->costs, (size_t)before * sizeof *steps->costs);
    }
    merge(work, steps, term, begin);
    swap = *steps;
    *steps = work->spare;
    work->spare = swap;
    return REMAT_OK;
}
