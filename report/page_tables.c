/* The page's tables: a row for every point, batch size, epoch and evaluated checkpoint. */
#include "report/page.h"

#include <math.h>

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

/* Ends the row of what did not run. */
static void failure_cells(struct report_html *html, int32_t columns, const char *status, const char *message)
{
    report_html_raw(html, "<td class=\"message\" colspan=\"%d\">", columns);
    report_html_text(html, status);
    report_html_raw(html, ": ");
    report_html_text(html, message);
    report_html_raw(html, "</td></tr>\n");
}

static void point_row(struct report_html *html, const struct report_point *point)
{
    report_html_raw(html, "<tr>");
    text_cell(html, point->solver);
    number_cell(html, point->budget_bytes / MIB, 2);
    if (!point->ok) {
        failure_cells(html, 9, point->status, point->message);
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
        failure_cells(html, 6, point->status, point->message);
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
