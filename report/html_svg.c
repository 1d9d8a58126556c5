/* Fits an SVG of Cairo's into the page. */
#include "report/html.h"
#include "report/palette.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where an id follows; the name is put between. */
static const char *const id_marks[] = {" id=\"", "href=\"#", "url(#", "url('#"};

static size_t id_mark_bytes(const char *at)
{
    for (size_t i = 0; i < sizeof id_marks / sizeof id_marks[0]; i++)
        if (strncmp(at, id_marks[i], strlen(id_marks[i])) == 0)
            return strlen(id_marks[i]);
    return 0;
}

/* "rgb(12.5%, 0%, 100%)": its bytes, and the colour as 0xRRGGBB; 0 if it is something else. */
static size_t read_colour(const char *at, unsigned *rgb)
{
    const char *begin = at;
    *rgb = 0;
    if (strncmp(at, "rgb(", 4) != 0)
        return 0;
    at += 4;
    for (int i = 0; i < 3; i++) {
        char *end;
        double percent = strtod(at, &end);
        if (end == at || *end != '%' || !(percent >= 0 && percent <= 100))
            return 0;
        *rgb = *rgb << 8 | (unsigned)lround(percent * 2.55);
        at = end + 1;
        at += strspn(at, ", ");
    }
    return *at == ')' ? (size_t)(at + 1 - begin) : 0;
}

/* Writes what stands at `at`, changed where need be, and returns its bytes. */
static size_t copy_piece(FILE *stream, const char *at, const char *name)
{
    unsigned rgb;
    size_t bytes = id_mark_bytes(at);
    if (bytes > 0) {
        fprintf(stream, "%.*s%s-", (int)bytes, at, name);
        return bytes;
    }
    bytes = read_colour(at, &rgb);
    if (bytes > 0 && report_colour_variable(rgb)[0]) {
        fprintf(stream, "var(%s)", report_colour_variable(rgb));
        return bytes;
    }
    fputc(*at, stream);
    return 1;
}

void report_html_svg(struct report_html *html, const char *svg, const char *name, const char *label)
{
    const char *at = strstr(svg, "<svg");
    if (!at)
        return;
    report_html_raw(html, "<svg role=\"img\" aria-label=\"");
    report_html_text(html, label);
    report_html_raw(html, "\"");
    at += 4;
    while (*at)
        at += copy_piece(html->stream, at, name);
}
