"""Training steps of PyTorch and of asmlp in turn; benchmarks/train_peer.sh starts it.

A step is forward, cross entropy with label smoothing 0.1, backward, the gradient's norm clipped to 5, and AdamW, of the
same model on images that are there: what `asmlp bench --train` measures. PyTorch is first tried in several settings (ways
to write the model, memory formats, eager and compiled, allocators, OpenMP libraries); the fastest takes part in rounds:
asmlp, PyTorch, asmlp, ... never two at once. Before that, the losses of both on the same weights, images, and labels are
compared: fp32 must agree within 1e-4. Settings whose step would take longer than --limit are skipped with a note.

With --memory BATCH it measures the peak memory of training instead: of `asmlp train` (with its loader, on files of noise)
and of PyTorch's steps, both with and without activation checkpointing.
"""

import argparse
import json
import os
import platform
import re
import resource
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
import report
from contenders import FIRST, FORMS, Measurement, Peer
from environment import Environment, say

ROOT = HERE.parent
ALLOWED = 1e-4  # of the fp32 loss, relative
COMPILING = 300  # seconds that a first step may take beyond the limit
PAUSE = 0.3  # seconds between two programs, in which waiting threads fall asleep
FORMATS = ["contiguous", "channels_last"]


def parse_arguments():
    def names(text):
        values = text.split(",")
        for value in values:
            if value not in ("fp32", "bf16"):
                raise argparse.ArgumentTypeError(f"{value}: not one of fp32, bf16")
        return values

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="train_peer.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--model", default="asmlp_tiny_patch4_shift5_224", help="a classifier of `asmlp info --list` (default: %(default)s)")
    add("--img-size", type=int, help="side of the images (default: the model's)")
    add("--batch", type=int, default=8, help="images of a step (default: %(default)s)")
    add("--precision", default="fp32,bf16", type=names, help="default: fp32,bf16")
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every usable core")
    add("--rounds", type=int, help="rounds of the table (default 6)")
    add("--steps", type=int, default=3, help="timed steps of a program in a round (default: %(default)s)")
    add("--limit", type=float, default=60, help="seconds that a step of PyTorch may take (default: %(default)s)")
    add("--no-compile", action="store_true", help="without torch.compile")
    add("--memory", type=int, metavar="BATCH", help="measure the peak memory at this batch instead")
    add("--asmlp", default=str(ROOT / "build/bin/asmlp"), help="default: build/bin/asmlp")
    add("--cache", default=str(cache / "asmlp-peers"), help="folder of the virtual environment (default: %(default)s)")
    add("--output", help="folder of the results (default: benchmarks/results)")
    add("--quick", action="store_true", help="one setting and two rounds, into build/train-quick: only to see that it works")
    options = parser.parse_args()
    for name in ("batch", "threads", "steps", "img_size", "rounds", "memory"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} {value}: must be 1 or more")
    options.rounds = options.rounds or (2 if options.quick else 6)
    options.output = Path(options.output or ROOT / ("build/train-quick" if options.quick else "benchmarks/results"))
    if not os.access(options.asmlp, os.X_OK):
        parser.error(f"no {options.asmlp}; build it with scripts/build.sh")
    return options


def call(*words):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"train_peer.sh: {' '.join(map(str, words))}: failed with code {done.returncode}")
    return done.stdout


class Ours:
    """A new process of `asmlp bench --train` for each round."""

    def __init__(self, options, precision):
        self.peer, self.precision, self.setting, self.peak_mb = "asmlp", precision, "", 0
        self.command = [options.asmlp, "bench", "--train", "--model", options.model, "--precision", precision, "--batch",
                        str(options.batch), "--img-size", str(options.img_size), "--threads", str(options.threads), "--json"]
        # The composition of LibTorch's operators, the other contender of `asmlp bench --train`, is not of interest here.
        if "--path" in subprocess.run([options.asmlp, "bench", "--help"], stdout=subprocess.PIPE, text=True).stdout:
            self.command += ["--path", "fused"]

    def start(self):
        pass

    def measure(self, warmup, steps):
        def own():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        measurement = Measurement(os.cpu_count(), own)
        done = subprocess.run(self.command + ["--warmup", str(max(1, warmup)), "--runs", str(steps)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-300:])
        (row,) = [row for row in json.loads(done.stdout)["rows"]
                  if row["path"] == "fused" and row["precision"] == self.precision]
        self.setting = f"fused, {row['format']}"
        return measurement.finish([row["step_ms"]["median"]])

    def stop(self):
        pass


class PyTorch(Peer):
    """A process of worker.py that trains; it is ended when it takes longer than it may."""

    def __init__(self, python, setting, job, variables, limit):
        super().__init__(python, "torch", setting, job, variables, os.cpu_count())
        self.limit, self.allowed, self.peak_mb = limit, 0, 0

    def start(self):
        self.allowed = 2 * self.limit + COMPILING
        super().start()

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], self.allowed)
        if not ready:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise RuntimeError(f"took longer than {self.allowed:.0f} s (--limit)")
        return super().answer()

    def measure(self, warmup, steps):
        self.allowed = self.limit * (warmup + steps) + 10
        result = super().measure(warmup, steps)
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        self.peak_mb = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000
        return result


class Study:
    def __init__(self, options, work):
        self.options, self.work = options, Path(work)
        self.environment = Environment(options.cache)
        there, self.versions = self.environment.prepare(["torch"])
        if not there:
            sys.exit("train_peer.sh: PyTorch is not there")
        self.cpu = json.loads(call(options.asmlp, "info", "--cpu", "--json"))["cpu"]
        model = json.loads(call(options.asmlp, "info", options.model, "--params", "--json"))["model"]
        options.img_size = options.img_size or model["img_size"]
        self.batch = options.memory or options.batch
        self.model, self.inputs = self.work / "model.safetensors", str(self.work / "input_{batch}.safetensors")
        raw = self.work / "raw.safetensors"
        self.environment.worker({"job": "weights", "weights": str(raw), "params": model["parameter_table"],
                                 "size": options.img_size, "channels": model["config"]["in_chans"],
                                 "batches": [self.batch], "input": self.inputs})
        call(options.asmlp, "convert", raw, self.model, "--model", options.model, "--name", options.model, "--quiet")
        self.rows, self.tried, self.failures = [], [], []

    def pytorch(self, precision, form, format, compiled, memory, threads, checkpointing=False, check=True):
        setting = ", ".join([*form, format, "compiled" if compiled else "eager", memory[0], threads[0]])
        job = {"peer": "training", "model": str(self.model), "input": self.inputs.format(batch=self.batch),
               "logits": str(self.work / "loss.safetensors"), "precision": precision, "threads": self.options.threads,
               "layout": form[0], "shift": form[1], "norm": form[2], "format": format, "compile": compiled,
               "checkpointing": checkpointing, "check": check, "fused": True}
        variables = {**memory[1], **threads[1]}
        preloads = [v["LD_PRELOAD"] for v in (memory[1], threads[1]) if "LD_PRELOAD" in v]
        if preloads:
            variables["LD_PRELOAD"] = ":".join(preloads)
        return PyTorch(self.environment.python, setting, job, variables, self.options.limit)

    def our_loss(self):
        """asmlp's, by LibTorch with the fused operators, as it trains."""
        logits = self.work / "logits.safetensors"
        call(self.options.asmlp, "forward", "--model", self.model, "--input", self.inputs.format(batch=self.batch),
             "--output", logits, "--backend", "torch", "--threads", self.options.threads, "--quiet")
        words = ("import sys; sys.path.insert(0, sys.argv[1]); import tensors, train_step; "
                 "x = tensors.read(sys.argv[2])[0]['logits']; "
                 "print(train_step.smoothed_loss(x, train_step.labels_of(*x.shape)))")
        return float(call(self.environment.python, "-c", words, HERE / "peers", logits))

    def their_loss(self):
        words = ("import sys; sys.path.insert(0, sys.argv[1]); import tensors; "
                 "print(float(tensors.read(sys.argv[2])[0]['logits'][0]))")
        return float(call(self.environment.python, "-c", words, HERE / "peers", self.work / "loss.safetensors"))

    def compare_losses(self, contender):
        ours, theirs = self.our_loss(), self.their_loss()
        difference = abs(theirs - ours) / abs(ours)
        say(f"  loss: asmlp {ours:.6f}, PyTorch {theirs:.6f}")
        if contender.precision == "fp32" and not difference <= ALLOWED:
            self.failures.append(f"the losses differ: asmlp {ours:.6f}, PyTorch ({contender.setting}) {theirs:.6f}")
        return difference

    def best(self, precision):
        """PyTorch in its fastest setting, or None. Each stage keeps what was the fastest before."""
        options, found = self.options, []
        memories, runtimes = self.environment.allocators(), self.environment.thread_runtimes()

        def attempt(*setting):
            contender = self.pytorch(precision, *setting)
            try:
                contender.start()
                ms = contender.measure(0, 1)["ms"][0]
                if 3 * ms <= 1e3 * options.limit:
                    ms = min([ms] + contender.measure(0, 2)["ms"])
                found.append((ms, setting))
                say(f"  {contender.setting}: {ms:.1f} ms")
            except RuntimeError as error:
                ms = None
                self.environment.skip(f"PyTorch, {precision}, {contender.setting}", str(error))
            contender.stop()
            self.tried.append({"precision": precision, "setting": contender.setting, "ms": ms})
            found.sort(key=lambda one: one[0])

        memory, threads = ((name, table[name]) for name, table in zip(FIRST, (memories, runtimes)))
        forms = [form for form in FORMS if form[2] == "group" and form[1] != "depthwise"]
        first = [(form, format, compiled) for form in forms for format in FORMATS
                 for compiled in ([False] if options.no_compile else [False, True])
                 if not (form[0] == "nhwc" and format == "channels_last")]
        for one in first[:1] if options.quick else first:
            attempt(*one, memory, threads)
        if not found:
            return None
        if not options.quick:
            for other in memories.items():
                if other != memory:
                    attempt(*found[0][1][:3], other, threads)
            for other in runtimes.items():
                if other != threads:
                    attempt(*found[0][1][:4], other)
        return self.pytorch(precision, *found[0][1])

    def cell(self, precision):
        options = self.options
        say(f"== {precision}, batch {options.batch}, {options.img_size} pixels")
        contenders = [one for one in (Ours(options, precision), self.best(precision)) if one]
        if len(contenders) < 2:
            self.environment.skip(f"PyTorch, {precision}", "no setting works within the limit")
        measured, difference = [[] for _ in contenders], 0.0
        try:
            for contender in contenders:
                contender.precision = precision
                contender.start()
            if len(contenders) > 1:
                difference = self.compare_losses(contenders[1])
            for k in range(options.rounds):
                for contender, results in zip(contenders, measured):
                    time.sleep(PAUSE)
                    results.append(contender.measure(1, options.steps))
                say(f"  round {k + 1}: " + ", ".join(f"{c.peer} {statistics.median(m[-1]['ms']):.1f} ms"
                                                    for c, m in zip(contenders, measured)))
        finally:
            for contender in contenders:
                contender.stop()
        for contender, results in zip(contenders, measured):
            medians = [statistics.median(result["ms"]) for result in results]
            row = {"program": contender.peer, "setting": contender.setting, "precision": precision,
                   "ms": {**report.spread(medians), "rounds": medians},
                   "images_per_second": 1e3 * options.batch / statistics.median(medians),
                   "loss_difference": difference if contender.peer == "torch" else None,
                   "others_took": statistics.median(result["foreign"] for result in results)}
            if contender.peer == "torch":
                row["asmlp_is_faster"] = report.spread(
                    [theirs / ours for theirs, ours in zip(medians, self.rows[-1]["ms"]["rounds"])])
            self.rows.append(row)

    def our_peak(self, checkpointing):
        """The peak memory of three steps of `asmlp train` in MB, on two classes of noise."""
        options, data = self.options, self.work / "data"
        if not data.exists():
            for split, count in (("train", 3 * self.batch), ("val", 2)):
                for label in ("a", "b"):
                    folder = data / split / label
                    folder.mkdir(parents=True)
                    self.environment.worker({"job": "pictures", "folder": str(folder), "size": options.img_size,
                                             "count": (count + 1) // 2})
        with tempfile.TemporaryDirectory(dir=self.work) as output:
            words = [options.asmlp, "train", data, "--model", options.model, "--img-size", options.img_size,
                     "--batch-size", self.batch, "--num-classes", 1000, "--threads", options.threads, "--max-steps", 3,
                     "--no-model-ema", "--report-images", 0, "--output", output,
                     "--grad-checkpointing" if checkpointing else "--no-grad-checkpointing"]
            process = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            text = process.stderr.read().decode(errors="replace")
            _, status, usage = os.wait4(process.pid, 0)
            if status != 0:
                raise RuntimeError(f"asmlp train failed: {text[-300:]}")
            return usage.ru_maxrss / 1000

    def their_peak(self, checkpointing):
        """PyTorch's, eager, with the allocator that it needs the least with."""
        found = []
        memories = self.environment.allocators()
        threads = (FIRST[1], self.environment.thread_runtimes()[FIRST[1]])
        for name in list(memories)[:1] if self.options.quick else memories:
            contender = self.pytorch("fp32", FORMS[1], "contiguous", False, (name, memories[name]), threads, checkpointing,
                                     check=False)
            try:
                contender.start()  # the first step
                contender.measure(0, 1)
                found.append((contender.peak_mb, name))
            except RuntimeError as error:
                self.environment.skip(f"PyTorch, {name}", str(error))
            contender.stop()
        return min(found) if found else (None, "none")

    def measure_memory(self):
        for checkpointing in (False, True):
            ours = self.our_peak(checkpointing)
            theirs, allocator = self.their_peak(checkpointing)
            self.rows.append({"checkpointing": checkpointing, "asmlp_mb": ours, "pytorch_mb": theirs, "allocator": allocator,
                              "below": None if theirs is None else 1 - ours / theirs})
            say(f"  {self.rows[-1]}")

    def document(self, load):
        commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True).stdout.strip()
        memory = next((line.split()[1] for line in open("/proc/meminfo") if line.startswith("MemTotal")), "0")
        options = self.options
        return {"kind": "memory" if options.memory else "steps",
                "machine": {**self.cpu, "memory_gib": round(int(memory) / 2**20), "kernel": platform.release(),
                            "load_before": load, "load_after": os.getloadavg()[0]},
                "versions": {"asmlp": call(options.asmlp, "--version").split()[-1], "commit": commit or "unknown",
                             **{name: self.versions[name] for name in ("torch", "numpy") if name in self.versions}},
                "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "command": " ".join(sys.argv[1:]),
                "model": options.model, "img_size": options.img_size, "batch": self.batch, "threads": options.threads,
                "rounds": options.rounds, "steps": options.steps, "rows": self.rows, "tried": self.tried,
                "skipped": self.environment.skipped, "failures": self.failures}


def main():
    options, load = parse_arguments(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="asmlp-train-peer-") as work:
        study = Study(options, work)
        slug = re.sub("[^a-z0-9]+", "-", study.cpu["name"].lower()).strip("-")
        kind = "train-memory" if options.memory else "train"
        path = options.output / f"{kind}-{slug}-{study.cpu['cores']}-cores"
        options.output.mkdir(parents=True, exist_ok=True)

        def save():
            document = study.document(load)
            Path(f"{path}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n")
            Path(f"{path}.md").write_text(report.training_markdown(document))

        if options.memory:
            study.measure_memory()
        for precision in [] if options.memory else options.precision:
            study.cell(precision)
            save()
        save()
        print(report.training_markdown(study.document(load)))
    say(f"{path}.{{md,json}}; {len(study.environment.skipped)} skipped")
    for failure in study.failures:
        say(f"train_peer.sh: error: {failure}")
    return 1 if study.failures else 0


if __name__ == "__main__":
    sys.exit(main())
