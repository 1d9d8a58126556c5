#include "profiler/cache.h"

#include "core/base/file.h"
#include "core/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_VERSION = 1, KEY_BYTES = 96 };
static const char cache_format[] = "remat-profile-cache";

static enum remat_status no_memory(struct remat_error *err)
{
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for the profile cache");
}

static enum remat_status load(const char *path, json_t **out, struct remat_error *err)
{
    const json_t *devices;
    enum remat_status status = remat_json_load(path, out, err);
    if (status == REMAT_MISSING_INPUT) {
        *out = json_pack("{s:s, s:i, s:{}}", "format", cache_format, "version", CACHE_VERSION, "devices");
        return *out ? REMAT_OK : no_memory(err);
    }
    if (status == REMAT_OK)
        status = remat_json_expect(*out, path, cache_format, CACHE_VERSION, err);
    if (status == REMAT_OK)
        status = remat_json_object(*out, "devices", path, &devices, err);
    if (status == REMAT_OK)
        return REMAT_OK;
    remat_error_prefix(err, "profile cache (delete it to measure anew)");
    return status;
}

enum remat_status remat_profile_cache_open(const char *path, const char *fingerprint, struct remat_profile_cache *out,
                                           struct remat_error *err)
{
    json_t *devices;
    memset(out, 0, sizeof *out);
    REMAT_TRY(load(path, &out->root, err));
    devices = json_object_get(out->root, "devices");
    out->device = json_object_get(devices, fingerprint);
    if (json_is_object(out->device))
        return REMAT_OK;
    out->device = json_object();
    if (json_object_set_new(devices, fingerprint, out->device) != 0)
        return no_memory(err);
    return REMAT_OK;
}

void remat_profile_cache_close(struct remat_profile_cache *cache)
{
    json_decref(cache->root);
    memset(cache, 0, sizeof *cache);
}

static const char *make_key(uint64_t signature, const char *option, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "%016llx/%s", (unsigned long long)signature, option);
    return key;
}

bool remat_profile_cache_get(const struct remat_profile_cache *cache, uint64_t signature, const char *option,
                             int64_t *time_ns, int64_t *spread_ns)
{
    char key[KEY_BYTES];
    const json_t *entry = json_object_get(cache->device, make_key(signature, option, key));
    const json_t *time = json_array_get(entry, 0), *spread = json_array_get(entry, 1);
    if (!json_is_integer(time) || !json_is_integer(spread) || json_integer_value(time) <= 0 ||
        json_integer_value(spread) < 0)
        return false;
    *time_ns = json_integer_value(time);
    *spread_ns = json_integer_value(spread);
    return true;
}

enum remat_status remat_profile_cache_put(struct remat_profile_cache *cache, uint64_t signature, const char *option,
                                          int64_t time_ns, int64_t spread_ns, struct remat_error *err)
{
    char key[KEY_BYTES];
    json_t *entry = json_pack("[I, I]", (json_int_t)time_ns, (json_int_t)spread_ns);
    return json_object_set_new(cache->device, make_key(signature, option, key), entry) == 0 ? REMAT_OK : no_memory(err);
}

bool remat_profile_cache_get_peaks(const struct remat_profile_cache *cache, struct remat_machine_peaks *out)
{
    const json_t *entry = json_object_get(cache->device, "peaks");
    out->gflop_per_second = json_number_value(json_array_get(entry, 0));
    out->gbyte_per_second = json_number_value(json_array_get(entry, 1));
    out->bf16_gflop_per_second = json_number_value(json_array_get(entry, 2));
    return out->gflop_per_second > 0 && out->gbyte_per_second > 0;
}

enum remat_status remat_profile_cache_put_peaks(struct remat_profile_cache *cache,
                                                const struct remat_machine_peaks *peaks, struct remat_error *err)
{
    json_t *entry =
        json_pack("[f, f, f]", peaks->gflop_per_second, peaks->gbyte_per_second, peaks->bf16_gflop_per_second);
    return json_object_set_new(cache->device, "peaks", entry) == 0 ? REMAT_OK : no_memory(err);
}

bool remat_profile_cache_get_copies(const struct remat_profile_cache *cache, struct remat_copy_rates *out)
{
    const json_t *entry = json_object_get(cache->device, "copies");
    out->to_host_bytes_per_s = json_integer_value(json_array_get(entry, 0));
    out->to_device_bytes_per_s = json_integer_value(json_array_get(entry, 1));
    out->move_bytes_per_s = json_integer_value(json_array_get(entry, 2)); /* older caches know none: measure again */
    return out->to_host_bytes_per_s >= REMAT_LEAST_COPY_RATE && out->to_device_bytes_per_s >= REMAT_LEAST_COPY_RATE &&
           out->move_bytes_per_s >= REMAT_LEAST_COPY_RATE;
}

enum remat_status remat_profile_cache_put_copies(struct remat_profile_cache *cache,
                                                 const struct remat_copy_rates *rates, struct remat_error *err)
{
    json_t *entry = json_pack("[I, I, I]", (json_int_t)rates->to_host_bytes_per_s,
                              (json_int_t)rates->to_device_bytes_per_s, (json_int_t)rates->move_bytes_per_s);
    return json_object_set_new(cache->device, "copies", entry) == 0 ? REMAT_OK : no_memory(err);
}

enum remat_status remat_profile_cache_save(const struct remat_profile_cache *cache, const char *path,
                                           struct remat_error *err)
{
    const char *slash = strrchr(path, '/');
    enum remat_status status;
    char *folder;
    if (slash && slash != path) {
        folder = strndup(path, (size_t)(slash - path));
        if (!folder)
            return no_memory(err);
        status = remat_make_folders(folder, err);
        free(folder);
        REMAT_TRY(status);
    }
    return remat_json_save(path, cache->root, err);
}

enum remat_status remat_profile_cache_path(char *buffer, int capacity, struct remat_error *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int length;
    if (cache && cache[0] == '/')
        length = snprintf(buffer, (size_t)capacity, "%s/remat/profile.json", cache);
    else if (home && home[0])
        length = snprintf(buffer, (size_t)capacity, "%s/.cache/remat/profile.json", home);
    else
        return remat_fail(err, REMAT_MISSING_INPUT,
                          "no place for the profile cache: neither XDG_CACHE_HOME nor HOME is set");
    if (length >= capacity)
        return remat_fail(err, REMAT_FAILED, "the path of the profile cache is longer than %d bytes", capacity);
    return REMAT_OK;
}
