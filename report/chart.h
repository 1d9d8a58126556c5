/* A chart: a title, a legend above the data, and panels one below the other over a common range of x.
 *
 * Fill in a struct report_chart, take the data's range into the axes, then report_chart_save(). Series and what they
 * point at are borrowed until then. */
#ifndef REMAT_REPORT_CHART_H
#define REMAT_REPORT_CHART_H

#include "report/axis.h"
#include "report/canvas.h"

enum report_marker { REPORT_NO_MARKER, REPORT_DOT, REPORT_RING, REPORT_PLUS, REPORT_SQUARE, REPORT_DIAMOND };
enum report_stroke { REPORT_NO_STROKE, REPORT_SOLID, REPORT_DASHED, REPORT_THIN, REPORT_THIN_DASHED };

/* low and high: ends of the whisker, NaN for none. A mark with NaN as x or y is left out and interrupts the line. */
struct report_mark {
    double x, y, low, high;
};

struct report_series {
    const char *label; /* in the legend; series of one label share an entry; NULL = none */
    enum report_colour colour;
    enum report_marker marker;
    enum report_stroke stroke;
    struct report_mark *marks;
    int32_t count;
};

/* A filled area in the legend, for panels that paint themselves. */
struct report_swatch {
    const char *label;
    enum report_colour colour;
};

struct report_panel;
/* Paints inside the panel's box; report_panel_x and _y turn data into points. */
typedef void report_paint(const struct report_canvas *canvas, const struct report_panel *panel, const void *context);

struct report_panel {
    struct report_axis x, y;
    const struct report_series *series;
    int32_t series_count;
    report_paint *paint; /* before the series; may be NULL */
    const void *context;
    struct report_box box; /* set by the layout */
};

enum { REPORT_MAX_PANELS = 3, REPORT_MAX_SWATCHES = 10 };

struct report_chart {
    const char *name; /* of the files */
    const char *title;
    double width, height; /* points */
    struct report_panel panels[REPORT_MAX_PANELS];
    int32_t panels_count;
    struct report_swatch swatches[REPORT_MAX_SWATCHES];
    int32_t swatches_count;
};

/* Width of all charts: fits the text width of A4 and US letter paper. */
#define REPORT_CHART_WIDTH 480.0

double report_panel_x(const struct report_panel *panel, double x);
double report_panel_y(const struct report_panel *panel, double y);
/* Takes the range of all series into the panel's axes. */
void report_panel_include_series(struct report_panel *panel);

/* Finishes the axes and writes FOLDER/NAME.png and .svg; *svg as in report_draw_files(). */
REMAT_MUST_CHECK enum remat_status report_chart_save(struct report_chart *chart, const char *folder, char **svg,
                                                     struct remat_error *err);

/* series.c: drawing of marks, and the legend, which returns its height (also if `draw` is false). */
void report_draw_series(const struct report_canvas *canvas, const struct report_panel *panel,
                        const struct report_series *series);
double report_draw_legend(const struct report_canvas *canvas, const struct report_chart *chart, double left, double top,
                          double width);

#endif
