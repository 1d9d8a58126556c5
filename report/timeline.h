/* What a plan holds when: the interval of every view, and the predicted time of every instruction. */
#ifndef REMAT_REPORT_TIMELINE_H
#define REMAT_REPORT_TIMELINE_H

#include "core/plan/plan.h"

/* View v of device memory holds its value from instruction begin to end, both included; where the next view takes its
 * memory in place, that instruction counts for the next one. Views of host memory have begin -1. */
struct report_interval {
    int32_t begin, end;
};

struct report_timeline {
    struct remat_task_graph graph;
    struct remat_plan plan;
    struct report_interval *views;
    int64_t (*bytes)[REMAT_CATEGORY_COUNT]; /* per instruction, live bytes by category */
    double *start_ns; /* per instruction, and the end of the last; one micro step, stalls at waits */
    bool *repeats;    /* per instruction: runs to recompute */
};

/* Loads FOLDER/NAME, a plan with its graph, and verifies it. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status report_timeline_load(const char *folder, const char *name,
                                                        struct report_timeline *out, struct remat_error *err);
void report_timeline_free(struct report_timeline *timeline);

/* Whether any instruction makes something again. */
bool report_recomputes(const struct report_timeline *timeline);
enum remat_category report_view_category(const struct report_timeline *timeline, int32_t view);

#endif
