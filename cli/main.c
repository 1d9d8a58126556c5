/* remat: dispatches to the commands. Errors go to stderr as one line; the exit code is the status (docs/exit-codes.md).
 */
#include "cli/commands.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_command *const commands[] = {&cli_check,   &cli_models, &cli_profile,   &cli_solve,
                                                     &cli_explain, &cli_sweep,  &cli_batchsize, &cli_train,
                                                     &cli_eval,    &cli_data,   &cli_report,    &cli_worker};
enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

static void print_overview(FILE *stream)
{
    fprintf(stream, "remat: training within a memory budget\n\nusage: remat COMMAND ...\n\n");
    for (int i = 0; i < COMMANDS_COUNT; i++)
        if (commands[i] != &cli_worker)
            fprintf(stream, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(stream, "\nremat COMMAND --help shows the options and examples of a command.\n"
                    "remat --version shows the version.\n");
}

static int fail(const struct remat_error *err)
{
    fprintf(stderr, "remat: %s\n", err->message);
    return err->status;
}

static int run_command(const struct cli_command *command, int argc, char **argv)
{
    struct remat_error err = {REMAT_OK, ""};
    struct cli_args args;
    if (cli_parse(command, argc, argv, &args, &err) != REMAT_OK)
        return fail(&err);
    if (args.help) {
        cli_print_help(command, stdout);
        return REMAT_OK;
    }
    if (command->run(&args, &err) != REMAT_OK)
        return fail(&err);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        remat_fail(&err, REMAT_IO, "writing to standard output failed; is the disk full?");
        return fail(&err);
    }
    return REMAT_OK;
}

/* GNU OpenMP's waiting threads spin for milliseconds, which takes time from whoever shares the processor; spinning for
 * some microseconds is as fast for our short gaps. Its settings are read before main, so the command starts itself
 * again with them, unless the user has set any; where that fails, it goes on without. */
static void wait_briefly(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("GOMP_SPINCOUNT", "3000", 1) == 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    wait_briefly(argv);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write with a message, not a silent death */
    if (argc < 2) {
        print_overview(stderr);
        return REMAT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_overview(stdout);
        return REMAT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("remat %s\n", REMAT_VERSION);
        return REMAT_OK;
    }
    for (int i = 0; i < COMMANDS_COUNT; i++)
        if (strcmp(argv[1], commands[i]->name) == 0)
            return run_command(commands[i], argc - 2, argv + 2);
    fprintf(stderr, "remat: unknown command \"%s\"; remat --help lists the commands\n", argv[1]);
    return REMAT_USAGE;
}
