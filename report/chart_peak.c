/* Peak memory against the budget: nothing may lie above the line y = x, and measured marks sit on planned ones. */
#include "report/page.h"

#include <math.h>
#include <string.h>

enum { EQUAL, REFERENCE, PLANNED, MEASURED, SERIES_COUNT };

static double largest_bytes(const struct report_sweep *sweep)
{
    double largest = 0;
    for (int32_t i = 0; i < sweep->points_count; i++)
        if (sweep->points[i].ok)
            largest = fmax(largest, fmax(sweep->points[i].budget_bytes, sweep->points[i].planned_peak_bytes));
    for (int32_t i = 0; i < sweep->reference_count; i++)
        largest = fmax(largest, fmax(sweep->reference[i].budget_bytes, sweep->reference[i].peak_bytes));
    return largest;
}

static enum remat_status fill_series(struct report_data *data, struct report_series *series, struct report_unit unit,
                                     struct remat_error *err)
{
    const struct report_sweep *sweep = &data->sweep;
    REMAT_TRY(report_marks(data, sweep->points_count, &series[PLANNED], err));
    REMAT_TRY(report_marks(data, sweep->points_count, &series[MEASURED], err));
    REMAT_TRY(report_marks(data, sweep->reference_count, &series[REFERENCE], err));
    for (int32_t i = 0; i < sweep->points_count; i++) {
        const struct report_point *point = &sweep->points[i];
        double budget = point->budget_bytes / unit.size;
        if (!point->ok || strcmp(point->solver, sweep->solver) != 0)
            continue;
        report_add_mark(&series[PLANNED], budget, point->planned_peak_bytes / unit.size);
        report_add_mark(&series[MEASURED], budget, point->measured_peak_bytes / unit.size);
    }
    for (int32_t i = 0; i < sweep->reference_count; i++)
        report_add_mark(&series[REFERENCE], sweep->reference[i].budget_bytes / unit.size,
                        sweep->reference[i].peak_bytes / unit.size);
    return REMAT_OK;
}

/* The line from corner to corner of the common range. */
static enum remat_status draw_equal(struct report_data *data, struct report_panel *panel, struct report_series *equal,
                                    struct remat_error *err)
{
    REMAT_TRY(report_marks(data, 2, equal, err));
    report_add_mark(equal, 0, 0);
    report_add_mark(equal, 2 * panel->x.high, 2 * panel->x.high);
    return REMAT_OK;
}

enum remat_status report_chart_peak(struct report_page *page, struct remat_error *err)
{
    const struct report_sweep *sweep = &page->data->sweep;
    struct report_unit unit = report_bytes_unit(largest_bytes(sweep));
    struct report_series series[SERIES_COUNT] = {
        [EQUAL] = {.label = "peak = budget", .colour = REPORT_MUTED, .stroke = REPORT_THIN},
        [REFERENCE] = {.label = sweep->reference_name, .colour = REPORT_PURPLE, .marker = REPORT_SQUARE},
        [PLANNED] = {.label = "planned", .colour = REPORT_BLUE, .marker = REPORT_RING},
        [MEASURED] = {.label = "measured", .colour = REPORT_VERMILLION, .marker = REPORT_PLUS},
    };
    struct report_chart chart = {.name = "peak",
                                 .title = "Peak memory and budget",
                                 .width = REPORT_CHART_WIDTH,
                                 .height = 330,
                                 .panels_count = 1};
    struct report_panel *panel = &chart.panels[0];
    char x_label[64], y_label[64];
    REMAT_TRY(fill_series(page->data, series, unit, err));
    if (series[PLANNED].count == 0) {
        report_note(page->data, "No budget could be met, so there is no chart of peaks.");
        return REMAT_OK;
    }
    snprintf(x_label, sizeof x_label, "Budget (%s)", unit.name);
    snprintf(y_label, sizeof y_label, "Peak of a step (%s)", unit.name);
    panel->series = series;
    panel->series_count = SERIES_COUNT;
    panel->x.label = x_label;
    panel->y.label = y_label;
    report_panel_include_series(panel);
    REMAT_TRY(draw_equal(page->data, panel, &series[EQUAL], err));
    return report_page_chart(page, &chart,
                             "The arena that each plan asks for, and the highest byte that its step was seen to touch, "
                             "against the budget. No mark may lie above the line.",
                             err);
}
