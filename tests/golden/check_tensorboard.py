"""Event files of `train --tensorboard`, read by TensorBoard itself, against metrics.jsonl.

    python tests/golden/check_tensorboard.py [POSGRAD]

POSGRAD is the program (./posgrad). Needs the packages tensorboard and numpy. Trains a small run to
its end, one that is killed and goes on, several times, and one that was trained without event files
and gets them at its end; each must have the curves of its metrics.jsonl, point by point. No test of
ours needs this; it says that theirs and our own reader (tests/support/events.c) agree.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

POSGRAD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "posgrad")
SMALL = (
    "--pe learned --task copy --layers 1 --heads 2 --dim 16 --ff-dim 16 --length 16 --batch-size 4 "
    "--steps 20000 --warmup 10 --eval-every 250 --eval-batches 1 --save-every 250 --log-every 20 "
    "--threads 1 --quiet"
).split()
TAGS = {
    "train": {
        "loss": "train/loss",
        "accuracy": "train/accuracy",
        "lr": "optim/lr",
        "grad_norm": "optim/grad_norm",
        "step_ms": "speed/step_ms",
        "tokens_per_s": "speed/tokens_per_s",
    },
    "validation": {
        "loss": "eval/loss",
        "accuracy": "eval/accuracy",
        "exact_match": "eval/exact_match",
    },
}


def train(folder, *more):
    return [POSGRAD, "train", *SMALL, "--out-dir", folder, *more]


def expected_curves(folder):
    """What metrics.jsonl has, by tag: [(step, value)]."""
    curves = {}
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            for key, tag in TAGS[line["split"]].items():
                curves.setdefault(tag, []).append((line["step"], line[key]))
    return curves


def read_curves(folder):
    """What TensorBoard shows, by tag: [(step, value)]."""
    events = EventAccumulator(folder, size_guidance={"scalars": 0}, purge_orphaned_data=True)
    events.Reload()
    return {
        tag: [(point.step, point.value) for point in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def compare(name, folder, times=True):
    expected, found = expected_curves(folder), read_curves(folder)
    if not times:
        expected = {tag: curve for tag, curve in expected.items() if not tag.startswith("speed/")}
    assert set(found) == set(expected), (name, set(found) ^ set(expected))
    points = 0
    for tag, curve in expected.items():
        assert [step for step, _ in found[tag]] == [step for step, _ in curve], (name, tag)
        for (step, value), (_, wanted) in zip(found[tag], curve):
            # Lines have three digits of a time; all else is rounded to float and no further.
            loose = 0.0006 if tag == "speed/step_ms" else 0.6 + 1e-6 * wanted
            good = abs(value - wanted) <= loose if tag.startswith("speed/") else (
                value == float(numpy.float32(wanted))
            )
            assert good, (name, tag, step, value, wanted)
        points += len(curve)
    files = [entry for entry in os.listdir(folder) if ".tfevents." in entry]
    print(f"{name}: {len(expected)} curves, {points} points, {len(files)} event files, all equal")


def lines_of(folder):
    try:
        with open(os.path.join(folder, "metrics.jsonl"), "rb") as lines:
            return lines.read().count(b"\n")
    except FileNotFoundError:
        return 0


def kill_and_go_on(folder, kills):
    """Kills a training `kills` times, each time further on, then lets it end."""
    command = train(folder, "--tensorboard")
    checkpoint = os.path.join(folder, "checkpoint.h5")
    for kill in range(kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not os.path.exists(checkpoint) or lines_of(folder) < 150 * (kill + 1):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
        command = [POSGRAD, "train", "--resume", folder, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main():
    with tempfile.TemporaryDirectory() as base:
        whole, killed, late = (os.path.join(base, name) for name in ("whole", "killed", "late"))
        subprocess.run(train(whole, "--tensorboard"), check=True, stdout=subprocess.DEVNULL)
        compare("to the end", whole)
        kill_and_go_on(killed, 4)
        compare("killed four times", killed)
        assert expected_curves(whole)["train/loss"] == expected_curves(killed)["train/loss"]
        subprocess.run(train(late), check=True, stdout=subprocess.DEVNULL)
        resume = [POSGRAD, "train", "--resume", late, "--quiet", "--tensorboard"]
        subprocess.run(resume, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        compare("turned on at the end", late, times=False)


if __name__ == "__main__":
    main()
