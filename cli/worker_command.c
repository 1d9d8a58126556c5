#include "cli/worker_command.h"

#include <stdio.h>
#include <unistd.h>

static void add_argument(struct cli_worker_command *command, const char *text)
{
    snprintf(command->text[command->count], CLI_ARGUMENT_BYTES, "%s", text);
    command->argv[command->count] = command->text[command->count];
    command->count++;
    command->argv[command->count] = NULL;
}

static void add_integer(struct cli_worker_command *command, const char *option, int64_t value)
{
    char text[CLI_ARGUMENT_BYTES];
    if (value == 0)
        return;
    snprintf(text, sizeof text, "%lld", (long long)value);
    add_argument(command, option);
    add_argument(command, text);
}

static void add_real(struct cli_worker_command *command, const char *option, double value, double unset)
{
    char text[CLI_ARGUMENT_BYTES];
    if (value == unset)
        return;
    snprintf(text, sizeof text, "%.17g", value);
    add_argument(command, option);
    add_argument(command, text);
}

static void add_text(struct cli_worker_command *command, const char *option, const char *value)
{
    if (!value)
        return;
    add_argument(command, option);
    add_argument(command, value);
}

enum remat_status cli_worker_command(const struct cli_args *args, struct cli_worker_command *command,
                                     struct remat_error *err)
{
    ssize_t length = readlink("/proc/self/exe", command->binary, sizeof command->binary - 1);
    if (length < 0)
        return remat_fail(err, REMAT_FAILED, "cannot find the path of this program in /proc/self/exe");
    command->binary[length] = '\0';
    command->count = 0;
    add_argument(command, "");
    command->argv[0] = command->binary;
    add_argument(command, "worker");
    add_integer(command, "--batch", args->batch);
    add_integer(command, "--image", args->image);
    add_integer(command, "--seq", args->length);
    add_integer(command, "--classes", args->classes);
    add_integer(command, "--layers", args->layers);
    add_integer(command, "--width", args->width);
    add_integer(command, "--heads", args->heads);
    add_integer(command, "--vocab", args->vocabulary);
    add_integer(command, "--threads", args->threads);
    add_integer(command, "--accumulate", args->accumulate);
    add_real(command, "--dropout", args->dropout, 0);
    add_real(command, "--momentum", args->momentum, -1);
    add_real(command, "--weight-decay", args->weight_decay, -1);
    add_real(command, "--smoothing", args->smoothing, -1);
    add_real(command, "--clip", args->max_norm, -1);
    add_text(command, "--stem", args->stem);
    add_text(command, "--device", args->device);
    add_text(command, "--precision", args->precision);
    add_text(command, "--options", args->options);
    add_text(command, "--recipe", args->recipe);
    add_text(command, "--optimizer", args->optimizer);
    if (args->nesterov)
        add_argument(command, "--nesterov");
    add_argument(command, args->positionals[0]);
    return REMAT_OK;
}

void cli_describe_command(const char *name, const struct cli_worker_command *command, char *text, size_t capacity)
{
    size_t used = (size_t)snprintf(text, capacity, "remat %s", name);
    for (int i = 2; i < command->count && used < capacity; i++)
        used += (size_t)snprintf(text + used, capacity - used, " %s", command->argv[i]);
}
