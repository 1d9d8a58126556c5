/* The page of a run: header, charts with captions, tables, notes, links to the data. */
#ifndef REMAT_REPORT_PAGE_H
#define REMAT_REPORT_PAGE_H

#include "report/chart.h"
#include "report/html.h"
#include "report/load.h"

struct report_page {
    struct report_html html;
    struct report_data *data; /* borrowed; charts add notes and take memory from its pool */
};

/* Saves the chart in FOLDER/charts and puts it on the page. */
REMAT_MUST_CHECK enum remat_status report_page_chart(struct report_page *page, struct report_chart *chart,
                                                     const char *caption, struct remat_error *err);

/* The charts, one a file. Each puts itself on the page, or leaves a note if its data is missing. */
typedef enum remat_status report_chart_maker(struct report_page *page, struct remat_error *err);
REMAT_MUST_CHECK report_chart_maker report_chart_peak;
REMAT_MUST_CHECK report_chart_maker report_chart_time;
REMAT_MUST_CHECK report_chart_maker report_chart_predicted;
REMAT_MUST_CHECK report_chart_maker report_chart_training;
REMAT_MUST_CHECK report_chart_maker report_chart_throughput;

/* A plan to draw: its file relative to the folder, and what it is. */
struct report_plan_file {
    const char *name;
    const char *tag;   /* in the names of its charts */
    const char *title; /* in their titles */
};
enum { REPORT_MAX_PLANS = 3 };
/* Which plans show the run best: keep-all, the middle and the smallest budget of a sweep; best and largest batch; that
 * of a training. Returns their number. */
int32_t report_choose_plans(struct report_data *data, struct report_plan_file out[REPORT_MAX_PLANS]);
/* Memory over a step, one panel a plan; what each keeps and makes again; and an arena map each. A plan that cannot be
 * read leaves a note. */
REMAT_MUST_CHECK report_chart_maker report_charts_of_plans;

/* Everything down to the table of facts, and the tables below the charts. */
void report_page_summary(struct report_page *page);
void report_page_tables(struct report_page *page);

/* The style sheet, light, dark and printed. */
extern const char report_style_sheet[];

/* Marks in the data's pool, `count` of them, zeroed. */
REMAT_MUST_CHECK enum remat_status report_marks(struct report_data *data, int32_t count, struct report_series *series,
                                                struct remat_error *err);
void report_add_mark(struct report_series *series, double x, double y);
void report_sort_marks(struct report_series *series);

#endif
