#include "trainer/progress.h"

#include "core/base/clock.h"
#include "core/base/size.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_CELLS = 20, LINE_BYTES = 512, DEFAULT_COLUMNS = 100 };
static const int64_t terminal_period_ns = 100000000, plain_period_ns = 10000000000;

static bool set(const char *name)
{
    const char *value = getenv(name);
    return value && value[0];
}

void remat_progress_begin(struct remat_progress *progress, FILE *stream)
{
    const char *kind = getenv("TERM");
    memset(progress, 0, sizeof *progress);
    progress->stream = stream;
    progress->terminal = stream && isatty(fileno(stream)) && !(kind && strcmp(kind, "dumb") == 0);
    progress->color = progress->terminal && !set("NO_COLOR");
}

const char *remat_format_seconds(double seconds, char *buffer, int capacity)
{
    long long whole = seconds > 0 && seconds < 1e12 ? (long long)(seconds + 0.5) : 0;
    if (whole >= 3600)
        snprintf(buffer, (size_t)capacity, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(buffer, (size_t)capacity, "%lld:%02lld", whole / 60, whole % 60);
    return buffer;
}

static int columns(const struct remat_progress *progress)
{
    struct winsize size;
    if (ioctl(fileno(progress->stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return DEFAULT_COLUMNS;
}

static void format_numbers(const struct remat_progress_state *state, char *text, size_t capacity)
{
    char eta[24], planned[32], measured[32];
    size_t used;
    snprintf(text, capacity, "%s %lld/%lld  loss %.4f  %.1f %s/s  ETA %s  plan %s", state->what, (long long)state->done,
             (long long)state->total, state->loss, state->items_per_second, state->item,
             remat_format_seconds(state->remaining_seconds, eta, sizeof eta),
             remat_size_format(state->planned_bytes, planned, sizeof planned));
    used = strlen(text);
    if (state->measured_bytes > 0)
        snprintf(text + used, capacity - used, "  used %s",
                 remat_size_format(state->measured_bytes, measured, sizeof measured));
}

static void draw_bar(struct remat_progress *progress, const struct remat_progress_state *state)
{
    char text[LINE_BYTES], bar[BAR_CELLS + 1];
    int64_t filled = state->total > 0 ? state->done * BAR_CELLS / state->total : 0;
    int room = columns(progress) - BAR_CELLS - 4;
    for (int i = 0; i < BAR_CELLS; i++)
        bar[i] = i < filled ? '#' : '-';
    bar[BAR_CELLS] = 0;
    format_numbers(state, text, sizeof text);
    fprintf(progress->stream, "\r%s[%s]%s %.*s\033[K", progress->color ? "\033[32m" : "", bar,
            progress->color ? "\033[0m" : "", room > 0 ? room : 0, text);
    progress->drawn = true;
}

void remat_progress_update(struct remat_progress *progress, const struct remat_progress_state *state)
{
    int64_t now = remat_clock_ns(), period = progress->terminal ? terminal_period_ns : plain_period_ns;
    char text[LINE_BYTES];
    if (!progress->stream || (now - progress->last_ns < period && state->done != state->total))
        return;
    progress->last_ns = now;
    if (progress->terminal) {
        draw_bar(progress, state);
    } else {
        format_numbers(state, text, sizeof text);
        fprintf(progress->stream, "%s\n", text);
    }
    fflush(progress->stream);
}

static void clear_bar(struct remat_progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", progress->stream);
    progress->drawn = false;
}

void remat_progress_line(struct remat_progress *progress, const char *format, ...)
{
    va_list args;
    if (!progress->stream)
        return;
    clear_bar(progress);
    va_start(args, format);
    vfprintf(progress->stream, format, args);
    va_end(args);
    fputc('\n', progress->stream);
    fflush(progress->stream);
}

void remat_progress_end(struct remat_progress *progress)
{
    if (!progress->stream)
        return;
    clear_bar(progress);
    fflush(progress->stream);
}
