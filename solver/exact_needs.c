#include "solver/exact_needs.h"

#include <stdlib.h>
#include <string.h>

static bool may_repeat(const struct remat_exact_task *task)
{
    return task->until >= 0 && task->since <= task->until;
}

static bool same_makers(const struct remat_exact_problem *problem, int32_t a, int32_t b)
{
    int32_t t;
    for (t = 0; t < problem->tasks_count; t++)
        if (may_repeat(&problem->tasks[t]) &&
            (problem->tasks[t].outputs >> a & 1) != (problem->tasks[t].outputs >> b & 1))
            return false;
    return true;
}

/* All that the problem names, inputs that no task makes, too. */
static uint64_t values_of(const struct remat_exact_problem *problem)
{
    uint64_t values = problem->present | problem->wanted;
    int32_t t;
    for (t = 0; t < problem->tasks_count; t++)
        values |= problem->tasks[t].inputs | problem->tasks[t].outputs;
    return values;
}

static void group_values(const struct remat_exact_problem *problem, struct remat_exact_needs *needs)
{
    uint64_t left, before, values = values_of(problem);
    int32_t count = 0;
    for (left = values; left; left &= left - 1) {
        int32_t value = __builtin_ctzll(left), same = -1;
        for (before = values & (((uint64_t)1 << value) - 1); before && same < 0; before &= before - 1)
            if (same_makers(problem, value, __builtin_ctzll(before)))
                same = needs->group[__builtin_ctzll(before)];
        needs->group[value] = (int8_t)(same >= 0 ? same : count++);
    }
}

/* The groups that a task makes values of, as a set. */
static uint64_t groups_of(const struct remat_exact_needs *needs, const struct remat_exact_task *task)
{
    uint64_t left, groups = 0;
    for (left = task->outputs; left; left &= left - 1)
        groups |= UINT64_C(1) << needs->group[__builtin_ctzll(left)];
    return groups;
}

static void charge_groups(const struct remat_exact_problem *problem, struct remat_exact_needs *needs)
{
    int32_t t;
    for (t = 0; t < problem->tasks_count; t++) {
        const struct remat_exact_task *task = &problem->tasks[t];
        uint64_t groups = may_repeat(task) ? groups_of(needs, task) : 0, left;
        int64_t share = groups ? remat_exact_fastest_ns(problem, t) / __builtin_popcountll(groups) : 0;
        for (left = groups; left; left &= left - 1) {
            struct remat_exact_group *group = &needs->groups[__builtin_ctzll(left)];
            group->inputs = group->made ? group->inputs & task->inputs : task->inputs;
            group->least_ns = group->made && group->least_ns < share ? group->least_ns : share;
            group->made = true;
        }
    }
}

enum remat_status remat_exact_needs_init(const struct remat_exact_problem *problem, struct remat_exact_needs *out,
                                         struct remat_error *err)
{
    int32_t k, count = problem->order_count;
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_ALLOC(out->roots, count + 1, err));
    REMAT_TRY(REMAT_ALLOC(out->later, count + 1, err));
    out->roots[count] = problem->wanted;
    for (k = count - 1; k >= 0; k--) {
        const struct remat_exact_task *task = &problem->tasks[problem->order[k]];
        out->roots[k] = (out->roots[k + 1] & ~task->outputs) | task->inputs;
        out->later[k] = out->later[k + 1] | task->outputs;
    }
    group_values(problem, out);
    charge_groups(problem, out);
    return REMAT_OK;
}

void remat_exact_needs_free(struct remat_exact_needs *needs)
{
    free(needs->roots);
    free(needs->later);
}

int64_t remat_exact_needs_ns(const struct remat_exact_needs *needs, int32_t done, uint64_t present)
{
    uint64_t known = present | needs->later[done], next = needs->roots[done] & ~present, missing = next, charged = 0;
    int64_t least_ns = 0;
    while (next) {
        int32_t id = needs->group[__builtin_ctzll(next)];
        const struct remat_exact_group *group = &needs->groups[id];
        next &= next - 1;
        if (charged >> id & 1)
            continue;
        if (!group->made)
            return INT64_MAX;
        charged |= UINT64_C(1) << id;
        least_ns += group->least_ns;
        next |= group->inputs & ~known & ~missing;
        missing |= next;
    }
    return least_ns;
}
