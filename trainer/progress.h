/* Progress of a run: one line that is redrawn on a terminal; elsewhere a plain line every ten seconds. Colours only on
 * a terminal, and not if NO_COLOR is set (https://no-color.org). */
#ifndef REMAT_TRAINER_PROGRESS_H
#define REMAT_TRAINER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct remat_progress {
    FILE *stream; /* borrowed; NULL = silent */
    bool terminal, color, drawn;
    int64_t last_ns;
};

struct remat_progress_state {
    const char *what; /* "epoch 3/80" */
    int64_t done, total;
    double loss, items_per_second;
    const char *item; /* "img", "tok" */
    double remaining_seconds;
    int64_t planned_bytes, measured_bytes; /* arena; measured 0 = not measured */
};

void remat_progress_begin(struct remat_progress *progress, FILE *stream);
/* Draws if it is time to; always when done = total. */
void remat_progress_update(struct remat_progress *progress, const struct remat_progress_state *state);
/* A line that stays. */
void remat_progress_line(struct remat_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void remat_progress_end(struct remat_progress *progress);

/* "1:02:03" or "4:05", into a buffer of at least 24 bytes. */
const char *remat_format_seconds(double seconds, char *buffer, int capacity);

#endif
