#include "core/base/thread.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

enum remat_status remat_thread_start(pthread_t *out, void *(*work)(void *), void *context, const char *what,
                                     struct remat_error *err)
{
    sigset_t all, before;
    int failed;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(out, NULL, work, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? remat_fail(err, REMAT_FAILED, "%s cannot be started: %s", what, strerror(failed)) : REMAT_OK;
}

int32_t remat_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
}
