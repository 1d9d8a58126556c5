#include "solver/solver.h"

#include "core/base/clock.h"
#include "core/base/thread.h"
#include "solver/closure_bound.h"
#include "solver/exact.h"
#include "solver/methods.h"
#include "solver/offload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct remat_solver remat_solvers[] = {
    {"keep-all", "keeps every value until its last use; recomputes nothing", false, remat_keep_all_solve,
     remat_keep_all_smallest},
    {"sqrt", "keeps what passes between segments of k blocks; the best k", false, remat_sqrt_solve,
     remat_sqrt_smallest},
    {"chain", "dynamic program over blocks, with options inside each; nested recomputation", false, remat_chain_solve,
     remat_chain_smallest},
    {"search", "annealing over single runs, from the chain's answer, until a time or work limit or the proven bound",
     true, remat_search_solve, remat_search_smallest},
    {NULL, NULL, false, NULL, NULL}};

static const double FALL_BACK_SHARE = 0.1;
enum { OFFLOAD_ATTEMPTS = 16 };
/* A gap of more than 1 / WIDE_GAP is worth some linear programs; where there is a limit of time, any gap that is asked
 * to be closed is worth a share of it. */
enum { WIDE_GAP = 300, USUAL_BUDGETS = 15 }; /* more budgets share what that many may cost */
/* Parts of a limit of time: for the schedule; where threads raise the bound meanwhile; where offloading is tried, too;
 * for the bound, which gets what is left, at least. */
static const double SCHEDULE_SHARE = 0.85, TEAM_SHARE = 0.92, OFFLOAD_SHARE = 0.6, LEAST_BOUND_SHARE = 0.1;
static const double HASTY_GAP = 1, EFFORT_PER_SECOND = 10;
enum { LARGE = 4000 }; /* entries of a schedule, which is tried to be placed less often the larger it is */
static const struct remat_bound_effort quick = {.cuts = 16, .parts = 40, .columns = 16000, .work = 200000};

enum remat_status remat_solver_find(const char *name, const struct remat_solver **out, struct remat_error *err)
{
    char names[256] = "";
    const struct remat_solver *solver;
    *out = NULL;
    name = name ? name : "search";
    for (solver = remat_solvers; solver->name; solver++) {
        size_t used = strlen(names);
        if (strcmp(solver->name, name) == 0) {
            *out = solver;
            return REMAT_OK;
        }
        snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ", " : "", solver->name);
    }
    return remat_fail(err, REMAT_USAGE, "unknown solver '%s'; the solvers are: %s", name, names);
}

int32_t remat_solve_threads(const struct remat_solve_options *options)
{
    int32_t threads = options->threads > 0 ? options->threads : remat_processors();
    return options->time_limit_seconds > 0 ? threads : 1;
}

bool remat_solve_is_hasty(const struct remat_solve_options *options)
{
    return options->gap >= HASTY_GAP;
}

/* Whether threads of the method raise the bound while it looks for a schedule. */
static bool proves_meanwhile(const struct remat_solver *solver, const struct remat_solve_options *options)
{
    return solver->anytime && remat_solve_threads(options) > 1;
}

static double schedule_share(const struct remat_solver *solver, const struct remat_solve_options *options)
{
    if (options->host_budget_bytes > 0)
        return OFFLOAD_SHARE;
    return proves_meanwhile(solver, options) ? TEAM_SHARE : SCHEDULE_SHARE;
}

enum remat_status remat_solving_closure(struct remat_solving *solving, struct remat_closure **out,
                                        struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    if (!solving->closure)
        status = remat_closure_make(solving->graph, &solving->closure, err);
    *out = solving->closure;
    return status;
}

/* Less where there is little time, also for the size of the schedule, or where any plan will do. */
static int32_t place_effort(const struct remat_solve_options *options, const struct remat_schedule *schedule)
{
    double effort = EFFORT_PER_SECOND * options->time_limit_seconds;
    if (remat_solve_is_hasty(options))
        return 1;
    if (schedule->count > LARGE && effort > 0)
        effort = effort * LARGE / schedule->count + 1;
    return effort <= 0 || effort > REMAT_PLACE_EFFORT ? REMAT_PLACE_EFFORT : (int32_t)effort;
}

static enum remat_status place(const struct remat_task_graph *graph, const struct remat_solver *solver,
                               const struct remat_solve_options *options, const struct remat_schedule *schedule,
                               struct remat_plan *out, struct remat_error *err)
{
    REMAT_TRY(remat_plan_place(graph, schedule, place_effort(options, schedule), out, err));
    snprintf(out->solver, sizeof out->solver, "%s", solver->name);
    return REMAT_OK;
}

static enum remat_status accept(const struct remat_task_graph *graph, int64_t budget_bytes, int64_t host_budget_bytes,
                                int64_t started_ns, struct remat_plan *plan, struct remat_error *err)
{
    plan->budget_bytes = budget_bytes;
    plan->host_budget_bytes = host_budget_bytes;
    plan->solve_ns = remat_clock_ns() - started_ns;
    return remat_plan_verify(graph, plan, err);
}

static enum remat_status find_smallest(struct remat_solving *solving, const struct remat_solver *solver,
                                       const struct remat_solve_options *options, struct remat_plan *out,
                                       struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    int64_t started = remat_clock_ns();
    enum remat_status status = solver->smallest(solving, options, &schedule, err);
    if (status == REMAT_OK)
        status = place(solving->graph, solver, options, &schedule, out, err);
    if (status == REMAT_OK)
        status = accept(solving->graph, out->arena_bytes, 0, started, out, err);
    remat_schedule_free(&schedule);
    return status;
}

static int32_t peak_task(const struct remat_plan *plan)
{
    return plan->instructions_count > 0 ? plan->instructions[plan->peak_instruction].task : -1;
}

void remat_solving_end(struct remat_solving *solving)
{
    if (solving->release)
        solving->release(solving->memo);
    remat_closure_free(solving->closure);
    if (solving->chain)
        remat_solving_end(solving->chain);
    free(solving->chain);
    *solving = (struct remat_solving){.graph = solving->graph};
}

/* The last resort where a method finds nothing: the smallest plan, or the reason why not. */
static enum remat_status fall_back(struct remat_solving *solving, const struct remat_solver *solver,
                                   const struct remat_solve_options *options, int64_t started_ns,
                                   struct remat_plan *out, struct remat_error *err)
{
    const struct remat_task_graph *graph = solving->graph;
    REMAT_TRY(find_smallest(solving, solver, options, out, err));
    if (out->arena_bytes <= options->budget_bytes)
        return accept(graph, options->budget_bytes, options->host_budget_bytes, started_ns, out, err);
    return remat_fail_infeasible(graph, solver->name, options->budget_bytes, out->arena_bytes, peak_task(out), err);
}

static enum remat_status recompute(struct remat_solving *solving, const struct remat_solver *solver,
                                   const struct remat_solve_options *options, struct remat_plan *out,
                                   struct remat_error *err)
{
    struct remat_solve_options inner = *options;
    struct remat_schedule schedule = {0};
    int64_t started = remat_clock_ns();
    enum remat_status status;
    inner.time_limit_seconds *= schedule_share(solver, options);
    status = solver->solve(solving, &inner, &schedule, err);
    if (status == REMAT_OK)
        status = place(solving->graph, solver, options, &schedule, out, err);
    remat_schedule_free(&schedule);
    if (status == REMAT_OK)
        return accept(solving->graph, options->budget_bytes, options->host_budget_bytes, started, out, err);
    if (status != REMAT_INFEASIBLE)
        return status;
    inner.time_limit_seconds = FALL_BACK_SHARE * options->time_limit_seconds;
    inner.threads = 1;
    return fall_back(solving, solver, &inner, started, out, err);
}

/* What to ask for after a placement above a budget. Copies fill whatever room there is at any time, so that the next
 * schedule of lower peak would be as hard to place: all of the excess. */
static int64_t tighten(int64_t budget_bytes, int64_t live_bytes, int64_t placed_bytes, int64_t asked_bytes)
{
    if (placed_bytes <= asked_bytes)
        return budget_bytes;
    return live_bytes - 1 - (placed_bytes - asked_bytes);
}

/* A schedule with copies, placed; *fits tells whether within both budgets. If not, *inner asks for less. */
static enum remat_status try_offloading(struct remat_solving *solving, const struct remat_solver *solver,
                                        const struct remat_solve_options *options, struct remat_solve_options *inner,
                                        struct remat_plan *out, bool *fits, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    enum remat_status status = remat_offload_solve(solving, solver, inner, &schedule, err);
    if (status == REMAT_OK)
        status = place(solving->graph, solver, options, &schedule, out, err);
    remat_schedule_free(&schedule);
    REMAT_TRY(status);
    *fits = out->arena_bytes <= options->budget_bytes && out->host_bytes <= options->host_budget_bytes;
    inner->budget_bytes = tighten(inner->budget_bytes, out->live_peak_bytes, out->arena_bytes, options->budget_bytes);
    inner->host_budget_bytes =
        tighten(inner->host_budget_bytes, out->host_live_peak_bytes, out->host_bytes, options->host_budget_bytes);
    return REMAT_OK;
}

/* *out stays empty if no schedule, or no placement, fits. */
static enum remat_status offload(struct remat_solving *solving, const struct remat_solver *solver,
                                 const struct remat_solve_options *options, int64_t started_ns, struct remat_plan *out,
                                 struct remat_error *err)
{
    struct remat_solve_options inner = *options;
    bool fits = false;
    int32_t attempt;
    for (attempt = 0; attempt < OFFLOAD_ATTEMPTS && inner.budget_bytes > 0 && !fits; attempt++) {
        enum remat_status status = try_offloading(solving, solver, options, &inner, out, &fits, err);
        if (status != REMAT_OK || !fits)
            remat_plan_free(out);
        if (status == REMAT_INFEASIBLE)
            return REMAT_OK;
        REMAT_TRY(status);
    }
    return fits ? accept(solving->graph, options->budget_bytes, options->host_budget_bytes, started_ns, out, err)
                : REMAT_OK;
}

/* The faster of recomputing alone and recomputing with offloading. */
static enum remat_status find_plan(struct remat_solving *solving, const struct remat_solver *solver,
                                   const struct remat_solve_options *options, struct remat_plan *out,
                                   struct remat_error *err)
{
    int64_t started = remat_clock_ns();
    struct remat_plan offloaded = {0};
    struct remat_error ignored;
    enum remat_status status = recompute(solving, solver, options, out, err), tried;
    bool infeasible = status == REMAT_INFEASIBLE;
    if (options->host_budget_bytes == 0 || (status != REMAT_OK && !infeasible) ||
        (!infeasible && out->predicted_step_ns == out->keep_all_step_ns))
        return status;
    tried = offload(solving, solver, options, started, &offloaded, infeasible ? &ignored : err);
    if (tried == REMAT_OK && offloaded.instructions_count > 0 &&
        (infeasible || offloaded.predicted_step_ns < out->predicted_step_ns)) {
        remat_plan_free(out);
        *out = offloaded;
        return REMAT_OK;
    }
    remat_plan_free(&offloaded);
    return tried == REMAT_OK ? status : tried;
}

static enum remat_status check_rates(const struct remat_task_graph *graph, const struct remat_solve_options *options,
                                     struct remat_error *err)
{
    if (options->host_budget_bytes <= 0 || (graph->to_host_bytes_per_s > 0 && graph->to_device_bytes_per_s > 0))
        return REMAT_OK;
    return remat_fail(
        err, REMAT_UNAVAILABLE,
        "%s: values cannot be offloaded, since the graph does not say how fast copies to the host are: an "
        "imported graph has no device, and an older profile must be made again (remat profile -o)",
        graph->name ? graph->name : "graph");
}

static bool is_wide(const struct remat_solve_options *options, const struct remat_plan *plan, int64_t bound_ns)
{
    double gap = (double)plan->predicted_step_ns / (double)bound_ns - 1;
    return gap > (options->time_limit_seconds > 0 ? options->gap : 1.0 / WIDE_GAP);
}

/* What the plan has left of the limit, but not too little. */
static double seconds_for_bound(double limit_seconds, const struct remat_plan *plan)
{
    double left = limit_seconds - 1e-9 * (double)plan->solve_ns, least = LEAST_BOUND_SHARE * limit_seconds;
    return left < least ? least : left;
}

/* Raises the closure bound of a plan's budget as far as it is worth while: by linear programs, and by the exact method
 * where the graph is small. */
static enum remat_status strengthen(struct remat_solving *solving, const struct remat_solver *solver,
                                    const struct remat_solve_options *options, const struct remat_plan *plan,
                                    int64_t budget, int32_t budgets_count, struct remat_bound *bound,
                                    struct remat_error *err)
{
    int64_t step_ns = plan->predicted_step_ns;
    struct remat_progress progress = {.best_ns = step_ns};
    struct remat_bound_effort effort = options->time_limit_seconds > 0 ? remat_bound_thorough : quick;
    struct remat_exact exact;
    enum remat_status status;
    effort.stop = options->stop;
    if (budgets_count > USUAL_BUDGETS)
        effort.work = effort.work * USUAL_BUDGETS / budgets_count;
    if (options->time_limit_seconds > 0)
        effort.deadline = remat_clock_seconds() + seconds_for_bound(options->time_limit_seconds, plan);
    if (is_wide(options, plan, bound->lower_bound_ns) && !proves_meanwhile(solver, options))
        REMAT_TRY(remat_closure_strengthen(solving->closure, &effort, &progress, bound, err));
    if (bound->infeasible || bound->lower_bound_ns >= step_ns)
        return REMAT_OK;
    status = remat_exact_solve(solving->graph, budget, step_ns, REMAT_EXACT_STATES, &exact, err);
    if (status == REMAT_OK && exact.lower_bound_ns > bound->lower_bound_ns)
        bound->lower_bound_ns = exact.lower_bound_ns < step_ns ? exact.lower_bound_ns : step_ns;
    remat_schedule_free(&exact.schedule);
    return status;
}

/* Gives each plan the proven lower bound of its budget without offloading; empty plans have none. */
static enum remat_status certify_recomputing(struct remat_solving *solving, const struct remat_solver *solver,
                                             const struct remat_solve_options *options, const int64_t *budgets,
                                             int32_t count, struct remat_plan *plans, struct remat_error *err)
{
    const struct remat_task_graph *graph = solving->graph;
    struct remat_closure *closure;
    struct remat_bound *bounds = NULL;
    enum remat_status status;
    int32_t i;
    REMAT_TRY_GOTO(remat_solving_closure(solving, &closure, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(bounds, count, err), done);
    REMAT_TRY_GOTO(remat_closure_bounds(closure, budgets, count, bounds, err), done);
    for (i = 0; i < count && status == REMAT_OK; i++) {
        if (plans[i].instructions_count == 0)
            continue;
        REMAT_TRY_GOTO(strengthen(solving, solver, options, &plans[i], budgets[i], count, &bounds[i], err), done);
        plans[i].lower_bound_ns = bounds[i].lower_bound_ns;
        if (bounds[i].infeasible || plans[i].lower_bound_ns > plans[i].predicted_step_ns)
            status = remat_fail(err, REMAT_INTERNAL,
                                "%s: a plan of %lld ns within %lld bytes contradicts the lower bound of %lld ns",
                                graph->name ? graph->name : "graph", (long long)plans[i].predicted_step_ns,
                                (long long)budgets[i], (long long)bounds[i].lower_bound_ns);
    }
done:
    free(bounds);
    return status;
}

/* With host memory nothing but the tasks themselves is known to be needed: each once, by its fastest option. */
static enum remat_status certify(struct remat_solving *solving, const struct remat_solver *solver,
                                 const struct remat_solve_options *options, const int64_t *budgets, int32_t count,
                                 struct remat_plan *plans, struct remat_error *err)
{
    int32_t i;
    if (options->host_budget_bytes == 0)
        return certify_recomputing(solving, solver, options, budgets, count, plans, err);
    for (i = 0; i < count; i++)
        plans[i].lower_bound_ns = plans[i].keep_all_step_ns;
    return REMAT_OK;
}

enum remat_status remat_solve(const struct remat_task_graph *graph, const struct remat_solver *solver,
                              const struct remat_solve_options *options, struct remat_plan *out,
                              struct remat_error *err)
{
    struct remat_solving own = {.graph = graph}, *solving = options->solving ? options->solving : &own;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY(check_rates(graph, options, err));
    status = find_plan(solving, solver, options, out, err);
    if (status == REMAT_OK && !options->without_bound)
        status = certify(solving, solver, options, &out->budget_bytes, 1, out, err);
    remat_solving_end(&own);
    return status;
}

enum remat_status remat_solve_smallest(const struct remat_task_graph *graph, const struct remat_solver *solver,
                                       const struct remat_solve_options *options, struct remat_plan *out,
                                       struct remat_error *err)
{
    struct remat_solving solving = {.graph = graph};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = find_smallest(options->solving ? options->solving : &solving, solver, options, out, err);
    remat_solving_end(&solving);
    return status;
}

/* Uses the plan for a smaller budget where it is the faster one; *plan is replaced. */
static enum remat_status inherit(const struct remat_task_graph *graph, const struct remat_solver *solver,
                                 const struct remat_plan *smaller, const struct remat_solve_options *options,
                                 struct remat_plan *plan, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    int64_t started = remat_clock_ns();
    enum remat_status status;
    if (smaller->instructions_count == 0 ||
        (plan->instructions_count > 0 && plan->predicted_step_ns <= smaller->predicted_step_ns))
        return REMAT_OK;
    remat_plan_free(plan);
    status = remat_plan_schedule(smaller, &schedule, err);
    if (status == REMAT_OK)
        status = place(graph, solver, options, &schedule, plan, err);
    if (status == REMAT_OK)
        status = accept(graph, options->budget_bytes, options->host_budget_bytes, started, plan, err);
    remat_schedule_free(&schedule);
    return status;
}

/* The index of the budget that follows budgets[last] in ascending order, equal ones by index; last -1: the least. */
static int32_t next_larger(const int64_t *budgets, int32_t count, int32_t last)
{
    int32_t best = -1, i;
    for (i = 0; i < count; i++) {
        bool after = last < 0 || budgets[i] > budgets[last] || (budgets[i] == budgets[last] && i > last);
        if (after && (best < 0 || budgets[i] < budgets[best]))
            best = i;
    }
    return best;
}

enum remat_status remat_solve_curve(const struct remat_task_graph *graph, const struct remat_solver *solver,
                                    const struct remat_solve_options *options, const int64_t *budgets, int32_t count,
                                    struct remat_plan *plans, struct remat_error *err)
{
    struct remat_solving own = {.graph = graph}, *solving = options->solving ? options->solving : &own;
    struct remat_solve_options inner = *options;
    enum remat_status status = REMAT_OK;
    int32_t i = -1, last, k;
    memset(plans, 0, (size_t)count * sizeof *plans);
    REMAT_TRY(check_rates(graph, options, err));
    /* In ascending order, so that plans for less serve those for more. */
    for (k = 0; k < count && status == REMAT_OK; k++) {
        last = i;
        i = next_larger(budgets, count, last);
        inner.budget_bytes = budgets[i];
        status = find_plan(solving, solver, &inner, &plans[i], err);
        if (status == REMAT_INFEASIBLE) {
            remat_plan_free(&plans[i]);
            status = REMAT_OK;
        }
        if (status == REMAT_OK && last >= 0)
            status = inherit(graph, solver, &plans[last], &inner, &plans[i], err);
    }
    if (status == REMAT_OK && !options->without_bound)
        status = certify(solving, solver, options, budgets, count, plans, err);
    remat_solving_end(&own);
    return status;
}
