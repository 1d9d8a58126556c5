"""Prints tests/runtime/golden_torch_ops.h: results of PyTorch in double, which test_op_golden.c expects of ref.

    python tests/golden/torch_ops.py > tests/runtime/golden_torch_ops.h

Operands are wave(stream, shape)[i] = sin(0.7 i + 1.3 stream + 0.2); attributes are rounded to float, as remat's are."""
import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def wave(stream, *shape):
    count = int(np.prod(shape))
    return torch.tensor(np.sin(0.7 * np.arange(count) + 1.3 * stream + 0.2)).reshape(shape)


def single(x):
    return float(np.float32(x))


def emit(name, tensor):
    values = ",\n    ".join(f"{v:.17g}" for v in tensor.detach().contiguous().flatten().tolist())
    print(f"static const double golden_{name}[] = {{\n    {values}}};\n")


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def images():
    x = wave(0, 1, 5, 4, 3)
    emit("conv2d", channels_last(F.conv2d(channels_first(x), channels_first(wave(1, 2, 3, 3, 3)), stride=2, padding=1)))
    emit("maxpool", channels_last(F.max_pool2d(channels_first(x), 3, 2, 1)))
    norm = torch.nn.BatchNorm2d(3, eps=single(1e-5), momentum=single(0.1))
    with torch.no_grad():
        norm.weight.copy_(wave(1, 3))
        norm.bias.copy_(wave(2, 3))
        norm.running_mean.copy_(wave(3, 3))
        norm.running_var.copy_(wave(4, 3) + 2)
    emit("batchnorm", channels_last(norm(channels_first(x))))
    emit("running_mean", norm.running_mean)
    emit("running_var", norm.running_var)
    norm.eval()
    emit("batchnorm_eval", channels_last(norm(channels_first(x))))


def text():
    emit("linear", F.linear(wave(0, 4, 5), wave(1, 3, 5), wave(2, 3)))
    emit("layernorm", F.layer_norm(wave(0, 4, 5), [5], wave(1, 5), wave(2, 5), single(1e-5)))
    emit("gelu", F.gelu(3 * wave(0, 9), approximate="tanh"))
    q, k, v = (x.reshape(1, 5, 2, 3).transpose(1, 2) for x in (2 * wave(0, 1, 5, 18)).split(6, dim=2))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    emit("attention", out.transpose(1, 2).reshape(1, 5, 6))
    scores = (q @ k.transpose(2, 3) / 3**0.5).masked_fill(torch.triu(torch.ones(5, 5, dtype=bool), 1), -torch.inf)
    emit("lse", torch.logsumexp(scores, 3))
    logits = (2 * wave(0, 4, 5)).requires_grad_()
    loss = F.cross_entropy(logits, torch.tensor([1, 0, 4, 2]), label_smoothing=single(0.1))
    loss.backward()
    emit("loss", loss)
    emit("dlogits", logits.grad)


def train(name, make, clip=None):
    """Three steps from wave(0) with the gradients wave(1), wave(2), wave(3)."""
    w = torch.nn.Parameter(wave(0, 6))
    optimizer = make([w])
    for step in range(3):
        w.grad = wave(1 + step, 6)
        if clip:
            torch.nn.utils.clip_grad_norm_([w], clip)
        optimizer.step()
    emit(name, w)


def updates():
    rate, decay, momentum = single(0.05), single(0.01), single(0.9)
    sgd, adamw = torch.optim.SGD, torch.optim.AdamW
    train("sgd", lambda p: sgd(p, rate, weight_decay=decay))
    train("sgd_momentum", lambda p: sgd(p, rate, momentum=momentum, weight_decay=decay))
    train("sgd_nesterov", lambda p: sgd(p, rate, momentum=momentum, weight_decay=decay, nesterov=True))
    train("sgd_clipped", lambda p: sgd(p, rate, momentum=momentum), clip=0.5)
    train("adamw", lambda p: adamw(p, rate, (momentum, single(0.999)), single(1e-8), decay))
    train("adamw_clipped", lambda p: adamw(p, rate, (momentum, single(0.999)), single(1e-8), decay), clip=0.5)


print("/* Made by tests/golden/torch_ops.py with PyTorch %s; do not edit. */" % torch.__version__.split("+")[0])
print("#ifndef REMAT_TESTS_RUNTIME_GOLDEN_TORCH_OPS_H\n#define REMAT_TESTS_RUNTIME_GOLDEN_TORCH_OPS_H\n")
images()
text()
updates()
print("#endif")
