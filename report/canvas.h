/* A drawing surface in points (1/72 inch) with text. The same drawing code makes the PNG and the SVG. */
#ifndef REMAT_REPORT_CANVAS_H
#define REMAT_REPORT_CANVAS_H

#include "core/base/status.h"
#include "report/palette.h"

#include <cairo.h>
#include <pango/pangocairo.h>

/* Text at its printed size, in points: never below 10. */
#define REPORT_TEXT_POINTS 10.0
#define REPORT_TITLE_POINTS 12.0
#define REPORT_LINE_POINTS 13.5 /* from one line of text to the next */

struct report_canvas {
    cairo_t *cairo;
    PangoLayout *layout;
    double width, height;
};

struct report_box {
    double left, top, width, height;
};

/* align: 0 = the given point is at the left or top of the text, 0.5 = in the middle, 1 = at the right or bottom. */
struct report_text_style {
    enum report_colour colour;
    bool title;
    double align_x, align_y;
};

void report_set_colour(const struct report_canvas *canvas, enum report_colour colour);
void report_set_colour_alpha(const struct report_canvas *canvas, enum report_colour colour, double alpha);
void report_draw_text(const struct report_canvas *canvas, double x, double y, struct report_text_style style,
                      const char *text);
double report_text_width(const struct report_canvas *canvas, const char *text);
void report_draw_line(const struct report_canvas *canvas, double x0, double y0, double x1, double y1,
                      enum report_colour colour, double width);

typedef void report_draw(const struct report_canvas *canvas, const void *context);

/* Draws FOLDER/NAME.png (at 216 dots per inch) and FOLDER/NAME.svg. *svg, if not NULL, gets the SVG's text, owned by
 * the caller (free). */
REMAT_MUST_CHECK enum remat_status report_draw_files(const char *folder, const char *name, double width, double height,
                                                     report_draw *draw, const void *context, char **svg,
                                                     struct remat_error *err);

#endif
