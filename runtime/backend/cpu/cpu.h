/* The cpu backend and the implementations that its table lists; declared here by the files that export them. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_CPU_H
#define REMAT_RUNTIME_BACKEND_CPU_CPU_H

#include "runtime/backend/op_table.h"

extern const struct remat_backend remat_backend_cpu;

#endif
