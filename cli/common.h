/* What several commands share: from arguments to a workload, a solver, a budget; progress and tables on the terminal.
 */
#ifndef REMAT_CLI_COMMON_H
#define REMAT_CLI_COMMON_H

#include "cli/args.h"
#include "solver/solver.h"
#include "trainer/workload.h"

/* The options that name a model and a device, as they appear in every command that takes them. */
#define CLI_MODEL_OPTIONS "batch image seq classes stem layers width heads vocab dropout"
#define CLI_DEVICE_OPTIONS "device precision threads seed"
#define CLI_PROFILE_OPTIONS "options analytic refresh cache"
#define CLI_STEP_OPTIONS "recipe optimizer momentum nesterov weight-decay smoothing clip accumulate"

/* The type of activations that --precision asks for, and the device's part of it. */
REMAT_MUST_CHECK enum remat_status cli_precision(const struct cli_args *args, enum remat_dtype *out,
                                                 struct remat_error *err);
struct remat_device_config cli_device_config(const struct cli_args *args);
/* Fills *out from the arguments; the model's name is args->positionals[0]. Strings borrow from the arguments. */
REMAT_MUST_CHECK enum remat_status cli_workload_config(const struct cli_args *args, struct remat_workload_config *out,
                                                       struct remat_error *err);
/* Opens the workload with times of that kind (the roofline's with --analytic), showing progress. */
REMAT_MUST_CHECK enum remat_status cli_open_workload(const struct cli_args *args, enum remat_time_source times,
                                                     struct remat_workload *out, struct remat_error *err);
/* Sets the profile cache's path to the default one, held in `buffer`, unless --cache gave another. */
REMAT_MUST_CHECK enum remat_status cli_cache_path(struct remat_profile_options *options, char *buffer, int capacity,
                                                  struct remat_error *err);
REMAT_MUST_CHECK enum remat_status cli_solver(const struct cli_args *args, const struct remat_solver **out,
                                              struct remat_error *err);
/* Budget in bytes: --budget (a fraction is of keep-all's arena), --memory (a fraction is of what the device has
 * available; less what is persistent), or none. A workload without a device takes the host's memory. */
REMAT_MUST_CHECK enum remat_status cli_solve_options(const struct cli_args *args, const struct remat_workload *workload,
                                                     struct remat_solve_options *out, struct remat_error *err);

/* A progress callback for the library: a bar on a terminal, nothing elsewhere. `context` is unused. */
void cli_progress(void *context, const char *what, double fraction);
/* The same of a search for a plan (`report` of remat_solve_options). */
void cli_progress_search(void *context, int64_t best_ns, int64_t proven_ns);
void cli_progress_end(void);

/* Prints JSON to standard output and releases it. */
REMAT_MUST_CHECK enum remat_status cli_print_json(json_t *json, struct remat_error *err);

#endif
