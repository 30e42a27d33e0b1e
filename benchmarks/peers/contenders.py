"""Who is measured: asmlp, and each peer with one of its settings."""

import itertools
import json
import os
import resource
import subprocess
import time
from pathlib import Path

from environment import HERE, process_seconds, processor_seconds

FIRST = ("MALLOC_ tuned", "libgomp, passive")  # what PyTorch's first trials run with
FORMS = [("nchw", "slice", "group"), ("nchw", "roll", "group"), ("nchw", "depthwise", "group"),
         ("nhwc", "slice", "group"), ("nchw", "slice", "moments")]  # as_mlp.py
NAMES = {"asmlp": "asmlp", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime", "torch": "PyTorch"}


class Measurement:
    """Milliseconds of the runs, and which part of the processors others took meanwhile."""

    def __init__(self, cores, own_seconds):
        self.cores, self.own = cores, own_seconds
        self.begin, self.busy, self.mine = time.monotonic(), processor_seconds(), own_seconds()

    def finish(self, ms):
        wall = max(time.monotonic() - self.begin, 1e-3)
        foreign = processor_seconds() - self.busy - (self.own() - self.mine)
        return {"ms": ms, "foreign": min(1.0, max(0.0, foreign / (wall * self.cores)))}


class Asmlp:
    """A new process of `asmlp bench` for each measurement. It verifies its row before it takes times."""

    def __init__(self, program, model, precision, batch, threads, logits):
        self.peer, self.precision, self.batch, self.threads = "asmlp", precision, batch, threads
        self.setting, self.logits = "", logits
        self.command = [program, "bench", "--model", model, "--precision", precision, "--batch", str(batch),
                        "--threads", str(threads), "--cold-starts", "0", "--json"]
        self.details = []

    def start(self):
        pass

    def measure(self, warmup, runs):
        def own():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        measurement = Measurement(os.cpu_count(), own)
        done = subprocess.run(self.command + ["--warmup", str(warmup), "--runs", str(runs)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip()[-300:])
        row = json.loads(done.stdout)["rows"][0]
        self.setting = f"{row['isa']}, {row['peak']['instruction']}"
        self.details.append(row["peak"]["ratio"])
        return measurement.finish(row["latency_ms"]["samples"])

    def stop(self):
        pass


class Peer:
    """A process of worker.py that has loaded its model and answers requests."""

    def __init__(self, python, peer, setting, job, variables, cores):
        self.peer, self.setting, self.job, self.cores = peer, setting, job, cores
        self.precision, self.logits = job["precision"], job["logits"]
        self.python, self.variables, self.process = python, variables, None

    def start(self):
        threads = str(self.job["threads"])
        variables = {**os.environ, "OMP_NUM_THREADS": threads, **self.variables}
        job = {"job": "serve", "peer": self.peer, **self.job}
        self.process = subprocess.Popen([self.python, HERE / "worker.py", json.dumps(job)], env=variables, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"ended with code {self.process.wait()}"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def measure(self, warmup, runs):
        measurement = Measurement(self.cores, lambda: process_seconds(self.process.pid))
        self.process.stdin.write(json.dumps({"warmup": warmup, "runs": runs}) + "\n")
        self.process.stdin.flush()
        return measurement.finish(self.answer()["ms"])

    def stop(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process = None


class Settings:
    """The settings that each peer is tried with."""

    def __init__(self, environment, work, model, inputs, largest, threads):
        """`inputs` with a batch filled in is a file of inputs; that of the batch `largest` is the longest."""
        self.environment, self.work, self.model, self.inputs = environment, Path(work), str(model), inputs
        self.largest, self.threads = largest, threads
        self.memory, self.waiting = environment.allocators(), environment.thread_runtimes()
        self.exported = {}  # path: the error, or None

    def form(self, layout, shift, norm):
        return {"model": self.model, "layout": layout, "shift": shift, "norm": norm, "threads": self.threads}

    def onnx(self, batch, layout, shift, norm):
        """An exported file, made once."""
        path = self.work / f"{layout}_{shift}_{norm}_{batch}.onnx"
        if path not in self.exported:
            job = {"job": "export", "onnx": str(path), "images": batch,
                   "input": self.inputs.format(batch=self.largest), **self.form(layout, shift, norm)}
            self.exported[path] = self.run_once(job)
        if self.exported[path]:
            raise RuntimeError(f"export: {self.exported[path]}")
        return path

    def run_once(self, job):
        try:
            self.environment.worker(job)
        except RuntimeError as error:
            return str(error)
        return None

    def quantized(self, batch, form, method, reduce_range):
        path = self.work / f"{'_'.join(form)}_{batch}_{method}_{reduce_range}.onnx"
        if path not in self.exported:
            job = {"job": "quantize", "float": str(self.onnx(batch, *form)), "onnx": str(path), "method": method,
                   "reduce_range": reduce_range, "images": batch,
                   "input": self.inputs.format(batch=self.largest)}
            self.exported[path] = self.run_once(job)
        if self.exported[path]:
            raise RuntimeError(f"quantization: {self.exported[path]}")
        return path

    def peer(self, peer, setting, precision, batch, job, variables=None):
        logits = self.work / f"{peer}_{abs(hash((setting, precision, batch)))}.safetensors"
        job = {"precision": precision, "threads": self.threads, "input": self.inputs.format(batch=batch),
               "model": self.model, "logits": str(logits), **job}
        return Peer(self.environment.python, peer, setting, job, variables or {}, os.cpu_count())

    def first_of(self, peer, precision, batch):
        """(setting, function that makes the contender) of the first trials: ways to write the model, the one that was
        the fastest so far first."""
        make = {"torch": self.torch_forms, "openvino": self.openvino_forms, "onnxruntime": self.onnxruntime_forms}
        return make[peer](precision, batch)

    def openvino_forms(self, precision, batch):
        def onnx(form):
            setting = "ONNX " + ", ".join(form)
            return setting, lambda: self.peer("openvino", setting, precision, batch, {
                "source": "onnx", "streams": 1, "onnx": str(self.onnx(batch, *form))})

        def converted(form):
            setting = "from PyTorch " + ", ".join(form)
            return setting, lambda: self.peer("openvino", setting, precision, batch, {
                "source": "torch", "streams": 1, **self.form(*form)})

        slices, rolls, depthwise, nhwc = FORMS[:4]
        return [converted(slices), onnx(slices), onnx(rolls), onnx(depthwise), converted(depthwise), onnx(nhwc)]

    def onnxruntime_forms(self, precision, batch):
        def plain(form):
            setting = ", ".join(form)
            return setting, lambda: self.peer("onnxruntime", setting, precision, batch,
                                              {"onnx": str(self.onnx(batch, *form))})

        def quantized(form, method, reduced):
            setting = f"{method}{', 7 bits' if reduced else ''}, " + ", ".join(form)
            return setting, lambda: self.peer("onnxruntime", setting, precision, batch, {
                "onnx": str(self.quantized(batch, form, method, reduced))})

        slices, _, depthwise, nhwc, _ = FORMS
        if precision == "int8":
            return [quantized(slices, "static", False), quantized(slices, "static", True),
                    quantized(depthwise, "static", False), quantized(nhwc, "static", False),
                    quantized(nhwc, "dynamic", False)]
        return [plain(form) for form in [depthwise, slices, *FORMS[1:2], *FORMS[3:]]]

    def torch_forms(self, precision, batch):
        slices, rolls, depthwise, nhwc, _ = FORMS
        trials = []
        for mode, tensor_format, form in [
                ("compiled", "contiguous", slices), ("eager", "channels_last", depthwise),
                ("eager", "channels_last", slices), ("eager", "contiguous", slices), ("eager", "contiguous", rolls),
                ("eager", "contiguous", nhwc), ("compiled", "channels_last", slices), ("compiled", "contiguous", nhwc)]:
            job = {**self.form(*form), "format": tensor_format, "compile": mode == "compiled"}
            setting = ", ".join([mode, tensor_format, *form])
            trials.append(self.torch_trial(setting, precision, batch, job, *FIRST))
        return trials

    def torch_trial(self, setting, precision, batch, job, memory, waiting):
        """PyTorch with an allocator and an OpenMP library by their names."""
        variables, preloaded = {}, []
        for more in (self.memory[memory], self.waiting[waiting]):
            variables.update(more)
            preloaded += [more["LD_PRELOAD"]] if "LD_PRELOAD" in more else []
        if preloaded:
            variables["LD_PRELOAD"] = ":".join(preloaded)
        setting = f"{setting}; {memory}; {waiting}"
        return setting, lambda: self.peer("torch", setting, precision, batch, job, variables)

    def further_of(self, best, stage):
        """Trials once the best so far is known: in stage 0 allocators for PyTorch and streams for OpenVINO, in stage
        1 OpenMP libraries for PyTorch."""
        batch, precision = int(best.job["input"].rsplit("_", 1)[1].split(".")[0]), best.precision
        if best.peer == "torch":
            words, memory, waiting = best.setting.split("; ")
            pairs = [(name, waiting) for name in self.memory]
            if stage == 1:
                pairs = [(memory, name) for name in self.waiting]
            return [self.torch_trial(words, precision, batch, best.job, *pair) for pair in pairs
                    if pair != (memory, waiting)]
        if best.peer == "openvino" and stage == 0 and batch % self.threads == 0 and self.threads > 1:
            setting = f"{best.setting}, {self.threads} streams"

            def make():
                job = {**best.job, "streams": self.threads}
                if job["source"] == "onnx":
                    job["onnx"] = str(self.onnx(batch // self.threads, *best.setting.replace("ONNX ", "").split(", ")))
                return self.peer("openvino", setting, precision, batch, job)

            return [(setting, make)]
        return []
