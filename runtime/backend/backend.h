/* A backend: a device with memory and kernels. ref (plain loops, the oracle) and cpu (oneDNN and own kernels) are
 * always there; others, such as cuda, are shared objects loaded when they are asked for (plugin.h).
 *
 * A kernel is made once from a spec and an option and run many times; run allocates nothing and never keeps addresses.
 * Its scratch is given by the caller: exactly the bytes that the option asked for. All operands, the step record too,
 * lie in memory that the device's `memory_open` gave.
 *
 * A device does its work (kernels, copies, fills) in the order in which it was asked for; what is beside it says so
 * below. Calls may return before the work is done: download, synchronise and marks_elapsed wait for it. */
#ifndef REMAT_RUNTIME_BACKEND_BACKEND_H
#define REMAT_RUNTIME_BACKEND_BACKEND_H

#include "core/graph/op.h"
#include "core/graph/task_graph.h"
#include "runtime/backend/memory.h"

struct remat_kernel;
struct remat_marks;     /* points in the order of a device's work */
struct remat_recording; /* work noted once, to be repeated with one call */
struct remat_copies;    /* copies beside a device's work */

/* Copies to the host have one order, copies to the device another. */
enum remat_lane { REMAT_TO_HOST, REMAT_TO_DEVICE, REMAT_LANE_COUNT };

struct remat_device_config {
    int32_t threads;   /* 0 = all cores */
    int32_t ordinal;   /* of the device, where there are several */
    bool tf32;         /* cuda: products of f32 may round their operands to TF32 (10 bits of mantissa) */
    bool alternatives; /* cuda: offer the libraries' further engines, too, which take long to look up */
};

struct remat_device_info {
    char name[64];         /* "cpu" */
    char description[128]; /* processor or card */
    char fingerprint[256]; /* device, ISA, threads, library versions: plans and profiles are tied to it */
    int32_t threads;
    int64_t memory_bytes; /* available now */
};

/* What lies on a device, from what was asked for to all that the process holds there. -1: unknown. */
struct remat_device_memory {
    int64_t total_bytes, free_bytes; /* of the whole device, whoever uses it */
    int64_t asked_bytes;             /* open by memory_open */
    int64_t pool_bytes;              /* what the device took for them, in whole pages */
    int64_t context_bytes;           /* taken by opening the device, and by the libraries it was opened with */
    int64_t libraries_bytes;
    int64_t process_bytes; /* of this process; on the host its resident bytes */
    char note[160];        /* why something is unknown; "" = nothing is */
};

/* What varies from step to step; kernels read it through the pointer, so that a captured step stays the same. */
struct remat_step_record {
    uint64_t seed;
    int64_t step;  /* optimizer step, from 0; Adam's bias correction uses step + 1 */
    int32_t micro; /* micro step, from 0 */
    int32_t micro_count;
    float learning_rate;
    float loss_scale; /* gradients are scaled by it; 1 / micro_count with accumulation */
};

struct remat_kernel_args {
    const void *inputs[REMAT_MAX_INPUTS];
    void *outputs[REMAT_MAX_OUTPUTS];
    void *cells[REMAT_MAX_CELLS];
    void *scratch;
    const struct remat_step_record *record;
};

enum { REMAT_MAX_OPTIONS = 4, REMAT_MAX_JOINED = 64 };

struct remat_kernel_option {
    const char *name;      /* static: "onednn", "gemm", "loops" */
    int64_t scratch_bytes; /* not aligned */
    int32_t numerics;
};

/* Memory and order of work. */
struct remat_device_ops {
    bool host; /* the memory is the host's own: its addresses may be used directly */
    /* As remat_memory_open (memory.h): exactly the bytes, zeroed; closed by remat_memory_close. */
    enum remat_status (*memory_open)(struct remat_device *device, int64_t bytes, const char *purpose,
                                     struct remat_memory *out, struct remat_error *err);
    /* Host memory that is copied from and to fastest. */
    enum remat_status (*pinned_open)(struct remat_device *device, int64_t bytes, const char *purpose,
                                     struct remat_memory *out, struct remat_error *err);
    int64_t (*available_bytes)(struct remat_device *device); /* -1 if unknown */
    void (*memory_used)(struct remat_device *device, struct remat_device_memory *out);
    /* Host to device; when it returns, `from` may be changed. */
    enum remat_status (*upload)(struct remat_device *device, void *to, const void *from, int64_t bytes,
                                struct remat_error *err);
    /* Uploads of batches beside the device's other work, into two places by turns. upload_ahead: from pinned memory,
     * once the work is done that came before the place's last upload_used; upload_arrived: work asked for from here on
     * comes after the place's last upload; upload_done: waits until `from` may be changed. All NULL where the memory is
     * the host's. */
    enum remat_status (*upload_ahead)(struct remat_device *device, int32_t place, void *to, const void *from,
                                      int64_t bytes, struct remat_error *err);
    enum remat_status (*upload_arrived)(struct remat_device *device, int32_t place, struct remat_error *err);
    enum remat_status (*upload_used)(struct remat_device *device, int32_t place, struct remat_error *err);
    enum remat_status (*upload_done)(struct remat_device *device, int32_t place, struct remat_error *err);
    /* Copies 0 .. count - 1 between device memory and pinned memory, beside the device's other work; each may be asked
     * for again once it was awaited. copy_beside: begins when all work that was asked for so far is done, and the
     * earlier copies of the lane; returns at once. copy_await: work asked for from here on comes after that copy. Both
     * may be recorded; a recording awaits all its copies. Closing waits for those under way. */
    enum remat_status (*copies_open)(struct remat_device *device, int32_t count, struct remat_copies **out,
                                     struct remat_error *err);
    void (*copies_close)(struct remat_copies *copies);
    enum remat_status (*copy_beside)(struct remat_copies *copies, enum remat_lane lane, int32_t index, void *to,
                                     const void *from, int64_t bytes, struct remat_error *err);
    enum remat_status (*copy_await)(struct remat_copies *copies, int32_t index, struct remat_error *err);
    /* Device to host; when it returns, `to` is complete. */
    enum remat_status (*download)(struct remat_device *device, void *to, const void *from, int64_t bytes,
                                  struct remat_error *err);
    /* Within device memory, in the order of the device's work; the ranges may overlap. May be recorded. */
    enum remat_status (*copy)(struct remat_device *device, void *to, const void *from, int64_t bytes,
                              struct remat_error *err);
    enum remat_status (*fill)(struct remat_device *device, void *to, uint8_t byte, int64_t bytes,
                              struct remat_error *err);
    enum remat_status (*synchronise)(struct remat_device *device, struct remat_error *err);
    /* Marks 0 .. count - 1, to be set again and again. */
    enum remat_status (*marks_open)(struct remat_device *device, int32_t count, struct remat_marks **out,
                                    struct remat_error *err);
    void (*marks_close)(struct remat_marks *marks);
    enum remat_status (*mark)(struct remat_marks *marks, int32_t index, struct remat_error *err);
    /* The time from one mark to a later one. */
    enum remat_status (*marks_elapsed)(struct remat_marks *marks, int32_t from, int32_t to, int64_t *time_ns,
                                       struct remat_error *err);
    /* Between begin and end kernel runs and copies are noted, not done; replay does them with the addresses
     * that they were noted with. All NULL where a call costs nothing. */
    enum remat_status (*record_begin)(struct remat_device *device, struct remat_error *err);
    enum remat_status (*record_end)(struct remat_device *device, struct remat_recording **out, struct remat_error *err);
    enum remat_status (*replay)(struct remat_recording *recording, struct remat_error *err);
    void (*recording_close)(struct remat_recording *recording);
};

/* Of every backend whose memory is the host's: host.c. */
extern const struct remat_device_ops remat_host_ops;

struct remat_backend {
    const char *name;
    const struct remat_device_ops *ops;
    enum remat_status (*open)(const struct remat_device_config *config, struct remat_device **out,
                              struct remat_error *err);
    void (*close)(struct remat_device *device);
    void (*describe)(struct remat_device *device, struct remat_device_info *out);
    /* The implementations of a spec, the preferred one first. REMAT_UNAVAILABLE if there is none. */
    enum remat_status (*options)(struct remat_device *device, const struct remat_kernel_spec *spec,
                                 struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                 struct remat_error *err);
    enum remat_status (*kernel_create)(struct remat_device *device, const struct remat_kernel_spec *spec,
                                       int32_t option, struct remat_kernel **out, struct remat_error *err);
    /* Scratch that a made kernel really uses; the memory tracker counts this, not the plan's number. */
    int64_t (*kernel_scratch_bytes)(const struct remat_kernel *kernel);
    enum remat_status (*kernel_run)(const struct remat_kernel *kernel, const struct remat_kernel_args *args,
                                    struct remat_error *err);
    void (*kernel_destroy)(struct remat_kernel *kernel);
    /* Both NULL, or: whether runs of the two in a row may be one call of the device, and that call, for kernels each of
     * which joins the first, with the bits that running one by one gives. At most REMAT_MAX_JOINED. */
    bool (*kernel_joins)(const struct remat_kernel *first, const struct remat_kernel *next);
    enum remat_status (*kernel_run_joined)(const struct remat_kernel *const *kernels,
                                           const struct remat_kernel_args *const *args, int32_t count,
                                           struct remat_error *err);
};

/* The backends that are always there, ended by NULL. */
extern const struct remat_backend *const remat_backends[];
/* One of them, or one that is loaded now (plugin.h). */
REMAT_MUST_CHECK enum remat_status remat_backend_find(const char *name, const struct remat_backend **out,
                                                      struct remat_error *err);

#endif
