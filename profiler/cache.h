/* Measured times that outlive the process: by task signature, option and device fingerprint.
 *
 * File: JSON, format "remat-profile-cache", version 1:
 *   {"format": ..., "version": 1, "devices": {FINGERPRINT: {"SIGNATURE/OPTION": [time_ns, spread_ns], ...,
 *                                                           "peaks": [gflop_per_second, gbyte_per_second,
 * bf16_gflop_per_second], "copies": [to_host_bytes_per_s, to_device_bytes_per_s,
 * move_bytes_per_s]}, ...}} A missing file is an empty
 * cache. */
#ifndef REMAT_PROFILER_CACHE_H
#define REMAT_PROFILER_CACHE_H

#include "profiler/profiler.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct remat_profile_cache {
    json_t *root;   /* owned */
    json_t *device; /* borrows: the entries of one fingerprint */
};

/* The caller closes *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_profile_cache_open(const char *path, const char *fingerprint,
                                                            struct remat_profile_cache *out, struct remat_error *err);
void remat_profile_cache_close(struct remat_profile_cache *cache);
bool remat_profile_cache_get(const struct remat_profile_cache *cache, uint64_t signature, const char *option,
                             int64_t *time_ns, int64_t *spread_ns);
REMAT_MUST_CHECK enum remat_status remat_profile_cache_put(struct remat_profile_cache *cache, uint64_t signature,
                                                           const char *option, int64_t time_ns, int64_t spread_ns,
                                                           struct remat_error *err);
bool remat_profile_cache_get_peaks(const struct remat_profile_cache *cache, struct remat_machine_peaks *out);
REMAT_MUST_CHECK enum remat_status remat_profile_cache_put_peaks(struct remat_profile_cache *cache,
                                                                 const struct remat_machine_peaks *peaks,
                                                                 struct remat_error *err);
bool remat_profile_cache_get_copies(const struct remat_profile_cache *cache, struct remat_copy_rates *out);
REMAT_MUST_CHECK enum remat_status remat_profile_cache_put_copies(struct remat_profile_cache *cache,
                                                                  const struct remat_copy_rates *rates,
                                                                  struct remat_error *err);
/* Makes the folder where it is missing. */
REMAT_MUST_CHECK enum remat_status remat_profile_cache_save(const struct remat_profile_cache *cache, const char *path,
                                                            struct remat_error *err);

#endif
