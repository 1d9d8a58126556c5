/* Linear programs: every library finds the same optimum, what is proven never exceeds it, and prices that are wrong
 * prove less, never more. */
#include "tests/solver/support_chain.h"

#include "solver/linear_fix.h"

#include "tests/core/support_random_graph.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_COLUMNS = 40, MOST_ROWS = 60, STEPS = 100000 };

/* Rows like those of lower bounds: something must be paid for, but what is kept fits a knapsack. */
static void random_program(struct remat_linear *linear, uint64_t seed)
{
    struct random_stream stream = {.seed = seed};
    struct remat_error err = {0};
    int32_t columns = 4 + random_below(&stream, MOST_COLUMNS - 4), rows = 2 + random_below(&stream, MOST_ROWS - 2);
    int32_t row, column, k;
    for (k = 0; k < columns; k++)
        CHECK_OK(remat_linear_column(linear,
                                     random_below(&stream, 3) ? INT64_C(1000000) * random_below(&stream, 9999) : 0,
                                     &column, &err),
                 err);
    for (row = 0; row < rows; row++) {
        bool knapsack = random_below(&stream, 8) == 0;
        int64_t sum = 0;
        for (column = 0; column < columns; column++) {
            int64_t factor = knapsack ? 64 * (1 + random_below(&stream, 1 << 20)) : random_below(&stream, 6) ? -1 : 1;
            if (!knapsack && random_below(&stream, columns) > 3)
                continue;
            CHECK_OK(remat_linear_term(linear, column, factor, &err), err);
            sum += factor > 0 ? factor : 0;
        }
        CHECK_OK(remat_linear_close_row(linear, knapsack ? sum / 2 : random_below(&stream, 3) - 1, &err), err);
    }
}

static double cost_of(const struct remat_linear *linear, const double *solution)
{
    double cost = 0;
    int32_t k;
    for (k = 0; k < linear->columns_count; k++)
        cost += solution[k] * (double)linear->costs[k];
    return cost;
}

/* The optimum by a library, or -1; checks what its prices prove. The last row is given to it later than the others. */
static double solve(struct remat_linear *linear, const struct remat_linear_library *library)
{
    struct remat_linear_engine *engine;
    struct remat_error err = {0};
    double solution[MOST_COLUMNS], prices[MOST_ROWS], cost = -1;
    int64_t proven, less;
    bool found;
    int32_t row;
    CHECK_OK(remat_linear_open(linear, library, NULL, &engine, &err), err);
    linear->rows_count--;
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    linear->rows_count++;
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    if (found) {
        cost = cost_of(linear, solution);
        CHECK_OK(remat_linear_proven(linear, prices, &proven, &err), err);
        assert_true((double)proven <= cost + 1 + 1e-7 * cost);
        assert_true((double)proven >= cost - 1 - 1e-5 * cost);
        for (row = 0; row < linear->rows_count; row++)
            prices[row] *= row % 3 == 0 ? 0.5 : row % 3 == 1 ? -1 : 1.25;
        CHECK_OK(remat_linear_proven(linear, prices, &less, &err), err);
        assert_true((double)less <= cost + 1 + 1e-7 * cost);
    }
    remat_linear_close(engine);
    return cost;
}

static void test_libraries(void **state)
{
    int32_t feasible = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 400 && remat_linear_libraries[0]; seed++) {
        struct remat_linear linear = {0};
        double first;
        int32_t k;
        random_program(&linear, seed);
        first = solve(&linear, remat_linear_libraries[0]);
        for (k = 1; remat_linear_libraries[k]; k++)
            assert_true(fabs(solve(&linear, remat_linear_libraries[k]) - first) <= 1 + 1e-6 * first);
        feasible += first >= 0;
        remat_linear_free(&linear);
    }
    assert_true(feasible > 100 || !remat_linear_libraries[0]);
}

/* Bounds of columns are read anew at each solving, and rows that are new. */
static void test_bounds(void **state)
{
    struct remat_linear linear = {0};
    struct remat_linear_engine *engine = NULL;
    struct remat_error err = {0};
    double solution[2], prices[2];
    int32_t first, second;
    bool found;
    (void)state;
    if (!remat_linear_libraries[0]) {
        assert_int_equal(remat_linear_open(&linear, NULL, NULL, &engine, &err), REMAT_UNAVAILABLE);
        return;
    }
    CHECK_OK(remat_linear_column(&linear, 3, &first, &err), err);
    CHECK_OK(remat_linear_column(&linear, 5, &second, &err), err);
    CHECK_OK(remat_linear_term(&linear, first, -1, &err), err);
    CHECK_OK(remat_linear_term(&linear, second, -1, &err), err);
    CHECK_OK(remat_linear_close_row(&linear, -1, &err), err);
    CHECK_OK(remat_linear_open(&linear, NULL, NULL, &engine, &err), err);
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    assert_true(found && fabs(cost_of(&linear, solution) - 3) < 1e-9);
    linear.high[first] = 0;
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    assert_true(found && fabs(cost_of(&linear, solution) - 5) < 1e-9);
    linear.high[second] = 0;
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    assert_false(found);
    linear.high[first] = linear.high[second] = 1;
    linear.low[second] = 1;
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    assert_true(found && fabs(cost_of(&linear, solution) - 5) < 1e-9);
    linear.low[second] = 0;
    CHECK_OK(remat_linear_term(&linear, first, 4, &err), err);
    CHECK_OK(remat_linear_close_row(&linear, 1, &err), err);
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    assert_true(found && fabs(cost_of(&linear, solution) - (0.25 * 3 + 0.75 * 5)) < 1e-9 && prices[1] > 0);
    remat_linear_close(engine);
    remat_linear_free(&linear);
}

/* Whether a choice of 0 and 1, a bit a column, keeps to the rows with the first column 0; its cost. */
static bool is_solution(const struct remat_linear *linear, uint32_t choice, int64_t *cost)
{
    int32_t row, k;
    *cost = 0;
    for (k = 0; k < linear->columns_count; k++)
        *cost += (choice >> k & 1) * linear->costs[k];
    for (row = 0; row < linear->rows_count; row++) {
        int64_t sum = 0;
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
            sum += (choice >> linear->terms[k].column & 1) * linear->terms[k].factor;
        if (sum > linear->limits[row])
            return false;
    }
    return !(choice & 1);
}

static bool is_left(const struct remat_linear *linear, uint32_t choice)
{
    int32_t k;
    for (k = 0; k < linear->columns_count; k++)
        if ((choice >> k & 1) < (uint32_t)linear->low[k] || (choice >> k & 1) > (uint32_t)linear->high[k])
            return false;
    return true;
}

/* Rows take no solution away, prices none that costs less than enough; and all is free again afterwards. */
static void check_fixing(struct remat_linear *linear, int64_t enough, int32_t *fixed)
{
    struct remat_linear_fixer fixer = {.linear = linear, .excess = 0};
    struct remat_linear_engine *engine;
    struct remat_error err = {0};
    double solution[MOST_COLUMNS], prices[MOST_ROWS];
    bool found, possible;
    uint32_t choice;
    int64_t cost;
    int32_t k;
    CHECK_OK(remat_linear_open(linear, NULL, NULL, &engine, &err), err);
    CHECK_OK(remat_linear_solve(engine, STEPS, solution, prices, &found, &err), err);
    if (found)
        CHECK_OK(remat_linear_fix_by_prices(&fixer, prices, enough, &err), err);
    CHECK_OK(remat_linear_fix_by_rows(&fixer, -1, &possible, &err), err);
    *fixed += fixer.fixed_count;
    for (choice = 0; choice < UINT32_C(1) << linear->columns_count; choice++)
        if (is_solution(linear, choice, &cost) && cost < enough)
            assert_true(possible && is_left(linear, choice));
    remat_linear_unfix(&fixer, 0, fixer.fixed_count);
    for (k = 0; k < linear->columns_count; k++)
        assert_true(linear->low[k] == 0 && linear->high[k] == 1);
    remat_linear_fixer_free(&fixer);
    remat_linear_close(engine);
}

static void test_fixing(void **state)
{
    int32_t fixed = 0, checked = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 3000 && remat_linear_libraries[0]; seed++) {
        struct remat_linear linear = {0};
        random_program(&linear, seed);
        if (linear.columns_count <= 12) {
            check_fixing(&linear, (int64_t)(seed % 40) * INT64_C(1000000000), &fixed);
            checked++;
        }
        remat_linear_free(&linear);
    }
    assert_true((checked > 100 && fixed > checked) || !remat_linear_libraries[0]);
}

/* A program without what is fixed, that wakes its rows, from where another one ended: the same optimum. */
static void test_shrunk(void **state)
{
    int32_t compared = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 400 && remat_linear_libraries[0]; seed++) {
        struct remat_linear linear = {0};
        struct remat_linear_engine *whole, *shrunk;
        struct remat_linear_start start;
        struct remat_error err = {0};
        double solution[MOST_COLUMNS], prices[MOST_ROWS], gain, cost;
        bool found, both;
        random_program(&linear, seed);
        linear.low[1] = linear.high[1] = seed % 2;
        CHECK_OK(remat_linear_open(&linear, NULL, NULL, &whole, &err), err);
        CHECK_OK(remat_linear_solve(whole, STEPS, solution, prices, &found, &err), err);
        if (found) {
            CHECK_OK(remat_linear_open(&linear, NULL, prices, &shrunk, &err), err);
            CHECK_OK(remat_linear_keep_start(whole, &start, &err), err);
            linear.high[0] = 0;
            CHECK_OK(remat_linear_try(whole, &start, STEPS, &gain, &err), err);
            CHECK_OK(remat_linear_start_from(whole, &start, &err), err);
            CHECK_OK(remat_linear_solve(whole, STEPS, solution, prices, &found, &err), err);
            cost = cost_of(&linear, solution);
            CHECK_OK(remat_linear_solve(shrunk, STEPS, solution, prices, &both, &err), err);
            assert_true(found == both && (!found || fabs(cost_of(&linear, solution) - cost) <= 1 + 1e-6 * cost));
            compared += found;
            free(start.status);
            remat_linear_close(shrunk);
        }
        remat_linear_close(whole);
        remat_linear_free(&linear);
    }
    assert_true(compared > 50 || !remat_linear_libraries[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_libraries), cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_fixing), cmocka_unit_test(test_shrunk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
