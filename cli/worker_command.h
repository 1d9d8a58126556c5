/* The command line of a measuring worker (remat worker): the arguments that make it lower the same graph. */
#ifndef REMAT_CLI_WORKER_COMMAND_H
#define REMAT_CLI_WORKER_COMMAND_H

#include "cli/args.h"

#include <stddef.h>

enum { CLI_MAX_WORKER_ARGUMENTS = 48, CLI_ARGUMENT_BYTES = 64 };

/* argv borrows from the struct itself: do not copy it. */
struct cli_worker_command {
    char text[CLI_MAX_WORKER_ARGUMENTS][CLI_ARGUMENT_BYTES];
    char binary[512];
    char *argv[CLI_MAX_WORKER_ARGUMENTS + 1];
    int count;
};

REMAT_MUST_CHECK enum remat_status cli_worker_command(const struct cli_args *args, struct cli_worker_command *out,
                                                      struct remat_error *err);
/* "remat NAME" and the arguments, for the record. */
void cli_describe_command(const char *name, const struct cli_worker_command *command, char *text, size_t capacity);

#endif
