#include "core/plan/plan.h"

#include "core/plan/pack.h"
#include "core/plan/pack_moves.h"
#include "core/plan/place_moves.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Tries with moves: one more for so much effort. They take longer than others. */
enum { MOVES_SHARE = 33 };

/* What placing needs besides the plan that it makes. */
struct placing {
    const struct remat_task_graph *graph;
    const struct remat_schedule *schedule;
    struct remat_liveness live;
    struct remat_plan *plan;
    struct remat_error *err;
};

static int64_t scratch_of(const struct placing *placing, int32_t at)
{
    const struct remat_entry *entry = &placing->schedule->entries[at];
    return entry->kind == REMAT_RUN ? placing->graph->tasks[entry->task].options[entry->option].scratch_bytes : 0;
}

static int32_t count_scratch(const struct placing *placing)
{
    int32_t entry, count = 0;
    for (entry = 0; entry < placing->schedule->count; entry++)
        count += scratch_of(placing, entry) > 0;
    return count;
}

static int32_t add_buffer(struct remat_plan *plan, enum remat_space space, int64_t bytes, int32_t begin, int32_t end)
{
    plan->buffers[plan->buffers_count] = (struct remat_buffer){space, 0, bytes, begin, end};
    return plan->buffers_count++;
}

static int32_t add_view(struct remat_plan *plan, int32_t value, int32_t buffer)
{
    plan->views[plan->views_count] = (struct remat_view){value, buffer, 0};
    return plan->views_count++;
}

/* View k belongs to instance k; instances made over another share its buffer, which then lives for both. */
static void add_instances(struct placing *placing)
{
    struct remat_plan *plan = placing->plan;
    int32_t i;
    for (i = 0; i < placing->live.instances_count; i++) {
        const struct remat_instance *instance = &placing->live.instances[i];
        int64_t bytes = placing->graph->values[instance->value].bytes;
        int32_t buffer = instance->over >= 0 ? plan->views[instance->over].buffer
                                             : add_buffer(plan, instance->space, bytes, instance->begin, instance->end);
        if (instance->end > plan->buffers[buffer].end)
            plan->buffers[buffer].end = instance->end;
        add_view(plan, instance->value, buffer);
    }
}

static void add_instruction(struct placing *placing, int32_t at)
{
    const struct remat_entry *entry = &placing->schedule->entries[at];
    struct remat_instruction *instruction = &placing->plan->instructions[at];
    int64_t scratch = scratch_of(placing, at);
    instruction->kind = entry->kind;
    instruction->task = entry->task;
    instruction->option = entry->option;
    instruction->event = entry->kind == REMAT_WAIT ? remat_schedule_awaited(placing->schedule, at) : -1;
    memcpy(instruction->inputs, placing->live.inputs + (size_t)at * REMAT_MAX_INPUTS, sizeof instruction->inputs);
    memcpy(instruction->outputs, placing->live.outputs + (size_t)at * REMAT_MAX_OUTPUTS, sizeof instruction->outputs);
    instruction->scratch = -1;
    if (scratch > 0)
        instruction->scratch = add_view(placing->plan, -1, add_buffer(placing->plan, REMAT_DEVICE, scratch, at, at));
}

static enum remat_status make_room(struct placing *placing)
{
    struct remat_plan *plan = placing->plan;
    int64_t views = (int64_t)placing->live.instances_count + count_scratch(placing);
    if (views > INT32_MAX)
        return remat_fail(placing->err, REMAT_OUT_OF_MEMORY, "plan: %lld buffers are too many", (long long)views);
    REMAT_TRY(REMAT_ALLOC(plan->instructions, placing->schedule->count, placing->err));
    REMAT_TRY(REMAT_ALLOC(plan->buffers, views, placing->err));
    REMAT_TRY(REMAT_ALLOC(plan->views, views, placing->err));
    plan->instructions_count = placing->schedule->count;
    return REMAT_OK;
}

static enum remat_status check_spaces(const struct placing *placing)
{
    int32_t i;
    for (i = 0; i < placing->graph->values_count; i++)
        if (placing->graph->values[i].space != REMAT_DEVICE)
            return remat_fail(placing->err, REMAT_UNAVAILABLE,
                              "plan: value '%s' lives in host memory, but tasks work in device memory only",
                              placing->graph->values[i].name);
    return REMAT_OK;
}

/* The buffers of a space as items. */
static enum remat_status list_items(const struct placing *placing, enum remat_space space, struct remat_pack_item **out,
                                    int32_t *count)
{
    const struct remat_plan *plan = placing->plan;
    int32_t i;
    *count = 0;
    REMAT_TRY(REMAT_ALLOC(*out, plan->buffers_count, placing->err));
    for (i = 0; i < plan->buffers_count; i++)
        if (plan->buffers[i].space == space)
            (*out)[(*count)++] =
                (struct remat_pack_item){plan->buffers[i].bytes, plan->buffers[i].begin, plan->buffers[i].end, 0};
    return REMAT_OK;
}

static void take_offsets(struct placing *placing, enum remat_space space, const struct remat_pack_item *items)
{
    struct remat_plan *plan = placing->plan;
    int32_t i;
    for (i = 0; i < plan->buffers_count; i++)
        if (plan->buffers[i].space == space)
            plan->buffers[i].offset = (items++)->offset;
}

/* One space at a time; they share no bytes. */
static enum remat_status pack_host(struct placing *placing, int32_t effort)
{
    struct remat_pack_item *items;
    enum remat_status status;
    int32_t count;
    REMAT_TRY(list_items(placing, REMAT_HOST, &items, &count));
    status = remat_pack(items, count, 0, effort, &placing->plan->host_bytes, placing->err);
    if (status == REMAT_OK)
        take_offsets(placing, REMAT_HOST, items);
    free(items);
    return status;
}

/* The number of each buffer among those of the device. */
static enum remat_status number_buffers(const struct placing *placing, int32_t **item_of, int32_t **buffer_of)
{
    const struct remat_plan *plan = placing->plan;
    int32_t i, count = 0;
    REMAT_TRY(REMAT_ALLOC(*item_of, plan->buffers_count, placing->err));
    REMAT_TRY(REMAT_ALLOC(*buffer_of, plan->buffers_count, placing->err));
    for (i = 0; i < plan->buffers_count; i++)
        if (plan->buffers[i].space == REMAT_DEVICE) {
            (*item_of)[i] = count;
            (*buffer_of)[count++] = i;
        }
    return REMAT_OK;
}

/* What a copy uses stays where it is until the wait for it. */
static enum remat_status list_pins(const struct placing *placing, const int32_t *item_of, struct remat_pack_pin **out,
                                   int32_t *count)
{
    const struct remat_plan *plan = placing->plan;
    int32_t at;
    *count = 0;
    REMAT_TRY(REMAT_ALLOC(*out, plan->instructions_count, placing->err));
    for (at = 0; at < plan->instructions_count; at++) {
        const struct remat_instruction *copy;
        if (plan->instructions[at].kind != REMAT_WAIT)
            continue;
        copy = &plan->instructions[plan->instructions[at].event];
        (*out)[(*count)++] = (struct remat_pack_pin){
            item_of[plan->views[copy->kind == REMAT_STORE ? copy->inputs[0] : copy->outputs[0]].buffer],
            plan->instructions[at].event, at};
    }
    return REMAT_OK;
}

/* Below the live peak by moves, if copies leave a way. */
static enum remat_status pack_with_moves(struct placing *placing, struct remat_pack_item *items, int32_t count,
                                         int32_t effort, bool *placed)
{
    struct remat_plan *plan = placing->plan;
    struct remat_pack_moves moves = {0};
    struct remat_pack_pin *pins = NULL;
    int32_t *item_of = NULL, *buffer_of = NULL, pins_count, i;
    enum remat_status status;
    REMAT_TRY_GOTO(number_buffers(placing, &item_of, &buffer_of), done);
    REMAT_TRY_GOTO(list_pins(placing, item_of, &pins, &pins_count), done);
    REMAT_TRY_GOTO(remat_pack_with_moves(items, count, placing->graph->staging_bytes, plan->live_peak_bytes, pins,
                                         pins_count, 1 + effort / MOVES_SHARE, &moves, placed, placing->err),
                   done);
    if (!*placed)
        goto done;
    take_offsets(placing, REMAT_DEVICE, items);
    for (i = 0; i < moves.count; i++)
        moves.list[i].item = buffer_of[moves.list[i].item];
    status = remat_place_moves(placing->graph, &placing->live, &moves, plan, placing->err);
done:
    free(moves.list);
    free(pins);
    free(item_of);
    free(buffer_of);
    return status;
}

static int64_t extent_of(const struct placing *placing)
{
    const struct remat_plan *plan = placing->plan;
    int64_t extent = placing->graph->staging_bytes;
    int32_t i;
    for (i = 0; i < plan->buffers_count; i++)
        if (plan->buffers[i].space == REMAT_DEVICE && plan->buffers[i].offset + plan->buffers[i].bytes > extent)
            extent = plan->buffers[i].offset + plan->buffers[i].bytes;
    return extent;
}

/* Without moves if the tries find a way, with them if there is any, else as small as it gets without. */
static enum remat_status pack_device(struct placing *placing, int32_t effort)
{
    struct remat_pack_item *items;
    enum remat_status status;
    int64_t base = placing->graph->staging_bytes, extent;
    int32_t count;
    bool placed, moved = false;
    REMAT_TRY(list_items(placing, REMAT_DEVICE, &items, &count));
    REMAT_TRY_GOTO(remat_pack_tightly(items, count, base, effort, &placed, placing->err), done);
    if (!placed)
        REMAT_TRY_GOTO(pack_with_moves(placing, items, count, effort, &moved), done);
    if (!placed && !moved)
        REMAT_TRY_GOTO(remat_pack(items, count, base, effort, &extent, placing->err), done);
    if (!moved)
        take_offsets(placing, REMAT_DEVICE, items);
    placing->plan->arena_bytes = extent_of(placing);
done:
    free(items);
    return status;
}

static int32_t find_finish(const struct placing *placing)
{
    const struct remat_entry *entries = placing->schedule->entries;
    int32_t at;
    for (at = 0; at < placing->schedule->count; at++)
        if (entries[at].kind == REMAT_RUN && placing->graph->tasks[entries[at].task].section == REMAT_FINISH)
            break;
    return at;
}

/* The schedule of keep-all costs the base time; lower bound and solve time are the solver's to fill in. */
static enum remat_status place(struct placing *placing, int32_t effort)
{
    struct remat_plan *plan = placing->plan;
    int32_t at;
    REMAT_TRY(remat_liveness(placing->graph, placing->schedule, &placing->live, placing->err));
    REMAT_TRY(check_spaces(placing));
    REMAT_TRY(make_room(placing));
    add_instances(placing);
    for (at = 0; at < placing->schedule->count; at++)
        add_instruction(placing, at);
    plan->graph_hash = remat_task_graph_hash(placing->graph);
    plan->finish_begin = find_finish(placing);
    plan->budget_bytes = plan->host_budget_bytes = INT64_MAX;
    plan->live_peak_bytes = placing->live.peak_bytes;
    plan->host_live_peak_bytes = placing->live.host_peak_bytes;
    plan->peak_instruction = placing->live.peak_entry;
    plan->predicted_step_ns = placing->live.cost_ns;
    plan->keep_all_step_ns = remat_task_graph_base_time_ns(placing->graph);
    REMAT_TRY(pack_host(placing, effort));
    return pack_device(placing, effort);
}

enum remat_status remat_plan_place(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                                   int32_t effort, struct remat_plan *out, struct remat_error *err)
{
    struct placing placing = {.graph = graph, .schedule = schedule, .plan = out, .err = err};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = place(&placing, effort);
    remat_liveness_free(&placing.live);
    return status;
}
