#!/usr/bin/env python3
"""The solver on public instances: every point of a folder, each schedule checked by a program of its own.

usage: bench/instances.py FOLDER --checker CHECKER.py [--remat build/remat] [--solver search] [--time-limit S]
                          [--only NAME ...] [--copies] [-o RESULT.json]

FOLDER holds NAME.json files (format remat-graph) and best_known.json: {NAME: {"base_time_ns": N, "points": [{"budget_bytes",
"best_time_ns", "lower_bound_ns", "source"}, ...]}}. CHECKER.py GRAPH SCHEDULE BUDGET prints "cost_ns N peak_bytes N ..." and
exits 0 where the schedule is legal and within the budget. One thread. With --copies each point is also solved with other names, with all sizes
(and the budget) times 3 and with all times times 7: nothing but the graph's proportions may matter. The result (format remat-instances, docs/format-results.md)
is written after every point; the exit code is 1 if a schedule is missing or refused.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from provenance import provenance

COPIES = [("other names", 1, 1), ("sizes times 3", 3, 1), ("times times 7", 1, 7)]


def check(arguments, graph, schedule, budget):
    """Cost and peak by the checker, or its complaint."""
    done = subprocess.run([sys.executable, arguments.checker, graph, schedule, str(budget)], capture_output=True, text=True)
    words = done.stdout.split()
    if done.returncode != 0:
        return None, (done.stdout + done.stderr).strip()
    return dict(zip(words[::2], map(int, words[1::2]))), ""


def run(arguments, graph, budget, schedule):
    """What remat prints and whether it went well."""
    schedule.unlink(missing_ok=True)
    done = subprocess.run([arguments.remat, "solve", "--graph", graph, "--budget", str(budget), "--solver", arguments.solver,
                           "--time-limit", str(arguments.time_limit), "--gap", "0", "--threads", "1", "--schedule", schedule, "--json"],
                          capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None, done.stderr.strip()


def write_copy(graph, path, sizes, times):
    """The same graph, renamed and scaled."""
    data = json.loads(graph.read_text())
    names = [f"task-{k}" for k in range(len(data["nodes"]))]
    data["name"] = "copy"
    for node, name in zip(data["nodes"], reversed(names)):
        node.update(name=name, bytes=node["bytes"] * sizes, time_ns=node["time_ns"] * times)
    path.write_text(json.dumps(data))


def compare_copies(arguments, graph, point, folder, row):
    """Adds the cost of each copy relative to the original's."""
    for name, sizes, times in COPIES:
        path, schedule = pathlib.Path(folder) / "copy.json", pathlib.Path(folder) / "copy.txt"
        write_copy(graph, path, sizes, times)
        plan, complaint = run(arguments, path, point["budget_bytes"] * sizes, schedule)
        if plan is None:
            return {**row, "status": "error", "message": f"copy with {name}: {complaint}"}
        checked, complaint = check(arguments, path, schedule, point["budget_bytes"] * sizes)
        if checked is None:
            return {**row, "status": "refused", "message": f"copy with {name}: {complaint}"}
        row.setdefault("copies", {})[name] = checked["cost_ns"] / times / row["cost_ns"] - 1
    return row


def solve(arguments, graph, point, folder):
    schedule = pathlib.Path(folder) / "schedule.txt"
    budget = point["budget_bytes"]
    plan, complaint = run(arguments, graph, budget, schedule)
    row = {"instance": graph.stem, "budget_bytes": budget, "best_known_ns": point["best_time_ns"],
           "recorded_bound_ns": point["lower_bound_ns"], "best_known_source": point["source"], "status": "ok"}
    if plan is None:
        return {**row, "status": "error", "message": complaint}
    checked, complaint = check(arguments, graph, schedule, budget)
    if checked is None:
        return {**row, "status": "refused", "message": complaint}
    row = {**row, "cost_ns": checked["cost_ns"], "peak_bytes": checked["peak_bytes"], "planned_peak_bytes": plan["planned_peak_bytes"],
            "base_ns": plan["keep_all_step_ns"], "lower_bound_ns": plan["lower_bound_ns"], "gap": checked["cost_ns"] / plan["lower_bound_ns"] - 1,
            "to_best_known": checked["cost_ns"] / point["best_time_ns"] - 1, "solve_ns": plan["solve_ns"]}
    return compare_copies(arguments, graph, point, folder, row) if arguments.copies else row


def show(row):
    head = f"{row['instance']:20} {row['budget_bytes']:12} "
    if row["status"] != "ok":
        return head + f"{row['status']}: {row['message']}"
    base = row["base_ns"]
    return head + (f"{row['cost_ns']:12} {100 * (row['cost_ns'] / base - 1):8.3f} % {100 * row['to_best_known']:+9.4f} % "
                   f"{row['recorded_bound_ns']:12} {row['lower_bound_ns']:12} {100 * row['gap']:7.3f} % {row['solve_ns'] / 1e9:7.2f}"
                   + "".join(f" {100 * change:+9.4f} %" for change in row.get("copies", {}).values()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--checker", required=True)
    parser.add_argument("--remat", default="build/remat")
    parser.add_argument("--solver", default="search")
    parser.add_argument("--time-limit", type=float, default=60)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--copies", action="store_true")
    parser.add_argument("-o", "--output", type=pathlib.Path)
    arguments = parser.parse_args()
    known = json.loads((arguments.folder / "best_known.json").read_text())
    result = {"format": "remat-instances", "version": 1, **provenance(), "solver": arguments.solver,
              "time_limit_s": arguments.time_limit, "points": []}
    print(f"{'instance':20} {'budget':>12} {'cost ns':>12} {'overhead':>10} {'to best':>11} {'bound known':>12} {'bound':>12} "
          f"{'gap':>9} {'seconds':>7}" + "".join(f" {name}" for name, _, _ in COPIES if arguments.copies))
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only or sorted(known):
            for point in known[name]["points"]:
                row = solve(arguments, arguments.folder / f"{name}.json", point, folder)
                result["points"].append(row)
                print(show(row), flush=True)
                if arguments.output:
                    arguments.output.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(row["status"] == "ok" for row in result["points"]) else 1


if __name__ == "__main__":
    sys.exit(main())
