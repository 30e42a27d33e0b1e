"""Measures the convolutional part of a detector (backbone, feature pyramid, RPN: what an exported graph can hold) in
OpenVINO, ONNX Runtime, PyTorch, and asmlp, in turn; benchmarks/peers.sh --detector starts it.

Every peer gets the graph of detector.py in the form that was the fastest for classifiers. Its maps must agree with
those of `asmlp forward` within 1e-3 of the largest. asmlp's time is the sum of the medians of the parts backbone,
pyramid, and RPN of `asmlp bench --task detect`, the peers' is that of the whole graph.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from contenders import FIRST, NAMES, Peer
from environment import Environment, say

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = 1e-3
PARTS = ["backbone", "pyramid", "RPN"]
FORM = {"layout": "nchw", "shift": "slice", "norm": "group"}


def parse_arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="peers.sh --detector", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--detector", action="store_true", help=argparse.SUPPRESS)
    add("--model", default="mask_rcnn_asmlp_tiny", help="a detector of `asmlp info --list` (default: %(default)s)")
    add("--size", default="800x1088", help="HxW, multiples of 32 (default: %(default)s)")
    add("--peers", default="openvino,onnxruntime,torch", help="default: %(default)s")
    add("--rounds", type=int, default=6, help="default: %(default)s")
    add("--runs", type=int, default=3, help="timed runs of a program in a round (default: %(default)s)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every usable core")
    add("--asmlp", default=str(ROOT / "build/bin/asmlp"), help="default: build/bin/asmlp")
    add("--cache", default=str(cache / "asmlp-peers"), help="folder of the virtual environment (default: %(default)s)")
    options = parser.parse_args()
    options.sides = [int(side) for side in options.size.split("x")]
    if len(options.sides) != 2 or any(side % 32 or side <= 0 for side in options.sides):
        parser.error(f"--size {options.size}: must be HxW, both multiples of 32")
    options.peers = options.peers.split(",")
    return options


def call(*words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"peers.sh: {' '.join(map(str, words))}: {done.stderr.strip()[-300:]}")
    return done.stdout


def asmlp_ms(options, model):
    row = json.loads(call(options.asmlp, "bench", "--task", "detect", "--model", model, "--size", options.size, "--runs",
                          options.runs, "--warmup", 1, "--threads", options.threads, "--json", "--quiet"))["rows"][0]
    return sum(row["parts_ms"][part]["median"] for part in PARTS)


def contenders(options, environment, work, model, inputs):
    """A process per peer that has loaded the graph."""
    onnx = work / "detector.onnx"
    common = {"model": str(model), "threads": options.threads, "precision": "fp32", "input": str(inputs), **FORM}
    environment.worker({"job": "export", "onnx": str(onnx), "images": 1, **common})
    memory, waiting = dict(environment.allocators()), dict(environment.thread_runtimes())
    jobs = {"openvino": ("ONNX", {"source": "onnx", "streams": 1, "onnx": str(onnx)}, {}),
            "onnxruntime": ("ONNX", {"onnx": str(onnx)}, {}),
            "torch": ("compiled", {"format": "contiguous", "compile": True},
                      {**memory.get(FIRST[0], {}), **waiting.get(FIRST[1], {})})}
    for peer in options.peers:
        setting, job, variables = jobs[peer]
        logits = work / f"{peer}.safetensors"
        yield Peer(environment.python, peer, setting, {**common, **job, "logits": str(logits)}, variables, os.cpu_count())


def difference(environment, contender, reference, levels):
    """max |a - b| of all maps relative to the largest value of each kind of map, the worst of them."""
    words = [environment.python, "-c",
             "import sys, numpy; sys.path.insert(0, sys.argv[1]); import tensors; "
             "a = tensors.read(sys.argv[2])[0]['logits'].astype(float).ravel(); maps = tensors.read(sys.argv[3])[0]; "
             "names = [f'{n}.{k}' for k in range(int(sys.argv[4])) for n in ('pyramid', 'rpn.logits', 'rpn.deltas')]; "
             "parts = [maps[n].astype(float).ravel() for n in names]; "
             "assert sum(map(len, parts)) == len(a), (sum(map(len, parts)), len(a)); at = numpy.cumsum([0] + [len(p) for p in parts]); "
             "print(max(float(abs(a[i:i + len(p)] - p).max() / abs(p).max()) for i, p in zip(at, parts)))",
             Path(__file__).parent, contender.logits, reference, levels]
    return float(call(*words))


def main():
    options = parse_arguments()
    environment = Environment(options.cache)
    options.peers, versions = environment.prepare(options.peers)
    with tempfile.TemporaryDirectory(prefix="asmlp-peers-") as folder:
        work = Path(folder)
        raw, model, inputs, maps = (work / f"{name}.safetensors" for name in ("raw", "model", "input", "maps"))
        described = json.loads(call(options.asmlp, "info", options.model, "--params", "--json"))["model"]
        config = described["config"]
        environment.worker({"job": "weights", "weights": str(raw), "params": described["parameter_table"],
                            "size": options.sides, "channels": config["backbone"]["in_chans"], "batches": [1],
                            "input": str(inputs)})
        call(options.asmlp, "convert", raw, model, "--model", options.model, "--shift-size",
             ",".join(map(str, config["backbone"]["shift_size"])), "--quiet")
        call(options.asmlp, "forward", "--model", model, "--input", inputs, "--output", maps, "--quiet")
        rows, failures = [], 0
        for contender in contenders(options, environment, work, model, inputs):
            try:
                contender.start()
            except RuntimeError as error:
                say(f"{NAMES[contender.peer]}: {error}")
                contender.stop()
                continue
            off = difference(environment, contender, maps, len(config["rpn"]["anchors"]["strides"]))
            failures += not off <= ALLOWED
            rows.append((contender, off, [], []))
        for k in range(options.rounds):
            for contender, _, ms, ratios in rows:
                own = asmlp_ms(options, model)
                time.sleep(0.3)
                ms.append(statistics.median(contender.measure(1, options.runs)["ms"]))
                ratios.append(ms[-1] / own)
                say(f"round {k + 1}: asmlp {own:.0f} ms, {NAMES[contender.peer]} {ms[-1]:.0f} ms")
        for contender, off, ms, ratios in rows:
            contender.stop()
            print(f"{NAMES[contender.peer]} {versions.get(contender.peer, '')}, {contender.setting}: median {statistics.median(ms):.0f} "
                  f"ms; asmlp is {statistics.median(ratios):.2f} x as fast (rounds: {min(ratios):.2f} to {max(ratios):.2f}); "
                  f"maps differ by {off:.1e}")
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
