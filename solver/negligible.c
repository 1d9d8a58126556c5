#include "solver/negligible.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int64_t remat_negligible_bytes(int64_t *bytes, int32_t count, int64_t room)
{
    int64_t largest = 0;
    int32_t k;
    if (count > 1)
        qsort(bytes, (size_t)count, sizeof *bytes, ascending);
    for (k = 0; k < count && bytes[k] <= room; k++) {
        room -= bytes[k];
        if (k + 1 == count || bytes[k + 1] > bytes[k])
            largest = bytes[k];
    }
    return largest;
}
