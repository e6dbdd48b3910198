#!/usr/bin/env python3
"""Trains small runs with every encoding, exports their tables in every format, and reads them with
programs of others; then computes the model's logits from the tables alone.

    python3 tests/golden/check_exports.py [--posgrad ./posgrad] [--all] [NAME...]

Needs numpy, safetensors, h5py and a C compiler; no test runs it. npz and npy are read by NumPy,
safetensors by its own library, HDF5 by h5py, JSON and CSV by Python's modules, and the header by
the compiler, in a program that writes its arrays out: all must hold the same bits, at the training
length and at twice that. The logits are of a Transformer that is written here in NumPy and knows no
encoding: it adds and multiplies what tables say, by their names, axes and attributes. They must be
those of `posgrad trace`, and must not be without the tables. --all turns every option of every encoding, too. A line a case.
"""
import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
from safetensors import safe_open

LENGTH, TOLERANCE, MATTERS = 16, 2e-5, 1e-3
SIZE = ["--dim", "16", "--heads", "2", "--ff-dim", "24", "--layers", "2", "--length", str(LENGTH),
        "--batch-size", "4", "--steps", "20", "--lr", "0.05", "--warmup", "0", "--task",
        "previous-k", "--quiet"]
STACKS = ["rope+urpe", "tupe+t5", "sinusoidal+alibi", "learned+logn", "conv+shaw", "rnn+rope",
          "deberta+urpe", "learned2d+bias2d", "multiplicative+transformer-xl", "floater+t5",
          "shaw+tupe", "recursive+xlnet"]


def cases(posgrad, every_option):
    listed = json.loads(subprocess.run([posgrad, "list", "encodings", "--json"], check=True,
                                       capture_output=True).stdout)
    for row in listed:
        name = row["name"]
        if name in ("random-positions", "shift-positions"):
            continue  # they have no tables, and draw the rows of those of others
        yield name, []
        for option in row["options"] if every_option else []:
            values = option.get("choices", "yes|no" if option["default"] in ("yes", "no") else "")
            for value in values.split("|"):
                if value and value != option["default"]:
                    yield name, ["--pe-opt", f"{option['name']}={value}"]
    for stack in STACKS:
        yield stack, []


# --- formats

def export(posgrad, run, path, *options):
    subprocess.run([posgrad, "export", run, "-o", path, "--overwrite", *options], check=True,
                   capture_output=True)
    return path


def of_npz(path):
    archive = np.load(path)
    names = [name[:-len(".axes")] for name in archive.files if name.endswith(".axes")]
    return {name: archive[name] for name in names}, archive


def of_json(path):
    with open(path) as file:
        tables = json.load(file)["tables"]
    return {name: np.array(table["data"], dtype=np.float32) for name, table in tables.items()}


def of_safetensors(path):
    with safe_open(path, "np") as file:
        own = [key for key in file.metadata() if key.endswith(".axes")]
        return {key[:-len(".axes")]: file.get_tensor(key[:-len(".axes")]) for key in own}


def of_h5(path):
    with h5py.File(path) as file:
        return {name: data[()] for name, data in file["tables"].items()}


def of_csv(path, shape):
    with open(path, newline="") as file:
        rows = list(csv.reader(file))
    return np.array([np.float32(row[-1]) for row in rows[1:]], np.float32).reshape(shape)


def of_header(path, tables, folder):
    """What a program that includes it writes out."""
    source, program = os.path.join(folder, "use.c"), os.path.join(folder, "use")
    with open(source, "w") as file:
        file.write('#include <stdio.h>\n#include "tables.h"\nint main(void)\n{\n')
        for name in tables:
            file.write(f"    fwrite({name}, 1, sizeof {name}, stdout);\n")
        file.write("    return 0;\n}\n")
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror", "-o", program,
                    source], check=True)
    raw, found = subprocess.run([program], check=True, capture_output=True).stdout, {}
    for name, table in tables.items():
        found[name] = np.frombuffer(raw[:table.nbytes], np.float32).reshape(table.shape)
        raw = raw[table.nbytes:]
    assert not raw
    return found


def same_in_all(posgrad, run, folder, *options):
    """The tables and their archive; fails where two formats differ in a bit."""
    def at(name):
        return os.path.join(folder, name)
    tables, archive = of_npz(export(posgrad, run, at("tables.npz"), *options))
    others = {
        "json": of_json(export(posgrad, run, at("tables.json"), *options)),
        "safetensors": of_safetensors(export(posgrad, run, at("tables.safetensors"), *options)),
        "h5": of_h5(export(posgrad, run, at("tables.h5"), *options)),
        "header": of_header(export(posgrad, run, at("tables.h"), *options), tables, folder),
        "npy": {name: np.load(export(posgrad, run, at("one.npy"), "--table", name, *options))
                for name in tables},
        "csv": {name: of_csv(export(posgrad, run, at("one.csv"), "--table", name, *options),
                             tables[name].shape) for name in tables},
    }
    for format_name, found in others.items():
        assert sorted(found) == sorted(tables), (format_name, sorted(found))
        for name, table in tables.items():
            same = found[name].shape == table.shape and found[name].tobytes() == table.tobytes()
            assert same, f"{name} in {format_name}"
    return tables, archive


# --- a Transformer of tables

class Tables:
    def __init__(self, tables, archive):
        self.tables = tables
        self.axes = {name: list(archive[name + ".axes"]) for name in tables}
        self.attributes = {name: dict(archive[name + ".attributes"]) for name in tables}

    def named(self, suffix):
        """Tables of this name, also where a stack has put an encoding before it."""
        return [name for name in self.tables if name == suffix or name.endswith("_" + suffix)]

    def get(self, suffix, layer=None):
        found = self.named(suffix)
        assert len(found) < 2, found
        return self.of_layer(found[0], layer) if found else None

    def of_layer(self, name, layer):
        table = self.tables[name].astype(np.float64)
        return table[layer] if self.axes[name][0] == "layer" else table

    def attribute(self, key, default):
        values = {a[key] for a in self.attributes.values() if key in a}
        assert len(values) < 2, values
        return values.pop() if values else default


def norm(x, weights, name):
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * weights[name + ".weight"] + weights[name + ".bias"]


def linear(x, weights, name):
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def by_offset(table, length):
    """[..., offset] to [..., query, key]."""
    place = np.arange(length)
    return table[..., place[None, :] - place[:, None] + table.shape[-1] // 2]


def by_differences(table, height, width):
    cell = np.arange(height * width)
    row, column = cell // width, cell % width
    return table[:, row[None] - row[:, None] + height - 1, column[None] - column[:, None] + width - 1]


def turned(x, cosine, sine, layout):
    """x [B, H, T, D]; cosine and sine [T, P] or [T, H, P]."""
    if cosine.ndim == 3:
        cosine, sine = cosine.transpose(1, 0, 2), sine.transpose(1, 0, 2)
    pairs, x = cosine.shape[-1], x.copy()
    a = slice(0, 2 * pairs, 2) if layout == "pair" else slice(0, pairs)
    b = slice(1, 2 * pairs, 2) if layout == "pair" else slice(pairs, 2 * pairs)
    first, second = x[..., a].copy(), x[..., b].copy()
    x[..., a] = first * cosine - second * sine
    x[..., b] = first * sine + second * cosine
    return x


def convolved(x, t, layer, causal):
    kernel, bias = t.get("kernel", layer), t.get("kernel_bias", layer)
    if kernel is None:
        return x
    y = x + bias
    for k, tap in enumerate(kernel):
        offset = k - (len(kernel) - 1 if causal else (len(kernel) - 1) // 2)
        for i in range(x.shape[1]):
            if 0 <= i + offset < x.shape[1]:
                y[:, i] += tap * x[:, i + offset]
    return y


def at_input(x, t, emd):
    for name in [] if emd else t.named("position_table"):
        x = x + t.tables[name].astype(np.float64)
    factor = t.get("position_factor")
    if factor is not None:
        x = x * factor
    if t.named("recurrent_weight"):
        h, rows = np.zeros_like(x[:, 0]), []
        for i in range(x.shape[1]):
            h = np.tanh(x[:, i] @ t.get("input_weight").T + t.get("input_bias") +
                        h @ t.get("recurrent_weight").T)
            rows.append(h)
        x = np.stack(rows, 1)
    return x


def logits_of(q, k, plain_q, t, layer, causal):
    length, scale = q.shape[2], float(t.attribute("logit_scale", 1 / math.sqrt(q.shape[3])))
    u, v = t.get("content_query_bias", layer), t.get("position_query_bias", layer)
    products = (q if u is None else q + u[:, None]) @ k.transpose(0, 1, 3, 2)
    key, query = t.get("relative_key", layer), t.get("relative_query", layer)
    reading = plain_q if v is None else plain_q + v[:, None]
    for table, side, form in ((key, reading, "bhid,hijd->bhij"), (query, k, "bhjd,hijd->bhij")):
        if table is None:
            continue
        table = table if table.ndim == 3 else np.broadcast_to(table, (q.shape[1], *table.shape))
        rows = by_offset(np.moveaxis(table, 2, 1), length)  # [H, D, T, T]
        products = products + np.einsum(form, side, np.moveaxis(rows, 1, 3))
    s = products * scale
    factor = t.get("logit_factor")
    if factor is not None:
        seen = np.arange(1, length + 1) if causal else np.full(length, length)
        s = s * factor[seen - 1][:, None]
    for name in t.named("relative_bias"):
        table = t.of_layer(name, layer)
        if t.axes[name][-1] == "offset" and u is None:
            s = s + by_offset(table, length)
        elif t.axes[name][-1] == "column_offset":
            s = s + by_differences(table, (table.shape[1] + 1) // 2, (table.shape[2] + 1) // 2)
        elif t.attributes[name]["encoding"] not in ("transformer-xl", "xlnet"):
            s = s + by_offset(table, length)  # those have their own in relative_key
    bias = t.get("position_bias")
    return s if bias is None else s + bias


def attention(x, query_stream, weights, t, layer, heads, causal):
    batch, length, width = x.shape

    def split(y):
        return y.reshape(batch, length, heads, -1).transpose(0, 2, 1, 3)
    name, plain = f"layers.{layer}.attn.", []
    for letter, path, stream in (("q", "query_path", query_stream), ("k", "key_path", x),
                                 ("v", "value_path", x)):
        y, added = linear(stream, weights, name + letter), t.get(path, layer)
        plain.append(split(y if added is None else y + added))
    q, k, v = plain
    cosine, sine = t.get("rotation_cosine", layer), t.get("rotation_sine", layer)
    if cosine is not None:
        layout = t.attribute("rotation_layout", None)
        q, k = turned(q, cosine, sine, layout), turned(k, cosine, sine, layout)
    s = logits_of(q, k, plain[0], t, layer, causal)
    if causal:
        s = np.where(np.tril(np.ones((length, length), bool)), s, -np.inf)
    a = np.exp(s - s.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    factor, value = t.get("post_softmax_factor"), t.get("relative_value", layer)
    if factor is not None:
        a = a * by_offset(factor, length)
    out = a @ v
    if value is not None:
        out = out + np.einsum("bhij,dij->bhid", a, by_offset(value.T, length))
    out = out.transpose(0, 2, 1, 3).reshape(batch, length, width)
    return linear(out, weights, name + "o")


def model(weights, t, tokens, pe, heads, causal):
    weights = {name: value.astype(np.float64) for name, value in weights.items()}
    emd = "deberta-emd" in pe.split("+")
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("layers."))
    each = any("layer" in t.axes[name] for name in t.named("kernel"))
    x = at_input(weights["tok_emb.weight"][tokens], t, emd)
    x = x if each else convolved(x, t, None, causal)
    for layer in range(layers):
        x = convolved(x, t, layer, causal) if each else x
        stream = x
        if emd and layer == layers - 1 and t.tables:
            stream = x + t.get("position_table")
        h = norm(x, weights, f"layers.{layer}.ln1")
        own = norm(stream, weights, f"layers.{layer}.ln1")
        x = stream + attention(h, own, weights, t, layer, heads, causal)
        h = linear(norm(x, weights, f"layers.{layer}.ln2"), weights, f"layers.{layer}.mlp.up")
        h = h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2)))
        x = x + linear(h, weights, f"layers.{layer}.mlp.down")
    return norm(x, weights, "ln_f") @ weights["head.weight"].T


# What the Transformer above does not do: another kind of numbers, values that turn, a convolution
# behind the first layer or on a grid, borders of other kinds, a residual beside the recurrence.
UNLIKE = ("complex", "values=v", "values=vo", "where=after1", "dims=2", "pad=circular",
          "pad=reflect", "merge=add")


def difference(posgrad, run, folder, tables, archive, pe, options, causal):
    if pe == "complex" or any(option in UNLIKE for option in options):
        return None
    trace = os.path.join(folder, "trace.h5")
    subprocess.run([posgrad, "trace", run, "-o", trace], check=True, capture_output=True)
    weights = dict(np.load(export(posgrad, run, os.path.join(folder, "model.npz"), "--what",
                                  "model")))
    with h5py.File(trace) as file:
        tokens, ours = file["batch/tokens"][:], file["outputs/logits"][:]
        assert file["batch/mask"][:].all()
    def off(t):
        return np.abs(model(weights, t, tokens, pe, 2, causal) - ours).max()
    without = off(Tables({}, {}))
    # No query sees more keys than the base, and in an encoder each sees as many.
    same = pe == "logn" and (not causal or "at_least_one=yes" in options)
    assert without > MATTERS or same, f"without any table logits differ by no more than {without}"
    return off(Tables(tables, archive))


# --- all

def check(posgrad, folder, pe, options, causal):
    run = os.path.join(folder, "run")
    command = [posgrad, "train", "--pe", pe, "--arch", "decoder" if causal else "encoder",
               "--out-dir", run, *SIZE, *options]
    trained = subprocess.run(command, capture_output=True, text=True)
    if trained.returncode:
        return "-", trained.stderr.strip().splitlines()[0][:80]
    refused = subprocess.run([posgrad, "export", run, "-o", os.path.join(folder, "t.npz")],
                             capture_output=True, text=True)
    if refused.returncode:
        return "-", refused.stderr.strip().splitlines()[0][-80:]
    tables, archive = same_in_all(posgrad, run, folder)
    worst = difference(posgrad, run, folder, tables, archive, pe, options, causal)
    far = subprocess.run([posgrad, "export", run, "-o", os.path.join(folder, "t.npz"), "--length",
                          str(2 * LENGTH), "--overwrite"], capture_output=True, text=True)
    if far.returncode == 0:
        same_in_all(posgrad, run, folder, "--length", str(2 * LENGTH))
    said = "also at twice the length" if far.returncode == 0 else far.stderr.strip()[-90:]
    return worst, f"{len(tables)} tables; {said}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--posgrad", default="./posgrad")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    bad = done = 0
    for pe, options in cases(arguments.posgrad, arguments.all):
        if arguments.names and pe not in arguments.names:
            continue
        for causal in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    worst, said = check(arguments.posgrad, folder, pe, options, causal)
                except Exception as error:  # what a reader refuses is a failure of the case
                    worst, said = np.inf, f"{type(error).__name__}: {error}"
            number = worst if isinstance(worst, str) else "same" if worst is None else f"{worst:.1e}"
            what = " ".join([pe, *options[1::2], "decoder" if causal else "encoder"])
            done += not isinstance(worst, str)
            bad += not isinstance(worst, str) and worst is not None and not worst <= TOLERANCE
            print(f"{what:40} {number:>8} {said}", flush=True)
    print(f"{done - bad} of {done}: the same in every format, logits within {TOLERANCE}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
