#include "report/report.h"

#include "core/base/json.h"
#include "report/html.h"

#include <limits.h>
#include <stdio.h>

static const char *const files[] = {"sweep.json", "sweep.csv", "batchsize.json", "profile.json",
                                    "log.jsonl",  "steps.csv", "epochs.csv"};

static void list_files(struct report_html *html, const char *folder)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        FILE *file;
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        file = fopen(path, "r");
        if (!file)
            continue;
        fclose(file);
        report_html_raw(html, "<li><a href=\"%s\">%s</a></li>\n", files[i], files[i]);
    }
}

enum remat_status remat_report(const char *folder, struct remat_error *err)
{
    struct report_html html;
    char path[PATH_MAX];
    REMAT_TRY(report_html_open(&html, err));
    report_html_raw(&html, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>remat</title>\n<h1>");
    report_html_text(&html, folder);
    report_html_raw(&html, "</h1>\n<ul>\n");
    list_files(&html, folder);
    report_html_raw(&html, "</ul>\n</html>\n");
    snprintf(path, sizeof path, "%s/index.html", folder);
    return report_html_close(&html, path, err);
}
