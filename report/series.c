/* Marks, lines, whiskers, and the legend that names them. */
#include "report/chart.h"

#include <math.h>
#include <string.h>

static const double MARKER_RADIUS = 3.0;

static void draw_plus(cairo_t *cairo, double x, double y, double radius)
{
    cairo_move_to(cairo, x - radius, y);
    cairo_line_to(cairo, x + radius, y);
    cairo_move_to(cairo, x, y - radius);
    cairo_line_to(cairo, x, y + radius);
    cairo_stroke(cairo);
}

static void trace_marker(cairo_t *cairo, enum report_marker marker, double x, double y, double radius)
{
    if (marker == REPORT_SQUARE) {
        cairo_rectangle(cairo, x - 0.85 * radius, y - 0.85 * radius, 1.7 * radius, 1.7 * radius);
    } else if (marker == REPORT_DIAMOND) {
        cairo_move_to(cairo, x - 1.3 * radius, y);
        cairo_line_to(cairo, x, y - 1.3 * radius);
        cairo_line_to(cairo, x + 1.3 * radius, y);
        cairo_line_to(cairo, x, y + 1.3 * radius);
        cairo_close_path(cairo);
    } else {
        cairo_new_sub_path(cairo);
        cairo_arc(cairo, x, y, radius, 0, 2 * M_PI);
    }
}

static void draw_marker(const struct report_canvas *canvas, const struct report_series *series, double x, double y)
{
    cairo_t *cairo = canvas->cairo;
    if (series->marker == REPORT_NO_MARKER)
        return;
    report_set_colour(canvas, series->colour);
    cairo_set_line_width(cairo, 1.3);
    if (series->marker == REPORT_PLUS) {
        draw_plus(cairo, x, y, MARKER_RADIUS + 0.5);
    } else if (series->marker == REPORT_RING) {
        trace_marker(cairo, series->marker, x, y, MARKER_RADIUS + 1);
        cairo_stroke(cairo);
    } else {
        trace_marker(cairo, series->marker, x, y, MARKER_RADIUS);
        cairo_fill(cairo);
    }
}

static void set_stroke(const struct report_canvas *canvas, const struct report_series *series)
{
    const double dashes[] = {5, 3};
    bool thin = series->stroke == REPORT_THIN || series->stroke == REPORT_THIN_DASHED;
    bool dashed = series->stroke == REPORT_DASHED || series->stroke == REPORT_THIN_DASHED;
    report_set_colour(canvas, series->colour);
    cairo_set_line_width(canvas->cairo, thin ? 0.7 : 1.5);
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
    cairo_set_dash(canvas->cairo, dashes, dashed ? 2 : 0, 0);
}

static bool drawable(const struct report_mark *mark)
{
    return isfinite(mark->x) && isfinite(mark->y);
}

static void draw_stroke(const struct report_canvas *canvas, const struct report_panel *panel,
                        const struct report_series *series)
{
    bool pen_down = false;
    cairo_save(canvas->cairo);
    cairo_rectangle(canvas->cairo, panel->box.left - 1, panel->box.top - 1, panel->box.width + 2,
                    panel->box.height + 2); /* a line on the edge keeps its width */
    cairo_clip(canvas->cairo);
    set_stroke(canvas, series);
    for (int32_t i = 0; i < series->count; i++) {
        const struct report_mark *mark = &series->marks[i];
        double x = report_panel_x(panel, mark->x), y = report_panel_y(panel, mark->y);
        if (drawable(mark) && pen_down)
            cairo_line_to(canvas->cairo, x, y);
        else if (drawable(mark))
            cairo_move_to(canvas->cairo, x, y);
        pen_down = drawable(mark);
    }
    cairo_stroke(canvas->cairo);
    cairo_restore(canvas->cairo);
}

static void draw_whisker(const struct report_canvas *canvas, const struct report_panel *panel,
                         const struct report_mark *mark, enum report_colour colour)
{
    double x = report_panel_x(panel, mark->x), low, high;
    if (!isfinite(mark->low) || !isfinite(mark->high))
        return;
    low = report_panel_y(panel, mark->low);
    high = report_panel_y(panel, mark->high);
    report_draw_line(canvas, x, low, x, high, colour, 0.9);
    report_draw_line(canvas, x - 2.5, low, x + 2.5, low, colour, 0.9);
    report_draw_line(canvas, x - 2.5, high, x + 2.5, high, colour, 0.9);
}

void report_draw_series(const struct report_canvas *canvas, const struct report_panel *panel,
                        const struct report_series *series)
{
    if (series->stroke != REPORT_NO_STROKE)
        draw_stroke(canvas, panel, series);
    for (int32_t i = 0; i < series->count; i++) {
        const struct report_mark *mark = &series->marks[i];
        if (!drawable(mark))
            continue;
        draw_whisker(canvas, panel, mark, series->colour);
        draw_marker(canvas, series, report_panel_x(panel, mark->x), report_panel_y(panel, mark->y));
    }
}

/* Where the next entry goes. */
struct legend {
    const struct report_canvas *canvas;
    double left, right, x, y;
};

static const double SAMPLE_WIDTH = 22.0, ENTRY_GAP = 14.0;

/* Breaks the row if the entry does not fit; returns where its sample starts. */
static double place_entry(struct legend *legend, const char *label, double sample_width)
{
    double width = sample_width + 5 + report_text_width(legend->canvas, label), x;
    if (legend->x > legend->left && legend->x + width > legend->right) {
        legend->x = legend->left;
        legend->y += REPORT_LINE_POINTS;
    }
    x = legend->x;
    legend->x += width + ENTRY_GAP;
    report_draw_text(legend->canvas, x + sample_width + 5, legend->y,
                     (struct report_text_style){.colour = REPORT_INK, .align_y = 0.5}, label);
    return x;
}

static void series_entry(struct legend *legend, const struct report_series *series)
{
    double width = series->stroke != REPORT_NO_STROKE ? SAMPLE_WIDTH : 10;
    double x = place_entry(legend, series->label, width);
    if (series->stroke != REPORT_NO_STROKE) {
        set_stroke(legend->canvas, series);
        cairo_move_to(legend->canvas->cairo, x, legend->y);
        cairo_line_to(legend->canvas->cairo, x + width, legend->y);
        cairo_stroke(legend->canvas->cairo);
        cairo_set_dash(legend->canvas->cairo, NULL, 0, 0);
    }
    draw_marker(legend->canvas, series, x + width / 2, legend->y);
}

static void swatch_entry(struct legend *legend, const struct report_swatch *swatch)
{
    double x = place_entry(legend, swatch->label, 10);
    report_set_colour(legend->canvas, swatch->colour);
    cairo_rectangle(legend->canvas->cairo, x, legend->y - 5, 10, 10);
    cairo_fill(legend->canvas->cairo);
}

/* Whether an earlier series of the chart has the label. */
static bool named_before(const struct report_chart *chart, int32_t panel, int32_t series)
{
    const char *label = chart->panels[panel].series[series].label;
    for (int32_t p = 0; p <= panel; p++)
        for (int32_t s = 0; s < (p == panel ? series : chart->panels[p].series_count); s++)
            if (chart->panels[p].series[s].label && strcmp(chart->panels[p].series[s].label, label) == 0)
                return true;
    return false;
}

double report_draw_legend(const struct report_canvas *canvas, const struct report_chart *chart, double left, double top,
                          double width)
{
    struct legend legend = {canvas, left, left + width, left, top + REPORT_LINE_POINTS / 2};
    bool any = chart->swatches_count > 0;
    for (int32_t i = 0; i < chart->swatches_count; i++)
        swatch_entry(&legend, &chart->swatches[i]);
    for (int32_t p = 0; p < chart->panels_count; p++)
        for (int32_t s = 0; s < chart->panels[p].series_count; s++) {
            const struct report_series *series = &chart->panels[p].series[s];
            if (!series->label || series->count == 0 || named_before(chart, p, s))
                continue;
            series_entry(&legend, series);
            any = true;
        }
    return any ? legend.y + REPORT_LINE_POINTS / 2 - top : 0;
}
