/* The page's words and numbers: what ran where, and a row for every point. */
#include "core/base/size.h"
#include "report/page.h"
#include "report/quantile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *member_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* A row of the table of facts; nothing if there is nothing to tell. */
static void fact(struct report_html *html, const char *name, const char *text)
{
    if (!text[0])
        return;
    report_html_raw(html, "<tr><th>%s</th><td>", name);
    report_html_text(html, text);
    report_html_raw(html, "</td></tr>\n");
}

static void bytes_fact(struct report_html *html, const char *name, double bytes)
{
    char text[32];
    if (isfinite(bytes))
        fact(html, name, remat_size_format((int64_t)bytes, text, sizeof text));
}

static double member_number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static void number_fact(struct report_html *html, const char *name, const char *format, double number)
    __attribute__((format(printf, 3, 0)));
static void number_fact(struct report_html *html, const char *name, const char *format, double number)
{
    char text[64];
    if (!isfinite(number))
        return;
    snprintf(text, sizeof text, format, number);
    fact(html, name, text);
}

/* The members that sweep.json and batchsize.json share. */
static void header_facts(struct report_html *html, const json_t *file)
{
    const json_t *machine = json_object_get(file, "machine"), *model = json_object_get(file, "model");
    number_fact(html, "Parameters", "%.0f", member_number(model, "parameters"));
    bytes_fact(html, "Parameters and optimizer state", member_number(model, "persistent_bytes"));
    fact(html, "Machine", member_text(machine, "description"));
    number_fact(html, "Threads", "%.0f", member_number(machine, "threads"));
    fact(html, "Date", member_text(file, "date"));
    fact(html, "Commit", member_text(file, "commit"));
    fact(html, "Command", member_text(file, "command"));
}

struct counts {
    int32_t planned, failed, measured, exceeded, differing;
};

static struct counts count_points(const struct report_sweep *sweep)
{
    struct counts counts = {0};
    for (int32_t i = 0; i < sweep->points_count; i++) {
        const struct report_point *point = &sweep->points[i];
        counts.planned += point->ok;
        counts.failed += !point->ok;
        if (!isfinite(point->measured_peak_bytes))
            continue;
        counts.measured++;
        counts.exceeded += point->measured_peak_bytes > point->budget_bytes;
        counts.differing += point->measured_peak_bytes != point->planned_peak_bytes;
    }
    return counts;
}

/* Quartiles of measured / predicted - 1. */
static void prediction_fact(struct report_page *page)
{
    const struct report_sweep *sweep = &page->data->sweep;
    double *errors;
    char text[96];
    int32_t count = 0;
    if (REMAT_POOL_ALLOC(&page->data->pool, errors, sweep->points_count, NULL) != REMAT_OK)
        return;
    for (int32_t i = 0; i < sweep->points_count; i++) {
        double ratio = sweep->points[i].relative / sweep->points[i].predicted_relative - 1;
        if (isfinite(ratio))
            errors[count++] = 100 * ratio;
    }
    if (count == 0)
        return;
    snprintf(text, sizeof text, "median %+.1f %%, quartiles %+.1f to %+.1f %%", report_quantile(errors, count, 0.5),
             report_quantile(errors, count, 0.25), report_quantile(errors, count, 0.75));
    fact(&page->html, "Measured step, off from predicted", text);
}

static void sweep_facts(struct report_page *page)
{
    const struct report_sweep *sweep = &page->data->sweep;
    struct counts counts = count_points(sweep);
    char text[160];
    header_facts(&page->html, page->data->sweep_json);
    bytes_fact(&page->html, "Arena of keep-all", sweep->keep_all_peak_bytes);
    bytes_fact(&page->html, "Smallest feasible arena", sweep->smallest_peak_bytes);
    snprintf(text, sizeof text, "%d planned, %d of them measured; %d failed", counts.planned, counts.measured,
             counts.failed);
    fact(&page->html, "Points", text);
    if (counts.measured > 0) {
        snprintf(text, sizeof text, "budget exceeded by %d of %d; measured peak differs from the planned one in %d",
                 counts.exceeded, counts.measured, counts.differing);
        fact(&page->html, "Peaks", text);
    }
    prediction_fact(page);
}

static void batchsize_facts(struct report_page *page)
{
    const struct report_batchsize *sizes = &page->data->batchsize;
    header_facts(&page->html, page->data->batchsize_json);
    bytes_fact(&page->html, "Memory allowed", sizes->memory_bytes);
    number_fact(&page->html, "Batch with the highest throughput", "%.0f", sizes->best_batch);
    number_fact(&page->html, "Largest batch that fits", "%.0f", sizes->largest_batch);
}

static void training_facts(struct report_page *page)
{
    const struct report_training *training = &page->data->training;
    struct report_html *html = &page->html;
    number_fact(html, "Parameters", "%.0f", member_number(training->start, "parameters"));
    bytes_fact(html, "Parameters and optimizer state", member_number(training->start, "persistent_bytes"));
    fact(html, "Device", member_text(training->start, "device"));
    fact(html, "Solver", member_text(training->start, "solver"));
    fact(html, "Plan", member_text(training->start, "plan_hash"));
    bytes_fact(html, "Budget", member_number(training->start, "budget_bytes"));
    bytes_fact(html, "Planned peak of a step", member_number(training->start, "planned_peak_bytes"));
    bytes_fact(html, "Measured peak of a step", member_number(training->end, "measured_peak_bytes"));
    number_fact(html, "Steps", "%.0f", member_number(training->end, "step"));
    number_fact(html, "Seconds", "%.0f", member_number(training->end, "seconds"));
    fact(html, "State at the end", member_text(training->end, "state_hash"));
    if (training->epochs_count > 0) {
        const struct report_epoch *last = &training->epochs[training->epochs_count - 1];
        number_fact(html, "Test accuracy after the last epoch", "%.2f %%", 100 * last->test_accuracy);
        number_fact(html, "Test loss after the last epoch", "%.4f", last->test_loss);
    }
}

static void title(struct report_page *page)
{
    const struct report_data *data = page->data;
    const json_t *file = data->sweep_json ? data->sweep_json : data->batchsize_json;
    const json_t *config = json_object_get(data->training.start, "config");
    const char *what = data->sweep_json ? "budget sweep" : data->batchsize_json ? "batch size" : "training";
    const char *model = member_text(json_object_get(file, "model"), "name");
    if (!model[0])
        model = member_text(config, "model");
    report_html_text(&page->html, model[0] ? model : "remat");
    report_html_raw(&page->html, ": %s", what);
}

void report_page_summary(struct report_page *page)
{
    struct report_html *html = &page->html;
    report_html_raw(html, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    title(page);
    report_html_raw(html, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", report_style_sheet);
    title(page);
    report_html_raw(html, "</h1>\n<table class=\"facts\">\n");
    if (page->data->sweep_json)
        sweep_facts(page);
    if (page->data->batchsize_json)
        batchsize_facts(page);
    if (report_any_training(&page->data->training))
        training_facts(page);
    report_html_raw(html, "</table>\n");
}

/* Cells: a dash stands for what was not measured. */
static void number_cell(struct report_html *html, double number, int decimals)
{
    if (isfinite(number))
        report_html_raw(html, "<td>%.*f</td>", decimals, number);
    else
        report_html_raw(html, "<td>&ndash;</td>");
}

static void text_cell(struct report_html *html, const char *text)
{
    report_html_raw(html, "<td class=\"text\">");
    report_html_text(html, text);
    report_html_raw(html, "</td>");
}

static void open_table(struct report_html *html, const char *heading, const char *const *columns)
{
    report_html_raw(html, "<h2>%s</h2>\n<div class=\"scroll\"><table>\n<thead><tr>", heading);
    for (; *columns; columns++)
        report_html_raw(html, "<th>%s</th>", *columns);
    report_html_raw(html, "</tr></thead>\n<tbody>\n");
}

static void close_table(struct report_html *html)
{
    report_html_raw(html, "</tbody></table></div>\n");
}

static const double MIB = 1048576.0;

static void point_row(struct report_html *html, const struct report_point *point)
{
    report_html_raw(html, "<tr>");
    text_cell(html, point->solver);
    number_cell(html, point->budget_bytes / MIB, 2);
    if (!point->ok) {
        report_html_raw(html, "<td class=\"text\" colspan=\"9\">");
        report_html_text(html, point->status);
        report_html_raw(html, ": ");
        report_html_text(html, point->message);
        report_html_raw(html, "</td></tr>\n");
        return;
    }
    number_cell(html, point->planned_peak_bytes / MIB, 2);
    number_cell(html, point->measured_peak_bytes / MIB, 2);
    number_cell(html, point->process_peak_bytes / MIB, 2);
    number_cell(html, point->predicted_step_ns / 1e6, 1);
    number_cell(html, point->measured_step_ns / 1e6, 1);
    number_cell(html, point->predicted_relative, 3);
    number_cell(html, point->relative, 3);
    number_cell(html, 100 * point->gap, 2);
    number_cell(html, point->solve_ns / 1e6, 1);
    report_html_raw(html, "</tr>\n");
}

static void points_table(struct report_page *page)
{
    static const char *const columns[] = {"Solver",
                                          "Budget<br>MiB",
                                          "Planned<br>peak MiB",
                                          "Measured<br>peak MiB",
                                          "Process<br>peak MiB",
                                          "Predicted<br>step ms",
                                          "Measured<br>step ms",
                                          "Predicted<br>/ keep-all",
                                          "Measured<br>/ keep-all",
                                          "Gap to<br>bound %",
                                          "Solving<br>ms",
                                          NULL};
    open_table(&page->html, "Points", columns);
    for (int32_t i = 0; i < page->data->sweep.points_count; i++)
        point_row(&page->html, &page->data->sweep.points[i]);
    close_table(&page->html);
}

static void reference_table(struct report_page *page)
{
    static const char *const columns[] = {"Budget MiB", "Peak MiB", "Step / keep-all", NULL};
    const struct report_sweep *sweep = &page->data->sweep;
    if (sweep->reference_count == 0)
        return;
    open_table(&page->html, "Points of the reference system", columns);
    for (int32_t i = 0; i < sweep->reference_count; i++) {
        report_html_raw(&page->html, "<tr>");
        number_cell(&page->html, sweep->reference[i].budget_bytes / MIB, 2);
        number_cell(&page->html, sweep->reference[i].peak_bytes / MIB, 2);
        number_cell(&page->html, sweep->reference[i].relative, 3);
        report_html_raw(&page->html, "</tr>\n");
    }
    close_table(&page->html);
}

static void batch_row(struct report_html *html, const struct report_batch *point)
{
    report_html_raw(html, "<tr>");
    number_cell(html, point->batch, 0);
    if (!point->ok) {
        report_html_raw(html, "<td class=\"text\" colspan=\"6\">");
        report_html_text(html, point->status);
        report_html_raw(html, ": ");
        report_html_text(html, point->message);
        report_html_raw(html, "</td></tr>\n");
        return;
    }
    number_cell(html, point->planned_peak_bytes / MIB, 2);
    number_cell(html, point->measured_peak_bytes / MIB, 2);
    number_cell(html, point->predicted_step_ns / 1e6, 1);
    number_cell(html, point->measured_step_ns / 1e6, 1);
    number_cell(html, point->predicted_speed, 1);
    number_cell(html, point->speed, 1);
    report_html_raw(html, "</tr>\n");
}

static void batches_table(struct report_page *page)
{
    static const char *const columns[] = {"Batch",
                                          "Planned<br>peak MiB",
                                          "Measured<br>peak MiB",
                                          "Predicted<br>step ms",
                                          "Measured<br>step ms",
                                          "Predicted<br>samples/s",
                                          "Measured<br>samples/s",
                                          NULL};
    open_table(&page->html, "Batch sizes tried", columns);
    for (int32_t i = 0; i < page->data->batchsize.points_count; i++)
        batch_row(&page->html, &page->data->batchsize.points[i]);
    close_table(&page->html);
}

static void epochs_table(struct report_page *page)
{
    static const char *const columns[] = {"Epoch",     "Steps",           "Training loss", "Training accuracy %",
                                          "Test loss", "Test accuracy %", "Learning rate", "Seconds",
                                          NULL};
    const struct report_training *training = &page->data->training;
    if (training->epochs_count == 0)
        return;
    open_table(&page->html, "Epochs", columns);
    for (int32_t i = 0; i < training->epochs_count; i++) {
        const struct report_epoch *epoch = &training->epochs[i];
        report_html_raw(&page->html, "<tr>");
        number_cell(&page->html, epoch->epoch, 0);
        number_cell(&page->html, epoch->step, 0);
        number_cell(&page->html, epoch->train_loss, 4);
        number_cell(&page->html, 100 * epoch->train_accuracy, 2);
        number_cell(&page->html, epoch->test_loss, 4);
        number_cell(&page->html, 100 * epoch->test_accuracy, 2);
        number_cell(&page->html, epoch->learning_rate, 6);
        number_cell(&page->html, epoch->seconds, 1);
        report_html_raw(&page->html, "</tr>\n");
    }
    close_table(&page->html);
}

static void evaluations_table(struct report_page *page)
{
    static const char *const columns[] = {"Epoch", "Step", "Loss", "Accuracy %", "Samples", NULL};
    const struct report_training *training = &page->data->training;
    if (training->evaluations_count == 0)
        return;
    open_table(&page->html, "Checkpoints on the test set", columns);
    for (int32_t i = 0; i < training->evaluations_count; i++) {
        report_html_raw(&page->html, "<tr>");
        number_cell(&page->html, training->evaluations[i].epoch, 0);
        number_cell(&page->html, training->evaluations[i].step, 0);
        number_cell(&page->html, training->evaluations[i].loss, 4);
        number_cell(&page->html, 100 * training->evaluations[i].accuracy, 2);
        number_cell(&page->html, training->evaluations[i].rows, 0);
        report_html_raw(&page->html, "</tr>\n");
    }
    close_table(&page->html);
}

void report_page_tables(struct report_page *page)
{
    if (page->data->sweep_json) {
        points_table(page);
        reference_table(page);
    }
    if (page->data->batchsize_json)
        batches_table(page);
    epochs_table(page);
    evaluations_table(page);
}
