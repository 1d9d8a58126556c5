#include "tests/report/support_folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int folder_make(void **state)
{
    const char *base = getenv("TMPDIR");
    char *path = malloc(FOLDER_BYTES);
    if (!path)
        return -1;
    snprintf(path, FOLDER_BYTES, "%s/remat-report-XXXXXX", base ? base : "/tmp");
    *state = path;
    return mkdtemp(path) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

int folder_remove(void **state)
{
    int failed = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return failed;
}

static void path_of(const char *folder, const char *name, char out[2 * FOLDER_BYTES])
{
    snprintf(out, 2 * FOLDER_BYTES, "%s/%s", folder, name);
}

void folder_write(const char *folder, const char *name, const char *text)
{
    char path[2 * FOLDER_BYTES];
    FILE *file;
    path_of(folder, name, path);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

void folder_write_json(const char *folder, const char *name, json_t *json)
{
    char path[2 * FOLDER_BYTES];
    assert_non_null(json);
    path_of(folder, name, path);
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
}

char *folder_read(const char *folder, const char *name, size_t *bytes)
{
    char path[2 * FOLDER_BYTES], *text;
    FILE *file;
    long length;
    path_of(folder, name, path);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("there is no %s", path);
    fseek(file, 0, SEEK_END);
    length = ftell(file);
    rewind(file);
    text = calloc((size_t)length + 1, 1);
    assert_non_null(text);
    *bytes = fread(text, 1, (size_t)length, file);
    fclose(file);
    return text;
}

bool folder_has(const char *folder, const char *name)
{
    char path[2 * FOLDER_BYTES];
    path_of(folder, name, path);
    return access(path, F_OK) == 0;
}

const char *folder_report(const char *folder, enum remat_status expected)
{
    static struct remat_error err;
    enum remat_status status;
    memset(&err, 0, sizeof err);
    status = remat_report(folder, &err);
    if (status != expected)
        fail_msg("expected %s, found %s: %s", remat_status_text(expected), remat_status_text(status), err.message);
    return err.message;
}

char *folder_page(const char *folder)
{
    size_t bytes;
    return folder_read(folder, "index.html", &bytes);
}

static void check_png(const char *folder, const char *name)
{
    char file[FOLDER_BYTES];
    unsigned char *png;
    unsigned width, height;
    size_t bytes;
    snprintf(file, sizeof file, "charts/%s.png", name);
    png = (unsigned char *)folder_read(folder, file, &bytes);
    assert_true(bytes > 1000);
    assert_memory_equal(png, "\x89PNG\r\n\x1a\n", 8);
    width = (unsigned)png[18] << 8 | png[19];
    height = (unsigned)png[22] << 8 | png[23];
    assert_int_equal(width, 1440);
    assert_in_range(height, 600, 2000);
    free(png);
}

void check_chart(const char *folder, const char *name)
{
    char file[FOLDER_BYTES], *svg, *page;
    size_t bytes;
    check_png(folder, name);
    snprintf(file, sizeof file, "charts/%s.svg", name);
    svg = folder_read(folder, file, &bytes);
    check_well_formed(svg, bytes);
    free(svg);
    page = folder_page(folder);
    snprintf(file, sizeof file, "<figure id=\"%s\">", name);
    assert_non_null(strstr(page, file));
    free(page);
}

enum { MAX_DEPTH = 64, NAME_BYTES = 32 };

struct reader {
    const char *at, *end;
    char open[MAX_DEPTH][NAME_BYTES];
    int depth;
};

static void read_name(struct reader *reader, char name[NAME_BYTES])
{
    int length = 0;
    while (reader->at < reader->end && !strchr(" \t\n/>=", *reader->at) && length < NAME_BYTES - 1)
        name[length++] = *reader->at++;
    name[length] = 0;
    assert_true(length > 0);
}

static void read_text(struct reader *reader, char stop)
{
    while (reader->at < reader->end && *reader->at != stop) {
        assert_true(*reader->at != '<');
        if (*reader->at == '&') {
            const char *semicolon = memchr(reader->at, ';', (size_t)(reader->end - reader->at));
            assert_non_null(semicolon);
            assert_true(semicolon - reader->at < 10);
        }
        reader->at++;
    }
}

/* Attributes up to the tag's end; whether it closes itself. */
static bool read_attributes(struct reader *reader)
{
    char name[NAME_BYTES];
    for (;;) {
        reader->at += strspn(reader->at, " \t\n");
        assert_true(reader->at < reader->end);
        if (*reader->at == '>' || *reader->at == '/' || *reader->at == '?')
            break;
        read_name(reader, name);
        assert_memory_equal(reader->at, "=\"", 2);
        reader->at += 2;
        read_text(reader, '"');
        reader->at++;
    }
    if (*reader->at++ == '>')
        return false;
    assert_int_equal(*reader->at++, '>');
    return true;
}

static void read_tag(struct reader *reader)
{
    char name[NAME_BYTES];
    bool closing = reader->at[1] == '/';
    reader->at += closing ? 2 : 1;
    read_name(reader, name);
    if (read_attributes(reader) || name[0] == '?')
        return;
    if (closing) {
        assert_true(reader->depth > 0);
        assert_string_equal(name, reader->open[--reader->depth]);
        return;
    }
    assert_true(reader->depth < MAX_DEPTH);
    strcpy(reader->open[reader->depth++], name);
}

void check_well_formed(const char *text, size_t bytes)
{
    struct reader reader = {.at = text, .end = text + bytes};
    while (reader.at < reader.end) {
        if (*reader.at == '<')
            read_tag(&reader);
        while (reader.at < reader.end && *reader.at != '<')
            reader.at++;
    }
    assert_int_equal(reader.depth, 0);
}

static const double MIB = 1048576.0;

json_t *sweep_file(void)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:{s:s, s:s, s:s, s:i}, s:{s:s, s:I, s:I}, s:I, s:b, s:I, s:I, s:[]}",
                     "format", "remat-sweep", "version", 1, "date", "2026-01-02T03:04:05Z", "commit", "0123456789ab",
                     "command", "remat sweep tiny -o x", "machine", "device", "cpu", "description", "Some Machine",
                     "fingerprint", "f", "threads", 2, "model", "name", "tiny", "parameters", (json_int_t)1234,
                     "persistent_bytes", (json_int_t)(3 * 1048576), "base_time_ns", (json_int_t)100000000,
                     "measured_times", 1, "keep_all_peak_bytes", (json_int_t)(100 * 1048576), "smallest_peak_bytes",
                     (json_int_t)(40 * 1048576), "points");
}

json_t *sweep_point(const char *solver, double budget_mib, double predicted, double measured)
{
    json_int_t peak = (json_int_t)((budget_mib - 0.5) * MIB), base = 100000000;
    json_int_t step = (json_int_t)(measured * (double)base);
    json_t *point =
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:f, s:I, s:f, s:I}", "solver", solver, "budget_bytes",
                  (json_int_t)(budget_mib * MIB), "status", "ok", "planned_peak_bytes", peak, "planned_live_bytes",
                  peak, "predicted_step_ns", (json_int_t)(predicted * (double)base), "predicted_relative_step",
                  predicted, "lower_bound_ns", base, "gap", predicted - 1, "solve_ns", (json_int_t)5000000);
    assert_non_null(point);
    if (measured <= 0)
        return point;
    json_object_update_new(point,
                           json_pack("{s:I, s:I, s:I, s:f, s:[I,I,I,I,I], s:[I,I,I]}", "measured_peak_bytes", peak,
                                     "process_peak_bytes", peak + 65536, "measured_step_ns", step, "relative_step",
                                     measured, "steps_ns", step * 98 / 100, step, step * 99 / 100, step * 101 / 100,
                                     step * 103 / 100, "keep_all_steps_ns", base, base, base));
    return point;
}
