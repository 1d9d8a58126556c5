/* A measurement in its own process: runs a plan step by step on request and reports its memory at the end.
 *
 * The process's own peak then belongs to one plan alone, and a driver can interleave the steps of two plans slice by
 * slice, so that ratios survive a noisy machine. Driver and worker talk in lines: "step" is answered by the nanoseconds
 * of a step; "step N" too, but on the host it says "turn" after the instruction that ends N nanoseconds of work and
 * goes on at any line, waiting not counting; "parts" by how many instructions were timed in it, then by the nanoseconds
 * of each, a line each (none on a device that runs a step as a whole), "steps N" by those that N steps in a row took
 * altogether by the wall's clock, "end" by one line of numbers (below, in that order), after which the worker exits. */
#ifndef REMAT_BENCH_WORKER_H
#define REMAT_BENCH_WORKER_H

#include "core/plan/plan.h"
#include "trainer/workload.h"

#include <sys/types.h>

/* What a worker says at its end; every number is measured, none taken from the plan. */
struct remat_worker_report {
    int64_t peak_bytes, live_bytes; /* of the tracker */
    int64_t
        process_peak_bytes; /* beyond what was held before the arena: VmHWM, or on a device what NVML tells (-1: not) */
    uint64_t state_hash;    /* of all cells after the last step */
    int64_t host_peak_bytes, host_live_bytes; /* of the tracker, where the plan offloads */
};

/* The worker's side: serves `in` until "end" or end of file. */
REMAT_MUST_CHECK enum remat_status remat_worker_serve(struct remat_workload *workload, const struct remat_plan *plan,
                                                      int in, int out, struct remat_error *err);

/* The driver's side. */
struct remat_worker {
    pid_t pid;
    int to, from;
};

/* Starts `command` (argv ended by NULL, argv[0] a path), which must end up in remat_worker_serve. */
REMAT_MUST_CHECK enum remat_status remat_worker_start(char *const command[], struct remat_worker *out,
                                                      struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_worker_step(struct remat_worker *worker, int64_t *step_ns,
                                                     struct remat_error *err);
/* A step of each, in slices of at least slices_ns (more than 0), so that the one has done as much of its step as the
 * other: what slows the machine for longer than a slice slows both. A step's time should be to its slice as the other's
 * to the other's. Slices of a device that runs a step as a whole are whole steps. */
REMAT_MUST_CHECK enum remat_status remat_workers_step_in_turn(struct remat_worker *const workers[2],
                                                              const int64_t slices_ns[2], int64_t steps_ns[2],
                                                              struct remat_error *err);
/* Times of the last step's instructions, 0 for copies and waits; *count 0 where they are not known. *ns grows. */
REMAT_MUST_CHECK enum remat_status remat_worker_parts(struct remat_worker *worker, int64_t **ns, int32_t *count,
                                                      int32_t *capacity, struct remat_error *err);
/* Ends the process; with `report` NULL without asking. */
REMAT_MUST_CHECK enum remat_status remat_worker_end(struct remat_worker *worker, struct remat_worker_report *report,
                                                    struct remat_error *err);

#endif
