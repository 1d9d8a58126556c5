#include "support_cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 64, COMMAND_BYTES = 2048, POLL_NS = 2000000 };

/* --- fixtures ---------------------------------------------------------------------------------------------------- */

int cli_setup(void **state)
{
    struct cli *cli = calloc(1, sizeof *cli);
    const char *base = getenv("TMPDIR");
    if (!cli)
        return -1;
    if (!base) /* in memory where possible: checkpoints sync often */
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(cli->root, sizeof cli->root, "%s/remat-e2e-XXXXXX", base);
    if (!mkdtemp(cli->root))
        return -1;
    snprintf(cli->work, sizeof cli->work, "%s/work", cli->root);
    snprintf(cli->home, sizeof cli->home, "%s/home", cli->root);
    cli->out_file = cli->err_file = -1;
    *state = cli;
    return mkdir(cli->work, 0700) == 0 && mkdir(cli->home, 0700) == 0 ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static void forget_output(struct cli *cli)
{
    free(cli->out);
    free(cli->err);
    cli->out = cli->err = NULL;
}

int cli_teardown(void **state)
{
    struct cli *cli = *state;
    if (cli->pid > 0) {
        kill(-cli->pid, SIGKILL);
        waitpid(cli->pid, NULL, 0);
    }
    nftw(cli->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    forget_output(cli);
    free(cli);
    return 0;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

static int temporary_file(const struct cli *cli)
{
    char path[CLI_PATH_BYTES + 32];
    int file;
    snprintf(path, sizeof path, "%s/output-XXXXXX", cli->root);
    file = mkostemp(path, O_CLOEXEC);
    assert_true(file >= 0);
    unlink(path);
    return file;
}

static void become_command(const struct cli *cli, const char *const *argv)
{
    struct rlimit limit = {(rlim_t)cli->file_limit_bytes, (rlim_t)cli->file_limit_bytes};
    int nothing = open("/dev/null", O_RDONLY);
    setpgid(0, 0);
    dup2(nothing, STDIN_FILENO);
    dup2(cli->out_file, STDOUT_FILENO);
    dup2(cli->err_file, STDERR_FILENO);
    if (chdir(cli->work) != 0 || (cli->file_limit_bytes > 0 && setrlimit(RLIMIT_FSIZE, &limit) != 0))
        _exit(126);
    if (cli->file_limit_bytes > 0) /* so that a write fails as on a full disk, instead of ending the process */
        signal(SIGXFSZ, SIG_IGN);
    setenv("HOME", cli->home, 1);
    setenv("XDG_CACHE_HOME", cli->home, 1);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv(REMAT_BINARY, (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void start(struct cli *cli, const char *const *argv)
{
    assert_int_equal(cli->pid, 0);
    forget_output(cli);
    cli->out_file = temporary_file(cli);
    cli->err_file = temporary_file(cli);
    cli->pid = fork();
    assert_true(cli->pid >= 0);
    if (cli->pid == 0)
        become_command(cli, argv);
    setpgid(cli->pid, cli->pid);
}

static char *read_whole(int file, size_t *bytes)
{
    struct stat info;
    char *text;
    assert_int_equal(fstat(file, &info), 0);
    text = calloc(1, (size_t)info.st_size + 1);
    assert_non_null(text);
    assert_int_equal(pread(file, text, (size_t)info.st_size, 0), info.st_size);
    close(file);
    if (bytes)
        *bytes = (size_t)info.st_size;
    return text;
}

/* Sleeps a little; false once the time since `started` is over. */
static bool patience(time_t started)
{
    struct timespec pause = {0, POLL_NS};
    nanosleep(&pause, NULL);
    return time(NULL) - started < CLI_TIMEOUT_SECONDS;
}

int cli_wait(struct cli *cli)
{
    time_t started = time(NULL);
    int how = 0;
    pid_t ended;
    bool late = false;
    while ((ended = waitpid(cli->pid, &how, WNOHANG)) == 0 && !late)
        late = !patience(started);
    if (late) {
        kill(-cli->pid, SIGKILL);
        ended = waitpid(cli->pid, &how, 0);
    }
    assert_int_equal(ended, cli->pid);
    cli->pid = 0;
    cli->exit_code = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
    cli->out = read_whole(cli->out_file, NULL);
    cli->err = read_whole(cli->err_file, NULL);
    if (late)
        fail_msg("the command took more than %d s; it said: %s", CLI_TIMEOUT_SECONDS, cli->err);
    return cli->exit_code;
}

static void start_text(struct cli *cli, const char *format, va_list values)
{
    char text[COMMAND_BYTES], *at = text, *rest = NULL;
    const char *argv[MAX_ARGUMENTS] = {"remat"};
    int count = 1;
    vsnprintf(text, sizeof text, format, values);
    while ((at = strtok_r(count == 1 ? text : NULL, " ", &rest)) != NULL && count < MAX_ARGUMENTS - 1)
        argv[count++] = at;
    start(cli, argv);
}

void cli_start(struct cli *cli, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    start_text(cli, format, values);
    va_end(values);
}

int cli_run(struct cli *cli, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    start_text(cli, format, values);
    va_end(values);
    return cli_wait(cli);
}

int cli_run_arguments(struct cli *cli, const char *const *arguments)
{
    const char *argv[MAX_ARGUMENTS] = {"remat"};
    for (int i = 0; arguments[i] && i < MAX_ARGUMENTS - 2; i++)
        argv[i + 1] = arguments[i];
    start(cli, argv);
    return cli_wait(cli);
}

static bool has_ended(struct cli *cli)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)cli->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == cli->pid;
}

static bool holds(const struct cli *cli, const char *folder, const char *least)
{
    char path[2 * CLI_PATH_BYTES];
    const struct dirent *entry;
    bool found = false;
    DIR *entries;
    cli_path(cli, folder, path);
    entries = opendir(path);
    while (entries && !found && (entry = readdir(entries)) != NULL)
        found = strlen(entry->d_name) == strlen(least) && strcmp(entry->d_name, least) >= 0;
    if (entries)
        closedir(entries);
    return found;
}

void cli_await(struct cli *cli, const char *folder, const char *least)
{
    time_t started = time(NULL);
    while (!holds(cli, folder, least))
        if (!patience(started) || has_ended(cli))
            fail_msg("the command ended or hangs before it made %s/%s", folder, least);
}

/* --- what it said ------------------------------------------------------------------------------------------------ */

void cli_expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in:\n%s", part, text);
}

void cli_succeed(struct cli *cli, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    start_text(cli, format, values);
    va_end(values);
    if (cli_wait(cli) != 0)
        fail_msg("exit code %d:\n%s", cli->exit_code, cli->err);
}

void cli_expect_refusal(const struct cli *cli, int code, const char *words)
{
    char list[COMMAND_BYTES], *rest = NULL;
    const char *end = strchr(cli->err, '\n');
    if (cli->exit_code != code)
        fail_msg("expected exit code %d, found %d; it said: %s", code, cli->exit_code, cli->err);
    if (cli->out[0])
        fail_msg("expected nothing on standard output, found: %s", cli->out);
    if (strncmp(cli->err, "remat: ", 7) != 0 || !end || end[1] || strncmp(cli->err + 7, "remat: ", 7) == 0)
        fail_msg("expected one line that begins with \"remat: \", found: %s", cli->err);
    snprintf(list, sizeof list, "%s", words);
    for (char *word = strtok_r(list, "|", &rest); word; word = strtok_r(NULL, "|", &rest))
        cli_expect_text(cli->err, word);
}

void cli_refuse(struct cli *cli, int code, const char *words, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    start_text(cli, format, values);
    va_end(values);
    cli_wait(cli);
    cli_expect_refusal(cli, code, words);
}

json_t *cli_json(const struct cli *cli)
{
    json_error_t error;
    json_t *json = json_loads(cli->out, JSON_REJECT_DUPLICATES, &error);
    if (!json)
        fail_msg("not JSON (%s): %s", error.text, cli->out);
    return json;
}

int64_t cli_integer(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("\"%s\" is missing or no whole number", key);
    return json_integer_value(value);
}

const char *cli_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        fail_msg("\"%s\" is missing or no text", key);
    return json_string_value(value);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

void cli_path(const struct cli *cli, const char *name, char path[2 * CLI_PATH_BYTES])
{
    snprintf(path, 2 * CLI_PATH_BYTES, "%s/%s", cli->work, name);
}

bool cli_exists(const struct cli *cli, const char *name)
{
    char path[2 * CLI_PATH_BYTES];
    cli_path(cli, name, path);
    return access(path, F_OK) == 0;
}

void cli_write(const struct cli *cli, const char *name, const void *data, size_t bytes)
{
    char path[2 * CLI_PATH_BYTES];
    FILE *file;
    cli_path(cli, name, path);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void cli_write_text(const struct cli *cli, const char *name, const char *text)
{
    cli_write(cli, name, text, strlen(text));
}

char *cli_read(const struct cli *cli, const char *name, size_t *bytes)
{
    char path[2 * CLI_PATH_BYTES];
    int file;
    cli_path(cli, name, path);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return read_whole(file, bytes);
}

json_t *cli_read_json(const struct cli *cli, const char *name)
{
    char *text = cli_read(cli, name, NULL);
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s is not JSON: %s", name, error.text);
    free(text);
    return json;
}

void cli_write_json(const struct cli *cli, const char *name, const json_t *json)
{
    char path[2 * CLI_PATH_BYTES];
    cli_path(cli, name, path);
    assert_int_equal(json_dump_file(json, path, 0), 0);
}

int cli_count_entries(const struct cli *cli, const char *name)
{
    char path[2 * CLI_PATH_BYTES];
    DIR *folder;
    int count = 0;
    cli_path(cli, name, path);
    folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2; /* "." and ".." */
}
