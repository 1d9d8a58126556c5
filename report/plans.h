/* Charts of plans: what is live when, where it lies, and what is made again. */
#ifndef REMAT_REPORT_PLANS_H
#define REMAT_REPORT_PLANS_H

#include "report/page.h"
#include "report/timeline.h"

/* A plan that was read, and what to call it. */
struct report_drawn_plan {
    struct report_plan_file file;
    struct report_timeline timeline;
};

REMAT_MUST_CHECK enum remat_status report_chart_memory(struct report_page *page, const struct report_drawn_plan *plans,
                                                       int32_t count, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status report_chart_arena(struct report_page *page, const struct report_drawn_plan *plan,
                                                      struct remat_error *err);

/* Nothing, if the plan makes nothing again. */
REMAT_MUST_CHECK enum remat_status report_chart_blocks(struct report_page *page, const struct report_drawn_plan *plan,
                                                       struct remat_error *err);

/* Adds a legend entry for each category that one of the plans has. */
void report_add_categories(struct report_chart *chart, const struct report_drawn_plan *plans, int32_t count);

#endif
