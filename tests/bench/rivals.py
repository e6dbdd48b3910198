#!/usr/bin/env python3
"""posgrad beside PyTorch on the same training step, interleaved.

Every contestant is a resident process that trains a few steps when it is told to; in each round all
of a row do so in turn, and what counts is the median over rounds of the ratio of times.

Usage: rivals.py [--bench PROGRAM] [--python PYTHON] [--shapes ABCDE] [--encodings learned,t5]
                 [--threads 1,2] [--rounds 7] [--modes eager,compile] [--json FILE]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROUND_MS = 400  # of each contestant


class Contestant:
    def __init__(self, name, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.name, self.ms = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=environment)
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"rivals.py: {' '.join(command)} does not start")

    def steps(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(arguments, shape, encoding, threads):
    rivals = [Contestant("posgrad", [arguments.bench, "-S", "-t", str(threads), "-e", encoding,
                                     shape], threads)]
    for mode in arguments.modes.split(","):
        command = [arguments.python, os.path.join(HERE, "rival_torch.py"), shape, encoding, mode,
                   str(threads)]
        rivals.append(Contestant(f"torch {mode}", command, threads))
    counts = [max(1, int(ROUND_MS / rival.steps(2))) for rival in rivals]
    for _ in range(arguments.rounds):
        for rival, count in zip(rivals, counts):
            rival.ms.append(rival.steps(count))
    for rival in rivals:
        rival.close()
    ours, row = rivals[0].ms, {"shape": shape, "encoding": encoding, "threads": threads}
    row["ms"] = {rival.name: statistics.median(rival.ms) for rival in rivals}
    row["ratio"] = {rival.name: statistics.median(a / b for a, b in zip(rival.ms, ours))
                    for rival in rivals[1:]}
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", default="build/float-avx512/tests/bench/bench_step")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--shapes", default="ABCDE")
    parser.add_argument("--encodings", default="learned")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--modes", default="eager,compile")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    rows = []
    print("ratio: the rival's step time to posgrad's (median of rounds)")
    for encoding in arguments.encodings.split(","):
        for threads in arguments.threads.split(","):
            for shape in arguments.shapes:
                row = measure(arguments, shape, encoding, int(threads))
                rows.append(row)
                rivals = "  ".join(f"{name} {row['ms'][name]:9.2f} ms, {ratio:5.2f}"
                                   for name, ratio in row["ratio"].items())
                print(f"{shape}  {encoding:15} threads {threads}  posgrad "
                      f"{row['ms']['posgrad']:9.2f} ms  {rivals}  best "
                      f"{min(row['ratio'].values()):5.2f}", flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


main()
