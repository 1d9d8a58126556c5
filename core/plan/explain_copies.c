/* The table of what is offloaded. */
#include "core/plan/explain_parts.h"

static int32_t wait_for(const struct remat_plan *plan, int32_t copy)
{
    int32_t at = copy + 1;
    while (plan->instructions[at].kind != REMAT_WAIT || plan->instructions[at].event != copy)
        at++;
    return at;
}

static void write_row(const struct remat_explain *explain, int32_t fetch)
{
    const struct remat_plan *plan = explain->plan;
    int32_t from = plan->instructions[fetch].inputs[0], store = explain->made[from];
    const struct remat_value *value = &explain->graph->values[plan->views[from].value];
    int64_t waited_ns =
        remat_explain_cost_ns(explain, wait_for(plan, store)) + remat_explain_cost_ns(explain, wait_for(plan, fetch));
    fprintf(explain->stream, "  %-32.32s %12s %7d %7d %7d %7d %12s\n", value->name,
            remat_explain_bytes(value->bytes).text, store, wait_for(plan, store), fetch, wait_for(plan, fetch),
            remat_explain_time((double)waited_ns).text);
}

void remat_explain_copies(const struct remat_explain *explain)
{
    const struct remat_plan *plan = explain->plan;
    int64_t bytes = 0, waited_ns = 0;
    int32_t at, fetches = 0;
    if (plan->host_bytes == 0)
        return;
    fprintf(explain->stream,
            "\nIn host memory for a while, and the instructions that take it there and back\n"
            "  %-32s %12s %7s %7s %7s %7s %12s\n",
            "value", "bytes", "store", "gone", "fetch", "back", "kernels wait");
    for (at = 0; at < plan->instructions_count; at++) {
        if (plan->instructions[at].kind == REMAT_WAIT)
            waited_ns += remat_explain_cost_ns(explain, at);
        if (plan->instructions[at].kind != REMAT_FETCH)
            continue;
        write_row(explain, at);
        bytes += explain->graph->values[plan->views[plan->instructions[at].inputs[0]].value].bytes;
        fetches++;
    }
    fprintf(explain->stream, "  %-32s %12s %31d %12s\n", "total", remat_explain_bytes(bytes).text, fetches,
            remat_explain_time((double)waited_ns).text);
}
