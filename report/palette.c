#include "report/palette.h"

static const struct {
    unsigned rgb;
    const char *variable;
} colours[] = {
#define X(name, rgb, variable) {rgb, variable},
    REPORT_COLOUR_LIST(X)
#undef X
};

unsigned report_colour_rgb(enum report_colour colour)
{
    return colours[colour].rgb;
}

const char *report_colour_variable(unsigned rgb)
{
    for (int i = 0; i < REPORT_COLOUR_COUNT; i++)
        if (colours[i].rgb == rgb)
            return colours[i].variable;
    return "";
}

/* Large categories get the colours that are farthest apart. */
enum report_colour report_category_colour(enum remat_category category)
{
    static const enum report_colour of[REMAT_CATEGORY_COUNT] = {
        [REMAT_BATCH] = REPORT_YELLOW,
        [REMAT_ACTIVATION] = REPORT_BLUE,
        [REMAT_STATISTIC] = REPORT_PURPLE,
        [REMAT_WORKSPACE] = REPORT_SKY,
        [REMAT_ACTIVATION_GRADIENT] = REPORT_ORANGE,
        [REMAT_PARAMETER_GRADIENT] = REPORT_VERMILLION,
        [REMAT_SCRATCH] = REPORT_GREEN,
        [REMAT_STAGING] = REPORT_GREY,
    };
    return of[category];
}

const char *report_category_text(enum remat_category category)
{
    static const char *const texts[REMAT_CATEGORY_COUNT] = {
#define X(name, text) text,
        REMAT_CATEGORY_LIST(X)
#undef X
    };
    return texts[category];
}
