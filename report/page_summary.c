/* The top of the page: what ran where, and the numbers that matter most. */
#include "core/base/quantile.h"
#include "core/base/size.h"
#include "report/page.h"

#include <math.h>
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

/* A whole number with its digits in groups of three. */
static void count_fact(struct report_html *html, const char *name, double number)
{
    char digits[32], text[64];
    int length, at = 0;
    if (!isfinite(number) || fabs(number) > 1e15)
        return;
    length = snprintf(digits, sizeof digits, "%.0f", number);
    for (int i = 0; i < length; i++) {
        text[at++] = digits[i];
        if ((length - i - 1) % 3 == 0 && i + 1 < length && digits[i] != '-')
            text[at++] = ',';
    }
    text[at] = 0;
    fact(html, name, text);
}

/* The members that sweep.json and batchsize.json share. */
static void header_facts(struct report_html *html, const json_t *file)
{
    const json_t *machine = json_object_get(file, "machine"), *model = json_object_get(file, "model");
    count_fact(html, "Parameters", member_number(model, "parameters"));
    bytes_fact(html, "Memory of parameters and optimizer state", member_number(model, "persistent_bytes"));
    fact(html, "Machine", member_text(machine, "description"));
    count_fact(html, "Threads", member_number(machine, "threads"));
    fact(html, "Date", member_text(file, "date"));
    fact(html, "Commit", member_text(file, "commit"));
    fact(html, "Command", member_text(file, "command"));
}

struct counts {
    int32_t planned, failed, measured, exceeded, differing;
    int32_t hashes, other_hashes; /* points with a state hash; those whose hash is not the first one's */
};

static void count_hash(const struct report_point *point, const char **first, struct counts *counts)
{
    if (!point->state_hash[0])
        return;
    if (counts->hashes++ == 0)
        *first = point->state_hash;
    counts->other_hashes += strcmp(*first, point->state_hash) != 0;
}

static struct counts count_points(const struct report_sweep *sweep)
{
    struct counts counts = {0};
    const char *first_hash = "";
    for (int32_t i = 0; i < sweep->points_count; i++) {
        const struct report_point *point = &sweep->points[i];
        counts.planned += point->ok;
        counts.failed += !point->ok;
        count_hash(point, &first_hash, &counts);
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
    snprintf(text, sizeof text, "median %+.1f %%, quartiles %+.1f to %+.1f %%", remat_quantile(errors, count, 0.5),
             remat_quantile(errors, count, 0.25), remat_quantile(errors, count, 0.75));
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
    if (counts.hashes > 1) {
        snprintf(text, sizeof text, "after the last step equal, bit for bit, in %d of %d measured points",
                 counts.hashes - counts.other_hashes, counts.hashes);
        fact(&page->html, "Parameters and optimizer state", text);
    }
    prediction_fact(page);
}

static void batchsize_facts(struct report_page *page)
{
    const struct report_batchsize *sizes = &page->data->batchsize;
    header_facts(&page->html, page->data->batchsize_json);
    bytes_fact(&page->html, "Memory allowed", sizes->memory_bytes);
    count_fact(&page->html, "Batch with the highest throughput", sizes->best_batch);
    count_fact(&page->html, "Largest batch that fits", sizes->largest_batch);
}

static void training_facts(struct report_page *page)
{
    const struct report_training *training = &page->data->training;
    struct report_html *html = &page->html;
    count_fact(html, "Parameters", member_number(training->start, "parameters"));
    bytes_fact(html, "Memory of parameters and optimizer state", member_number(training->start, "persistent_bytes"));
    fact(html, "Device", member_text(training->start, "device"));
    fact(html, "Solver", member_text(training->start, "solver"));
    fact(html, "Plan", member_text(training->start, "plan_hash"));
    bytes_fact(html, "Budget", member_number(training->start, "budget_bytes"));
    bytes_fact(html, "Planned peak of a step", member_number(training->start, "planned_peak_bytes"));
    bytes_fact(html, "Measured peak of a step", member_number(training->end, "measured_peak_bytes"));
    count_fact(html, "Steps", member_number(training->end, "step"));
    count_fact(html, "Seconds", member_number(training->end, "seconds"));
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
        model = member_text(json_object_get(config, "model"), "name");
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
