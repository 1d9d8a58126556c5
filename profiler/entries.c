#include "profiler/entries.h"

#include "core/base/quantile.h"

#include <stdlib.h>
#include <string.h>

/* The entries of one signature stand together, by option. */
static enum remat_status collect_task(const struct remat_task_graph *graph, int32_t t,
                                      struct remat_profile_entries *entries, struct remat_error *err)
{
    const struct remat_task *task = &graph->tasks[t];
    for (int32_t i = 0; i < entries->count; i++)
        if (entries->entries[i].signature == task->signature) {
            entries->first_of_task[t] = i;
            return REMAT_OK;
        }
    entries->first_of_task[t] = entries->count;
    REMAT_TRY(REMAT_GROW(entries->entries, entries->capacity, entries->count + task->options_count, err));
    for (int32_t k = 0; k < task->options_count; k++)
        entries->entries[entries->count++] =
            (struct remat_profile_entry){.signature = task->signature, .task = t, .option = k};
    return REMAT_OK;
}

enum remat_status remat_profile_entries_collect(const struct remat_task_graph *graph, struct remat_profile_entries *out,
                                                struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_ALLOC(out->first_of_task, graph->tasks_count, err));
    for (int32_t t = 0; t < graph->tasks_count; t++)
        REMAT_TRY(collect_task(graph, t, out, err));
    return REMAT_OK;
}

void remat_profile_entries_free(struct remat_profile_entries *entries)
{
    free(entries->entries);
    free(entries->first_of_task);
    memset(entries, 0, sizeof *entries);
}

int32_t remat_profile_entries_unknown(const struct remat_profile_entries *entries)
{
    int32_t unknown = 0;
    for (int32_t i = 0; i < entries->count; i++)
        unknown += !entries->entries[i].known;
    return unknown;
}

static int64_t half_range(int64_t *samples_ns, int64_t count)
{
    return (int64_t)((remat_quantile_ns(samples_ns, count, 0.75) - remat_quantile_ns(samples_ns, count, 0.25)) / 2.0);
}

static void set(struct remat_profile_entry *entry, double time_ns, int64_t spread_ns, bool alone)
{
    entry->time_ns = time_ns < 1.0 ? 1 : (int64_t)(time_ns + 0.5);
    entry->spread_ns = spread_ns;
    entry->known = true;
    entry->alone = alone;
}

void remat_profile_entry_set(struct remat_profile_entry *entry, int64_t *samples_ns, int64_t count)
{
    double median = remat_quantile_ns(samples_ns, count, 0.5);
    set(entry, median, half_range(samples_ns, count), true);
}

double remat_profile_entries_alone_share(const struct remat_profile_entries *entries)
{
    double all = 0, alone = 0;
    for (int32_t i = 0; i < entries->count; i++) {
        all += (double)entries->entries[i].time_ns;
        alone += entries->entries[i].alone ? (double)entries->entries[i].time_ns : 0;
    }
    return all > 0 ? alone / all : 0;
}

static bool is_from_step(const struct remat_profile_entry *entry)
{
    return entry->known && !entry->alone;
}

/* What a plan's steps showed. */
struct samples {
    const struct remat_plan *plan;
    const int64_t *times_ns; /* [instruction * steps + step] */
    int32_t steps;
    int64_t *room;      /* for the samples of all instructions */
    double *medians_ns; /* per instruction */
    double scale;       /* to the speed at which the known entries were measured */
};

static bool instruction_entry(const struct remat_profile_entries *entries, const struct remat_instruction *instruction,
                              int32_t *entry)
{
    *entry = instruction->kind == REMAT_RUN ? entries->first_of_task[instruction->task] + instruction->option : -1;
    return *entry >= 0;
}

static void find_medians(struct samples *samples)
{
    for (int32_t i = 0; i < samples->plan->instructions_count; i++) {
        memcpy(samples->room, samples->times_ns + (int64_t)i * samples->steps,
               (size_t)samples->steps * sizeof *samples->room);
        samples->medians_ns[i] = remat_quantile_ns(samples->room, samples->steps, 0.5);
    }
}

/* A machine's speed drifts: what two plans both ran tells by how much. */
static double find_scale(const struct samples *samples, const struct remat_profile_entries *entries)
{
    double known = 0, here = 0, scale;
    int32_t e;
    for (int32_t i = 0; i < samples->plan->instructions_count; i++)
        if (instruction_entry(entries, &samples->plan->instructions[i], &e) && is_from_step(&entries->entries[e])) {
            known += (double)entries->entries[e].time_ns;
            here += samples->medians_ns[i];
        }
    scale = here > 0 ? known / here : 1;
    return scale < 0.5 ? 0.5 : scale > 2 ? 2 : scale;
}

static void fill_entry(struct remat_profile_entries *entries, int32_t e, const struct samples *samples)
{
    size_t bytes = (size_t)samples->steps * sizeof *samples->times_ns;
    int64_t all = 0, runs = 0;
    int32_t own;
    double sum = 0.0;
    for (int32_t i = 0; i < samples->plan->instructions_count; i++) {
        if (!instruction_entry(entries, &samples->plan->instructions[i], &own) || own != e)
            continue;
        memcpy(samples->room + all, samples->times_ns + (int64_t)i * samples->steps, bytes);
        sum += samples->medians_ns[i];
        all += samples->steps;
        runs++;
    }
    if (runs == 0)
        return;
    set(&entries->entries[e], samples->scale * sum / (double)runs, half_range(samples->room, all), false);
}

enum remat_status remat_profile_entries_fill(struct remat_profile_entries *entries, const struct remat_plan *plan,
                                             const int64_t *times_ns, int32_t steps, struct remat_error *err)
{
    struct samples samples = {.plan = plan, .times_ns = times_ns, .steps = steps};
    enum remat_status status;
    REMAT_TRY_GOTO(REMAT_ALLOC(samples.medians_ns, plan->instructions_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(samples.room, (int64_t)plan->instructions_count * steps, err), done);
    find_medians(&samples);
    samples.scale = find_scale(&samples, entries);
    for (int32_t e = 0; e < entries->count; e++)
        if (!is_from_step(&entries->entries[e]))
            fill_entry(entries, e, &samples);
done:
    free(samples.medians_ns);
    free(samples.room);
    return status;
}

static const char *option_name(const struct remat_task_graph *graph, const struct remat_profile_entry *entry)
{
    return graph->tasks[entry->task].options[entry->option].name;
}

void remat_profile_entries_load(struct remat_profile_entries *entries, const struct remat_task_graph *graph,
                                const struct remat_profile_cache *cache)
{
    for (int32_t e = 0; e < entries->count; e++) {
        struct remat_profile_entry *entry = &entries->entries[e];
        entry->known = remat_profile_cache_get(cache, entry->signature, option_name(graph, entry), &entry->time_ns,
                                               &entry->spread_ns);
    }
}

enum remat_status remat_profile_entries_store(const struct remat_profile_entries *entries,
                                              const struct remat_task_graph *graph, struct remat_profile_cache *cache,
                                              struct remat_error *err)
{
    for (int32_t e = 0; e < entries->count; e++) {
        const struct remat_profile_entry *entry = &entries->entries[e];
        REMAT_TRY(remat_profile_cache_put(cache, entry->signature, option_name(graph, entry), entry->time_ns,
                                          entry->spread_ns, err));
    }
    return REMAT_OK;
}

void remat_profile_entries_apply(const struct remat_profile_entries *entries, struct remat_task_graph *graph)
{
    for (int32_t t = 0; t < graph->tasks_count; t++)
        for (int32_t k = 0; k < graph->tasks[t].options_count; k++) {
            const struct remat_profile_entry *entry = &entries->entries[entries->first_of_task[t] + k];
            graph->tasks[t].options[k].time_ns = entry->time_ns;
            graph->tasks[t].options[k].spread_ns = entry->spread_ns;
        }
    graph->measured = true;
}
