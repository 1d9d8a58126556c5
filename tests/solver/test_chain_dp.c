/* The dynamic program against closed forms and against an independent, unrounded one. */
#include "tests/solver/support_chain.h"

#include "core/base/rng.h"
#include "solver/curve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Griewank, Walther, "Algorithm 799: Revolve": fewest forward steps to reverse l steps with c checkpoints, the initial
 * state included: r l - C(c + r, r - 1) with the least r such that C(c + r, r) >= l. */
static int64_t binomial(int64_t n, int64_t k)
{
    int64_t product = 1, i;
    for (i = 1; i <= k; i++)
        product = product * (n - k + i) / i;
    return k < 0 ? 0 : product;
}

static int64_t revolve(int64_t l, int64_t c)
{
    int64_t r = 0;
    while (binomial(c + r, r) < l)
        r++;
    return r * l - binomial(c + r, r - 1);
}

static double cost_within(const struct remat_chain *chain, int64_t bytes)
{
    struct remat_chain_table *table;
    struct remat_error err = {0};
    double cost;
    CHECK_OK(remat_chain_table_make(chain, bytes, 0, 0, &table, &err), err);
    cost = remat_steps_at(remat_chain_costs(table), bytes);
    remat_chain_table_free(table);
    return cost;
}

/* With m = A + c bytes beside the first input: A for a block's backward part, one for the state that is being passed
 * on, and one for each checkpoint but the first. */
static void test_closed_form(void **state)
{
    static const double forward[] = {1, 3, 7};
    int32_t l, c, k, cases = 0;
    (void)state;
    for (c = 1; c <= 6; c++)
        for (l = 1; l <= 25; l++)
            for (k = 0; k < 3; k++, cases++) {
                struct remat_chain chain = uniform_chain(l, 1, c + 2 + k, forward[k]);
                chain.blocks[0].input_bytes = 0;
                assert_true(cost_within(&chain, c + 2 + k + c) == (double)revolve(l, c) * forward[k]);
                free_chain(&chain);
            }
    assert_int_equal(cases, 450);
}

static void test_known_values(void **state)
{
    (void)state;
    assert_int_equal(revolve(10, 3), 15);
    assert_int_equal(revolve(50, 3), 180);
    assert_int_equal(revolve(152, 5), 550);
}

/* A chain with random sizes and several choices a block. */
static uint64_t draws;
static int64_t draw(uint64_t seed, int64_t below)
{
    return (int64_t)(remat_rng(seed, REMAT_RNG_SYNTHETIC, 3, 0, draws++).word[0] % (uint64_t)below);
}

static void set_choices(struct remat_chain_block *block, uint64_t seed, int64_t scale)
{
    int32_t count = 3, k;
    free(block->choices);
    block->choices = calloc((size_t)count, sizeof *block->choices);
    assert_non_null(block->choices);
    block->choices_count = count;
    for (k = 0; k < count; k++) {
        struct remat_chain_choice *choice = &block->choices[k];
        choice->kept_bytes = k == 0 ? 0 : k == 1 ? scale / 2 + draw(seed, scale) : 2 * scale + draw(seed, scale);
        choice->forward_peak_bytes = choice->kept_bytes + scale / 2;
        choice->backward_peak_bytes = 3 * scale + draw(seed, scale) + choice->kept_bytes / 2;
        choice->extra_ns = k == 2 ? 0 : k == 1 ? 30 + (double)draw(seed, 20) : 100 + (double)draw(seed, 30);
        choice->soft_peak_bytes = choice->kept_bytes + scale + draw(seed, scale);
        choice->soft_ns = k == 2 ? 10 + (double)draw(seed, 10) : 60 + (double)draw(seed, 10);
        choice->nested = true;
    }
}

/* One that leaves the input where it is, and one in less memory that makes it again. */
static void set_lights(struct remat_chain_block *block, uint64_t seed, int64_t scale)
{
    int32_t k;
    block->lights = calloc(2, sizeof *block->lights);
    assert_non_null(block->lights);
    block->lights_count = 2;
    for (k = 0; k < 2; k++) {
        struct remat_chain_light *light = &block->lights[k];
        light->makes = 2 * k;
        light->backward_peak_bytes = (4 - k) * scale + draw(seed, scale);
        light->beside_bytes = k * (scale + draw(seed, scale));
        light->cost_ns = block->again_ns + 40 + (double)draw(seed, 20);
    }
}

static struct remat_chain random_chain(int32_t count, uint64_t seed, int64_t scale, double cost_scale)
{
    struct remat_chain chain = uniform_chain(count, scale, 3 * scale, 100);
    int32_t b, k;
    draws = 0;
    for (b = 0; b < count; b++) {
        struct remat_chain_block *block = &chain.blocks[b];
        block->input_bytes = b == 0 ? 0 : scale / 2 + draw(seed, scale);
        block->again_ns = cost_scale * (100 + (double)draw(seed, 50));
        block->gradient_bytes = b + 1 < count ? scale / 2 + draw(seed, scale) : 0;
        block->lasts[0].backward_peak_bytes = 5 * scale + draw(seed, scale);
        block->lasts[0].cost_ns = block->again_ns;
        block->hold_peak_bytes = 2 * scale;
        block->pass_peak_bytes = block->input_bytes + 2 * scale;
        set_choices(block, seed, scale);
        set_lights(block, seed, scale);
        for (k = 0; k < block->lights_count; k++)
            block->lights[k].cost_ns += (cost_scale - 1) * (block->lights[k].cost_ns - block->again_ns);
        for (k = 0; k < block->choices_count; k++) {
            block->choices[k].extra_ns *= cost_scale;
            block->choices[k].soft_ns *= cost_scale;
        }
    }
    for (b = 0; b + 1 < count; b++)
        chain.blocks[b].output_bytes = chain.blocks[b + 1].input_bytes;
    return chain;
}

static int64_t whole_bytes(const struct remat_chain *chain)
{
    int64_t bytes = 0;
    int32_t b;
    for (b = 0; b < chain->count; b++)
        bytes += chain->blocks[b].input_bytes + chain->blocks[b].choices[2].kept_bytes +
                 chain->blocks[b].choices[2].backward_peak_bytes;
    return bytes;
}

/* The recurrence of solver/chain_dp.h on exact bytes, top down without any table, for short chains. */
static double exact_base(const struct remat_chain_block *block, int64_t m)
{
    double best = m >= block->lasts[0].backward_peak_bytes ? block->lasts[0].cost_ns : INFINITY;
    if (m >= block->lights[0].backward_peak_bytes && block->lights[0].cost_ns < best)
        best = block->lights[0].cost_ns;
    return best;
}

static double exact_again(const struct remat_chain *chain, int32_t i, int32_t l, int64_t m)
{
    const struct remat_chain_light *light = &chain->blocks[l].lights[1];
    const struct remat_chain_block *block = &chain->blocks[i];
    double best = INFINITY, pass = 0, other;
    int64_t peak = 0, gradient = chain->blocks[l].gradient_bytes;
    int32_t j, c;
    if (m < 0)
        return INFINITY;
    if (i == l)
        return exact_base(block, m);
    for (c = 0; c < block->choices_count; c++) {
        const struct remat_chain_choice *choice = &block->choices[c];
        if (m < gradient + choice->forward_peak_bytes || m < choice->backward_peak_bytes)
            continue;
        other = block->again_ns + choice->extra_ns +
                exact_again(chain, i + 1, l, m - choice->kept_bytes - block->output_bytes);
        best = other < best ? other : best;
    }
    for (j = i + 1; j <= l; j++) {
        int64_t needed = j - 1 == i ? chain->blocks[i].hold_peak_bytes : chain->blocks[j - 1].pass_peak_bytes;
        peak = needed > peak ? needed : peak;
        pass += chain->blocks[j - 1].again_ns;
        if (m < gradient + peak)
            continue;
        other = pass + exact_again(chain, j, l, m - chain->blocks[j].input_bytes) + exact_again(chain, i, j - 1, m);
        best = other < best ? other : best;
    }
    if (m >= light->backward_peak_bytes && m >= light->beside_bytes + peak) {
        other = light->makes * pass + light->cost_ns + exact_again(chain, i, l - 1, m);
        best = other < best ? other : best;
    }
    return best;
}

static double exact_first(const struct remat_chain *chain, int32_t i, int64_t m);

/* Blocks k.. of a run i..j-1, `inputs` bytes of inputs being made again before block k's backward part. */
static double exact_run(const struct remat_chain *chain, int32_t i, int32_t j, int32_t k, int64_t inputs, int64_t m)
{
    double best = INFINITY, other;
    int32_t c;
    if (m < 0)
        return INFINITY;
    if (k == j)
        return exact_first(chain, j, m - (j < chain->count ? chain->blocks[j].input_bytes : 0));
    for (c = 0; c < chain->blocks[k].choices_count; c++) {
        const struct remat_chain_choice *choice = &chain->blocks[k].choices[c];
        int64_t own = k > i ? chain->blocks[k].input_bytes : 0;
        if (m < choice->forward_peak_bytes + own || m < choice->backward_peak_bytes + inputs + own ||
            (k < j - 1 && m < choice->soft_peak_bytes + inputs + own + chain->blocks[j - 1].gradient_bytes))
            continue;
        other = choice->extra_ns + (k < j - 1 ? choice->soft_ns : 0) +
                exact_run(chain, i, j, k + 1, inputs + own, m - choice->kept_bytes);
        best = other < best ? other : best;
    }
    return best;
}

static double exact_first(const struct remat_chain *chain, int32_t i, int64_t m)
{
    double best = INFINITY, other;
    int64_t peak = 0;
    int32_t j;
    if (m < 0)
        return INFINITY;
    if (i == chain->count)
        return 0;
    for (j = i + 1; j <= chain->count && j <= i + 6; j++) {
        other = exact_run(chain, i, j, i, 0, m);
        best = other < best ? other : best;
    }
    for (j = i + 1; j < chain->count; j++) {
        int64_t needed = j - 1 == i ? chain->blocks[i].hold_peak_bytes : chain->blocks[j - 1].pass_peak_bytes;
        peak = needed > peak ? needed : peak;
        if (m < peak)
            break;
        other = exact_first(chain, j, m - chain->blocks[j].input_bytes) + exact_again(chain, i, j - 1, m);
        best = other < best ? other : best;
    }
    return best;
}

static void test_against_exact(void **state)
{
    uint64_t seed;
    int32_t part, feasible = 0;
    (void)state;
    for (seed = 1; seed <= 6; seed++) {
        struct remat_chain chain = random_chain(5, seed, 20, 1);
        int64_t whole = whole_bytes(&chain);
        for (part = 10; part <= 60; part++) {
            double exact = exact_first(&chain, 0, whole * part / 60), found = cost_within(&chain, whole * part / 60);
            assert_true(found == exact || (isinf(found) && isinf(exact)));
            feasible += !isinf(exact);
        }
        free_chain(&chain);
    }
    assert_true(feasible > 150);
}

/* Leaving out small steps costs at most 2 * count times their gain. */
static void test_tolerance(void **state)
{
    struct remat_chain chain = random_chain(24, 11, 1000003, 1);
    struct remat_chain_table *all, *some;
    struct remat_error err = {0};
    const double tolerance = 2;
    int64_t whole = whole_bytes(&chain);
    int32_t k, compared = 0;
    (void)state;
    CHECK_OK(remat_chain_table_make(&chain, whole, 0.01, 0, &all, &err), err);
    CHECK_OK(remat_chain_table_make(&chain, whole, tolerance, 0, &some, &err), err);
    assert_true(remat_chain_costs(some)->count < remat_chain_costs(all)->count);
    for (k = 1; k <= 400; k++) {
        double least = remat_steps_at(remat_chain_costs(all), whole / 400 * k);
        double cost = remat_steps_at(remat_chain_costs(some), whole / 400 * k);
        if (isinf(least))
            continue;
        assert_true(cost >= least - 2 * 24 * 0.01 && cost <= least + 2 * 24 * tolerance);
        compared++;
    }
    assert_true(compared > 200);
    remat_chain_table_free(all);
    remat_chain_table_free(some);
    free_chain(&chain);
}

static void test_limits(void **state)
{
    struct remat_chain chain = random_chain(12, 3, 50, 1);
    struct remat_chain_table *table;
    struct remat_error err = {0};
    const struct remat_steps *costs;
    int32_t k;
    (void)state;
    CHECK_OK(remat_chain_table_make(&chain, whole_bytes(&chain), 0, 0, &table, &err), err);
    costs = remat_chain_costs(table);
    assert_true(costs->costs[costs->count - 1] == 0); /* all in memory: nothing again */
    assert_true(costs->bytes[0] > 100);               /* not below the backward part of any block */
    for (k = 1; k < costs->count; k++)
        assert_true(costs->costs[k] < costs->costs[k - 1] && costs->bytes[k] > costs->bytes[k - 1]);
    remat_chain_table_free(table);
    free_chain(&chain);
}

static void test_scaling(void **state)
{
    struct remat_chain chain = random_chain(12, 5, 40, 1), costly = random_chain(12, 5, 40, 4);
    int64_t whole = whole_bytes(&chain), k;
    int32_t b, c;
    double plain[20];
    (void)state;
    for (k = 0; k < 20; k++) {
        plain[k] = cost_within(&chain, whole * (k + 1) / 20);
        assert_true(cost_within(&costly, whole * (k + 1) / 20) == 4 * plain[k] || isinf(plain[k]));
    }
    for (b = 0; b < chain.count; b++) {
        struct remat_chain_block *block = &chain.blocks[b];
        block->input_bytes *= 7, block->output_bytes *= 7, block->gradient_bytes *= 7;
        block->pass_peak_bytes *= 7, block->hold_peak_bytes *= 7, block->lasts[0].backward_peak_bytes *= 7;
        for (c = 0; c < block->lights_count; c++)
            block->lights[c].backward_peak_bytes *= 7, block->lights[c].beside_bytes *= 7;
        for (c = 0; c < block->choices_count; c++) {
            block->choices[c].kept_bytes *= 7;
            block->choices[c].forward_peak_bytes *= 7;
            block->choices[c].backward_peak_bytes *= 7;
        }
    }
    for (k = 0; k < 20; k++) {
        double cost = cost_within(&chain, whole * (k + 1) / 20 * 7);
        assert_true(cost == plain[k] || (isinf(cost) && isinf(plain[k])));
    }
    free_chain(&chain);
    free_chain(&costly);
}

/* Every block is decided once, and every input that a block starts from is held, or made again by its light. */
static void test_extraction(void **state)
{
    struct remat_chain chain = random_chain(14, 9, 60, 1);
    struct remat_chain_table *table;
    struct remat_chain_decision decisions[2 * 14 + 2];
    struct remat_error err = {0};
    int32_t step, k;
    (void)state;
    CHECK_OK(remat_chain_table_make(&chain, whole_bytes(&chain), 0, 0, &table, &err), err);
    assert_true(remat_chain_costs(table)->count > 50);
    for (step = 0; step < remat_chain_costs(table)->count; step++) {
        int32_t decided[14] = {0}, held[14] = {0}, count;
        count = remat_chain_extract(table, step, decisions);
        assert_in_range(count, 14, 2 * 14 + 1);
        for (k = 0; k < count; k++)
            if (decisions[k].act == REMAT_CHAIN_INPUT)
                held[decisions[k].block]++;
            else
                decided[decisions[k].block]++;
        for (k = 0; k < count; k++)
            if (decisions[k].act == REMAT_CHAIN_LIGHT)
                held[decisions[k].block] += chain.blocks[decisions[k].block].lights[decisions[k].index].makes > 0;
        for (k = 0; k < 14; k++)
            assert_int_equal(decided[k], 1);
        for (k = 1; k < 14; k++)
            assert_int_equal(held[k], 1);
    }
    remat_chain_table_free(table);
    free_chain(&chain);
}

/* The dynamic program over a graph's blocks, with lights or without: the least memory, and the sum of what several
 * sizes of memory from there on cost. */
struct outcome {
    int64_t least_bytes;
    double costs;
};

static struct outcome outcome_of(const struct remat_chain *chain, bool lights, int64_t from)
{
    struct remat_chain limited = *chain;
    struct remat_chain_table *table;
    struct remat_error err = {0};
    struct outcome out = {0};
    int32_t b, k;
    limited.blocks = calloc((size_t)chain->count, sizeof *limited.blocks);
    assert_non_null(limited.blocks);
    for (b = 0; b < chain->count; b++) {
        limited.blocks[b] = chain->blocks[b];
        limited.blocks[b].lights_count *= lights;
    }
    CHECK_OK(remat_chain_table_make(&limited, INT64_MAX / 4, 0, 0, &table, &err), err);
    out.least_bytes = remat_chain_costs(table)->bytes[0];
    from = from > 0 ? from : out.least_bytes;
    for (k = 0; k < 16; k++)
        out.costs += remat_steps_at(remat_chain_costs(table), from + from * k / 32);
    remat_chain_table_free(table);
    free(limited.blocks);
    return out;
}

/* On real blocks lights are faster where memory is scarce, and the schedule for the least memory stays within it. */
static void test_lights(void **state)
{
    int32_t faster = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 12; seed++) {
        struct remat_task_graph graph;
        struct remat_curve *curve;
        struct remat_schedule schedule;
        struct remat_error err = {0};
        struct outcome with, without;
        int64_t least;
        bool found;
        (seed < 6 ? chain_graph : gelu_graph)(&graph, 8, 64, seed);
        CHECK_OK(remat_curve_make(&graph, 0, &curve, &err), err);
        without = outcome_of(remat_curve_chain(curve), false, 0);
        with = outcome_of(remat_curve_chain(curve), true, without.least_bytes);
        assert_true(with.least_bytes <= without.least_bytes && with.costs <= without.costs);
        faster += with.costs < without.costs;
        least = with.least_bytes + remat_curve_chain(curve)->always_bytes + graph.staging_bytes;
        CHECK_OK(remat_curve_at(curve, least, &found, &schedule, &err), err);
        assert_true(found);
        remat_schedule_free(&schedule);
        remat_curve_free(curve);
        remat_task_graph_free(&graph);
    }
    print_message("lights are faster in %d of 12 graphs\n", faster);
    assert_true(faster > 6);
}

/* Past the deadline the table is empty, but a few numbers of segments are known. */
static void test_deadline(void **state)
{
    struct remat_task_graph graph;
    struct remat_curve *curve;
    struct remat_schedule schedule = {0};
    struct remat_error err = {0};
    bool found;
    (void)state;
    chain_graph(&graph, 40, 64, 1);
    CHECK_OK(remat_curve_make(&graph, 1e-9, &curve, &err), err);
    CHECK_OK(remat_curve_smallest(curve, &schedule, &err), err);
    assert_true(schedule.count > graph.order_count);
    remat_schedule_free(&schedule);
    CHECK_OK(remat_curve_at(curve, INT64_MAX, &found, &schedule, &err), err);
    assert_true(found);
    remat_schedule_free(&schedule);
    remat_curve_free(curve);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_form), cmocka_unit_test(test_known_values), cmocka_unit_test(test_against_exact),
        cmocka_unit_test(test_tolerance),   cmocka_unit_test(test_limits),       cmocka_unit_test(test_scaling),
        cmocka_unit_test(test_extraction),  cmocka_unit_test(test_lights),       cmocka_unit_test(test_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
