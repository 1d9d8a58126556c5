"""A PyTorch training step on request: answers "step" lines with nanoseconds, "end" with versions. See speed.py."""
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
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        logits = self.ln_f(x) @ self.wte.weight.T
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


GPT2 = {"gpt2-small": (12, 768, 12), "gpt2-medium": (24, 1024, 16), "gpt2-large": (36, 1280, 20),
        "gpt2-xl": (48, 1600, 25)}


def make_step(name, batch, size):
    torch.manual_seed(1)
    if name in GPT2:
        model = Gpt2(*GPT2[name])
        tokens = torch.randint(0, 50257, (batch, size))
        targets = torch.randint(0, 50257, (batch, size))
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        loss_of = lambda: model(tokens, targets)
    else:
        import torchvision
        model = getattr(torchvision.models, name)().to(memory_format=torch.channels_last)
        images = torch.rand(batch, 3, size, size).to(memory_format=torch.channels_last)
        labels = torch.randint(0, 1000, (batch,))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=True)
        loss_of = lambda: functional.cross_entropy(model(images), labels)
    model.train()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of().backward()
        optimizer.step()
    return step


def main():
    name, batch, size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    step = make_step(name, batch, size)
    for line in sys.stdin:
        if line.strip() == "end":
            break
        begin = time.perf_counter_ns()
        step()
        print(time.perf_counter_ns() - begin, flush=True)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(),
                      "mkldnn": torch.backends.mkldnn.is_available()}), flush=True)


if __name__ == "__main__":
    main()
