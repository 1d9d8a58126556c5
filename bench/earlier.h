/* What an earlier run of a sweep left in its folder, so that only what is missing has to be measured. */
#ifndef REMAT_BENCH_EARLIER_H
#define REMAT_BENCH_EARLIER_H

#include "trainer/workload.h"

#include <jansson.h>

/* The folder's sweep.json, or NULL if there is none. The caller owns *out (json_decref). REMAT_BAD_DATA if it is of
 * another machine or model, or of other times of the tasks: what was measured then says nothing of these plans. */
REMAT_MUST_CHECK enum remat_status remat_earlier_sweep(const char *folder, const struct remat_workload *workload,
                                                       json_t **out, struct remat_error *err);
/* Adds to a point what was measured of the same plan under the same budget, with the commit and date of that
 * (`measured_by`); false if nothing was, or not what was planned. `earlier` may be NULL. */
bool remat_earlier_point(const json_t *earlier, json_t *point);

#endif
