/* Growing text of a page, with escaping. Errors (out of memory) are kept and told at the end. */
#ifndef REMAT_REPORT_HTML_H
#define REMAT_REPORT_HTML_H

#include "core/base/status.h"

#include <stdio.h>

struct report_html {
    FILE *stream;
    char *text;
    size_t length;
};

REMAT_MUST_CHECK enum remat_status report_html_open(struct report_html *html, struct remat_error *err);
/* Writes the page to `path` and releases it; with a NULL path only releases it. */
REMAT_MUST_CHECK enum remat_status report_html_close(struct report_html *html, const char *path,
                                                     struct remat_error *err);
/* Markup as it stands. */
void report_html_raw(struct report_html *html, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text or an attribute's value; & < > " ' are escaped, control characters and broken UTF-8 become U+FFFD. */
void report_html_text(struct report_html *html, const char *text);

/* A picture as it came from Cairo, inlined: prolog off, ids prefixed by `name` so that those of several pictures do not
 * clash, colours with a role (palette.h) as the page's CSS variables, `label` for those who cannot see it. */
void report_html_svg(struct report_html *html, const char *svg, const char *name, const char *label);

#endif
