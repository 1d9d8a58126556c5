/* Throughput and memory against the batch size. */
#include "report/page.h"

#include <math.h>

enum { PREDICTED, MEASURED, SPEED_SERIES };
enum { LIMIT, PLANNED, MEASURED_PEAK, MEMORY_SERIES };

static enum remat_status fill_speed(struct report_data *data, struct report_series *series, struct remat_error *err)
{
    const struct report_batchsize *sizes = &data->batchsize;
    REMAT_TRY(report_marks(data, sizes->points_count, &series[PREDICTED], err));
    REMAT_TRY(report_marks(data, sizes->points_count, &series[MEASURED], err));
    for (int32_t i = 0; i < sizes->points_count; i++) {
        if (!sizes->points[i].ok)
            continue;
        report_add_mark(&series[PREDICTED], sizes->points[i].batch, sizes->points[i].predicted_speed);
        report_add_mark(&series[MEASURED], sizes->points[i].batch, sizes->points[i].speed);
    }
    report_sort_marks(&series[PREDICTED]);
    return REMAT_OK;
}

static enum remat_status fill_memory(struct report_data *data, struct report_unit unit, struct report_series *series,
                                     struct remat_error *err)
{
    const struct report_batchsize *sizes = &data->batchsize;
    REMAT_TRY(report_marks(data, sizes->points_count, &series[PLANNED], err));
    REMAT_TRY(report_marks(data, sizes->points_count, &series[MEASURED_PEAK], err));
    for (int32_t i = 0; i < sizes->points_count; i++) {
        const struct report_batch *point = &sizes->points[i];
        if (!point->ok)
            continue;
        report_add_mark(&series[PLANNED], point->batch,
                        (point->persistent_bytes + point->planned_peak_bytes) / unit.size);
        report_add_mark(&series[MEASURED_PEAK], point->batch,
                        (point->persistent_bytes + point->measured_peak_bytes) / unit.size);
    }
    report_sort_marks(&series[PLANNED]);
    return REMAT_OK;
}

/* A line across the whole panel. */
static enum remat_status draw_limit(struct report_data *data, struct report_panel *panel, struct report_series *limit,
                                    double memory, struct remat_error *err)
{
    REMAT_TRY(report_marks(data, 2, limit, err));
    report_axis_include(&panel->y, memory);
    report_add_mark(limit, 0, memory);
    report_add_mark(limit, 2 * panel->x.high, memory);
    return REMAT_OK;
}

enum remat_status report_chart_throughput(struct report_page *page, struct remat_error *err)
{
    const struct report_batchsize *sizes = &page->data->batchsize;
    struct report_unit unit = report_bytes_unit(sizes->memory_bytes);
    struct report_series speed[SPEED_SERIES] = {
        [PREDICTED] = {.label = "predicted", .colour = REPORT_BLUE, .marker = REPORT_DOT, .stroke = REPORT_SOLID},
        [MEASURED] = {.label = "measured", .colour = REPORT_VERMILLION, .marker = REPORT_RING},
    };
    struct report_series memory[MEMORY_SERIES] = {
        [LIMIT] = {.label = "memory allowed", .colour = REPORT_INK, .stroke = REPORT_DASHED},
        [PLANNED] = {.label = "predicted", .colour = REPORT_BLUE, .marker = REPORT_DOT, .stroke = REPORT_SOLID},
        [MEASURED_PEAK] = {.label = "measured", .colour = REPORT_VERMILLION, .marker = REPORT_RING},
    };
    struct report_chart chart = {.name = "throughput",
                                 .title = "Throughput and batch size",
                                 .width = REPORT_CHART_WIDTH,
                                 .height = 420,
                                 .panels_count = 2};
    char label[64];
    REMAT_TRY(fill_speed(page->data, speed, err));
    REMAT_TRY(fill_memory(page->data, unit, memory, err));
    if (speed[PREDICTED].count == 0) {
        report_note(page->data, "No batch fits into the memory, so there is no chart of throughput.");
        return REMAT_OK;
    }
    snprintf(label, sizeof label, "Parameters, optimizer state and peak of a step (%s)", unit.name);
    chart.panels[0] =
        (struct report_panel){.series = speed, .series_count = SPEED_SERIES, .y.label = "Throughput (samples/s)"};
    chart.panels[1] = (struct report_panel){.series = memory, .series_count = MEMORY_SERIES, .y.label = label};
    chart.panels[0].x.label = "Batch size";
    chart.panels[0].x.whole = true;
    report_axis_include(&chart.panels[0].y, 0);
    report_axis_include(&chart.panels[1].y, 0);
    report_panel_include_series(&chart.panels[0]);
    report_panel_include_series(&chart.panels[1]);
    REMAT_TRY(draw_limit(page->data, &chart.panels[1], &memory[LIMIT], sizes->memory_bytes / unit.size, err));
    return report_page_chart(page, &chart,
                             "Each batch size has the fastest plan found for the memory that parameters and optimizer "
                             "state leave. Measured marks are runs of the best and of the largest batch.",
                             err);
}
