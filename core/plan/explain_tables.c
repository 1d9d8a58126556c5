/* The tables of explain: blocks, the peak, instructions. */
#include "core/plan/explain_parts.h"

#include <stdlib.h>

static const char *const category_texts[] = {
#define X(name, text) text,
    REMAT_CATEGORY_LIST(X)
#undef X
};

/* A forward value counts where backward reads it: kept from its first making on, or made again. */
static void count_value(const struct remat_explain *explain, int32_t v, const int32_t *remade,
                        struct remat_plan_block *row)
{
    const struct remat_value *value = &explain->graph->values[v];
    int32_t k;
    if (explain->graph->tasks[value->producer].phase != REMAT_FORWARD)
        return;
    for (k = 0; k < value->users_count; k++)
        if (explain->graph->tasks[value->users[k]].phase != REMAT_FORWARD)
            break;
    if (remade[v] > 0) {
        row->again++;
        row->again_bytes += value->bytes;
    } else if (k < value->users_count) {
        row->kept++;
        row->kept_bytes += value->bytes;
    }
}

static void fill_rows(const struct remat_explain *explain, int32_t *remade, struct remat_plan_block *rows)
{
    const struct remat_plan *plan = explain->plan;
    int32_t i;
    for (i = 0; i < plan->views_count; i++) {
        int32_t value = plan->views[i].value;
        /* what a copy makes was kept elsewhere */
        if (value >= 0 && explain->made[i] > explain->first_made[value] && explain->last_read[i] > explain->made[i] &&
            plan->instructions[explain->made[i]].kind == REMAT_RUN)
            remade[value]++;
    }
    for (i = 0; i < explain->graph->values_count; i++)
        count_value(explain, i, remade, &rows[explain->graph->values[i].block]);
    for (i = 0; i < plan->instructions_count; i++)
        if (remat_explain_repeats(explain, i))
            rows[explain->graph->tasks[plan->instructions[i].task].block].extra_ns += remat_explain_cost_ns(explain, i);
}

enum remat_status remat_explain_count_blocks(const struct remat_explain *explain, struct remat_plan_block **out,
                                             int32_t *count, struct remat_error *err)
{
    int32_t *remade, b;
    *out = NULL;
    *count = explain->graph->blocks_count > 0 ? explain->graph->blocks_count : 1;
    REMAT_TRY(REMAT_ALLOC(*out, *count, err));
    REMAT_TRY(REMAT_ALLOC(remade, explain->graph->values_count, err));
    for (b = 0; b < *count; b++)
        (*out)[b].name = explain->graph->blocks_count > 0 ? explain->graph->block_names[b] : "(all)";
    fill_rows(explain, remade, *out);
    free(remade);
    return REMAT_OK;
}

static void write_row(const struct remat_explain *explain, const struct remat_plan_block *row)
{
    double saved_mib = (double)row->again_bytes / 1048576.0;
    fprintf(explain->stream, "  %-24.24s %5d %12s %5d %12s %12s", row->name, row->kept,
            remat_explain_bytes(row->kept_bytes).text, row->again, remat_explain_bytes(row->again_bytes).text,
            remat_explain_time((double)row->extra_ns).text);
    if (row->again_bytes > 0)
        fprintf(explain->stream, " %14.0f\n", (double)row->extra_ns / saved_mib);
    else
        fprintf(explain->stream, " %14s\n", "-");
}

void remat_explain_blocks(const struct remat_explain *explain, const struct remat_plan_block *rows, int32_t count)
{
    struct remat_plan_block total = {.name = "total"};
    int32_t b;
    fprintf(explain->stream, "\nForward values that backward needs\n  %-24s %5s %12s %5s %12s %12s %14s\n", "block",
            "kept", "bytes", "again", "bytes", "extra time", "ns per MiB");
    for (b = 0; b < count; b++) {
        write_row(explain, &rows[b]);
        total.kept += rows[b].kept;
        total.kept_bytes += rows[b].kept_bytes;
        total.again += rows[b].again;
        total.again_bytes += rows[b].again_bytes;
        total.extra_ns += rows[b].extra_ns;
    }
    write_row(explain, &total);
}

/* A buffer that is live at the peak, and what it holds there. */
struct holder {
    int64_t bytes;
    int32_t buffer, view; /* view -1: scratch */
};

enum { PEAK_ROWS = 16 };

static int compare_holders(const void *left, const void *right)
{
    const struct holder *a = left, *b = right;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a->buffer < b->buffer ? -1 : a->buffer > b->buffer;
}

/* The live buffers, each with the value it got last. */
static int32_t find_holders(const struct remat_explain *explain, struct holder *holders, int32_t *holder_of)
{
    const struct remat_plan *plan = explain->plan;
    int32_t i, count = 0, at = plan->peak_instruction;
    for (i = 0; i < plan->buffers_count; i++) {
        holder_of[i] = -1;
        if (plan->buffers[i].space == REMAT_DEVICE && plan->buffers[i].begin <= at && at <= plan->buffers[i].end) {
            holder_of[i] = count;
            holders[count++] = (struct holder){plan->buffers[i].bytes, i, -1};
        }
    }
    for (i = 0; i < plan->views_count; i++) {
        struct holder *holder =
            holder_of[plan->views[i].buffer] < 0 ? NULL : &holders[holder_of[plan->views[i].buffer]];
        if (holder && explain->made[i] >= 0 && explain->made[i] <= at &&
            (holder->view < 0 || explain->made[i] > explain->made[holder->view]))
            holder->view = i;
    }
    return count;
}

static void write_categories(const struct remat_explain *explain, const struct holder *holders, int32_t count)
{
    int64_t bytes[REMAT_CATEGORY_COUNT] = {0};
    int32_t i;
    bytes[REMAT_STAGING] = explain->graph->staging_bytes;
    for (i = 0; i < count; i++) {
        int32_t view = holders[i].view;
        bytes[view < 0 ? REMAT_SCRATCH : explain->graph->values[explain->plan->views[view].value].category] +=
            holders[i].bytes;
    }
    for (i = 0; i < REMAT_CATEGORY_COUNT; i++)
        if (bytes[i] > 0)
            fprintf(explain->stream, "  %-22s %12s\n", category_texts[i], remat_explain_bytes(bytes[i]).text);
}

static void write_holder(const struct remat_explain *explain, const struct holder *holder)
{
    const struct remat_plan *plan = explain->plan;
    fprintf(explain->stream, "  %12s at %-14lld ", remat_explain_bytes(holder->bytes).text,
            (long long)plan->buffers[holder->buffer].offset);
    if (holder->view < 0)
        fprintf(explain->stream, "scratch\n");
    else
        fprintf(explain->stream, "%s (made at %d, last read at %d)\n",
                explain->graph->values[plan->views[holder->view].value].name, explain->made[holder->view],
                explain->last_read[holder->view]);
}

static void write_peak(const struct remat_explain *explain, struct holder *holders, int32_t count)
{
    const struct remat_instruction *peak = &explain->plan->instructions[explain->plan->peak_instruction];
    int64_t rest = 0;
    int32_t i;
    fprintf(explain->stream, "\nThe peak: instruction %d", explain->plan->peak_instruction);
    if (peak->kind == REMAT_RUN)
        fprintf(explain->stream, ", %s%s", explain->graph->tasks[peak->task].name,
                remat_explain_repeats(explain, explain->plan->peak_instruction) ? " (again)" : "");
    fprintf(explain->stream, ", %s live\n", remat_explain_bytes(explain->plan->live_peak_bytes).text);
    write_categories(explain, holders, count);
    qsort(holders, (size_t)count, sizeof *holders, compare_holders);
    fprintf(explain->stream, "The largest there\n");
    for (i = 0; i < count; i++)
        if (i < PEAK_ROWS)
            write_holder(explain, &holders[i]);
        else
            rest += holders[i].bytes;
    if (count > PEAK_ROWS)
        fprintf(explain->stream, "  %12s in %d more\n", remat_explain_bytes(rest).text, count - PEAK_ROWS);
}

enum remat_status remat_explain_peak(const struct remat_explain *explain, struct remat_error *err)
{
    struct holder *holders = NULL;
    int32_t *holder_of = NULL;
    enum remat_status status;
    REMAT_TRY_GOTO(REMAT_ALLOC(holders, explain->plan->buffers_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(holder_of, explain->plan->buffers_count, err), done);
    write_peak(explain, holders, find_holders(explain, holders, holder_of));
done:
    free(holders);
    free(holder_of);
    return status;
}

static int64_t address_of(const struct remat_explain *explain, int32_t view_id)
{
    const struct remat_view *view = &explain->plan->views[view_id];
    return explain->plan->buffers[view->buffer].offset + view->offset;
}

static void write_operand(const struct remat_explain *explain, const char *what, int32_t view_id, int64_t bytes)
{
    const struct remat_view *view = &explain->plan->views[view_id];
    fprintf(explain->stream, "        %-7s %-32s at %lld + %lld", what,
            view->value >= 0 ? explain->graph->values[view->value].name : "-", (long long)address_of(explain, view_id),
            (long long)bytes);
}

static void write_operands(const struct remat_explain *explain, int32_t at)
{
    const struct remat_instruction *instruction = &explain->plan->instructions[at];
    const struct remat_task *task = &explain->graph->tasks[instruction->task];
    int32_t k, over;
    for (k = 0; k < task->inputs_count; k++) {
        write_operand(explain, "reads", instruction->inputs[k], explain->graph->values[task->inputs[k]].bytes);
        fprintf(explain->stream, "%s\n", explain->last_read[instruction->inputs[k]] == at ? " for the last time" : "");
    }
    for (k = 0; k < task->outputs_count; k++) {
        write_operand(explain, "makes", instruction->outputs[k], explain->graph->values[task->outputs[k]].bytes);
        over = remat_explain_overwrites(explain, at, k);
        if (over >= 0)
            fprintf(explain->stream, " over %s", explain->graph->values[task->inputs[over]].name);
        fputc('\n', explain->stream);
    }
    if (instruction->scratch >= 0) {
        write_operand(explain, "scratch", instruction->scratch, task->options[instruction->option].scratch_bytes);
        fputc('\n', explain->stream);
    }
}

/* Of a copy or a move. */
static int32_t value_at(const struct remat_explain *explain, int32_t at)
{
    return explain->plan->views[explain->plan->instructions[at].inputs[0]].value;
}

static const char *copied_name(const struct remat_explain *explain, int32_t at)
{
    return explain->graph->values[value_at(explain, at)].name;
}

static void write_copy(const struct remat_explain *explain, int32_t at)
{
    const struct remat_instruction *instruction = &explain->plan->instructions[at];
    bool stores = instruction->kind == REMAT_STORE;
    if (instruction->kind == REMAT_MOVE)
        fprintf(explain->stream, "%6d   move %-27s %s, %s, %s from %lld to %lld\n", at, copied_name(explain, at),
                remat_explain_bytes(explain->live_bytes[at]).text,
                remat_explain_time((double)remat_explain_cost_ns(explain, at)).text,
                remat_explain_bytes(explain->graph->values[value_at(explain, at)].bytes).text,
                (long long)address_of(explain, instruction->inputs[0]),
                (long long)address_of(explain, instruction->outputs[0]));
    else if (instruction->kind == REMAT_WAIT)
        fprintf(explain->stream, "%6d   wait for %d, %s, %s\n", at, instruction->event,
                copied_name(explain, instruction->event),
                remat_explain_time((double)remat_explain_cost_ns(explain, at)).text);
    else
        fprintf(explain->stream, "%6d   %s %-26s %s, %s at %lld, %s at %lld\n", at, stores ? "store" : "fetch",
                copied_name(explain, at), remat_explain_bytes(explain->live_bytes[at]).text, stores ? "device" : "host",
                (long long)address_of(explain, instruction->inputs[0]), stores ? "host" : "device",
                (long long)address_of(explain, instruction->outputs[0]));
}

void remat_explain_instructions(const struct remat_explain *explain)
{
    const struct remat_plan *plan = explain->plan;
    int32_t at;
    fprintf(explain->stream, "\nInstructions (* recomputes): live bytes, time\n");
    for (at = 0; at < plan->instructions_count; at++) {
        const struct remat_instruction *instruction = &plan->instructions[at];
        if (at == plan->finish_begin)
            fprintf(explain->stream, "  finish section, once a step\n");
        if (instruction->kind != REMAT_RUN) {
            write_copy(explain, at);
            continue;
        }
        fprintf(explain->stream, "%6d %c %-32s %s, %s, option %s\n", at, remat_explain_repeats(explain, at) ? '*' : ' ',
                explain->graph->tasks[instruction->task].name, remat_explain_bytes(explain->live_bytes[at]).text,
                remat_explain_time((double)remat_explain_cost_ns(explain, at)).text,
                explain->graph->tasks[instruction->task].options[instruction->option].name);
        write_operands(explain, at);
    }
}
