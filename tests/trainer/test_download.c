/* Downloads from a small HTTP server on loopback, a thread of this program. The path asked for decides how it behaves.
 */
#include "support_cmocka.h"
#include "support_files.h"

#include "trainer/download.h"
#include "trainer/md5.h"

#include <archive.h>
#include <archive_entry.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_BYTES = 30730000, ARCHIVE_ROOM = 1 << 22 };

struct entry {
    const char *name;
    int64_t bytes;
    unsigned type;
};

static struct {
    int listener, port;
    pthread_t thread;
    char *good, *evil;
    size_t good_bytes, evil_bytes;
    char good_md5[33], evil_md5[33];
} server;

static void send_all(int socket, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t sent = send(socket, data, bytes, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        bytes -= (size_t)sent;
    }
}

static void send_head(int socket, const char *status, size_t length, const char *more)
{
    char head[512];
    int used = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n", status,
                        length, more);
    send_all(socket, head, (size_t)used);
}

/* Waits until the client gives up. */
static void wait_for_close(int socket)
{
    char byte;
    while (recv(socket, &byte, 1, 0) > 0)
        continue;
}

static void answer(int socket)
{
    char request[4096] = "";
    size_t used = 0;
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t got = recv(socket, request + used, sizeof request - 1 - used, 0);
        if (got <= 0)
            return;
        used += (size_t)got;
        request[used] = 0;
    }
    if (strncmp(request, "GET /good ", 10) == 0) {
        send_head(socket, "200 OK", server.good_bytes, "");
        send_all(socket, server.good, server.good_bytes);
    } else if (strncmp(request, "GET /evil ", 10) == 0) {
        send_head(socket, "200 OK", server.evil_bytes, "");
        send_all(socket, server.evil, server.evil_bytes);
    } else if (strncmp(request, "GET /truncated ", 15) == 0) {
        send_head(socket, "200 OK", server.good_bytes, "");
        send_all(socket, server.good, server.good_bytes / 2);
    } else if (strncmp(request, "GET /stalled ", 13) == 0) {
        send_head(socket, "200 OK", server.good_bytes, "");
        send_all(socket, server.good, 1000);
        wait_for_close(socket);
    } else if (strncmp(request, "GET /moved ", 11) == 0) {
        send_head(socket, "302 Found", 0, "Location: /good\r\n");
    } else if (strncmp(request, "GET /file ", 10) == 0) {
        send_head(socket, "302 Found", 0, "Location: file:///etc/hostname\r\n");
    } else {
        send_head(socket, "404 Not Found", 0, "");
    }
}

static void *serve(void *unused)
{
    int socket;
    while ((socket = accept(server.listener, NULL, NULL)) >= 0) {
        answer(socket);
        shutdown(socket, SHUT_RDWR);
        close(socket);
    }
    return unused;
}

static void pack(const struct entry *entries, size_t count, char **out, size_t *bytes, char md5_text[33])
{
    struct archive *archive = archive_write_new();
    struct remat_md5 md5;
    char *zeros = calloc(1, FILE_BYTES);
    *out = malloc(ARCHIVE_ROOM);
    assert_true(zeros && *out);
    archive_write_add_filter_gzip(archive);
    archive_write_set_filter_option(archive, "gzip", "compression-level", "1");
    archive_write_set_format_ustar(archive);
    assert_int_equal(archive_write_open_memory(archive, *out, ARCHIVE_ROOM, bytes), ARCHIVE_OK);
    for (size_t i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, entries[i].name);
        archive_entry_set_filetype(entry, entries[i].type);
        archive_entry_set_perm(entry, 0755);
        archive_entry_set_size(entry, entries[i].bytes);
        if (entries[i].type == AE_IFLNK)
            archive_entry_set_symlink(entry, "/etc/passwd");
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        if (entries[i].bytes > 0)
            assert_int_equal(archive_write_data(archive, zeros, (size_t)entries[i].bytes), entries[i].bytes);
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
    free(zeros);
    remat_md5_begin(&md5);
    remat_md5_add(&md5, *out, *bytes);
    remat_md5_end(&md5, md5_text);
}

static int start_server(void **state)
{
    static const struct entry good[] = {{"cifar-10-batches-bin/", 0, AE_IFDIR},
                                        {"cifar-10-batches-bin/batches.meta.txt", 61, AE_IFREG},
                                        {"cifar-10-batches-bin/data_batch_1.bin", FILE_BYTES, AE_IFREG},
                                        {"cifar-10-batches-bin/data_batch_2.bin", FILE_BYTES, AE_IFREG},
                                        {"cifar-10-batches-bin/data_batch_3.bin", FILE_BYTES, AE_IFREG},
                                        {"cifar-10-batches-bin/data_batch_4.bin", FILE_BYTES, AE_IFREG},
                                        {"cifar-10-batches-bin/data_batch_5.bin", FILE_BYTES, AE_IFREG},
                                        {"cifar-10-batches-bin/test_batch.bin", FILE_BYTES, AE_IFREG}};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    (void)state;
    setenv("no_proxy", "127.0.0.1", 1);
    pack(good, sizeof good / sizeof good[0], &server.good, &server.good_bytes, server.good_md5);
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(server.listener, 8) != 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &length) != 0)
        return -1;
    server.port = ntohs(address.sin_port);
    return pthread_create(&server.thread, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    (void)state;
    shutdown(server.listener, SHUT_RDWR);
    close(server.listener);
    pthread_join(server.thread, NULL);
    free(server.good);
    return 0;
}

static bool count_progress(void *context, int64_t done, int64_t total)
{
    (void)total;
    if (done > 0)
        ++*(int *)context;
    return true;
}

static bool cancel(void *context, int64_t done, int64_t total)
{
    (void)context;
    (void)total;
    return done == 0;
}

static enum remat_status download(const char *folder, const char *path, const char *md5, bool *already,
                                  struct remat_error *err)
{
    char url[128];
    struct remat_download_options options = {.url = url, .md5 = md5, .stall_seconds = 1};
    int calls = 0;
    enum remat_status status;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server.port, path);
    options.progress = strcmp(path, "/stalled") == 0 && !md5 ? cancel : count_progress;
    options.context = &calls;
    status = remat_download_cifar10(folder, &options, already, err);
    if (status == REMAT_OK && !*already)
        assert_true(calls > 0);
    return status;
}

static int entries_in(const char *folder)
{
    DIR *stream = opendir(folder);
    int count = 0;
    assert_non_null(stream);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count - 2;
}

static void the_good_archive_is_placed_once(void **state)
{
    char parent[TEST_PATH_BYTES], folder[2 * TEST_PATH_BYTES], file[3 * TEST_PATH_BYTES];
    struct remat_error err;
    struct stat info;
    bool already;
    (void)state;
    test_make_folder(parent);
    snprintf(folder, sizeof folder, "%s/new/folder", parent);
    CHECK_OK(download(folder, "/good", server.good_md5, &already, &err), err);
    assert_false(already);
    assert_int_equal(entries_in(folder), 1);
    snprintf(file, sizeof file, "%s/cifar-10-batches-bin/test_batch.bin", folder);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_size, FILE_BYTES);
    CHECK_OK(download(folder, "/nowhere", server.good_md5, &already, &err), err);
    assert_true(already);
    /* A damaged data set is replaced, here from an address that redirects. */
    assert_int_equal(truncate(file, 5), 0);
    CHECK_OK(download(folder, "/moved", server.good_md5, &already, &err), err);
    assert_false(already);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_size, FILE_BYTES);
    assert_int_equal(entries_in(folder), 1);
    test_remove_folder(parent);
}

static void make_leftover(const char *folder, long process)
{
    char path[3 * TEST_PATH_BYTES];
    FILE *file;
    snprintf(path, sizeof path, "%s/.tmp-download-%ld", folder, process);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/.tmp-download-%ld/cifar-10-batches-bin", folder, process);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/.tmp-download-%ld/archive.tar.gz", folder, process);
    file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

/* What a killed download left goes; that of a running one stays. */
static void leftovers_are_deleted(void **state)
{
    char folder[TEST_PATH_BYTES];
    struct remat_error err;
    bool already;
    pid_t dead = fork();
    (void)state;
    if (dead == 0)
        _exit(0);
    assert_int_equal(waitpid(dead, NULL, 0), dead);
    test_make_folder(folder);
    make_leftover(folder, dead);
    make_leftover(folder, getppid());
    CHECK_OK(download(folder, "/good", server.good_md5, &already, &err), err);
    assert_int_equal(entries_in(folder), 2);
    test_remove_folder(folder);
}

static void failures_are_told_and_place_nothing(void **state)
{
    static const struct {
        const char *path, *md5, *words;
        enum remat_status status;
    } cases[] = {
        {"/nowhere", "", "answered 404", REMAT_IO},
        {"/truncated", "", "after", REMAT_IO},
        {"/stalled", "", "stalled after 1000 bytes", REMAT_IO},
        {"/stalled", NULL, "interrupted", REMAT_INTERRUPTED},
        {"/good", "00000000000000000000000000000000", "have MD5", REMAT_BAD_DATA},
        {"/file", "", "", REMAT_IO},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char folder[TEST_PATH_BYTES];
        struct remat_error err;
        bool already;
        test_make_folder(folder);
        assert_int_equal(download(folder, cases[i].path, cases[i].md5, &already, &err), cases[i].status);
        if (!strstr(err.message, cases[i].words))
            fail_msg("'%s' does not say '%s'", err.message, cases[i].words);
        assert_int_equal(entries_in(folder), 0);
        test_remove_folder(folder);
    }
}

static void no_server_is_told(void **state)
{
    char folder[TEST_PATH_BYTES];
    struct remat_download_options options = {.url = "http://127.0.0.1:1/good"};
    struct remat_error err;
    bool already;
    (void)state;
    test_make_folder(folder);
    assert_int_equal(remat_download_cifar10(folder, &options, &already, &err), REMAT_IO);
    assert_non_null(strstr(err.message, "127.0.0.1:1/good"));
    assert_int_equal(entries_in(folder), 0);
    test_remove_folder(folder);
}

static void archives_with_other_things_are_refused(void **state)
{
    static const struct entry evils[] = {
        {"../outside", 10, AE_IFREG},
        {"/tmp/remat-outside", 10, AE_IFREG},
        {"cifar-10-batches-bin/../../outside", 10, AE_IFREG},
        {"cifar-10-batches-bin/data_batch_1.bin", 0, AE_IFLNK},
        {"cifar-10-batches-bin/data_batch_6.bin", 10, AE_IFREG},
        {"cifar-10-batches-py/data_batch_1", 10, AE_IFREG},
        {"cifar-10-batches-bin/data_batch_1.bin", 10, AE_IFREG}, /* truncated */
    };
    (void)state;
    for (size_t i = 0; i < sizeof evils / sizeof evils[0]; i++) {
        char folder[TEST_PATH_BYTES];
        struct remat_error err;
        bool already;
        test_make_folder(folder);
        pack(&evils[i], 1, &server.evil, &server.evil_bytes, server.evil_md5);
        assert_int_equal(download(folder, "/evil", server.evil_md5, &already, &err), REMAT_BAD_DATA);
        assert_int_equal(entries_in(folder), 0);
        free(server.evil);
        test_remove_folder(folder);
    }
}

/* The right checksum of something that is no archive. */
static void what_is_no_archive_is_refused(void **state)
{
    char folder[TEST_PATH_BYTES];
    struct remat_md5 md5;
    struct remat_error err;
    bool already;
    (void)state;
    test_make_folder(folder);
    server.evil = "not an archive at all";
    server.evil_bytes = strlen(server.evil);
    remat_md5_begin(&md5);
    remat_md5_add(&md5, server.evil, server.evil_bytes);
    remat_md5_end(&md5, server.evil_md5);
    assert_int_equal(download(folder, "/evil", server.evil_md5, &already, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "cannot be unpacked"));
    test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_good_archive_is_placed_once),     cmocka_unit_test(leftovers_are_deleted),
        cmocka_unit_test(failures_are_told_and_place_nothing), cmocka_unit_test(no_server_is_told),
        cmocka_unit_test(what_is_no_archive_is_refused),       cmocka_unit_test(archives_with_other_things_are_refused),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
