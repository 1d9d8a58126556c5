/* The commands of remat, one a file. */
#ifndef REMAT_CLI_COMMANDS_H
#define REMAT_CLI_COMMANDS_H

#include "cli/args.h"

extern const struct cli_command cli_check, cli_models, cli_profile, cli_solve, cli_explain, cli_sweep, cli_batchsize,
    cli_train, cli_eval, cli_data, cli_report, cli_worker;

#endif
