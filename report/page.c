#include "report/page.h"

#include <limits.h>
#include <stdlib.h>

const char report_style_sheet[] =
    ":root{color-scheme:light dark;--ink:#1c1c20;--muted:#5a5a62;--grid:#dcdce2;--paper:#fffffe;--link:#005a8f}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--muted:#b2b2ba;--grid:#3a3a42;--paper:#17171b;"
    "--link:#7cc4f5}}\n"
    "body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;"
    "margin:0 auto;padding:1.5rem}\n"
    "h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.25rem;margin:2.2rem 0 .6rem}\n"
    "a{color:var(--link)}figure{margin:1.8rem 0;break-inside:avoid}\n"
    "figure svg{display:block;width:100%;max-width:760px;height:auto}\n"
    "figcaption,.note{color:var(--muted);max-width:46rem}figcaption{font-size:.92rem;margin-top:.4rem}\n"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.22rem .6rem;text-align:right;border-bottom:1px solid var(--grid);white-space:nowrap}\n"
    "th{vertical-align:bottom;font-weight:600}th:first-child,td:first-child,.text{text-align:left}\n"
    ".facts th{text-align:left;font-weight:400;color:var(--muted)}.facts td{text-align:left;white-space:normal}\n"
    ".message{text-align:left;white-space:normal;min-width:20rem}"
    "code{font-size:.9em;overflow-wrap:anywhere}tr{break-inside:avoid}\n"
    "@media print{:root{--ink:#000;--muted:#444;--grid:#ccc;--paper:#fff;--link:#000;color-scheme:light}"
    "body{font-size:10pt;padding:0;max-width:none}figcaption{font-size:9pt}figure "
    "svg{width:480pt}table{font-size:7.5pt}"
    "th,td{padding:1pt 3pt}.scroll{overflow:visible}}\n";

enum remat_status report_page_chart(struct report_page *page, struct report_chart *chart, const char *caption,
                                    struct remat_error *err)
{
    char folder[PATH_MAX], *svg;
    snprintf(folder, sizeof folder, "%s/charts", page->data->folder);
    REMAT_TRY(report_chart_save(chart, folder, &svg, err));
    report_html_raw(&page->html, "<figure id=\"%s\">\n", chart->name);
    report_html_svg(&page->html, svg, chart->name, chart->title);
    report_html_raw(&page->html, "<figcaption>%s <a href=\"charts/%s.png\">PNG</a>, <a href=\"charts/%s.svg\">SVG</a>",
                    caption, chart->name, chart->name);
    report_html_raw(&page->html, "</figcaption>\n</figure>\n");
    free(svg);
    return REMAT_OK;
}
