#!/usr/bin/env python3
"""Trains small runs with every encoding, exports them to ONNX, and compares onnxruntime's logits
with ours.

    python3 tests/golden/check_onnx.py [--posgrad ./posgrad] [--all] [NAME...]

Needs onnx, onnxruntime, h5py and numpy; no test runs it. Each file must pass onnx.checker with
shape inference. At the training length ours are the logits of `posgrad trace`, for the whole batch,
one row and three. At shorter lengths they are those of a second export that was captured at that
length: what the first one slices and counts while it runs, the second has as constants. Rows that are
longer than the file says must be refused. --all turns every option of every encoding, too. A line a case: the largest difference, and what the export said.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import onnx
import onnxruntime

onnxruntime.set_default_logger_severity(4)
LENGTH, SHORTER, TOLERANCE = 9, (1, 4, 7), 1e-4
SIZE = ["--dim", "16", "--heads", "2", "--ff-dim", "24", "--layers", "2", "--length", str(LENGTH),
        "--batch-size", "8", "--steps", "20", "--lr", "0.05", "--warmup", "0", "--task", "copy",
        "--task-opt", "min_length=1", "--quiet"]
STACKS = ["rope+urpe", "tupe+t5", "sinusoidal+alibi", "learned+logn", "transformer-xl+logn",
          "conv+shaw", "rnn+rope", "random-positions+learned", "random-positions+shaw",
          "shift-positions+sinusoidal", "complex+conv", "deberta+urpe", "learned2d+bias2d"]
ATTENTIONS = ["linear", "relu2", "l2", "softmax1"]


def cases(posgrad, every_option):
    """(--pe, options) of every case, before the architecture."""
    listed = json.loads(subprocess.run([posgrad, "list", "encodings", "--json"], check=True,
                                       capture_output=True).stdout)
    for row in listed:
        name = row["name"]
        if name in ("random-positions", "shift-positions"):
            continue  # in STACKS: they need one that reads them
        yield name, []
        for option in row["options"] if every_option else []:
            values = option.get("choices", "yes|no" if option["default"] in ("yes", "no") else "")
            for value in values.split("|"):
                if value and value != option["default"]:
                    yield name, ["--pe-opt", f"{option['name']}={value}"]
    for stack in STACKS:
        yield stack, []
    for name in ["none", "rope", "t5", "shaw", "learned"]:
        for attention in ATTENTIONS:
            yield name, ["--attention", attention]
    yield "learned", ["--tie"]
    yield "sinusoidal", ["--dropout", "0.2"]


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True)


def session(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def logits(run, tokens, mask):
    feed = {"tokens": tokens.astype(np.int64), "mask": mask.astype(np.int64)}
    if any(i.name == "positions" for i in run.get_inputs()):
        # any that are in order and below the range
        feed["positions"] = np.arange(tokens.shape[1])[None, :] + np.arange(len(tokens))[:, None]
    return run.run(None, feed)[0]


def refuses(run):
    """Whether rows that are longer than what is stored are an error, not wrong logits."""
    longer = np.ones((2, LENGTH + 1))
    try:
        logits(run, longer, longer)
    except Exception:
        return True
    return False


def compare(posgrad, folder, run_folder, drawn):
    """The largest difference, and the verdict."""
    file = os.path.join(folder, "model.onnx")
    exported = ask(posgrad, "export", run_folder, "-o", file, "--overwrite")
    if exported.returncode:
        raise RuntimeError(exported.stderr)
    run = session(file)
    trace = os.path.join(folder, "trace.h5")
    subprocess.run([posgrad, "trace", run_folder, "-o", trace], check=True, capture_output=True)
    with h5py.File(trace) as f:
        tokens, mask, ours = f["batch/tokens"][:], f["batch/mask"][:], f["outputs/logits"][:]
    worst = 0.0
    for rows in [] if drawn else (slice(None), slice(0, 1), slice(2, 5)):
        worst = max(worst, np.abs(logits(run, tokens[rows], mask[rows]) - ours[rows]).max())
    for length in [] if " only" in exported.stderr else SHORTER:
        other = os.path.join(folder, "other.onnx")
        subprocess.run([posgrad, "export", run_folder, "-o", other, "--length", str(length),
                        "--overwrite"], check=True, capture_output=True)
        part = tokens[:, :length], mask[:, :length]
        worst = max(worst, np.abs(logits(run, *part) - logits(session(other), *part)).max())
    if "any length" not in exported.stderr and not drawn and not refuses(run):
        raise RuntimeError("longer rows are taken and not refused")
    return worst, exported.stderr.strip().split(": ", 2)[2]


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
        for arch in ("encoder", "decoder"):
            with tempfile.TemporaryDirectory() as folder:
                what = " ".join([pe, *(options[1::2] or options), arch])
                run_folder = os.path.join(folder, "run")
                trained = ask(arguments.posgrad, "train", "--pe", pe, "--arch", arch, "--out-dir",
                              run_folder, *SIZE, *options)
                if trained.returncode:
                    print(f"{what:44}       - {trained.stderr.strip().splitlines()[0][:80]}")
                    continue
                drawn = "positions" in pe or "--dropout" in options
                try:
                    worst, verdict = compare(arguments.posgrad, folder, run_folder, drawn)
                except Exception as error:  # what a runtime refuses is a failure of the case
                    worst, verdict = np.inf, str(error).splitlines()[0]
                done += 1
                bad += not worst <= TOLERANCE
                print(f"{what:44} {worst:7.1e} {verdict}", flush=True)
    print(f"{done - bad} of {done} within {TOLERANCE}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
