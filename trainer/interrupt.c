#include "trainer/interrupt.h"

#include <stddef.h>
#include <string.h>

/* A signal handler has no context to reach but a global. */
static volatile sig_atomic_t received;

static void handle(int number)
{
    received = number;
}

static void act(void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

const volatile sig_atomic_t *remat_interrupt_install(void)
{
    received = 0;
    act(handle, SA_RESTART | (int)SA_RESETHAND);
    return &received;
}

void remat_interrupt_remove(void)
{
    act(SIG_DFL, 0);
}
