#!/usr/bin/env python3
"""Training speed on a GPU beside PyTorch, in one call: steps of both in turn, in blocks, so that the card's state hits both alike.

usage: bench/peers/gpu.py compare MODEL --batch N --size S --precision P [...]   one workload
       bench/peers/gpu.py batches MODEL --size S --precision P [...]             PyTorch's best batch within a memory limit
       bench/peers/gpu.py largest MODEL FOLDER --size S --precision P [...]      the largest batch runs, one more is refused
       bench/peers/gpu.py epochs MODEL DATA --epochs N --precision P [...] -- OPTIONS OF REMAT TRAIN

PyTorch: channels_last, autocast for bf16, fused optimizer, cuDNN's benchmark mode, GPT-2's vocabulary padded to a multiple of 128;
eager and torch.compile, and the faster of them counts. Ours: the preferred kernels and the measured ones (--options any), and
the faster of them counts. Results go to standard output as JSON. A machine without PyTorch still
gives ours, and says what is missing.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PADDED_VOCABULARY = 50304


class Failure(Exception):
    """A worker that ended, or a step that it could not do."""


class Worker:
    def __init__(self, command):
        self.messages = tempfile.TemporaryFile("w+", errors="replace")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.messages,
                                        text=True)

    def last_words(self):
        self.process.wait()
        self.messages.seek(0)
        return " ".join(self.messages.read().split())[-400:]

    def ask(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().strip()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise Failure(self.last_words() or "the worker ended early")
        if answer.startswith("failed"):
            raise Failure(answer[len("failed "):])
        return answer

    def steps(self, count):
        """Nanoseconds a step."""
        return int(self.ask(f"steps {count}")) / count

    def end(self):
        """What it says at its end; None if it is dead."""
        try:
            return self.ask("end")
        except (Failure, ValueError):
            return None
        finally:
            self.process.kill()
            self.process.wait()


def is_text(name):
    return name.startswith("gpt2")


def model_arguments(arguments, batch):
    text = is_text(arguments.model)
    return [arguments.model, "--batch", str(batch), "--seq" if text else "--image", str(arguments.size), "--optimizer",
            "adamw" if text else "sgd", "--device", arguments.device, "--precision", arguments.precision]


# How solve takes the kernels, and how a worker does.
KERNELS = {"preferred": (["--analytic"], []), "measured": (["--options", "any"], ["--options", "any"])}


def start_ours(arguments, folder, kernels):
    model = model_arguments(arguments, arguments.batch)
    plan = str(pathlib.Path(folder) / "plan.json")
    cache = ["--cache", arguments.cache] if arguments.cache else []
    solve, work = KERNELS[kernels]
    found = subprocess.run([arguments.remat, "solve", *model, "--solver", "keep-all", *solve, *cache, "--json", "-o", plan],
                           capture_output=True, text=True)
    if found.returncode != 0:
        raise Failure(found.stderr.strip())
    worker = Worker([arguments.remat, "worker", *model, *work, plan])
    worker.steps(6)  # both slots: as it stands, recorded, replayed
    return worker, json.loads(found.stdout)["planned_peak_bytes"]


def start_torch(arguments, batch):
    device = "cuda" if arguments.device.startswith("cuda") else "cpu"
    limit = ["--memory", str(arguments.memory)] if arguments.memory else []
    worker = Worker([arguments.python, str(HERE / "torch_worker.py"), arguments.model, str(batch), str(arguments.size),
                     str(arguments.threads), "--device", device, "--precision", arguments.precision, "--vocabulary",
                     str(PADDED_VOCABULARY), *limit])
    try:
        worker.steps(3)
    except Failure:
        worker.end()
        raise
    return worker


def block_size(arguments, step_ns):
    """Steps of about --block seconds altogether."""
    return max(1, min(50, int(arguments.block * 1e9 / step_ns)))


def in_turn(arguments, ours, torch, count):
    """Rounds of a block each; [(our ns a step, PyTorch's)]."""
    return [(ours.steps(count), torch.steps(count)) for _ in range(arguments.rounds)]


def summary(mode, pairs):
    ours, theirs = [round(a) for a, _ in pairs], [round(b) for _, b in pairs]
    return {"mode": mode, "remat_step_ns": int(statistics.median(ours)), "torch_step_ns": int(statistics.median(theirs)),
            "speedup": statistics.median(theirs) / statistics.median(ours), "remat_blocks_ns": ours,
            "torch_blocks_ns": theirs}


class Comparison:
    """Ours stays open as long as both fit on the card; without room its steps from before are taken."""

    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.torch = self.missing = None
        self.interleaved = True
        self.modes, self.failures, self.report = [], {}, None
        self.kernels_blocks = {kernels: self.time_kernels(kernels) for kernels in KERNELS}
        timed = {kernels: blocks for kernels, blocks in self.kernels_blocks.items() if blocks}
        if not timed:
            raise Failure(self.failures["preferred"])
        self.kernels = min(timed, key=lambda kernels: statistics.median(timed[kernels]))
        self.alone = timed[self.kernels]
        self.ours, self.planned = start_ours(arguments, folder, self.kernels)
        self.count = block_size(arguments, self.ours.steps(3))

    def time_kernels(self, kernels):
        """Blocks of ours alone; none if it fails."""
        try:
            worker, _ = start_ours(self.arguments, self.folder, kernels)
            count = block_size(self.arguments, worker.steps(3))
            blocks = [round(worker.steps(count)) for _ in range(self.arguments.rounds)]
        except Failure as failure:
            self.failures[kernels] = str(failure)
            return []
        worker.end()
        return blocks

    def make_room(self):
        self.report = self.ours.end() or self.report
        self.ours, self.interleaved = None, False

    def open_torch(self):
        try:
            self.torch = start_torch(self.arguments, self.arguments.batch)
        except Failure as failure:
            if "memory" in str(failure).lower() and self.ours:
                self.make_room()
                return self.open_torch()
            self.missing = str(failure)

    def blocks(self):
        if self.ours:
            return in_turn(self.arguments, self.ours, self.torch, self.count)
        theirs = [self.torch.steps(self.count) for _ in range(self.arguments.rounds)]
        return list(zip(self.alone, theirs))

    def measure(self, mode):
        try:
            if mode == "compile":
                self.torch.ask("compile")
                self.torch.steps(2)
            self.modes.append(summary(mode, self.blocks()))
        except Failure as failure:
            if "memory" in str(failure).lower() and self.ours:
                self.make_room()
                return self.measure(mode)
            self.failures[mode] = str(failure)

    def run(self, modes):
        self.open_torch()
        versions = None
        if self.torch:
            for mode in modes:
                self.measure(mode)
            versions = self.torch.end()
        if self.ours:
            self.report = self.ours.end()
        return json.loads(versions) if versions else None


def per_second(arguments, batch, step_ns):
    samples = batch * 1e9 / step_ns
    return {"tokens_per_second": samples * arguments.size} if is_text(arguments.model) else {"images_per_second": samples}


def compare(arguments):
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(arguments, folder)
        versions = comparison.run(["eager"] if arguments.no_compile else ["eager", "compile"])
    best = min(comparison.modes, key=lambda mode: mode["torch_step_ns"], default=None)
    step_ns = best["remat_step_ns"] if best else int(statistics.median(comparison.alone))
    result = {"model": arguments.model, "batch": arguments.batch, "size": arguments.size, "precision": arguments.precision,
              "steps_in_a_block": comparison.count, "interleaved": comparison.interleaved, "planned_peak_bytes": comparison.planned,
              "remat_step_ns": step_ns, "remat": per_second(arguments, arguments.batch, step_ns),
              "kernels": comparison.kernels, "kernels_alone_blocks_ns": comparison.kernels_blocks,
              "worker_report": comparison.report, "failures": comparison.failures, "torch": versions, "torch_vocabulary": PADDED_VOCABULARY if is_text(arguments.model) else None,
              "torch_missing": comparison.missing, "modes": comparison.modes}
    if best:
        result.update(best_mode=best["mode"], speedup=best["speedup"],
                      torch_best=per_second(arguments, arguments.batch, best["torch_step_ns"]))
    return result


def time_batch(arguments, batch, compiled):
    worker = start_torch(arguments, batch)
    try:
        if compiled:
            worker.ask("compile")
            worker.steps(2)
        count = block_size(arguments, worker.steps(1))
        blocks = [worker.steps(count) for _ in range(arguments.rounds)]
    except Failure:
        worker.end()
        raise
    versions = json.loads(worker.end() or "null")
    step_ns = statistics.median(blocks)
    return {"batch": batch, "mode": "compile" if compiled else "eager", "torch_step_ns": round(step_ns),
            **per_second(arguments, batch, step_ns), "blocks_ns": [round(t) for t in blocks], "torch": versions}


def throughput(row):
    return row.get("images_per_second") or row.get("tokens_per_second")


def batches(arguments):
    """Eager at growing batches until memory ends; torch.compile at the best of them and, with less memory, one larger, as
    long as --seconds last."""
    begin, rows, failures = time.monotonic(), [], {}
    for batch in arguments.batches:
        try:
            rows.append(time_batch(arguments, batch, False))
        except Failure as failure:
            failures[str(batch)] = str(failure)
            break
    ranked = sorted(rows, key=throughput, reverse=True)
    tries = [ranked[0]["batch"]] if ranked else []
    larger = [int(b) for b in failures] + [row["batch"] for row in rows if tries and row["batch"] > tries[0]]
    for batch in tries + sorted(larger)[:1]:
        left = arguments.seconds - (time.monotonic() - begin)
        if arguments.no_compile or left < arguments.compile_seconds:
            failures[f"compile {batch}"] = f"not tried: {left:.0f} s are left of {arguments.seconds}"
            continue
        try:
            rows.append(time_batch(arguments, batch, True))
        except Failure as failure:
            failures[f"compile {batch}"] = str(failure)
    best = max(rows, key=throughput, default=None)
    return {"model": arguments.model, "size": arguments.size, "precision": arguments.precision,
            "memory_bytes": arguments.memory or None, "best": best, "rows": rows, "failures": failures}


def train(arguments, batch, memory):
    return subprocess.run([arguments.remat, "train", *model_arguments(arguments, batch), "--data", "synthetic", "--steps", "3",
                           "--memory", memory, "--json", *(["--cache", arguments.cache] if arguments.cache else [])],
                          capture_output=True, text=True)


def largest(arguments):
    """Of a batch-size test in FOLDER: the largest batch trains under the same limit, one more is refused before step 0."""
    found = json.loads((pathlib.Path(arguments.folder) / "batchsize.json").read_text())
    memory, batch = str(found["memory_bytes"]), found["largest_batch"]
    runs, refused = train(arguments, batch, memory), train(arguments, batch + 1, memory)
    result = {"batch": batch, "memory_bytes": found["memory_bytes"], "exit_codes": [runs.returncode, refused.returncode],
              "result": json.loads(runs.stdout) if runs.returncode == 0 else runs.stderr[-2000:],
              "refusal": refused.stderr.strip()[-500:]}
    if runs.returncode != 0 or refused.returncode != 3:
        print(json.dumps(result, indent=1))
        sys.exit(1)
    return result


def epochs(arguments):
    """Training with its log: seconds and accuracy of each epoch, evaluation included, and the first with 94 %."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run([arguments.remat, "train", arguments.model, "--data", arguments.data, "--device", arguments.device,
                              "--precision", arguments.precision, "--epochs", str(arguments.epochs), "--save-every", "100000",
                              "--log-every", "100", "--json", "-o", folder, *arguments.options], stdout=subprocess.PIPE,
                             text=True)
        if run.returncode != 0:
            sys.exit(run.returncode)
        events = [json.loads(line) for line in (pathlib.Path(folder) / "log.jsonl").read_text().splitlines()]
    rows = [event for event in events if event["event"] == "epoch"]
    steps = [event["step_ns"] for event in events if event["event"] == "step"]
    reached = [i for i, row in enumerate(rows) if row["test_accuracy"] >= 0.94]
    return {"model": arguments.model, "precision": arguments.precision, "options": arguments.options,
            "seconds_per_epoch": statistics.median(row["seconds"] for row in rows), "best_accuracy":
            max(row["test_accuracy"] for row in rows), "seconds_to_94_percent":
            sum(row["seconds"] for row in rows[:reached[0] + 1]) if reached else None,
            "step_ns": statistics.median(steps) if steps else None, "epochs": rows, "result": json.loads(run.stdout)}


def add_common(parser, size=True):
    parser.add_argument("model")
    if size:
        parser.add_argument("--size", type=int, required=True, help="image side, or tokens of a sequence")
    parser.add_argument("--precision", default="bf16", choices=["f32", "tf32", "bf16"])
    parser.add_argument("--device", default="cuda", help="of remat; PyTorch runs on cuda beside cuda, else on cpu")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch on the host")
    parser.add_argument("--remat", default="build/remat")
    parser.add_argument("--python", default=sys.executable, help="one that has torch")
    parser.add_argument("--cache", help="remat's profile cache")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--block", type=float, default=1.0, help="seconds of a block")
    parser.add_argument("--memory", type=float, default=0, help="bytes that PyTorch may take")
    parser.add_argument("--no-compile", action="store_true")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("compare")
    add_common(one)
    one.add_argument("--batch", type=int, required=True)
    many = commands.add_parser("batches")
    add_common(many)
    many.add_argument("--batches", type=int, nargs="+", default=[64, 128, 192, 256, 320, 384, 448, 512, 640, 768])
    many.add_argument("--seconds", type=float, default=500)
    many.add_argument("--compile-seconds", type=float, default=200, help="what compiling and timing a batch may take")
    last = commands.add_parser("largest")
    add_common(last)
    last.add_argument("folder")
    data = commands.add_parser("epochs")
    add_common(data, size=False)
    data.add_argument("data")
    data.add_argument("--epochs", type=int, required=True)
    own, options = sys.argv[1:], []
    if "--" in own:
        own, options = own[:own.index("--")], own[own.index("--") + 1:]
    arguments = parser.parse_args(own)
    arguments.options = options
    try:
        result = {"compare": compare, "batches": batches, "largest": largest, "epochs": epochs}[arguments.command](arguments)
    except Failure as failure:
        sys.exit(f"remat: {failure}" if not str(failure).startswith("remat:") else str(failure))
    print(json.dumps(result, indent=1))


main()
