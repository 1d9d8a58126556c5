#include "core/base/size.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double MAX_BYTES = 9007199254740992.0; /* 2^53: exact in double */

struct unit {
    const char *text;
    double bytes;
};

static const struct unit units[] = {
    {"", 1.0},
    {"B", 1.0},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"TB", 1e12},
    {"KiB", 1024.0},
    {"MiB", 1048576.0},
    {"GiB", 1073741824.0},
    {"TiB", 1099511627776.0},
    {"K", 1024.0},
    {"M", 1048576.0},
    {"G", 1073741824.0},
    {"T", 1099511627776.0},
};

static const struct unit *find_unit(const char *text)
{
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(text, units[i].text) == 0)
            return &units[i];
    return NULL;
}

/* Decimal digits with at most one point: no sign, exponent, hexadecimal or infinity. */
static size_t number_length(const char *text)
{
    size_t digits = strspn(text, "0123456789"), length = digits;
    if (text[length] == '.') {
        size_t decimals = strspn(text + length + 1, "0123456789");
        digits += decimals;
        length += 1 + decimals;
    }
    return digits > 0 ? length : 0;
}

static enum remat_status unreadable(const char *text, struct remat_error *err)
{
    return remat_fail(err, REMAT_USAGE,
                      "cannot read the size \"%.64s\"; write e.g. 512MiB, 4GiB, 1.5GB, 4096 (bytes) or 40%%", text);
}

enum remat_status remat_size_parse(const char *text, struct remat_size *out, struct remat_error *err)
{
    size_t length = number_length(text);
    double number = strtod(text, NULL);
    const char *suffix = text + length;
    const struct unit *unit;
    *out = (struct remat_size){0, -1.0};
    if (length == 0)
        return unreadable(text, err);
    suffix += strspn(suffix, " ");
    if (strcmp(suffix, "%") == 0) {
        if (!(number > 0.0 && number <= 1000.0))
            return remat_fail(err, REMAT_USAGE, "the size \"%.64s\" is not above 0%% and at most 1000%%", text);
        out->fraction = number / 100.0;
        return REMAT_OK;
    }
    unit = find_unit(suffix);
    if (!unit)
        return unreadable(text, err);
    number *= unit->bytes;
    if (!(number >= 1.0 && number <= MAX_BYTES))
        return remat_fail(err, REMAT_USAGE, "the size \"%.64s\" is not between 1 byte and 8192 TiB", text);
    out->bytes = (int64_t)floor(number);
    return REMAT_OK;
}

int64_t remat_size_resolve(struct remat_size size, int64_t whole_bytes)
{
    return size.fraction < 0.0 ? size.bytes : (int64_t)floor(size.fraction * (double)whole_bytes);
}

const char *remat_size_format(int64_t bytes, char *buffer, int capacity)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double scaled = (double)bytes / 1024.0;
    size_t i = 0;
    if (bytes > -1024 && bytes < 1024) {
        snprintf(buffer, (size_t)capacity, "%lld B", (long long)bytes);
        return buffer;
    }
    /* 1023.995 would print as 1024.00 */
    while (fabs(scaled) >= 1023.995 && i + 1 < sizeof names / sizeof names[0]) {
        scaled /= 1024.0;
        i++;
    }
    snprintf(buffer, (size_t)capacity, "%.2f %s", scaled, names[i]);
    return buffer;
}
