/* Copies beside the work of devices whose memory is the host's: a thread a lane. Work of such a device is done when the
 * call returns, so a copy may begin at once. The calls of remat_device_ops. */
#ifndef REMAT_RUNTIME_BACKEND_HOST_COPIES_H
#define REMAT_RUNTIME_BACKEND_HOST_COPIES_H

#include "runtime/backend/backend.h"

enum remat_status remat_host_copies_open(struct remat_device *device, int32_t count, struct remat_copies **out,
                                         struct remat_error *err);
void remat_host_copies_close(struct remat_copies *copies);
enum remat_status remat_host_copy_beside(struct remat_copies *copies, enum remat_lane lane, int32_t index, void *to,
                                         const void *from, int64_t bytes, struct remat_error *err);
enum remat_status remat_host_copy_await(struct remat_copies *copies, int32_t index, struct remat_error *err);

#endif
