#include "report/report.h"

#include "core/base/file.h"
#include "report/page.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

/* What a folder may hold that a reader of the page may want. */
static const struct {
    const char *name, *what;
} files[] = {{"sweep.csv", "all points, for spreadsheets"},
             {"sweep.json", "all points, with single steps"},
             {"batchsize.json", "all batch sizes tried"},
             {"profile.json", "the task graph with its times"},
             {"epochs.csv", "the training's epochs"},
             {"steps.csv", "its logged steps"},
             {"log.jsonl", "all its events"},
             {"evaluation.json", "checkpoints on the test set"},
             {"plan.json", "the plan of a training step"},
             {"plans", "the plans, for remat explain"}};

static void list_files(struct report_page *page)
{
    char path[PATH_MAX];
    report_html_raw(&page->html, "<h2>Data</h2>\n<ul>\n");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", page->data->folder, files[i].name);
        if (access(path, F_OK) == 0)
            report_html_raw(&page->html, "<li><a href=\"%s\">%s</a>: %s</li>\n", files[i].name, files[i].name,
                            files[i].what);
    }
    report_html_raw(&page->html, "</ul>\n");
}

static void list_notes(struct report_page *page)
{
    if (page->data->notes_count == 0)
        return;
    report_html_raw(&page->html, "<h2>Notes</h2>\n<ul class=\"note\">\n");
    for (int32_t i = 0; i < page->data->notes_count; i++) {
        report_html_raw(&page->html, "<li>");
        report_html_text(&page->html, page->data->notes[i]);
        report_html_raw(&page->html, "</li>\n");
    }
    report_html_raw(&page->html, "</ul>\n");
}

static enum remat_status draw_charts(struct report_page *page, struct remat_error *err)
{
    const struct report_data *data = page->data;
    report_html_raw(&page->html, "<h2>Charts</h2>\n");
    if (data->sweep_json) {
        REMAT_TRY(report_chart_peak(page, err));
        REMAT_TRY(report_chart_time(page, err));
        REMAT_TRY(report_chart_predicted(page, err));
    }
    if (data->batchsize_json)
        REMAT_TRY(report_chart_throughput(page, err));
    if (report_any_training(&data->training))
        REMAT_TRY(report_chart_training(page, err));
    return report_charts_of_plans(page, err);
}

static enum remat_status write_page(struct report_page *page, struct remat_error *err)
{
    report_page_summary(page);
    REMAT_TRY(draw_charts(page, err));
    report_page_tables(page);
    list_notes(page);
    list_files(page);
    report_html_raw(&page->html, "</body>\n</html>\n");
    return REMAT_OK;
}

static enum remat_status make_page(struct report_data *data, struct remat_error *err)
{
    struct report_page page = {.data = data};
    char path[PATH_MAX];
    enum remat_status status;
    snprintf(path, sizeof path, "%s/charts", data->folder);
    REMAT_TRY(remat_make_folders(path, err));
    REMAT_TRY(report_html_open(&page.html, err));
    status = write_page(&page, err);
    snprintf(path, sizeof path, "%s/index.html", data->folder);
    if (status == REMAT_OK)
        return report_html_close(&page.html, path, err);
    if (report_html_close(&page.html, NULL, NULL) != REMAT_OK)
        return REMAT_OUT_OF_MEMORY;
    return status;
}

enum remat_status remat_report(const char *folder, struct remat_error *err)
{
    struct remat_error ignored;
    struct report_data data;
    enum remat_status status;
    err = err ? err : &ignored;
    status = report_load(folder, &data, err);
    if (status == REMAT_OK)
        status = make_page(&data, err);
    report_data_free(&data);
    return status;
}
