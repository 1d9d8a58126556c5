#include "profiler/steps.h"

#include "core/base/memory.h"
#include "profiler/synthetic.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 15 };

static void fill_staging(const struct remat_profile_stage *stage, struct remat_exec *exec)
{
    int64_t labels = remat_label_bound(stage->layers);
    for (int32_t i = 0; i < stage->graph->cells_count; i++) {
        const struct remat_cell *cell = &stage->graph->cells[i];
        struct remat_tensor tensor;
        if (cell->kind != REMAT_STAGING_SLOT)
            continue;
        for (int32_t slot = 0; slot < 2; slot++) {
            void *data = remat_exec_staging(exec, slot, cell->name, &tensor);
            remat_fill_synthetic(&tensor, data, tensor.dtype == REMAT_U8 ? 256 : labels, (uint32_t)i);
        }
    }
}

static enum remat_status run_step(struct remat_exec *exec, const struct remat_task_graph *graph, int64_t step,
                                  struct remat_error *err)
{
    struct remat_step_record record = {.step = step, .micro_count = graph->micro_count};
    record.loss_scale = 1.0f / (float)graph->micro_count;
    REMAT_TRY(remat_exec_micro(exec, (int32_t)(step % 2), &record, err));
    return remat_exec_finish(exec, &record, err);
}

/* About two seconds of steps, within bounds. */
static int32_t choose_steps(int64_t step_ns, int32_t least)
{
    int64_t steps = 2000000000 / (step_ns > 0 ? step_ns : 1);
    return (int32_t)(steps < least ? least : steps > MOST_STEPS ? MOST_STEPS : steps);
}

static enum remat_status measure(const struct remat_profile_stage *stage, struct remat_exec *exec, int32_t instructions,
                                 int32_t least_steps, int32_t *steps, int64_t **times_ns, struct remat_error *err)
{
    struct remat_exec_measure measured;
    const int64_t *step_times_ns;
    REMAT_TRY(run_step(exec, stage->graph, 0, err));
    REMAT_TRY(remat_exec_measured(exec, &measured, err));
    if (*steps <= 0)
        *steps = choose_steps(measured.step_ns, least_steps);
    REMAT_TRY(REMAT_ALLOC(*times_ns, (int64_t)(instructions + 1) * *steps, err));
    for (int32_t s = 0; s < *steps; s++) {
        REMAT_TRY(run_step(exec, stage->graph, s + 1, err));
        REMAT_TRY(remat_exec_times_ns(exec, &step_times_ns, err));
        for (int32_t i = 0; i < instructions; i++)
            (*times_ns)[(int64_t)i * *steps + s] = step_times_ns[i];
        REMAT_TRY(remat_exec_measured(exec, &measured, err));
        (*times_ns)[(int64_t)instructions * *steps + s] = measured.step_ns;
    }
    return REMAT_OK;
}

enum remat_status remat_profile_steps(const struct remat_profile_stage *stage, const struct remat_plan *plan,
                                      int32_t least_steps, int32_t *steps, int64_t **times_ns, struct remat_error *err)
{
    const struct remat_exec_options options = {.time = true};
    struct remat_memory arena;
    struct remat_exec *exec = NULL;
    enum remat_status status;
    *times_ns = NULL;
    REMAT_TRY(
        stage->backend->ops->memory_open(stage->device, plan->arena_bytes, "the arena for profiling", &arena, err));
    REMAT_TRY_GOTO(remat_exec_create(stage->backend, stage->device, stage->graph, plan, stage->state, &arena, &options,
                                     &exec, err),
                   done);
    fill_staging(stage, exec);
    status = measure(stage, exec, plan->instructions_count, least_steps, steps, times_ns, err);
done:
    remat_exec_destroy(exec);
    remat_memory_close(&arena);
    if (status != REMAT_OK) {
        free(*times_ns);
        *times_ns = NULL;
    }
    return status;
}
