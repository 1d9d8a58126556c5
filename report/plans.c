/* Which plans of a folder to draw, and reading them. */
#include "report/plans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_budgets(const void *a, const void *b)
{
    const struct report_point *left = *(const struct report_point *const *)a;
    const struct report_point *right = *(const struct report_point *const *)b;
    return (left->planned_peak_bytes > right->planned_peak_bytes) -
           (left->planned_peak_bytes < right->planned_peak_bytes);
}

/* Good points of the measured solver with a plan, by rising peak; the caller frees the list. */
static const struct report_point **list_points(const struct report_sweep *sweep, int32_t *count)
{
    const struct report_point **list = calloc((size_t)sweep->points_count + 1, sizeof(void *));
    *count = 0;
    for (int32_t i = 0; list && i < sweep->points_count; i++) {
        const struct report_point *point = &sweep->points[i];
        if (point->ok && point->plan[0] && isfinite(point->planned_peak_bytes) &&
            strcmp(point->solver, sweep->solver) == 0)
            list[(*count)++] = point;
    }
    if (list)
        qsort(list, (size_t)*count, sizeof *list, compare_budgets);
    return list;
}

static int32_t add_plan(struct report_plan_file *out, int32_t count, const char *name, const char *tag,
                        const char *title)
{
    for (int32_t i = 0; i < count; i++)
        if (strcmp(out[i].name, name) == 0)
            return count;
    out[count] = (struct report_plan_file){name, tag, title};
    return count + 1;
}

static bool there(const struct report_data *data, const char *name)
{
    char path[4352];
    snprintf(path, sizeof path, "%s/%s", data->folder, name);
    return access(path, F_OK) == 0;
}

static int32_t choose_of_sweep(const struct report_data *data, struct report_plan_file *out)
{
    int32_t points, count = 0;
    const struct report_point **list = list_points(&data->sweep, &points);
    if (there(data, "plans/keep-all.json"))
        count = add_plan(out, count, "plans/keep-all.json", "keep-all", "keep-all");
    if (points > 2)
        count = add_plan(out, count, list[points / 2]->plan, "middle", "middle budget");
    if (points > 0)
        count = add_plan(out, count, list[0]->plan, "smallest", "smallest budget");
    free(list);
    return count;
}

static int32_t add_batch(struct report_data *data, struct report_plan_file *out, int32_t count, double batch,
                         const char *tag, const char *title)
{
    const char *name, *full_title;
    if (!isfinite(batch) || remat_pool_printf(&data->pool, &name, NULL, "plans/batch-%.0f.json", batch) != REMAT_OK ||
        remat_pool_printf(&data->pool, &full_title, NULL, "%s (%.0f)", title, batch) != REMAT_OK || !there(data, name))
        return count;
    return add_plan(out, count, name, tag, full_title);
}

int32_t report_choose_plans(struct report_data *data, struct report_plan_file out[REPORT_MAX_PLANS])
{
    int32_t count;
    if (data->sweep_json)
        return choose_of_sweep(data, out);
    if (!data->batchsize_json)
        return there(data, "plan.json") ? add_plan(out, 0, "plan.json", "training", "training step") : 0;
    count = add_batch(data, out, 0, data->batchsize.best_batch, "best", "best batch");
    return add_batch(data, out, count, data->batchsize.largest_batch, "largest", "largest batch");
}

/* Plans that can be read; the others leave a note. */
static int32_t load_plans(struct report_page *page, const struct report_plan_file *files, int32_t files_count,
                          struct report_drawn_plan *out)
{
    int32_t count = 0;
    for (int32_t i = 0; i < files_count; i++) {
        struct remat_error err = {0};
        out[count].file = files[i];
        if (report_timeline_load(page->data->folder, files[i].name, &out[count].timeline, &err) == REMAT_OK) {
            count++;
            continue;
        }
        report_note(page->data, "A plan could not be drawn: %s", err.message);
        report_timeline_free(&out[count].timeline);
    }
    return count;
}

enum remat_status report_charts_of_plans(struct report_page *page, struct remat_error *err)
{
    struct report_plan_file files[REPORT_MAX_PLANS];
    struct report_drawn_plan plans[REPORT_MAX_PLANS] = {0};
    int32_t count = load_plans(page, files, report_choose_plans(page->data, files), plans);
    enum remat_status status = REMAT_OK;
    if (count > 0)
        status = report_chart_memory(page, plans, count, err);
    for (int32_t i = 0; i < count && status == REMAT_OK; i++)
        status = report_chart_blocks(page, &plans[i], err);
    for (int32_t i = 0; i < count && status == REMAT_OK; i++)
        status = report_chart_arena(page, &plans[i], err);
    for (int32_t i = 0; i < count; i++)
        report_timeline_free(&plans[i].timeline);
    return status;
}
