#include "trainer/download.h"

#include "core/base/file.h"
#include "trainer/checkpoint/folder.h"
#include "trainer/checkpoint/output.h"
#include "trainer/data/source.h"
#include "trainer/md5.h"
#include "trainer/unpack.h"

#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char remat_cifar10_url[] = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
const char remat_cifar10_md5[] = "c32a1d4ab5d03f1284b67883e8d87530";
static const char data_folder[] = "cifar-10-batches-bin", temporary_prefix[] = ".tmp-download-";
enum { DEFAULT_STALL_SECONDS = 30, CONNECT_SECONDS = 30, ARCHIVE_LIMIT_BYTES = 1 << 29, MAX_REDIRECTS = 5 };

struct transfer {
    const struct remat_download_options *options;
    struct remat_output *output;
    struct remat_md5 md5;
    int64_t received;
    bool cancelled;
    enum remat_status status; /* of writing */
    struct remat_error *err;
};

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    size_t bytes = size * count;
    t->received += (int64_t)bytes;
    if (t->received > ARCHIVE_LIMIT_BYTES)
        t->status = remat_fail(t->err, REMAT_BAD_DATA, "%s sends more than %d bytes; CIFAR-10's archive is smaller",
                               t->options->url, ARCHIVE_LIMIT_BYTES);
    else
        t->status = remat_output_write(t->output, data, bytes, t->err);
    remat_md5_add(&t->md5, data, bytes);
    return t->status == REMAT_OK ? bytes : 0;
}

static int report(void *context, curl_off_t total, curl_off_t done, curl_off_t up_total, curl_off_t up_done)
{
    struct transfer *t = context;
    (void)up_total;
    (void)up_done;
    if (t->options->progress && !t->options->progress(t->options->context, (int64_t)done, (int64_t)total))
        t->cancelled = true;
    return t->cancelled;
}

static void set_options(CURL *curl, struct transfer *t, char *message)
{
    int stall = t->options->stall_seconds > 0 ? t->options->stall_seconds : DEFAULT_STALL_SECONDS;
    curl_easy_setopt(curl, CURLOPT_URL, t->options->url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "remat");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)stall);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, report);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
}

static enum remat_status transfer_failed(CURL *curl, CURLcode code, const char *message, const struct transfer *t,
                                         struct remat_error *err)
{
    long http = 0;
    if (t->status != REMAT_OK)
        return t->status;
    if (t->cancelled)
        return remat_fail(err, REMAT_INTERRUPTED, "the download was interrupted; nothing was placed");
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return remat_fail(err, REMAT_IO, "%s: the server answered %ld; name another address with --url",
                          t->options->url, http);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return remat_fail(err, REMAT_IO, "%s: the transfer stalled after %lld bytes; try again later", t->options->url,
                          (long long)t->received);
    return remat_fail(err, REMAT_IO, "%s: %s (after %lld bytes)", t->options->url,
                      message[0] ? message : curl_easy_strerror(code), (long long)t->received);
}

static enum remat_status perform(struct transfer *t, struct remat_error *err)
{
    char message[CURL_ERROR_SIZE] = "";
    CURL *curl;
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    enum remat_status status = REMAT_OK;
    if (code != CURLE_OK)
        return remat_fail(err, REMAT_UNAVAILABLE, "libcurl cannot be used: %s", curl_easy_strerror(code));
    curl = curl_easy_init();
    if (!curl) {
        curl_global_cleanup();
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for a download");
    }
    set_options(curl, t, message);
    code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        status = transfer_failed(curl, code, message, t, err);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return status;
}

static enum remat_status check_md5(struct transfer *t, struct remat_error *err)
{
    char found[33];
    const char *expected = t->options->md5;
    remat_md5_end(&t->md5, found);
    if (strcmp(found, expected) == 0)
        return REMAT_OK;
    return remat_fail(err, REMAT_BAD_DATA,
                      "%s: the %lld bytes received have MD5 %s; expected %s: the file is damaged or not CIFAR-10's "
                      "binary version; nothing was placed",
                      t->options->url, (long long)t->received, found, expected);
}

static enum remat_status fetch(const struct remat_download_options *options, const char *archive,
                               struct remat_error *err)
{
    struct transfer t = {.options = options, .err = err};
    int64_t bytes;
    uint64_t hash;
    enum remat_status status;
    remat_md5_begin(&t.md5);
    REMAT_TRY(remat_output_open(archive, 0, &t.output, err));
    status = perform(&t, err);
    if (status == REMAT_OK)
        status = remat_output_finish(t.output, &bytes, &hash, err);
    else
        remat_output_abandon(t.output);
    return status == REMAT_OK ? check_md5(&t, err) : status;
}

static enum remat_status check_data(const char *folder, struct remat_error *err)
{
    struct remat_data_config config = {.kind = "cifar10", .path = folder};
    struct remat_data_source source;
    enum remat_status status = remat_data_open(&config, &source, err);
    remat_data_close(&source);
    return status;
}

/* Everything inside `temporary`: the archive, then the unpacked folder, checked, then renamed to its place. */
static enum remat_status fetch_and_place(const char *folder, const char *temporary, const char *archive,
                                         const char *unpacked, const struct remat_download_options *options,
                                         struct remat_error *err)
{
    char *final;
    enum remat_status status;
    if (mkdir(temporary, 0777) != 0 || mkdir(unpacked, 0777) != 0)
        return remat_fail(err, REMAT_IO, "creating %s failed: %s", unpacked, strerror(errno));
    REMAT_TRY(fetch(options, archive, err));
    REMAT_TRY(remat_unpack_cifar10(archive, unpacked, err));
    REMAT_TRY(check_data(unpacked, err));
    REMAT_TRY(remat_sync_folder(unpacked, err));
    REMAT_TRY(remat_format_path(&final, err, "%s/%s", folder, data_folder));
    status = remat_folder_commit(folder, unpacked, final, err);
    free(final);
    return status;
}

/* Deletes what downloads left here whose process was killed; best effort. */
static void delete_leftovers(const char *folder)
{
    const size_t prefix = sizeof temporary_prefix - 1;
    const struct dirent *entry;
    DIR *stream = opendir(folder);
    while (stream && (entry = readdir(stream))) {
        struct remat_error ignored;
        char *temporary, *unpacked = NULL, *end;
        long process = strtol(entry->d_name + (strlen(entry->d_name) > prefix ? prefix : 0), &end, 10);
        if (strncmp(entry->d_name, temporary_prefix, prefix) != 0 || *end || process <= 0 ||
            kill((pid_t)process, 0) == 0 || errno != ESRCH)
            continue;
        if (remat_format_path(&temporary, &ignored, "%s/%s", folder, entry->d_name) != REMAT_OK)
            continue;
        if (remat_format_path(&unpacked, &ignored, "%s/%s", temporary, data_folder) == REMAT_OK)
            remat_folder_delete(unpacked);
        remat_folder_delete(temporary);
        free(unpacked);
        free(temporary);
    }
    if (stream)
        closedir(stream);
}

static enum remat_status download(const char *folder, const struct remat_download_options *options,
                                  struct remat_error *err)
{
    char *temporary = NULL, *archive = NULL, *unpacked = NULL;
    enum remat_status status;
    REMAT_TRY_GOTO(remat_format_path(&temporary, err, "%s/%s%ld", folder, temporary_prefix, (long)getpid()), done);
    REMAT_TRY_GOTO(remat_format_path(&archive, err, "%s/archive.tar.gz", temporary), done);
    REMAT_TRY_GOTO(remat_format_path(&unpacked, err, "%s/%s", temporary, data_folder), done);
    status = fetch_and_place(folder, temporary, archive, unpacked, options, err);
    remat_folder_delete(unpacked);
    remat_folder_delete(temporary);
done:
    free(temporary);
    free(archive);
    free(unpacked);
    return status;
}

enum remat_status remat_download_cifar10(const char *folder, const struct remat_download_options *options,
                                         bool *already, struct remat_error *err)
{
    struct remat_download_options filled = *options;
    struct remat_error ignored;
    if (!filled.url)
        filled.url = remat_cifar10_url;
    if (!filled.md5)
        filled.md5 = remat_cifar10_md5;
    *already = check_data(folder, &ignored) == REMAT_OK;
    if (*already)
        return REMAT_OK;
    REMAT_TRY(remat_make_folders(folder, err));
    delete_leftovers(folder);
    return download(folder, &filled, err);
}
