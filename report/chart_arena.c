/* The arena map: which addresses hold what during which instructions. */
#include "report/plans.h"

#include "core/base/size.h"

struct painting {
    const struct report_timeline *timeline;
    double unit;
};

/* A thin edge tells neighbours apart where there is room for it. */
static void fill_box(const struct report_canvas *canvas, double left, double top, double width, double height,
                     enum report_colour colour)
{
    double edge = width > 2 && height > 2 ? 0.25 : 0;
    report_set_colour(canvas, colour);
    cairo_rectangle(canvas->cairo, left + edge, top + edge, width - 2 * edge, height - 2 * edge);
    cairo_fill(canvas->cairo);
}

static void paint_range(const struct report_canvas *canvas, const struct report_panel *panel, double first, double end,
                        double offset, double bytes, enum report_colour colour)
{
    double left = report_panel_x(panel, first), top = report_panel_y(panel, offset + bytes);
    fill_box(canvas, left, top, report_panel_x(panel, end) - left, report_panel_y(panel, offset) - top, colour);
}

static void paint_view(const struct report_canvas *canvas, const struct report_panel *panel,
                       const struct painting *painting, int32_t index)
{
    const struct report_timeline *timeline = painting->timeline;
    const struct remat_view *view = &timeline->plan.views[index];
    const struct remat_buffer *buffer = &timeline->plan.buffers[view->buffer];
    const struct report_interval *interval = &timeline->views[index];
    int64_t bytes = view->value < 0 ? buffer->bytes : timeline->graph.values[view->value].bytes;
    if (interval->begin >= 0)
        paint_range(canvas, panel, interval->begin, interval->end + 1.0,
                    (double)(buffer->offset + view->offset) / painting->unit, (double)bytes / painting->unit,
                    report_category_colour(report_view_category(timeline, index)));
}

static void paint(const struct report_canvas *canvas, const struct report_panel *panel, const void *context)
{
    const struct painting *painting = context;
    const struct report_timeline *timeline = painting->timeline;
    if (timeline->graph.staging_bytes > 0)
        paint_range(canvas, panel, 0, timeline->plan.instructions_count, 0,
                    (double)timeline->graph.staging_bytes / painting->unit, report_category_colour(REMAT_STAGING));
    for (int32_t v = 0; v < timeline->plan.views_count; v++)
        paint_view(canvas, panel, painting, v);
}

enum remat_status report_chart_arena(struct report_page *page, const struct report_drawn_plan *drawn,
                                     struct remat_error *err)
{
    const struct remat_plan *plan = &drawn->timeline.plan;
    struct report_unit unit = report_bytes_unit((double)plan->arena_bytes);
    struct painting painting = {&drawn->timeline, unit.size};
    struct report_chart chart = {.width = REPORT_CHART_WIDTH, .height = 360, .panels_count = 1};
    struct report_panel *panel = &chart.panels[0];
    char size[32];
    REMAT_TRY(remat_pool_printf(&page->data->pool, &chart.name, err, "arena-%s", drawn->file.tag));
    REMAT_TRY(remat_pool_printf(&page->data->pool, &chart.title, err, "Arena map: %s, %s", drawn->file.title,
                                remat_size_format(plan->arena_bytes, size, sizeof size)));
    REMAT_TRY(remat_pool_printf(&page->data->pool, &panel->y.label, err, "Address in the arena (%s)", unit.name));
    panel->x.label = "Instruction";
    panel->x.tight = panel->x.whole = panel->y.tight = true;
    panel->paint = paint;
    panel->context = &painting;
    report_axis_include(&panel->x, 0);
    report_axis_include(&panel->x, plan->instructions_count);
    report_axis_include(&panel->y, 0);
    report_axis_include(&panel->y, (double)plan->arena_bytes / unit.size);
    report_add_categories(&chart, drawn, 1);
    return report_page_chart(page, &chart,
                             "Each box is a range of addresses from the instruction that first writes it to the last "
                             "that reads it. Gaps are memory that nothing uses at that moment.",
                             err);
}
