#!/usr/bin/env python3
"""Writes pe_*.bin: the whole Transformer with every position encoding, what PyTorch says about it.

    python3 tests/golden/make_golden_encodings.py [--check]

Format, number types and the refusal of badly conditioned seeds are those of make_golden.py; the
formulas are in reference_encodings.py. Before anything is written, the formulas are held against
numbers known from elsewhere, and the model against that of make_golden.py.

Names: CASE/{config,batch,params,grads,outputs}/... as in model_*.bin, and
    config/{pe_opts,attention}             text: "KEY=VALUE,KEY=VALUE" and the --attention
    config/{grid_height,grid_width}        int32, of the task; 0 where there is none
    config/extension                       text, of files that have it: what --extend would take
What a case does not have is in shared/: the usual configuration, and the parameters of the
Transformer itself, the same for all cases of the file that have the usual shape. To keep the files
small, parameters are float32 (they are exact in it), and the gradients of the Transformer's own
parameters are one vector, grads/transformer: those that the case has, in the order of params/.
"""
import fnmatch
import math

import numpy as np
import torch

import make_golden as base
import reference_encodings as reference
from make_golden import cross_entropy, draw, emit

USUAL = dict(layers=1, heads=2, dim=8, ff_dim=4, vocab=4, train_length=5, length=5, batch=2,
             causal=False, tie=False, pe="none", pe_opts="", attention="softmax", grid_height=0,
             grid_width=0)
SHARED_LAYERS = 2


class Golden:
    """One file."""

    def __init__(self, name, seed, **usual):
        self.name, self.usual = name, dict(USUAL, **usual)
        self.model = base.make_params(np.random.default_rng(seed),
                                      dict(self.usual, layers=SHARED_LAYERS))
        self.arrays = {"shared/config/" + key: plain(value) for key, value in self.usual.items()
                       if key != "pe"}
        self.arrays.update({"shared/params/" + key: value.detach().float()
                            for key, value in self.model.items()})

    def write(self):
        emit("pe_%s.bin" % self.name, self.arrays, 1 << 18)

    def encoder(self, name, pe, options="", **more):
        self.case(name + "_encoder", False, pe, options, **more)

    def decoder(self, name, pe, options="", **more):
        self.case(name + "_decoder", True, pe, options, **more)

    def case(self, name, causal, pe, options, hidden=(), ignored=(), zero=(), **config):
        """`hidden` and `ignored` are (row, position) pairs; position None is the whole row. `zero`
        names the parameters whose gradient is zero by arithmetic, beside those that always are."""
        c = dict(self.usual, pe=pe, pe_opts=options, causal=causal)
        assert set(config) <= set(c), config
        c.update(config)
        c["train_length"] = config.get("train_length", c["length"])
        stack = reference.make_stack(c)
        rng = np.random.default_rng(SEEDS.get(name, 0))
        p = self.parameters(rng, c, stack)
        tokens, targets, mask = batch(rng, c, hidden, ignored)
        logits, loss = run(p, c, tokens, targets, mask)
        zero = list(zero) + zeros(c, stack)
        check_condition(name, p, c, tokens, targets, mask, logits, zero)

        arrays = {"config/" + key: plain(value) for key, value in c.items()
                  if key == "pe" or value != self.usual[key]}
        arrays.update({"batch/tokens": tokens, "batch/targets": targets, "batch/mask": mask})
        arrays.update({"params/" + key: value.detach().float() for key, value in p.items()
                       if not (key in self.model and torch.equal(value, self.model[key]))})
        arrays.update({"outputs/logits": logits, "outputs/loss": loss})
        arrays.update(gradients(name, p, zero))
        for key, value in arrays.items():
            assert name + "/" + key not in self.arrays, name
            self.arrays[name + "/" + key] = value

    def parameters(self, rng, c, stack):
        own = any(c[key] != self.usual[key] for key in ("dim", "ff_dim", "vocab", "tie"))
        shared = base.make_params(rng, dict(c, pe="none")) if own else self.model
        p = {key: value.detach().clone().requires_grad_() for key, value in shared.items()
             if not key.startswith(tuple("layers.%d." % n for n in range(c["layers"], 9)))}
        for e in stack:
            for key, (shape, mean) in e.parameters().items():
                assert key not in p and is_encodings(key), key
                p[key] = draw(rng, *shape, mean=mean, std=0.3)
        return p


def is_encodings(key):
    return key.startswith("pe.") or ".pe." in key


def plain(value):
    return value if isinstance(value, str) else int(value)


def batch(rng, c, hidden, ignored):
    shape = (c["batch"], c["length"])
    tokens = torch.tensor(rng.integers(0, c["vocab"], shape))
    targets = torch.tensor(rng.integers(0, c["vocab"], shape))
    mask = torch.ones(shape, dtype=torch.int64)
    for row, position in hidden:
        mask[row, slice(None) if position is None else position] = 0
    for row, position in ignored:
        targets[row, slice(None) if position is None else position] = -1
    return tokens, targets, mask


def run(p, c, tokens, targets, mask):
    logits = reference.transformer(p, c, tokens, mask)
    loss = cross_entropy(logits, targets)
    loss.backward()
    return logits, loss


def gradients(name, p, zero):
    own, transformer = {}, []
    for key, value in p.items():
        grad = torch.zeros_like(value) if value.grad is None else value.grad
        if is_zero(key, zero):
            grad = base.zeros_for(grad, name + " " + key)
        else:
            assert grad.abs().max() > 1e-6, (name, key)
        if is_encodings(key):
            own["grads/" + key] = grad
        else:
            transformer.append(grad.flatten())
    return {"grads/transformer": torch.cat(transformer), **own}


def zeros(c, stack):
    """What softmax does not see, as it divides a factor common to a row away; nor does l2."""
    if c["attention"] not in ("softmax", "l2"):
        return []
    own = [pattern for e in stack for pattern in e.zero()]
    return own + ([] if any(e.sees_key_shift for e in stack) else ["layers.*.attn.k.bias"])


def is_zero(key, patterns):
    return any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns)


def check_condition(name, p, c, tokens, targets, mask, logits, zero):
    """torch in float32 against itself in double."""
    torch.set_default_dtype(torch.float32)
    single = {key: value.detach().float().requires_grad_() for key, value in p.items()}
    found, _ = run(single, c, tokens, targets, mask)
    torch.set_default_dtype(torch.float64)
    assert found.dtype == torch.float32
    pairs = [("logits", found, logits)]
    pairs += [(key, single[key].grad, p[key].grad) for key in p if not is_zero(key, zero)]
    for key, one, two in pairs:
        error = (one - two).abs().max() / two.abs().max()
        assert error < base.FLOAT_LIMIT, (
            "%s: %s loses its digits in float (%.2g); take another seed" % (name, key, error))


# --- the formulas against numbers known from elsewhere

def near(found, expected, limit=1e-6):
    found, expected = torch.as_tensor(found).double(), torch.as_tensor(expected).double()
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < limit, (found, expected)


def check_buckets():
    """First distance of each bucket from the 8th (causal: 16th) on, in T5's default 32 and 128."""
    causal = list(range(16)) + [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
    both = list(range(8)) + [8, 12, 16, 23, 32, 46, 64, 91]
    for distance in range(300):
        found = reference.t5_bucket(-distance, True, 32, 128)
        assert found == max(b for b, first in enumerate(causal) if first <= distance), distance
        bucket = max(b for b, first in enumerate(both) if first <= distance)
        assert reference.t5_bucket(-distance, False, 32, 128) == bucket, distance
        if distance:
            assert reference.t5_bucket(distance, False, 32, 128) == 16 + bucket, distance
            assert reference.t5_bucket(distance, True, 32, 128) == 0
    log_bucket = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 5, 8: 6, 10: 6, 16: 7, 20: 7, 31: 7}
    for distance, bucket in log_bucket.items():
        assert reference.deberta_log_bucket(distance, 8, 32) == bucket, distance
        assert reference.deberta_log_bucket(-distance, 8, 32) == -bucket, distance


def check_numbers():
    sinusoid = [0.141120, -0.989992, 0.295520, 0.955336, 0.029996, 0.999550, 0.003000, 0.999996]
    near(reference.interleaved(torch.tensor(3.0), 8), sinusoid)
    near(base.sinusoids(4, 8)[3], sinusoid)

    x, angle = torch.tensor([[1.0, 2, 3, 4]]), 2 * reference.frequencies(2, 4)[None]
    near(reference.rotate(x, angle, "pair"), [[-2.234742, 0.077004, 2.919405, 4.059196]])
    near(reference.rotate(x, angle, "half"), [[-3.144039, 1.919605, -0.339143, 4.039197]])

    c = dict(USUAL, dim=1, train_length=3)
    table = reference.Hierarchical(c, {}).table(torch.tensor([[1.0], [2], [4]]), 9)
    near(table[:, 0], [1, 2, 4, 1.666667, 2.666667, 4.666667, 3, 4, 6])

    scores, allowed = torch.tensor([0.0, 1, 2]), torch.ones(3, dtype=torch.bool)
    near(reference.normalise("l2", scores, allowed), [0.126000952, 0.342506099, 0.931028105], 1e-9)
    near(reference.normalise("softmax1", scores, allowed), [0.082594539, 0.224515236, 0.610295685],
         1e-9)

    slopes = {1: [-8], 2: [-4, -8], 3: [-4, -8, -2], 4: [-2, -4, -6, -8],
              6: [-2, -4, -6, -8, -1, -3],
              12: [-1, -2, -3, -4, -5, -6, -7, -8, -0.5, -1.5, -2.5, -3.5]}
    for heads, powers in slopes.items():
        near(reference.alibi_slopes(heads), [2.0 ** power for power in powers], 1e-15)

    # Known answers of Philox 4x32-10, in the tests of its authors' Random123.
    assert reference.philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]

    def rope(dim, train_length, length, how):
        c = dict(USUAL, dim=dim, heads=1, train_length=train_length, extension=how)
        return reference.Rope(c, {}).frequencies(length)

    near(rope(16, 64, 256, "yarn"), [1, 0.237170825, 0.05, 0.007905694, 0.0025, 0.000790569,
                                     0.00025, 0.000079057], 1e-9)
    near(rope(16, 64, 256, "ntk")[1], 48760.546168 ** -0.125, 1e-9)

    y, x = reference.grid_positions(dict(USUAL, length=6), dict(grid_height=2))
    assert reference.swin_rows(y, x, 2, 3)[0].tolist() == [7, 6, 5, 2, 1, 0]


def check_model():
    """Without an encoding of its own it is the model of make_golden.py."""
    for pe in ("none", "learned", "sinusoidal"):
        rng = np.random.default_rng(0)
        c = dict(USUAL, pe=pe, layers=2, causal=pe != "none")
        p = base.make_params(rng, c)
        tokens, _, mask = batch(rng, c, [(0, 0), (1, 3)], [])
        near(reference.transformer(p, c, tokens, mask), base.model(p, c, tokens, mask), 1e-12)


# --- the cases

# Of the cases that lose digits with the seeds before; the others have seed 0.
SEEDS = {
    "relu2_t5_decoder": 1,
    "rnn_encoder": 1, "floater_input_encoder": 1, "complex_encoder": 20, "complex_decoder": 2,
    "conv_wide_reflect_encoder": 1, "conv_each_decoder": 5, "shaw_encoder": 1,
    "shaw_two_decoder": 2, "transformer-xl_encoder": 1, "xlnet_encoder": 7, "t5_encoder": 1,
    "deberta_encoder": 23, "deberta_decoder": 1, "deberta_paper_decoder": 8,
    "deberta-emd_encoder": 53, "deberta-emd_decoder": 7, "tupe_encoder": 7, "tupe_decoder": 2,
    "tupe_untie_encoder": 5, "urpe_encoder": 5, "rope_trainable_half_decoder": 2,
    "rope2d_task_encoder": 1, "bias2d_encoder": 5, "conv2d_reflect_encoder": 1,
    "conv2d_after1_encoder": 1, "t5+urpe_decoder": 1, "learned+rope_encoder": 2,
    "conv+rope_decoder": 3, "linear_encoder": 15, "linear_learned+rope_decoder": 1,
    "alibi_offset_encoder": 1, "random+t5+alibi_decoder": 1, "random+deberta-emd_encoder": 2,
    "tupe_clip_decoder": 1, "alibi_clip_encoder": 1,
}

# Padding at the end and a row without any key, for encoders of three rows; and a decoder whose
# first queries see no key.
PADDED = dict(batch=3, hidden=[(1, 3), (1, 4), (2, None)], ignored=[(1, 3), (1, 4)])
START_HIDDEN = dict(hidden=[(0, 0), (0, 1), (1, 2)], ignored=[(0, 0)])
# Of one key softmax makes 1, whatever its score.
ONE_KEY = ["layers.*.attn.q.*", "layers.*.attn.k.*"]


def make_absolute():
    g = Golden("absolute", 1, dim=4, ff_dim=3)
    g.encoder("none", "none", **PADDED)
    g.encoder("learned", "learned", "max_length=7", length=5, train_length=6, **PADDED)
    g.decoder("learned", "learned", length=6, tie=True)
    g.encoder("sinusoidal", "sinusoidal", "layout=halves,base=100", length=7, hidden=[(0, 6)])
    g.decoder("sinusoidal", "sinusoidal", "layout=tensor2tensor,scale=0.5", dim=8)
    g.encoder("sinusoidal_trainable", "sinusoidal", "trainable=yes,base=20")
    g.decoder("sinusoidal_trainable", "sinusoidal", "layout=tensor2tensor,trainable=yes,scale=2")
    # Eight positions of three rows, and all nine of a table as long as the training length.
    g.encoder("hierarchical", "hierarchical", "rows=3", length=8, hidden=[(0, 7)])
    g.decoder("hierarchical", "hierarchical", "alpha=0.3", length=9, train_length=3)
    g.encoder("rnn", "rnn", **PADDED)
    g.decoder("rnn", "rnn", "merge=add", length=7)
    g.decoder("rnn_one", "rnn", length=1, batch=3,
              zero=ONE_KEY + ["pe.rnn.recurrent.weight"])
    g.encoder("recursive", "recursive", length=7, hidden=[(1, 0)])
    g.decoder("recursive", "recursive", "cell=linear", **START_HIDDEN)
    g.encoder("floater", "floater", "step=0.4,substeps=2", layers=2, **PADDED)
    g.decoder("floater", "floater", "step=0.01", length=6)
    g.encoder("floater_input", "floater", "where=input,step=0.3,substeps=1", length=6)
    g.encoder("multiplicative", "multiplicative", "max_length=6", **PADDED)
    g.decoder("multiplicative", "multiplicative", "form=plain", length=7)
    g.encoder("complex", "complex", layers=2, **PADDED)
    g.decoder("complex", "complex", "share=words", length=6, **START_HIDDEN)
    g.encoder("complex_conjugate", "complex", "conjugate=yes,share=dims", heads=1, hidden=[(0, 2)])
    g.encoder("conv", "conv", **PADDED)
    g.decoder("conv", "conv", "kernel=5", length=6, **START_HIDDEN)
    g.encoder("conv_circular", "conv", "kernel=5,pad=circular", length=7)
    g.encoder("conv_reflect", "conv", "kernel=5,pad=reflect", length=6)
    # A kernel wider than the row, so that samples are mirrored more than once.
    g.encoder("conv_wide_reflect", "conv", "kernel=9,pad=reflect", length=2, batch=3)
    g.encoder("conv_after1", "conv", "where=after1,pad=reflect", layers=2)
    g.decoder("conv_after1", "conv", "where=after1", layers=2)
    g.decoder("conv_each", "conv", "where=each", layers=2, **START_HIDDEN)
    g.write()


def make_relative():
    g = Golden("relative", 2, dim=6)
    g.encoder("shaw", "shaw", "max_distance=2", layers=2, length=7, hidden=[(0, 5), (0, 6)])
    g.decoder("shaw", "shaw", "max_distance=3", length=6, **START_HIDDEN)
    g.encoder("shaw_keys", "shaw", "max_distance=2,values=no", heads=1, **PADDED)
    g.decoder("shaw_sinusoid", "shaw", "max_distance=3,table=sinusoid", length=7, heads=1)
    g.encoder("shaw_one", "shaw", "max_distance=1", length=1, batch=3,
              zero=ONE_KEY + ["layers.*.pe.shaw.key"])
    g.decoder("shaw_two", "shaw", length=2, batch=3)
    g.encoder("transformer-xl", "transformer-xl", layers=2, **PADDED)
    g.decoder("transformer-xl", "transformer-xl", "clamp_length=3", length=7, **START_HIDDEN)
    g.decoder("transformer-xl_two", "transformer-xl", length=2, batch=3, heads=3)
    g.encoder("xlnet", "xlnet", "clamp_length=2", layers=2, **PADDED)
    g.decoder("xlnet", "xlnet", length=6, heads=1, **START_HIDDEN)
    g.encoder("t5", "t5", "buckets=8,max_distance=6", layers=2, length=9, hidden=[(1, 8), (0, 2)])
    g.decoder("t5", "t5", "buckets=8,max_distance=6", length=9, **START_HIDDEN)
    g.encoder("t5_causal", "t5", "buckets=6,max_distance=5,bucketing=causal", length=7, heads=3)
    g.decoder("t5_bidirectional", "t5", "buckets=8,max_distance=6,bucketing=bidirectional",
              length=9)
    g.encoder("t5_usual", "t5", heads=1, length=7)
    g.encoder("deberta", "deberta", "max_distance=3", layers=2, length=7, hidden=[(0, 6), (1, 2)])
    g.decoder("deberta", "deberta", length=6, **START_HIDDEN)
    g.decoder("deberta_paper", "deberta", "max_distance=2,p2c=paper,share=yes", layers=2, length=6)
    g.encoder("deberta_c2p", "deberta", "max_distance=2,terms=c2p", **PADDED)
    g.encoder("deberta_p2c", "deberta", "max_distance=3,terms=p2c,p2c=paper", length=7, heads=1)
    g.decoder("deberta_p2c", "deberta", "max_distance=3,terms=p2c,norm=yes", length=6)
    g.encoder("deberta_log", "deberta", "buckets=4,max_distance=8", length=9)
    g.decoder("deberta_log", "deberta", "buckets=6,norm=yes,share=yes", length=9)
    g.encoder("deberta_share_c2p", "deberta", "max_distance=3,share=yes,terms=c2p", **PADDED)
    g.encoder("deberta-emd", "deberta-emd", "max_distance=3", layers=2, **PADDED)
    g.decoder("deberta-emd", "deberta-emd", "max_length=7,share=yes,norm=yes", layers=2, length=6,
              **START_HIDDEN)
    g.encoder("deberta-emd_log", "deberta-emd", "buckets=4,max_distance=8,terms=c2p", length=9)
    g.encoder("tupe", "tupe", layers=2, **PADDED)
    g.decoder("tupe", "tupe", "max_length=7", length=6, **START_HIDDEN)
    g.encoder("tupe_untie", "tupe", "untie=yes", length=6, hidden=[(0, 0), (1, 3)])
    g.encoder("urpe", "urpe", layers=2, **PADDED)
    g.decoder("urpe", "urpe", "max_length=3", length=7, **START_HIDDEN)
    g.encoder("urpe_clip", "urpe", length=7, train_length=4)
    g.decoder("urpe_one", "urpe", length=1, batch=3, zero=ONE_KEY)
    g.write()


def make_rotary():
    g = Golden("rotary", 3)
    g.encoder("rope", "rope", layers=2, **PADDED)
    g.decoder("rope", "rope", "layout=half", length=7, **START_HIDDEN)
    g.encoder("rope_base", "rope", "base=50", heads=1, length=7, hidden=[(0, 3)])
    g.decoder("rope_fraction", "rope", "fraction=0.5,base=30", heads=1, length=6)
    g.encoder("rope_fraction_half", "rope", "fraction=0.75,layout=half,base=30", dim=12, length=6)
    g.encoder("rope_v", "rope", "values=v", **PADDED)
    g.decoder("rope_v", "rope", "values=v,layout=half,fraction=0.5", heads=1, length=6)
    g.encoder("rope_vo", "rope", "values=vo,layout=half", **PADDED)
    g.decoder("rope_vo", "rope", "values=vo,base=30", length=6, **START_HIDDEN)
    g.encoder("rope_trainable", "rope", "trainable=yes", layers=2, length=6, hidden=[(0, 5)])
    g.decoder("rope_trainable_half", "rope", "trainable=yes,layout=half,fraction=0.5", heads=1)
    g.encoder("rope_trainable_v", "rope", "trainable=yes,layout=half,values=v", length=6)
    g.decoder("rope_trainable_vo", "rope", "trainable=yes,values=vo,base=30", **START_HIDDEN)
    g.encoder("rope_two", "rope", length=2, batch=3)
    g.write()


def make_grid():
    g = Golden("grid", 4)
    # Height and width from the task, from the option, or a square.
    task, row = dict(length=6, grid_height=2, grid_width=3), dict(length=6)
    g.encoder("rope2d", "rope2d", heads=1, length=9, hidden=[(0, 8), (1, 3)])
    g.decoder("rope2d", "rope2d", "grid_height=3", **row, **START_HIDDEN)
    g.encoder("rope2d_task", "rope2d", "base=10", heads=1, **task)
    g.encoder("learned2d", "learned2d", hidden=[(1, 4)], **task)
    g.decoder("learned2d", "learned2d", "grid_height=3", **row, **START_HIDDEN)
    g.encoder("sinusoidal2d", "sinusoidal2d", length=9)
    g.decoder("sinusoidal2d", "sinusoidal2d", "normalize=no,base=100,grid_height=2", length=8)
    g.encoder("bias2d", "bias2d", layers=2, hidden=[(0, 2), (1, 0), (1, 5)], **task)
    g.decoder("bias2d", "bias2d", length=9, heads=1)
    g.encoder("bias2d_row", "bias2d", "grid_height=1", length=5)
    g.encoder("conv2d", "conv", "dims=2", hidden=[(0, 1)], **task)
    g.encoder("conv2d_circular", "conv", "dims=2,pad=circular,kernel=5,grid_height=3", **row)
    g.encoder("conv2d_reflect", "conv", "dims=2,pad=reflect,kernel=5", length=4)
    g.encoder("conv2d_after1", "conv", "dims=2,where=after1", layers=2, length=9)
    g.encoder("learned2d+bias2d", "learned2d+bias2d", **task)
    g.encoder("rope2d+urpe", "rope2d+urpe", length=4)
    g.write()


def make_stacks():
    g = Golden("stacks", 5)
    buckets = "buckets=8,max_distance=6"
    g.encoder("t5+urpe", "t5+urpe", buckets, length=9, hidden=[(0, 8), (1, 0)])
    g.decoder("t5+urpe", "t5+urpe", buckets + ",max_length=3", length=7, **START_HIDDEN)
    g.encoder("rope+urpe", "rope+urpe", "layout=half", **PADDED)
    g.decoder("rope+urpe", "rope+urpe", "values=vo,trainable=yes", length=6)
    g.encoder("shaw+urpe", "shaw+urpe", "max_distance=2", **PADDED)
    g.decoder("shaw+urpe", "shaw+urpe", "max_distance=2", length=6, **START_HIDDEN)
    g.encoder("sinusoidal+t5", "sinusoidal+t5", buckets, **PADDED)
    g.encoder("tupe+t5", "tupe+t5", "untie=yes," + buckets, length=6)
    g.decoder("tupe+t5", "tupe+t5", buckets, length=6, **START_HIDDEN)
    g.encoder("learned+rope", "learned+rope", **PADDED)
    # Shaw's table is read with the query as projected, whatever turns it, in either order.
    g.encoder("rope+shaw", "rope+shaw", "max_distance=2", length=6, hidden=[(1, 0)])
    g.decoder("shaw+rope", "shaw+rope", "max_distance=2,shaw.values=no,layout=half", length=6)
    g.encoder("transformer-xl+t5", "transformer-xl+t5", buckets, **PADDED)
    g.encoder("deberta+urpe", "deberta+urpe", "max_distance=3", length=6, hidden=[(0, 5)])
    g.decoder("deberta-emd+urpe", "deberta-emd+urpe", "max_distance=2,p2c=paper")
    g.encoder("rope+t5", "rope+t5", buckets, length=7)
    g.decoder("conv+rope", "conv+rope", "where=each,kernel=5", layers=2)
    g.write()


def make_attention():
    g = Golden("attention", 6, dim=6)
    buckets = "buckets=8,max_distance=6"
    for kind in ("relu2", "l2", "softmax1"):
        g.encoder(kind, "none", attention=kind, **PADDED)
        g.decoder(kind + "_t5", "t5", buckets, attention=kind, length=8, **START_HIDDEN)
        g.encoder(kind + "_rope", "rope", attention=kind, heads=3, hidden=[(1, 3)])
        if kind != "softmax1":
            g.decoder(kind + "_shaw+urpe", "shaw+urpe", "max_distance=2", attention=kind, length=6)
    g.encoder("relu2_deberta", "deberta", "max_distance=3", attention="relu2")
    g.encoder("softmax1_tupe", "tupe", "untie=yes", attention="softmax1")
    g.decoder("softmax1_one", "none", attention="softmax1", length=1, batch=3)
    g.encoder("linear", "none", attention="linear", layers=2, **PADDED)
    g.decoder("linear", "none", attention="linear", length=6, **START_HIDDEN)
    g.encoder("linear_rope", "rope", attention="linear", heads=3, **PADDED)
    g.decoder("linear_rope", "rope", "layout=half", attention="linear", heads=1, length=6,
              **START_HIDDEN)
    g.decoder("linear_learned+rope", "learned+rope", "trainable=yes,values=vo", attention="linear",
              heads=3)
    g.write()


def make_positions():
    """Biases by distance, scales by length, positions that are drawn."""
    g = Golden("positions", 8, dim=4)
    g.encoder("alibi", "alibi", layers=2, **PADDED)
    g.decoder("alibi", "alibi", "trainable=yes", heads=1, length=7, **START_HIDDEN)
    g.encoder("alibi_offset", "alibi", "sides=offset,trainable=yes", dim=6, heads=3, length=6)
    g.decoder("alibi_scaled", "alibi", "scaled=yes", length=6, **START_HIDDEN)
    g.encoder("logn+rope", "logn+rope", layers=2, train_length=3, **PADDED)
    g.decoder("rope+logn", "rope+logn", "logn.base=3", length=6, **START_HIDDEN)
    g.decoder("shaw+logn", "shaw+logn", "max_distance=2,at_least_one=yes", length=7, train_length=3)
    drawn = "random-positions.max_length=9"
    g.encoder("random+learned", "random-positions+learned", drawn, **PADDED)
    g.decoder("random+sinusoidal", "random-positions+sinusoidal", "", length=6, **START_HIDDEN)
    g.encoder("random+rope", "random-positions+rope", drawn + ",trainable=yes", hidden=[(0, 2)])
    g.decoder("random+rope_v", "random-positions+rope", "values=vo,layout=half", length=6)
    g.encoder("random+shaw", "random-positions+shaw", drawn + ",max_distance=3", **PADDED)
    g.decoder("random+t5+alibi", "random-positions+t5+alibi", "buckets=8,max_distance=200")
    g.encoder("random+transformer-xl", "random-positions+transformer-xl", drawn, length=6)
    g.encoder("random+deberta-emd", "random-positions+deberta-emd", drawn, layers=2)
    g.encoder("random+tupe+urpe", "random-positions+tupe+urpe", drawn, length=6)
    g.encoder("shift+learned", "shift-positions+learned", "shift-positions.max_length=8")
    g.write()


def make_extension():
    """Models of 4 tokens at 7."""
    g = Golden("extension", 9, extension="none")
    long = dict(length=7, train_length=4)
    for how in ("clip", "wrap", "interpolate", "hierarchical"):
        g.encoder("learned_" + how, "learned", "max_length=5", extension=how, **long)
        g.decoder("tupe_" + how, "tupe", extension=how, **long)
    g.decoder("sinusoidal_interpolate", "sinusoidal", "trainable=yes,base=20",
              extension="interpolate", **long)
    for how in ("interpolate", "ntk", "yarn"):
        g.encoder("rope_" + how, "rope", "base=30", dim=16, extension=how, **long)
    # Long enough that yarn leaves some pairs, slows others and blends between.
    g.decoder("rope_yarn_long", "rope", "base=4", heads=1, dim=16, extension="yarn", length=24,
              train_length=18)
    for how in ("clip", "interpolate"):
        g.encoder("alibi_" + how, "alibi", "trainable=yes", extension=how, **long)
        g.encoder("shaw_" + how, "shaw", "max_distance=5", extension=how, **long)
        g.encoder("t5_" + how, "t5", "buckets=8,max_distance=6", extension=how, **long)
    g.encoder("urpe_interpolate", "urpe", extension="interpolate", **long)
    g.decoder("transformer-xl_interpolate", "transformer-xl", extension="interpolate", **long)
    g.encoder("rope_logn", "rope", extension="logn", hidden=[(0, 6)], **long)
    g.write()


if __name__ == "__main__":
    check_buckets()
    check_numbers()
    check_model()
    make_absolute()
    make_relative()
    make_rotary()
    make_grid()
    make_stacks()
    make_attention()
    make_positions()
    make_extension()
