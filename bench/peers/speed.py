#!/usr/bin/env python3
"""Training-step speed beside PyTorch: both run in turn, one step each, so that noise hits both alike.

usage: bench/peers/speed.py --remat build/remat --python PYTHON_WITH_TORCH [--steps 15] [--threads 2] -o RESULT.json [MODEL ...]

Models: resnet18 (batch 100, 32x32), resnet50 (16, 224x224), gpt2-small (4 x 256). PyTorch: eager, channels_last, fused optimizer.
"""
import argparse
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

CASES = {"resnet18": (100, 32), "resnet50": (16, 224), "gpt2-small": (4, 256)}


class Worker:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            sys.exit(f"{self.process.args[0]} ended early")
        return answer

    def step(self):
        return int(self.ask("step"))


def remat_worker(arguments, name, batch, size, folder):
    size_option = "--seq" if name.startswith("gpt2") else "--image"
    optimizer = "adamw" if name.startswith("gpt2") else "sgd"
    model = [name, "--batch", str(batch), size_option, str(size), "--threads", str(arguments.threads), "--optimizer",
             optimizer]
    plan = str(pathlib.Path(folder) / f"{name}.json")
    subprocess.run([arguments.remat, "solve", *model, "--solver", "keep-all", "--analytic", "-o", plan], check=True,
                   stdout=subprocess.DEVNULL)
    return Worker([arguments.remat, "worker", *model, plan])


def compare(arguments, name, folder):
    batch, size = CASES[name]
    ours = remat_worker(arguments, name, batch, size, folder)
    here = pathlib.Path(__file__).parent
    theirs = Worker([arguments.python, str(here / "torch_worker.py"), name, str(batch), str(size),
                     str(arguments.threads)])
    for worker in (ours, theirs):
        worker.step()
        worker.step()
    pairs = [(ours.step(), theirs.step()) for _ in range(arguments.steps)]
    ours.ask("end")
    versions = json.loads(theirs.ask("end"))
    ratios = [b / a for a, b in pairs]
    return {"model": name, "batch": batch, "size": size, "remat_steps_ns": [a for a, _ in pairs],
            "torch_steps_ns": [b for _, b in pairs], "remat_step_ns": int(statistics.median(a for a, _ in pairs)),
            "torch_step_ns": int(statistics.median(b for _, b in pairs)),
            "speedup": statistics.median(b for _, b in pairs) / statistics.median(a for a, _ in pairs),
            "speedup_quartiles": statistics.quantiles(ratios, n=4), "torch": versions}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--remat", default="build/remat")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("models", nargs="*", default=list(CASES))
    arguments = parser.parse_args()
    machine = json.loads(subprocess.run([arguments.remat, "check", "--json"], check=True, capture_output=True,
                                        text=True).stdout)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models or list(CASES):
            rows.append(compare(arguments, name, folder))
            print(f"{name}: remat {rows[-1]['remat_step_ns'] / 1e6:.1f} ms, torch "
                  f"{rows[-1]['torch_step_ns'] / 1e6:.1f} ms, {rows[-1]['speedup']:.2f}x", flush=True)
    result = {"format": "remat-speed", "version": 1, "date": datetime.datetime.now(datetime.timezone.utc).isoformat(),
              "command": "bench/peers/speed.py " + " ".join(["--steps", str(arguments.steps), *arguments.models]), "commit": machine["commit"], "machine": machine,
              "system": platform.platform(), "rows": rows}
    pathlib.Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")


main()
