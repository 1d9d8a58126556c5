/* Runs the remat command as a user would: in a fresh folder, with captured output, an exit code and a time limit.
 *
 * Each test has its own struct cli (cli_setup and cli_teardown as cmocka fixtures). The command runs with `work` as its
 * folder and `home` as its home, so that neither the user's profile cache nor files of other tests play a part. */
#ifndef REMAT_TESTS_E2E_SUPPORT_CLI_H
#define REMAT_TESTS_E2E_SUPPORT_CLI_H

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

enum { CLI_PATH_BYTES = 256, CLI_TIMEOUT_SECONDS = 120 };

struct cli {
    char root[CLI_PATH_BYTES];
    char work[CLI_PATH_BYTES + 8], home[CLI_PATH_BYTES + 8];
    int64_t file_limit_bytes; /* largest file that the command may write; 0 = no limit */
    pid_t pid;                /* of a started command, which leads a process group of its own */
    int out_file, err_file;
    /* of the last command that ended */
    char *out, *err;
    int exit_code; /* 128 + the signal's number if one ended it */
};

int cli_setup(void **state);
int cli_teardown(void **state);

/* Runs REMAT_BINARY with the arguments, separated by single blanks; returns the exit code. A command that takes longer
 * than CLI_TIMEOUT_SECONDS fails the test. */
int cli_run(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with argv as it stands, argv[0] excluded, ended by NULL. */
int cli_run_arguments(struct cli *cli, const char *const *arguments);
/* The two halves of cli_run; signals may be sent to cli->pid in between. */
void cli_start(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_wait(struct cli *cli);
/* Waits until work/folder holds a name as long as `least` that is not before it in the alphabet; fails the test if the
 * command ends first. */
void cli_await(struct cli *cli, const char *folder, const char *least);

/* Runs and expects success; prints the command's messages if it fails. */
void cli_succeed(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Runs and expects exit code `code`, nothing on standard output, and on standard error one line that begins with
 * "remat: " and holds all of `words` (separated by '|'). */
void cli_refuse(struct cli *cli, int code, const char *words, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Checks the same of the command that ran last. */
void cli_expect_refusal(const struct cli *cli, int code, const char *words);
void cli_expect_text(const char *text, const char *part);

/* What the last command printed, as JSON; owned by the caller. */
json_t *cli_json(const struct cli *cli);
int64_t cli_integer(const json_t *object, const char *key);
const char *cli_text(const json_t *object, const char *key);

/* Files of the work folder. */
void cli_path(const struct cli *cli, const char *name, char path[2 * CLI_PATH_BYTES]);
bool cli_exists(const struct cli *cli, const char *name);
void cli_write(const struct cli *cli, const char *name, const void *data, size_t bytes);
void cli_write_text(const struct cli *cli, const char *name, const char *text);
/* The whole file with a 0 behind it; owned by the caller. */
char *cli_read(const struct cli *cli, const char *name, size_t *bytes);
json_t *cli_read_json(const struct cli *cli, const char *name);
void cli_write_json(const struct cli *cli, const char *name, const json_t *json);
/* Number of entries of a folder under `work`; "" is `work` itself. */
int cli_count_entries(const struct cli *cli, const char *name);

#endif
