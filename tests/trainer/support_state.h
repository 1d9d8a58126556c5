/* A small training state made by hand, with every kind of cell. */
#ifndef REMAT_TESTS_TRAINER_SUPPORT_STATE_H
#define REMAT_TESTS_TRAINER_SUPPORT_STATE_H

#include "trainer/checkpoint/checkpoint.h"

/* Values are a function of (version, cell, element). */
void test_make_state(struct remat_state *state, int version);
void test_free_state(struct remat_state *state);
/* The number of the version that all saved cells hold, or -1. */
int test_state_version(const struct remat_state *state);

#endif
