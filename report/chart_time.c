/* What memory costs in time: step time relative to keep-all against the peak, solvers side by side. */
#include "report/page.h"

#include <math.h>
#include <string.h>

enum { MAX_SOLVERS = 6, BOUND = MAX_SOLVERS, REFERENCE, KEEP_ALL, MEASURED, SERIES_COUNT };

/* Distinct solvers in order of appearance; those beyond the limit are left out. */
static int32_t list_solvers(const struct report_sweep *sweep, const char *names[MAX_SOLVERS])
{
    int32_t count = 0;
    for (int32_t i = 0; i < sweep->points_count; i++) {
        int32_t k = 0;
        while (k < count && strcmp(names[k], sweep->points[i].solver) != 0)
            k++;
        if (k == count && count < MAX_SOLVERS)
            names[count++] = sweep->points[i].solver;
    }
    return count;
}

static enum remat_status fill_predicted(struct report_data *data, const char *solver, struct report_unit unit,
                                        struct report_series *series, struct remat_error *err)
{
    static const enum report_colour colours[MAX_SOLVERS] = {REPORT_BLUE, REPORT_ORANGE, REPORT_GREEN,
                                                            REPORT_SKY,  REPORT_GREY,   REPORT_YELLOW};
    const struct report_sweep *sweep = &data->sweep;
    const char *label;
    const char *names[MAX_SOLVERS] = {0};
    int32_t k = 0;
    list_solvers(sweep, names);
    while (names[k] != solver)
        k++;
    REMAT_TRY(remat_pool_printf(&data->pool, &label, err, "%s, predicted", solver));
    *series = (struct report_series){.label = label, .colour = colours[k], .stroke = REPORT_SOLID};
    REMAT_TRY(report_marks(data, sweep->points_count, series, err));
    for (int32_t i = 0; i < sweep->points_count; i++)
        if (sweep->points[i].ok && strcmp(sweep->points[i].solver, solver) == 0)
            report_add_mark(series, sweep->points[i].planned_peak_bytes / unit.size,
                            sweep->points[i].predicted_relative);
    report_sort_marks(series);
    return REMAT_OK;
}

static enum remat_status fill_measured(struct report_data *data, struct report_unit unit, struct report_series *series,
                                       struct remat_error *err)
{
    const struct report_sweep *sweep = &data->sweep;
    REMAT_TRY(report_marks(data, sweep->points_count, series, err));
    for (int32_t i = 0; i < sweep->points_count; i++) {
        const struct report_point *point = &sweep->points[i];
        int32_t before = series->count;
        if (!point->ok)
            continue;
        report_add_mark(series, point->measured_peak_bytes / unit.size, point->relative);
        if (series->count > before) {
            series->marks[before].low = point->relative_low;
            series->marks[before].high = point->relative_high;
        }
    }
    return REMAT_OK;
}

/* The best bound that any solver proved for a budget holds for all of them. */
static enum remat_status fill_bound(struct report_data *data, struct report_unit unit, struct report_series *series,
                                    struct remat_error *err)
{
    const struct report_sweep *sweep = &data->sweep;
    int32_t kept = 0;
    REMAT_TRY(report_marks(data, sweep->points_count, series, err));
    for (int32_t i = 0; i < sweep->points_count; i++)
        if (sweep->points[i].ok && sweep->points[i].lower_bound_ns > 0)
            report_add_mark(series, sweep->points[i].budget_bytes / unit.size,
                            sweep->points[i].lower_bound_ns / sweep->base_time_ns);
    report_sort_marks(series);
    for (int32_t i = 0; i < series->count; i++)
        if (i + 1 == series->count || series->marks[i + 1].x > series->marks[i].x)
            series->marks[kept++] = series->marks[i];
    series->count = kept;
    return REMAT_OK;
}

static enum remat_status fill_reference(struct report_data *data, struct report_unit unit, struct report_series *series,
                                        struct remat_error *err)
{
    const struct report_sweep *sweep = &data->sweep;
    REMAT_TRY(report_marks(data, sweep->reference_count, series, err));
    for (int32_t i = 0; i < sweep->reference_count; i++)
        report_add_mark(series, sweep->reference[i].peak_bytes / unit.size, sweep->reference[i].relative);
    return REMAT_OK;
}

static enum remat_status fill_series(struct report_data *data, struct report_unit unit, struct report_series *series,
                                     struct remat_error *err)
{
    const struct report_sweep *sweep = &data->sweep;
    const char *solvers[MAX_SOLVERS];
    int32_t count = list_solvers(sweep, solvers);
    for (int32_t i = 0; i < count; i++)
        REMAT_TRY(fill_predicted(data, solvers[i], unit, &series[i], err));
    REMAT_TRY(fill_bound(data, unit, &series[BOUND], err));
    REMAT_TRY(fill_reference(data, unit, &series[REFERENCE], err));
    REMAT_TRY(fill_measured(data, unit, &series[MEASURED], err));
    REMAT_TRY(report_marks(data, 1, &series[KEEP_ALL], err));
    report_add_mark(&series[KEEP_ALL], sweep->keep_all_peak_bytes / unit.size, 1);
    return REMAT_OK;
}

static double largest_bytes(const struct report_sweep *sweep)
{
    double largest = fmax(0, sweep->keep_all_peak_bytes);
    for (int32_t i = 0; i < sweep->points_count; i++)
        if (sweep->points[i].ok)
            largest = fmax(largest, sweep->points[i].planned_peak_bytes);
    return largest;
}

enum remat_status report_chart_time(struct report_page *page, struct remat_error *err)
{
    struct report_sweep *sweep = &page->data->sweep;
    struct report_unit unit = report_bytes_unit(largest_bytes(sweep));
    const char *measured_label;
    char x_label[64];
    struct report_series series[SERIES_COUNT] = {
        [BOUND] = {.label = "lower bound", .colour = REPORT_INK, .stroke = REPORT_DASHED},
        [REFERENCE] = {.label = sweep->reference_name, .colour = REPORT_PURPLE, .marker = REPORT_SQUARE},
        [KEEP_ALL] = {.label = "keep-all", .colour = REPORT_INK, .marker = REPORT_DIAMOND},
        [MEASURED] = {.colour = REPORT_VERMILLION, .marker = REPORT_DOT},
    };
    struct report_chart chart = {
        .name = "time", .title = "Price of memory", .width = REPORT_CHART_WIDTH, .height = 330, .panels_count = 1};
    struct report_panel *panel = &chart.panels[0];
    REMAT_TRY(fill_series(page->data, unit, series, err));
    REMAT_TRY(remat_pool_printf(&page->data->pool, &measured_label, err, "%s, measured", sweep->solver));
    series[MEASURED].label = measured_label;
    if (series[MEASURED].count == 0)
        report_note(page->data, "No step times relative to keep-all were measured; the chart shows predictions only.");
    snprintf(x_label, sizeof x_label, "Peak of a step (%s)", unit.name);
    panel->series = series;
    panel->series_count = SERIES_COUNT;
    panel->x.label = x_label;
    panel->y.label = "Step time relative to keep-all";
    report_panel_include_series(panel);
    return report_page_chart(page, &chart,
                             "Time of a step relative to keep-all against its peak memory. Dots are measured medians "
                             "with quartiles (on the host sums over the instructions of a step); lines are what the "
                             "profile predicts; the lower bound, drawn at "
                             "the budget it was proven for, is a time that no plan can beat.",
                             err);
}
