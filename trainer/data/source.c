#include "trainer/data/source.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static const struct remat_data_kind *const kinds[] = {&remat_data_cifar10, &remat_data_text, &remat_data_synthetic};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

int64_t remat_sample_bytes(const struct remat_sample_shape *shape)
{
    return shape->kind == REMAT_IMAGE_SAMPLES ? shape->height * shape->width * shape->channels
                                              : shape->length * (int64_t)sizeof(int32_t);
}

int64_t remat_sample_labels(const struct remat_sample_shape *shape)
{
    return shape->kind == REMAT_IMAGE_SAMPLES ? 1 : shape->length;
}

static enum remat_status find_by_name(const char *name, const struct remat_data_kind **out, struct remat_error *err)
{
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i]->name, name) == 0) {
            *out = kinds[i];
            return REMAT_OK;
        }
    return remat_fail(err, REMAT_USAGE,
                      "unknown data kind '%s': there are cifar10 (a folder), text (a file) and synthetic", name);
}

/* The word "synthetic", a folder (CIFAR-10) or a file (text). */
static enum remat_status recognise(const char *path, const struct remat_data_kind **out, struct remat_error *err)
{
    struct stat info;
    if (!path)
        return remat_fail(err, REMAT_USAGE, "no data given: name a CIFAR-10 folder, a text file, or 'synthetic'");
    if (strcmp(path, remat_data_synthetic.name) == 0) {
        *out = &remat_data_synthetic;
        return REMAT_OK;
    }
    if (stat(path, &info) != 0)
        return remat_fail(
            err, REMAT_MISSING_INPUT,
            "%s: %s; expected a CIFAR-10 folder ('remat data cifar10 DIR' downloads one), a text file, or "
            "the word 'synthetic'",
            path, strerror(errno));
    *out = S_ISDIR(info.st_mode) ? &remat_data_cifar10 : &remat_data_text;
    return REMAT_OK;
}

enum remat_status remat_data_open(const struct remat_data_config *config, struct remat_data_source *out,
                                  struct remat_error *err)
{
    const struct remat_data_kind *kind = NULL;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY(config->kind ? find_by_name(config->kind, &kind, err) : recognise(config->path, &kind, err));
    out->seed = config->seed;
    out->augment = config->augment;
    status = kind->open(config, out, err);
    if (status == REMAT_OK)
        out->kind = kind;
    return status;
}

void remat_data_close(struct remat_data_source *source)
{
    if (source->kind)
        source->kind->close(source);
    memset(source, 0, sizeof *source);
}

enum remat_status remat_data_read(const struct remat_data_source *source, enum remat_split split, int64_t epoch,
                                  int64_t sample, void *input, int32_t *labels, struct remat_error *err)
{
    if (sample < 0 || sample >= source->samples[split])
        return remat_fail(err, REMAT_INTERNAL, "%s data: sample %lld asked for, but there are %lld", source->kind->name,
                          (long long)sample, (long long)source->samples[split]);
    return source->kind->read(source, split, epoch, sample, input, labels, err);
}
