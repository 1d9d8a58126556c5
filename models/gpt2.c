/* GPT-2: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019. Names are those of the original
 * checkpoint; normalisation before each sublayer, biases everywhere, GELU in its tanh form, classifier tied to the
 * token table. */
#include "models/families.h"

#include <math.h>
#include <stdio.h>

struct stream {
    struct remat_layer_graph *graph;
    const struct remat_model_options *options;
    int32_t layer;        /* transformer layer being built, -1 outside */
    float residual_scale; /* standard deviation of the projections into the residual stream */
};

static const float WEIGHT_SCALE = 0.02f;

static const char *name(const struct stream *stream, const char *suffix, char *buffer, size_t bytes)
{
    snprintf(buffer, bytes, "h.%d.%s", stream->layer, suffix);
    return buffer;
}

static int32_t norm(const struct stream *stream, const char *suffix, int32_t x)
{
    char text[64];
    return remat_add_layernorm(stream->graph, name(stream, suffix, text, sizeof text), x);
}

static int32_t linear(const struct stream *stream, const char *suffix, int32_t x, int64_t outputs, float scale)
{
    char text[64];
    return remat_add_linear(stream->graph, name(stream, suffix, text, sizeof text), x, outputs, true, scale);
}

/* x + dropout(y) */
static int32_t into_residual(const struct stream *stream, const char *dropout, const char *add, int32_t x, int32_t y)
{
    char text[64];
    if (stream->options->dropout > 0.0f)
        y = remat_add_dropout(stream->graph, name(stream, dropout, text, sizeof text), y, stream->options->dropout);
    return remat_add_add(stream->graph, name(stream, add, text, sizeof text), x, y);
}

static int32_t attention_sublayer(const struct stream *stream, int32_t x)
{
    const int64_t width = stream->options->width;
    char text[64];
    int32_t y = norm(stream, "ln_1", x);
    y = linear(stream, "attn.c_attn", y, 3 * width, WEIGHT_SCALE);
    y = remat_add_attention(stream->graph, name(stream, "attn", text, sizeof text), y, (int32_t)stream->options->heads);
    y = linear(stream, "attn.c_proj", y, width, stream->residual_scale);
    return into_residual(stream, "attn.dropout", "attn.add", x, y);
}

static int32_t feed_forward_sublayer(const struct stream *stream, int32_t x)
{
    const int64_t width = stream->options->width;
    char text[64];
    int32_t y = norm(stream, "ln_2", x);
    y = linear(stream, "mlp.c_fc", y, 4 * width, WEIGHT_SCALE);
    y = remat_add_gelu(stream->graph, name(stream, "mlp.gelu", text, sizeof text), y);
    y = linear(stream, "mlp.c_proj", y, width, stream->residual_scale);
    return into_residual(stream, "mlp.dropout", "mlp.add", x, y);
}

static int32_t embed(const struct stream *stream)
{
    const struct remat_model_options *options = stream->options;
    int32_t tokens;
    remat_begin_block(stream->graph, "embedding");
    tokens = remat_add_tokens(stream->graph, options->batch, options->length);
    return remat_add_embedding(stream->graph, "wte", "wpe", tokens, options->vocabulary, options->positions,
                               options->width, WEIGHT_SCALE);
}

static void head(const struct stream *stream, int32_t x, int32_t embedding)
{
    const int64_t dims[] = {stream->options->batch, stream->options->length};
    int32_t targets;
    remat_begin_block(stream->graph, "head");
    x = remat_add_layernorm(stream->graph, "ln_f", x);
    targets = remat_add_labels(stream->graph, 2, dims);
    remat_add_classifier(stream->graph, "classifier", x, targets, embedding);
}

void remat_build_gpt2(const struct remat_model *model, const struct remat_model_options *options,
                      struct remat_layer_graph *graph)
{
    struct stream stream = {graph, options, 0, WEIGHT_SCALE / sqrtf(2.0f * (float)options->layers)};
    int32_t embedding = embed(&stream), x = embedding;
    (void)model;
    if (options->dropout > 0.0f)
        x = remat_add_dropout(graph, "dropout", x, options->dropout);
    for (stream.layer = 0; stream.layer < options->layers; stream.layer++) {
        char text[32];
        snprintf(text, sizeof text, "h.%d", stream.layer);
        remat_begin_block(graph, text);
        x = attention_sublayer(&stream, x);
        x = feed_forward_sublayer(&stream, x);
    }
    head(&stream, x, embedding);
}
