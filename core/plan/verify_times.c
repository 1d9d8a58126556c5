/* When what happens, by the graph's times: kernels and moves one after the other, stores and fetches beside them, each
 * kind one after the other. */
#include "core/plan/verify.h"

#include <stdlib.h>
#include <string.h>

static enum remat_status too_long(const struct remat_verify *verify)
{
    return remat_fail(verify->err, REMAT_BAD_DATA, "plan: the times of its instructions add up to more than 2^63 ns");
}

static enum remat_status compare_times(const struct remat_verify *verify, const char *what, int64_t says, int64_t is)
{
    if (says != is)
        return remat_fail(
            verify->err, REMAT_BAD_DATA,
            "plan: says %s takes %lld ns, but the graph's times add up to %lld ns; the plan was made from "
            "another profile: solve again with this one",
            what, (long long)says, (long long)is);
    return REMAT_OK;
}

/* The end of a copy that is asked for at `now`, when those before it end at *lane; -1 if it passes 2^63. */
static int64_t copy_end(const struct remat_verify *verify, const struct remat_instruction *copy, int64_t now,
                        int64_t *lane)
{
    const struct remat_task_graph *graph = verify->graph;
    double bytes = (double)graph->values[verify->plan->views[copy->inputs[0]].value].bytes;
    double rate = (double)(copy->kind == REMAT_FETCH ? graph->to_device_bytes_per_s : graph->to_host_bytes_per_s);
    int64_t begin = now > *lane ? now : *lane;
    if (__builtin_add_overflow(begin, (int64_t)(bytes * 1e9 / rate), lane))
        return -1;
    return *lane;
}

static int64_t move_time(const struct remat_verify *verify, const struct remat_instruction *move)
{
    double bytes = (double)verify->graph->values[verify->plan->views[move->inputs[0]].value].bytes;
    double rate = (double)verify->graph->move_bytes_per_s;
    return rate > 0 ? (int64_t)(bytes * 1e9 / rate) : 0;
}

/* The time of instructions [begin, end) alone; `ends` is room for the end of each copy. */
static enum remat_status time_section(const struct remat_verify *verify, int32_t begin, int32_t end, int64_t *ends,
                                      int64_t *out)
{
    int64_t now = 0, stored = 0, fetched = 0;
    int32_t at;
    for (at = begin; at < end; at++) {
        const struct remat_instruction *i = &verify->plan->instructions[at];
        switch (i->kind) {
        case REMAT_RUN:
            if (__builtin_add_overflow(now, verify->graph->tasks[i->task].options[i->option].time_ns, &now))
                return too_long(verify);
            break;
        case REMAT_STORE:
        case REMAT_FETCH:
            ends[at] = copy_end(verify, i, now, i->kind == REMAT_STORE ? &stored : &fetched);
            if (ends[at] < 0)
                return too_long(verify);
            break;
        case REMAT_WAIT:
            now = ends[i->event] > now ? ends[i->event] : now;
            break;
        case REMAT_MOVE:
            if (__builtin_add_overflow(now, move_time(verify, i), &now))
                return too_long(verify);
        }
    }
    *out = now;
    return REMAT_OK;
}

static enum remat_status time_step(const struct remat_verify *verify, int64_t *step)
{
    int32_t count = verify->plan->instructions_count, finish = verify->plan->finish_begin;
    int64_t micro_ns, finish_ns = 0, *ends;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(ends, count, verify->err));
    status = time_section(verify, 0, finish, ends, &micro_ns);
    if (status == REMAT_OK)
        status = time_section(verify, finish, count, ends, &finish_ns);
    free(ends);
    REMAT_TRY(status);
    if (__builtin_mul_overflow(micro_ns, (int64_t)verify->graph->micro_count, step) ||
        __builtin_add_overflow(*step, finish_ns, step))
        return too_long(verify);
    return REMAT_OK;
}

/* Each task once, by its fastest option. */
static enum remat_status time_keep_all(const struct remat_verify *verify, int64_t *out)
{
    const struct remat_task_graph *graph = verify->graph;
    int32_t i, k;
    for (*out = 0, i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        int64_t fastest = task->options[0].time_ns, times = task->section == REMAT_MICRO ? graph->micro_count : 1;
        for (k = 1; k < task->options_count; k++)
            fastest = task->options[k].time_ns < fastest ? task->options[k].time_ns : fastest;
        if (__builtin_mul_overflow(fastest, times, &fastest) || __builtin_add_overflow(*out, fastest, out))
            return too_long(verify);
    }
    return REMAT_OK;
}

enum remat_status remat_verify_times(const struct remat_verify *verify)
{
    const struct remat_plan *plan = verify->plan;
    int64_t step, keep_all;
    REMAT_TRY(time_step(verify, &step));
    REMAT_TRY(time_keep_all(verify, &keep_all));
    REMAT_TRY(compare_times(verify, "its step", plan->predicted_step_ns, step));
    REMAT_TRY(compare_times(verify, "keeping everything", plan->keep_all_step_ns, keep_all));
    if (plan->lower_bound_ns < 0 || plan->lower_bound_ns > step)
        return remat_fail(verify->err, REMAT_BAD_DATA,
                          "plan: its lower bound of %lld ns is not between 0 and its step's %lld ns",
                          (long long)plan->lower_bound_ns, (long long)step);
    return REMAT_OK;
}
