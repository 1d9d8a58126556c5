/* A training over its epochs (or steps, if it has no whole epoch): loss, accuracy, learning rate. */
#include "report/page.h"

#include <math.h>

/* More marks than this are averaged in groups: a line of 480 points shows no more. */
enum { MARKS_LIMIT = 600 };
enum { STEP_LOSS, TRAIN_LOSS, TEST_LOSS, LOSS_SERIES };
enum { TRAIN_ACCURACY, TEST_ACCURACY, EVALUATED, ACCURACY_SERIES };

/* Steps of an epoch, or 0 if x counts steps: when no epoch was completed. */
static double steps_per_epoch(const struct report_training *training)
{
    const json_t *told = json_object_get(training->start, "steps_per_epoch");
    double steps = json_is_number(told) ? json_number_value(told) : 0;
    const struct report_epoch *last;
    if (training->epochs_count == 0)
        return 0;
    last = &training->epochs[training->epochs_count - 1];
    if (!(last->epoch > 0 && last->step > 0))
        return 0;
    steps = steps > 0 ? steps : last->step / last->epoch;
    return last->step >= steps ? steps : 0;
}

static double x_of(double step, double per_epoch)
{
    return per_epoch > 0 ? step / per_epoch : step;
}

/* Means of groups of equal size of the steps' losses or rates. */
static enum remat_status fill_steps(struct report_data *data, double per_epoch, struct report_series *loss,
                                    struct report_series *rate, struct remat_error *err)
{
    const struct report_training *training = &data->training;
    int32_t group = (training->steps_count + MARKS_LIMIT - 1) / MARKS_LIMIT;
    REMAT_TRY(report_marks(data, training->steps_count, loss, err));
    REMAT_TRY(report_marks(data, training->steps_count, rate, err));
    for (int32_t first = 0; first < training->steps_count; first += group) {
        int32_t end = first + group < training->steps_count ? first + group : training->steps_count;
        double step = 0, losses = 0, rates = 0;
        for (int32_t i = first; i < end; i++) {
            step += training->steps[i].step / (end - first);
            losses += training->steps[i].loss / (end - first);
            rates += training->steps[i].learning_rate / (end - first);
        }
        report_add_mark(loss, x_of(step, per_epoch), losses);
        report_add_mark(rate, x_of(step, per_epoch), rates);
    }
    if (group > 1)
        REMAT_TRY(remat_pool_printf(&data->pool, &loss->label, err, "training, mean of %d logged steps", group));
    return REMAT_OK;
}

static enum remat_status fill_epochs(struct report_data *data, double per_epoch, struct report_series *loss,
                                     struct report_series *accuracy, struct report_series *rate,
                                     struct remat_error *err)
{
    const struct report_training *training = &data->training;
    bool rates = rate->count == 0;
    REMAT_TRY(report_marks(data, training->epochs_count, &loss[TRAIN_LOSS], err));
    REMAT_TRY(report_marks(data, training->epochs_count, &loss[TEST_LOSS], err));
    REMAT_TRY(report_marks(data, training->epochs_count, &accuracy[TRAIN_ACCURACY], err));
    REMAT_TRY(report_marks(data, training->epochs_count, &accuracy[TEST_ACCURACY], err));
    if (rates)
        REMAT_TRY(report_marks(data, training->epochs_count, rate, err));
    for (int32_t i = 0; i < training->epochs_count; i++) {
        const struct report_epoch *epoch = &training->epochs[i];
        double x = isfinite(epoch->step) ? x_of(epoch->step, per_epoch) : epoch->epoch;
        report_add_mark(&loss[TRAIN_LOSS], x, epoch->train_loss);
        report_add_mark(&loss[TEST_LOSS], x, epoch->test_loss);
        report_add_mark(&accuracy[TRAIN_ACCURACY], x, 100 * epoch->train_accuracy);
        report_add_mark(&accuracy[TEST_ACCURACY], x, 100 * epoch->test_accuracy);
        if (rates)
            report_add_mark(rate, x, epoch->learning_rate);
    }
    return REMAT_OK;
}

static enum remat_status fill_evaluations(struct report_data *data, bool epochs, struct report_series *series,
                                          struct remat_error *err)
{
    const struct report_training *training = &data->training;
    REMAT_TRY(report_marks(data, training->evaluations_count, series, err));
    for (int32_t i = 0; i < training->evaluations_count; i++)
        report_add_mark(series, epochs ? training->evaluations[i].epoch : training->evaluations[i].step,
                        100 * training->evaluations[i].accuracy);
    return REMAT_OK;
}

/* Panels without data are left out. */
static void add_panel(struct report_chart *chart, const struct report_series *series, int32_t count, const char *label)
{
    struct report_panel panel = {.series = series, .series_count = count, .y.label = label};
    report_panel_include_series(&panel);
    if (panel.y.any)
        chart->panels[chart->panels_count++] = panel;
}

/* A single epoch shows as a mark; a line of many needs none. */
static void mark_short_lines(struct report_series *series, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        if (series[i].stroke != REPORT_THIN && series[i].count > 0 && series[i].count <= 12)
            series[i].marker = REPORT_DOT;
}

static enum remat_status save(struct report_page *page, struct report_chart *chart, bool epochs,
                              struct remat_error *err)
{
    if (chart->panels_count == 0) {
        report_note(page->data, "The training log has no losses, accuracies or learning rates to draw.");
        return REMAT_OK;
    }
    chart->panels[0].x.label = epochs ? "Epoch" : "Step";
    chart->panels[0].x.whole = true;
    report_axis_include(&chart->panels[0].x, 0);
    chart->height = 90 + 150 * chart->panels_count;
    return report_page_chart(page, chart,
                             "Loss, accuracy and learning rate of the training. Test figures are means over the whole "
                             "test set, with dropout off and running statistics in use.",
                             err);
}

enum remat_status report_chart_training(struct report_page *page, struct remat_error *err)
{
    const struct report_training *training = &page->data->training;
    double per_epoch = steps_per_epoch(training);
    bool epochs = per_epoch > 0 || training->steps_count + training->epochs_count == 0;
    struct report_series loss[LOSS_SERIES] = {
        [STEP_LOSS] = {.label = "training, each logged step", .colour = REPORT_SKY, .stroke = REPORT_THIN},
        [TRAIN_LOSS] = {.label = "training, mean over the epoch", .colour = REPORT_BLUE, .stroke = REPORT_SOLID},
        [TEST_LOSS] = {.label = "test", .colour = REPORT_VERMILLION, .stroke = REPORT_SOLID},
    };
    struct report_series accuracy[ACCURACY_SERIES] = {
        [TRAIN_ACCURACY] = {.label = "training, mean over the epoch", .colour = REPORT_BLUE, .stroke = REPORT_SOLID},
        [TEST_ACCURACY] = {.label = "test", .colour = REPORT_VERMILLION, .stroke = REPORT_SOLID},
        [EVALUATED] = {.label = "test, evaluated from checkpoints", .colour = REPORT_INK, .marker = REPORT_RING},
    };
    struct report_series rate = {.colour = REPORT_GREEN, .stroke = REPORT_SOLID};
    struct report_chart chart = {.name = "training", .title = "Training", .width = REPORT_CHART_WIDTH};
    REMAT_TRY(fill_steps(page->data, per_epoch, &loss[STEP_LOSS], &rate, err));
    REMAT_TRY(fill_epochs(page->data, per_epoch, loss, accuracy, &rate, err));
    REMAT_TRY(fill_evaluations(page->data, epochs, &accuracy[EVALUATED], err));
    mark_short_lines(loss, LOSS_SERIES);
    mark_short_lines(accuracy, ACCURACY_SERIES);
    add_panel(&chart, loss, LOSS_SERIES, "Loss (nats)");
    add_panel(&chart, accuracy, ACCURACY_SERIES, "Accuracy (%)");
    add_panel(&chart, &rate, 1, "Learning rate");
    return save(page, &chart, epochs, err);
}
