/* The task graph: one training (or evaluation) step for one device, precision and parallelism, at fine grain.
 *
 * value   written once, by the first completion of its producer; has shape, dtype, layout and bytes.
 * cell    state that outlives the step (parameters, optimizer state, statistics, staging slots, metrics); a write makes
 *         the next version in place. A task that writes a cell runs exactly once.
 * recipe  a task that yields a value again, with the same bits. The producer is a recipe unless it writes cells;
 *         alternates (tasks outside `order`) are recipes that only ever run to recompute.
 * order   the one order of first execution. Every task of it runs at least once, in this order, in every plan.
 *
 * Invariants (remat_task_graph_check): inputs of a task precede it in `order`; every value has exactly one producer in
 * `order`; an alternate's outputs are values that the order produces; a cell read names the version that the
 * order gives it; an alternate's reads name the version that the producer of its first output found; an alternate reads
 * nothing that is first made after its outputs; bytes are aligned sizes of tensors (exact sizes in imported graphs).
 * The bytes of all values, and the times of all tasks, sum to less than 2^53; rates of copies are 0 or at least
 * REMAT_LEAST_COPY_RATE, so that each takes less than 2^63 ns. Sections: tasks of `micro` run for every
 * micro step, those of `finish` once after the last; the order lists all of micro before all of finish.
 *
 * It is also what a profile holds: option times are filled in by the profiler. See docs/formats.md for its JSON. */
#ifndef REMAT_CORE_GRAPH_TASK_GRAPH_H
#define REMAT_CORE_GRAPH_TASK_GRAPH_H

#include "core/base/memory.h"
#include "core/graph/op.h"

#include <jansson.h>

#define REMAT_CATEGORY_LIST(X)                                                               \
    X(REMAT_BATCH, "batch")                                                                  \
    X(REMAT_ACTIVATION, "activation")                                                        \
    X(REMAT_STATISTIC, "statistic") /* batch means, log-sum-exp: small, kept for backward */ \
    X(REMAT_WORKSPACE, "workspace") /* pool places, copies of weights in another type */     \
    X(REMAT_ACTIVATION_GRADIENT, "activation gradient")                                      \
    X(REMAT_PARAMETER_GRADIENT, "parameter gradient")                                        \
    X(REMAT_SCRATCH, "scratch") /* of plans, not of values */                                \
    X(REMAT_STAGING, "staging")

enum remat_category {
#define X(name, text) name,
    REMAT_CATEGORY_LIST(X)
#undef X
        REMAT_CATEGORY_COUNT
};

#define REMAT_CELL_KIND_LIST(X)                     \
    X(REMAT_PARAMETER, "parameter")                 \
    X(REMAT_RUNNING_STATISTIC, "running statistic") \
    X(REMAT_OPTIMIZER_STATE, "optimizer state")     \
    X(REMAT_GRADIENT_SUM, "gradient sum")           \
    X(REMAT_METRICS, "metrics")                     \
    X(REMAT_STAGING_SLOT, "staging slot") /* in the arena: counts there, not as persistent */

enum remat_cell_kind {
#define X(name, text) name,
    REMAT_CELL_KIND_LIST(X)
#undef X
        REMAT_CELL_KIND_COUNT
};

enum remat_phase { REMAT_FORWARD, REMAT_BACKWARD, REMAT_UPDATE };
enum remat_section { REMAT_MICRO, REMAT_FINISH };
enum remat_space { REMAT_DEVICE, REMAT_HOST, REMAT_SPACE_COUNT };

struct remat_value {
    const char *name;
    struct remat_tensor tensor;
    int64_t bytes; /* aligned */
    enum remat_category category;
    enum remat_space space;
    int32_t block;
    int32_t producer;                /* task of `order` */
    int32_t recipes_count, *recipes; /* tasks, ascending; may be empty */
    int32_t users_count, *users;     /* tasks of `order` that read it, in that order */
};

struct remat_cell {
    const char *name;
    struct remat_tensor tensor;
    int64_t bytes; /* aligned */
    enum remat_cell_kind kind;
    int32_t parameter; /* of the layer graph, or -1 */
};

struct remat_cell_use {
    int32_t cell;
    int32_t version; /* the version read; a write makes version + 1 */
    bool write;
};

/* One implementation of a task. `time_ns` is measured or estimated; scratch is aligned. */
struct remat_option {
    const char *name;
    int64_t scratch_bytes;
    int64_t time_ns;
    int64_t spread_ns; /* half the interquartile range of the measurement; 0 for estimates */
    int32_t numerics;  /* options of one class give equal bits */
};

struct remat_task {
    const char *name;
    enum remat_op op;
    struct remat_op_attr attr;
    enum remat_phase phase;
    enum remat_section section;
    int32_t block;
    int32_t inputs_count, inputs[REMAT_MAX_INPUTS];    /* values */
    int32_t outputs_count, outputs[REMAT_MAX_OUTPUTS]; /* values */
    int32_t cells_count;
    struct remat_cell_use cells[REMAT_MAX_CELLS];
    int32_t in_place_count;
    struct remat_in_place in_place[4];
    int32_t options_count;
    struct remat_option *options;
    int32_t position; /* in `order`, or -1 for an alternate */
    uint64_t signature;
};

enum { REMAT_LEAST_COPY_RATE = 1000000 }; /* bytes a second */

struct remat_task_graph {
    const char *name;
    struct remat_pool pool; /* owns strings, block_names and the small arrays */
    struct remat_value *values;
    struct remat_cell *cells;
    struct remat_task *tasks;
    int32_t *order;
    const char **block_names;
    int32_t values_count, values_capacity, cells_count, cells_capacity, tasks_count, tasks_capacity, order_count,
        order_capacity, blocks_count;
    int32_t micro_count;      /* micro steps a step */
    int64_t staging_bytes;    /* staging slots, at the start of every arena */
    int64_t persistent_bytes; /* all other cells */
    const char *device;       /* fingerprint: device, ISA, threads, library versions; "" for imported graphs */
    bool measured;            /* option times were measured, not estimated */
    /* How fast values are copied to host memory and back beside the kernels; 0: unknown, so none may be. */
    int64_t to_host_bytes_per_s, to_device_bytes_per_s;
    int64_t move_bytes_per_s; /* how fast values are copied within device memory; 0: unknown, so it counts no time */
};

void remat_task_graph_init(struct remat_task_graph *graph);
void remat_task_graph_free(struct remat_task_graph *graph);

/* Building. Each returns the new id through *out. Values' bytes come from their tensors. */
REMAT_MUST_CHECK enum remat_status remat_add_value(struct remat_task_graph *graph, const struct remat_tensor *tensor,
                                                   enum remat_category category, int32_t block, int32_t *out,
                                                   struct remat_error *err, const char *name_format, ...)
    __attribute__((format(printf, 7, 8)));
REMAT_MUST_CHECK enum remat_status remat_add_cell(struct remat_task_graph *graph, const struct remat_tensor *tensor,
                                                  enum remat_cell_kind kind, int32_t parameter, const char *name,
                                                  int32_t *out, struct remat_error *err);
/* Copies *task (name, op, attr, phase, section, block, operands, options); sets in_place, signature, and position: the
 * next one in the order, or -1 if `alternate`. Cell versions are filled in by remat_task_graph_finish(). */
REMAT_MUST_CHECK enum remat_status remat_add_task(struct remat_task_graph *graph, const struct remat_task *task,
                                                  bool alternate, int32_t *out, struct remat_error *err);
/* Fills in producers, recipes, users, versions, staging and persistent bytes, and checks all invariants. */
REMAT_MUST_CHECK enum remat_status remat_task_graph_finish(struct remat_task_graph *graph, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_task_graph_check(const struct remat_task_graph *graph,
                                                          struct remat_error *err);

/* The kernel spec of a task. */
struct remat_kernel_spec remat_task_spec(const struct remat_task_graph *graph, const struct remat_task *task);
/* Whether a task may run again: it writes no cell. */
bool remat_task_repeatable(const struct remat_task *task);
/* Identity of what a plan depends on: structure, sizes, scratch, device; not times or names. */
uint64_t remat_task_graph_hash(const struct remat_task_graph *graph);
/* Sum of the fastest option times over the order, those of micro micro_count times: keep-all's predicted step. */
int64_t remat_task_graph_base_time_ns(const struct remat_task_graph *graph);

/* Drops the options of other numerics classes, unless none would be left. */
void remat_task_keep_class(struct remat_task *task, int32_t numerics);
/* Leaves each task the options of one numerics class, that of its fastest option (of equals the first). */
void remat_task_graph_keep_fastest(struct remat_task_graph *graph);

/* Takes over the option times and the rates of copies of `from`, which must be the same graph (equal hashes,
 * REMAT_BAD_DATA otherwise): a plan's predicted times hold only with those it was made from. Tasks of `graph` with
 * options of several numerics classes first keep those of the class that `from` has. */
REMAT_MUST_CHECK enum remat_status remat_task_graph_adopt_times(struct remat_task_graph *graph,
                                                                const struct remat_task_graph *from,
                                                                struct remat_error *err);

/* JSON, format "remat-profile". `from_json` checks everything; the caller frees *out in any case. */
json_t *remat_task_graph_to_json(const struct remat_task_graph *graph);
REMAT_MUST_CHECK enum remat_status remat_task_graph_from_json(const json_t *json, const char *where,
                                                              struct remat_task_graph *out, struct remat_error *err);
/* Imports the public "remat-graph" format: one output a node, single option, all repeatable. */
REMAT_MUST_CHECK enum remat_status remat_task_graph_import(const json_t *json, const char *where,
                                                           struct remat_task_graph *out, struct remat_error *err);

#endif
