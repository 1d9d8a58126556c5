/* The exact method, for problems of few values: the A* algorithm over (tasks of the order done, values present), guided
 * by what is missing (exact_needs.h).
 *
 * Dropping a value costs nothing, so values are kept until a run does not fit, and then every least set of them that
 * makes room is tried; what no later run can use is dropped at once. Costs are what exceeds the time of running every
 * task of the order once, so a step that needs little recomputation is found soon. The schedules are all those of the
 * given order of first executions under the rules of core/plan/schedule.h, options chosen run by run: the answer is the
 * optimum, and the least cost in the queue a lower bound wherever the search is given up. */
#ifndef REMAT_SOLVER_EXACT_H
#define REMAT_SOLVER_EXACT_H

#include "core/plan/schedule.h"

enum { REMAT_EXACT_MOST_VALUES = 64, REMAT_EXACT_STATES = 1 << 16 };

struct remat_exact_option {
    int64_t time_ns, bytes; /* bytes: scratch, and whatever else is live at the run alone */
};

/* Sets of values are masks. */
struct remat_exact_task {
    uint64_t inputs, outputs;
    int32_t position;               /* in the order, -1 = none */
    int32_t since, until;           /* may run again while so many tasks of the order are done, both included */
    int32_t pairs_count;            /* in-place pairs in order, of equal bytes, of inputs that are passed once */
    int8_t pairs[4][2];             /* input, output: values */
    int32_t options, options_count; /* the first one, and their number; at least one */
};

struct remat_exact_problem {
    int64_t bytes[REMAT_EXACT_MOST_VALUES];
    struct remat_exact_task *tasks; /* borrowed, and so are the other arrays */
    int32_t tasks_count;
    const struct remat_exact_option *options;
    const int32_t *order; /* tasks */
    int32_t order_count;
    uint64_t present, wanted; /* at the beginning, at the end */
    int64_t budget_bytes;     /* for values and runs */
    const int64_t *beside;    /* per number of tasks done: bytes that repetitions have to do without; NULL = none */
    int64_t below_ns;         /* answers that take as much or more are of no interest; INT64_MAX = all are */
    int32_t states;           /* gives up after so many */
};

struct remat_exact_run {
    int32_t task, option; /* of the problem */
};

struct remat_exact_answer {
    bool found;                   /* the runs below take exactly lower_bound_ns */
    int64_t lower_bound_ns;       /* nothing is faster; at least below_ns if nothing is faster than that */
    struct remat_exact_run *runs; /* owned; NULL unless found */
    int32_t runs_count, runs_capacity;
};

int64_t remat_exact_bytes(const struct remat_exact_problem *problem, uint64_t values);
/* By the fastest option. */
int64_t remat_exact_fastest_ns(const struct remat_exact_problem *problem, int32_t task);

/* The caller frees out->runs in any case. */
REMAT_MUST_CHECK enum remat_status remat_exact_search(const struct remat_exact_problem *problem,
                                                      struct remat_exact_answer *out, struct remat_error *err);

/* The same for a whole graph: found, and its schedule (empty unless found; the caller frees it in any case). A graph of
 * more than REMAT_EXACT_MOST_VALUES values is given up at once. */
struct remat_exact {
    bool found;
    int64_t lower_bound_ns; /* INT64_MAX: no schedule is within the budget */
    struct remat_schedule schedule;
};
REMAT_MUST_CHECK enum remat_status remat_exact_solve(const struct remat_task_graph *graph, int64_t budget_bytes,
                                                     int64_t below_ns, int32_t states, struct remat_exact *out,
                                                     struct remat_error *err);

#endif
