#include "solver/chain_dp.h"

#include "core/base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LONGEST_RUN = 6, /* blocks whose inputs are made again together */
    RUN_ROWS = (LONGEST_RUN + 1) * (LONGEST_RUN + 2) / 2 - 1,
};

struct remat_chain_table {
    const struct remat_chain *chain;
    struct remat_steps_work work;
    double deadline;           /* seconds of the clock; 0 = none */
    struct remat_steps free;   /* costs nothing and needs nothing */
    struct remat_steps *again; /* [i * count + l], l < count - 1 */
    struct remat_steps *first; /* [i], i <= count */
    struct remat_steps *runs;  /* per (i, length), length + 1 rows: blocks i + k.. of a run of that length */
};

static struct remat_steps *again_row(const struct remat_chain_table *t, int32_t i, int32_t l)
{
    return &t->again[(int64_t)i * t->chain->count + l];
}

/* Row k of the run of `length` blocks that starts at i: the rows of shorter runs come first. */
static struct remat_steps *run_row(const struct remat_chain_table *t, int32_t i, int32_t length, int32_t k)
{
    return &t->runs[(int64_t)i * RUN_ROWS + length * (length + 1) / 2 - 1 + k];
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
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

/* The terms of the recurrence: for filling the tables and for reading them off. */

static struct remat_term keep_again(const struct remat_chain_table *t, int32_t i, int32_t l, int32_t c)
{
    const struct remat_chain_block *block = &t->chain->blocks[i];
    const struct remat_chain_choice *choice = &block->choices[c];
    int64_t gradient = t->chain->blocks[l].gradient_bytes;
    return (struct remat_term){.from = largest(gradient + choice->forward_peak_bytes, choice->backward_peak_bytes),
                               .shift = choice->kept_bytes + block->output_bytes,
                               .cost = block->again_ns + choice->extra_ns,
                               .left = again_row(t, i + 1, l)};
}

static struct remat_term base_again(const struct remat_chain_table *t, int32_t l, int32_t k)
{
    const struct remat_chain_last *last = &t->chain->blocks[l].lasts[k];
    return (struct remat_term){.from = last->backward_peak_bytes, .cost = last->cost_ns, .left = &t->free};
}

static struct remat_term base_light(const struct remat_chain_table *t, int32_t l, int32_t k)
{
    const struct remat_chain_light *light = &t->chain->blocks[l].lights[k];
    return (struct remat_term){.from = light->backward_peak_bytes, .cost = light->cost_ns, .left = &t->free};
}

/* `peak` and `pass` accumulate over j = i + 1, i + 2, ... */
static struct remat_term check_again(const struct remat_chain_table *t, int32_t i, int32_t j, int32_t l, int64_t *peak,
                                     double *pass)
{
    *peak = largest(*peak, pass_peak(t->chain, i, j - 1));
    *pass += t->chain->blocks[j - 1].again_ns;
    return (struct remat_term){.from = t->chain->blocks[l].gradient_bytes + *peak,
                               .shift = input_beside(t->chain, i, j),
                               .cost = *pass,
                               .left = again_row(t, j, l),
                               .right = again_row(t, i, j - 1)};
}

/* `peak` and `pass` are those of passing from i to l. */
static struct remat_term light_again(const struct remat_chain_table *t, int32_t i, int32_t l, int32_t k, int64_t peak,
                                     double pass)
{
    const struct remat_chain_light *light = &t->chain->blocks[l].lights[k];
    return (struct remat_term){.from = largest(light->backward_peak_bytes, light->beside_bytes + peak),
                               .cost = light->makes * pass + light->cost_ns,
                               .left = again_row(t, i, l - 1)};
}

static struct remat_term check_first(const struct remat_chain_table *t, int32_t i, int32_t j, int64_t *peak)
{
    *peak = largest(*peak, pass_peak(t->chain, i, j - 1));
    return (struct remat_term){
        .from = *peak, .shift = input_beside(t->chain, i, j), .left = &t->first[j], .right = again_row(t, i, j - 1)};
}

/* Block k of a run i..j-1 as choice c: row of k from the row of k + 1. */
static struct remat_term keep_in_run(const struct remat_chain_table *t, int32_t i, int32_t j, int32_t k, int32_t c)
{
    const struct remat_chain_choice *choice = &t->chain->blocks[k].choices[c];
    int64_t own = k > i ? input_beside(t->chain, k - 1, k) : 0, inputs = 0, need;
    int32_t b;
    for (b = i + 1; b <= k; b++)
        inputs += input_beside(t->chain, b - 1, b);
    need = largest(choice->forward_peak_bytes + own, choice->backward_peak_bytes + inputs);
    if (k < j - 1) /* while its output is made again, the gradient of the last block is there */
        need = largest(need, choice->soft_peak_bytes + inputs + t->chain->blocks[j - 1].gradient_bytes);
    return (struct remat_term){.from = need,
                               .shift = choice->kept_bytes,
                               .cost = choice->extra_ns + (k < j - 1 ? choice->soft_ns : 0),
                               .left = run_row(t, i, j - i, k - i + 1)};
}

/* After the run i..j-1. */
static struct remat_term after_run(const struct remat_chain_table *t, int32_t i, int32_t j)
{
    return (struct remat_term){.shift = input_beside(t->chain, i, j), .left = &t->first[j]};
}

static enum remat_status relax(struct remat_chain_table *t, struct remat_steps *row, struct remat_term term,
                               struct remat_error *err)
{
    return remat_steps_relax(&t->work, row, &term, err);
}

static enum remat_status fill_again(struct remat_chain_table *t, int32_t i, int32_t l, struct remat_error *err)
{
    struct remat_steps *row = again_row(t, i, l);
    double pass = 0;
    int64_t peak = 0;
    int32_t j, c;
    for (c = 0; i == l && c < t->chain->blocks[l].lasts_count; c++)
        REMAT_TRY(relax(t, row, base_again(t, l, c), err));
    for (c = 0; i == l && c < t->chain->blocks[l].lights_count; c++)
        if (t->chain->blocks[l].lights[c].makes == 0)
            REMAT_TRY(relax(t, row, base_light(t, l, c), err));
    for (c = 0; i < l && c < t->chain->blocks[i].choices_count; c++)
        if (t->chain->blocks[i].choices[c].nested)
            REMAT_TRY(relax(t, row, keep_again(t, i, l, c), err));
    for (j = i + 1; j <= l; j++)
        REMAT_TRY(relax(t, row, check_again(t, i, j, l, &peak, &pass), err));
    for (c = 0; i < l && c < t->chain->blocks[l].lights_count; c++)
        if (t->chain->blocks[l].lights[c].makes > 0)
            REMAT_TRY(relax(t, row, light_again(t, i, l, c, peak, pass), err));
    remat_steps_trim(row); /* it may have the room of the largest row */
    return REMAT_OK;
}

static enum remat_status fill_run(struct remat_chain_table *t, int32_t i, int32_t j, struct remat_error *err)
{
    int32_t k, c;
    REMAT_TRY(relax(t, run_row(t, i, j - i, j - i), after_run(t, i, j), err));
    for (k = j - 1; k >= i; k--) {
        for (c = 0; c < t->chain->blocks[k].choices_count; c++)
            REMAT_TRY(relax(t, run_row(t, i, j - i, k - i), keep_in_run(t, i, j, k, c), err));
        remat_steps_trim(run_row(t, i, j - i, k - i));
    }
    return REMAT_OK;
}

static enum remat_status fill_first(struct remat_chain_table *t, int32_t i, struct remat_error *err)
{
    int32_t count = t->chain->count, j;
    int64_t peak = 0;
    for (j = i + 1; j <= count && j <= i + LONGEST_RUN; j++) {
        REMAT_TRY(fill_run(t, i, j, err));
        REMAT_TRY(relax(t, &t->first[i], (struct remat_term){.left = run_row(t, i, j - i, 0)}, err));
    }
    for (j = i + 1; j < count; j++)
        REMAT_TRY(relax(t, &t->first[i], check_first(t, i, j, &peak), err));
    remat_steps_trim(&t->first[i]);
    return REMAT_OK;
}

static bool is_late(const struct remat_chain_table *t)
{
    return t->deadline > 0 && remat_clock_seconds() > t->deadline;
}

static enum remat_status fill(struct remat_chain_table *t, struct remat_error *err)
{
    int32_t count = t->chain->count, i, l;
    REMAT_TRY(remat_steps_push(&t->work, &t->free, 0, 0, err));
    REMAT_TRY(remat_steps_push(&t->work, &t->first[count], 0, 0, err));
    for (l = 0; l < count - 1; l++)
        for (i = l; i >= 0 && !is_late(t); i--)
            REMAT_TRY(fill_again(t, i, l, err));
    for (i = count - 1; i >= 0 && !is_late(t); i--)
        REMAT_TRY(fill_first(t, i, err));
    return REMAT_OK;
}

enum remat_status remat_chain_table_make(const struct remat_chain *chain, int64_t limit_bytes, double tolerance_ns,
                                         double deadline, struct remat_chain_table **out, struct remat_error *err)
{
    struct remat_chain_table *t;
    int64_t count = chain->count;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(t, 1, err));
    t->chain = chain;
    t->work.limit_bytes = limit_bytes;
    t->work.tolerance = tolerance_ns;
    t->deadline = deadline;
    REMAT_TRY_GOTO(REMAT_ALLOC(t->again, count * count, err), failed);
    REMAT_TRY_GOTO(REMAT_ALLOC(t->first, count + 1, err), failed);
    REMAT_TRY_GOTO(REMAT_ALLOC(t->runs, count * RUN_ROWS, err), failed);
    REMAT_TRY_GOTO(fill(t, err), failed);
    *out = t;
    return REMAT_OK;
failed:
    remat_chain_table_free(t);
    return status;
}

static void free_rows(struct remat_steps *rows, int64_t count)
{
    int64_t k;
    for (k = 0; rows && k < count; k++)
        remat_steps_free(&rows[k]);
    free(rows);
}

void remat_chain_table_free(struct remat_chain_table *table)
{
    int64_t count;
    if (!table)
        return;
    count = table->chain->count;
    free_rows(table->again, count * count);
    free_rows(table->first, count + 1);
    free_rows(table->runs, count * RUN_ROWS);
    remat_steps_free(&table->free);
    remat_steps_free(&table->work.spare);
    free(table);
}

const struct remat_steps *remat_chain_costs(const struct remat_chain_table *table)
{
    return &table->first[0];
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

/* A state of the reading: a row at one of its steps, where some term attains its cost exactly. */
struct place {
    int64_t bytes;
    double cost;
};

static struct place place_at(const struct remat_steps *row, int64_t bytes)
{
    int32_t step = remat_steps_find(row, bytes);
    return (struct place){row->bytes[step], row->costs[step]};
}

static bool attains(const struct remat_term *term, const struct place *place)
{
    return remat_term_at(term, place->bytes) == place->cost;
}

static void read_base(struct reading *r, int32_t l, const struct place *place)
{
    const struct remat_chain_block *block = &r->table->chain->blocks[l];
    int32_t c;
    for (c = 0; c < block->lasts_count; c++) {
        struct remat_term term = base_again(r->table, l, c);
        if (attains(&term, place)) {
            decide(r, REMAT_CHAIN_LAST, l, c, l, l);
            return;
        }
    }
    for (c = 0; c < block->lights_count; c++) {
        struct remat_term term = base_light(r->table, l, c);
        if (block->lights[c].makes == 0 && attains(&term, place)) {
            decide(r, REMAT_CHAIN_LIGHT, l, c, l, l);
            return;
        }
    }
}

/* Which choice attains again[i..l] there, or -1. */
static int32_t find_keep(const struct remat_chain_table *t, int32_t i, int32_t l, const struct place *place)
{
    int32_t c;
    for (c = 0; c < t->chain->blocks[i].choices_count; c++) {
        struct remat_term keep = keep_again(t, i, l, c);
        if (t->chain->blocks[i].choices[c].nested && attains(&keep, place))
            return c;
    }
    return -1;
}

/* The checkpoint that attains again[i..l] there, or -1: then it is *light. */
static int32_t find_check(const struct remat_chain_table *t, int32_t i, int32_t l, const struct place *place,
                          int32_t *light)
{
    int64_t peak = 0;
    double pass = 0;
    int32_t j;
    struct remat_term term;
    for (j = i + 1; j <= l; j++) {
        term = check_again(t, i, j, l, &peak, &pass);
        if (attains(&term, place))
            return j;
    }
    *light = -1;
    do
        term = light_again(t, i, l, ++*light, peak, pass);
    while (t->chain->blocks[l].lights[*light].makes == 0 || !attains(&term, place));
    return -1;
}

static void read_again(struct reading *r, int32_t i, int32_t l, int64_t bytes)
{
    const struct remat_chain_table *t = r->table;
    struct place place = place_at(again_row(t, i, l), bytes);
    while (i < l) {
        int32_t c = find_keep(t, i, l, &place), light = -1, j;
        if (c >= 0) {
            decide(r, REMAT_CHAIN_CHOOSE, i, c, l, i);
            decide(r, REMAT_CHAIN_INPUT, i + 1, 0, l, i);
            bytes = place.bytes - keep_again(t, i, l, c).shift;
            i++;
        } else if ((j = find_check(t, i, l, &place, &light)) >= 0) {
            decide(r, REMAT_CHAIN_INPUT, j, 0, l, j);
            read_again(r, i, j - 1, place.bytes);
            bytes = place.bytes - input_beside(t->chain, i, j);
            i = j;
        } else {
            decide(r, REMAT_CHAIN_LIGHT, l, light, l, l);
            bytes = place.bytes;
            l--;
        }
        place = place_at(again_row(t, i, l), bytes);
    }
    read_base(r, l, &place);
}

/* The length of the run that attains first[i] there, or 0. */
static int32_t find_run(const struct remat_chain_table *t, int32_t i, const struct place *place)
{
    int32_t length;
    for (length = 1; length <= LONGEST_RUN && i + length <= t->chain->count; length++)
        if (remat_steps_at(run_row(t, i, length, 0), place->bytes) == place->cost)
            return length;
    return 0;
}

/* Returns what is left for the blocks from j on. */
static int64_t read_run(struct reading *r, int32_t i, int32_t j, int64_t bytes)
{
    const struct remat_chain_table *t = r->table;
    int32_t count = t->chain->count, k;
    for (k = i; k < j; k++) {
        struct place place = place_at(run_row(t, i, j - i, k - i), bytes);
        struct remat_term keep = keep_in_run(t, i, j, k, 0);
        int32_t c = 0;
        while (!attains(&keep, &place))
            keep = keep_in_run(t, i, j, k, ++c);
        decide(r, REMAT_CHAIN_CHOOSE, k, c, count, k);
        if (k > i)
            decide(r, REMAT_CHAIN_INPUT, k, 0, j - 1, k - 1);
        bytes = place.bytes - keep.shift;
    }
    if (j < count)
        decide(r, REMAT_CHAIN_INPUT, j, 0, count, j - 1);
    return place_at(run_row(t, i, j - i, j - i), bytes).bytes - after_run(t, i, j).shift;
}

static int32_t find_first_check(const struct remat_chain_table *t, int32_t i, const struct place *place)
{
    int64_t peak = 0;
    int32_t j = i;
    struct remat_term check;
    do {
        j++;
        check = check_first(t, i, j, &peak);
    } while (!attains(&check, place));
    return j;
}

int32_t remat_chain_extract(const struct remat_chain_table *table, int32_t step, struct remat_chain_decision *out)
{
    struct reading r = {table, out, 0};
    int32_t count = table->chain->count, i = 0;
    int64_t bytes = table->first[0].bytes[step];
    while (i < count) {
        struct place place = place_at(&table->first[i], bytes);
        int32_t length = find_run(table, i, &place), j;
        if (length > 0) {
            bytes = read_run(&r, i, i + length, place.bytes);
            i += length;
            continue;
        }
        j = find_first_check(table, i, &place);
        decide(&r, REMAT_CHAIN_INPUT, j, 0, count, j);
        read_again(&r, i, j - 1, place.bytes);
        bytes = place.bytes - input_beside(table->chain, i, j);
        i = j;
    }
    return r.count;
}
