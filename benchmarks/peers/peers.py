"""Measures OpenVINO, ONNX Runtime, PyTorch, and asmlp in turn; benchmarks/peers.sh starts it.

For each precision and batch, every peer is first tried in several settings (ways to write the model, formats,
compiler, allocators); the fastest of each then takes part in rounds: asmlp, OpenVINO, ONNX Runtime, PyTorch, asmlp,
... one after the other, never two at once. Before that, its logits are compared with those of `asmlp forward`:
fp32 must agree within 1e-3 of the largest, other precisions' differences are reported.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import report
from contenders import NAMES, Asmlp, Settings
from environment import Environment, say

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = 1e-3  # of fp32 logits, relative to the largest
PEERS = ["openvino", "onnxruntime", "torch"]
PRECISIONS = ["fp32", "bf16", "int8"]
PAUSE = 0.3  # seconds between two programs, in which waiting threads fall asleep


def parse_arguments():
    def names(known):
        def parse(text):
            values = text.split(",")
            for value in values:
                if value not in known:
                    raise argparse.ArgumentTypeError(f"{value}: not one of {', '.join(known)}")
            return values

        return parse

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="peers.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="asmlp_tiny_patch4_shift5_224", help="a classifier of `asmlp info --list` (default: %(default)s)")
    add("--batch", default="1,8", help="batch sizes (default: %(default)s)")
    add("--precision", default="fp32,bf16,int8", type=names(PRECISIONS), help="default: %(default)s")
    add("--peers", default=",".join(PEERS), type=names(PEERS), help="default: %(default)s")
    add("--rounds", type=int, help="rounds of the table (default 12)")
    add("--runs", type=int, help="timed runs of a program in a round (default: 8 images' worth, at least 3)")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every usable core")
    add("--asmlp", default=str(ROOT / "build/bin/asmlp"), help="default: build/bin/asmlp")
    add("--cache", default=str(cache / "asmlp-peers"), help="folder of the virtual environment (default: %(default)s)")
    add("--trials", type=int, help="try at most so many settings of a kind (default: all that are known)")
    add("--output", help="folder of the results (default: benchmarks/results)")
    add("--quick", action="store_true",
        help="one setting and two short rounds of each, into build/peers-quick: only to see that it works")
    options = parser.parse_args()
    if not re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", options.batch):
        parser.error(f"--batch {options.batch}: must be numbers separated by commas")
    options.batches = [int(batch) for batch in options.batch.split(",")]
    options.rounds = options.rounds or (2 if options.quick else 12)
    options.trials = options.trials or (1 if options.quick else None)
    options.output = Path(options.output or ROOT / ("build/peers-quick" if options.quick else "benchmarks/results"))
    if not os.access(options.asmlp, os.X_OK):
        parser.error(f"no {options.asmlp}; build it with scripts/build.sh")
    return options


def call(*words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"peers.sh: {' '.join(map(str, words))}: failed with code {done.returncode}")
    return done.stdout


class Study:
    def __init__(self, options, work):
        self.options, self.work = options, Path(work)
        self.environment = Environment(options.cache)
        self.peers, self.versions = self.environment.prepare(options.peers)
        self.cpu = json.loads(call(options.asmlp, "info", "--cpu", "--json"))["cpu"]
        self.model, self.inputs = self.work / "model.safetensors", str(self.work / "input_{batch}.safetensors")
        self.write_model()
        self.settings = Settings(self.environment, self.work, self.model, self.inputs, max(options.batches),
                                 options.threads) if self.peers else None
        self.failures, self.tried, self.ranked, self.int8_file = [], [], {}, None

    def write_model(self):
        """The zoo's architecture with deterministic weights, as a file that asmlp wrote, and the inputs."""
        options, raw = self.options, self.work / "raw.safetensors"
        model = json.loads(call(options.asmlp, "info", options.model, "--params", "--json"))["model"]
        self.environment.worker({"job": "weights", "weights": str(raw), "params": model["parameter_table"],
                                 "size": model["img_size"], "channels": model["config"]["in_chans"],
                                 "batches": options.batches, "input": self.inputs})
        self.size = model["img_size"]
        call(options.asmlp, "convert", raw, self.model, "--model", options.model, "--name", options.model, "--quiet")

    def ours(self, precision, batch):
        """asmlp's contenders: bf16x3 competes with fp32 where it is not the same."""
        names = [precision] + (["bf16x3"] if precision == "fp32" and self.cpu["precisions"]["bf16x3"] != "fma" else [])
        contenders = []
        for name in names:
            model = self.int8_model() if name == "int8" else self.model
            if model is None:
                continue
            logits = self.work / f"asmlp_{name}_{batch}.safetensors"
            call(self.options.asmlp, "forward", "--model", model, "--input", self.inputs.format(batch=batch),
                 "--output", logits, "--precision", name, "--threads", self.options.threads, "--quiet")
            contenders.append(Asmlp(self.options.asmlp, str(model), name, batch, self.options.threads, logits))
        return contenders

    def int8_model(self):
        """The model with every layer in int8, made once; None, and a note, when this build cannot make one."""
        if self.int8_file is None:
            folder, self.int8_file = self.work / "pictures", self.work / "int8.safetensors"
            folder.mkdir()
            self.environment.worker({"job": "pictures", "folder": str(folder), "size": self.size, "count": 16})
            done = subprocess.run([self.options.asmlp, "quantize", self.model, "--data", folder, "--max-error", "10",
                                   "--output", self.int8_file], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            if done.returncode != 0:
                self.environment.skip("asmlp, int8", f"`asmlp quantize` failed: {done.stderr.strip()[-200:]}")
        return self.int8_file if self.int8_file.exists() else None

    def supports(self, peer, precision):
        if peer == "onnxruntime" and precision == "bf16":
            return "has no bf16 kernels for processors"
        if peer == "openvino" and precision == "bf16" and "BF16" not in self.versions["openvino capabilities"]:
            return "has bf16 only where the processor has its instructions"
        if peer == "openvino" and precision == "int8" and "nncf" not in self.versions:
            return "needs nncf, which is not installed"
        if peer == "torch" and precision == "int8":
            return "is not measured in int8"
        return None

    def trial(self, make, setting, peer, precision, batch, runs):
        """The contender and its fastest run in ms; None when the setting fails."""
        contender = None
        try:
            contender = make()
            contender.start()
            ms = min(contender.measure(1, 2 if self.options.quick else runs)["ms"])
        except RuntimeError as error:
            ms = None
            say(f"  {NAMES[peer]} {setting}: {error}")
        if contender is not None:
            contender.stop()
        self.tried.append({"peer": peer, "precision": precision, "batch": batch, "setting": setting, "ms": ms})
        if ms is not None:
            say(f"  {NAMES[peer]}, {setting}: {ms:.1f} ms")
        return (ms, contender) if ms is not None else None

    def best(self, peer, precision, batch, runs):
        """The peer in the fastest of its settings; None when none works. After the first batch of a precision, only
        the two that were the fastest there are tried."""
        found = []

        def attempt(trials):
            for setting, make in trials:
                outcome = self.trial(make, setting, peer, precision, batch, runs)
                if outcome:
                    found.append((*outcome, setting))
            found.sort(key=lambda one: one[0])

        limit = self.options.trials
        first = self.settings.first_of(peer, precision, batch)[:limit]
        known = self.ranked.get((peer, precision))
        attempt([(setting, make) for setting, make in first if known is None or setting in known])
        if not found:
            self.environment.skip(f"{NAMES[peer]}, {precision}, batch {batch}", "no setting works")
            return None
        self.ranked.setdefault((peer, precision), [setting for _, _, setting in found[:2]])
        for stage in [] if self.options.quick else range(2):
            attempt(self.settings.further_of(found[0][1], stage)[:limit])
        return found[0][1]

    def agree(self, contender, reference):
        """max |logit - ours in fp32| relative to the largest; noted as a failure when fp32 differs."""
        words = [self.environment.python, "-c",
                 "import sys, numpy; sys.path.insert(0, sys.argv[1]); import tensors; "
                 "a, b = (tensors.read(f)[0]['logits'].astype(float) for f in sys.argv[2:]); "
                 "print(float(abs(a - b).max() / abs(b).max()) if a.shape == b.shape else float('inf'))",
                 Path(__file__).parent, contender.logits, reference]
        difference = float(call(*words))
        if contender.precision == "fp32" and not difference <= ALLOWED:
            self.failures.append(f"{NAMES[contender.peer]}, {contender.setting}: logits differ by {difference:.1e}")
        return difference

    def cell(self, precision, batch):
        """The rows of one precision and batch."""
        options = self.options
        runs = options.runs or (2 if options.quick else max(3, 8 // batch))
        say(f"== {precision}, batch {batch}")
        contenders = self.ours(precision, batch)
        for peer in self.peers:
            why = self.supports(peer, precision)
            if why:
                note = f"{NAMES[peer]}, {precision}"
                if not any(skipped.startswith(note) for skipped in self.environment.skipped):
                    self.environment.skip(note, why)
                continue
            best = self.best(peer, precision, batch, runs)
            contenders += [best] if best else []
        measured = [[] for _ in contenders]
        reference = self.work / f"asmlp_fp32_{batch}.safetensors"
        if not reference.exists():
            self.ours("fp32", batch)
        try:
            for contender in contenders:
                contender.start()
            for k in range(options.rounds):
                for contender, results in zip(contenders, measured):
                    time.sleep(PAUSE)
                    results.append(contender.measure(2 if k == 0 else 1, runs))
                say(f"  round {k + 1}: " + ", ".join(f"{NAMES[c.peer]} {statistics.median(m[-1]['ms']):.1f} ms"
                                                    for c, m in zip(contenders, measured)))
        finally:
            for contender in contenders:
                contender.stop()
        rows = [report.row(c, batch, m, self.agree(c, reference)) for c, m in zip(contenders, measured)]
        for row in rows:
            report.compare(row, [other for other in rows if other["program"] == "asmlp"])
        return rows

    def run(self, save):
        """Calls save(rows) after each precision and batch."""
        rows = []
        for precision in self.options.precision:
            if precision == "bf16" and self.cpu["precisions"]["bf16"] == "fma":
                say("note: without an instruction for bf16, asmlp's bf16 saves memory, not time")
            for batch in self.options.batches:
                rows += self.cell(precision, batch)
                save(rows)

    def document(self, rows, load):
        commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True).stdout.strip()
        memory = next((line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal")), "0")
        options = self.options
        return {"machine": {**self.cpu, "memory_gib": round(int(memory) / 2**20), "kernel": platform.release(),
                            "load_before": load, "load_after": os.getloadavg()[0]},
                "versions": {"asmlp": call(options.asmlp, "--version").split()[-1], "commit": commit or "unknown",
                             "Python": platform.python_version(), **self.versions},
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "model": options.model, "threads": options.threads, "rounds": options.rounds,
                "rows": rows, "tried": self.tried, "skipped": self.environment.skipped, "failures": self.failures}


def main():
    options, load = parse_arguments(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="asmlp-peers-") as work:
        study = Study(options, work)
        slug = re.sub("[^a-z0-9]+", "-", study.cpu["name"].lower()).strip("-")
        path = options.output / f"peers-{slug}-{study.cpu['cores']}-cores"
        options.output.mkdir(parents=True, exist_ok=True)

        def save(rows):
            document = study.document(rows, load)
            Path(f"{path}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
            Path(f"{path}.md").write_text(report.markdown(document))

        study.run(save)
    document = json.loads(Path(f"{path}.json").read_text())
    print(report.markdown(document))
    say(f"{path}.{{md,json}}; {len(document['skipped'])} skipped")
    for failure in document["failures"]:
        say(f"peers.sh: error: {failure}")
    return 1 if document["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
