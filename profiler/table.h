/* A profile as rows for people: one per distinct signature, the most expensive first. */
#ifndef REMAT_PROFILER_TABLE_H
#define REMAT_PROFILER_TABLE_H

#include "core/graph/task_graph.h"
#include "profiler/profiler.h"

struct remat_profile_row {
    uint64_t signature;
    enum remat_op op;
    const char *option;          /* the fastest; borrows from the graph */
    char shapes[160];            /* "[100,32,32,3] * [64,7,7,3] -> [100,16,16,64]": input, cell, output */
    int32_t count;               /* tasks of the order */
    int32_t alternates;          /* tasks that only ever recompute */
    int64_t time_ns, spread_ns;  /* of one run */
    int64_t flop, traffic_bytes; /* of one run */
    double gflop_per_second, gbyte_per_second;
    double compute_share, memory_share; /* of the measured peaks */
    int64_t kept_bytes;                 /* outputs */
    int64_t scratch_bytes;
};

/* The caller frees *rows. */
REMAT_MUST_CHECK enum remat_status remat_profile_table(const struct remat_task_graph *graph,
                                                       const struct remat_machine_peaks *peaks,
                                                       struct remat_profile_row **rows, int32_t *count,
                                                       struct remat_error *err);

#endif
