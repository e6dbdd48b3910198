"""The position encodings, from their formulas with plain tensor operations.

Nothing here is fast or clever: a table by offset is spread out to all pairs [T, T] of query i and
key j and autograd does the rest, so that it shares nothing with the C sources but the formulas.
Those, with names, shapes and options, are in the head comments of src/encodings/.

x is [S, B, T, C] everywhere: S streams, 1 but for `complex`, which has a real and an imaginary one.
q, k, v of a layer are [S, B, H, T, D]. c is the configuration, p the parameters by name.
"""
import math

import torch

from make_golden import gelu, layer_norm, linear, masked_softmax


def constant(values):
    """A table of the number type that the model runs in."""
    return torch.as_tensor(values).to(torch.get_default_dtype())


def arange(size):
    return torch.arange(size, dtype=torch.float64)


# Where the tokens of the row that is computed stand, while a stack draws positions; see transformer.
DRAWN = []


def standing(length):
    """The position of each token, a whole number."""
    return torch.tensor(DRAWN[-1]) if DRAWN else torch.arange(length)


def offsets(length):
    """j - i of every pair."""
    return standing(length)[None, :] - standing(length)[:, None]


def extension(c, length):
    return c.get("extension", "none") if length > c["train_length"] else "none"


def places(c, length):
    """The position of each token as a number, past the training length as the extension says."""
    place, n, how = standing(length).double(), c["train_length"], extension(c, length)
    return {"clip": place.clamp(max=n - 1), "wrap": place % n,
            "interpolate": place * (n - 1) / (length - 1)}.get(how, place)


def blend(row_of, at):
    """Between two whole numbers the mean of their rows by distance."""
    below = torch.floor(at + 1e-9)
    part = constant((at - below).clamp(min=0))[..., None]
    below = below.long()
    return (1 - part) * row_of(below) + part * row_of(torch.where(part[..., 0] > 0, below + 1, below))


def rows_at(c, weight, length):
    """Rows of a table of positions for the tokens of a row."""
    if extension(c, length) == "hierarchical":
        p, a = weight[:c["train_length"]], 0.4
        u, t = (p - a * p[0]) / (1 - a), torch.arange(length)
        return a * u[t // len(p)] + (1 - a) * u[t % len(p)]
    return blend(lambda at: weight[at], places(c, length))


def by_offset(c, table, row, length):
    """table[row(j - i)] of all pairs, past the training length as the extension says."""
    at, n, how = offsets(length).double(), c["train_length"], extension(c, length)
    if how == "clip":
        at = at.clamp(1 - n, n - 1)
    if how == "interpolate":
        at = at * (n - 1) / (length - 1)
    return blend(lambda k: table[k.clone().apply_(row)], at)


def frequencies(pairs, width, base=10000.0):
    return base ** (-2 * arange(pairs) / width)


def interleaved(positions, width, base=10000.0):
    """sin, cos, sin, cos ... of each position."""
    angle = positions[..., None] * frequencies(width // 2, width, base)
    return torch.stack([torch.sin(angle), torch.cos(angle)], -1).flatten(-2)


class Attention:
    """What the hooks of the stack make of one layer's attention before it is computed."""

    def __init__(self, q, k, v):
        self.q, self.k = q, k  # as projected: relative tables are read with these
        self.turned_q, self.turned_k, self.v = q, k, v
        self.scale = 1 / math.sqrt(q.shape[-1])
        self.product = None  # in place of <turned_q, turned_k>
        self.terms = 0  # added to the product, scaled with it
        self.bias = 0  # added to the scores, not scaled
        self.factor = 1  # on the weights
        self.value_tables = []  # [T, T, D] each, added to v_j for query i

    def scores(self):
        product = self.product
        if product is None:
            product = self.turned_q @ self.turned_k.transpose(-1, -2)
        return self.scale * (product + self.terms) + self.bias


class Encoding:
    """One encoding of a stack. Hooks that are not overridden leave things as they are."""
    defaults = {}

    def __init__(self, c, options):
        self.c, self.o = c, dict(self.defaults)
        for key, text in options.items():
            owner, _, key = key.rpartition(".")
            if key in self.o and owner in ("", self.name):
                self.o[key] = type(self.o[key])(text)
        self.sees_key_shift = False  # whether a vector added to all keys moves a row's differences

    def shared(self, name):
        return "pe.%s.%s" % (self.name, name)

    def layer(self, n, name):
        return "layers.%d.%s" % (n, self.shared(name))

    def each_layer(self, name, shape, mean=0.0):
        return {self.layer(n, name): (shape, mean) for n in range(self.c["layers"])}

    def or_train_length(self, key):
        """The option, or the number of positions that training meets."""
        names, options = split(self.c)
        drawn = [int(value) for at, value in options.items()
                 if at == "random-positions.max_length" or at == "shift-positions.max_length"]
        return self.o[key] or (drawn or [self.c["train_length"]])[0]

    def parameters(self):
        """Name -> (shape, what the draws are centred on)."""
        return {}

    def zero(self):
        """Parameters whose gradient is zero by arithmetic under softmax, beside attn.k.bias."""
        return []

    def input(self, p, tokens, x):
        return x

    def layer_input(self, p, n, x):
        return x

    def queries_from(self, p, n, x):
        return x

    def projected(self, p, n, q, k, v):
        return q, k, v

    def attention(self, p, n, a):
        pass

    def attention_output(self, p, n, out):
        return out

    def layer_output(self, p, n, x):
        return x

    def output(self, p, x):
        return x


# --- absolute

class Nothing(Encoding):
    name = "none"


class Learned(Encoding):
    name, defaults = "learned", dict(max_length=0)

    def parameters(self):
        return {self.shared("weight"): ((self.or_train_length("max_length"), self.c["dim"]), 0)}

    def input(self, p, tokens, x):
        return x + rows_at(self.c, p[self.shared("weight")], x.shape[2])


class Hierarchical(Encoding):
    name, defaults = "hierarchical", dict(rows=0, alpha=0.4)

    def parameters(self):
        return {self.shared("weight"): ((self.or_train_length("rows"), self.c["dim"]), 0)}

    def table(self, weight, length):
        n, a = weight.shape[0], self.o["alpha"]
        u = (weight - a * weight[0]) / (1 - a)
        t = torch.arange(length)
        return a * u[t // n] + (1 - a) * u[t % n]

    def input(self, p, tokens, x):
        return x + self.table(p[self.shared("weight")], x.shape[2])


class Sinusoidal(Encoding):
    name = "sinusoidal"
    defaults = dict(layout="interleaved", base=10000.0, scale=1.0, trainable="no")

    def parameters(self):
        if self.o["trainable"] == "no":
            return {}
        return {self.shared("log_frequency_shift"): ((self.c["dim"] // 2,), 0)}

    def input(self, p, tokens, x):
        length, width = x.shape[2:]
        w = frequencies(width // 2, width, self.o["base"])
        if self.o["layout"] == "tensor2tensor":
            w = self.o["base"] ** (-arange(width // 2) / (width // 2 - 1))
        angle = places(self.c, length)[:, None] * w
        if self.o["trainable"] == "yes":
            angle = constant(angle) * torch.exp(p[self.shared("log_frequency_shift")])
        parts = [torch.sin(angle), torch.cos(angle)]
        if self.o["layout"] == "interleaved":
            table = torch.stack(parts, -1).flatten(-2)
        else:
            table = torch.cat(parts, -1)
        return x + constant(self.o["scale"] * table)


class Rnn(Encoding):
    name, defaults = "rnn", dict(merge="replace")

    def parameters(self):
        width = self.c["dim"]
        return {self.shared("input.weight"): ((width, width), 0),
                self.shared("input.bias"): ((width,), 0),
                self.shared("recurrent.weight"): ((width, width), 0)}

    def input(self, p, tokens, x):
        drive = linear(x, p[self.shared("input.weight")], p[self.shared("input.bias")])
        h, rows = torch.zeros_like(x[:, :, 0]), []
        for t in range(x.shape[2]):
            h = torch.tanh(drive[:, :, t] + linear(h, p[self.shared("recurrent.weight")]))
            rows.append(h)
        h = torch.stack(rows, 2)
        return h if self.o["merge"] == "replace" else x + h


class Recursive(Encoding):
    name, defaults = "recursive", dict(cell="tanh")

    def parameters(self):
        width = self.c["dim"]
        return {self.shared("start"): ((width,), 0), self.shared("weight"): ((width, width), 0),
                self.shared("bias"): ((width,), 0)}

    def input(self, p, tokens, x):
        rows = [p[self.shared("start")]]
        for _ in range(x.shape[2] - 1):
            row = linear(rows[-1], p[self.shared("weight")], p[self.shared("bias")])
            rows.append(torch.tanh(row) if self.o["cell"] == "tanh" else row)
        return x + torch.stack(rows)


class Floater(Encoding):
    name, defaults = "floater", dict(where="qkv", step=0.0, substeps=5)

    def parameters(self):
        width = self.c["dim"]
        start = (3, self.c["layers"], width) if self.o["where"] == "qkv" else (width,)
        return {self.shared("start"): (start, 0),
                self.shared("up.weight"): ((width, width + 1), 0),
                self.shared("up.bias"): ((width,), 0),
                self.shared("down.weight"): ((width, width + 1), 0),
                self.shared("down.bias"): ((width,), 0)}

    def trajectory(self, p, length):
        """start with a new dimension of times before the channels."""
        def with_time(b, t):
            return torch.cat([b, torch.full_like(b[..., :1], t)], -1)

        def speed(t, b):
            up = linear(with_time(b, t), p[self.shared("up.weight")], p[self.shared("up.bias")])
            return linear(with_time(torch.relu(up), t), p[self.shared("down.weight")],
                          p[self.shared("down.bias")])

        step = self.o["step"] or 1 / self.c["train_length"]
        b, e = p[self.shared("start")], step / self.o["substeps"]
        states = [b]
        for i in range(length - 1):
            for s in range(self.o["substeps"]):
                t = i * step + s * e
                k1 = speed(t, b)
                k2 = speed(t + e / 2, b + e / 2 * k1)
                k3 = speed(t + e / 2, b + e / 2 * k2)
                k4 = speed(t + e, b + e * k3)
                b = b + e / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            states.append(b)
        return torch.stack(states, -2)

    def input(self, p, tokens, x):
        return x + self.trajectory(p, x.shape[2]) if self.o["where"] == "input" else x

    def projected(self, p, n, q, k, v):
        if self.o["where"] == "input":
            return q, k, v
        b = self.trajectory(p, q.shape[2])
        return q + b[0, n], k + b[1, n], v + b[2, n]


class Multiplicative(Encoding):
    name, defaults = "multiplicative", dict(max_length=0, form="plus_one")

    def parameters(self):
        shape = (self.or_train_length("max_length"), self.c["dim"])
        return {self.shared("weight"): (shape, 0.0 if self.o["form"] == "plus_one" else 1.0)}

    def input(self, p, tokens, x):
        rows = rows_at(self.c, p[self.shared("weight")], x.shape[2])
        return x * (1 + rows if self.o["form"] == "plus_one" else rows)


class Complex(Encoding):
    name, defaults = "complex", dict(conjugate="no", share="none")

    def __init__(self, c, options):
        super().__init__(c, options)
        self.sees_key_shift = self.o["conjugate"] == "no"

    def parameters(self):
        width = self.c["dim"]
        shape = {"none": (self.c["vocab"], width), "words": (1, width),
                 "dims": (self.c["vocab"], 1)}[self.o["share"]]
        start = 10000.0 ** (-2 * (arange(shape[1]) // 2) / width)
        return {self.shared("frequency"): (shape, start.numpy()), self.shared("phase"): (shape, 0),
                self.shared("output.weight"): ((width, 2 * width), 0),
                self.shared("output.bias"): ((width,), 0)}

    def input(self, p, tokens, x):
        rows = torch.zeros_like(tokens) if self.o["share"] == "words" else tokens
        position = constant(places(self.c, x.shape[2]))[:, None]
        phi = p[self.shared("frequency")][rows] * position + p[self.shared("phase")][rows]
        return torch.cat([x * torch.cos(phi), x * torch.sin(phi)])

    def attention(self, p, n, a):
        def dot(q, k):
            return q @ k.transpose(-1, -2)

        (qr, qi), (kr, ki) = a.turned_q, a.turned_k
        if self.o["conjugate"] == "yes":
            a.product = (dot(qr, kr) + dot(qi, ki))[None]
        else:
            re, im = dot(qr, kr) - dot(qi, ki), dot(qr, ki) + dot(qi, kr)
            a.product = torch.sqrt(re * re + im * im + 1e-12)[None]

    def output(self, p, x):
        both = torch.cat([x[0], x[1]], -1)
        return linear(both, p[self.shared("output.weight")], p[self.shared("output.bias")])[None]


class Conv(Encoding):
    name = "conv"
    defaults = dict(kernel=3, pad="zero", where="input", dims=1, grid_height=0)

    def parameters(self):
        width, taps = self.c["dim"], self.o["kernel"] ** self.o["dims"]
        shapes = {"weight": (taps, width), "bias": (width,)}
        if self.o["where"] != "each":
            return {self.shared(key): (shape, 0) for key, shape in shapes.items()}
        return {key: value for name, shape in shapes.items()
                for key, value in self.each_layer(name, shape).items()}

    def source(self, index, size):
        """Where a sample at `index` is read, or None for a zero."""
        if self.o["pad"] == "circular":
            return index % size
        if self.o["pad"] == "reflect":
            while not 0 <= index < size:
                index = 0 if size == 1 else -index if index < 0 else 2 * (size - 1) - index
        return index if 0 <= index < size else None

    def convolve(self, x, weight, bias):
        kernel, half = self.o["kernel"], (self.o["kernel"] - 1) // 2
        if self.o["dims"] == 1:
            height, width, taps_y = 1, x.shape[2], 1
            offset = -2 * half if self.c["causal"] else -half
        else:
            (height, width), taps_y, offset = grid(self.c, self.o), kernel, -half
        rows = []
        for y in range(height):
            for t in range(width):
                row = x[:, :, y * width + t] + bias
                for ky in range(taps_y):
                    for kx in range(kernel):
                        yy = self.source(y + ky - half, height) if taps_y > 1 else 0
                        xx = self.source(t + kx + offset, width)
                        if yy is not None and xx is not None:
                            row = row + weight[ky * kernel + kx] * x[:, :, yy * width + xx]
                rows.append(row)
        return torch.stack(rows, 2)

    def input(self, p, tokens, x):
        if self.o["where"] != "input":
            return x
        return self.convolve(x, p[self.shared("weight")], p[self.shared("bias")])

    def layer_input(self, p, n, x):
        if self.o["where"] != "each":
            return x
        return self.convolve(x, p[self.layer(n, "weight")], p[self.layer(n, "bias")])

    def layer_output(self, p, n, x):
        if self.o["where"] != "after1" or n != 0:
            return x
        return self.convolve(x, p[self.shared("weight")], p[self.shared("bias")])


# --- relative: terms and biases of the scores

class Shaw(Encoding):
    name, defaults = "shaw", dict(max_distance=16, values="yes", table="learned")

    def parameters(self):
        if self.o["table"] == "sinusoid":
            return {}
        shape = (2 * self.o["max_distance"] + 1, self.c["dim"] // self.c["heads"])
        names = ["key", "value"] if self.o["values"] == "yes" else ["key"]
        return {key: value for name in names for key, value in self.each_layer(name, shape).items()}

    def attention(self, p, n, a):
        k, (length, width) = self.o["max_distance"], a.q.shape[-2:]

        def rows(table):
            return by_offset(self.c, table, lambda r: max(-k, min(k, r)) + k, length)

        if self.o["table"] == "sinusoid":
            keys = values = constant(interleaved(arange(2 * k + 1), width))
        else:
            keys, values = p[self.layer(n, "key")], p.get(self.layer(n, "value"))
        a.terms = a.terms + torch.einsum("sbhid,ijd->sbhij", a.q, rows(keys))
        if self.o["values"] == "yes":
            a.value_tables.append(rows(values))


class TransformerXL(Encoding):
    name, defaults = "transformer-xl", dict(clamp_length=0)

    def uv(self):
        """The names of u and v, which all layers share."""
        return [[self.shared(part)] * self.c["layers"] for part in "uv"]

    def parameters(self):
        width, heads = self.c["dim"], self.c["heads"]
        every = {name: ((heads, width // heads), 0) for names in self.uv() for name in names}
        return {**every, **self.each_layer("position.weight", (width, width))}

    def attention(self, p, n, a):
        length, size = a.q.shape[-2:]
        clamp = self.o["clamp_length"] or 10**9
        u, v = (p[names[n]][:, None, :] for names in self.uv())
        distance = -offsets(length).clamp(-clamp, clamp).double()
        if extension(self.c, length) == "interpolate":
            distance = distance * (self.c["train_length"] - 1) / (length - 1)
        angle = distance[..., None] * frequencies(self.c["dim"] // 2, self.c["dim"])
        r = constant(torch.cat([torch.sin(angle), torch.cos(angle)], -1))
        r = linear(r, p[self.layer(n, "position.weight")]).unflatten(-1, (-1, size))
        a.terms = (a.terms + u @ a.k.transpose(-1, -2) +
                   torch.einsum("sbhid,ijhd->sbhij", a.q + v, r))


class XLNet(TransformerXL):
    name = "xlnet"

    def uv(self):
        return [[self.layer(n, part) for n in range(self.c["layers"])] for part in "uv"]


def t5_bucket(offset, causal, buckets, max_distance):
    n, base = -offset, 0
    if causal:
        n = max(n, 0)
    else:
        buckets //= 2
        base = buckets if n < 0 else 0
        n = abs(n)
    exact = buckets // 2
    if n < exact:
        return base + n
    far = math.log(n / exact) / math.log(max_distance / exact) * (buckets - exact)
    return base + min(exact + int(far), buckets - 1)


class T5(Encoding):
    name, defaults = "t5", dict(buckets=32, max_distance=128, bucketing="auto")

    def parameters(self):
        return {self.shared("weight"): ((self.o["buckets"], self.c["heads"]), 0)}

    def attention(self, p, n, a):
        causal = {"auto": self.c["causal"], "causal": True,
                  "bidirectional": False}[self.o["bucketing"]]
        rows = by_offset(
            self.c, p[self.shared("weight")],
            lambda r: t5_bucket(r, causal, self.o["buckets"], self.o["max_distance"]),
            a.q.shape[-2])
        a.bias = a.bias + rows.permute(2, 0, 1)


def deberta_log_bucket(distance, bucket_size, max_distance):
    """make_log_bucket_position of DeBERTa's da_utils.py."""
    middle, size = bucket_size // 2, abs(distance)
    if size <= middle:
        return distance
    far = math.log(size / middle) / math.log((max_distance - 1) / middle) * (middle - 1)
    return int(math.copysign(math.ceil(far) + middle, distance))


class Deberta(Encoding):
    name = "deberta"
    defaults = dict(max_distance=0, terms="both", p2c="code", buckets=0, norm="no", share="no")

    def __init__(self, c, options):
        super().__init__(c, options)
        self.k = self.o["buckets"] or self.or_train_length("max_distance")
        self.c2p, self.p2c = (self.o["terms"] in ("both", part) for part in ("c2p", "p2c"))
        self.sees_key_shift = self.p2c

    def parameters(self):
        width = self.c["dim"]
        names = {self.shared("weight"): ((2 * self.k, width), 0)}
        if self.o["norm"] == "yes":
            names.update({self.shared("norm.weight"): ((width,), 1.0),
                          self.shared("norm.bias"): ((width,), 0)})
        for part, wanted in (("key", self.c2p), ("query", self.p2c)):
            if wanted and self.o["share"] == "no":
                names.update(self.each_layer(part + ".weight", (width, width)))
                names.update(self.each_layer(part + ".bias", (width,)))
        return names

    def zero(self):
        # <q_i, bias> is the same for all keys.
        return [] if self.o["share"] == "yes" else ["layers.*.key.bias"] if self.c2p else []

    def delta(self, length):
        rows = -offsets(length)
        if self.o["buckets"]:
            rows = rows.clone().apply_(lambda r: deberta_log_bucket(
                r, self.o["buckets"], self.or_train_length("max_distance")))
        return (rows + self.k).clamp(0, 2 * self.k - 1)

    def attention(self, p, n, a):
        table, size = p[self.shared("weight")], a.q.shape[-1]
        if self.o["norm"] == "yes":
            table = layer_norm(table, p[self.shared("norm.weight")], p[self.shared("norm.bias")])

        def project(own, shared):
            at = self.layer(n, own)
            if self.o["share"] == "yes":
                at = "layers.%d.attn.%s" % (n, shared)
            return linear(table, p[at + ".weight"], p[at + ".bias"]).unflatten(-1, (-1, size))

        delta = self.delta(a.q.shape[-2])
        if self.c2p:
            rows = project("key", "k")[delta]
            a.terms = a.terms + torch.einsum("sbhid,ijhd->sbhij", a.q, rows)
        if self.p2c:
            rows = project("query", "q")[delta if self.o["p2c"] == "code" else delta.T]
            a.terms = a.terms + torch.einsum("sbhjd,ijhd->sbhij", a.k, rows)
        a.scale = 1 / math.sqrt(size * (1 + self.c2p + self.p2c))


class DebertaEmd(Deberta):
    name, defaults = "deberta-emd", dict(Deberta.defaults, max_length=0)

    def parameters(self):
        shape = (self.or_train_length("max_length"), self.c["dim"])
        return {**super().parameters(), self.shared("absolute.weight"): (shape, 0)}

    def queries_from(self, p, n, x):
        if n != self.c["layers"] - 1:
            return x
        return x + rows_at(self.c, p[self.shared("absolute.weight")], x.shape[2])


class Tupe(Encoding):
    name, defaults = "tupe", dict(max_length=0, untie="no")

    def parameters(self):
        width = self.c["dim"]
        names = {self.shared("weight"): ((self.or_train_length("max_length"), width), 0),
                 self.shared("norm.weight"): ((width,), 1.0),
                 self.shared("norm.bias"): ((width,), 0)}
        for part in ("query", "key"):
            names.update({self.shared(part + ".weight"): ((width, width), 0),
                          self.shared(part + ".bias"): ((width,), 0)})
        if self.o["untie"] == "yes":
            names[self.shared("first")] = ((2, self.c["heads"]), 0)
        return names

    def zero(self):
        # The same for all keys, but for the first one where that is set apart.
        return [self.shared("key.bias")] if self.o["untie"] == "no" else []

    def attention(self, p, n, a):
        length, size = a.q.shape[-2:]
        rows = layer_norm(rows_at(self.c, p[self.shared("weight")], length),
                          p[self.shared("norm.weight")], p[self.shared("norm.bias")])

        def project(part):
            y = linear(rows, p[self.shared(part + ".weight")], p[self.shared(part + ".bias")])
            return y.unflatten(-1, (-1, size)).transpose(0, 1)

        a.scale = 1 / math.sqrt(2 * size)
        position = a.scale * project("query") @ project("key").transpose(-1, -2)
        if self.o["untie"] == "yes":
            first = p[self.shared("first")][:, :, None, None]
            i, j = torch.arange(length)[:, None], torch.arange(length)[None, :]
            position = torch.where(i == 0, first[0], torch.where(j == 0, first[1], position))
        a.bias = a.bias + position


class Urpe(Encoding):
    name, defaults = "urpe", dict(max_length=0, init_std=0.0)

    def parameters(self):
        rows = 2 * self.or_train_length("max_length") - 1
        return {self.shared("factor"): ((rows, self.c["heads"]), 1.0)}

    def attention(self, p, n, a):
        last = self.or_train_length("max_length") - 1
        rows = by_offset(self.c, p[self.shared("factor")],
                         lambda r: max(-last, min(last, r)) + last, a.q.shape[-2])
        a.factor = a.factor * rows.permute(2, 0, 1)


def alibi_slopes(heads):
    """get_slopes of attention_with_linear_biases."""
    if math.log2(heads).is_integer():
        start = 2 ** (-2 ** -(math.log2(heads) - 3))
        return [start ** (h + 1) for h in range(heads)]
    closest = 2 ** math.floor(math.log2(heads))
    return alibi_slopes(closest) + alibi_slopes(2 * closest)[0::2][:heads - closest]


class Alibi(Encoding):
    name, defaults = "alibi", dict(sides="equal", trainable="no", scaled="no")

    def parameters(self):
        if self.o["trainable"] == "no":
            return {}
        return {self.shared("log_slope_shift"): ((self.c["heads"],), 0)}

    def attention(self, p, n, a):
        length, met = a.q.shape[-2], self.c["train_length"]
        relative = offsets(length).double()
        distance = {"clip": relative.abs().clamp(max=met - 1),
                    "interpolate": relative.abs() * (met - 1) / (length - 1)}.get(
                        extension(self.c, length), relative.abs())
        value = torch.where((relative < 0) & (self.o["sides"] == "offset"), 0.5, 0.0) - distance
        slopes = constant(alibi_slopes(self.c["heads"]))
        if self.o["scaled"] == "yes":
            slopes = slopes / math.sqrt(a.q.shape[-1])
        if self.o["trainable"] == "yes":
            slopes = slopes * torch.exp(p[self.shared("log_slope_shift")])
        a.bias = a.bias + slopes[:, None, None] * constant(value)


def log_n(c, a, mask, base, at_least_one):
    """Queries, and what they read, times log n / log base for the n keys that each may see."""
    length = a.q.shape[-2]
    seen = (mask != 0)[:, None, :].expand(-1, length, -1)
    if c["causal"]:
        seen = seen & (torch.arange(length)[None, :] <= torch.arange(length)[:, None])
    factor = torch.log(seen.sum(-1).clamp(min=1).double()) / math.log(base)
    if at_least_one:
        factor = factor.clamp(min=1)
    factor = constant(factor)[None, :, None, :, None]
    a.q, a.turned_q = a.q * factor, a.turned_q * factor
    a.terms = a.terms * factor  # of tables that queries have read already


class LogN(Encoding):
    name, defaults = "logn", dict(base=0.0, at_least_one="no")

    def attention(self, p, n, a):
        base = self.o["base"] or self.c["train_length"]
        log_n(self.c, a, a.mask, base, self.o["at_least_one"] == "yes")


# --- where tokens stand

def philox(counter, key):
    """Philox 4x32-10 (Salmon et al. 2011): 128 bits of counter and 64 of key to 128 bits."""
    low = 0xFFFFFFFF
    c, k = list(counter), list(key)
    for _ in range(10):
        one, two = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(two >> 32) ^ c[1] ^ k[0], two & low, (one >> 32) ^ c[3] ^ k[1], one & low]
        k = [(k[0] + 0x9E3779B9) & low, (k[1] + 0xBB67AE85) & low]
    return c


def draws(seed, name, step, row):
    """32-bit numbers without end, of the stream of that name."""
    low, digest = 0xFFFFFFFF, 0xCBF29CE484222325
    for byte in name.encode():
        digest = ((digest ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    key = philox([digest & low, digest >> 32, 0x706F7367, 0x72616421], [seed & low, seed >> 32])[:2]
    block = 0
    while True:
        yield from philox([block, row, step & low, step >> 32], key)
        block += 1


def below(numbers, n):
    while True:
        product = next(numbers) * n
        if product & 0xFFFFFFFF >= -n % 2**32 % n:
            return product >> 32


class RandomPositions(Encoding):
    name, defaults = "random-positions", dict(max_length=2048)

    def positions(self, row, length):
        """Distinct and in order (Floyd's method), as an evaluation with seed 0 and step 0 draws."""
        numbers, taken = draws(0, "positions/evaluation", 0, row), set()
        for last in range(self.o["max_length"] - length, self.o["max_length"]):
            one = below(numbers, last + 1)
            taken.add(last if one in taken else one)
        return sorted(taken)


class ShiftPositions(Encoding):
    name, defaults = "shift-positions", dict(max_length=0)

    def positions(self, row, length):
        return list(range(length))


# --- rotary

def rotate(x, angle, layout):
    """The first channels of x [..., T, D] by angle [..., T, P]; the rest stays."""
    pairs = angle.shape[-1]
    turned, rest = x[..., :2 * pairs], x[..., 2 * pairs:]
    if layout == "pair":
        one, two = turned[..., 0::2], turned[..., 1::2]
    else:
        one, two = turned[..., :pairs], turned[..., pairs:]
    cos, sin = torch.cos(angle), torch.sin(angle)
    one, two = one * cos - two * sin, two * cos + one * sin
    if layout == "pair":
        turned = torch.stack([one, two], -1).flatten(-2)
    else:
        turned = torch.cat([one, two], -1)
    return torch.cat([turned, rest], -1)


class Rope(Encoding):
    name = "rope"
    defaults = dict(layout="pair", base=10000.0, fraction=1.0, values="none", trainable="no")

    def __init__(self, c, options):
        super().__init__(c, options)
        self.sees_key_shift = True
        self.pairs = math.floor(self.o["fraction"] * (c["dim"] // c["heads"]) / 2)

    def parameters(self):
        if self.o["trainable"] == "no":
            return {}
        return self.each_layer("log_frequency_shift", (self.c["heads"], self.pairs))

    def frequencies(self, length):
        d, base, n = 2 * self.pairs, self.o["base"], self.c["train_length"]
        factor, how = length / n, extension(self.c, length)
        if how == "ntk":
            base = base * factor ** (d / (d - 2))
        theta = frequencies(self.pairs, d, base)
        if how != "yarn":
            return theta

        def pair_that_turns(times):
            return d * math.log(n / (times * 2 * math.pi)) / (2 * math.log(base))

        low = max(math.floor(pair_that_turns(32)), 0)
        high = min(math.ceil(pair_that_turns(1)), d - 1)
        ramp = ((arange(self.pairs) - low) / max(high - low, 0.001)).clamp(0, 1)
        return theta * (1 - ramp) + theta / factor * ramp

    def angle(self, p, n, length):
        angle = constant(places(self.c, length)[:, None] * self.frequencies(length))
        if self.o["trainable"] == "yes":
            angle = angle * torch.exp(p[self.layer(n, "log_frequency_shift")])[:, None, :]
        return angle

    def attention(self, p, n, a):
        length = a.q.shape[-2]
        angle = self.angle(p, n, length)
        if extension(self.c, length) == "yarn":
            a.scale = a.scale * (0.1 * math.log(length / self.c["train_length"]) + 1) ** 2
        a.turned_q = rotate(a.turned_q, angle, self.o["layout"])
        a.turned_k = rotate(a.turned_k, angle, self.o["layout"])
        if self.o["values"] != "none":
            a.v = rotate(a.v, angle, self.o["layout"])

    def attention_output(self, p, n, out):
        if self.o["values"] != "vo":
            return out
        return rotate(out, -self.angle(p, n, out.shape[-2]), self.o["layout"])


# --- on a grid, row-major: t = y width + x

def grid(c, options):
    length = c["length"]
    height = options["grid_height"] or c["grid_height"] or math.isqrt(length)
    assert length % height == 0 and c["grid_width"] in (0, length // height)
    return height, length // height


def grid_positions(c, options):
    height, width = grid(c, options)
    t = torch.arange(height * width)
    return t // width, t % width


class Rope2d(Encoding):
    name, defaults = "rope2d", dict(base=100.0, grid_height=0)

    def __init__(self, c, options):
        super().__init__(c, options)
        self.sees_key_shift = True

    def attention(self, p, n, a):
        y, x = grid_positions(self.c, self.o)
        half = a.q.shape[-1] // 2
        theta = frequencies(half // 2, half, self.o["base"])  # base^(-4c/D)
        # The pairs of the first half turn by the column, those of the second by the row.
        angle = constant(torch.cat([x[:, None] * theta, y[:, None] * theta], -1))
        a.turned_q = rotate(a.turned_q, angle, "pair")
        a.turned_k = rotate(a.turned_k, angle, "pair")


class Learned2d(Encoding):
    name, defaults = "learned2d", dict(grid_height=0)

    def parameters(self):
        height, width = grid(self.c, self.o)
        half = self.c["dim"] // 2
        return {self.shared("row.weight"): ((height, half), 0),
                self.shared("column.weight"): ((width, half), 0)}

    def input(self, p, tokens, x):
        row, column = grid_positions(self.c, self.o)
        return x + torch.cat([p[self.shared("column.weight")][column],
                              p[self.shared("row.weight")][row]], -1)


class Sinusoidal2d(Encoding):
    name, defaults = "sinusoidal2d", dict(grid_height=0, base=10000.0, normalize="yes")

    def input(self, p, tokens, x):
        parts = []
        for coordinate, size in zip(grid_positions(self.c, self.o), grid(self.c, self.o)):
            coordinate = coordinate.double() + 1
            if self.o["normalize"] == "yes":
                coordinate = coordinate / (size + 1e-6) * 2 * math.pi
            parts.append(interleaved(coordinate, self.c["dim"] // 2, self.o["base"]))
        return x + constant(torch.cat(parts, -1))


def swin_rows(y, x, height, width):
    return (y[:, None] - y[None, :] + height - 1) * (2 * width - 1) + (
        x[:, None] - x[None, :] + width - 1)


class Bias2d(Encoding):
    name, defaults = "bias2d", dict(grid_height=0)

    def parameters(self):
        height, width = grid(self.c, self.o)
        return self.each_layer("weight", ((2 * height - 1) * (2 * width - 1), self.c["heads"]))

    def attention(self, p, n, a):
        rows = swin_rows(*grid_positions(self.c, self.o), *grid(self.c, self.o))
        a.bias = a.bias + p[self.layer(n, "weight")][rows].permute(2, 0, 1)


CLASSES = {e.name: e for e in (
    Nothing, Learned, Hierarchical, Sinusoidal, Rnn, Recursive, Floater, Multiplicative, Complex,
    Conv, Shaw, TransformerXL, XLNet, T5, Deberta, DebertaEmd, Tupe, Urpe, Rope, Rope2d, Learned2d,
    Sinusoidal2d, Bias2d, Alibi, LogN, RandomPositions, ShiftPositions)}


def split(c):
    return c["pe"].split("+"), dict(pair.split("=") for pair in c["pe_opts"].split(",") if pair)


def make_stack(c):
    names, options = split(c)
    for key in options:
        assert any(key.rpartition(".")[2] in CLASSES[name].defaults for name in names), key
    return [CLASSES[name](c, options) for name in names]


# --- the Transformer

def normalise(kind, scores, allowed):
    """Weights of the keys that are `allowed`; a query without any has zeros."""
    if kind == "softmax":
        return masked_softmax(scores, allowed)
    scores = torch.where(allowed, scores, torch.full_like(scores, -1e30))
    top = scores.max(-1, keepdim=True).values.detach()
    if kind == "l2":
        e = torch.exp(scores - top) * allowed
        total = (e * e).sum(-1, keepdim=True)
        return e / torch.sqrt(torch.where(total > 0, total, torch.ones_like(total)))
    assert kind == "softmax1"
    top = top.clamp(min=0)
    e = torch.exp(scores - top) * allowed
    return e / (torch.exp(-top) + e.sum(-1, keepdim=True))


def weights(c, a, mask):
    """A~ [S, B, H, T, T] (linear attention: of the numerator, over the denominator)."""
    length = a.q.shape[-2]
    allowed = (mask != 0)[None, :, None, None, :].expand(1, -1, 1, length, -1)
    if c["causal"]:
        allowed = allowed & torch.ones(length, length, dtype=torch.bool).tril()
    if c["attention"] == "linear":
        top = (a.turned_q @ a.turned_k.transpose(-1, -2)) * allowed
        total = ((a.q @ a.k.transpose(-1, -2)) * allowed).sum(-1, keepdim=True)
        return top / torch.where(total > 0, total, torch.ones_like(total))
    if c["attention"] == "relu2":
        keys = (mask != 0).sum(-1).clamp(min=1)[None, :, None, None, None]
        return torch.relu(a.scores()) ** 2 * allowed / keys * a.factor
    return normalise(c["attention"], a.scores(), allowed) * a.factor


def attention(p, c, stack, n, queries, keys, mask):
    at = "layers.%d.attn." % n

    def project(x, part):
        return linear(x, p[at + part + ".weight"], p[at + part + ".bias"])

    q, k, v = project(queries, "q"), project(keys, "k"), project(keys, "v")
    for e in stack:
        q, k, v = e.projected(p, n, q, k, v)
    if c["attention"] == "linear":
        q, k = (torch.where(x > 0, x, torch.expm1(x.clamp(max=0))) + 1 for x in (q, k))
    a = Attention(*(x.unflatten(-1, (c["heads"], -1)).transpose(2, 3) for x in (q, k, v)))
    a.mask = mask
    for e in stack:
        e.attention(p, n, a)
    if extension(c, mask.shape[-1]) == "logn":
        log_n(c, a, mask, c["train_length"], True)
    share = weights(c, a, mask)
    out = share @ a.v
    for table in a.value_tables:
        out = out + torch.einsum("sbhij,ijd->sbhid", share, table)
    for e in stack:
        out = e.attention_output(p, n, out)
    return project(out.transpose(2, 3).flatten(-2), "o")


def transformer(p, c, tokens, mask):
    """Logits [B, T, V]; row by row where each stands at positions of its own."""
    sampler = [e for e in make_stack(c) if hasattr(e, "positions")]
    if not sampler:
        return forward(p, c, tokens, mask)
    rows = []
    for row in range(len(tokens)):
        DRAWN.append(sampler[0].positions(row, tokens.shape[1]))
        rows.append(forward(p, c, tokens[row:row + 1], mask[row:row + 1]))
        DRAWN.pop()
    return torch.cat(rows)


def forward(p, c, tokens, mask):
    stack = make_stack(c)
    x = p["tok_emb.weight"][tokens][None]
    for e in stack:
        x = e.input(p, tokens, x)
    for n in range(c["layers"]):
        at = "layers.%d." % n

        def norm(part, y):
            return layer_norm(y, p[at + part + ".weight"], p[at + part + ".bias"])

        def dense(part, y):
            return linear(y, p[at + part + ".weight"], p[at + part + ".bias"])

        for e in stack:
            x = e.layer_input(p, n, x)
        z = x
        for e in stack:
            z = e.queries_from(p, n, z)
        x = z + attention(p, c, stack, n, norm("ln1", z), norm("ln1", x), mask)
        x = x + dense("mlp.down", gelu(dense("mlp.up", norm("ln2", x))))
        for e in stack:
            x = e.layer_output(p, n, x)
    for e in stack:
        x = e.output(p, x)
    x = layer_norm(x[0], p["ln_f.weight"], p["ln_f.bias"])
    return linear(x, p["tok_emb.weight"] if c["tie"] else p["head.weight"])
