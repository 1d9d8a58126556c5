/* The memory model of core/plan/schedule.h on the runs of a model: instances, in-place pairs, live bytes. */
#include "solver/retention.h"

#include <string.h>

static enum remat_status make_room(struct remat_retention *work, int32_t *inputs, int32_t *outputs,
                                   struct remat_error *err)
{
    int32_t r;
    *inputs = *outputs = 0;
    for (r = 0; r < work->runs_count; r++) {
        *inputs += work->model->nodes[work->runs[r]].inputs_count;
        *outputs += work->model->nodes[work->runs[r]].outputs_count;
    }
    REMAT_TRY(REMAT_GROW(work->live_bytes, work->live_capacity, work->runs_count + 1, err));
    REMAT_TRY(REMAT_GROW(work->instance_datum, work->instances_capacity, *outputs + 1, err));
    REMAT_TRY(REMAT_GROW(work->instance_end, work->ends_capacity, *outputs + 1, err));
    return REMAT_GROW(work->input_instance, work->inputs_capacity, *inputs + 1, err);
}

/* Instances are numbered in the order of making; each ends at its last read. */
static void find_ends(struct remat_retention *work)
{
    const struct remat_model *model = work->model;
    int32_t *input = work->input_instance;
    int32_t instance = 0, r, k;
    for (r = 0; r < work->runs_count; r++) {
        const struct remat_node *node = &model->nodes[work->runs[r]];
        for (k = 0; k < node->inputs_count; k++, input++) {
            *input = work->latest[model->operands[node->inputs + k]];
            work->instance_end[*input] = r;
        }
        for (k = 0; k < node->outputs_count; k++, instance++) {
            int32_t datum = model->operands[node->outputs + k];
            work->latest[datum] = instance;
            work->instance_datum[instance] = datum;
            work->instance_end[instance] = r;
        }
    }
}

/* Bytes of outputs that take the memory of dying inputs. */
static int64_t in_place_bytes(const struct remat_retention *work, const struct remat_node *node, const int32_t *input,
                              int32_t run)
{
    const struct remat_model *model = work->model;
    unsigned inputs_taken = 0, outputs_done = 0;
    int64_t saved = 0;
    int32_t p, k;
    for (p = 0; p < node->in_place_count; p++) {
        int32_t j = node->in_place[p].output, i = node->in_place[p].input;
        int64_t bytes = model->data[model->operands[node->outputs + j]].bytes;
        bool alone = work->instance_end[input[i]] == run;
        for (k = 0; k < node->inputs_count; k++)
            alone = alone && (k == i || input[k] != input[i]);
        if (!alone || (inputs_taken >> i & 1) || (outputs_done >> j & 1) ||
            model->data[model->operands[node->inputs + i]].bytes != bytes)
            continue;
        inputs_taken |= 1u << i;
        outputs_done |= 1u << j;
        saved += bytes;
    }
    return saved;
}

/* Bytes of the inputs that end with this run; each is marked so that a repeated operand counts once. */
static int64_t release_inputs(struct remat_retention *work, const struct remat_node *node, const int32_t *input,
                              int32_t run)
{
    int64_t bytes = 0;
    int32_t k;
    for (k = 0; k < node->inputs_count; k++)
        if (work->instance_end[input[k]] == run) {
            bytes += work->model->data[work->instance_datum[input[k]]].bytes;
            work->instance_end[input[k]] = -1 - run;
        }
    return bytes;
}

static void sum_live(struct remat_retention *work)
{
    const struct remat_model *model = work->model;
    const int32_t *input = work->input_instance;
    int64_t live = model->fixed_bytes;
    int32_t instance = 0, r, k;
    for (r = 0; r < work->runs_count; r++) {
        const struct remat_node *node = &model->nodes[work->runs[r]];
        int64_t unread = 0;
        for (k = 0; k < node->outputs_count; k++, instance++) {
            int64_t bytes = model->data[work->instance_datum[instance]].bytes;
            live += bytes;
            if (work->instance_end[instance] == r)
                unread += bytes;
        }
        work->live_bytes[r] = live + node->scratch_bytes - in_place_bytes(work, node, input, r);
        live -= unread + release_inputs(work, node, input, r);
        input += node->inputs_count;
    }
}

enum remat_status remat_retention_measure(struct remat_retention *work, struct remat_error *err)
{
    int32_t inputs, outputs;
    REMAT_TRY(make_room(work, &inputs, &outputs, err));
    find_ends(work);
    sum_live(work);
    return REMAT_OK;
}

int64_t remat_retention_peak(const struct remat_retention *work, int32_t begin, int32_t end)
{
    int64_t peak = work->model->fixed_bytes;
    int32_t r;
    for (r = begin; r < end; r++)
        peak = work->live_bytes[r] > peak ? work->live_bytes[r] : peak;
    return peak;
}
