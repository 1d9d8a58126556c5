#include "solver/steps.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void remat_steps_free(struct remat_steps *steps)
{
    free(steps->bytes);
    free(steps->costs);
    memset(steps, 0, sizeof *steps);
}

void remat_steps_trim(struct remat_steps *steps)
{
    size_t count = steps->count > 0 ? (size_t)steps->count : 1;
    int64_t *bytes = realloc(steps->bytes, count * sizeof *bytes);
    double *costs = realloc(steps->costs, count * sizeof *costs);
    steps->bytes = bytes ? bytes : steps->bytes;
    steps->costs = costs ? costs : steps->costs;
    steps->capacity = bytes && costs ? (int32_t)count : steps->count;
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

/* The last step at or below `bytes`, of which it is known that it is at least low - 1 and less than high. */
static int32_t find_between(const struct remat_steps *steps, int64_t bytes, int32_t low, int32_t high)
{
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (steps->bytes[middle] <= bytes)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

int32_t remat_steps_find(const struct remat_steps *steps, int64_t bytes)
{
    return find_between(steps, bytes, 0, steps->count);
}

/* The same, looked for in ever larger distances from a step that is not far, perhaps. */
static int32_t find_near(const struct remat_steps *steps, int64_t bytes, int32_t near)
{
    int32_t far = 1;
    near = near < 0 ? 0 : near;
    if (steps->bytes[near] <= bytes) {
        for (; near + far < steps->count && steps->bytes[near + far] <= bytes; far *= 2)
            near += far;
        return find_between(steps, bytes, near + 1, near + far < steps->count ? near + far : steps->count);
    }
    for (; near >= far && steps->bytes[near - far] > bytes; far *= 2)
        near -= far;
    return find_between(steps, bytes, near >= far ? near - far + 1 : 0, near);
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

/* A term at one place after the other: where the steps of its functions were found last. Both have some. */
struct probe {
    const struct remat_term *term;
    int32_t left, right;
};

static double probe_at(struct probe *probe, int64_t bytes)
{
    const struct remat_term *term = probe->term;
    double cost = term->cost;
    if (bytes < term->from)
        return INFINITY;
    probe->left = find_near(term->left, bytes - term->shift, probe->left);
    cost += probe->left < 0 ? INFINITY : term->left->costs[probe->left];
    if (!term->right)
        return cost;
    probe->right = find_near(term->right, bytes, probe->right);
    return cost + (probe->right < 0 ? INFINITY : term->right->costs[probe->right]);
}

/* Whether the term may gain more than the tolerance at some of own steps [first, end), from `begin` on. Both fall: it
 * does not if the least of the one is no less than the most of the other. */
static bool may_gain(const struct remat_steps_work *work, const struct remat_steps *steps, struct probe *probe,
                     int64_t begin, int32_t first, int32_t end)
{
    int64_t last = end < steps->count ? steps->bytes[end] - 1 : work->limit_bytes;
    return last >= begin && (first < 0 || probe_at(probe, last) < steps->costs[first] - work->tolerance);
}

/* The first own step where the term may gain, from the one that holds at `begin` on; count: none. Looks at ever more
 * steps at once while there is no gain. -1: before the first step. */
static int32_t first_gain(const struct remat_steps_work *work, const struct remat_steps *steps,
                          const struct remat_term *term, int64_t begin)
{
    int32_t at = remat_steps_find(steps, begin), many = 1;
    struct probe probe = {.term = term};
    while (at < steps->count) {
        int32_t end = at + many < steps->count ? at + many : steps->count;
        if (!may_gain(work, steps, &probe, begin, at, end)) {
            at = end;
            many *= 2;
        } else if (end == at + 1)
            return at;
        else
            many = 1;
    }
    return at;
}

/* The end of the own steps, at least `from` + 1, after which the term gains nothing. */
static int32_t last_gain(const struct remat_steps_work *work, const struct remat_steps *steps,
                         const struct remat_term *term, int64_t begin, int32_t from)
{
    int32_t end = steps->count, many = 1;
    struct probe probe = {term, term->left->count - 1, term->right ? term->right->count - 1 : 0};
    while (end > from + 1) {
        int32_t at = end - many > from + 1 ? end - many : from + 1;
        if (!may_gain(work, steps, &probe, begin, at, end)) {
            end = at;
            many *= 2;
        } else if (at == end - 1)
            return end;
        else
            many = 1;
    }
    return end;
}

/* The lower of both in [begin, end), appended to the spare row. */
static void merge(struct remat_steps_work *work, const struct remat_steps *steps, const struct remat_term *term,
                  int64_t begin, int64_t end)
{
    struct walk own = walk_from(steps, 0, begin), left = walk_from(term->left, term->shift, begin);
    struct walk right = walk_from(term->right, 0, begin);
    int64_t at;
    for (at = begin; at < end; at = smaller(next_step(&own), smaller(next_step(&left), next_step(&right)))) {
        pass_steps(&own, at);
        pass_steps(&left, at);
        pass_steps(&right, at);
        push(work, &work->spare, at, lower(cost_of(&own), term->cost + cost_of(&left) + cost_of(&right)));
    }
}

/* Own steps [from, count) after those that the spare row has; the first of them may gain too little now. */
static void append_rest(struct remat_steps_work *work, const struct remat_steps *steps, int32_t from)
{
    struct remat_steps *spare = &work->spare;
    int32_t before = spare->count, rest;
    for (; from < steps->count && spare->count == before; from++)
        push(work, spare, steps->bytes[from], steps->costs[from]);
    rest = steps->count - from;
    if (rest <= 0)
        return;
    memcpy(spare->bytes + spare->count, steps->bytes + from, (size_t)rest * sizeof *steps->bytes);
    memcpy(spare->costs + spare->count, steps->costs + from, (size_t)rest * sizeof *steps->costs);
    spare->count += rest;
}

enum remat_status remat_steps_relax(struct remat_steps_work *work, struct remat_steps *steps,
                                    const struct remat_term *term, struct remat_error *err)
{
    struct remat_steps swap;
    int64_t begin = term_begin(term), end;
    int32_t before, first, last;
    if (begin > work->limit_bytes || begin == INT64_MAX)
        return REMAT_OK;
    first = first_gain(work, steps, term, begin);
    if (first == steps->count)
        return REMAT_OK;
    last = last_gain(work, steps, term, begin, first);
    if (first >= 0 && steps->bytes[first] > begin)
        begin = steps->bytes[first];
    end = last < steps->count ? steps->bytes[last] : work->limit_bytes;
    end += last == steps->count && end < INT64_MAX; /* the limit is within */
    before = remat_steps_find(steps, begin - 1) + 1;
    REMAT_TRY(make_room(&work->spare,
                        (int64_t)steps->count + term->left->count + (term->right ? term->right->count : 0) + 1, err));
    work->spare.count = before;
    if (before > 0) {
        memcpy(work->spare.bytes, steps->bytes, (size_t)before * sizeof *steps->bytes);
        memcpy(work->spare.costs, steps->costs, (size_t)before * sizeof *steps->costs);
    }
    merge(work, steps, term, begin, end);
    append_rest(work, steps, last);
    swap = *steps;
    *steps = work->spare;
    work->spare = swap;
    return REMAT_OK;
}
