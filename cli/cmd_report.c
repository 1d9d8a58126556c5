/* remat report: draws recorded data again. */
#include "report/report.h"

#include "cli/commands.h"

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    REMAT_TRY(remat_report(args->positionals[0], err));
    printf("%s/index.html\n", args->positionals[0]);
    return REMAT_OK;
}

const struct cli_command cli_report = {
    "report",
    "DIR",
    "Draws the charts and index.html from the recorded data",
    "DIR is the folder of a sweep, a batch-size test or a training run; whatever data it holds is drawn.\n\n"
    "example:\n  remat report out/sweep\n",
    "",
    1,
    1,
    run};
