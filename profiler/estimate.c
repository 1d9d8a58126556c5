#include "profiler/profiler.h"

double remat_compute_peak(const struct remat_machine_peaks *peaks, const struct remat_kernel_spec *spec)
{
    bool narrow = spec->inputs_count > 0 && spec->inputs[0].dtype == REMAT_BF16;
    return narrow && peaks->bf16_gflop_per_second > 0 ? peaks->bf16_gflop_per_second : peaks->gflop_per_second;
}

/* Roofline: Williams, Waterman, Patterson, Comm. ACM 52 (2009). 1 GFLOP/s is 1 flop a nanosecond. */
static int64_t roofline_ns(const struct remat_kernel_spec *spec, const struct remat_machine_peaks *peaks)
{
    double compute = (double)remat_op_flop(spec) / remat_compute_peak(peaks, spec);
    double memory = (double)remat_op_traffic_bytes(spec) / peaks->gbyte_per_second;
    double time = compute > memory ? compute : memory;
    return time < 1.0 ? 1 : (int64_t)time;
}

void remat_profile_estimate(struct remat_task_graph *graph, const struct remat_machine_peaks *peaks)
{
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        struct remat_task *task = &graph->tasks[t];
        struct remat_kernel_spec spec = remat_task_spec(graph, task);
        for (int32_t k = 0; k < task->options_count; k++) {
            task->options[k].time_ns = roofline_ns(&spec, peaks);
            task->options[k].spread_ns = 0;
        }
    }
    graph->measured = false;
}
