#include "bench/published.h"

#include <string.h>

enum { MOST_POINTS = 15 };

struct published {
    const char *model;
    int64_t batch, size;
    int32_t count;
    struct {
        double budget_mib, peak_mib, relative;
    } points[MOST_POINTS];
};

/* The second one's numbers are read off a picture: peaks +-60 MiB. */
static const struct published sweeps[] = {
    {"resnet50",
     128,
     224,
     14,
     {{3339.286, 3466.358, 1.331},
      {3928.571, 4325.096, 1.287},
      {4517.857, 4521.107, 1.232},
      {5107.143, 5109.113, 1.180},
      {5696.429, 5696.619, 1.163},
      {6285.714, 6089.123, 1.146},
      {6875.000, 6775.124, 1.114},
      {7464.286, 7265.127, 1.111},
      {8053.571, 7951.128, 1.081},
      {8642.857, 8441.131, 1.077},
      {9232.143, 9127.132, 1.046},
      {9821.429, 9617.137, 1.035},
      {10410.714, 10009.137, 1.020},
      {11000.000, 10597.138, 1.000}}},
    {"gpt2-medium",
     8,
     1024,
     14,
     {{9200, 11450, 1.249},
      {12800, 14780, 1.224},
      {16400, 18580, 1.200},
      {20000, 22050, 1.172},
      {23600, 24210, 1.154},
      {27200, 26880, 1.137},
      {30800, 30930, 1.116},
      {34400, 34800, 1.095},
      {38000, 37520, 1.082},
      {41600, 41420, 1.062},
      {45200, 46640, 1.034},
      {48800, 48120, 1.025},
      {52400, 53270, 0.999},
      {56000, 53330, 1.000}}},
};

static json_t *describe(const struct published *sweep)
{
    json_t *points = json_array();
    for (int32_t i = 0; i < sweep->count; i++)
        json_array_append_new(points, json_pack("{s:I,s:I,s:f}", "budget_bytes",
                                                (json_int_t)(sweep->points[i].budget_mib * 1048576), "peak_bytes",
                                                (json_int_t)(sweep->points[i].peak_mib * 1048576), "relative_step",
                                                sweep->points[i].relative));
    return json_pack("{s:s,s:o}", "name", "ColossalAI, published", "points", points);
}

json_t *remat_published_points(const char *model, int64_t batch, int64_t size)
{
    for (size_t i = 0; i < sizeof sweeps / sizeof *sweeps; i++)
        if (strcmp(sweeps[i].model, model) == 0 && sweeps[i].batch == batch && sweeps[i].size == size)
            return describe(&sweeps[i]);
    return NULL;
}
