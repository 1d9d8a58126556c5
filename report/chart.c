#include "report/chart.h"

#include <math.h>

static const double MARGIN = 8.0, TICK_GAP = 5.0;

double report_panel_x(const struct report_panel *panel, double x)
{
    return panel->box.left + report_axis_place(&panel->x, x) * panel->box.width;
}

double report_panel_y(const struct report_panel *panel, double y)
{
    return panel->box.top + (1 - report_axis_place(&panel->y, y)) * panel->box.height;
}

void report_panel_include_series(struct report_panel *panel)
{
    for (int32_t s = 0; s < panel->series_count; s++)
        for (int32_t i = 0; i < panel->series[s].count; i++) {
            const struct report_mark *mark = &panel->series[s].marks[i];
            if (!isfinite(mark->x) || !isfinite(mark->y))
                continue;
            report_axis_include(&panel->x, mark->x);
            report_axis_include(&panel->y, mark->y);
            report_axis_include(&panel->y, mark->low);
            report_axis_include(&panel->y, mark->high);
        }
}

/* Calls for each tick; their number is found by counting, so that rounding does not add up. */
static int32_t ticks_count(const struct report_axis *axis)
{
    return (int32_t)floor((axis->high - report_axis_first_tick(axis)) / axis->step + 1e-6) + 1;
}

static double tick_value(const struct report_axis *axis, int32_t i)
{
    return report_axis_first_tick(axis) + i * axis->step;
}

static double widest_tick(const struct report_canvas *canvas, const struct report_chart *chart)
{
    char text[32];
    double widest = 0;
    for (int32_t p = 0; p < chart->panels_count; p++) {
        const struct report_axis *axis = &chart->panels[p].y;
        for (int32_t i = 0; i < ticks_count(axis); i++)
            widest = fmax(
                widest, report_text_width(canvas, report_axis_tick_text(axis, tick_value(axis, i), text, sizeof text)));
    }
    return widest;
}

static void draw_y_axis(const struct report_canvas *canvas, const struct report_panel *panel)
{
    const struct report_box *box = &panel->box;
    char text[32];
    for (int32_t i = 0; i < ticks_count(&panel->y); i++) {
        double value = tick_value(&panel->y, i), y = report_panel_y(panel, value);
        report_draw_line(canvas, box->left, y, box->left + box->width, y, REPORT_GRID, 0.6);
        report_draw_text(canvas, box->left - TICK_GAP, y,
                         (struct report_text_style){.colour = REPORT_MUTED, .align_x = 1, .align_y = 0.5},
                         report_axis_tick_text(&panel->y, value, text, sizeof text));
    }
    report_draw_text(canvas, MARGIN, box->top - 9, (struct report_text_style){.colour = REPORT_INK, .align_y = 1},
                     panel->y.label);
}

static void draw_x_axis(const struct report_canvas *canvas, const struct report_panel *panel, bool labels)
{
    const struct report_box *box = &panel->box;
    double bottom = box->top + box->height;
    char text[32];
    for (int32_t i = 0; i < ticks_count(&panel->x); i++) {
        double value = tick_value(&panel->x, i), x = report_panel_x(panel, value);
        report_draw_line(canvas, x, box->top, x, bottom, REPORT_GRID, 0.6);
        report_draw_line(canvas, x, bottom, x, bottom + 3, REPORT_MUTED, 0.8);
        if (labels)
            report_draw_text(canvas, x, bottom + TICK_GAP,
                             (struct report_text_style){.colour = REPORT_MUTED, .align_x = 0.5},
                             report_axis_tick_text(&panel->x, value, text, sizeof text));
    }
    if (labels)
        report_draw_text(canvas, box->left + box->width / 2, bottom + TICK_GAP + REPORT_LINE_POINTS,
                         (struct report_text_style){.colour = REPORT_INK, .align_x = 0.5}, panel->x.label);
}

static void draw_panel(const struct report_canvas *canvas, const struct report_panel *panel, bool last)
{
    const struct report_box *box = &panel->box;
    draw_y_axis(canvas, panel);
    draw_x_axis(canvas, panel, last);
    if (panel->paint)
        panel->paint(canvas, panel, panel->context);
    report_draw_line(canvas, box->left, box->top + box->height, box->left + box->width, box->top + box->height,
                     REPORT_MUTED, 0.8);
    for (int32_t s = 0; s < panel->series_count; s++)
        report_draw_series(canvas, panel, &panel->series[s]);
}

/* Panels share the height that titles, legend and axis labels leave. */
static void place_panels(const struct report_canvas *canvas, struct report_chart *chart, double top)
{
    double left = fmax(MARGIN + widest_tick(canvas, chart) + TICK_GAP, 30), right = canvas->width - 2.5 * MARGIN;
    double bottom = canvas->height - MARGIN - TICK_GAP - 2 * REPORT_LINE_POINTS;
    double header = REPORT_LINE_POINTS + 17; /* the y label above each panel */
    double height = (bottom - top) / chart->panels_count;
    for (int32_t p = 0; p < chart->panels_count; p++)
        chart->panels[p].box = (struct report_box){left, top + p * height + header, right - left, height - header};
}

static void draw_chart(const struct report_canvas *canvas, const void *context)
{
    struct report_chart chart = *(const struct report_chart *)context;
    double top = MARGIN;
    report_draw_text(canvas, MARGIN, top, (struct report_text_style){.colour = REPORT_INK, .title = true}, chart.title);
    top += REPORT_LINE_POINTS + 6;
    top += report_draw_legend(canvas, &chart, MARGIN, top, canvas->width - 2 * MARGIN);
    place_panels(canvas, &chart, top + 4);
    for (int32_t p = 0; p < chart.panels_count; p++)
        draw_panel(canvas, &chart.panels[p], p == chart.panels_count - 1);
}

/* All panels show the same range of x. */
static void finish_axes(struct report_chart *chart)
{
    struct report_axis *first = &chart->panels[0].x;
    int y_ticks = chart->panels_count > 1 ? 4 : 6;
    for (int32_t p = 1; p < chart->panels_count; p++) {
        if (!chart->panels[p].x.any)
            continue;
        report_axis_include(first, chart->panels[p].x.low);
        report_axis_include(first, chart->panels[p].x.high);
    }
    report_axis_finish(first, 8);
    for (int32_t p = 0; p < chart->panels_count; p++) {
        const char *label = chart->panels[p].x.label;
        chart->panels[p].x = *first;
        if (label)
            chart->panels[p].x.label = label;
        report_axis_finish(&chart->panels[p].y, y_ticks);
    }
}

enum remat_status report_chart_save(struct report_chart *chart, const char *folder, char **svg, struct remat_error *err)
{
    finish_axes(chart);
    return report_draw_files(folder, chart->name, chart->width, chart->height, draw_chart, chart, svg, err);
}
