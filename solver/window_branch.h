/* Which column of a part of the choices to fix next: the one that raises both sides most.
 *
 * How much a column does is known from where it was fixed before, and where it has not been often enough, from a few
 * steps of the program with it fixed (T. Achterberg, T. Koch, A. Martin, "Branching rules revisited", Operations
 * Research Letters 33, 2005). Only a choice depends on this, no bound. */
#ifndef REMAT_SOLVER_WINDOW_BRANCH_H
#define REMAT_SOLVER_WINDOW_BRANCH_H

#include "solver/window_tree.h"

/* Sets part->branch and part->value by the solution at hand, that of its program; -1: nothing is undecided. */
REMAT_MUST_CHECK enum remat_status remat_window_choose(struct remat_window_tree *tree, struct remat_window_part *part,
                                                       struct remat_error *err);
/* Its branch was fixed to `value`, and so much was proven. */
void remat_window_note_gain(struct remat_window_tree *tree, const struct remat_window_part *part, int8_t value,
                            int64_t proven);

#endif
