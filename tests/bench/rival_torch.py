#!/usr/bin/env python3
"""The model of the benchmarks in PyTorch, as a good user of it would write it: a rival, resident.

Usage: rival_torch.py SHAPE ENCODING eager|compile THREADS
A line "N" on standard input trains N steps and answers with the milliseconds of one.
"""
import math
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SHAPES = {  # layers, dim, heads, ff, length, batch, vocab: as in shapes.c
    "A": (2, 64, 4, 256, 32, 32, 32),
    "B": (4, 128, 4, 512, 64, 32, 64),
    "C": (6, 256, 8, 1024, 128, 16, 256),
    "D": (6, 384, 6, 1536, 256, 16, 256),
    "E": (4, 256, 8, 1024, 1024, 2, 256),
}
CLIP = 16  # Shaw's largest distance


def offsets(length):
    """Key minus query, [T, T]."""
    at = torch.arange(length)
    return at[None, :] - at[:, None]


def t5_buckets(length, buckets=32, max_distance=128):
    """Raffel et al. 2019: half of the buckets a side, exact up to a quarter, then logarithmic."""
    offset, half = offsets(length), buckets // 2
    exact, distance = half // 2, offset.abs()
    far = torch.log(distance.clamp(min=1) / exact) / math.log(max_distance / exact)
    far = (exact + far * (half - exact)).long().clamp(max=half - 1)
    return (offset > 0).long() * half + torch.where(distance < exact, distance, far)


def sinusoids(position, dim):
    frequency = 10000 ** (-torch.arange(0, dim, 2) / dim)
    angle = position[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], -1)


def rotate_half(x):
    a, b = x.chunk(2, -1)
    return torch.cat([-b, a], -1)


class Attention(nn.Module):
    def __init__(self, dim, heads, length, encoding):
        super().__init__()
        self.heads, self.encoding, d = heads, encoding, dim // heads
        self.qkv, self.o = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        if encoding == "rope":
            angle = torch.arange(length)[:, None] * 10000 ** (-torch.arange(0, d, 2) / d)
            angle = torch.cat([angle, angle], -1)
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())
        elif encoding == "shaw":
            self.register_buffer("index", offsets(length).clamp(-CLIP, CLIP) + CLIP)
            self.relative_key = nn.Parameter(0.02 * torch.randn(2 * CLIP + 1, d))
            self.relative_value = nn.Parameter(0.02 * torch.randn(2 * CLIP + 1, d))
        elif encoding == "transformer-xl":
            self.register_buffer("table", sinusoids(torch.arange(length - 1, -length, -1), dim))
            self.r = nn.Linear(dim, dim, bias=False)
            self.u, self.v = (nn.Parameter(torch.zeros(heads, d)) for _ in range(2))
        elif encoding == "deberta":
            self.register_buffer("c2p", (length - offsets(length)).clamp(0, 2 * length - 1))
            self.register_buffer("p2c", (length + offsets(length)).clamp(0, 2 * length - 1))
            self.key_r, self.query_r = (nn.Linear(dim, dim, bias=False) for _ in range(2))
        elif encoding == "urpe":
            self.register_buffer("index", offsets(length) + length - 1)
            self.factor = nn.Parameter(torch.ones(heads, 2 * length - 1))

    def scores(self, q, k, positions):
        """With every term of the encoding, scaled."""
        b, h, t, d = q.shape
        if self.encoding == "transformer-xl":
            r = self.r(self.table).view(-1, h, d).transpose(0, 1)
            x = (q + self.v[:, None]) @ r.transpose(-1, -2)
            # The relative shift: [T, 2T - 1] to [T, T], each row one further on (their code).
            x = F.pad(x, (1, 0)).view(b, h, 2 * t, t)[:, :, 1:].reshape(b, h, t, 2 * t - 1)
            x = x[..., :t]
            return ((q + self.u[:, None]) @ k.transpose(-1, -2) + x) / math.sqrt(d)
        s = q @ k.transpose(-1, -2)
        if self.encoding == "shaw":
            s = s + torch.einsum("bhid,ijd->bhij", q, self.relative_key[self.index])
        elif self.encoding == "deberta":
            kr = self.key_r(positions).view(-1, h, d).transpose(0, 1)
            qr = self.query_r(positions).view(-1, h, d).transpose(0, 1)
            c2p, p2c = q @ kr.transpose(-1, -2), k @ qr.transpose(-1, -2)
            s = s + c2p.gather(-1, self.c2p.expand(b, h, t, t))
            s = s + p2c.gather(-1, self.p2c.expand(b, h, t, t)).transpose(-1, -2)
            return s / math.sqrt(3 * d)
        return s / math.sqrt(d)

    def forward(self, x, bias, positions):
        b, t, c = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.encoding == "rope":
            q = q * self.cos + rotate_half(q) * self.sin
            k = k * self.cos + rotate_half(k) * self.sin
        if self.encoding in ("shaw", "transformer-xl", "deberta", "urpe"):
            a = self.scores(q, k, positions).softmax(-1)
            if self.encoding == "urpe":
                a = a * self.factor[:, self.index]
            y = a @ v
            if self.encoding == "shaw":
                y = y + torch.einsum("bhij,ijd->bhid", a, self.relative_value[self.index])
        else:
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.o(y.transpose(1, 2).reshape(b, t, c))


class Block(nn.Module):
    def __init__(self, dim, heads, ff, length, encoding):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads, length, encoding)
        self.up, self.down = nn.Linear(dim, ff), nn.Linear(ff, dim)

    def forward(self, x, bias, positions):
        x = x + self.attention(self.norm1(x), bias, positions)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, layers, dim, heads, ff, length, vocab, encoding):
        super().__init__()
        self.encoding, self.embedding = encoding, nn.Embedding(vocab, dim)
        if encoding == "learned":
            self.table = nn.Parameter(0.02 * torch.randn(length, dim))
        elif encoding == "t5":
            self.register_buffer("buckets", t5_buckets(length))
            self.bias = nn.Embedding(32, heads)
        elif encoding == "alibi":
            slopes = 2 ** (-8 * torch.arange(1, heads + 1) / heads)  # Press et al. 2021
            self.register_buffer("far", -slopes[:, None, None] * offsets(length).abs())
        elif encoding == "deberta":
            self.positions = nn.Parameter(0.02 * torch.randn(2 * length, dim))
        self.blocks = nn.ModuleList(Block(dim, heads, ff, length, encoding) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, vocab)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        if self.encoding == "learned":
            x = x + self.table
        bias = None
        if self.encoding == "t5":
            bias = self.bias(self.buckets).permute(2, 0, 1)[None]
        elif self.encoding == "alibi":
            bias = self.far
        positions = self.positions if self.encoding == "deberta" else None
        for block in self.blocks:
            x = block(x, bias, positions)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


def main():
    shape, encoding, mode, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    layers, dim, heads, ff, length, batch, vocab = SHAPES[shape]
    model = Model(layers, dim, heads, ff, length, vocab, encoding)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    run = torch.compile(model) if mode == "compile" else model

    def step():
        tokens = torch.randint(vocab, (batch, length))
        optimizer.zero_grad(set_to_none=True)
        loss = run(tokens, tokens.roll(1, 1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        return loss

    for _ in range(3):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        start = time.perf_counter()
        for _ in range(count):
            step()
        print((time.perf_counter() - start) / count * 1e3, flush=True)


main()
