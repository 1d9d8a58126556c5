/* A proven lower bound on the step time of every schedule within a budget: the Lagrangian closure bound.
 *
 * At the first run of any task (a cut) what survives must fit beside what the run needs; what does not survive and is
 * read later is made again later, and so is whatever its making reads and did not survive either. The least time of
 * that under the budget, its memory constraint priced, is a minimum cut per price and concave in the price; the bound
 * is the base time plus the largest such value over all cuts. docs/lower-bounds.md states it and proves it.
 *
 * It holds for schedules whose first runs follow the order, whose live peak (core/plan/schedule.h) is within the budget
 * and whose options are of the first one's numerics class. All arithmetic that decides is in integers rounded down. */
#ifndef REMAT_SOLVER_CLOSURE_BOUND_H
#define REMAT_SOLVER_CLOSURE_BOUND_H

#include "core/graph/task_graph.h"
#include "solver/progress.h"

#include <signal.h>

/* What one budget's bound says. */
struct remat_bound {
    int64_t budget_bytes;
    int64_t lower_bound_ns; /* no schedule within the budget is faster; the base time at least */
    bool infeasible;        /* no schedule is within the budget: `task` says where */
    int32_t task;           /* whose first run sets the bound or needs most; -1: the bound is the base time */
    double price;           /* ns a byte more or less at that moment is worth */
};

struct remat_closure;

/* The caller frees *out. `graph` is borrowed until then. */
REMAT_MUST_CHECK enum remat_status remat_closure_make(const struct remat_task_graph *graph, struct remat_closure **out,
                                                      struct remat_error *err);
void remat_closure_free(struct remat_closure *closure);

/* Every task of the order once, each with its fastest option. */
int64_t remat_closure_base_ns(const struct remat_closure *closure);
/* A budget below this is infeasible, and the task whose first run shows it. */
int64_t remat_closure_least_bytes(const struct remat_closure *closure, int32_t *task);

/* Bounds for several budgets at once; what is learnt for one serves the others. They do not rise with the budget. */
REMAT_MUST_CHECK enum remat_status remat_closure_bounds(struct remat_closure *closure, const int64_t *budgets,
                                                        int32_t count, struct remat_bound *out,
                                                        struct remat_error *err);

/* How much to spend on a bound: cuts taken together, parts of the choices looked at (with a few linear programs each),
 * and columns that no program may exceed (of 4,000, as for 4 cuts of a step of 400 tasks, one takes some hundredths of
 * a second with CLP). */
struct remat_bound_effort {
    int32_t cuts, parts, columns;
    int64_t work;                      /* columns of all programs together; 0 = no limit */
    double deadline;                   /* seconds of the monotonic clock; 0 = none */
    const volatile sig_atomic_t *stop; /* ends it once set; NULL = none */
};
/* For as long as a deadline permits. */
extern const struct remat_bound_effort remat_bound_thorough;
/* Raises a bound found before by looking at several cuts together (solver/window_bound.h), until `progress`, which is
 * told of it, is enough. Without a library for linear programs, or if no cut sets the bound, it is left as it is. */
REMAT_MUST_CHECK enum remat_status remat_closure_strengthen(struct remat_closure *closure,
                                                            const struct remat_bound_effort *effort,
                                                            struct remat_progress *progress, struct remat_bound *bound,
                                                            struct remat_error *err);

/* What one cut alone says, and what should survive it: survives[v] for every value of the graph, within the budget by
 * the cut's own account (nothing, if that is infeasible). `survives` may be NULL. A start for the search. */
REMAT_MUST_CHECK enum remat_status remat_closure_at(struct remat_closure *closure, int32_t task, int64_t budget_bytes,
                                                    struct remat_bound *out, bool *survives, struct remat_error *err);

#endif
