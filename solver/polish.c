#include "solver/polish.h"

#include "core/base/clock.h"
#include "solver/subproblem.h"

enum { MOST_STAGES = 24, MOST_TOUCHED = 44, MOST_PASSES = 2 };

static bool is_over(const struct remat_polish *polish)
{
    return (polish->deadline > 0 && remat_clock_seconds() >= polish->deadline) || (polish->stop && *polish->stop);
}

/* Large data only: small ones are no matter of choice. */
static bool choose_all(struct remat_subproblem *sub, int32_t operands, int32_t count)
{
    int32_t k;
    for (k = 0; k < count; k++) {
        int32_t datum = sub->sequence->model->operands[operands + k];
        if (!remat_subproblem_is_small(sub, datum) && !remat_subproblem_choose(sub, datum))
            return false;
    }
    return true;
}

static bool choose_stage(struct remat_subproblem *sub, int32_t stage)
{
    const struct remat_sequence *s = sub->sequence;
    int32_t k;
    for (k = 0; k < s->stage[stage].count; k++) {
        const struct remat_node *n = &s->model->nodes[s->runs[s->stage[stage].runs[k]].node];
        if (!choose_all(sub, n->inputs, n->inputs_count) || !choose_all(sub, n->outputs, n->outputs_count))
            return false;
    }
    return sub->count <= MOST_TOUCHED;
}

/* Stages from `first` on, and the data that they touch, while there is room. */
static void choose_stages(struct remat_subproblem *sub)
{
    remat_subproblem_forget(sub, 0);
    for (sub->end = sub->first; sub->end < sub->sequence->stages_count && sub->end - sub->first < MOST_STAGES;
         sub->end++) {
        int32_t count = sub->count;
        if (!choose_stage(sub, sub->end)) {
            remat_subproblem_forget(sub, count);
            return;
        }
    }
}

static bool live_at(const struct remat_sequence *s, int32_t datum, int32_t stage)
{
    const struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, remat_place(stage, 0));
    return at > 0 && remat_event_reads(events, at);
}

static bool can_be_made(const struct remat_subproblem *sub, int32_t datum)
{
    const struct remat_model *model = sub->sequence->model;
    int32_t k;
    for (k = 0; k < model->data[datum].recipes_count; k++)
        if (remat_subproblem_can_run(sub, model->operands[model->data[datum].recipes + k]))
            return true;
    return false;
}

/* What passes through may be dropped and made again, too, while there is room for it. */
static void choose_passing(struct remat_subproblem *sub)
{
    int32_t d;
    for (d = 0; d < sub->sequence->model->data_count; d++)
        if (!remat_subproblem_is_small(sub, d) && sub->local[d] < 0 && live_at(sub->sequence, d, sub->first) &&
            can_be_made(sub, d))
            remat_subproblem_choose(sub, d);
}

static bool repeats(const struct remat_subproblem *sub)
{
    int32_t stage;
    for (stage = sub->first; stage < sub->end; stage++)
        if (sub->sequence->stage[stage].count > 1)
            return true;
    return false;
}

/* Windows overlap by half. */
static enum remat_status pass(struct remat_subproblem *sub, const struct remat_polish *polish, bool *improved,
                              struct remat_error *err)
{
    *improved = false;
    for (sub->first = 0; sub->first < sub->sequence->stages_count && !is_over(polish);) {
        choose_stages(sub);
        if (repeats(sub)) {
            choose_passing(sub);
            REMAT_TRY(remat_subproblem_solve(sub, polish->states, improved, err));
        }
        sub->first = sub->end > sub->first + 1 ? (sub->first + sub->end + 1) / 2 : sub->first + 1;
    }
    return REMAT_OK;
}

enum remat_status remat_polish(const struct remat_polish *polish, struct remat_error *err)
{
    struct remat_subproblem sub;
    bool improved = true;
    int32_t k;
    enum remat_status status = remat_subproblem_init(&sub, polish->sequence, polish->budget_bytes, err);
    for (k = 0; k < MOST_PASSES && improved && status == REMAT_OK; k++)
        status = pass(&sub, polish, &improved, err);
    remat_subproblem_free(&sub);
    return status;
}
