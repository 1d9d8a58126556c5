#include "solver/chain_dp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_RUN = 6, /* blocks whose inputs are made again together */
    MOST_SLOTS = 4000,
    LEAST_SLOTS = 200,
    RUN_ROWS = (LONGEST_RUN + 1) * (LONGEST_RUN + 2) / 2 - 1,
    NO_MOVE = 127
};
static const double WORK_LIMIT = 4e8; /* elementary steps of the cubic part */

struct remat_chain_table {
    const struct remat_chain *chain;
    int64_t unit;
    int32_t slots; /* memories 0..slots */
    double *again; /* [(i * count + l) * width], l < count - 1 */
    double *first; /* [i * width], i <= count */
    int8_t *move;  /* [i * width]: run length, or -j for a checkpoint at j */
    double *runs;  /* per (i, length), length + 1 rows: blocks i + k.. of a run of that length */
};

static int64_t width(const struct remat_chain_table *t)
{
    return (int64_t)t->slots + 1;
}

static double *again_row(const struct remat_chain_table *t, int32_t i, int32_t l)
{
    return t->again + ((int64_t)i * t->chain->count + l) * width(t);
}

static double *first_row(const struct remat_chain_table *t, int32_t i)
{
    return t->first + i * width(t);
}

/* Row k of the run of `length` blocks that starts at i: the rows of shorter runs come first. */
static double *run_row(const struct remat_chain_table *t, int32_t i, int32_t length, int32_t k)
{
    int64_t before = length * (length + 1) / 2 - 1 + k;
    return t->runs + ((int64_t)i * RUN_ROWS + before) * width(t);
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Slots for bytes, at most slots + 1, which no memory has. */
static int32_t in_slots(const struct remat_chain_table *t, int64_t bytes)
{
    int64_t slots = bytes <= 0 ? 0 : (bytes + t->unit / 2) / t->unit;
    return (int32_t)(slots > t->slots ? t->slots + 1 : slots);
}

/* Bytes of j's input beside i's. */
static int64_t input_beside(const struct remat_chain *chain, int32_t i, int32_t j)
{
    if (j >= chain->count)
        return 0;
    return chain->blocks[j].input_bytes - (chain->shared ? chain->shared[i * chain->count + j] : 0);
}

/* Peak of passing through block k, started at block i whose input is held and not counted. */
static int64_t pass_peak(const struct remat_chain *chain, int32_t i, int32_t k)
{
    const struct remat_chain_block *block = &chain->blocks[k];
    if (k == i)
        return block->hold_peak_bytes;
    return block->pass_peak_bytes - (chain->shared ? chain->shared[i * chain->count + k] : 0);
}

/* row[m] = min(row[m], cost + a[m - shift] + b[m]) for m >= from; b may be NULL. */
static void relax(double *restrict row, int32_t slots, int32_t from, int32_t shift, double cost, const double *a,
                  const double *b)
{
    int32_t m, begin = from > shift ? from : shift;
    if (b)
        for (m = begin; m <= slots; m++) {
            double other = cost + a[m - shift] + b[m];
            row[m] = other < row[m] ? other : row[m];
        }
    else
        for (m = begin; m <= slots; m++) {
            double other = cost + a[m - shift];
            row[m] = other < row[m] ? other : row[m];
        }
}

/* The transitions of again[i..l]: thresholds, shifts and costs, for filling and for reading off. */
struct transition {
    int32_t from, shift;
    double cost;
};

static struct transition keep_again(const struct remat_chain_table *t, int32_t i, int32_t l, int32_t c)
{
    const struct remat_chain_block *block = &t->chain->blocks[i];
    const struct remat_chain_choice *choice = &block->choices[c];
    int64_t gradient = t->chain->blocks[l].gradient_bytes;
    int64_t need = largest(gradient + choice->forward_peak_bytes, choice->backward_peak_bytes);
    return (struct transition){in_slots(t, need), in_slots(t, choice->kept_bytes + block->output_bytes),
                               block->again_ns + choice->extra_ns};
}

static struct transition base_again(const struct remat_chain_table *t, int32_t l, int32_t k)
{
    const struct remat_chain_last *last = &t->chain->blocks[l].lasts[k];
    return (struct transition){in_slots(t, last->backward_peak_bytes), 0, last->cost_ns};
}

/* `peak` and `pass` accumulate over j = i + 1, i + 2, ... */
static struct transition check_at(const struct remat_chain_table *t, int32_t i, int32_t j, int64_t gradient,
                                  int64_t *peak, double *pass)
{
    *peak = largest(*peak, pass_peak(t->chain, i, j - 1));
    *pass += t->chain->blocks[j - 1].again_ns;
    return (struct transition){in_slots(t, gradient + *peak), in_slots(t, input_beside(t->chain, i, j)), *pass};
}

static void fill_again(struct remat_chain_table *t, int32_t i, int32_t l)
{
    double *row = again_row(t, i, l), pass = 0;
    int64_t peak = 0;
    int32_t m, j, c;
    for (m = 0; m <= t->slots; m++)
        row[m] = INFINITY;
    for (c = 0; i == l && c < t->chain->blocks[l].lasts_count; c++) {
        struct transition base = base_again(t, l, c);
        for (m = base.from; m <= t->slots; m++)
            row[m] = base.cost < row[m] ? base.cost : row[m];
    }
    for (c = 0; i < l && c < t->chain->blocks[i].choices_count; c++) {
        struct transition keep = keep_again(t, i, l, c);
        if (!t->chain->blocks[i].choices[c].nested)
            continue;
        relax(row, t->slots, keep.from, keep.shift, keep.cost, again_row(t, i + 1, l), NULL);
    }
    for (j = i + 1; j <= l; j++) {
        struct transition check = check_at(t, i, j, t->chain->blocks[l].gradient_bytes, &peak, &pass);
        relax(row, t->slots, check.from, check.shift, check.cost, again_row(t, j, l), again_row(t, i, j - 1));
    }
}

/* Block k of a run i..j-1 as choice c: row of k from the row of k + 1. */
static struct transition keep_in_run(const struct remat_chain_table *t, int32_t i, int32_t j, int32_t k, int32_t c)
{
    const struct remat_chain_choice *choice = &t->chain->blocks[k].choices[c];
    int64_t inputs = 0;
    int32_t b;
    for (b = i + 1; b <= k; b++)
        inputs += input_beside(t->chain, b - 1, b);
    return (struct transition){
        in_slots(t, largest(choice->forward_peak_bytes + (k > i ? input_beside(t->chain, k - 1, k) : 0),
                            choice->backward_peak_bytes + inputs)),
        in_slots(t, choice->kept_bytes), choice->extra_ns + (k < j - 1 ? choice->soft_ns : 0)};
}

static void fill_run(struct remat_chain_table *t, int32_t i, int32_t j)
{
    int32_t length = j - i, shift = in_slots(t, input_beside(t->chain, i, j)), m, k, c;
    double *row = run_row(t, i, length, length);
    const double *first = first_row(t, j);
    for (m = 0; m <= t->slots; m++)
        row[m] = m >= shift ? first[m - shift] : INFINITY;
    for (k = length - 1; k >= 0; k--) {
        row = run_row(t, i, length, k);
        for (m = 0; m <= t->slots; m++)
            row[m] = INFINITY;
        for (c = 0; c < t->chain->blocks[i + k].choices_count; c++) {
            struct transition keep = keep_in_run(t, i, j, i + k, c);
            relax(row, t->slots, keep.from, keep.shift, keep.cost, run_row(t, i, length, k + 1), NULL);
        }
    }
}

static void fill_first(struct remat_chain_table *t, int32_t i)
{
    double *row = first_row(t, i), zero = 0;
    int8_t *move = t->move + i * width(t);
    int32_t count = t->chain->count, m, j;
    int64_t peak = 0;
    for (m = 0; m <= t->slots; m++)
        row[m] = INFINITY;
    memset(move, NO_MOVE, (size_t)width(t));
    for (j = i + 1; j <= count && j <= i + LONGEST_RUN; j++) {
        const double *run = run_row(t, i, j - i, 0);
        fill_run(t, i, j);
        for (m = 0; m <= t->slots; m++)
            if (run[m] < row[m]) {
                row[m] = run[m];
                move[m] = (int8_t)(j - i);
            }
    }
    for (j = i + 1; j < count; j++) {
        struct transition check = check_at(t, i, j, 0, &peak, &zero);
        const double *right = first_row(t, j), *left = again_row(t, i, j - 1);
        for (m = check.from > check.shift ? check.from : check.shift; m <= t->slots; m++)
            if (right[m - check.shift] + left[m] < row[m]) {
                row[m] = right[m - check.shift] + left[m];
                move[m] = (int8_t)-j;
            }
    }
}

static void fill(struct remat_chain_table *t)
{
    int32_t count = t->chain->count, i, l, m;
    for (l = 0; l < count - 1; l++)
        for (i = l; i >= 0; i--)
            fill_again(t, i, l);
    for (m = 0; m <= t->slots; m++)
        first_row(t, count)[m] = 0;
    for (i = count - 1; i >= 0; i--)
        fill_first(t, i);
}

static int32_t affordable_slots(int32_t count)
{
    double cells = (double)count * count, slots = WORK_LIMIT / (cells * (count / 6.0 + 20));
    double memory = 128e6 / sizeof(double) / cells; /* of the table of sub-chains */
    slots = slots < memory ? slots : memory;
    return slots > MOST_SLOTS ? MOST_SLOTS : slots < LEAST_SLOTS ? LEAST_SLOTS : (int32_t)slots;
}

enum remat_status remat_chain_table_make(const struct remat_chain *chain, int64_t limit_bytes, int64_t unit_bytes,
                                         struct remat_chain_table **out, struct remat_error *err)
{
    struct remat_chain_table *t;
    int64_t count = chain->count;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(t, 1, err));
    t->chain = chain;
    t->unit = unit_bytes > 0 ? unit_bytes : limit_bytes / affordable_slots(chain->count) + 1;
    t->slots = (int32_t)(limit_bytes / t->unit);
    REMAT_TRY_GOTO(REMAT_ALLOC(t->again, count * count * width(t), err), failed);
    REMAT_TRY_GOTO(REMAT_ALLOC(t->first, (count + 1) * width(t), err), failed);
    REMAT_TRY_GOTO(REMAT_ALLOC(t->move, count * width(t), err), failed);
    REMAT_TRY_GOTO(REMAT_ALLOC(t->runs, count * RUN_ROWS * width(t), err), failed);
    fill(t);
    *out = t;
    return REMAT_OK;
failed:
    remat_chain_table_free(t);
    return status;
}

void remat_chain_table_free(struct remat_chain_table *table)
{
    if (!table)
        return;
    free(table->again);
    free(table->first);
    free(table->move);
    free(table->runs);
    free(table);
}

int64_t remat_chain_unit(const struct remat_chain_table *table)
{
    return table->unit;
}

int32_t remat_chain_slots(const struct remat_chain_table *table)
{
    return table->slots;
}

double remat_chain_cost(const struct remat_chain_table *table, int32_t slots)
{
    return first_row(table, 0)[slots];
}

/* Reading off: decisions so far. */
struct reading {
    const struct remat_chain_table *table;
    struct remat_chain_decision *out;
    int32_t count;
};

static void decide(struct reading *r, enum remat_chain_act act, int32_t block, int32_t index, int32_t since,
                   int32_t until)
{
    r->out[r->count++] = (struct remat_chain_decision){act, block, index, since, until};
}

/* Which choice attains again[i..l](m), or -1. */
static int32_t find_keep(const struct remat_chain_table *t, int32_t i, int32_t l, int32_t m, double cost)
{
    int32_t c;
    for (c = 0; i < l && c < t->chain->blocks[i].choices_count; c++) {
        struct transition keep = keep_again(t, i, l, c);
        if (t->chain->blocks[i].choices[c].nested && m >= keep.from && m >= keep.shift &&
            keep.cost + again_row(t, i + 1, l)[m - keep.shift] == cost)
            return c;
    }
    return -1;
}

static int32_t find_check(const struct remat_chain_table *t, int32_t i, int32_t l, int32_t m, double cost,
                          int32_t *shift)
{
    int64_t peak = 0;
    double pass = 0;
    int32_t j;
    for (j = i + 1; j <= l; j++) {
        struct transition check = check_at(t, i, j, t->chain->blocks[l].gradient_bytes, &peak, &pass);
        *shift = check.shift;
        if (m >= check.from && m >= check.shift &&
            check.cost + again_row(t, j, l)[m - check.shift] + again_row(t, i, j - 1)[m] == cost)
            return j;
    }
    return -1;
}

static void read_base(struct reading *r, int32_t l, int32_t m)
{
    int32_t c = 0;
    while (base_again(r->table, l, c).from > m)
        c++; /* by increasing cost: the first that fits */
    decide(r, REMAT_CHAIN_LAST, l, c, l, l);
}

static void read_again(struct reading *r, int32_t i, int32_t l, int32_t m)
{
    const struct remat_chain_table *t = r->table;
    while (i < l) {
        double cost = again_row(t, i, l)[m];
        int32_t c = find_keep(t, i, l, m, cost), shift = 0, j;
        if (c >= 0) {
            decide(r, REMAT_CHAIN_CHOOSE, i, c, l, i);
            decide(r, REMAT_CHAIN_INPUT, i + 1, 0, l, i);
            m -= keep_again(t, i, l, c).shift;
            i++;
            continue;
        }
        j = find_check(t, i, l, m, cost, &shift);
        decide(r, REMAT_CHAIN_INPUT, j, 0, l, j);
        read_again(r, i, j - 1, m);
        m -= shift;
        i = j;
    }
    read_base(r, l, m);
}

/* Which choice attains row k of a run. */
static int32_t find_in_run(const struct remat_chain_table *t, int32_t i, int32_t j, int32_t k, int32_t m)
{
    double cost = run_row(t, i, j - i, k - i)[m];
    const double *next = run_row(t, i, j - i, k - i + 1);
    int32_t c = 0;
    for (;; c++) {
        struct transition keep = keep_in_run(t, i, j, k, c);
        if (m >= keep.from && m >= keep.shift && keep.cost + next[m - keep.shift] == cost)
            return c;
    }
}

static int32_t read_run(struct reading *r, int32_t i, int32_t j, int32_t m)
{
    const struct remat_chain_table *t = r->table;
    int32_t count = t->chain->count, k;
    for (k = i; k < j; k++) {
        int32_t c = find_in_run(t, i, j, k, m);
        decide(r, REMAT_CHAIN_CHOOSE, k, c, count, k);
        if (k > i)
            decide(r, REMAT_CHAIN_INPUT, k, 0, j - 1, k - 1);
        m -= keep_in_run(t, i, j, k, c).shift;
    }
    if (j < count)
        decide(r, REMAT_CHAIN_INPUT, j, 0, count, j - 1);
    return m - in_slots(t, input_beside(t->chain, i, j));
}

int32_t remat_chain_extract(const struct remat_chain_table *table, int32_t slots, struct remat_chain_decision *out)
{
    struct reading r = {table, out, 0};
    int32_t count = table->chain->count, i = 0, m = slots;
    while (i < count) {
        int32_t move = table->move[i * width(table) + m];
        if (move > 0) {
            m = read_run(&r, i, i + move, m);
            i += move;
            continue;
        }
        decide(&r, REMAT_CHAIN_INPUT, -move, 0, count, -move);
        read_again(&r, i, -move - 1, m);
        m -= in_slots(table, input_beside(table->chain, i, -move));
        i = -move;
    }
    return r.count;
}
