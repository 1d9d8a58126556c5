"""PyTorch training steps on request, for speed.py and gpu.py. Lines in, one line out for each:

step      one step; nanoseconds
steps N   N steps in a row; their nanoseconds altogether, by the wall's clock, the device being waited for at both ends
compile   torch.compile from here on, and one step, which compiles; nanoseconds
end       versions and the peak of memory, as JSON

A step that cannot be done is answered by "failed" and the reason; the worker goes on.
"""
import argparse
import contextlib
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as functional


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.c_attn(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(batch, length, width))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.c_proj(functional.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = Attention(width, heads), Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt2(nn.Module):
    """GPT-2 with the classifier tied to the token table; forward gives the mean loss."""

    def __init__(self, layers, width, heads, vocabulary=50257, positions=1024):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(width)

    def forward(self, tokens, targets):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.h:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


GPT2 = {"gpt2-small": (12, 768, 12), "gpt2-medium": (24, 1024, 16), "gpt2-large": (36, 1280, 20),
        "gpt2-xl": (48, 1600, 25)}


def set_precision(precision):
    """f32: no TF32 anywhere; tf32: wherever PyTorch knows it; bf16: autocast, everything else in TF32."""
    fast = precision != "f32"
    torch.backends.cuda.matmul.allow_tf32 = fast
    torch.backends.cudnn.allow_tf32 = fast
    torch.backends.cudnn.benchmark = True
    return torch.bfloat16 if precision == "bf16" else None


class Step:
    """A model, its batch (which stays on the device) and its optimizer."""

    def __init__(self, name, batch, size, device="cpu", precision="f32", vocabulary=50257):
        torch.manual_seed(1)
        self.device = torch.device(device)
        self.dtype = set_precision(precision)
        self.text = name in GPT2
        if self.text:
            self.model = Gpt2(*GPT2[name], vocabulary=vocabulary).to(self.device)
            self.batch = [torch.randint(0, 50257, (batch, size), device=self.device) for _ in range(2)]
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=True)
        else:
            import torchvision
            self.model = getattr(torchvision.models, name)().to(self.device, memory_format=torch.channels_last)
            images = torch.rand(batch, 3, size, size, device=self.device).to(memory_format=torch.channels_last)
            self.batch = [images, torch.randint(0, 1000, (batch,), device=self.device)]
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, fused=True)
        self.model.train()
        self.forward = self.model

    def compile(self):
        self.forward = torch.compile(self.model)

    def loss(self):
        if self.text:
            return self.forward(*self.batch)
        return functional.cross_entropy(self.forward(self.batch[0]), self.batch[1])

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, self.dtype) if self.dtype else contextlib.nullcontext():
            loss = self.loss()
        loss.backward()
        self.optimizer.step()

    def wait(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def timed(step, count):
    step.wait()
    begin = time.perf_counter_ns()
    for _ in range(count):
        step()
    step.wait()
    return time.perf_counter_ns() - begin


def versions(step):
    found = {"torch": torch.__version__, "threads": torch.get_num_threads(),
             "mkldnn": torch.backends.mkldnn.is_available()}
    if step.device.type == "cuda":
        found.update(device=torch.cuda.get_device_name(), cuda=torch.version.cuda, cudnn=torch.backends.cudnn.version(),
                     peak_bytes=torch.cuda.max_memory_allocated(), reserved_bytes=torch.cuda.max_memory_reserved())
    return json.dumps(found)


def answer(step, line):
    words = line.split()
    try:
        if words[0] == "end":
            return versions(step)
        if words[0] == "compile":
            step.compile()
        return timed(step, int(words[1]) if words[0] == "steps" else 1)
    except Exception as error:  # noqa: BLE001: whatever PyTorch raises is told, and the driver decides
        if step.device.type == "cuda":
            step.optimizer.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
        return f"failed {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("batch", type=int)
    parser.add_argument("size", type=int)
    parser.add_argument("threads", type=int, help="0: PyTorch's own choice")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"])
    parser.add_argument("--vocabulary", type=int, default=50257)
    parser.add_argument("--memory", type=float, default=0, help="bytes that the allocator may take; 0: all")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    if arguments.memory and arguments.device == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, arguments.memory / total))
    try:
        step = Step(arguments.name, arguments.batch, arguments.size, arguments.device, arguments.precision,
                    arguments.vocabulary)
    except torch.OutOfMemoryError as error:
        sys.exit(f"out of memory: {error}")
    for line in sys.stdin:
        print(answer(step, line), flush=True)
        if line.strip() == "end":
            break


if __name__ == "__main__":
    main()
