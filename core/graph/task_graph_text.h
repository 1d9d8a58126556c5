/* The names that enumerations of the task graph have in files. Only the readers and writers of core/graph include it.
 */
#ifndef REMAT_CORE_GRAPH_TASK_GRAPH_TEXT_H
#define REMAT_CORE_GRAPH_TASK_GRAPH_TEXT_H

struct remat_names {
    const char *what; /* "category" */
    const char *const *texts;
    int count;
};

extern const struct remat_names remat_category_names, remat_cell_kind_names, remat_phase_names, remat_section_names,
    remat_space_names;

/* The index of a text, or -1. */
int remat_names_find(const struct remat_names *names, const char *text);

#endif
