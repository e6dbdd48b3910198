#!/usr/bin/env python3
"""Writes the golden data of this folder: what PyTorch says about model, ops and optimizers.

    python3 tests/golden/make_golden.py [--check]

The files are committed, so that building and testing never needs Python; run this only when the
definition of the model changes. --check compares with the files that are there instead of writing.
Needs torch and numpy (written with torch 2.13.0, numpy 2.4.6, CPU). All is computed in double. All
inputs are exact in float32, so that the float build starts from the same numbers.

The Transformer is written out here from its formulas with plain tensor operations and autograd; no
torch.nn module takes part, so it shares nothing with the C sources but the definition in README.
The single ops come from torch.nn.functional instead, and the optimizers from torch.optim; before
anything is written, the plain formulas are held against torch.nn.functional to 1e-12.

File format (read by tests/support/golden.c). Little-endian, every part padded with NUL to 8 bytes:
    8 bytes   magic "PGGOLDEN"
    uint32    version, 1
    uint32    number of arrays
  then for each array
    uint32    bytes of the name
    uint32    type: 0 float64, 1 int32, 2 text (one byte an element), 3 float32
    uint32    dimensions, 0 to 5 (0 is a scalar)
    uint32    zero
    int64     size of each dimension
    bytes     name, padded
    bytes     data, row-major, padded
Nothing follows the last array.

The files pe_*.bin come from make_golden_encodings.py, which shares the format and formulas here.

Names in model_*.bin, as in `posgrad trace`, dots kept:
    config/{layers,heads,dim,ff_dim,vocab,train_length,length,batch,causal,tie}   int32 scalars
    config/pe                                                                      text
    batch/{tokens,targets,mask}                                                    int32 [B, T]
    params/NAME, grads/NAME                                                        float64
    outputs/{logits,loss}                                                          float64
Names in ops.bin: CASE/{input names}, CASE/output, CASE/cotangent, CASE/grad_INPUT, CASE/{settings}.
Names in optimizers.bin: CASE/{optimizer,options} text, CASE/{lr,clip,weight_decay},
CASE/matrix/{start,grads,values} (takes weight decay) and CASE/vector/... (does not); grads and
values have a row a step.

Some gradients are zero by arithmetic: that of attn.k.bias (softmax does not see a shift of all its
scores), and those of x and gain of a LayerNorm over one channel. What autograd leaves of them is
rounding, so it is checked to be below 1e-12 and written as zeros.

A case that loses digits by itself cannot judge a float build, so each model is also run in float32
by torch, and must come within FLOAT_LIMIT of its own double: a seed for which a gradient is all
cancellation is refused here rather than forgiven by the test. Float sums round differently on
another processor, so that --check allows half of the test's tolerance.
"""
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
CHECK = "--check" in sys.argv[1:]
FLOAT_LIMIT = 5e-6 if CHECK else 2e-6  # a fifth of the test's tolerance, a half to check


# --- the file format

TYPES = ("<f8", "<i4", "u1", "<f4")


def padded(data):
    return data + b"\0" * (-len(data) % 8)


def encode(arrays):
    parts = [struct.pack("<8sII", b"PGGOLDEN", 1, len(arrays))]
    for name, value in arrays.items():
        if isinstance(value, str):
            kind, data = 2, np.frombuffer(value.encode(), dtype=np.uint8)
        else:
            data = value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)
            kind = 1 if data.dtype.kind != "f" else 3 if data.dtype == np.float32 else 0
            if kind == 1:
                assert np.all(np.abs(data.astype(np.int64)) < 2**31), name
            else:
                assert np.all(np.isfinite(data)), name
        raw = data.astype(TYPES[kind]).tobytes()
        label = name.encode()
        parts.append(struct.pack("<IIII", len(label), kind, data.ndim, 0))
        parts.append(struct.pack("<%dq" % data.ndim, *data.shape))
        parts.append(padded(label))
        parts.append(padded(raw))
    return b"".join(parts)


def decode(data):
    """Name -> array of a file; the mirror of encode, for --check."""
    magic, version, count = struct.unpack_from("<8sII", data)
    assert magic == b"PGGOLDEN" and version == 1
    at, arrays = 16, {}
    for _ in range(count):
        label, kind, dims, _zero = struct.unpack_from("<IIII", data, at)
        shape = struct.unpack_from("<%dq" % dims, data, at + 16)
        at += 16 + 8 * dims
        name = data[at:at + label].decode()
        at += label + -label % 8
        dtype = np.dtype(TYPES[kind])
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        arrays[name] = np.frombuffer(data[at:at + size], dtype=dtype).reshape(shape)
        at += size + -size % 8
    assert at == len(data)
    return arrays


def compare(name, data):
    """The last digits may differ between versions of torch, nothing else."""
    with open(os.path.join(HERE, name), "rb") as file:
        old, new = decode(file.read()), decode(data)
    assert list(old) == list(new), name
    for key in old:
        assert old[key].shape == new[key].shape and old[key].dtype == new[key].dtype, (name, key)
        if old[key].dtype.kind != "f":
            assert np.array_equal(old[key], new[key]), (name, key)
        else:
            limit = 1e-12 * (1 + np.max(np.abs(old[key])))
            assert np.all(np.abs(old[key] - new[key]) <= limit), (name, key)


def emit(name, arrays, limit=60000):
    data = encode(arrays)
    assert len(data) < limit, (name, len(data))
    if CHECK:
        compare(name, data)
    else:
        with open(os.path.join(HERE, name), "wb") as file:
            file.write(data)
    print("%-30s %6d bytes, %3d arrays" % (name, len(data), len(arrays)))


def draw(rng, *shape, mean=0.0, std=1.0):
    """Normal numbers that are exact in float32, as a leaf."""
    values = (mean + std * rng.standard_normal(shape)).astype(np.float32).astype(np.float64)
    return torch.tensor(values, requires_grad=True)


# --- the formulas

def gelu(x):
    return 0.5 * x * (1 + torch.special.erf(x / math.sqrt(2)))


def layer_norm(x, gain, bias, epsilon=1e-5):
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred * centred).mean(-1, keepdim=True)
    return centred / torch.sqrt(variance + epsilon) * gain + bias


def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def masked_softmax(scores, allowed):
    """Softmax over the last dimension where `allowed`; a row with nothing allowed is all zeros."""
    scores = torch.where(allowed, scores, torch.full_like(scores, -1e30))
    e = torch.exp(scores - scores.max(-1, keepdim=True).values.detach()) * allowed
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total > 0, total, torch.ones_like(total))


def attention(q, k, v, heads, scale, causal, key_mask):
    """q [B, T, C], k and v [B, S, C], key_mask [B, S] with 1 for a key that is there."""
    batch, length, width = q.shape
    keys, size = k.shape[1], width // heads
    allowed = (key_mask != 0)[:, None, None, :].expand(batch, heads, length, keys)
    if causal:
        i, j = torch.arange(length)[:, None], torch.arange(keys)[None, :]
        allowed = allowed & (j <= i)
    # One head after the other, so that the layout of heads in channels is spelt out.
    out = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = scale * (q[:, :, part] @ k[:, :, part].transpose(1, 2))
        out.append(masked_softmax(scores, allowed[:, h]) @ v[:, :, part])
    return torch.cat(out, dim=2)


def cross_entropy(logits, targets):
    """Mean over the targets >= 0 of -log softmax(logits)[target]; 0 when there are none."""
    rows, wanted = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
    log_probability = rows - torch.logsumexp(rows, dim=1, keepdim=True)
    scored = wanted >= 0
    if not scored.any():
        return (rows * 0).sum()
    return -log_probability[scored, wanted[scored]].mean()


def sinusoids(length, dim):
    table = torch.zeros(length, dim)
    for k in range(length):
        for i in range(dim // 2):
            angle = k * 10000.0 ** (-2 * i / dim)
            table[k, 2 * i], table[k, 2 * i + 1] = math.sin(angle), math.cos(angle)
    return table


# --- the model

def make_params(rng, c):
    p = {}

    def matrix(name, out, size):
        p[name] = draw(rng, out, size, std=0.3)

    def dense(name, out, size):
        matrix(name + ".weight", out, size)
        p[name + ".bias"] = draw(rng, out, std=0.3)

    def norm(name):
        p[name + ".weight"] = draw(rng, c["dim"], mean=1.0, std=0.3)
        p[name + ".bias"] = draw(rng, c["dim"], std=0.3)

    matrix("tok_emb.weight", c["vocab"], c["dim"])
    if c["pe"] == "learned":
        matrix("pe.learned.weight", c["train_length"], c["dim"])
    for n in range(c["layers"]):
        at = "layers.%d." % n
        norm(at + "ln1")
        for part in "qkvo":
            dense(at + "attn." + part, c["dim"], c["dim"])
        norm(at + "ln2")
        dense(at + "mlp.up", c["ff_dim"], c["dim"])
        dense(at + "mlp.down", c["dim"], c["ff_dim"])
    norm("ln_f")
    if not c["tie"]:
        matrix("head.weight", c["vocab"], c["dim"])
    return p


def model(p, c, tokens, mask):
    x = p["tok_emb.weight"][tokens]
    if c["pe"] == "learned":
        x = x + p["pe.learned.weight"][:c["length"]]
    if c["pe"] == "sinusoidal":
        x = x + sinusoids(c["length"], c["dim"])
    scale = 1 / math.sqrt(c["dim"] // c["heads"])
    for n in range(c["layers"]):
        at = "layers.%d." % n

        def dense(name, y):
            return linear(y, p[at + name + ".weight"], p[at + name + ".bias"])

        h = layer_norm(x, p[at + "ln1.weight"], p[at + "ln1.bias"])
        a = attention(dense("attn.q", h), dense("attn.k", h), dense("attn.v", h), c["heads"], scale,
                      c["causal"], mask)
        x = x + dense("attn.o", a)
        h = layer_norm(x, p[at + "ln2.weight"], p[at + "ln2.bias"])
        x = x + dense("mlp.down", gelu(dense("mlp.up", h)))
    x = layer_norm(x, p["ln_f.weight"], p["ln_f.bias"])
    return linear(x, p["tok_emb.weight"] if c["tie"] else p["head.weight"])


def zeros_for(grad, name):
    """Zeros in place of a gradient that is zero by arithmetic."""
    assert grad.abs().max() < 1e-12, name
    return torch.zeros_like(grad)


def check_condition(name, p, c, tokens, targets, mask):
    """torch in float32 against itself in double."""
    torch.set_default_dtype(torch.float32)
    single = {key: value.detach().float().requires_grad_() for key, value in p.items()}
    cross_entropy(model(single, c, tokens, mask), targets).backward()
    torch.set_default_dtype(torch.float64)
    for key, value in p.items():
        if not key.endswith("attn.k.bias"):
            error = (single[key].grad - value.grad).abs().max() / value.grad.abs().max()
            assert error < FLOAT_LIMIT, (
                "%s: %s loses its digits in float (%.2g); take another seed" % (name, key, error))


def make_model(pe, arch, seed, hidden=(), ignored=(), **config):
    """`hidden` and `ignored` are (row, position) pairs; position None is the whole row."""
    name = "%s_%s" % (pe, arch)
    c = dict(layers=2, heads=2, dim=8, ff_dim=12, vocab=7, train_length=7, length=7, batch=2,
             causal={"encoder": False, "decoder": True}[arch], tie=False, pe=pe)
    assert set(config) <= set(c) - {"pe", "causal"}, config
    c.update(config)
    rng = np.random.default_rng(seed)
    p = make_params(rng, c)
    shape = (c["batch"], c["length"])
    tokens = torch.tensor(rng.integers(0, c["vocab"], shape))
    targets = torch.tensor(rng.integers(0, c["vocab"], shape))
    mask = torch.ones(shape, dtype=torch.int64)
    for row, position in hidden:
        mask[row, slice(None) if position is None else position] = 0
    for row, position in ignored:
        targets[row, slice(None) if position is None else position] = -1
    logits = model(p, c, tokens, mask)
    loss = cross_entropy(logits, targets)
    loss.backward()
    check_condition(name, p, c, tokens, targets, mask)

    arrays = {"config/" + key: value if isinstance(value, str) else int(value)
              for key, value in c.items()}
    arrays.update({"batch/tokens": tokens, "batch/targets": targets, "batch/mask": mask})
    arrays.update({"params/" + key: value for key, value in p.items()})
    arrays.update({"outputs/logits": logits, "outputs/loss": loss})
    for key, value in p.items():
        grad = value.grad
        if key.endswith("attn.k.bias"):
            grad = zeros_for(grad, key)
        else:
            assert grad.abs().max() > 1e-6, key
        arrays["grads/" + key] = grad
    emit("model_%s.bin" % name, arrays)


def make_models():
    # Padding at the end, and a last row without any key at all.
    make_model("none", "encoder", 1, batch=3, length=5, train_length=5,
               hidden=[(1, 3), (1, 4), (2, None)], ignored=[(0, 1), (1, 3), (1, 4)])
    make_model("none", "decoder", 12, heads=4)
    # The table is longer than the sequence: rows that were not read have gradient 0.
    make_model("learned", "encoder", 13, dim=12, heads=3, ff_dim=10, length=5, train_length=6,
               hidden=[(0, 2)], ignored=[(1, None)])
    make_model("learned", "decoder", 4, dim=9, heads=3, tie=True, ignored=[(0, 0), (1, 6)])
    make_model("sinusoidal", "encoder", 5, dim=12, heads=3, ff_dim=7, tie=True)
    # Padding at the start of a decoder: the first queries see no key.
    make_model("sinusoidal", "decoder", 6, dim=10, heads=1, batch=3, length=6, train_length=6,
               hidden=[(0, 0), (0, 1), (2, 3)], ignored=[(0, 0), (0, 1)])


# --- single ops, from torch.nn.functional

def close(a, b):
    assert a.shape == b.shape and (a - b).abs().max() < 1e-12


def add_case(arrays, rng, case, output, leaves, zero=(), **settings):
    """Gradients are those of <output, cotangent>: a plain sum would not see softmax at all."""
    arrays.update({case + "/" + key: value for key, value in settings.items()})
    arrays.update({case + "/" + key: value for key, value in leaves.items()})
    cotangent = torch.ones(()) if output.dim() == 0 else draw(rng, *output.shape).detach()
    arrays[case + "/output"] = output
    arrays[case + "/cotangent"] = cotangent
    grads = torch.autograd.grad((output * cotangent).sum(), list(leaves.values()))
    for key, grad in zip(leaves, grads):
        arrays[case + "/grad_" + key] = zeros_for(grad, key) if key in zero else grad


def add_attention(arrays, rng, case, batch, queries, keys, heads, size, scale, causal, hidden):
    q = draw(rng, batch, queries, heads * size)
    k, v = draw(rng, batch, keys, heads * size), draw(rng, batch, keys, heads * size)
    mask = torch.ones(batch, keys, dtype=torch.int64)
    for row, column in hidden:
        mask[row, column] = 0
    allowed = (mask != 0)[:, None, None, :].expand(batch, 1, queries, keys)
    if causal:
        allowed = allowed & torch.ones(queries, keys, dtype=torch.bool).tril()

    def split(x):
        return x.unflatten(2, (heads, size)).transpose(1, 2)

    output = F.scaled_dot_product_attention(split(q), split(k), split(v), attn_mask=allowed,
                                            scale=scale).transpose(1, 2).flatten(2)
    # torch's word on queries without a key, checked: they give 0, not NaN.
    assert (output.abs().sum(-1)[~allowed[:, 0].any(-1)] == 0).all()
    close(output, attention(q, k, v, heads, scale, causal, mask))
    add_case(arrays, rng, case, output, {"query": q, "key": k, "value": v}, mask=mask, heads=heads,
             scale=float(scale), causal=int(causal))


def make_ops():
    rng = np.random.default_rng(100)
    arrays = {}
    # The second has a mean far from 0, where a variance as E[x^2] - E[x]^2 loses its digits.
    for case, shape, mean in (("layer_norm", (3, 5, 8), 0.0), ("layer_norm_far", (4, 33), 30.0),
                              ("layer_norm_one", (3, 1), 0.0)):
        x = draw(rng, *shape, mean=mean)
        gain, bias = draw(rng, shape[-1], mean=1.0, std=0.5), draw(rng, shape[-1])
        output = F.layer_norm(x, shape[-1:], gain, bias, 1e-5)
        close(output, layer_norm(x, gain, bias))
        add_case(arrays, rng, case, output, {"x": x, "gain": gain, "bias": bias},
                 zero=("x", "gain") if shape[-1] == 1 else ())
    grid = np.linspace(-9, 9, 73).astype(np.float32).astype(np.float64)
    x = torch.tensor(grid, requires_grad=True)
    close(F.gelu(x), gelu(x))
    add_case(arrays, rng, "gelu", F.gelu(x), {"x": x})
    # The second is the negative tail alone, measured against its own small size.
    x = torch.tensor(grid[(grid < -1.4) & (grid > -3)], requires_grad=True)
    add_case(arrays, rng, "gelu_tail", F.gelu(x), {"x": x})
    for case, shape, std in (("softmax", (3, 2, 7), 1.0), ("softmax_large", (5, 9), 60.0),
                             ("softmax_one", (4, 1), 1.0)):
        x = draw(rng, *shape, std=std)
        add_case(arrays, rng, case, F.softmax(x, -1), {"x": x})
    for case, shape, std in (("cross_entropy", (2, 5, 7), 1.0),
                             ("cross_entropy_large", (9, 6), 50.0)):
        x = draw(rng, *shape, std=std)
        target = torch.tensor(rng.integers(-1, shape[-1], shape[:-1]))
        target.view(-1)[1] = -1
        output = F.cross_entropy(x.reshape(-1, shape[-1]), target.reshape(-1), ignore_index=-1)
        close(output, cross_entropy(x, target))
        add_case(arrays, rng, case, output, {"x": x}, target=target)
    half = 1 / math.sqrt(4)
    add_attention(arrays, rng, "attention", 2, 5, 5, 2, 4, half, False, [])
    add_attention(arrays, rng, "attention_causal", 2, 7, 7, 3, 4, half, True, [])
    add_attention(arrays, rng, "attention_cross", 1, 3, 6, 2, 5, 0.7, False, [(0, 4)])
    add_attention(arrays, rng, "attention_padded", 3, 5, 5, 2, 3, 1.3, False,
                  [(0, 4), (1, 0), (1, 2)] + [(2, j) for j in range(5)])
    add_attention(arrays, rng, "attention_causal_padded", 2, 6, 6, 1, 4, half, True,
                  [(0, 0), (0, 1), (1, 3)])
    emit("ops.bin", arrays)


# --- optimizers, from torch.optim

def add_optimizer(arrays, rng, case, name, options, make, weight_decay=0.0, clip=0.0):
    """Five steps, each with another rate. The clip is min(1, clip / norm), no torch's + 1e-6."""
    lr = [0.1, 0.05, 0.02, 0.04, 0.01]
    matrix, vector = draw(rng, 5, 3), draw(rng, 4)
    optimizer = make([{"params": [matrix], "weight_decay": weight_decay},
                      {"params": [vector], "weight_decay": 0.0}])
    start = matrix.detach().clone(), vector.detach().clone()
    grads, values = ([], []), ([], [])
    for step in range(5):
        # Gradients of quite different sizes from step to step, and one that is exactly zero.
        step_grads = [draw(rng, *value.shape, std=[1, 0.1, 3, 1e-3, 1][step]).detach()
                      for value in (matrix, vector)]
        step_grads[1][2] = 0
        norm = math.sqrt(sum(float((g * g).sum()) for g in step_grads))
        factor = clip / norm if norm > clip > 0 else 1.0
        for k, value in enumerate((matrix, vector)):
            grads[k].append(step_grads[k])
            value.grad = step_grads[k] * factor
        for group in optimizer.param_groups:
            group["lr"] = lr[step]
        optimizer.step()
        for k, value in enumerate((matrix, vector)):
            values[k].append(value.detach().clone())
    arrays.update({case + "/optimizer": name, case + "/options": options, case + "/lr": lr,
                   case + "/clip": float(clip), case + "/weight_decay": float(weight_decay)})
    for k, key in enumerate(("matrix", "vector")):
        arrays["%s/%s/start" % (case, key)] = start[k]
        arrays["%s/%s/grads" % (case, key)] = torch.stack(grads[k])
        arrays["%s/%s/values" % (case, key)] = torch.stack(values[k])


def make_optimizers():
    rng = np.random.default_rng(200)
    arrays = {}

    def sgd(momentum, nesterov=False):
        return lambda groups: torch.optim.SGD(groups, lr=1.0, momentum=momentum, nesterov=nesterov)

    def adam(groups):
        return torch.optim.Adam(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)

    def adamw(groups):
        return torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.999), eps=1e-8)

    def adamw_other(groups):
        return torch.optim.AdamW(groups, lr=1.0, betas=(0.7, 0.95), eps=1e-2)

    # Without momentum torch's decay through the gradient is the decoupled one; with it they differ.
    add_optimizer(arrays, rng, "sgd", "sgd", "momentum=0", sgd(0.0), weight_decay=0.3)
    add_optimizer(arrays, rng, "sgd_momentum", "sgd", "momentum=0.9", sgd(0.9))
    add_optimizer(arrays, rng, "sgd_nesterov", "sgd", "momentum=0.8 nesterov=yes", sgd(0.8, True))
    add_optimizer(arrays, rng, "adam", "adam", "", adam)
    add_optimizer(arrays, rng, "adam_decay", "adam", "", adam, weight_decay=0.3)
    add_optimizer(arrays, rng, "adam_clip", "adam", "", adam, weight_decay=0.3, clip=0.5)
    add_optimizer(arrays, rng, "adamw", "adamw", "", adamw, weight_decay=0.3)
    add_optimizer(arrays, rng, "adamw_other", "adamw", "beta1=0.7 beta2=0.95 eps=0.01", adamw_other,
                  weight_decay=0.1)
    add_optimizer(arrays, rng, "adamw_clip", "adamw", "", adamw, weight_decay=0.3, clip=0.5)
    emit("optimizers.bin", arrays)


if __name__ == "__main__":
    make_models()
    make_ops()
    make_optimizers()
