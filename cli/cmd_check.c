/* remat check: what this machine offers. */
#include "bench/results.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "runtime/backend/memory.h"
#include "runtime/exec/ladder.h"

#include <archive.h>
#include <cairo.h>
#include <curl/curl.h>
#include <stdlib.h>

static void add_peaks(const struct remat_backend *backend, struct remat_device *device, json_t *json,
                      struct remat_error *err)
{
    struct remat_machine_peaks peaks = {0, 0, 0};
    if (remat_profile_peaks(backend, device, NULL, &peaks, err) != REMAT_OK) {
        json_object_set_new(json, "peaks_error", json_string(err->message));
        return;
    }
    json_object_set_new(json, "gflop_per_second", json_real(peaks.gflop_per_second));
    json_object_set_new(json, "gbyte_per_second", json_real(peaks.gbyte_per_second));
    if (peaks.bf16_gflop_per_second > 0)
        json_object_set_new(json, "bf16_gflop_per_second", json_real(peaks.bf16_gflop_per_second));
}

static json_t *describe_device(const struct remat_backend *backend, struct remat_error *err)
{
    struct remat_device_config config = {0};
    struct remat_device_info info;
    struct remat_memory_ladder ladder;
    struct remat_device *device = NULL;
    json_t *json;
    if (backend->open(&config, &device, err) != REMAT_OK)
        return json_pack("{s:s, s:s, s:s}", "name", backend->name, "status", "unavailable", "reason", err->message);
    backend->describe(device, &info);
    remat_memory_ladder(backend->ops, device, -1, -1, &ladder);
    json = json_pack("{s:s, s:s, s:s, s:s, s:i}", "name", backend->name, "status", "ok", "description",
                     info.description, "fingerprint", info.fingerprint, "threads", (int)info.threads);
    json_object_set_new(json, "memory_bytes", json_integer((json_int_t)info.memory_bytes));
    json_object_set_new(json, "memory", remat_memory_ladder_json(&ladder));
    if (backend != remat_backends[1])
        add_peaks(backend, device, json, err);
    backend->close(device);
    return json;
}

static json_t *describe_machine(struct remat_error *err)
{
    const char *world = getenv("OMPI_COMM_WORLD_SIZE");
    const struct remat_backend *cuda;
    json_t *devices = json_array();
    json_t *libraries =
        json_pack("{s:s, s:s, s:s, s:s}", "jansson", jansson_version_str(), "cairo", cairo_version_string(), "libcurl",
                  curl_version_info(CURLVERSION_NOW)->version, "libarchive", archive_version_details());
    for (int i = 0; remat_backends[i]; i++)
        json_array_append_new(devices, describe_device(remat_backends[i], err));
    if (remat_backend_find("cuda", &cuda, err) == REMAT_OK)
        json_array_append_new(devices, describe_device(cuda, err));
    else
        json_array_append_new(
            devices, json_pack("{s:s, s:s, s:s}", "name", "cuda", "status", "unavailable", "reason", err->message));
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:s}", "version", REMAT_VERSION, "commit", remat_build_commit(),
                     "libraries", libraries, "devices", devices, "memory_available_bytes",
                     (json_int_t)remat_available_bytes(), "ranks", world ? world : "1");
}

static void print_machine(const json_t *machine)
{
    const json_t *device, *library;
    const char *name;
    size_t i;
    char size[32];
    printf("remat %s (commit %s)\n", json_string_value(json_object_get(machine, "version")),
           json_string_value(json_object_get(machine, "commit")));
    printf(
        "memory available: %s\n",
        remat_size_format(json_integer_value(json_object_get(machine, "memory_available_bytes")), size, sizeof size));
    json_array_foreach(json_object_get(machine, "devices"), i, device)
    {
        const char *reason = json_string_value(json_object_get(device, "reason"));
        printf("device %-5s %s\n", json_string_value(json_object_get(device, "name")),
               reason ? reason : json_string_value(json_object_get(device, "fingerprint")));
        if (json_object_get(device, "gflop_per_second"))
            printf("             measured peaks: %.1f GFLOP/s (f32), %.1f GB/s\n",
                   json_real_value(json_object_get(device, "gflop_per_second")),
                   json_real_value(json_object_get(device, "gbyte_per_second")));
        if (json_object_get(device, "peaks_error"))
            printf("             its peaks cannot be measured: %s\n",
                   json_string_value(json_object_get(device, "peaks_error")));
        if (json_object_get(device, "bf16_gflop_per_second"))
            printf("             measured peak in bf16: %.1f GFLOP/s\n",
                   json_real_value(json_object_get(device, "bf16_gflop_per_second")));
    }
    json_object_foreach(json_object_get(machine, "libraries"), name, library)
        printf("library %s: %s\n", name, json_string_value(library));
    printf("ranks: %s\n", json_string_value(json_object_get(machine, "ranks")));
}

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    json_t *machine = describe_machine(err);
    if (args->json)
        return cli_print_json(machine, err);
    print_machine(machine);
    json_decref(machine);
    return REMAT_OK;
}

const struct cli_command cli_check = {
    "check",
    "[--json]",
    "Shows this machine: libraries, versions, instruction set, memory, peaks in each precision",
    "Devices that cannot be used are listed with the reason.\n\n"
    "example:\n  remat check\n",
    "json",
    0,
    0,
    run};
