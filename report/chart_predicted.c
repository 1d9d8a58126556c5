/* How true predictions are: predicted against measured step time, both relative to keep-all. */
#include "report/page.h"

#include <math.h>

enum { EQUAL, ABOVE, BELOW, POINTS, SERIES_COUNT };

/* y = factor * x over the whole range. */
static enum remat_status add_line(struct report_data *data, struct report_series *series, double low, double high,
                                  double factor, struct remat_error *err)
{
    REMAT_TRY(report_marks(data, 2, series, err));
    report_add_mark(series, low, low * factor);
    report_add_mark(series, high, high * factor);
    return REMAT_OK;
}

static enum remat_status fill_points(struct report_data *data, struct report_series *series, struct remat_error *err)
{
    const struct report_sweep *sweep = &data->sweep;
    REMAT_TRY(report_marks(data, sweep->points_count, series, err));
    for (int32_t i = 0; i < sweep->points_count; i++) {
        const struct report_point *point = &sweep->points[i];
        int32_t before = series->count;
        if (!point->ok)
            continue;
        report_add_mark(series, point->predicted_relative, point->relative);
        if (series->count > before) {
            series->marks[before].low = point->relative_low;
            series->marks[before].high = point->relative_high;
        }
    }
    return REMAT_OK;
}

/* Both axes show the same range, so that the line of equality is the diagonal. */
static enum remat_status add_lines(struct report_data *data, struct report_panel *panel, struct report_series *series,
                                   struct remat_error *err)
{
    double low = fmin(panel->x.low, panel->y.low), high = fmax(panel->x.high, panel->y.high);
    report_axis_include(&panel->x, low);
    report_axis_include(&panel->x, high);
    report_axis_include(&panel->y, low);
    report_axis_include(&panel->y, high);
    REMAT_TRY(add_line(data, &series[EQUAL], low / 2, 2 * high, 1, err));
    REMAT_TRY(add_line(data, &series[ABOVE], low / 2, 2 * high, 1.05, err));
    return add_line(data, &series[BELOW], low / 2, 2 * high, 0.95, err);
}

enum remat_status report_chart_predicted(struct report_page *page, struct remat_error *err)
{
    struct report_series series[SERIES_COUNT] = {
        [EQUAL] = {.label = "measured = predicted", .colour = REPORT_MUTED, .stroke = REPORT_THIN},
        [ABOVE] = {.label = "5 % off", .colour = REPORT_MUTED, .stroke = REPORT_THIN_DASHED},
        [BELOW] = {.label = "5 % off", .colour = REPORT_MUTED, .stroke = REPORT_THIN_DASHED},
        [POINTS] = {.label = "a budget, with quartiles", .colour = REPORT_VERMILLION, .marker = REPORT_DOT},
    };
    struct report_chart chart = {.name = "predicted",
                                 .title = "Predicted and measured step time",
                                 .width = REPORT_CHART_WIDTH,
                                 .height = 400,
                                 .panels_count = 1};
    struct report_panel *panel = &chart.panels[0];
    REMAT_TRY(fill_points(page->data, &series[POINTS], err));
    if (series[POINTS].count == 0) {
        report_note(page->data, "No point has both a predicted and a measured relative step time.");
        return REMAT_OK;
    }
    panel->series = series;
    panel->series_count = SERIES_COUNT;
    panel->x.label = "Predicted step time relative to keep-all";
    panel->y.label = "Measured step time relative to keep-all";
    report_panel_include_series(panel);
    REMAT_TRY(add_lines(page->data, panel, series, err));
    return report_page_chart(page, &chart,
                             "One dot a measured budget, with quartiles. The prediction is the sum of "
                             "task times of a profile taken before.",
                             err);
}
