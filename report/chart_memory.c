/* Memory over a step: live bytes by category, stacked, against the predicted time. */
#include "report/plans.h"

#include <math.h>

/* From the bottom: what stays throughout, what the forward pass leaves for the backward pass, what passes by. */
static const enum remat_category order[REMAT_CATEGORY_COUNT] = {REMAT_STAGING,
                                                                REMAT_BATCH,
                                                                REMAT_STATISTIC,
                                                                REMAT_WORKSPACE,
                                                                REMAT_ACTIVATION,
                                                                REMAT_ACTIVATION_GRADIENT,
                                                                REMAT_PARAMETER_GRADIENT,
                                                                REMAT_SCRATCH};

struct painting {
    const struct report_timeline *timeline;
    double bytes_unit, time_unit;
};

static bool has_category(const struct report_timeline *timeline, enum remat_category category)
{
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++)
        if (timeline->bytes[i][category] > 0)
            return true;
    return false;
}

void report_add_categories(struct report_chart *chart, const struct report_drawn_plan *plans, int32_t count)
{
    for (int k = REMAT_CATEGORY_COUNT - 1; k >= 0; k--)
        for (int32_t p = 0; p < count; p++)
            if (has_category(&plans[p].timeline, order[k])) {
                chart->swatches[chart->swatches_count++] =
                    (struct report_swatch){report_category_text(order[k]), report_category_colour(order[k])};
                break;
            }
}

/* Bytes of the categories up to and with order[top]. */
static double stacked_bytes(const struct report_timeline *timeline, int32_t instruction, int top)
{
    int64_t sum = 0;
    for (int k = 0; k <= top; k++)
        sum += timeline->bytes[instruction][order[k]];
    return (double)sum;
}

static void fill_stack(const struct report_canvas *canvas, const struct report_panel *panel,
                       const struct painting *painting, int top)
{
    const struct report_timeline *timeline = painting->timeline;
    double bottom = report_panel_y(panel, 0);
    cairo_move_to(canvas->cairo, report_panel_x(panel, 0), bottom);
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++) {
        double y = report_panel_y(panel, stacked_bytes(timeline, i, top) / painting->bytes_unit);
        cairo_line_to(canvas->cairo, report_panel_x(panel, timeline->start_ns[i] / painting->time_unit), y);
        cairo_line_to(canvas->cairo, report_panel_x(panel, timeline->start_ns[i + 1] / painting->time_unit), y);
    }
    cairo_line_to(canvas->cairo,
                  report_panel_x(panel, timeline->start_ns[timeline->plan.instructions_count] / painting->time_unit),
                  bottom);
    cairo_close_path(canvas->cairo);
    report_set_colour(canvas, report_category_colour(order[top]));
    cairo_fill(canvas->cairo);
}

/* A strip above the panel shows when the step recomputes. */
static void paint_repeats(const struct report_canvas *canvas, const struct report_panel *panel,
                          const struct painting *painting)
{
    const struct report_timeline *timeline = painting->timeline;
    report_set_colour(canvas, REPORT_INK);
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++) {
        double left = report_panel_x(panel, timeline->start_ns[i] / painting->time_unit);
        double right = report_panel_x(panel, timeline->start_ns[i + 1] / painting->time_unit);
        if (timeline->repeats[i])
            cairo_rectangle(canvas->cairo, left, panel->box.top - 5, fmax(right - left, 0.6), 4);
    }
    cairo_fill(canvas->cairo);
}

/* From the whole stack down to its lowest layer, so that no gaps show between layers. */
static void paint(const struct report_canvas *canvas, const struct report_panel *panel, const void *context)
{
    for (int top = REMAT_CATEGORY_COUNT - 1; top >= 0; top--)
        fill_stack(canvas, panel, context, top);
    paint_repeats(canvas, panel, context);
}

static enum remat_status add_panel(struct report_page *page, struct report_chart *chart,
                                   const struct report_drawn_plan *drawn, struct painting *painting,
                                   const char *unit_name, struct remat_error *err)
{
    const struct remat_plan *plan = &drawn->timeline.plan;
    struct report_panel *panel = &chart->panels[chart->panels_count++];
    char host[64] = "";
    if (plan->host_bytes > 0)
        snprintf(host, sizeof host, ", on the host %.2f %s", (double)plan->host_bytes / painting->bytes_unit,
                 unit_name);
    REMAT_TRY(remat_pool_printf(&page->data->pool, &panel->y.label, err, "Live memory (%s): %s, peak %.2f %s%s",
                                unit_name, drawn->file.title, (double)plan->live_peak_bytes / painting->bytes_unit,
                                unit_name, host));
    painting->timeline = &drawn->timeline;
    panel->paint = paint;
    panel->context = painting;
    panel->x.tight = true;
    report_axis_include(&panel->x, 0);
    report_axis_include(&panel->x, drawn->timeline.start_ns[plan->instructions_count] / painting->time_unit);
    return REMAT_OK;
}

static bool any_repeats(const struct report_drawn_plan *plans, int32_t count)
{
    for (int32_t p = 0; p < count; p++)
        if (report_recomputes(&plans[p].timeline))
            return true;
    return false;
}

static const char *x_label(const struct report_drawn_plan *plans, const char *unit, char *buffer, int capacity)
{
    int32_t micro = plans[0].timeline.graph.micro_count;
    if (micro > 1)
        snprintf(buffer, (size_t)capacity, "Predicted time (%s); the first of %d micro steps", unit, micro);
    else
        snprintf(buffer, (size_t)capacity, "Predicted time (%s)", unit);
    return buffer;
}

enum remat_status report_chart_memory(struct report_page *page, const struct report_drawn_plan *plans, int32_t count,
                                      struct remat_error *err)
{
    struct report_chart chart = {
        .name = "memory", .title = "Memory over a step", .width = REPORT_CHART_WIDTH, .height = 110 + 150 * count};
    struct painting paintings[REPORT_MAX_PLANS];
    double bytes = 0, time_ns = 0;
    struct report_unit bytes_unit, time_unit;
    char label[96];
    for (int32_t p = 0; p < count; p++) {
        bytes = fmax(bytes, (double)plans[p].timeline.plan.live_peak_bytes);
        time_ns = fmax(time_ns, plans[p].timeline.start_ns[plans[p].timeline.plan.instructions_count]);
    }
    bytes_unit = report_bytes_unit(bytes);
    time_unit = report_time_unit(time_ns);
    for (int32_t p = 0; p < count; p++) {
        paintings[p] = (struct painting){NULL, bytes_unit.size, time_unit.size};
        REMAT_TRY(add_panel(page, &chart, &plans[p], &paintings[p], bytes_unit.name, err));
        report_axis_include(&chart.panels[p].y, 0);
        report_axis_include(&chart.panels[p].y, bytes / bytes_unit.size);
    }
    chart.panels[0].x.label = x_label(plans, time_unit.name, label, sizeof label);
    report_add_categories(&chart, plans, count);
    if (any_repeats(plans, count))
        chart.swatches[chart.swatches_count++] = (struct report_swatch){"recomputing (strip above)", REPORT_INK};
    return report_page_chart(
        page, &chart,
        "Bytes in use by what they hold, over one step. Memory grows in the forward pass, falls in "
        "the backward pass; recomputing, marked above the areas, flattens the peak.",
        err);
}
