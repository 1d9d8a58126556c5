#include "solver/offload.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL_SHARE = 16 }; /* what is smaller than such a part of the largest choice, and of the excess, comes last */

/* A value between two runs that use it. Slot s is the place before run s, `count` the end. It is in host memory from
 * slot first + 1 to slot last, both included, and not on the device during runs [gone, fetch). */
struct gap {
    int32_t value;
    int32_t first, last; /* runs; last - first >= 2 */
    int32_t gone, fetch; /* slots of the wait for the store and of the fetch */
    int64_t bytes;
    double idle_ns;
    bool chosen;
};

struct offload {
    const struct remat_task_graph *graph;
    struct remat_schedule runs; /* owned: options may change */
    int32_t finish;             /* the first run of the finish section, or the number of runs */
    int64_t budget_bytes, host_budget_bytes;
    struct gap *gaps;
    int32_t gaps_count, gaps_capacity;
    int64_t *live_bytes;      /* per run, without what is offloaded then */
    int64_t *host_live_bytes; /* per slot */
    int64_t host_peak_bytes;
    double *time_ns; /* per slot: when the kernels get there */
    struct gap **by_first, **by_last;
    int32_t chosen_count;
    struct remat_error *err;
};

/* --- which values ------------------------------------------------------------------------------------------------- */

static const struct remat_option *options_of(const struct offload *o, int32_t run)
{
    return o->graph->tasks[o->runs.entries[run].task].options;
}

static void find_times(struct offload *o)
{
    int32_t r;
    o->time_ns[0] = 0;
    for (r = 0; r < o->runs.count; r++)
        o->time_ns[r + 1] = o->time_ns[r] + (double)options_of(o, r)[o->runs.entries[r].option].time_ns;
}

static enum remat_status add_gap(struct offload *o, int32_t value, int32_t first, int32_t last)
{
    struct gap gap = {.value = value, .first = first, .last = last, .gone = first + 1, .fetch = last};
    gap.bytes = o->graph->values[value].bytes;
    gap.idle_ns = o->time_ns[last] - o->time_ns[first + 1];
    if (gap.bytes == 0)
        return REMAT_OK;
    REMAT_TRY(REMAT_GROW(o->gaps, o->gaps_capacity, o->gaps_count + 1, o->err));
    o->gaps[o->gaps_count++] = gap;
    return REMAT_OK;
}

static enum remat_status list_gaps(struct offload *o, const struct remat_liveness *live)
{
    enum remat_status status;
    int32_t *used, i, r, k;
    REMAT_TRY(REMAT_ALLOC(used, live->instances_count, o->err));
    for (i = 0; i < live->instances_count; i++)
        used[i] = live->instances[i].begin;
    for (r = 0, status = REMAT_OK; r < o->runs.count && status == REMAT_OK; r++)
        for (k = 0; k < REMAT_MAX_INPUTS && status == REMAT_OK; k++) {
            i = live->inputs[(size_t)r * REMAT_MAX_INPUTS + k];
            if (i < 0)
                continue;
            if (r - used[i] >= 2)
                status = add_gap(o, live->instances[i].value, used[i], r);
            used[i] = r;
        }
    free(used);
    return status;
}

static bool host_has_room(const struct offload *o, const struct gap *gap)
{
    int32_t s;
    if (o->host_peak_bytes + gap->bytes <= o->host_budget_bytes)
        return true;
    for (s = gap->first + 1; s <= gap->last; s++)
        if (o->host_live_bytes[s] + gap->bytes > o->host_budget_bytes)
            return false;
    return true;
}

static bool may_leave(const struct offload *o, const struct gap *gap, int32_t run)
{
    return !gap->chosen && gap->first < run && run < gap->last && host_has_room(o, gap);
}

/* The gap over a run to choose next, or NULL. */
static struct gap *pick(const struct offload *o, int32_t run)
{
    int64_t excess = o->live_bytes[run] - o->budget_bytes, largest = 0, least;
    struct gap *best = NULL;
    int32_t g;
    for (g = 0; g < o->gaps_count; g++)
        if (may_leave(o, &o->gaps[g], run) && o->gaps[g].bytes > largest)
            largest = o->gaps[g].bytes;
    least = (excess < largest ? excess : largest) / SMALL_SHARE;
    for (g = 0; g < o->gaps_count; g++) {
        struct gap *gap = &o->gaps[g];
        if (gap->bytes < least || !may_leave(o, gap, run))
            continue;
        if (!best || gap->idle_ns > best->idle_ns || (gap->idle_ns == best->idle_ns && gap->bytes > best->bytes))
            best = gap;
    }
    return best;
}

static void choose(struct offload *o, struct gap *gap)
{
    int32_t i;
    gap->chosen = true;
    o->chosen_count++;
    for (i = gap->first + 1; i < gap->last; i++)
        o->live_bytes[i] -= gap->bytes;
    for (i = gap->first + 1; i <= gap->last; i++) {
        o->host_live_bytes[i] += gap->bytes;
        if (o->host_live_bytes[i] > o->host_peak_bytes)
            o->host_peak_bytes = o->host_live_bytes[i];
    }
}

/* The fastest option with so little scratch that the run fits, else the one with least; false if the run has it. */
static bool shrink_scratch(struct offload *o, int32_t run)
{
    const struct remat_option *options = options_of(o, run), *now = &options[o->runs.entries[run].option], *best = now;
    int64_t enough = now->scratch_bytes - (o->live_bytes[run] - o->budget_bytes);
    int32_t k;
    for (k = 0; k < o->graph->tasks[o->runs.entries[run].task].options_count; k++) {
        bool fits = options[k].scratch_bytes <= enough, best_fits = best->scratch_bytes <= enough;
        if (options[k].numerics == options[0].numerics &&
            (fits && best_fits ? options[k].time_ns < best->time_ns : options[k].scratch_bytes < best->scratch_bytes))
            best = &options[k];
    }
    o->live_bytes[run] -= now->scratch_bytes - best->scratch_bytes;
    o->runs.entries[run].option = (int32_t)(best - options);
    return best != now;
}

static int32_t worst_run(const struct offload *o)
{
    int32_t r, worst = 0;
    for (r = 1; r < o->runs.count; r++)
        if (o->live_bytes[r] > o->live_bytes[worst])
            worst = r;
    return worst;
}

static bool choose_gaps(struct offload *o)
{
    int32_t run = worst_run(o);
    for (; o->live_bytes[run] > o->budget_bytes; run = worst_run(o)) {
        struct gap *gap = pick(o, run);
        if (gap)
            choose(o, gap);
        else if (!shrink_scratch(o, run))
            return false;
    }
    return true;
}

/* --- when ----------------------------------------------------------------------------------------------------------
 */

static int compare_first(const void *left, const void *right)
{
    const struct gap *a = *(struct gap *const *)left, *b = *(struct gap *const *)right;
    return a->first != b->first ? (a->first < b->first ? -1 : 1) : (a > b) - (a < b);
}

static int compare_last(const void *left, const void *right)
{
    const struct gap *a = *(struct gap *const *)left, *b = *(struct gap *const *)right;
    return a->last != b->last ? (a->last < b->last ? -1 : 1) : (a > b) - (a < b);
}

static enum remat_status sort_chosen(struct offload *o)
{
    int32_t g, count = 0;
    REMAT_TRY(REMAT_ALLOC(o->by_first, o->chosen_count, o->err));
    REMAT_TRY(REMAT_ALLOC(o->by_last, o->chosen_count, o->err));
    for (g = 0; g < o->gaps_count; g++)
        if (o->gaps[g].chosen)
            o->by_first[count++] = &o->gaps[g];
    memcpy(o->by_last, o->by_first, (size_t)count * sizeof *o->by_last);
    qsort(o->by_first, (size_t)count, sizeof *o->by_first, compare_first);
    qsort(o->by_last, (size_t)count, sizeof *o->by_last, compare_last);
    return REMAT_OK;
}

static bool has_room(const struct offload *o, int32_t run, int64_t bytes)
{
    return o->live_bytes[run] + bytes <= o->budget_bytes;
}

/* The value stays on the device while it is stored, as far as there is room; what is then still to be stored is waited
 * for, and all that follows comes so much later. Both ends of a copy are in one section. */
static void place_store(struct offload *o, struct gap *gap, double *lane_ns)
{
    double begin = o->time_ns[gap->first + 1] > *lane_ns ? o->time_ns[gap->first + 1] : *lane_ns, stall;
    int32_t latest = gap->last - 1, s;
    if (gap->first < o->finish && latest > o->finish)
        latest = o->finish;
    *lane_ns = begin + (double)remat_copy_ns(o->graph, REMAT_STORE, gap->bytes);
    while (gap->gone < latest && o->time_ns[gap->gone] < *lane_ns && has_room(o, gap->gone, gap->bytes))
        o->live_bytes[gap->gone++] += gap->bytes;
    stall = *lane_ns - o->time_ns[gap->gone];
    for (s = gap->gone; stall > 0 && s <= o->runs.count; s++)
        o->time_ns[s] += stall;
}

/* The value is back before it is needed, as far as there is room, and not asked for before those needed earlier. */
static void place_fetch(struct offload *o, struct gap *gap, int32_t slot, double wanted_ns)
{
    int32_t earliest = gap->gone + 1 > slot ? gap->gone + 1 : slot;
    if (gap->last > o->finish && earliest <= o->finish)
        earliest = o->finish + 1;
    while (gap->fetch > earliest && o->time_ns[gap->fetch] > wanted_ns && has_room(o, gap->fetch - 1, gap->bytes))
        o->live_bytes[--gap->fetch] += gap->bytes;
}

/* Each fetch should begin so early that it, and all that the lane does after it, is in time, and its own time earlier
 * still; and no later than those that come after it. */
static enum remat_status place_fetches(struct offload *o)
{
    double *wanted_ns, due_ns = o->time_ns[o->runs.count];
    int32_t k;
    REMAT_TRY(REMAT_ALLOC(wanted_ns, o->chosen_count, o->err));
    for (k = o->chosen_count - 1; k >= 0; k--) {
        double copy_ns = (double)remat_copy_ns(o->graph, REMAT_FETCH, o->by_last[k]->bytes);
        due_ns = (o->time_ns[o->by_last[k]->last] < due_ns ? o->time_ns[o->by_last[k]->last] : due_ns) - copy_ns;
        wanted_ns[k] = due_ns - copy_ns;
        if (k + 1 < o->chosen_count && wanted_ns[k + 1] < wanted_ns[k])
            wanted_ns[k] = wanted_ns[k + 1];
    }
    for (k = 0; k < o->chosen_count; k++)
        place_fetch(o, o->by_last[k], k > 0 ? o->by_last[k - 1]->fetch : 0, wanted_ns[k]);
    free(wanted_ns);
    return REMAT_OK;
}

static enum remat_status place_copies(struct offload *o)
{
    double lane_ns = 0;
    int32_t k;
    find_times(o);
    REMAT_TRY(sort_chosen(o));
    for (k = 0; k < o->chosen_count; k++)
        place_store(o, o->by_first[k], &lane_ns);
    return place_fetches(o);
}

/* Of a slot: stores, what frees memory, what takes it, what is needed now. So no copy is live beside more than the runs
 * around it are. */
static enum remat_status write_slot(const struct offload *o, int32_t slot, struct remat_schedule *out)
{
    int32_t k;
    for (k = 0; k < o->chosen_count; k++)
        if (o->by_first[k]->first + 1 == slot)
            REMAT_TRY(remat_schedule_push_copy(out, REMAT_STORE, o->by_first[k]->value, o->err));
    for (k = 0; k < o->chosen_count; k++)
        if (o->by_first[k]->gone == slot)
            REMAT_TRY(remat_schedule_push_copy(out, REMAT_WAIT, o->by_first[k]->value, o->err));
    for (k = 0; k < o->chosen_count; k++)
        if (o->by_last[k]->fetch == slot)
            REMAT_TRY(remat_schedule_push_copy(out, REMAT_FETCH, o->by_last[k]->value, o->err));
    for (k = 0; k < o->chosen_count; k++)
        if (o->by_last[k]->last == slot)
            REMAT_TRY(remat_schedule_push_copy(out, REMAT_WAIT, o->by_last[k]->value, o->err));
    return REMAT_OK;
}

static enum remat_status write_schedule(const struct offload *o, struct remat_schedule *out)
{
    int32_t r;
    for (r = 0; r < o->runs.count; r++) {
        REMAT_TRY(write_slot(o, r, out));
        REMAT_TRY(remat_schedule_push(out, o->runs.entries[r].task, o->runs.entries[r].option, o->err));
    }
    return REMAT_OK;
}

/* --- all of it -----------------------------------------------------------------------------------------------------
 */

static enum remat_status prepare(struct offload *o, const struct remat_schedule *schedule, struct remat_liveness *live)
{
    int32_t r;
    REMAT_TRY(remat_liveness(o->graph, schedule, live, o->err));
    o->finish = schedule->count;
    for (r = schedule->count - 1; r >= 0; r--)
        if (o->graph->tasks[schedule->entries[r].task].section == REMAT_FINISH)
            o->finish = r;
    for (r = 0; r < schedule->count; r++)
        REMAT_TRY(remat_schedule_push(&o->runs, schedule->entries[r].task, schedule->entries[r].option, o->err));
    REMAT_TRY(REMAT_ALLOC(o->live_bytes, schedule->count, o->err));
    REMAT_TRY(REMAT_ALLOC(o->host_live_bytes, (int64_t)schedule->count + 1, o->err));
    REMAT_TRY(REMAT_ALLOC(o->time_ns, (int64_t)schedule->count + 1, o->err));
    memcpy(o->live_bytes, live->live_bytes, (size_t)schedule->count * sizeof *o->live_bytes);
    find_times(o);
    return list_gaps(o, live);
}

static enum remat_status offload(struct offload *o, const struct remat_schedule *schedule, struct remat_liveness *live,
                                 struct remat_schedule *out, bool *found)
{
    REMAT_TRY(prepare(o, schedule, live));
    *found = choose_gaps(o);
    if (!*found)
        return REMAT_OK;
    REMAT_TRY(place_copies(o));
    return write_schedule(o, out);
}

enum remat_status remat_offload(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                                int64_t budget_bytes, int64_t host_budget_bytes, struct remat_schedule *out,
                                bool *found, struct remat_error *err)
{
    struct offload o = {
        .graph = graph, .budget_bytes = budget_bytes, .host_budget_bytes = host_budget_bytes, .err = err};
    struct remat_liveness live = {0};
    enum remat_status status;
    *found = false;
    memset(out, 0, sizeof *out);
    status = offload(&o, schedule, &live, out, found);
    remat_liveness_free(&live);
    remat_schedule_free(&o.runs);
    free(o.gaps);
    free(o.live_bytes);
    free(o.host_live_bytes);
    free(o.time_ns);
    free(o.by_first);
    free(o.by_last);
    return status;
}
