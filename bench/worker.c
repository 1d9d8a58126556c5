#include "bench/worker.h"

#include "core/base/clock.h"
#include "core/base/json.h"
#include "runtime/exec/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES = 1200 };

/* --- both sides: lines over pipes ----------------------------------------------------------------------------------
 */

/* False at the end of the file or on an error. */
static bool read_line(int from, char *line, int capacity)
{
    int used = 0;
    while (used < capacity - 1) {
        ssize_t got = read(from, line + used, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        if (line[used] == '\n')
            break;
        used++;
    }
    line[used] = '\0';
    return true;
}

static enum remat_status read_answer(int from, char *line, int capacity, struct remat_error *err)
{
    if (read_line(from, line, capacity))
        return REMAT_OK;
    return remat_fail(err, REMAT_FAILED, "the measuring process ended early");
}

static enum remat_status write_line(int to, const char *line, struct remat_error *err)
{
    size_t length = strlen(line), done = 0;
    while (done < length) {
        ssize_t wrote = write(to, line + done, length - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return remat_fail(err, REMAT_IO, "cannot write to the measuring process: %s", strerror(errno));
        done += (size_t)wrote;
    }
    return REMAT_OK;
}

/* --- the worker ------------------------------------------------------------------------------------------------------
 */

/* So that the peak is of what comes now: the kernel resets VmHWM when 5 is written here. */
static void reset_process_peak(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (file < 0)
        return;
    if (write(file, "5", 1) < 0)
        errno = 0;
    close(file);
}

/* Numbers that are all valid: tokens are spread over the vocabulary as in a text, labels are two. */
static uint32_t kinds_of(const struct remat_task_graph *graph)
{
    for (int32_t t = 0; t < graph->tasks_count; t++)
        if (graph->tasks[t].op == REMAT_OP_EMBEDDING)
            return (uint32_t)graph->cells[graph->tasks[t].cells[0].cell].tensor.dims[0];
    return 2;
}

static void fill_staging(struct remat_exec *exec, const struct remat_task_graph *graph, int32_t slot)
{
    const uint32_t kinds = kinds_of(graph);
    for (int32_t i = 0; i < graph->cells_count; i++) {
        const struct remat_cell *cell = &graph->cells[i];
        struct remat_tensor tensor;
        unsigned char *bytes;
        if (cell->kind != REMAT_STAGING_SLOT)
            continue;
        bytes = remat_exec_staging(exec, slot, cell->name, &tensor);
        for (int64_t k = 0; k < remat_tensor_elements(&tensor); k++) {
            uint32_t word = (uint32_t)k * 2654435761u >> 16;
            if (tensor.dtype == REMAT_I32)
                ((int32_t *)(void *)bytes)[k] = (int32_t)(word % kinds);
            else
                bytes[k] = (unsigned char)word;
        }
    }
}

/* Where a step waits for its turns. */
struct turns {
    int in, out;
    int64_t slice_ns; /* 0: it waits for none */
    int64_t begin_ns;
    int64_t waited_ns; /* since the last micro step began */
    enum remat_status status;
    struct remat_error err;
};

/* An observer of instructions: after a slice of time it is the driver's turn. */
static void wait_for_turn(void *context, int32_t instruction, const struct remat_task *task,
                          const struct remat_kernel_args *args)
{
    struct turns *turns = context;
    char line[LINE_BYTES];
    int64_t now_ns;
    (void)instruction, (void)task, (void)args;
    if (turns->slice_ns == 0 || turns->status != REMAT_OK)
        return;
    now_ns = remat_clock_ns();
    if (now_ns - turns->begin_ns < turns->slice_ns)
        return;
    turns->status = write_line(turns->out, "turn\n", &turns->err);
    if (turns->status == REMAT_OK && !read_line(turns->in, line, sizeof line))
        turns->status = remat_fail(&turns->err, REMAT_FAILED, "the driver ended within a step");
    turns->begin_ns = remat_clock_ns();
    turns->waited_ns += turns->begin_ns - now_ns;
}

static enum remat_status begin_step(struct remat_exec *exec, const struct remat_task_graph *graph, int64_t step,
                                    int32_t slot, struct turns *turns, struct remat_error *err)
{
    struct remat_step_record record = {.seed = 1,
                                       .step = step,
                                       .micro_count = graph->micro_count,
                                       .learning_rate = 1e-3f,
                                       .loss_scale = 1.0f / (float)graph->micro_count};
    for (record.micro = 0; record.micro < graph->micro_count; record.micro++) {
        turns->waited_ns = 0;
        REMAT_TRY(remat_exec_micro(exec, slot, &record, err));
    }
    return remat_exec_finish(exec, &record, err);
}

/* One step, by the device's clock, less what it waited: the last micro step and the finish. */
static enum remat_status run_step(struct remat_exec *exec, const struct remat_task_graph *graph, int64_t step,
                                  struct turns *turns, int64_t *step_ns, struct remat_error *err)
{
    struct remat_exec_measure measure;
    turns->begin_ns = remat_clock_ns();
    REMAT_TRY(begin_step(exec, graph, step, 0, turns, err));
    REMAT_TRY(remat_exec_measured(exec, &measure, err));
    if (turns->status != REMAT_OK)
        *err = turns->err;
    *step_ns = measure.step_ns - turns->waited_ns;
    return turns->status;
}

/* Steps one after another as in training, their batches in turn in both slots; the time is the wall's. */
static enum remat_status run_steps(struct remat_exec *exec, const struct remat_task_graph *graph, int64_t first,
                                   int64_t count, int64_t *time_ns, struct remat_error *err)
{
    struct remat_exec_measure measure;
    struct turns none = {0};
    int64_t begin = remat_clock_ns();
    for (int64_t step = first; step < first + count; step++) {
        REMAT_TRY(begin_step(exec, graph, step, (int32_t)(step % 2), &none, err));
        REMAT_TRY(remat_exec_stage(exec, (int32_t)((step + 1) % 2), err));
    }
    REMAT_TRY(remat_exec_measured(exec, &measure, err)); /* waits for the last of them */
    *time_ns = remat_clock_ns() - begin;
    return REMAT_OK;
}

static enum remat_status write_number(int to, long long number, struct remat_error *err)
{
    char line[LINE_BYTES];
    snprintf(line, sizeof line, "%lld\n", number);
    return write_line(to, line, err);
}

static enum remat_status tell_parts(struct remat_exec *exec, int32_t count, int out, struct remat_error *err)
{
    const int64_t *times_ns = NULL;
    if (count > 0)
        REMAT_TRY(remat_exec_times_ns(exec, &times_ns, err));
    REMAT_TRY(write_number(out, count, err));
    for (int32_t i = 0; i < count; i++)
        REMAT_TRY(write_number(out, times_ns[i], err));
    return REMAT_OK;
}

/* What the process holds where the arena is: its highest resident bytes on the host, its bytes on a device (which steps
 * do not change); -1 if unknown. */
static int64_t process_bytes(const struct remat_workload *workload, bool now)
{
    struct remat_device_memory memory;
    if (workload->backend->ops->host)
        return now ? remat_process_resident_bytes() : remat_process_peak_bytes();
    workload->backend->ops->memory_used(workload->device, &memory);
    return memory.process_bytes;
}

/* `timed`: how many instructions are timed. */
static enum remat_status serve(const struct remat_workload *workload, struct remat_exec *exec, int32_t timed,
                               const struct remat_state *state, int64_t baseline_bytes, struct turns *turns,
                               struct remat_error *err)
{
    const struct remat_task_graph *graph = &workload->graph;
    const int in = turns->in, out = turns->out;
    int64_t held_bytes;
    char line[LINE_BYTES];
    struct remat_exec_measure measure;
    uint64_t hash;
    for (int64_t step = 0;;) {
        int64_t time_ns = 0, count = 1;
        if (!read_line(in, line, sizeof line))
            return REMAT_OK; /* the driver has no more questions */
        if (strcmp(line, "end") == 0)
            break;
        if (strcmp(line, "parts") == 0) {
            REMAT_TRY(tell_parts(exec, timed, out, err));
            continue;
        }
        if (strncmp(line, "steps ", 6) == 0) {
            count = strtoll(line + 6, NULL, 10);
            REMAT_TRY(run_steps(exec, graph, step, count, &time_ns, err));
        } else {
            turns->slice_ns = strncmp(line, "step ", 5) == 0 ? strtoll(line + 5, NULL, 10) : 0;
            REMAT_TRY(run_step(exec, graph, step, turns, &time_ns, err));
        }
        step += count;
        REMAT_TRY(write_number(out, time_ns, err));
    }
    REMAT_TRY(remat_exec_measured(exec, &measure, err));
    held_bytes = process_bytes(workload, false);
    REMAT_TRY(remat_state_hash(state, &hash, err));
    snprintf(line, sizeof line, "%lld %lld %lld %016llx %lld %lld\n", (long long)measure.peak_bytes,
             (long long)measure.live_peak_bytes,
             (long long)(held_bytes < 0 || baseline_bytes < 0 ? -1 : held_bytes - baseline_bytes),
             (unsigned long long)hash, (long long)measure.host_peak_bytes, (long long)measure.host_live_peak_bytes);
    return write_line(out, line, err);
}

enum remat_status remat_worker_serve(struct remat_workload *workload, const struct remat_plan *plan, int in, int out,
                                     struct remat_error *err)
{
    /* Timing and watching instructions keep a card from running a step as a whole. */
    struct turns turns = {.in = in, .out = out};
    const bool host = workload->backend->ops->host;
    struct remat_exec_options options = {
        .track = true, .time = host, .observe = host ? wait_for_turn : NULL, .context = &turns};
    struct remat_state state = {0};
    struct remat_memory arena = {0};
    struct remat_exec *exec = NULL;
    int64_t baseline_bytes;
    enum remat_status status;
    REMAT_TRY_GOTO(remat_state_create(workload->backend, workload->device, &workload->graph, &state, err), done);
    REMAT_TRY_GOTO(remat_state_init_parameters(&state, &workload->layers, 1, err), done);
    reset_process_peak();
    baseline_bytes = process_bytes(workload, true);
    REMAT_TRY_GOTO(workload->backend->ops->memory_open(workload->device, plan->arena_bytes, "the arena", &arena, err),
                   done);
    REMAT_TRY_GOTO(remat_exec_create(workload->backend, workload->device, &workload->graph, plan, &state, &arena,
                                     &options, &exec, err),
                   done);
    fill_staging(exec, &workload->graph, 0);
    fill_staging(exec, &workload->graph, 1);
    status = serve(workload, exec, options.time ? plan->instructions_count : 0, &state, baseline_bytes, &turns, err);
done:
    remat_exec_destroy(exec);
    remat_memory_close(&arena);
    remat_state_free(&state);
    return status;
}

/* --- the driver ------------------------------------------------------------------------------------------------------
 */

static void become_worker(char *const command[], int in[2], int out[2])
{
    /* The driver decides when to end: an interrupt from the keyboard, which goes to a whole group, is for it alone. If
     * it dies, the end of its pipe ends this process. */
    setpgid(0, 0);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    execv(command[0], command);
    _exit(127);
}

enum remat_status remat_worker_start(char *const command[], struct remat_worker *out, struct remat_error *err)
{
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0)
        return remat_fail(err, REMAT_FAILED, "cannot make a pipe: %s", strerror(errno));
    if (pipe2(from, O_CLOEXEC) != 0) {
        close(to[0]);
        close(to[1]);
        return remat_fail(err, REMAT_FAILED, "cannot make a pipe: %s", strerror(errno));
    }
    out->pid = fork();
    if (out->pid == 0)
        become_worker(command, to, from);
    close(to[0]);
    close(from[1]);
    out->to = to[1];
    out->from = from[0];
    if (out->pid < 0) {
        close(out->to);
        close(out->from);
        return remat_fail(err, REMAT_FAILED, "cannot start a measuring process: %s", strerror(errno));
    }
    return REMAT_OK;
}

enum remat_status remat_worker_step(struct remat_worker *worker, int64_t *step_ns, struct remat_error *err)
{
    char line[LINE_BYTES];
    REMAT_TRY(write_line(worker->to, "step\n", err));
    REMAT_TRY(read_answer(worker->from, line, sizeof line, err));
    *step_ns = strtoll(line, NULL, 10);
    return REMAT_OK;
}

/* Up to the end of the step or of the slice; which it was stands in *ended. */
static enum remat_status go_on(struct remat_worker *worker, const char *with, bool *ended, int64_t *step_ns,
                               struct remat_error *err)
{
    char line[LINE_BYTES];
    REMAT_TRY(write_line(worker->to, with, err));
    REMAT_TRY(read_answer(worker->from, line, sizeof line, err));
    *ended = strcmp(line, "turn") != 0;
    if (*ended)
        *step_ns = strtoll(line, NULL, 10);
    return REMAT_OK;
}

/* Who has done less of its step, as its slice is to the other's. */
static int choose_turn(const bool ended[2], const int64_t used_ns[2], const int64_t slices_ns[2])
{
    if (ended[0] || ended[1])
        return ended[0] ? 1 : 0;
    return (double)used_ns[0] / (double)slices_ns[0] <= (double)used_ns[1] / (double)slices_ns[1] ? 0 : 1;
}

enum remat_status remat_workers_step_in_turn(struct remat_worker *const workers[2], const int64_t slices_ns[2],
                                             int64_t steps_ns[2], struct remat_error *err)
{
    bool begun[2] = {false, false}, ended[2] = {false, false};
    int64_t used_ns[2] = {0, 0}, begin_ns;
    char begin[LINE_BYTES];
    while (!ended[0] || !ended[1]) {
        int i = choose_turn(ended, used_ns, slices_ns);
        snprintf(begin, sizeof begin, "step %lld\n", (long long)slices_ns[i]);
        begin_ns = remat_clock_ns();
        REMAT_TRY(go_on(workers[i], begun[i] ? "go\n" : begin, &ended[i], &steps_ns[i], err));
        used_ns[i] += remat_clock_ns() - begin_ns;
        begun[i] = true;
    }
    return REMAT_OK;
}

enum remat_status remat_worker_parts(struct remat_worker *worker, int64_t **ns, int32_t *count, int32_t *capacity,
                                     struct remat_error *err)
{
    char line[LINE_BYTES];
    REMAT_TRY(write_line(worker->to, "parts\n", err));
    REMAT_TRY(read_answer(worker->from, line, sizeof line, err));
    *count = (int32_t)strtol(line, NULL, 10);
    REMAT_TRY(REMAT_GROW(*ns, *capacity, *count, err));
    for (int32_t i = 0; i < *count; i++) {
        REMAT_TRY(read_answer(worker->from, line, sizeof line, err));
        (*ns)[i] = strtoll(line, NULL, 10);
    }
    return REMAT_OK;
}

static enum remat_status read_report(struct remat_worker *worker, struct remat_worker_report *report,
                                     struct remat_error *err)
{
    char line[LINE_BYTES];
    long long peak, live, process, host_peak, host_live;
    unsigned long long hash;
    REMAT_TRY(write_line(worker->to, "end\n", err));
    REMAT_TRY(read_answer(worker->from, line, sizeof line, err));
    if (sscanf(line, "%lld %lld %lld %llx %lld %lld", &peak, &live, &process, &hash, &host_peak, &host_live) != 6)
        return remat_fail(err, REMAT_INTERNAL, "the measuring process reported \"%.100s\"", line);
    *report = (struct remat_worker_report){peak, live, process, hash, host_peak, host_live};
    return REMAT_OK;
}

enum remat_status remat_worker_end(struct remat_worker *worker, struct remat_worker_report *report,
                                   struct remat_error *err)
{
    enum remat_status status = report ? read_report(worker, report, err) : REMAT_OK;
    int how = 0;
    close(worker->to);
    close(worker->from);
    waitpid(worker->pid, &how, 0);
    if (status != REMAT_OK && WIFSIGNALED(how))
        return remat_fail(err, REMAT_FAILED, "the measuring process was killed by signal %d", WTERMSIG(how));
    return status;
}
