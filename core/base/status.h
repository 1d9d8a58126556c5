/* Status codes and error messages.
 *
 * Every fallible function returns `enum remat_status` and, on failure, fills a `struct remat_error` whose
 * message is complete enough to print: what, where, expected, found, what to do. Library code never prints,
 * exits or aborts. The status is also the exit code of the command (docs/exit-codes.md). */
#ifndef REMAT_CORE_BASE_STATUS_H
#define REMAT_CORE_BASE_STATUS_H

#define REMAT_STATUS_LIST(X)                                                       \
    X(REMAT_OK, 0, "ok")                                                           \
    X(REMAT_FAILED, 1, "failed")                                                   \
    X(REMAT_USAGE, 2, "wrong usage")                                               \
    X(REMAT_INFEASIBLE, 3, "the budget is below the smallest feasible one")        \
    X(REMAT_BAD_DATA, 65, "malformed input")                                       \
    X(REMAT_MISSING_INPUT, 66, "missing input")                                    \
    X(REMAT_UNAVAILABLE, 69, "a library, device or feature is not available here") \
    X(REMAT_INTERNAL, 70, "internal error")                                        \
    X(REMAT_OUT_OF_MEMORY, 71, "out of memory")                                    \
    X(REMAT_IO, 74, "input/output error")                                          \
    X(REMAT_INTERRUPTED, 130, "interrupted")

enum remat_status {
#define X(name, code, text) name = code,
    REMAT_STATUS_LIST(X)
#undef X
};

struct remat_error {
    enum remat_status status;
    char message[1024];
};

#define REMAT_MUST_CHECK __attribute__((warn_unused_result))

/* Name of a status for people, e.g. "malformed input". */
const char *remat_status_text(enum remat_status status);

/* Fills `err` (which may be NULL) and returns `status`. */
enum remat_status remat_fail(struct remat_error *err, enum remat_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the message of `err`; for callers that know where it happened. Returns err->status. */
enum remat_status remat_error_prefix(struct remat_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Returns from the calling function if `expression` fails. Only where nothing needs releasing. */
#define REMAT_TRY(expression)                         \
    do {                                              \
        enum remat_status try_status_ = (expression); \
        if (try_status_ != REMAT_OK)                  \
            return try_status_;                       \
    } while (0)

/* The same with cleanup: sets the local `status` and jumps to `label`. */
#define REMAT_TRY_GOTO(expression, label) \
    do {                                  \
        status = (expression);            \
        if (status != REMAT_OK)           \
            goto label;                   \
    } while (0)

#endif
