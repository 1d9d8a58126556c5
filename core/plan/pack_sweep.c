/* A pass begins items where they wish to stand, else where they are in the way of few; where there is no hole, room is
 * made (pack_ways.h). Several passes go on side by side, since much hangs on chance. */
#include "core/plan/pack_sweep.h"

#include "core/base/memory.h"
#include "core/plan/pack_ways.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Passes at once; variants of each over so many items, of all of which the best go on. STATES: those that go on, those
 * made from them, and the one being made. */
enum { BEAM = 4, VARIANTS = 3, STRETCH = 100, STATES = 2 * BEAM + 1 };
/* How much the bytes of a wish count that something comes in the way of, against bytes moved. */
static const double LEAST_SHARE = 0.1, USUAL_SHARE = 0.5;

static bool is_free(const struct remat_pack_pass *pass, int64_t offset, int64_t bytes)
{
    int32_t i;
    if (offset < pass->task->base || offset + bytes > pass->task->target)
        return false;
    i = remat_stand_reaching(pass->at->live, pass->at->live_count, offset);
    return i == pass->at->live_count || pass->at->live[i].offset >= offset + bytes;
}

static enum remat_status begin_item(struct remat_pack_pass *pass, int32_t item, int64_t offset)
{
    int64_t bytes = remat_pack_bytes(pass, item);
    pass->at->current[item] = pass->at->segments.count;
    remat_stand_insert(pass->at->live, &pass->at->live_count, &(struct remat_pack_stand){offset, offset + bytes, item});
    return remat_pack_segments_add(
        &pass->at->segments,
        &(struct remat_pack_segment){item, -1, -1, offset, bytes, remat_tick_of_instruction(pass->now), INT64_MAX},
        pass->err);
}

static enum remat_status move(struct remat_pack_pass *pass, const struct remat_pack_step *step, bool *placed)
{
    int32_t id = pass->at->current[step->item];
    struct remat_pack_segment next = pass->at->segments.list[id];
    int64_t tick = remat_tick_of_move(pass->now, pass->turn);
    if (remat_pack_stood_there(pass, step)) {
        remat_pack_segments_shift(&pass->at->segments, id, step->to);
        return REMAT_OK;
    }
    *placed = *placed && tick >= 0;
    pass->turn++;
    pass->at->segments.list[id].to = next.from = tick;
    pass->at->segments.list[id].after = pass->at->current[step->item] = pass->at->segments.count;
    next.before = id;
    next.offset = step->to;
    return remat_pack_segments_add(&pass->at->segments, &next, pass->err);
}

static enum remat_status make_room(struct remat_pack_pass *pass, int32_t item, bool *placed)
{
    int64_t offset;
    int32_t k;
    *placed = *placed && remat_pack_find_way(pass, item, &offset);
    if (!*placed)
        return REMAT_OK;
    for (k = 0; k < pass->steps_count; k++) {
        int32_t moved = pass->steps[k].item;
        int64_t from = pass->at->segments.list[pass->at->current[moved]].offset;
        remat_stand_remove(pass->at->live, &pass->at->live_count, moved, from);
        REMAT_TRY(move(pass, &pass->steps[k], placed));
    }
    for (k = 0; k < pass->steps_count; k++)
        remat_stand_insert(pass->at->live, &pass->at->live_count,
                           &(struct remat_pack_stand){pass->steps[k].to,
                                                      pass->steps[k].to + remat_pack_bytes(pass, pass->steps[k].item),
                                                      pass->steps[k].item});
    return begin_item(pass, item, offset);
}

/* The hole in which an item is in the way of the fewest others to come, or -1: none is large enough. */
static int64_t choose_hole(struct remat_pack_pass *pass, int32_t item)
{
    int64_t bytes = remat_pack_bytes(pass, item), floor = pass->task->base, best = -1;
    double least = INFINITY;
    int32_t i, side;
    for (i = 0; i <= pass->at->live_count; i++) {
        int64_t top = i < pass->at->live_count ? pass->at->live[i].offset : pass->task->target;
        for (side = 0; side < 2 && top - floor >= bytes; side++) {
            int64_t offset = side == 0 ? floor : top - bytes;
            double cost = (1 + remat_pack_disturbed(pass, item, offset)) * (1 + remat_pack_draw(pass) / 4);
            if (cost < least) {
                least = cost;
                best = offset;
            }
        }
        floor = i < pass->at->live_count ? pass->at->live[i].top : floor;
    }
    return best;
}

static void end_items(struct remat_pack_pass *pass)
{
    int32_t i, kept = 0;
    for (i = 0; i < pass->at->live_count; i++) {
        int32_t item = pass->at->live[i].item;
        if (pass->task->items[item].end >= pass->now)
            pass->at->live[kept++] = pass->at->live[i];
        else
            pass->at->segments.list[pass->at->current[item]].to =
                remat_tick_of_instruction(pass->task->items[item].end);
    }
    pass->at->live_count = kept;
}

static void set_pins(struct remat_pack_pass *pass)
{
    const struct remat_pack_sweep *task = pass->task;
    for (; pass->at->next_pin < task->pins_count && task->pins[pass->at->next_pin].begin < pass->now;
         pass->at->next_pin++) {
        const struct remat_pack_pin *pin = &task->pins[pass->at->next_pin];
        if (pin->end > pass->at->pinned_until[pin->item])
            pass->at->pinned_until[pin->item] = pin->end;
    }
}

/* Items that begin now: those whose wish is free, then the others, the largest first (as `by_begin` has them). */
static enum remat_status begin_items(struct remat_pack_pass *pass, bool *placed)
{
    const struct remat_pack_sweep *task = pass->task;
    int32_t first = pass->at->next, k;
    while (pass->at->next < task->count && task->items[task->by_begin[pass->at->next]].begin == pass->now)
        pass->at->next++;
    for (k = first; k < pass->at->next; k++) {
        int32_t item = task->by_begin[k];
        if (task->wishes[item] >= 0 && is_free(pass, task->wishes[item], remat_pack_bytes(pass, item)))
            REMAT_TRY(begin_item(pass, item, task->wishes[item]));
    }
    for (k = first; k < pass->at->next && *placed; k++) {
        int32_t item = task->by_begin[k];
        int64_t offset = pass->at->current[item] < 0 ? choose_hole(pass, item) : -1;
        if (offset >= 0)
            REMAT_TRY(begin_item(pass, item, offset));
        else if (pass->at->current[item] < 0)
            REMAT_TRY(make_room(pass, item, placed));
    }
    return REMAT_OK;
}

/* --- several passes at once -------------------------------------------------------------------------------------- */

static double score(const struct remat_pack_pass *pass, double moved)
{
    double bytes = moved;
    int32_t i;
    for (i = 0; i < pass->at->live_count; i++) {
        const struct remat_pack_stand *stand = &pass->at->live[i];
        if (stand->offset != pass->task->wishes[stand->item])
            bytes += pass->share * remat_pack_disturbed(pass, stand->item, stand->offset);
    }
    return bytes;
}

static enum remat_status run_until(struct remat_pack_pass *pass, int32_t end, bool *placed)
{
    const struct remat_pack_sweep *task = pass->task;
    while (pass->at->next < end && *placed) {
        pass->now = task->items[task->by_begin[pass->at->next]].begin;
        pass->turn = 0;
        end_items(pass);
        set_pins(pass);
        REMAT_TRY(begin_items(pass, placed));
    }
    return REMAT_OK;
}

static enum remat_status make_state(const struct remat_pack_pass *pass, struct remat_pack_state *state)
{
    int32_t count = pass->task->count;
    REMAT_TRY(REMAT_ALLOC(state->current, count, pass->err));
    REMAT_TRY(REMAT_ALLOC(state->pinned_until, count, pass->err));
    REMAT_TRY(REMAT_ALLOC(state->live, count, pass->err));
    memset(state->current, 0xff, (size_t)count * sizeof *state->current);
    memset(state->pinned_until, 0xff, (size_t)count * sizeof *state->pinned_until);
    return REMAT_OK;
}

static void free_state(struct remat_pack_state *state)
{
    remat_pack_segments_free(&state->segments);
    free(state->current);
    free(state->pinned_until);
    free(state->live);
}

static enum remat_status copy_state(const struct remat_pack_pass *pass, const struct remat_pack_state *from,
                                    struct remat_pack_state *to)
{
    size_t count = (size_t)pass->task->count;
    struct remat_pack_segments *segments = &to->segments;
    REMAT_TRY(REMAT_GROW(segments->list, segments->capacity, from->segments.count, pass->err));
    if (from->segments.count > 0)
        memcpy(segments->list, from->segments.list, (size_t)from->segments.count * sizeof *segments->list);
    segments->count = from->segments.count;
    memcpy(to->current, from->current, count * sizeof *to->current);
    memcpy(to->pinned_until, from->pinned_until, count * sizeof *to->pinned_until);
    memcpy(to->live, from->live, (size_t)from->live_count * sizeof *to->live);
    to->live_count = from->live_count;
    to->next = from->next;
    to->next_pin = from->next_pin;
    return REMAT_OK;
}

static void keep_state(struct remat_pack_state *states, int32_t *kept)
{
    struct remat_pack_state *made = &states[2 * BEAM], spare;
    int32_t k;
    for (k = 0; k < *kept; k++)
        if (states[BEAM + k].score == made->score)
            return;
    if (*kept == BEAM && made->score >= states[2 * BEAM - 1].score)
        return;
    k = *kept < BEAM ? (*kept)++ : BEAM - 1;
    spare = states[BEAM + k];
    for (; k > 0 && states[BEAM + k - 1].score > made->score; k--)
        states[BEAM + k] = states[BEAM + k - 1];
    states[BEAM + k] = *made;
    *made = spare;
}

static bool is_single(const struct remat_pack_pass *pass)
{
    return pass->task->once || remat_pack_is_hasty(pass);
}

static enum remat_status advance(struct remat_pack_pass *pass, struct remat_pack_state *states, int32_t *count,
                                 int32_t end)
{
    int32_t kept = 0, i, k;
    for (i = 0; i < *count; i++)
        for (k = 0; k < (is_single(pass) ? 1 : VARIANTS); k++) {
            bool placed = true;
            int64_t moved;
            REMAT_TRY(copy_state(pass, &states[i], &states[2 * BEAM]));
            pass->at = &states[2 * BEAM];
            pass->share = LEAST_SHARE + remat_pack_draw(pass);
            REMAT_TRY(run_until(pass, end, &placed));
            pass->share = USUAL_SHARE;
            moved = remat_pack_segments_moved(&pass->at->segments);
            pass->at->score = score(pass, (double)moved);
            if (placed && moved < pass->task->limit_bytes)
                keep_state(states, &kept);
        }
    for (i = 0; i < kept; i++) {
        struct remat_pack_state saved = states[i];
        states[i] = states[BEAM + i];
        states[BEAM + i] = saved;
    }
    *count = is_single(pass) && kept > 1 ? 1 : kept;
    return REMAT_OK;
}

static enum remat_status run(struct remat_pack_pass *pass, struct remat_pack_state *states, bool *placed)
{
    const struct remat_pack_sweep *task = pass->task;
    int32_t i, count = 1, end = 0;
    REMAT_TRY(REMAT_ALLOC(pass->scene, (int64_t)task->count + 1, pass->err));
    REMAT_TRY(REMAT_ALLOC(pass->steps, task->count, pass->err));
    for (i = 0; i < STATES; i++)
        REMAT_TRY(make_state(pass, &states[i]));
    while (end < task->count && count > 0) {
        end = end + STRETCH < task->count ? end + STRETCH : task->count;
        REMAT_TRY(advance(pass, states, &count, end));
    }
    *placed = count > 0;
    for (i = 0; i < task->count && *placed; i++)
        states[0].segments.list[states[0].current[i]].to = remat_tick_of_instruction(task->items[i].end);
    return REMAT_OK;
}

enum remat_status remat_pack_sweep(const struct remat_pack_sweep *task, struct remat_pack_segments *out, bool *placed,
                                   struct remat_error *err)
{
    struct remat_pack_pass pass = {.task = task, .err = err};
    struct remat_pack_state states[STATES] = {0};
    enum remat_status status;
    int32_t i;
    *placed = false;
    status = run(&pass, states, placed);
    *out = states[0].segments;
    states[0].segments = (struct remat_pack_segments){0};
    for (i = 0; i < STATES; i++)
        free_state(&states[i]);
    free(pass.scene);
    free(pass.steps);
    return status;
}
