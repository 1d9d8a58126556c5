#include "report/canvas.h"

#include "core/base/file.h"

#include <cairo-svg.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Dots of the PNG per point. */
static const double PNG_SCALE = 3.0;

void report_set_colour_alpha(const struct report_canvas *canvas, enum report_colour colour, double alpha)
{
    unsigned rgb = report_colour_rgb(colour);
    double red = (rgb >> 16 & 255) / 255.0, green = (rgb >> 8 & 255) / 255.0, blue = (rgb & 255) / 255.0;
    cairo_set_source_rgba(canvas->cairo, red, green, blue, alpha);
}

void report_set_colour(const struct report_canvas *canvas, enum report_colour colour)
{
    report_set_colour_alpha(canvas, colour, 1.0);
}

static void set_text(const struct report_canvas *canvas, const char *text, bool title)
{
    PangoFontDescription *font = pango_font_description_from_string("DejaVu Sans, Liberation Sans, sans-serif");
    double points = title ? REPORT_TITLE_POINTS : REPORT_TEXT_POINTS;
    pango_font_description_set_absolute_size(font, points * PANGO_SCALE);
    if (title)
        pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
    pango_layout_set_font_description(canvas->layout, font);
    pango_font_description_free(font);
    pango_layout_set_text(canvas->layout, text, -1);
}

double report_text_width(const struct report_canvas *canvas, const char *text)
{
    PangoRectangle logical;
    set_text(canvas, text, false);
    pango_layout_get_extents(canvas->layout, NULL, &logical);
    return (double)logical.width / PANGO_SCALE;
}

void report_draw_text(const struct report_canvas *canvas, double x, double y, struct report_text_style style,
                      const char *text)
{
    PangoRectangle logical;
    set_text(canvas, text, style.title);
    pango_layout_get_extents(canvas->layout, NULL, &logical);
    x -= style.align_x * logical.width / PANGO_SCALE;
    y -= style.align_y * logical.height / PANGO_SCALE;
    report_set_colour(canvas, style.colour);
    cairo_move_to(canvas->cairo, x, y);
    pango_cairo_show_layout(canvas->cairo, canvas->layout);
}

void report_draw_line(const struct report_canvas *canvas, double x0, double y0, double x1, double y1,
                      enum report_colour colour, double width)
{
    report_set_colour(canvas, colour);
    cairo_set_line_width(canvas->cairo, width);
    cairo_move_to(canvas->cairo, x0, y0);
    cairo_line_to(canvas->cairo, x1, y1);
    cairo_stroke(canvas->cairo);
}

static cairo_status_t append(void *stream, const unsigned char *data, unsigned length)
{
    return fwrite(data, 1, length, stream) == length ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

/* Without hinting text has the same places and widths in both formats. A font map of our own leaves nothing behind. */
static PangoLayout *new_layout(cairo_t *cairo)
{
    PangoFontMap *fonts = pango_cairo_font_map_new();
    PangoContext *context = pango_font_map_create_context(fonts);
    cairo_font_options_t *options = cairo_font_options_create();
    PangoLayout *layout;
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    pango_cairo_context_set_font_options(context, options);
    pango_cairo_update_context(cairo, context);
    layout = pango_layout_new(context);
    cairo_font_options_destroy(options);
    g_object_unref(context);
    g_object_unref(fonts);
    return layout;
}

/* Draws on a surface and finishes it. Takes `surface` in so far as it is complete afterwards. */
static cairo_status_t draw_surface(cairo_surface_t *surface, double width, double height, report_draw *draw,
                                   const void *context)
{
    struct report_canvas canvas = {.cairo = cairo_create(surface), .width = width, .height = height};
    cairo_status_t failed;
    canvas.layout = new_layout(canvas.cairo);
    report_set_colour(&canvas, REPORT_PAPER);
    cairo_paint(canvas.cairo);
    draw(&canvas, context);
    failed = cairo_status(canvas.cairo);
    g_object_unref(canvas.layout);
    cairo_destroy(canvas.cairo);
    return failed;
}

static cairo_status_t draw_png(FILE *stream, double width, double height, report_draw *draw, const void *context)
{
    cairo_surface_t *surface =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)(width * PNG_SCALE), (int)(height * PNG_SCALE));
    cairo_status_t failed;
    cairo_surface_set_device_scale(surface, PNG_SCALE, PNG_SCALE);
    failed = draw_surface(surface, width, height, draw, context);
    if (failed == CAIRO_STATUS_SUCCESS)
        failed = cairo_surface_write_to_png_stream(surface, append, stream);
    cairo_surface_destroy(surface);
    return failed;
}

static cairo_status_t draw_svg(FILE *stream, double width, double height, report_draw *draw, const void *context)
{
    cairo_surface_t *surface = cairo_svg_surface_create_for_stream(append, stream, width, height);
    cairo_status_t failed = draw_surface(surface, width, height, draw, context);
    cairo_surface_finish(surface);
    if (failed == CAIRO_STATUS_SUCCESS)
        failed = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return failed;
}

/* Cairo numbers surfaces over the life of the process, and nothing refers to the outermost one by its number: without
 * it the same drawing gives the same bytes. */
static void drop_surface_number(char *svg)
{
    static const char mark[] = "<g id=\"surface";
    char *at = strstr(svg, mark), *end = at ? strchr(at + sizeof mark - 1, '"') : NULL;
    if (end)
        memmove(at + 2, end + 1, strlen(end + 1) + 1);
}

static enum remat_status draw_file(const char *path, bool png, double width, double height, report_draw *draw,
                                   const void *context, char **text, struct remat_error *err)
{
    size_t bytes = 0;
    FILE *stream;
    cairo_status_t failed;
    *text = NULL;
    stream = open_memstream(text, &bytes);
    if (!stream)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "%s: out of host memory while drawing", path);
    failed = (png ? draw_png : draw_svg)(stream, width, height, draw, context);
    if (fclose(stream) != 0)
        failed = CAIRO_STATUS_NO_MEMORY;
    if (failed != CAIRO_STATUS_SUCCESS)
        return remat_fail(err, failed == CAIRO_STATUS_NO_MEMORY ? REMAT_OUT_OF_MEMORY : REMAT_INTERNAL,
                          "%s: drawing failed: %s", path, cairo_status_to_string(failed));
    if (!png) {
        drop_surface_number(*text);
        bytes = strlen(*text);
    }
    return remat_file_write(path, *text, bytes, err);
}

enum remat_status report_draw_files(const char *folder, const char *name, double width, double height,
                                    report_draw *draw, const void *context, char **svg, struct remat_error *err)
{
    char path[PATH_MAX], *text;
    enum remat_status status;
    if (svg)
        *svg = NULL;
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    status = draw_file(path, true, width, height, draw, context, &text, err);
    free(text);
    REMAT_TRY(status);
    snprintf(path, sizeof path, "%s/%s.svg", folder, name);
    status = draw_file(path, false, width, height, draw, context, &text, err);
    if (status == REMAT_OK && svg)
        *svg = text;
    else
        free(text);
    return status;
}
