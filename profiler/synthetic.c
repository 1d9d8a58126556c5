#include "profiler/synthetic.h"

#include "core/base/rng.h"

static void store(const struct remat_tensor *tensor, void *data, int64_t index, int64_t bound, uint32_t word)
{
    float real = 0.25f + 0.75f * remat_rng_uniform(word);
    switch (tensor->dtype) {
    case REMAT_F32:
        ((float *)data)[index] = real;
        break;
    case REMAT_F64:
        ((double *)data)[index] = (double)real;
        break;
    case REMAT_I32:
        ((int32_t *)data)[index] = (int32_t)(word % (uint64_t)bound);
        break;
    case REMAT_U8:
        ((uint8_t *)data)[index] = (uint8_t)(word % (uint64_t)(bound < 256 ? bound : 256));
        break;
    default: /* bf16 and f16: 0x38.. is a small positive number in both */
        ((uint16_t *)data)[index] = (uint16_t)(0x3800 + word % 0x100);
        break;
    }
}

void remat_fill_synthetic(const struct remat_tensor *tensor, void *data, int64_t bound, uint32_t stream)
{
    int64_t elements = remat_tensor_elements(tensor);
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < (elements + 3) / 4; block++) {
        struct remat_rng_block words = remat_rng(0, REMAT_RNG_SYNTHETIC, stream, 0, (uint64_t)block);
        for (int64_t k = 0; k < 4 && 4 * block + k < elements; k++)
            store(tensor, data, 4 * block + k, bound, words.word[k]);
    }
}

static int64_t layer_bound(const struct remat_layer_graph *layers, const struct remat_layer *layer)
{
    if (layer->kind == REMAT_LAYER_EMBEDDING || layer->kind == REMAT_LAYER_CLASSIFIER)
        return layers->parameters[layer->parameters[0]].tensor.dims[0];
    if (layer->kind == REMAT_LAYER_LOSS)
        return remat_tensor_columns(&layers->layers[layer->inputs[0]].output);
    return INT32_MAX;
}

int64_t remat_label_bound(const struct remat_layer_graph *layers)
{
    int64_t bound = INT32_MAX;
    for (int32_t i = 0; i < layers->layers_count; i++) {
        int64_t own = layer_bound(layers, &layers->layers[i]);
        bound = own < bound ? own : bound;
    }
    return bound;
}
