#include "core/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *remat_status_text(enum remat_status status)
{
    switch (status) {
#define X(name, code, text) \
    case name:              \
        return text;
        REMAT_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

enum remat_status remat_fail(struct remat_error *err, enum remat_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->message, sizeof err->message, format, args);
        va_end(args);
    }
    return status;
}

enum remat_status remat_error_prefix(struct remat_error *err, const char *format, ...)
{
    char text[2 * sizeof err->message + 4];
    size_t used;
    va_list args;
    if (!err)
        return REMAT_FAILED;
    va_start(args, format);
    vsnprintf(text, sizeof err->message, format, args);
    va_end(args);
    used = strlen(text);
    snprintf(text + used, sizeof text - used, ": %s", err->message);
    text[sizeof err->message - 1] = 0;
    memcpy(err->message, text, sizeof err->message);
    return err->status;
}
