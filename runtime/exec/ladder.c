#include "runtime/exec/ladder.h"

static int64_t gap(int64_t from, int64_t to)
{
    return from < 0 || to < 0 ? -1 : to - from;
}

void remat_memory_ladder(const struct remat_device_ops *ops, struct remat_device *device, int64_t plan_bytes,
                         int64_t arena_bytes, struct remat_memory_ladder *out)
{
    struct remat_device_memory now;
    int64_t opened;
    ops->memory_used(device, &now);
    *out = (struct remat_memory_ladder){.plan_bytes = plan_bytes,
                                        .arena_bytes = arena_bytes,
                                        .asked_bytes = now.asked_bytes,
                                        .pool_bytes = now.pool_bytes,
                                        .process_bytes = now.process_bytes,
                                        .other_plans_bytes = gap(plan_bytes, arena_bytes),
                                        .records_bytes = gap(arena_bytes, now.asked_bytes),
                                        .pages_bytes = gap(now.asked_bytes, now.pool_bytes),
                                        .context_bytes = now.context_bytes,
                                        .libraries_bytes = now.libraries_bytes,
                                        .device = now};
    opened = now.context_bytes < 0 || now.libraries_bytes < 0 ? -1 : now.context_bytes + now.libraries_bytes;
    out->code_bytes = opened < 0 || now.pool_bytes < 0 ? -1 : gap(now.pool_bytes + opened, now.process_bytes);
}

static void set(json_t *json, const char *name, int64_t bytes)
{
    if (bytes >= 0)
        json_object_set_new(json, name, json_integer(bytes));
}

json_t *remat_memory_ladder_json(const struct remat_memory_ladder *ladder)
{
    json_t *json = json_object(), *gaps = json_object();
    set(json, "plan_bytes", ladder->plan_bytes);
    set(json, "arena_bytes", ladder->arena_bytes);
    set(json, "asked_bytes", ladder->asked_bytes);
    set(json, "pool_bytes", ladder->pool_bytes);
    set(json, "process_bytes", ladder->process_bytes);
    set(json, "device_total_bytes", ladder->device.total_bytes);
    set(json, "device_free_bytes", ladder->device.free_bytes);
    set(gaps, "other_plans_bytes", ladder->other_plans_bytes);
    set(gaps, "records_bytes", ladder->records_bytes);
    set(gaps, "pages_bytes", ladder->pages_bytes);
    set(gaps, "context_bytes", ladder->context_bytes);
    set(gaps, "libraries_bytes", ladder->libraries_bytes);
    set(gaps, "code_bytes", ladder->code_bytes);
    if (json_object_size(gaps) > 0)
        json_object_set(json, "gaps", gaps);
    json_decref(gaps);
    if (ladder->device.note[0])
        json_object_set_new(json, "note", json_string(ladder->device.note));
    return json;
}
