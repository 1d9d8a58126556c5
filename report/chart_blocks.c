/* What a plan keeps and what it makes again, block by block, and at which price. */
#include "report/plans.h"

#include "core/plan/explain.h"

#include <math.h>
#include <stdlib.h>

static const enum report_colour KEPT = REPORT_BLUE, AGAIN = REPORT_ORANGE;

struct painting {
    const struct remat_plan_block *blocks;
    int32_t count;
    double bytes_unit, time_unit;
};

static void paint_bar(const struct report_canvas *canvas, const struct report_panel *panel, int32_t block, double from,
                      double to, enum report_colour colour)
{
    double left = report_panel_x(panel, block + 0.1), right = report_panel_x(panel, block + 0.9);
    double top = report_panel_y(panel, to), bottom = report_panel_y(panel, from);
    if (to <= from)
        return;
    report_set_colour(canvas, colour);
    cairo_rectangle(canvas->cairo, left, top, right - left, bottom - top);
    cairo_fill(canvas->cairo);
}

static void paint_bytes(const struct report_canvas *canvas, const struct report_panel *panel, const void *context)
{
    const struct painting *painting = context;
    for (int32_t b = 0; b < painting->count; b++) {
        double kept = (double)painting->blocks[b].kept_bytes / painting->bytes_unit;
        double all = kept + (double)painting->blocks[b].again_bytes / painting->bytes_unit;
        paint_bar(canvas, panel, b, 0, kept, KEPT);
        paint_bar(canvas, panel, b, kept, all, AGAIN);
    }
}

static void paint_time(const struct report_canvas *canvas, const struct report_panel *panel, const void *context)
{
    const struct painting *painting = context;
    for (int32_t b = 0; b < painting->count; b++)
        paint_bar(canvas, panel, b, 0, (double)painting->blocks[b].extra_ns / painting->time_unit, AGAIN);
}

/* ms a MiB that is not kept, or NaN. */
static double price(const struct remat_plan_block *block)
{
    return block->again_bytes > 0 ? (double)block->extra_ns / 1e6 / ((double)block->again_bytes / 1048576.0) : NAN;
}

static void paint_price(const struct report_canvas *canvas, const struct report_panel *panel, const void *context)
{
    const struct painting *painting = context;
    for (int32_t b = 0; b < painting->count; b++)
        if (isfinite(price(&painting->blocks[b])))
            paint_bar(canvas, panel, b, 0, price(&painting->blocks[b]), AGAIN);
}

static void add_panel(struct report_chart *chart, const struct painting *painting, report_paint *paint,
                      const char *label, double most)
{
    struct report_panel *panel = &chart->panels[chart->panels_count++];
    panel->paint = paint;
    panel->context = painting;
    panel->y.label = label;
    panel->x.tight = panel->x.whole = true;
    report_axis_include(&panel->x, 0);
    report_axis_include(&panel->x, painting->count);
    report_axis_include(&panel->y, 0);
    report_axis_include(&panel->y, most);
}

static enum remat_status draw(struct report_page *page, const struct report_drawn_plan *drawn,
                              struct painting *painting, struct remat_error *err)
{
    struct report_chart chart = {.width = REPORT_CHART_WIDTH, .height = 440};
    struct report_unit bytes_unit, time_unit;
    double bytes = 0, time_ns = 0, most_price = 0;
    const char *label;
    for (int32_t b = 0; b < painting->count; b++) {
        const struct remat_plan_block *block = &painting->blocks[b];
        bytes = fmax(bytes, (double)(block->kept_bytes + block->again_bytes));
        time_ns = fmax(time_ns, (double)block->extra_ns);
        most_price = fmax(most_price, price(block)); /* which passes over NaN */
    }
    bytes_unit = report_bytes_unit(bytes);
    time_unit = report_time_unit(time_ns);
    painting->bytes_unit = bytes_unit.size;
    painting->time_unit = time_unit.size;
    REMAT_TRY(remat_pool_printf(&page->data->pool, &chart.name, err, "blocks-%s", drawn->file.tag));
    REMAT_TRY(remat_pool_printf(&page->data->pool, &chart.title, err, "Kept and made again: %s", drawn->file.title));
    REMAT_TRY(remat_pool_printf(&page->data->pool, &label, err, "What backward needs (%s)", bytes_unit.name));
    add_panel(&chart, painting, paint_bytes, label, bytes / bytes_unit.size);
    REMAT_TRY(remat_pool_printf(&page->data->pool, &label, err, "Time to make it again (%s)", time_unit.name));
    add_panel(&chart, painting, paint_time, label, time_ns / time_unit.size);
    add_panel(&chart, painting, paint_price, "Price (ms per MiB not kept)", most_price);
    chart.panels[0].x.label = "Block of the network, from the first to the last";
    chart.swatches[chart.swatches_count++] = (struct report_swatch){"kept", KEPT};
    chart.swatches[chart.swatches_count++] = (struct report_swatch){"made again", AGAIN};
    return report_page_chart(page, &chart,
                             "What the forward pass makes and the backward pass reads, by block of the network: kept "
                             "until then, or made again. What is cheap to make again is given up first, if it takes "
                             "memory while memory is short. <code>remat explain</code> names the blocks.",
                             err);
}

enum remat_status report_chart_blocks(struct report_page *page, const struct report_drawn_plan *drawn,
                                      struct remat_error *err)
{
    struct remat_plan_block *blocks = NULL;
    struct painting painting = {0};
    enum remat_status status = REMAT_OK;
    if (!report_recomputes(&drawn->timeline))
        return REMAT_OK;
    status = remat_plan_blocks(&drawn->timeline.graph, &drawn->timeline.plan, &blocks, &painting.count, err);
    painting.blocks = blocks;
    if (status == REMAT_OK)
        status = draw(page, drawn, &painting, err);
    free(blocks);
    return status;
}
