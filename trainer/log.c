#include "trainer/log.h"

#include "core/base/file.h"
#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EVENTS, STEPS, EPOCHS, LINE_BYTES = 512 };
static const char *const names[REMAT_LOG_FILES] = {"log.jsonl", "steps.csv", "epochs.csv"};
static const char *const headers[REMAT_LOG_FILES] = {
    "", "step,epoch,loss,learning_rate,samples_per_second,step_ns\n",
    "epoch,step,train_loss,train_accuracy,test_loss,test_accuracy,learning_rate,seconds\n"};

struct remat_log {
    int descriptors[REMAT_LOG_FILES];
    char folder[4096];
};

static enum remat_status log_failed(const struct remat_log *log, int file, const char *what, struct remat_error *err)
{
    return remat_fail(err, REMAT_IO, "%s/%s: %s failed: %s", log->folder, names[file], what, strerror(errno));
}

static enum remat_status append(struct remat_log *log, int file, const char *text, size_t bytes,
                                struct remat_error *err)
{
    while (bytes > 0) {
        ssize_t done = write(log->descriptors[file], text, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return log_failed(log, file, "writing", err);
        text += done;
        bytes -= (size_t)done;
    }
    return REMAT_OK;
}

/* A file that lost its end (a crash without fsync) is kept as it is: a log with a hole is better than no run. */
static enum remat_status open_file(struct remat_log *log, int file, int64_t bytes, struct remat_error *err)
{
    char path[sizeof log->folder + 16];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", log->folder, names[file]);
    log->descriptors[file] = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->descriptors[file] < 0 || fstat(log->descriptors[file], &info) != 0)
        return log_failed(log, file, "opening", err);
    if (info.st_size > bytes && ftruncate(log->descriptors[file], bytes) != 0)
        return log_failed(log, file, "cutting", err);
    if (info.st_size == 0 || bytes == 0)
        return append(log, file, headers[file], strlen(headers[file]), err);
    return REMAT_OK;
}

enum remat_status remat_log_open(const char *folder, const int64_t bytes[REMAT_LOG_FILES], struct remat_log **out,
                                 struct remat_error *err)
{
    struct remat_log *log;
    *out = NULL;
    REMAT_TRY(remat_make_folders(folder, err));
    REMAT_TRY(REMAT_ALLOC(log, 1, err));
    *out = log;
    snprintf(log->folder, sizeof log->folder, "%s", folder);
    for (int i = 0; i < REMAT_LOG_FILES; i++)
        log->descriptors[i] = -1;
    for (int i = 0; i < REMAT_LOG_FILES; i++)
        REMAT_TRY(open_file(log, i, bytes ? bytes[i] : 0, err));
    return REMAT_OK;
}

void remat_log_close(struct remat_log *log)
{
    if (!log)
        return;
    for (int i = 0; i < REMAT_LOG_FILES; i++)
        if (log->descriptors[i] >= 0)
            close(log->descriptors[i]);
    free(log);
}

enum remat_status remat_log_event(struct remat_log *log, json_t *event, struct remat_error *err)
{
    char *text = event ? json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL, *line = NULL;
    int length = text ? asprintf(&line, "%s\n", text) : -1;
    enum remat_status status;
    json_decref(event);
    free(text);
    if (length < 0)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for a line of %s/%s", log->folder,
                          names[EVENTS]);
    status = append(log, EVENTS, line, (size_t)length, err);
    free(line);
    return status;
}

enum remat_status remat_log_step(struct remat_log *log, const struct remat_log_step *r, struct remat_error *err)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "%lld,%lld,%.9g,%.9g,%.6g,%lld\n", (long long)r->step, (long long)r->epoch,
                          r->loss, r->learning_rate, r->samples_per_second, (long long)r->step_ns);
    REMAT_TRY(append(log, STEPS, line, (size_t)length, err));
    return remat_log_event(log,
                           json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:I}", "event", "step", "step",
                                     (json_int_t)r->step, "epoch", (json_int_t)r->epoch, "loss", r->loss,
                                     "learning_rate", r->learning_rate, "samples_per_second", r->samples_per_second,
                                     "step_ns", (json_int_t)r->step_ns),
                           err);
}

enum remat_status remat_log_epoch(struct remat_log *log, const struct remat_log_epoch *r, struct remat_error *err)
{
    char line[LINE_BYTES];
    int length = snprintf(line, sizeof line, "%lld,%lld,%.9g,%.9g,%.9g,%.9g,%.9g,%.6g\n", (long long)r->epoch,
                          (long long)r->step, r->train_loss, r->train_accuracy, r->test_loss, r->test_accuracy,
                          r->learning_rate, r->seconds);
    REMAT_TRY(append(log, EPOCHS, line, (size_t)length, err));
    return remat_log_event(log,
                           json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "event", "epoch", "epoch",
                                     (json_int_t)r->epoch, "step", (json_int_t)r->step, "train_loss", r->train_loss,
                                     "train_accuracy", r->train_accuracy, "test_loss", r->test_loss, "test_accuracy",
                                     r->test_accuracy, "learning_rate", r->learning_rate, "seconds", r->seconds),
                           err);
}

enum remat_status remat_log_sync(struct remat_log *log, int64_t bytes[REMAT_LOG_FILES], struct remat_error *err)
{
    for (int i = 0; i < REMAT_LOG_FILES; i++) {
        struct stat info;
        if (fsync(log->descriptors[i]) != 0 || fstat(log->descriptors[i], &info) != 0)
            return log_failed(log, i, "syncing", err);
        bytes[i] = info.st_size;
    }
    return REMAT_OK;
}
