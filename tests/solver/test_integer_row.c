/* Rounded rows hold for every 0-1 point of the row they come from, and cut off the solution they were made for. */
#include "tests/solver/support_chain.h"

#include "solver/integer_row.h"

#include "tests/core/support_random_graph.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_COLUMNS = 11, ROWS = 4000 };

struct row_case {
    struct remat_integer_row row;
    struct remat_linear linear;
    double solution[MOST_COLUMNS];
    int32_t columns, excess;
};

/* Factors of either sign, columns that are 0, 1 or in between, twice added ones. */
static void make_case(struct row_case *c, uint64_t seed)
{
    struct random_stream stream = {.seed = seed};
    struct remat_error err = {0};
    int64_t scale = random_below(&stream, 2) ? 1 : 64 * (1 + random_below(&stream, 1 << 20));
    int32_t k, column;
    *c = (struct row_case){.columns = 3 + random_below(&stream, MOST_COLUMNS - 3)};
    for (k = 0; k <= c->columns; k++)
        CHECK_OK(remat_linear_column(&c->linear, 1, &column, &err), err);
    c->excess = c->columns;
    CHECK_OK(remat_integer_row_make(&c->row, c->columns, &err), err);
    for (k = 0; k < c->columns; k++) {
        c->solution[k] = random_below(&stream, 3) ? random_below(&stream, 2) : 0.01 * random_below(&stream, 101);
        remat_integer_row_add(&c->row, k, (random_below(&stream, 24) - 6) * scale);
        c->row.limit += c->row.factors[k] > 0 ? c->row.factors[k] / 2 : c->row.factors[k] / 3;
    }
    remat_integer_row_add(&c->row, 0, scale);
}

static void free_case(struct row_case *c)
{
    remat_integer_row_free(&c->row);
    remat_linear_free(&c->linear);
}

static bool holds_for_row(const struct row_case *c, unsigned point)
{
    int64_t sum = 0;
    int32_t k;
    for (k = 0; k < c->columns; k++)
        sum += point >> k & 1 ? c->row.factors[k] : 0;
    return sum <= c->row.limit;
}

/* The row that was written; `excess`: with that column 1. */
static bool holds_for_form(const struct row_case *c, unsigned point, bool excess)
{
    int64_t sum = 0;
    int32_t k;
    for (k = 0; k < c->linear.terms_count; k++) {
        int32_t column = c->linear.terms[k].column;
        if (column == c->excess ? excess : point >> column & 1)
            sum += c->linear.terms[k].factor;
    }
    return sum <= c->linear.limits[0];
}

static double beyond(const struct row_case *c)
{
    double sum = -(double)c->linear.limits[0];
    int32_t k;
    for (k = 0; k < c->linear.terms_count; k++)
        if (c->linear.terms[k].column != c->excess)
            sum += (double)c->linear.terms[k].factor * c->solution[c->linear.terms[k].column];
    return sum;
}

static void test_forms(void **state)
{
    int32_t rounded = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < ROWS; seed++) {
        struct row_case c;
        struct remat_error err = {0};
        struct remat_rounding rounding;
        unsigned point;
        make_case(&c, seed);
        rounding = remat_integer_row_round(&c.row, c.solution);
        CHECK_OK(remat_integer_row_write(&c.row, c.solution, &rounding, c.excess, &c.linear, &err), err);
        for (point = 0; point < 1u << c.columns; point++) {
            assert_true(holds_for_form(&c, point, true));
            assert_true(!holds_for_row(&c, point) || holds_for_form(&c, point, false));
        }
        assert_true(rounding.violation == 0 || beyond(&c) > 0);
        rounded += rounding.violation > 0 && rounding.divisor > 0;
        free_case(&c);
    }
    print_message("%d of %d rows rounded\n", rounded, ROWS);
    assert_true(rounded > ROWS / 10);
}

/* Keeping 0.92 of one value where all but 0.055 fit: at least one must be given up. */
static void test_cover(void **state)
{
    static const int64_t weights[] = {712, 356, 178, 89};
    struct row_case c = {.columns = 4, .excess = 4, .solution = {0.92, 1, 1, 1}};
    struct remat_error err = {0};
    struct remat_rounding rounding;
    int32_t k, column;
    (void)state;
    for (k = 0; k <= 4; k++)
        CHECK_OK(remat_linear_column(&c.linear, 1, &column, &err), err);
    CHECK_OK(remat_integer_row_make(&c.row, 4, &err), err);
    for (k = 0; k < 4; k++)
        remat_integer_row_add(&c.row, k, weights[k]);
    c.row.limit = 1335 - 55;
    rounding = remat_integer_row_round(&c.row, c.solution);
    assert_true(rounding.violation > 0 && rounding.divisor > 0);
    CHECK_OK(remat_integer_row_write(&c.row, c.solution, &rounding, c.excess, &c.linear, &err), err);
    assert_false(holds_for_form(&c, 0xf, false));
    for (k = 0; k < 4; k++)
        assert_true(holds_for_form(&c, 0xfu & ~(1u << k), false));
    remat_integer_row_clear(&c.row);
    assert_int_equal(c.row.touched_count, 0);
    assert_int_equal(c.row.factors[0], 0);
    free_case(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_cover)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
