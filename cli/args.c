#include "cli/args.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, INTEGER, REAL, TEXT, SIZE };

struct option {
    const char *name, *argument, *help;
    enum kind kind;
    size_t offset;
    double minimum, maximum; /* of numbers */
};

#define AT(member) offsetof(struct cli_args, member)

static const struct option options[] = {
    {"batch", "N", "samples a step (micro step with --accumulate)", INTEGER, AT(batch), 1, 1 << 20},
    {"image", "S", "image height and width", INTEGER, AT(image), 1, 1 << 14},
    {"seq", "T", "tokens a sequence", INTEGER, AT(length), 1, 1 << 20},
    {"classes", "K", "classes of an image model", INTEGER, AT(classes), 2, 1 << 20},
    {"stem", "imagenet|cifar", "first layers: 7x7/2 and pooling, or 3x3", TEXT, AT(stem), 0, 0},
    {"layers", "L", "transformer layers", INTEGER, AT(layers), 1, 4096},
    {"width", "C", "channels of a transformer", INTEGER, AT(width), 1, 1 << 16},
    {"heads", "H", "attention heads", INTEGER, AT(heads), 1, 1024},
    {"vocab", "V", "tokens in the vocabulary", INTEGER, AT(vocabulary), 2, 1 << 24},
    {"dropout", "P", "dropout probability (0)", REAL, AT(dropout), 0, 0.99},
    {"device", "cpu|ref|cuda[:N]", "where to run (cpu); ref is the slow, exact reference", TEXT, AT(device), 0, 0},
    {"precision", "f32|tf32|bf16", "tf32: products' operands on GPUs; bf16: activations, with f32 parameters and sums",
     TEXT, AT(precision), 0, 0},
    {"threads", "N", "threads (all cores)", INTEGER, AT(threads), 1, 4096},
    {"seed", "N", "seed of all random numbers (1)", INTEGER, AT(seed), 0, 9e15},
    {"budget", "SIZE", "bound on the arena: 512MiB, 4GiB, or 40% of keep-all's", SIZE, AT(budget), 0, 0},
    {"memory", "SIZE", "bound on parameters, optimizer state and arena together", SIZE, AT(memory), 0, 0},
    {"offload", "SIZE", "host memory that values may wait in: 8GiB, or 50% of what is available (none)", SIZE,
     AT(offload), 0, 0},
    {"options", "same|any", "any: fastest implementations even if they round otherwise (same)", TEXT, AT(options), 0,
     0},
    {"solver", "NAME", "keep-all, sqrt, chain, search (search)", TEXT, AT(solver), 0, 0},
    {"profile", "FILE", "use this profile instead of measuring", TEXT, AT(profile), 0, 0},
    {"graph", "FILE", "solve a graph in the remat-graph format", TEXT, AT(graph), 0, 0},
    {"schedule", "FILE", "also write the schedule as C and F lines", TEXT, AT(schedule), 0, 0},
    {"plan", "FILE", "run this plan instead of solving", TEXT, AT(plan), 0, 0},
    {"time-limit", "S", "seconds that the solver may take (its own limit of work)", REAL, AT(time_limit_seconds), 0,
     1e6},
    {"gap", "PERCENT", "good enough: so much above the proven bound (0.1)", REAL, AT(gap_percent), 0, 1e6},
    {"curve", NULL, "also solve 15 budgets from the smallest to keep-all", FLAG, AT(curve), 0, 0},
    {"analytic", NULL, "estimate times from the roofline instead of measuring", FLAG, AT(analytic), 0, 0},
    {"refresh", NULL, "measure again what the cache has", FLAG, AT(refresh), 0, 0},
    {"cache", "FILE", "profile cache (~/.cache/remat/profile.json)", TEXT, AT(cache), 0, 0},
    {"data", "DIR|FILE|synthetic", "CIFAR-10's binary files, any text (its last tenth validates), or made up", TEXT,
     AT(data), 0, 0},
    {"recipe", "NAME", "named set of training options: remat or reference (images), char (text)", TEXT, AT(recipe), 0,
     0},
    {"optimizer", "sgd|adamw", "optimizer (the recipe's; sgd without one)", TEXT, AT(optimizer), 0, 0},
    {"lr", "X", "learning rate", REAL, AT(learning_rate), 1e-12, 1e6},
    {"lr-schedule", "NAME", "constant, step, multistep, cosine, linear", TEXT, AT(lr_schedule), 0, 0},
    {"milestones", "A,B,..", "epochs of the multistep schedule", TEXT, AT(milestones), 0, 0},
    {"period", "E", "epochs between decays of the step schedule", INTEGER, AT(period), 1, 1 << 20},
    {"gamma", "X", "factor of the step schedules", REAL, AT(gamma), 0, 1e6},
    {"warmup", "E", "epochs of linear warm-up", REAL, AT(warmup_epochs), 0, 1e6},
    {"min-lr", "X", "where cosine and linear end", REAL, AT(min_rate), 0, 1e6},
    {"momentum", "X", "SGD momentum", REAL, AT(momentum), 0, 1},
    {"nesterov", NULL, "Nesterov momentum", FLAG, AT(nesterov), 0, 0},
    {"weight-decay", "X", "weight decay", REAL, AT(weight_decay), 0, 1e6},
    {"smoothing", "X", "label smoothing", REAL, AT(smoothing), 0, 0.99},
    {"clip", "X", "bound on the global gradient norm", REAL, AT(max_norm), 0, 1e9},
    {"accumulate", "G", "micro steps a step", INTEGER, AT(accumulate), 1, 1 << 20},
    {"no-augment", NULL, "no crops and flips", FLAG, AT(augment_off), 0, 0},
    {"epochs", "N", "epochs to train", INTEGER, AT(epochs), 1, 1 << 20},
    {"steps", "N", "steps to run", INTEGER, AT(steps), 1, 1 << 30},
    {"log-every", "N", "steps between log lines (1)", INTEGER, AT(log_every), 1, 1 << 30},
    {"save-every", "E", "epochs between checkpoints (1)", INTEGER, AT(save_every), 1, 1 << 20},
    {"checkpoint", "DIR", "folder of checkpoints", TEXT, AT(checkpoint), 0, 0},
    {"resume", NULL, "go on from what the output folder has", FLAG, AT(resume), 0, 0},
    {"keep-checkpoints", NULL, "keep every checkpoint, not only the newest two", FLAG, AT(keep_all_checkpoints), 0, 0},
    {"all", NULL, "every checkpoint in the folder", FLAG, AT(all), 0, 0},
    {"url", "URL", "download from here instead of the official place", TEXT, AT(url), 0, 0},
    {"budgets", "N", "budgets between the smallest and keep-all (15)", INTEGER, AT(budgets), 2, 1000},
    {"smallest", "SIZE", "smallest budget, in place of the smallest feasible one", SIZE, AT(smallest), 0, 0},
    {"largest", "SIZE", "largest budget, in place of keep-all's peak", SIZE, AT(largest), 0, 0},
    {"reference-budgets", NULL, "also the absolute budgets of the reference system", FLAG, AT(reference_budgets), 0, 0},
    {"no-interleave", NULL, "no keep-all steps between the measured ones", FLAG, AT(interleave_off), 0, 0},
    {"instructions", NULL, "list every instruction", FLAG, AT(instructions), 0, 0},
    {"json", NULL, "print JSON", FLAG, AT(json), 0, 0},
    {"output", "PATH", "where to write (-o PATH)", TEXT, AT(output), 0, 0},
    {"help", NULL, "this text", FLAG, AT(help), 0, 0},
};

enum { OPTIONS_COUNT = sizeof options / sizeof options[0] };

static bool takes(const struct cli_command *command, const char *name)
{
    size_t length = strlen(name);
    const char *at = command->options;
    if (strcmp(name, "help") == 0)
        return true;
    while ((at = strstr(at, name)) != NULL) {
        bool begins = at == command->options || at[-1] == ' ';
        bool ends = at[length] == '\0' || at[length] == ' ';
        if (begins && ends)
            return true;
        at += length;
    }
    return false;
}

static const struct option *find_option(const struct cli_command *command, const char *name, size_t length)
{
    for (int i = 0; i < OPTIONS_COUNT; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0)
            return takes(command, options[i].name) ? &options[i] : NULL;
    return NULL;
}

static enum remat_status parse_number(const struct option *option, const char *text, double *out,
                                      struct remat_error *err)
{
    /* Whole numbers are plain digits: 0x10 and 1e3 are more likely slips than numbers. */
    const char *allowed = option->kind == INTEGER ? "-0123456789" : "+-.eE0123456789";
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    if (end == text || *end || errno || strspn(text, allowed) != strlen(text))
        return remat_fail(err, REMAT_USAGE, "--%s: expected %s number, found \"%s\"", option->name,
                          option->kind == INTEGER ? "a whole" : "a", text);
    if (*out < option->minimum || *out > option->maximum)
        return remat_fail(err, REMAT_USAGE, "--%s: expected %.12g to %.12g, found %s", option->name, option->minimum,
                          option->maximum, text);
    return REMAT_OK;
}

static enum remat_status set_option(const struct option *option, const char *text, struct cli_args *out,
                                    struct remat_error *err)
{
    void *target = (char *)out + option->offset;
    double number = 0;
    if (option->kind == INTEGER || option->kind == REAL)
        REMAT_TRY(parse_number(option, text, &number, err));
    switch (option->kind) {
    case FLAG:
        *(bool *)target = true;
        break;
    case INTEGER:
        *(int64_t *)target = (int64_t)number;
        break;
    case REAL:
        *(double *)target = number;
        break;
    case TEXT:
        *(const char **)target = text;
        break;
    case SIZE:
        if (remat_size_parse(text, target, err) != REMAT_OK) {
            remat_error_prefix(err, "--%s", option->name);
            return REMAT_USAGE;
        }
        out->budget_given |= option->offset == AT(budget);
        out->memory_given |= option->offset == AT(memory);
        break;
    }
    return REMAT_OK;
}

static enum remat_status parse_option(const struct cli_command *command, int argc, char **argv, int *at,
                                      struct cli_args *out, struct remat_error *err)
{
    const char *given = argv[*at];
    const char *name = strcmp(given, "-o") == 0 ? "output" : strcmp(given, "-h") == 0 ? "help" : given + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    const struct option *option = find_option(command, name, length);
    if (!option)
        return remat_fail(err, REMAT_USAGE, "remat %s takes no option %s; remat %s --help lists what it takes",
                          command->name, given, command->name);
    if (option->kind == FLAG)
        return equals ? remat_fail(err, REMAT_USAGE, "--%s takes no value", option->name)
                      : set_option(option, NULL, out, err);
    if (equals)
        return set_option(option, equals + 1, out, err);
    if (*at + 1 >= argc)
        return remat_fail(err, REMAT_USAGE, "--%s: expected %s after it", option->name, option->argument);
    return set_option(option, argv[++*at], out, err);
}

enum remat_status cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *out,
                            struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    out->momentum = out->learning_rate = out->weight_decay = out->gamma = out->smoothing = out->warmup_epochs = -1;
    out->min_rate = out->max_norm = -1;
    out->seed = 1;
    out->gap_percent = 0.1;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "-h") == 0 || strncmp(argv[i], "--", 2) == 0) {
            REMAT_TRY(parse_option(command, argc, argv, &i, out, err));
        } else if (argv[i][0] == '-' && argv[i][1]) {
            return remat_fail(err, REMAT_USAGE, "unknown option %s; remat %s --help lists what it takes", argv[i],
                              command->name);
        } else if (out->positionals_count == command->positionals_maximum) {
            return remat_fail(err, REMAT_USAGE, "unexpected argument \"%s\"; usage: remat %s %s", argv[i],
                              command->name, command->usage);
        } else {
            out->positionals[out->positionals_count++] = argv[i];
        }
    }
    if (!out->help && out->positionals_count < command->positionals_minimum)
        return remat_fail(err, REMAT_USAGE, "an argument is missing; usage: remat %s %s", command->name,
                          command->usage);
    return REMAT_OK;
}

void cli_print_help(const struct cli_command *command, FILE *stream)
{
    fprintf(stream, "usage: remat %s %s\n\n%s.\n\n%s\noptions:\n", command->name, command->usage, command->summary,
            command->details);
    for (int i = 0; i < OPTIONS_COUNT; i++) {
        char left[64];
        if (!takes(command, options[i].name))
            continue;
        snprintf(left, sizeof left, "--%s %s", options[i].name, options[i].argument ? options[i].argument : "");
        fprintf(stream, "  %-28s %s\n", left, options[i].help);
    }
}
