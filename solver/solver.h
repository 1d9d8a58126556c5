/* Solvers: from a task graph with times to a schedule within a budget. One file per method, all behind this interface.
 * They include only core, so they run anywhere from a profile. */
#ifndef REMAT_SOLVER_SOLVER_H
#define REMAT_SOLVER_SOLVER_H

#include "core/plan/plan.h"

#include <signal.h>

/* One graph being solved, perhaps for several budgets: what a method prepares once it keeps in `memo`. */
struct remat_solving {
    const struct remat_task_graph *graph; /* borrowed */
    struct remat_closure *closure;        /* lower bounds; NULL until asked for */
    void *memo;                           /* owned by the method */
    void (*release)(void *memo);          /* frees it; NULL if there is none */
    struct remat_solving *chain;          /* owned: of the chain method, for offloading; NULL until asked for */
};
void remat_solving_end(struct remat_solving *solving);
/* *out stays owned by `solving`. */
REMAT_MUST_CHECK enum remat_status remat_solving_closure(struct remat_solving *solving, struct remat_closure **out,
                                                         struct remat_error *err);

struct remat_solve_options {
    int64_t budget_bytes;      /* arena, staging included; INT64_MAX = none */
    int64_t host_budget_bytes; /* host memory that offloaded values may take (offload.h); 0 = nothing is offloaded */
    double time_limit_seconds; /* 0 = the method's own work limit only */
    double gap;                /* good enough: so much above the proven bound, relative to it */
    bool without_bound;        /* saves what proving takes: plans have lower_bound_ns 0 */
    uint64_t seed;
    int32_t threads;                   /* 0 = all processors; several are of use only with a limit of time */
    const volatile sig_atomic_t *stop; /* once set, the best found so far is the answer; NULL = none */
    /* Told of a search now and then: the best time known within the budget (INT64_MAX: none) and the bound. NULL =
     * nobody is. */
    void (*report)(void *context, int64_t best_ns, int64_t proven_ns);
    void *context;
    struct remat_solving *solving; /* calls for one graph and solver share what was prepared; NULL = nothing shared */
};

struct remat_solver {
    const char *name, *summary;
    bool anytime; /* improves for as long as it is given */
    /* Finds the fastest schedule whose live peak is within options->budget_bytes. REMAT_INFEASIBLE if the method knows
     * none; then the message names the smallest budget it can do and the task that sets it. */
    enum remat_status (*solve)(struct remat_solving *solving, const struct remat_solve_options *options,
                               struct remat_schedule *out, struct remat_error *err);
    /* The schedule of smallest live peak that the method knows. */
    enum remat_status (*smallest)(struct remat_solving *solving, const struct remat_solve_options *options,
                                  struct remat_schedule *out, struct remat_error *err);
};

/* All solvers, ended by a null name: keep-all, sqrt, chain, search. */
extern const struct remat_solver remat_solvers[];
/* The threads that these options mean. What they tell each other depends on when they get there, so without a limit of
 * time, where the same seed is to give the same plan, it is one. */
int32_t remat_solve_threads(const struct remat_solve_options *options);
/* Whether the gap is so large that any plan will do if it comes soon. */
bool remat_solve_is_hasty(const struct remat_solve_options *options);
/* `name` NULL: the default, "search". */
REMAT_MUST_CHECK enum remat_status remat_solver_find(const char *name, const struct remat_solver **out,
                                                     struct remat_error *err);

/* Solves, places and verifies; what recomputes is always placed in its live peak (plan.h), what offloads is asked for
 * again, for less memory, where its placement exceeds a budget. With host memory the answer is the faster of
 * recomputing alone and recomputing with offloading; REMAT_UNAVAILABLE if the graph has no rates of copies.
 * REMAT_INFEASIBLE tells the smallest feasible budget without offloading and the task that sets it. The caller frees
 * *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_solve(const struct remat_task_graph *graph, const struct remat_solver *solver,
                                               const struct remat_solve_options *options, struct remat_plan *out,
                                               struct remat_error *err);

/* The same for several budgets from one preparation; options->budget_bytes is not used. plans[i] is for budgets[i]; one
 * that is infeasible stays empty (no instructions). The caller frees all plans in any case. */
REMAT_MUST_CHECK enum remat_status remat_solve_curve(const struct remat_task_graph *graph,
                                                     const struct remat_solver *solver,
                                                     const struct remat_solve_options *options, const int64_t *budgets,
                                                     int32_t count, struct remat_plan *plans, struct remat_error *err);

/* The smallest arena that the method can do without offloading, placed and verified, without a lower bound. */
REMAT_MUST_CHECK enum remat_status remat_solve_smallest(const struct remat_task_graph *graph,
                                                        const struct remat_solver *solver,
                                                        const struct remat_solve_options *options,
                                                        struct remat_plan *out, struct remat_error *err);

#endif
