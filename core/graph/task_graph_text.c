#include "core/graph/task_graph_text.h"

#include "core/graph/task_graph.h"

#include <string.h>

static const char *const categories[] = {
#define X(name, text) text,
    REMAT_CATEGORY_LIST(X)
#undef X
};
static const char *const cell_kinds[] = {
#define X(name, text) text,
    REMAT_CELL_KIND_LIST(X)
#undef X
};
static const char *const phases[] = {"forward", "backward", "update"};
static const char *const sections[] = {"micro", "finish"};
static const char *const spaces[] = {"device", "host"};

const struct remat_names remat_category_names = {"category", categories, REMAT_CATEGORY_COUNT};
const struct remat_names remat_cell_kind_names = {"kind", cell_kinds, REMAT_CELL_KIND_COUNT};
const struct remat_names remat_phase_names = {"phase", phases, REMAT_UPDATE + 1};
const struct remat_names remat_section_names = {"section", sections, REMAT_FINISH + 1};
const struct remat_names remat_space_names = {"space", spaces, REMAT_SPACE_COUNT};

int remat_names_find(const struct remat_names *names, const char *text)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->texts[i], text) == 0)
            return i;
    return -1;
}
