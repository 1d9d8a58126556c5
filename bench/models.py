#!/usr/bin/env python3
"""The solver on remat's own models: ten budgets from 2 % above the smallest to keep-all, each with its proven bound.

usage: bench/models.py [--remat build/remat] [--results bench/results] [--time-limit S] [--threads N] [--only CASE ...]
                       [-o RESULT.json]

Times of tasks come from the recorded profiles where a case names one, else from the roofline. All processors solve, or N. Of each budget are noted
the plan's predicted time, the bound, the gap, arena and live peak, and how long the first valid plan took. The result (format remat-models,
docs/format-results.md) is written after every budget; the exit code is 1 if a budget has no plan.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys

from provenance import provenance

BUDGETS = 10
# Name and what is solved: the profile of a recorded result, or words of the command.
CASES = [
    ("resnet50 b128", "resnet50-b128"),
    ("resnet152 b8", "resnet152-b8"),
    ("gpt2-medium b1x1024", "gpt2-medium-b1-1024"),
    ("gpt2-medium b8x1024", ["gpt2-medium", "--batch", "8", "--seq", "1024", "--optimizer", "adamw", "--analytic"]),
    ("gpt2-xl b1x1024", ["gpt2-xl", "--batch", "1", "--seq", "1024", "--optimizer", "adamw", "--analytic"]),
]
ENOUGH_FOR_A_FIRST_PLAN = "1000000"  # percent above the bound


def solve(arguments, case, *more):
    words = case[1] if isinstance(case[1], list) else ["--profile", str(arguments.results / case[1] / "profile.json")]
    return subprocess.run([arguments.remat, "solve", *words, *more, "--json"], capture_output=True, text=True)


def answer(arguments, case, *more):
    done = solve(arguments, case, *more)
    if done.returncode != 0:
        sys.exit(f"models.py: {case[0]}: {' '.join(more)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def limit(arguments):
    return ["--time-limit", str(arguments.time_limit), "--threads", str(arguments.threads)]


def smallest_bytes(arguments, case):
    """What a budget that nothing fits is answered with."""
    found = re.search(r"smallest feasible budget is .*?\((\d+) bytes\)", solve(arguments, case, "--budget", "1KiB").stderr)
    if not found:
        sys.exit(f"models.py: {case[0]}: a budget of 1 KiB was not refused")
    return int(found.group(1))


def measure(arguments, case, budget, keep_all):
    row = {"model": case[0], "budget_bytes": budget, "keep_all_bytes": keep_all["planned_peak_bytes"]}
    first = answer(arguments, case, "--budget", str(budget), "--gap", ENOUGH_FOR_A_FIRST_PLAN, *limit(arguments))
    best = answer(arguments, case, "--budget", str(budget), "--gap", "0", *limit(arguments))
    fields = ["planned_peak_bytes", "planned_live_bytes", "predicted_step_ns", "keep_all_step_ns", "lower_bound_ns", "gap", "solve_ns"]
    return {**row, **{field: best[field] for field in fields}, "first_plan_ns": first["solve_ns"],
            "first_step_ns": first["predicted_step_ns"]}


def show(row):
    step = row["keep_all_step_ns"]
    return (f"{row['model']:20} {row['budget_bytes'] / 2**20:9.1f} {100 * row['budget_bytes'] / row['keep_all_bytes']:6.1f} % "
            f"{100 * (row['predicted_step_ns'] / step - 1):+8.2f} % {100 * (row['lower_bound_ns'] / step - 1):+8.2f} % {100 * row['gap']:7.2f} % "
            f"{row['planned_peak_bytes'] / row['planned_live_bytes']:8.4f} {row['first_plan_ns'] / 1e9:7.2f} {row['solve_ns'] / 1e9:7.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--remat", default="build/remat")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("bench/results"))
    parser.add_argument("--time-limit", type=float, default=10)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=[case[0] for case in CASES])
    parser.add_argument("-o", "--output", type=pathlib.Path)
    arguments = parser.parse_args()
    result = {"format": "remat-models", "version": 1, **provenance(), "time_limit_s": arguments.time_limit,
              "threads": arguments.threads, "points": []}
    print(f"{'model':20} {'MiB':>9} {'of all':>8} {'time':>10} {'bound':>10} {'gap':>9} {'arena':>8} {'first s':>7} {'seconds':>7}")
    for case in CASES:
        if arguments.only and case[0] not in arguments.only:
            continue
        keep_all = answer(arguments, case, "--solver", "keep-all")
        # A search that is limited by time does not always find the very smallest one.
        least, most = int(1.02 * smallest_bytes(arguments, case)), keep_all["planned_peak_bytes"]
        for k in range(BUDGETS):
            row = measure(arguments, case, least + (most - least) * k // (BUDGETS - 1), keep_all)
            result["points"].append(row)
            print(show(row), flush=True)
            if arguments.output:
                arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
