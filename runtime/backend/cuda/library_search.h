/* Where NVIDIA's libraries are looked for, in this order: the folders of REMAT_CUDA_LIBRARY_PATH; where the system's
 * loader finds them; CUDA_HOME/lib64 and /usr/local/cuda/lib64; the folders nvidia/<package>/lib of Python's
 * site-packages (those of VIRTUAL_ENV, of the python3 on PATH's prefix, and of the system). */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_LIBRARY_SEARCH_H
#define REMAT_RUNTIME_BACKEND_CUDA_LIBRARY_SEARCH_H

#include <stdbool.h>

/* A library file and the folder of its package in Python's site-packages; NULL: it is in none. */
struct remat_cuda_file {
    const char *name, *package;
};

/* Loads it; what dlopen gives, NULL if it is nowhere. */
void *remat_cuda_find(const struct remat_cuda_file *wanted);
/* The address of a function of a loaded file (NULL is fine), put into *function; false if there is none. */
bool remat_cuda_take(void *file, const char *name, void *function);

#endif
