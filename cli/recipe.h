/* The recipe of the command line: a preset, changed by what is given beside it. */
#ifndef REMAT_CLI_RECIPE_H
#define REMAT_CLI_RECIPE_H

#include "cli/args.h"
#include "trainer/recipe.h"

/* The preset is --recipe's, or the model's kind's first. */
REMAT_MUST_CHECK enum remat_status cli_recipe(const struct cli_args *args, struct remat_recipe *out,
                                              struct remat_error *err);

#endif
