/* Internal to placing with moves: how far a pass over the instructions has come, and ways to make room in it. */
#ifndef REMAT_CORE_PLAN_PACK_WAYS_H
#define REMAT_CORE_PLAN_PACK_WAYS_H

#include "core/plan/pack_sweep.h"

/* Where an item stands now. */
struct remat_pack_stand {
    int64_t offset, top;
    int32_t item; /* -1: reserved */
};

/* Where an item goes. */
struct remat_pack_step {
    int32_t item;
    int64_t to;
};

enum remat_pack_way_kind { REMAT_PACK_CLEAR, REMAT_PACK_PUSH_DOWN, REMAT_PACK_PUSH_UP };
enum { REMAT_PACK_MOST_WAYS = 80 };

/* CLEAR: window at `offset`. PUSH: stands first .. last - 1, from `offset` (down: upwards from it; up: downwards). */
struct remat_pack_way {
    enum remat_pack_way_kind kind;
    int64_t offset;
    int32_t first, last;
    double cost;
};

/* How far a pass has come. */
struct remat_pack_state {
    struct remat_pack_segments segments;
    int32_t *current;              /* per item: its segment now, or -1 */
    int32_t *pinned_until;         /* per item: last instruction before which it must not be moved */
    struct remat_pack_stand *live; /* by offset */
    int32_t live_count;
    int32_t next, next_pin; /* in by_begin and pins */
    double score;           /* bytes moved, and a share of those that will be in the way */
};

/* One pass: the state that it is at, and room for looking at ways. */
struct remat_pack_pass {
    const struct remat_pack_sweep *task;
    struct remat_pack_state *at;
    struct remat_pack_stand *scene; /* what `live` becomes if a way is taken */
    struct remat_pack_step *steps;
    struct remat_pack_way ways[REMAT_PACK_MOST_WAYS];
    int32_t scene_count, steps_count, ways_count;
    int32_t now, turn; /* instruction, and moves right before it so far */
    double share;      /* of the bytes of wishes that come into the way */
    uint64_t draws;
    struct remat_error *err;
};

static inline int64_t remat_pack_bytes(const struct remat_pack_pass *pass, int32_t item)
{
    return pass->task->items[item].bytes;
}

/* Begins at this instruction, so it is not there yet when others are moved. */
static inline bool remat_pack_is_fresh(const struct remat_pack_pass *pass, int32_t item)
{
    return pass->task->items[item].begin == pass->now;
}

/* Stands are sorted by offset. */
void remat_stand_insert(struct remat_pack_stand *stands, int32_t *count, const struct remat_pack_stand *stand);
void remat_stand_remove(struct remat_pack_stand *stands, int32_t *count, int32_t item, int64_t offset);
/* The first one that reaches above an offset, where none overlap. */
int32_t remat_stand_reaching(const struct remat_pack_stand *stands, int32_t count, int64_t offset);

/* From 0 to 1. */
double remat_pack_draw(struct remat_pack_pass *pass);
/* Bytes of items to come whose wishes an item at `offset` would be in the way of. */
double remat_pack_disturbed(const struct remat_pack_pass *pass, int32_t item, int64_t offset);
/* Whether an item could have stood where a step takes it all the time that it stands where it does. */
bool remat_pack_stood_there(const struct remat_pack_pass *pass, const struct remat_pack_step *step);
/* Too much was spent on good ways to make room: any will do. */
bool remat_pack_is_hasty(const struct remat_pack_pass *pass);

/* The cheapest way to make room for an item: pass->steps, and where it finds its room. False if pins leave none. */
bool remat_pack_find_way(struct remat_pack_pass *pass, int32_t item, int64_t *offset);

#endif
