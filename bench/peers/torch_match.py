#!/usr/bin/env python3
"""Whole training steps beside PyTorch from identical weights: losses, gradients, running statistics, updated parameters.

usage: PYTHON_WITH_TORCH bench/peers/torch_match.py --dump build/remat_dump_step -o RESULT.json [CASE ...]

remat_dump_step trains some steps and writes what it started from and what came out. Here PyTorch does the same steps twice, in
double and in single precision. Double is taken as the truth; distances are Euclidean, of whole tensors, relative to the truth's
norm; of parameters and running statistics, what the steps changed is compared. A tensor passes if its distance is at most
TOLERANCE, or at most FACTOR times that of PyTorch's own single precision (in double, times the ratio of the roundings): a small
change of a large number and Adam's quotient of two small ones magnify rounding for everyone. Of the case's seeds the smallest
distances count, on both sides: in single precision a rectifier whose argument is nearly 0 can open on one side and not on the
other, with some seed here and some seed there, while a mistake shows with every seed.
Runs of one case under other plans must equal keep-all's in every bit.
"""
import argparse
import datetime
import json
import mmap
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as functional
import torchvision

import torch_worker

TOLERANCE = {"f32": 1e-4, "f64": 1e-11}
FACTOR = 4.0
ROUNDING = {"f32": 1.0, "f64": 2.0 ** -29}  # relative to single precision

SGD = ["--optimizer", "sgd", "--nesterov", "--weight-decay", "5e-4", "--learning-rate"]
ADAMW = ["--optimizer", "adamw", "--weight-decay", "0.1", "--learning-rate", "1e-3"]
# Where the gradient is 0 but for rounding, Adam's first steps are whole ones of either sign, unless epsilon is larger than that.
LARGE_EPSILON = ["--epsilon", "1e-5"]
RESNET18 = ["resnet18", "--batch", "8", "--image", "32", "--classes", "10"]
RESNET50 = ["resnet50", "--batch", "4", "--image", "64"]
GPT2 = ["gpt2", "--batch", "4", "--seq", "64", "--vocab", "256", "--layers", "4", "--width", "128", "--heads", "4"]
GPT2_SMALL = ["gpt2-small", "--batch", "1", "--seq", "64"]

CPU, REF = ["--device", "cpu"], ["--device", "ref"]
DOUBLE = REF + ["--precision", "f64"]
PLANS = [CPU + ["--solver", solver, "--budget", "smallest"] for solver in ("sqrt", "chain")]
# name: model and optimizer, seeds, runs
CASES = {
    "resnet18-sgd": (RESNET18 + SGD + ["1e-3"], 3, [CPU, *PLANS, REF, DOUBLE]),
    "resnet18-adamw": (RESNET18 + ADAMW, 3, [CPU, *PLANS, REF, DOUBLE]),
    "resnet50-sgd": (RESNET50 + SGD + ["1e-3"], 3, [CPU, *PLANS, REF, DOUBLE]),
    "gpt2-adamw": (GPT2 + ADAMW, 3, [CPU, *PLANS, REF, DOUBLE]),
    "gpt2-sgd": (GPT2 + SGD + ["0.1"], 3, [CPU, *PLANS, REF, DOUBLE]),
    "gpt2-small-adamw": (GPT2_SMALL + ADAMW + LARGE_EPSILON, 1, [CPU, PLANS[1]]),
}
LAYERS = {"gpt2": (4, 128, 4), **torch_worker.GPT2}


# --- files --------------------------------------------------------------------------------------------------------------------

DTYPES = {"F32": torch.float32, "F64": torch.float64, "I32": torch.int32, "U8": torch.uint8}


class Dump:
    """The tensors of a safetensors file, read when asked for."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header = int.from_bytes(self.data[:8], "little")
        self.entries = json.loads(self.data[8:8 + header])
        self.metadata = self.entries.pop("__metadata__")
        self.begin = 8 + header

    def bytes_of(self, name):
        first, last = self.entries[name]["data_offsets"]
        return self.data[self.begin + first:self.begin + last]

    def __getitem__(self, name):
        entry = self.entries[name]
        return torch.frombuffer(bytearray(self.bytes_of(name)), dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"])

    def group(self, name):
        return [key for key in self.entries if key.startswith(name + "/")]

    def steps(self):
        return 1 + max(int(key.split("/")[0][5:]) for key in self.entries if key.startswith("step."))

    def loss(self, step):
        total, rows = self[f"step.{step}/metrics"][:2].tolist()
        return total / rows


# --- PyTorch's side -----------------------------------------------------------------------------------------------------------

def single(value):
    """The nearest number of single precision: constants are singles on the other side."""
    return torch.tensor(value, dtype=torch.float32).item()


def make_model(dump, name):
    if name.startswith("gpt2"):
        vocabulary, positions = (dump.entries[f"first/{table}.weight"]["shape"][0] for table in ("wte", "wpe"))
        model = torch_worker.Gpt2(*LAYERS[name], vocabulary=vocabulary, positions=positions)
    else:
        model = getattr(torchvision.models, name)(num_classes=dump.entries["first/fc.bias"]["shape"][0])
    for module in model.modules():
        if hasattr(module, "eps"):
            module.eps = single(module.eps)
        if getattr(module, "momentum", None) is not None:
            module.momentum = single(module.momentum)
    return model


def load(model, dump):
    state = model.state_dict()
    ours = {key[len("first/"):] for key in dump.group("first")}
    theirs = {name for name in state if not name.endswith("num_batches_tracked")}
    if ours != theirs:
        sys.exit(f"parameters without counterpart: {sorted(ours ^ theirs)}")
    for name in ours:
        state[name].copy_(dump["first/" + name])


def make_optimizer(model, dump):
    settings = json.loads(dump.metadata["optimizer"])
    parameters = list(model.parameters())
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings["weight_decay"]},
              {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0}]
    if settings["beta2"]:
        return torch.optim.AdamW(groups, lr=settings["learning_rate"], betas=(settings["beta1"], settings["beta2"]),
                                 eps=settings["epsilon"])
    return torch.optim.SGD(groups, lr=settings["learning_rate"], momentum=settings["momentum"], nesterov=settings["nesterov"])


def loss_of(model, dump, step, precision):
    inputs, labels = dump[f"step.{step}/input"], dump[f"step.{step}/labels"].long()
    if inputs.dtype != torch.uint8:
        return model(inputs.long(), labels)
    mean, deviation = (torch.tensor(v, dtype=torch.float32).to(precision) for v in ((.485, .456, .406), (.229, .224, .225)))
    images = (inputs.to(precision) / 255 - mean) / deviation
    return functional.cross_entropy(model(images.permute(0, 3, 1, 2).contiguous()), labels)


def train(dump, name, precision):
    """{"loss/0": ..., "gradient/fc.weight": ..., "change/fc.weight": last - first}"""
    model = make_model(dump, name).to(precision)
    load(model, dump)
    optimizer = make_optimizer(model, dump)
    model.train()
    out = {}
    for step in range(dump.steps()):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, dump, step, precision)
        loss.backward()
        out[f"loss/{step}"] = loss.detach()
        if step == 0:
            out.update({"gradient/" + key: p.grad.clone() for key, p in model.named_parameters()})
        optimizer.step()
    out.update({"change/" + key: value.double() - dump["first/" + key].double() for key, value in model.state_dict().items()
                if not key.endswith("num_batches_tracked")})
    return out


# --- comparison ---------------------------------------------------------------------------------------------------------------

def distance(found, truth):
    norm = truth.norm().item()
    return (found.to(torch.float64) - truth).norm().item() / (norm or 1.0)


def kind_of(key):
    kind = {"loss": "losses", "gradient": "gradients", "change": "parameter_changes"}[key.split("/")[0]]
    return "running_statistic_changes" if ".running_" in key else kind


def ours_of(dump, key):
    kind, name = key.split("/")
    if kind == "loss":
        return torch.tensor(dump.loss(int(name)), dtype=torch.float64)
    return dump["last/" + name].double() - dump["first/" + name].double() if kind == "change" else dump[key]


def distances(tensors, truth):
    return {key: distance(tensors(key), expected) for key, expected in truth.items()}


def compare(ours, theirs, precision):
    """Summaries by kind of tensor. `ours` and `theirs` are distances by tensor, a list over seeds: ours, and those of PyTorch in
    single precision."""
    rows = {}
    for key in ours[0]:
        values, single_values = ([one[key] for one in side] for side in (ours, theirs))
        rows.setdefault(kind_of(key), []).append((min(values), min(single_values), statistics.median(values),
                                                  statistics.median(single_values), key))
    return {kind: summarise(found, precision) for kind, found in rows.items()}


def summarise(rows, precision):
    worst = max(rows)
    over = [row for row in rows if not row[0] <= TOLERANCE[precision]]
    failed = [row[-1] for row in over if not row[0] <= FACTOR * ROUNDING[precision] * row[1]]
    return {"tensors": len(rows), "largest_distance": worst[0], "largest_distance_tensor": worst[-1],
            "median_distance": statistics.median(row[0] for row in rows),
            "torch_f32_largest_distance": max(row[1] for row in rows),
            "torch_f32_median_distance": statistics.median(row[1] for row in rows),
            "largest_median_over_seeds": max(row[2] for row in rows),
            "torch_f32_largest_median_over_seeds": max(row[3] for row in rows),
            "above_tolerance": len(over), "failed": failed}


def same_bits(a, b):
    return a.entries.keys() == b.entries.keys() and all(a.bytes_of(key) == b.bytes_of(key) for key in a.entries)


class Run:
    """One device, precision and plan of a case, over all seeds."""

    def __init__(self, command):
        self.command, self.plan = command, "--budget" in command
        self.precision = "f64" if "f64" in command else "f32"
        self.distances, self.same_bits, self.metadata = [], [], None

    def dump(self, seed, path):
        subprocess.run([*self.command, "--seed", str(seed), "-o", str(path)], check=True)
        dump = Dump(path)
        self.metadata = dump.metadata
        return dump

    def result(self, theirs):
        out = {"command": " ".join(["remat_dump_step", *self.command[1:]]), "precision": self.precision,
               **{key: self.metadata[key] for key in ("device", "solver", "plan_hash")},
               "arena_bytes": int(self.metadata["arena_bytes"])}
        if self.plan:
            return {**out, "bits_equal_keep_all": all(self.same_bits), "pass": all(self.same_bits)}
        kinds = compare(self.distances, theirs, self.precision)
        return {**out, "distances": kinds, "pass": not any(kind["failed"] for kind in kinds.values())}


def run_seed(model, runs, seed, folder):
    """Fills in the runs; returns the distances of PyTorch in single precision. The first run is keep-all in single precision."""
    first = runs[0].dump(seed, folder / "first.safetensors")
    truth = train(first, model, torch.float64)
    singles = train(first, model, torch.float32)
    theirs = distances(singles.__getitem__, truth)
    del singles
    for run in runs:
        dump = first if run is runs[0] else run.dump(seed, folder / "other.safetensors")
        if run.plan:
            run.same_bits.append(same_bits(dump, first))
        else:
            run.distances.append(distances(lambda key, dump=dump: ours_of(dump, key), truth))
    return theirs


def run_case(name, arguments, folder):
    model_arguments, seeds, variants = CASES[name]
    common = ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
    runs = [Run([arguments.dump, *model_arguments, *variant, *common]) for variant in variants]
    theirs = [run_seed(model_arguments[0], runs, seed, folder) for seed in range(1, seeds + 1)]
    results = [run.result(theirs) for run in runs]
    for result in results:
        print(summary(name, result), flush=True)
    return {"name": name, "seeds": seeds, "commit": runs[0].metadata["commit"], "runs": results}


def summary(name, result):
    what = f"{name:17} {result['device'].split('/')[0].split()[0]} {result['precision']} {result['solver']:8} "
    if "distances" not in result:
        what += f"bits equal keep-all's: {result['bits_equal_keep_all']}"
    else:
        what += ", ".join(f"{kind} {row['largest_distance']:.1e} ({row['torch_f32_largest_distance']:.1e})"
                          for kind, row in result["distances"].items())
    return what + ("" if result["pass"] else "  FAILED")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("cases", nargs="*", choices=[[], *CASES])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cases = []
    for name in arguments.cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            cases.append(run_case(name, arguments, pathlib.Path(folder)))
    result = {"format": "remat-torch-match", "version": 1,
              "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "commit": cases[0]["commit"],
              "command": "bench/peers/torch_match.py " + " ".join(sys.argv[1:]),
              "machine": {"processor": processor(), "threads": arguments.threads},
              "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__,
                           "python": platform.python_version()},
              "tolerance": TOLERANCE, "factor_of_torch_f32": FACTOR, "steps": arguments.steps, "cases": cases}
    pathlib.Path(arguments.output).write_text(json.dumps(result, indent=1) + "\n")
    return 0 if all(run["pass"] for case in cases for run in case["runs"]) else 1


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if pathlib.Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    sys.exit(main())
