/* Threads of the libraries, and how many of them this process may use. */
#ifndef REMAT_CORE_BASE_THREAD_H
#define REMAT_CORE_BASE_THREAD_H

#include "core/base/status.h"

#include <pthread.h>
#include <stdint.h>

/* Like pthread_create, but signals never go to the new thread: they are for the program's own. `what` names it in the
 * error, e.g. "the data thread". */
REMAT_MUST_CHECK enum remat_status remat_thread_start(pthread_t *out, void *(*work)(void *), void *context,
                                                      const char *what, struct remat_error *err);

/* Processors that this process may run on; at least 1. */
int32_t remat_processors(void);

#endif
