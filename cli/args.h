/* Command-line arguments: one table of all options, of which each command takes some. */
#ifndef REMAT_CLI_ARGS_H
#define REMAT_CLI_ARGS_H

#include "core/base/size.h"
#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_MAX_POSITIONALS = 2 };

/* Everything that can be given; numbers not given are 0 and texts NULL, unless a default is noted. */
struct cli_args {
    const char *positionals[CLI_MAX_POSITIONALS];
    int32_t positionals_count;
    /* model */
    int64_t batch, image, length, classes, layers, width, heads, vocabulary;
    double dropout;
    const char *stem;
    /* device */
    const char *device, *precision;
    int64_t threads, seed;
    /* planning */
    struct remat_size budget, memory, smallest, largest, offload; /* the last three all zero: not given */
    bool budget_given, memory_given;
    const char *options, *solver, *profile, *graph, *schedule, *cache, *plan;
    double time_limit_seconds, gap_percent;
    bool curve, analytic, refresh;
    /* training */
    const char *data, *recipe, *optimizer, *lr_schedule, *milestones, *checkpoint, *url;
    double learning_rate, momentum, weight_decay, gamma, smoothing, max_norm, warmup_epochs, min_rate;
    bool nesterov, resume, all, keep_all_checkpoints, augment_off;
    int64_t steps, epochs, period, accumulate, save_every, log_every;
    /* output */
    const char *output;
    int64_t budgets;
    bool json, instructions, reference_budgets, help, interleave_off;
};

struct cli_command {
    const char *name;
    const char *usage;   /* after "remat NAME " */
    const char *summary; /* one line */
    const char *details; /* paragraphs and examples for --help */
    const char *options; /* names of the options it takes, blank-separated */
    int32_t positionals_minimum, positionals_maximum;
    enum remat_status (*run)(const struct cli_args *args, struct remat_error *err);
};

/* Parses what follows the command's name. REMAT_USAGE names the wrong argument and what was expected. */
REMAT_MUST_CHECK enum remat_status cli_parse(const struct cli_command *command, int argc, char **argv,
                                             struct cli_args *out, struct remat_error *err);
/* The manual page of a command. */
void cli_print_help(const struct cli_command *command, FILE *stream);

#endif
