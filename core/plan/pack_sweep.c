/* Where a new item finds no hole, ways to make one are compared: to clear a window of the arena, each item in it going
 * to the smallest other hole that takes it; or to push the items between two holes together. A way costs the bytes that
 * it moves, and a share of those whose wishes it comes in the way of. What could have stood at its new place all the
 * time costs nothing: then it always stood there. */
#include "core/plan/pack_sweep.h"

#include "core/base/memory.h"
#include "core/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The cheapest ways by bytes are looked at closely; windows with more items are not tried. */
enum { CLOSE_LOOKS = 64, PUSHES = 16, MAX_IN_WINDOW = 64 };
/* A move by less than 1 / NEAR of the item's bytes is done in many small pieces on a GPU. */
enum { NEAR = 16 };
/* Passes at once; variants of each over so many items, of all of which the best go on. STATES: those that go on, those
 * made from them, and the one being made. */
enum { BEAM = 4, VARIANTS = 3, STRETCH = 100, STATES = 2 * BEAM + 1 };
/* What ways to make room cost, beside what grows with the square of the live items. */
enum { WAY_WORK = 500 };
/* How much the bytes of a wish count that something comes in the way of, against bytes moved. */
static const double LEAST_SHARE = 0.1, USUAL_SHARE = 0.5;

struct stand {
    int64_t offset, top;
    int32_t item; /* -1: reserved */
};

/* A range, and the bytes that would have to leave it. */
struct window {
    int64_t offset, bytes;
};

enum way_kind { CLEAR, PUSH_DOWN, PUSH_UP };

/* CLEAR: window at `offset`. PUSH: stands first .. last - 1, from `offset` (down: upwards from it; up: downwards). */
struct way {
    enum way_kind kind;
    int64_t offset;
    int32_t first, last;
    double cost;
};

struct step {
    int32_t item;
    int64_t to;
};

/* How far a pass has come. */
struct state {
    struct remat_pack_segments segments;
    int32_t *current;      /* per item: its segment now, or -1 */
    int32_t *pinned_until; /* per item: last instruction before which it must not be moved */
    struct stand *live;    /* by offset */
    int32_t live_count;
    int32_t next, next_pin; /* in by_begin and pins */
    double score;           /* bytes moved, and a share of those that will be in the way */
};

struct sweep {
    const struct remat_pack_sweep *task;
    struct state *at;
    struct stand *scene; /* what `live` becomes if a way is taken */
    struct step *steps;
    struct way ways[CLOSE_LOOKS + PUSHES];
    int32_t scene_count, steps_count, ways_count;
    int32_t now, turn; /* instruction, and moves right before it so far */
    double share;      /* of the bytes of wishes that come into the way */
    uint64_t draws;
    struct remat_error *err;
};

/* From 0 to 1. */
static double draw(struct sweep *sweep)
{
    return remat_rng(sweep->task->seed, REMAT_RNG_SHUFFLE, 2, 0, sweep->draws++).word[0] / 4294967296.0;
}

static int64_t bytes_of(const struct sweep *sweep, int32_t item)
{
    return sweep->task->items[item].bytes;
}

static void insert_stand(struct stand *stands, int32_t *count, const struct stand *stand)
{
    int32_t at = *count;
    for (; at > 0 && stands[at - 1].offset > stand->offset; at--)
        stands[at] = stands[at - 1];
    stands[at] = *stand;
    (*count)++;
}

/* The first stand at or above an offset. */
static int32_t find_stand(const struct stand *stands, int32_t count, int64_t offset)
{
    int32_t low = 0, high = count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (stands[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first stand that reaches above an offset, where none overlap. */
static int32_t find_reaching(const struct stand *stands, int32_t count, int64_t offset)
{
    int32_t at = find_stand(stands, count, offset);
    return at > 0 && stands[at - 1].top > offset ? at - 1 : at;
}

static void remove_stand(struct stand *stands, int32_t *count, int32_t item, int64_t offset)
{
    int32_t at = find_stand(stands, *count, offset);
    while (stands[at].item != item)
        at++;
    (*count)--;
    memmove(stands + at, stands + at + 1, (size_t)(*count - at) * sizeof *stands);
}

static bool is_free(const struct sweep *sweep, int64_t offset, int64_t bytes)
{
    int32_t i;
    if (offset < sweep->task->base || offset + bytes > sweep->task->target)
        return false;
    i = find_reaching(sweep->at->live, sweep->at->live_count, offset);
    return i == sweep->at->live_count || sweep->at->live[i].offset >= offset + bytes;
}

static bool is_fresh(const struct sweep *sweep, int32_t item)
{
    return sweep->task->items[item].begin == sweep->now;
}

static bool is_pinned(const struct sweep *sweep, int32_t item)
{
    return sweep->at->pinned_until[item] >= sweep->now;
}

/* Bytes of items to come whose wishes an item at `offset` would be in the way of. */
static double disturbed_bytes(const struct sweep *sweep, int32_t item, int64_t offset)
{
    const struct remat_pack_sweep *task = sweep->task;
    int64_t bytes = bytes_of(sweep, item), disturbed = 0;
    int32_t k;
    for (k = sweep->at->next; k < task->count; k++) {
        int32_t other = task->by_begin[k];
        int64_t wish = task->wishes[other], size = bytes_of(sweep, other);
        if (task->items[other].begin > task->items[item].end)
            break;
        if (wish >= 0 && wish < offset + bytes && offset < wish + size)
            disturbed += size < bytes ? size : bytes;
    }
    return (double)disturbed;
}

static enum remat_status begin_item(struct sweep *sweep, int32_t item, int64_t offset)
{
    int64_t bytes = bytes_of(sweep, item);
    sweep->at->current[item] = sweep->at->segments.count;
    insert_stand(sweep->at->live, &sweep->at->live_count, &(struct stand){offset, offset + bytes, item});
    return remat_pack_segments_add(
        &sweep->at->segments,
        &(struct remat_pack_segment){item, -1, -1, offset, bytes, remat_tick_of_instruction(sweep->now), INT64_MAX},
        sweep->err);
}

/* --- what a way does --------------------------------------------------------------------------------------------- */

/* The smallest hole of the scene for an item that left it; not where a move would be by little. */
static int64_t find_hole(const struct sweep *sweep, int32_t item, int64_t from)
{
    int64_t bytes = bytes_of(sweep, item), floor = sweep->task->base, best = -1, least = INT64_MAX;
    int32_t i;
    for (i = 0; i <= sweep->scene_count; i++) {
        int64_t top = i < sweep->scene_count ? sweep->scene[i].offset : sweep->task->target;
        int64_t spare = top - floor - bytes;
        int64_t low = floor > from ? floor - from : from - floor;
        int64_t high = top - bytes > from ? top - bytes - from : from - top + bytes;
        if (spare >= 0 && spare < least && (low >= bytes / NEAR || high >= bytes / NEAR)) {
            least = spare;
            best = low >= bytes / NEAR ? floor : top - bytes;
        }
        if (i < sweep->scene_count && sweep->scene[i].top > floor)
            floor = sweep->scene[i].top;
    }
    return best;
}

static void take_step(struct sweep *sweep, int32_t item, int64_t to)
{
    sweep->steps[sweep->steps_count++] = (struct step){item, to};
    insert_stand(sweep->scene, &sweep->scene_count, &(struct stand){to, to + bytes_of(sweep, item), item});
}

static void copy_scene(struct sweep *sweep)
{
    sweep->steps_count = 0;
    sweep->scene_count = sweep->at->live_count;
    memcpy(sweep->scene, sweep->at->live, (size_t)sweep->at->live_count * sizeof *sweep->at->live);
}

/* Bytes that leave a window at least, or -1 if it cannot be cleared. */
static int64_t bytes_in_window(const struct sweep *sweep, int64_t low, int64_t high)
{
    int64_t bytes = 0;
    int32_t i, count = 0;
    if (low < sweep->task->base || high > sweep->task->target)
        return -1;
    i = find_reaching(sweep->scene, sweep->scene_count, low);
    for (; i < sweep->scene_count && sweep->scene[i].offset < high; i++) {
        const struct stand *stand = &sweep->scene[i];
        if (is_pinned(sweep, stand->item) || ++count > MAX_IN_WINDOW)
            return -1;
        bytes += is_fresh(sweep, stand->item) ? 0 : stand->top - stand->offset;
    }
    return bytes;
}

static void note_window(struct window *windows, int32_t *count, int32_t room, const struct window *window)
{
    int32_t k;
    for (k = 0; k < *count; k++)
        if (windows[k].offset == window->offset)
            return;
    if (*count == room && window->bytes >= windows[room - 1].bytes)
        return;
    k = *count < room ? (*count)++ : room - 1;
    for (; k > 0 && windows[k - 1].bytes > window->bytes; k--)
        windows[k] = windows[k - 1];
    windows[k] = *window;
}

static void look_at(const struct sweep *sweep, int64_t offset, int64_t bytes, struct window *windows, int32_t *count,
                    int32_t room)
{
    int64_t leaving = bytes_in_window(sweep, offset, offset + bytes);
    if (leaving >= 0)
        note_window(windows, count, room, &(struct window){offset, leaving});
}

/* The windows of the scene that the fewest bytes would have to leave. */
static int32_t find_windows(const struct sweep *sweep, int64_t bytes, struct window *windows, int32_t room)
{
    int32_t i, count = 0;
    look_at(sweep, sweep->task->base, bytes, windows, &count, room);
    look_at(sweep, sweep->task->target - bytes, bytes, windows, &count, room);
    for (i = 0; i < sweep->scene_count; i++) {
        look_at(sweep, sweep->scene[i].offset, bytes, windows, &count, room);
        look_at(sweep, sweep->scene[i].top, bytes, windows, &count, room);
        look_at(sweep, sweep->scene[i].offset - bytes, bytes, windows, &count, room);
        look_at(sweep, sweep->scene[i].top - bytes, bytes, windows, &count, room);
    }
    return count;
}

/* The stands of the scene in a window, the largest first. */
static int32_t list_leaving(const struct sweep *sweep, int64_t low, int64_t high, struct stand *leaving)
{
    int32_t i, k, count = 0;
    i = find_reaching(sweep->scene, sweep->scene_count, low);
    for (; i < sweep->scene_count && sweep->scene[i].offset < high; i++) {
        const struct stand *stand = &sweep->scene[i];
        for (k = count++; k > 0 && leaving[k - 1].top - leaving[k - 1].offset < stand->top - stand->offset; k--)
            leaving[k] = leaving[k - 1];
        leaving[k] = *stand;
    }
    return count;
}

/* Sends what stands in a window elsewhere. */
static bool clear(struct sweep *sweep, int64_t low, int64_t bytes)
{
    struct stand leaving[MAX_IN_WINDOW];
    int32_t k, count = list_leaving(sweep, low, low + bytes, leaving);
    insert_stand(sweep->scene, &sweep->scene_count, &(struct stand){low, low + bytes, -1});
    for (k = 0; k < count; k++) {
        int64_t to;
        remove_stand(sweep->scene, &sweep->scene_count, leaving[k].item, leaving[k].offset);
        to = find_hole(sweep, leaving[k].item, leaving[k].offset);
        if (to < 0)
            return false;
        take_step(sweep, leaving[k].item, to);
    }
    return true;
}

/* Pushes stands together; *offset: where the item to come finds its room. */
static bool push(struct sweep *sweep, const struct way *way, int64_t bytes, int64_t *offset)
{
    int64_t edge = way->offset;
    bool down = way->kind == PUSH_DOWN;
    int32_t k;
    for (k = 0; k < way->last - way->first; k++) {
        const struct stand *stand = &sweep->at->live[down ? way->first + k : way->last - 1 - k];
        int64_t size = stand->top - stand->offset, to = down ? edge : edge - size;
        edge += down ? size : -size;
        if (to == stand->offset)
            continue;
        if (is_pinned(sweep, stand->item))
            return false;
        remove_stand(sweep->scene, &sweep->scene_count, stand->item, stand->offset);
        take_step(sweep, stand->item, to);
    }
    *offset = down ? edge : edge - bytes;
    return true;
}

/* The steps of a way, and where the item finds its room. */
static bool follow(struct sweep *sweep, const struct way *way, int32_t item, int64_t *offset)
{
    *offset = way->offset;
    copy_scene(sweep);
    return way->kind == CLEAR ? clear(sweep, way->offset, bytes_of(sweep, item))
                              : push(sweep, way, bytes_of(sweep, item), offset);
}

/* Bytes that a step moves; more where it moves by so little that it takes long. */
static double cost_of_step(const struct sweep *sweep, const struct step *step)
{
    const struct remat_pack_segment *segment = &sweep->at->segments.list[sweep->at->current[step->item]];
    int64_t by = step->to > segment->offset ? step->to - segment->offset : segment->offset - step->to;
    if (is_fresh(sweep, step->item))
        return 0;
    if (by >= segment->bytes / NEAR)
        return (double)segment->bytes;
    return (double)segment->bytes * ((double)segment->bytes / NEAR / (double)by);
}

/* --- which way --------------------------------------------------------------------------------------------------- */

/* Keeps the PUSHES cheapest after the windows. */
static void note_push(struct sweep *sweep, int32_t windows, const struct way *way)
{
    int32_t k;
    if (sweep->ways_count == windows + PUSHES && way->cost >= sweep->ways[sweep->ways_count - 1].cost)
        return;
    k = sweep->ways_count < windows + PUSHES ? sweep->ways_count++ : sweep->ways_count - 1;
    for (; k > windows && sweep->ways[k - 1].cost > way->cost; k--)
        sweep->ways[k] = sweep->ways[k - 1];
    sweep->ways[k] = *way;
}

static void list_windows(struct sweep *sweep, int32_t item)
{
    struct window windows[CLOSE_LOOKS];
    int32_t count, k;
    copy_scene(sweep);
    count = find_windows(sweep, bytes_of(sweep, item), windows, CLOSE_LOOKS);
    for (k = 0; k < count; k++)
        sweep->ways[k] = (struct way){CLEAR, windows[k].offset, 0, 0, (double)windows[k].bytes};
    sweep->ways_count = count;
}

/* For each hole the next ones above it until together they have room for the item. */
static void list_pushes(struct sweep *sweep, int32_t item)
{
    int32_t first, last, windows = sweep->ways_count;
    for (first = 0; first < sweep->at->live_count; first++) {
        int64_t floor = first == 0 ? sweep->task->base : sweep->at->live[first - 1].top, free_bytes = 0, moved = 0;
        for (last = first; last <= sweep->at->live_count; last++) {
            int64_t below = last == 0 ? sweep->task->base : sweep->at->live[last - 1].top;
            int64_t top = last < sweep->at->live_count ? sweep->at->live[last].offset : sweep->task->target;
            free_bytes += top - below;
            if (free_bytes >= bytes_of(sweep, item)) {
                note_push(sweep, windows, &(struct way){PUSH_DOWN, floor, first, last, (double)moved});
                note_push(sweep, windows, &(struct way){PUSH_UP, top, first, last, (double)moved});
                break;
            }
            moved += last < sweep->at->live_count ? sweep->at->live[last].top - sweep->at->live[last].offset : 0;
        }
    }
}

static bool stood_there(const struct sweep *sweep, const struct step *step)
{
    return is_fresh(sweep, step->item) ||
           remat_pack_segments_free_at(&sweep->at->segments, sweep->at->current[step->item], step->to);
}

static double cost_of_way(struct sweep *sweep, const struct way *way, int32_t item, double limit)
{
    int64_t offset;
    double cost = 0;
    int32_t k;
    if (!follow(sweep, way, item, &offset))
        return limit;
    cost = sweep->share * disturbed_bytes(sweep, item, offset);
    for (k = 0; k < sweep->steps_count && cost < limit; k++) {
        const struct step *step = &sweep->steps[k];
        cost += sweep->share * disturbed_bytes(sweep, step->item, step->to);
        cost += stood_there(sweep, step) ? 0 : cost_of_step(sweep, step);
    }
    return cost * (1 + draw(sweep) / 2);
}

/* --- taking it --------------------------------------------------------------------------------------------------- */

static enum remat_status move(struct sweep *sweep, const struct step *step, bool *placed)
{
    int32_t id = sweep->at->current[step->item];
    struct remat_pack_segment next = sweep->at->segments.list[id];
    int64_t tick = remat_tick_of_move(sweep->now, sweep->turn);
    if (stood_there(sweep, step)) {
        remat_pack_segments_shift(&sweep->at->segments, id, step->to);
        return REMAT_OK;
    }
    *placed = *placed && tick >= 0;
    sweep->turn++;
    sweep->at->segments.list[id].to = next.from = tick;
    sweep->at->segments.list[id].after = sweep->at->current[step->item] = sweep->at->segments.count;
    next.before = id;
    next.offset = step->to;
    return remat_pack_segments_add(&sweep->at->segments, &next, sweep->err);
}

static enum remat_status take_way(struct sweep *sweep, const struct way *way, int32_t item, bool *placed)
{
    int64_t offset;
    int32_t k;
    if (!follow(sweep, way, item, &offset))
        return REMAT_OK;
    for (k = 0; k < sweep->steps_count; k++) {
        int32_t moved = sweep->steps[k].item;
        int64_t from = sweep->at->segments.list[sweep->at->current[moved]].offset;
        remove_stand(sweep->at->live, &sweep->at->live_count, moved, from);
        REMAT_TRY(move(sweep, &sweep->steps[k], placed));
    }
    for (k = 0; k < sweep->steps_count; k++)
        insert_stand(sweep->at->live, &sweep->at->live_count,
                     &(struct stand){sweep->steps[k].to, sweep->steps[k].to + bytes_of(sweep, sweep->steps[k].item),
                                     sweep->steps[k].item});
    return begin_item(sweep, item, offset);
}

/* Too much was spent on good ways to make room: any will do. */
static bool is_hasty(const struct sweep *sweep)
{
    return *sweep->task->work > REMAT_PACK_MOST_WORK;
}

static enum remat_status make_room(struct sweep *sweep, int32_t item, bool *placed)
{
    int32_t k, best = 0;
    double least = INFINITY;
    int64_t live = sweep->at->live_count;
    *sweep->task->work += live * (live + WAY_WORK);
    sweep->ways_count = 0;
    if (!is_hasty(sweep))
        list_windows(sweep, item);
    list_pushes(sweep, item);
    for (k = 0; k < sweep->ways_count && !(is_hasty(sweep) && least < INFINITY); k++) {
        double cost = cost_of_way(sweep, &sweep->ways[k], item, least);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    *placed = *placed && least < INFINITY;
    return *placed ? take_way(sweep, &sweep->ways[best], item, placed) : REMAT_OK;
}

/* The hole in which an item is in the way of the fewest others to come, or -1: none is large enough. */
static int64_t choose_hole(struct sweep *sweep, int32_t item)
{
    int64_t bytes = bytes_of(sweep, item), floor = sweep->task->base, best = -1;
    double least = INFINITY;
    int32_t i, side;
    for (i = 0; i <= sweep->at->live_count; i++) {
        int64_t top = i < sweep->at->live_count ? sweep->at->live[i].offset : sweep->task->target;
        for (side = 0; side < 2 && top - floor >= bytes; side++) {
            int64_t offset = side == 0 ? floor : top - bytes;
            double cost = (1 + disturbed_bytes(sweep, item, offset)) * (1 + draw(sweep) / 4);
            if (cost < least) {
                least = cost;
                best = offset;
            }
        }
        floor = i < sweep->at->live_count ? sweep->at->live[i].top : floor;
    }
    return best;
}

static void end_items(struct sweep *sweep)
{
    int32_t i, kept = 0;
    for (i = 0; i < sweep->at->live_count; i++) {
        int32_t item = sweep->at->live[i].item;
        if (sweep->task->items[item].end >= sweep->now)
            sweep->at->live[kept++] = sweep->at->live[i];
        else
            sweep->at->segments.list[sweep->at->current[item]].to =
                remat_tick_of_instruction(sweep->task->items[item].end);
    }
    sweep->at->live_count = kept;
}

static void set_pins(struct sweep *sweep)
{
    const struct remat_pack_sweep *task = sweep->task;
    for (; sweep->at->next_pin < task->pins_count && task->pins[sweep->at->next_pin].begin < sweep->now;
         sweep->at->next_pin++) {
        const struct remat_pack_pin *pin = &task->pins[sweep->at->next_pin];
        if (pin->end > sweep->at->pinned_until[pin->item])
            sweep->at->pinned_until[pin->item] = pin->end;
    }
}

/* Items that begin now: those whose wish is free, then the others, the largest first (as `by_begin` has them). */
static enum remat_status begin_items(struct sweep *sweep, bool *placed)
{
    const struct remat_pack_sweep *task = sweep->task;
    int32_t first = sweep->at->next, k;
    while (sweep->at->next < task->count && task->items[task->by_begin[sweep->at->next]].begin == sweep->now)
        sweep->at->next++;
    for (k = first; k < sweep->at->next; k++) {
        int32_t item = task->by_begin[k];
        if (task->wishes[item] >= 0 && is_free(sweep, task->wishes[item], bytes_of(sweep, item)))
            REMAT_TRY(begin_item(sweep, item, task->wishes[item]));
    }
    for (k = first; k < sweep->at->next && *placed; k++) {
        int32_t item = task->by_begin[k];
        int64_t offset = sweep->at->current[item] < 0 ? choose_hole(sweep, item) : -1;
        if (offset >= 0)
            REMAT_TRY(begin_item(sweep, item, offset));
        else if (sweep->at->current[item] < 0)
            REMAT_TRY(make_room(sweep, item, placed));
    }
    return REMAT_OK;
}

/* --- several passes at once -------------------------------------------------------------------------------------- */

static double score(const struct sweep *sweep, double moved)
{
    double bytes = moved;
    int32_t i;
    for (i = 0; i < sweep->at->live_count; i++) {
        const struct stand *stand = &sweep->at->live[i];
        if (stand->offset != sweep->task->wishes[stand->item])
            bytes += sweep->share * disturbed_bytes(sweep, stand->item, stand->offset);
    }
    return bytes;
}

static enum remat_status run_until(struct sweep *sweep, int32_t end, bool *placed)
{
    const struct remat_pack_sweep *task = sweep->task;
    while (sweep->at->next < end && *placed) {
        sweep->now = task->items[task->by_begin[sweep->at->next]].begin;
        sweep->turn = 0;
        end_items(sweep);
        set_pins(sweep);
        REMAT_TRY(begin_items(sweep, placed));
    }
    return REMAT_OK;
}

static enum remat_status make_state(const struct sweep *sweep, struct state *state)
{
    int32_t count = sweep->task->count;
    REMAT_TRY(REMAT_ALLOC(state->current, count, sweep->err));
    REMAT_TRY(REMAT_ALLOC(state->pinned_until, count, sweep->err));
    REMAT_TRY(REMAT_ALLOC(state->live, count, sweep->err));
    memset(state->current, 0xff, (size_t)count * sizeof *state->current);
    memset(state->pinned_until, 0xff, (size_t)count * sizeof *state->pinned_until);
    return REMAT_OK;
}

static void free_state(struct state *state)
{
    remat_pack_segments_free(&state->segments);
    free(state->current);
    free(state->pinned_until);
    free(state->live);
}

static enum remat_status copy_state(const struct sweep *sweep, const struct state *from, struct state *to)
{
    size_t count = (size_t)sweep->task->count;
    struct remat_pack_segments *segments = &to->segments;
    REMAT_TRY(REMAT_GROW(segments->list, segments->capacity, from->segments.count, sweep->err));
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

static void keep_state(struct state *states, int32_t *kept)
{
    struct state *made = &states[2 * BEAM], spare;
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

static enum remat_status advance(struct sweep *sweep, struct state *states, int32_t *count, int32_t end)
{
    int32_t kept = 0, i, k;
    for (i = 0; i < *count; i++)
        for (k = 0; k < (is_hasty(sweep) ? 1 : VARIANTS); k++) {
            bool placed = true;
            int64_t moved;
            REMAT_TRY(copy_state(sweep, &states[i], &states[2 * BEAM]));
            sweep->at = &states[2 * BEAM];
            sweep->share = LEAST_SHARE + draw(sweep);
            REMAT_TRY(run_until(sweep, end, &placed));
            sweep->share = USUAL_SHARE;
            moved = remat_pack_segments_moved(&sweep->at->segments);
            sweep->at->score = score(sweep, (double)moved);
            if (placed && moved < sweep->task->limit_bytes)
                keep_state(states, &kept);
        }
    for (i = 0; i < kept; i++) {
        struct state saved = states[i];
        states[i] = states[BEAM + i];
        states[BEAM + i] = saved;
    }
    *count = is_hasty(sweep) && kept > 1 ? 1 : kept;
    return REMAT_OK;
}

static enum remat_status run(struct sweep *sweep, struct state *states, bool *placed)
{
    const struct remat_pack_sweep *task = sweep->task;
    int32_t i, count = 1, end = 0;
    REMAT_TRY(REMAT_ALLOC(sweep->scene, (int64_t)task->count + 1, sweep->err));
    REMAT_TRY(REMAT_ALLOC(sweep->steps, task->count, sweep->err));
    for (i = 0; i < STATES; i++)
        REMAT_TRY(make_state(sweep, &states[i]));
    while (end < task->count && count > 0) {
        end = end + STRETCH < task->count ? end + STRETCH : task->count;
        REMAT_TRY(advance(sweep, states, &count, end));
    }
    *placed = count > 0;
    for (i = 0; i < task->count && *placed; i++)
        states[0].segments.list[states[0].current[i]].to = remat_tick_of_instruction(task->items[i].end);
    return REMAT_OK;
}

enum remat_status remat_pack_sweep(const struct remat_pack_sweep *task, struct remat_pack_segments *out, bool *placed,
                                   struct remat_error *err)
{
    struct sweep sweep = {.task = task, .err = err};
    struct state states[STATES] = {0};
    enum remat_status status;
    int32_t i;
    *placed = false;
    status = run(&sweep, states, placed);
    *out = states[0].segments;
    states[0].segments = (struct remat_pack_segments){0};
    for (i = 0; i < STATES; i++)
        free_state(&states[i]);
    free(sweep.scene);
    free(sweep.steps);
    return status;
}
