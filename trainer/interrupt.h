/* SIGINT and SIGTERM as a flag: the first asks to finish the step and save, a second one kills as usual. */
#ifndef REMAT_TRAINER_INTERRUPT_H
#define REMAT_TRAINER_INTERRUPT_H

#include <signal.h>

/* Installs the handlers and returns the flag, which they set to the signal's number. */
const volatile sig_atomic_t *remat_interrupt_install(void);
/* Puts back the default actions. */
void remat_interrupt_remove(void);

#endif
