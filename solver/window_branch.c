#include "solver/window_branch.h"

#include <math.h>

/* Steps of a try; columns tried a part; what was seen less often is tried. */
enum { STEPS_A_TRY = 15, MOST_TRIES = 4, RELIABLE = 1 };
static const double UNDECIDED = 1e-6;
/* Of the gains' product, in ns: what counts where a side gains nothing. */
static const double LEAST_GAIN = 1;

struct candidate {
    int32_t column;
    double bytes; /* undecided */
};

/* The candidates of most bytes, in descending order. */
struct candidates {
    const struct remat_window_tree *tree;
    struct candidate list[MOST_TRIES];
    int32_t count;
    /* The best of those known well. */
    int32_t known;
    double known_score;
};

static bool is_reliable(const struct remat_window_gain *gain)
{
    return gain->count[0] >= RELIABLE && gain->count[1] >= RELIABLE;
}

static double score(const struct remat_window_tree *tree, const struct remat_window_part *part, const double *gains)
{
    int64_t enough = remat_window_tree_enough(tree);
    double most = enough == INT64_MAX ? INFINITY : (double)(enough - part->proven);
    return fmax(fmin(gains[0], most), LEAST_GAIN) * fmax(fmin(gains[1], most), LEAST_GAIN);
}

static double expected_score(const struct remat_window_tree *tree, const struct remat_window_part *part, int32_t column)
{
    const struct remat_window_gain *gain = &tree->gains[column];
    double value = tree->solution[column];
    double gains[2] = {gain->sum[0] / gain->count[0] * value, gain->sum[1] / gain->count[1] * (1 - value)};
    return score(tree, part, gains);
}

static void consider(struct candidates *c, const struct remat_window_part *part, int32_t column, int64_t bytes)
{
    double value = column >= 0 ? c->tree->solution[column] : 0, undecided;
    int32_t k;
    if (value <= UNDECIDED || value >= 1 - UNDECIDED || bytes == 0)
        return;
    if (is_reliable(&c->tree->gains[column])) {
        double expected = expected_score(c->tree, part, column);
        if (expected > c->known_score) {
            c->known_score = expected;
            c->known = column;
        }
        return;
    }
    undecided = (value < 0.5 ? value : 1 - value) * (double)bytes;
    if (c->count == MOST_TRIES && undecided <= c->list[c->count - 1].bytes)
        return;
    c->count += c->count < MOST_TRIES;
    for (k = c->count - 1; k > 0 && c->list[k - 1].bytes < undecided; k--)
        c->list[k] = c->list[k - 1];
    c->list[k] = (struct candidate){column, undecided};
}

/* Survivors and runs. */
static void list_candidates(struct candidates *c, const struct remat_window_part *part)
{
    const struct remat_window_program *p = &c->tree->program;
    const int64_t ways = p->model->ways_count;
    int32_t k, w;
    for (k = 0; k < p->survivors_count; k++)
        consider(c, part, p->survivors[k].column, p->survivors[k].weight);
    for (k = 0; k < p->cuts_count; k++)
        for (w = 0; w < ways; w++)
            consider(c, part, p->run[k * ways + w], p->way_bytes[w]);
}

static void note(struct remat_window_gain *gain, int8_t value, double sum)
{
    gain->sum[value] += sum;
    gain->count[value]++;
}

static enum remat_status try_column(struct remat_window_tree *tree, const struct remat_window_part *part,
                                    int32_t column, double *gains, struct remat_error *err)
{
    double change[2] = {tree->solution[column], 1 - tree->solution[column]};
    int32_t known = tree->fixer.fixed_count;
    bool possible;
    int8_t value;
    for (value = 0; value <= 1; value++) {
        REMAT_TRY(remat_linear_fix(&tree->fixer, column, value, err));
        REMAT_TRY(remat_linear_fix_by_rows(&tree->fixer, known, &possible, err));
        gains[value] = INFINITY;
        if (possible)
            REMAT_TRY(remat_linear_try(tree->engine, &part->start, STEPS_A_TRY, &gains[value], err));
        remat_linear_unfix(&tree->fixer, known, tree->fixer.fixed_count);
        tree->fixer.fixed_count = known;
        if (possible)
            note(&tree->gains[column], value, gains[value] / change[value]);
    }
    return REMAT_OK;
}

enum remat_status remat_window_choose(struct remat_window_tree *tree, struct remat_window_part *part,
                                      struct remat_error *err)
{
    struct candidates candidates = {.tree = tree, .known = -1};
    double best, gains[2];
    int32_t k;
    list_candidates(&candidates, part);
    part->branch = candidates.known >= 0 || candidates.count == 0 ? candidates.known : candidates.list[0].column;
    best = candidates.known_score;
    for (k = 0; k < candidates.count && part->start.status; k++) {
        double now;
        REMAT_TRY(try_column(tree, part, candidates.list[k].column, gains, err));
        now = score(tree, part, gains);
        if (now > best) {
            best = now;
            part->branch = candidates.list[k].column;
        }
    }
    part->value = part->branch >= 0 ? tree->solution[part->branch] : 0;
    return REMAT_OK;
}

void remat_window_note_gain(struct remat_window_tree *tree, const struct remat_window_part *part, int8_t value,
                            int64_t proven)
{
    int64_t enough = remat_window_tree_enough(tree);
    double gain = (double)((proven < enough ? proven : enough) - part->proven);
    note(&tree->gains[part->branch], value, gain / (value == 0 ? part->value : 1 - part->value));
}
