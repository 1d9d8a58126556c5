/* Where a new item finds no hole, ways to make one are compared: to clear a window of the arena, each item in it going
 * to the smallest other hole that takes it; or to push the items between two holes together. A way costs the bytes that
 * it moves, and a share of those whose wishes it comes in the way of. What could have stood at its new place all the
 * time costs nothing: then it always stood there. */
#include "core/plan/pack_ways.h"

#include "core/base/rng.h"

#include <math.h>
#include <string.h>

/* The cheapest ways by bytes are looked at closely; windows with more items are not tried. */
enum { PUSHES = 16, CLOSE_LOOKS = REMAT_PACK_MOST_WAYS - PUSHES, MAX_IN_WINDOW = 64 };
/* A move by less than 1 / NEAR of the item's bytes is done in many small pieces on a GPU. */
enum { NEAR = 16 };
/* What ways to make room cost, beside what grows with the square of the live items. */
enum { WAY_WORK = 500 };

/* A range, and the bytes that would have to leave it. */
struct window {
    int64_t offset, bytes;
};

double remat_pack_draw(struct remat_pack_pass *pass)
{
    return remat_rng(pass->task->seed, REMAT_RNG_SHUFFLE, 2, 0, pass->draws++).word[0] / 4294967296.0;
}

void remat_stand_insert(struct remat_pack_stand *stands, int32_t *count, const struct remat_pack_stand *stand)
{
    int32_t at = *count;
    for (; at > 0 && stands[at - 1].offset > stand->offset; at--)
        stands[at] = stands[at - 1];
    stands[at] = *stand;
    (*count)++;
}

/* The first stand at or above an offset. */
static int32_t find_stand(const struct remat_pack_stand *stands, int32_t count, int64_t offset)
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

int32_t remat_stand_reaching(const struct remat_pack_stand *stands, int32_t count, int64_t offset)
{
    int32_t at = find_stand(stands, count, offset);
    return at > 0 && stands[at - 1].top > offset ? at - 1 : at;
}

void remat_stand_remove(struct remat_pack_stand *stands, int32_t *count, int32_t item, int64_t offset)
{
    int32_t at = find_stand(stands, *count, offset);
    while (stands[at].item != item)
        at++;
    (*count)--;
    memmove(stands + at, stands + at + 1, (size_t)(*count - at) * sizeof *stands);
}

static bool is_pinned(const struct remat_pack_pass *pass, int32_t item)
{
    return pass->at->pinned_until[item] >= pass->now;
}

double remat_pack_disturbed(const struct remat_pack_pass *pass, int32_t item, int64_t offset)
{
    const struct remat_pack_sweep *task = pass->task;
    int64_t bytes = remat_pack_bytes(pass, item), disturbed = 0;
    int32_t k;
    for (k = pass->at->next; k < task->count; k++) {
        int32_t other = task->by_begin[k];
        int64_t wish = task->wishes[other], size = remat_pack_bytes(pass, other);
        if (task->items[other].begin > task->items[item].end)
            break;
        if (wish >= 0 && wish < offset + bytes && offset < wish + size)
            disturbed += size < bytes ? size : bytes;
    }
    return (double)disturbed;
}

bool remat_pack_stood_there(const struct remat_pack_pass *pass, const struct remat_pack_step *step)
{
    return remat_pack_is_fresh(pass, step->item) ||
           remat_pack_segments_free_at(&pass->at->segments, pass->at->current[step->item], step->to);
}

bool remat_pack_is_hasty(const struct remat_pack_pass *pass)
{
    return *pass->task->work > REMAT_PACK_MOST_WORK;
}

/* --- what a way does --------------------------------------------------------------------------------------------- */

/* The smallest hole of the scene for an item that left it; not where a move would be by little. */
static int64_t find_hole(const struct remat_pack_pass *pass, int32_t item, int64_t from)
{
    int64_t bytes = remat_pack_bytes(pass, item), floor = pass->task->base, best = -1, least = INT64_MAX;
    int32_t i;
    for (i = 0; i <= pass->scene_count; i++) {
        int64_t top = i < pass->scene_count ? pass->scene[i].offset : pass->task->target;
        int64_t spare = top - floor - bytes;
        int64_t low = floor > from ? floor - from : from - floor;
        int64_t high = top - bytes > from ? top - bytes - from : from - top + bytes;
        if (spare >= 0 && spare < least && (low >= bytes / NEAR || high >= bytes / NEAR)) {
            least = spare;
            best = low >= bytes / NEAR ? floor : top - bytes;
        }
        if (i < pass->scene_count && pass->scene[i].top > floor)
            floor = pass->scene[i].top;
    }
    return best;
}

static void take_step(struct remat_pack_pass *pass, int32_t item, int64_t to)
{
    pass->steps[pass->steps_count++] = (struct remat_pack_step){item, to};
    remat_stand_insert(pass->scene, &pass->scene_count,
                       &(struct remat_pack_stand){to, to + remat_pack_bytes(pass, item), item});
}

static void copy_scene(struct remat_pack_pass *pass)
{
    pass->steps_count = 0;
    pass->scene_count = pass->at->live_count;
    memcpy(pass->scene, pass->at->live, (size_t)pass->at->live_count * sizeof *pass->at->live);
}

/* Bytes that leave a window at least, or -1 if it cannot be cleared. */
static int64_t bytes_in_window(const struct remat_pack_pass *pass, int64_t low, int64_t high)
{
    int64_t bytes = 0;
    int32_t i, count = 0;
    if (low < pass->task->base || high > pass->task->target)
        return -1;
    i = remat_stand_reaching(pass->scene, pass->scene_count, low);
    for (; i < pass->scene_count && pass->scene[i].offset < high; i++) {
        const struct remat_pack_stand *stand = &pass->scene[i];
        if (is_pinned(pass, stand->item) || ++count > MAX_IN_WINDOW)
            return -1;
        bytes += remat_pack_is_fresh(pass, stand->item) ? 0 : stand->top - stand->offset;
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

static void look_at(const struct remat_pack_pass *pass, int64_t offset, int64_t bytes, struct window *windows,
                    int32_t *count, int32_t room)
{
    int64_t leaving = bytes_in_window(pass, offset, offset + bytes);
    if (leaving >= 0)
        note_window(windows, count, room, &(struct window){offset, leaving});
}

/* The windows of the scene that the fewest bytes would have to leave. */
static int32_t find_windows(const struct remat_pack_pass *pass, int64_t bytes, struct window *windows, int32_t room)
{
    int32_t i, count = 0;
    look_at(pass, pass->task->base, bytes, windows, &count, room);
    look_at(pass, pass->task->target - bytes, bytes, windows, &count, room);
    for (i = 0; i < pass->scene_count; i++) {
        look_at(pass, pass->scene[i].offset, bytes, windows, &count, room);
        look_at(pass, pass->scene[i].top, bytes, windows, &count, room);
        look_at(pass, pass->scene[i].offset - bytes, bytes, windows, &count, room);
        look_at(pass, pass->scene[i].top - bytes, bytes, windows, &count, room);
    }
    return count;
}

/* The stands of the scene in a window, the largest first. */
static int32_t list_leaving(const struct remat_pack_pass *pass, int64_t low, int64_t high,
                            struct remat_pack_stand *leaving)
{
    int32_t i, k, count = 0;
    i = remat_stand_reaching(pass->scene, pass->scene_count, low);
    for (; i < pass->scene_count && pass->scene[i].offset < high; i++) {
        const struct remat_pack_stand *stand = &pass->scene[i];
        for (k = count++; k > 0 && leaving[k - 1].top - leaving[k - 1].offset < stand->top - stand->offset; k--)
            leaving[k] = leaving[k - 1];
        leaving[k] = *stand;
    }
    return count;
}

/* Sends what stands in a window elsewhere. */
static bool clear(struct remat_pack_pass *pass, int64_t low, int64_t bytes)
{
    struct remat_pack_stand leaving[MAX_IN_WINDOW];
    int32_t k, count = list_leaving(pass, low, low + bytes, leaving);
    remat_stand_insert(pass->scene, &pass->scene_count, &(struct remat_pack_stand){low, low + bytes, -1});
    for (k = 0; k < count; k++) {
        int64_t to;
        remat_stand_remove(pass->scene, &pass->scene_count, leaving[k].item, leaving[k].offset);
        to = find_hole(pass, leaving[k].item, leaving[k].offset);
        if (to < 0)
            return false;
        take_step(pass, leaving[k].item, to);
    }
    return true;
}

/* Pushes stands together; *offset: where the item to come finds its room. */
static bool push(struct remat_pack_pass *pass, const struct remat_pack_way *way, int64_t bytes, int64_t *offset)
{
    int64_t edge = way->offset;
    bool down = way->kind == REMAT_PACK_PUSH_DOWN;
    int32_t k;
    for (k = 0; k < way->last - way->first; k++) {
        const struct remat_pack_stand *stand = &pass->at->live[down ? way->first + k : way->last - 1 - k];
        int64_t size = stand->top - stand->offset, to = down ? edge : edge - size;
        edge += down ? size : -size;
        if (to == stand->offset)
            continue;
        if (is_pinned(pass, stand->item))
            return false;
        remat_stand_remove(pass->scene, &pass->scene_count, stand->item, stand->offset);
        take_step(pass, stand->item, to);
    }
    *offset = down ? edge : edge - bytes;
    return true;
}

/* The steps of a way, and where the item finds its room. */
static bool follow(struct remat_pack_pass *pass, const struct remat_pack_way *way, int32_t item, int64_t *offset)
{
    *offset = way->offset;
    copy_scene(pass);
    return way->kind == REMAT_PACK_CLEAR ? clear(pass, way->offset, remat_pack_bytes(pass, item))
                                         : push(pass, way, remat_pack_bytes(pass, item), offset);
}

/* --- which way --------------------------------------------------------------------------------------------------- */

/* Bytes that a step moves; more where it moves by so little that it takes long. */
static double cost_of_step(const struct remat_pack_pass *pass, const struct remat_pack_step *step)
{
    const struct remat_pack_segment *segment = &pass->at->segments.list[pass->at->current[step->item]];
    int64_t by = step->to > segment->offset ? step->to - segment->offset : segment->offset - step->to;
    if (remat_pack_is_fresh(pass, step->item))
        return 0;
    if (by >= segment->bytes / NEAR)
        return (double)segment->bytes;
    return (double)segment->bytes * ((double)segment->bytes / NEAR / (double)by);
}

/* Keeps the PUSHES cheapest after the windows. */
static void note_push(struct remat_pack_pass *pass, int32_t windows, const struct remat_pack_way *way)
{
    int32_t k;
    if (pass->ways_count == windows + PUSHES && way->cost >= pass->ways[pass->ways_count - 1].cost)
        return;
    k = pass->ways_count < windows + PUSHES ? pass->ways_count++ : pass->ways_count - 1;
    for (; k > windows && pass->ways[k - 1].cost > way->cost; k--)
        pass->ways[k] = pass->ways[k - 1];
    pass->ways[k] = *way;
}

static void list_windows(struct remat_pack_pass *pass, int32_t item)
{
    struct window windows[CLOSE_LOOKS];
    int32_t count, k;
    copy_scene(pass);
    count = find_windows(pass, remat_pack_bytes(pass, item), windows, CLOSE_LOOKS);
    for (k = 0; k < count; k++)
        pass->ways[k] = (struct remat_pack_way){REMAT_PACK_CLEAR, windows[k].offset, 0, 0, (double)windows[k].bytes};
    pass->ways_count = count;
}

/* For each hole the next ones above it until together they have room for the item. */
static void list_pushes(struct remat_pack_pass *pass, int32_t item)
{
    int32_t first, last, windows = pass->ways_count;
    for (first = 0; first < pass->at->live_count; first++) {
        int64_t floor = first == 0 ? pass->task->base : pass->at->live[first - 1].top, free_bytes = 0, moved = 0;
        for (last = first; last <= pass->at->live_count; last++) {
            int64_t below = last == 0 ? pass->task->base : pass->at->live[last - 1].top;
            int64_t top = last < pass->at->live_count ? pass->at->live[last].offset : pass->task->target;
            free_bytes += top - below;
            if (free_bytes >= remat_pack_bytes(pass, item)) {
                note_push(pass, windows,
                          &(struct remat_pack_way){REMAT_PACK_PUSH_DOWN, floor, first, last, (double)moved});
                note_push(pass, windows, &(struct remat_pack_way){REMAT_PACK_PUSH_UP, top, first, last, (double)moved});
                break;
            }
            moved += last < pass->at->live_count ? pass->at->live[last].top - pass->at->live[last].offset : 0;
        }
    }
}

static double cost_of_way(struct remat_pack_pass *pass, const struct remat_pack_way *way, int32_t item, double limit)
{
    int64_t offset;
    double cost = 0;
    int32_t k;
    if (!follow(pass, way, item, &offset))
        return limit;
    cost = pass->share * remat_pack_disturbed(pass, item, offset);
    for (k = 0; k < pass->steps_count && cost < limit; k++) {
        const struct remat_pack_step *step = &pass->steps[k];
        cost += pass->share * remat_pack_disturbed(pass, step->item, step->to);
        cost += remat_pack_stood_there(pass, step) ? 0 : cost_of_step(pass, step);
    }
    return cost * (1 + remat_pack_draw(pass) / 2);
}

bool remat_pack_find_way(struct remat_pack_pass *pass, int32_t item, int64_t *offset)
{
    int32_t k, best = 0;
    double least = INFINITY;
    int64_t live = pass->at->live_count;
    *pass->task->work += live * (live + WAY_WORK);
    pass->ways_count = 0;
    if (!remat_pack_is_hasty(pass))
        list_windows(pass, item);
    list_pushes(pass, item);
    for (k = 0; k < pass->ways_count && !(remat_pack_is_hasty(pass) && least < INFINITY); k++) {
        double cost = cost_of_way(pass, &pass->ways[k], item, least);
        if (cost < least) {
            least = cost;
            best = k;
        }
    }
    return least < INFINITY && follow(pass, &pass->ways[best], item, offset);
}
