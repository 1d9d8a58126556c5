/* Colours: Okabe and Ito's palette (Color Universal Design, 2008), which stays distinct for colour-blind readers, and
 * four roles that the page replaces by CSS variables, so that inlined charts follow a light or dark page. */
#ifndef REMAT_REPORT_PALETTE_H
#define REMAT_REPORT_PALETTE_H

#include "core/graph/task_graph.h"

/* name, 0xRRGGBB, CSS variable or "" */
#define REPORT_COLOUR_LIST(X)            \
    X(REPORT_INK, 0x1c1c20, "--ink")     \
    X(REPORT_MUTED, 0x5a5a62, "--muted") \
    X(REPORT_GRID, 0xdcdce2, "--grid")   \
    X(REPORT_PAPER, 0xfffffe, "--paper") \
    X(REPORT_ORANGE, 0xe69f00, "")       \
    X(REPORT_SKY, 0x56b4e9, "")          \
    X(REPORT_GREEN, 0x009e73, "")        \
    X(REPORT_YELLOW, 0xf0e442, "")       \
    X(REPORT_BLUE, 0x0072b2, "")         \
    X(REPORT_VERMILLION, 0xd55e00, "")   \
    X(REPORT_PURPLE, 0xcc79a7, "")       \
    X(REPORT_GREY, 0x9a9aa0, "")

enum report_colour {
#define X(name, rgb, variable) name,
    REPORT_COLOUR_LIST(X)
#undef X
        REPORT_COLOUR_COUNT
};

/* 0xRRGGBB */
unsigned report_colour_rgb(enum report_colour colour);
/* The CSS variable that stands for a colour, or "" if it is the same on every page. */
const char *report_colour_variable(unsigned rgb);

enum report_colour report_category_colour(enum remat_category category);
const char *report_category_text(enum remat_category category);

#endif
