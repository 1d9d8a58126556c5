/* remat data: get a data set. */
#include "cli/commands.h"
#include "cli/common.h"
#include "trainer/data/generate.h"
#include "trainer/download.h"

#include <string.h>

static bool show_download(void *context, int64_t done_bytes, int64_t total_bytes)
{
    (void)context;
    cli_progress(NULL, "downloading", total_bytes > 0 ? (double)done_bytes / (double)total_bytes : 0);
    return true;
}

static enum remat_status download(const struct cli_args *args, struct remat_error *err)
{
    struct remat_download_options options = {.url = args->url, .progress = show_download};
    bool already = false;
    enum remat_status status = remat_download_cifar10(args->positionals[1], &options, &already, err);
    cli_progress_end();
    if (status == REMAT_OK)
        printf("%s: CIFAR-10 is %s\n", args->positionals[1], already ? "there already" : "complete and verified");
    return status;
}

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    if (strcmp(args->positionals[0], "cifar10") == 0)
        return download(args, err);
    if (strcmp(args->positionals[0], "generate") != 0)
        return remat_fail(err, REMAT_USAGE, "data: expected cifar10 or generate, found \"%s\"", args->positionals[0]);
    REMAT_TRY(remat_generate_cifar10(args->positionals[1], (uint64_t)args->seed, err));
    printf("%s: 60,000 made-up images in CIFAR-10's binary format\n", args->positionals[1]);
    return REMAT_OK;
}

const struct cli_command cli_data = {
    "data",
    "cifar10|generate DIR",
    "Downloads CIFAR-10 and verifies it, or makes up a set of the same size and format",
    "cifar10 fetches the official binary archive (162 MiB), checks its MD5, unpacks it and puts it in place in one\n"
    "step; a complete set that is there already is left alone. generate makes learnable stripe patterns from "
    "--seed.\n\n"
    "examples:\n  remat data cifar10 data/cifar10\n  remat data generate /tmp/stripes\n",
    "url seed",
    2,
    2,
    run};
