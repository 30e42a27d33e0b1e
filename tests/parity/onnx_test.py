#!/usr/bin/env python3
"""`asmlp convert MODEL model.onnx`, run by ONNX Runtime or OpenVINO, against `asmlp forward`, on random weights.

    tests/parity/onnx_test.py ASMLP                 small networks of every kind of configuration
    tests/parity/onnx_test.py ASMLP --zoo           also the published sizes: minutes
    tests/parity/onnx_test.py ASMLP --only WORD     cases whose name holds the word
    tests/parity/onnx_test.py ASMLP --table         prints the table of docs/guide/onnx.md
    tests/parity/onnx_test.py ASMLP --openvino      runs the files in OpenVINO instead

Every file is checked by onnx's checker with its inference of shapes. The difference is the largest one of
an output divided by the output's largest value, and must be at most 1e-5 (see DETECTOR_LIMIT). The levels of
a detector are one output (pyramid, rpn.logits, rpn.deltas): one head made them, and they are ranked against
one another. Exit code 77 where numpy, onnx, or onnxruntime is missing.
"""

import argparse
import json
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as error:
    print(f"skipped: {error}; name a Python that has numpy, onnx, and onnxruntime: "
          "cmake -DASMLP_ONNX_PYTHON=/path/to/python")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1e-5
# Of detectors of the published sizes. Two sums of 9 x 256 = 2304 products in a row end in the RPN's outputs;
# each is off by about sqrt(2304) 2^-24 = 2.9e-6 in each of two programs: 5.7e-6 together, and 3.5 times that
# for the largest of thousands of values.
DETECTOR_LIMIT = 2e-5
OPERATORS = {"Add", "And", "Cast", "Concat", "Conv", "Div", "Erf", "Gather", "Gemm", "GreaterOrEqual",
             "Identity", "Less", "MatMul", "Max", "Min", "Mod", "Mul", "Neg", "Pad", "Range", "ReduceMean",
             "Relu", "Reshape", "Resize", "Shape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose"}


def write_safetensors(path, tensors, metadata=None):
    header, data, offset = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[array.dtype.name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        data.append(array.tobytes())
        offset += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def read_safetensors(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(data[8 + size + begin:8 + size + end], "<f4").reshape(entry["shape"])
    return tensors


def run_onnxruntime(file):
    """A function from the input to the outputs by name."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda given: dict(zip(names, session.run(names, {session.get_inputs()[0].name: given})))


def run_openvino(file):
    import openvino
    # On processors with bf16 OpenVINO computes in that otherwise.
    compiled = openvino.Core().compile_model(str(file), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(given):
        results = compiled(given)
        return {output.any_name: results[output] for output in compiled.outputs}
    return run


class Case:
    """A network with the inputs to compare it on."""

    def __init__(self, name, model, shapes=((2, 45, 67), (1, 64, 32)), options=(), limit=LIMIT):
        self.name, self.model, self.shapes, self.options, self.limit = name, model, shapes, list(options), limit

    def pixels(self):
        return "--normalize" in self.options


class Tester:
    def __init__(self, program, folder, start):
        self.program, self.folder, self.start = Path(program).resolve(), Path(folder), start
        self.random = np.random.default_rng(23)
        self.worst_level = 0  # of any tensor, by its own largest value

    def asmlp(self, *words):
        words = [str(word) for word in words]
        outcome = subprocess.run([self.program, *words], capture_output=True, text=True)
        if outcome.returncode != 0:
            raise AssertionError(f"asmlp {' '.join(words)}: exit code {outcome.returncode}: {outcome.stderr}")
        return outcome.stdout

    def random_weight(self, name, shape):
        """Of the sizes that the golden data's weights have (asmlp/weights/fill.h)."""
        if name.endswith("num_batches_tracked"):
            return np.zeros(shape, np.int64)
        if name.endswith("running_var"):
            return self.random.uniform(0.5, 2, shape).astype(np.float32)
        values = self.random.uniform(-1, 1, shape)
        if len(shape) > 1:
            values *= (3 / np.prod(shape[1:])) ** 0.5
        else:
            shift = name.endswith(("bias", "running_mean"))
            values = 0.1 * values if shift else 1 + 0.2 * values
        return values.astype(np.float32)

    def make_model(self, model):
        """A self-describing file of random weights, or the copy of one; returns its description."""
        if isinstance(model, Path):
            (self.folder / "model.safetensors").write_bytes(model.read_bytes())
            return json.loads(self.asmlp("info", model, "--json"))["model"]
        source = model
        if isinstance(model, dict):
            source = self.folder / "config.json"
            source.write_text(json.dumps(model))
        described = json.loads(self.asmlp("info", source, "--params", "--json"))["model"]
        keys = ("task", "name", "config", "preprocessing", "classes", "origin")
        description = {key: described[key] for key in keys}
        tensors = {p["name"]: self.random_weight(p["name"], p["shape"]) for p in described["parameter_table"]}
        write_safetensors(self.folder / "model.safetensors", tensors, {"asmlp": json.dumps(description)})
        return description

    def compare(self, case):
        """The largest relative difference over all outputs and inputs."""
        description = self.make_model(case.model)
        model, file = self.folder / "model.safetensors", self.folder / "model.onnx"
        self.asmlp("convert", model, file, *case.options)
        graph = onnx.load(file)
        onnx.checker.check_model(graph, full_check=True)
        assert {o.version for o in graph.opset_import} == {17}, "another opset"
        unknown = {node.op_type for node in graph.graph.node} - OPERATORS
        assert not unknown, f"operators that are not documented: {unknown}"
        props = {p.key: p.value for p in graph.metadata_props}
        assert json.loads(props["asmlp"])["config"] == description["config"], "another description"
        run = self.start(file)
        backbone = description["config"].get("backbone", description["config"])
        return max(self.compare_input(case, run, description, backbone["in_chans"], shape)
                   for shape in case.shapes)

    def compare_input(self, case, run, description, channels, shape):
        batch, height, width = shape
        preprocessing = description["preprocessing"]
        if case.pixels():
            given = self.random.integers(0, 256, (batch, height, width, channels), dtype=np.uint8)
            scale = 255 if "crop_pct" in preprocessing else 1
            x = (given.astype(np.float32) / np.float32(scale) - np.float32(preprocessing["mean"])) / np.float32(
                preprocessing["std"])
            multiple = preprocessing.get("pad_multiple", 1)
            x = np.pad(x, ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0)))
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        else:
            given = x = self.random.standard_normal((batch, channels, height, width), dtype=np.float32)
        write_safetensors(self.folder / "x.safetensors", {"input": x})
        self.asmlp("forward", "--weights", self.folder / "model.safetensors", "--input", self.folder / "x.safetensors",
                   "--output", self.folder / "y.safetensors")
        expected = read_safetensors(self.folder / "y.safetensors")
        found = run(given)
        wanted = set(expected)
        if "logits" in wanted and "--features" not in case.options:
            wanted = {"logits"}
        assert set(found) == wanted, f"outputs {sorted(found)}, forward has {sorted(wanted)}"
        difference, largest = {}, {}
        for name, value in found.items():
            assert value.shape == expected[name].shape, f"{name} {shape}: {value.shape}, not {expected[name].shape}"
            output = name if name.startswith("feature") else name.rstrip(".0123456789")
            apart, size = np.abs(value - expected[name]).max(), np.abs(expected[name]).max()
            # Logits that are biases alone would agree whatever the graph does.
            if value.ndim == 4 and value[0, 0].size > 9:
                varied = expected[name].std(axis=(0, 2, 3)).max()
                assert varied > 0.01 * size, f"{name} of {shape} hardly depends on the input"
            self.worst_level = max(self.worst_level, apart / size)
            difference[output] = max(difference.get(output, 0), apart)
            largest[output] = max(largest.get(output, 0), size)
        worst = {output: difference[output] / largest[output] for output in largest}
        for output, value in worst.items():
            assert value <= case.limit, f"{output} of {shape}: difference {value:.2e}"
        return max(worst.values())


    def try_page(self):
        """The commands and the program of docs/guide/onnx.md, as they stand there."""
        text = (ROOT / "docs/guide/onnx.md").read_text()
        commands = re.search(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1).splitlines()
        self.make_model(classifier())
        for command in commands:
            program, *words = command.split()
            assert program == "asmlp", command
            subprocess.run([self.program, *words], cwd=self.folder, check=True, capture_output=True)
        subprocess.run([self.program, *commands[0].split()[1:]], cwd=self.folder, check=True, capture_output=True)
        program = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL).group(1)
        subprocess.run([sys.executable, "-c", program + "assert logits.shape == (1, 7)"], cwd=self.folder, check=True)


SMALL = {"embed_dim": 16, "depths": [1, 2, 1], "num_classes": 7, "shift_size": [5, 3]}


def classifier(**changes):
    return {"task": "classify", "name": "small", "config": {**SMALL, **changes}}


def detector(kind, **backbone):
    return {"task": "detect", "name": "small", "config": {
        "kind": kind, "num_classes": 3, "fpn_channels": 12,
        "backbone": {"embed_dim": 8, "depths": [1, 1, 1, 1], "shift_size": 3, **backbone},
        "rpn": {"channels": 10}, "box_head": {"conv_channels": 4, "fc_channels": 6},
        **({"mask_head": {"channels": 4}} if kind in ("mask_rcnn", "cascade") else {})}}


def segmentor(**backbone):
    return {"task": "segment", "name": "small", "config": {
        "num_classes": 5, "backbone": {"embed_dim": 8, "depths": [1, 1, 1, 1], "shift_size": 5, **backbone},
        "decode_head": {"channels": 12}, "auxiliary_head": {"channels": 4}}}


def small_cases():
    for connection in ("parallel", "serial"):
        for padding in ("zero", "circular", "reflect", "replicate"):
            # Maps of one pixel, and of fewer than the displacement, are among the last stage's.
            yield Case(f"padding {padding}, {connection}",
                       classifier(padding=padding, connection=connection, dilation=2),
                       ((2, 45, 67), (1, 13, 5), (3, 1, 1)), ["--features"])
    yield Case("shift sizes 9 and 4, dilation 3", classifier(shift_size=[9, 4], dilation=3))
    yield Case("shift sizes 1 and 7", classifier(shift_size=[1, 7], padding="circular"))
    yield Case("more positions than channels", classifier(shift_size=21, padding="reflect"))
    for patch in (1, 2, 3, 8):
        yield Case(f"patch of {patch}", classifier(patch_size=patch), ((2, 23, 37), (1, 32, 16)))
    for patch in (4, 8):
        yield Case(f"convolutional stem, patch of {patch}", classifier(stem="conv", patch_size=patch))
    yield Case("downsampling by convolution", classifier(downsample="conv"), options=["--features"])
    yield Case("no norm of the patches, mlp ratio 2.5, 5 channels",
               classifier(patch_norm=False, mlp_ratio=2.5, in_chans=5))
    yield Case("no blocks in the last stage", classifier(depths=[1, 0]), options=["--features"])
    yield Case("one stage, gray", classifier(depths=[2], in_chans=1))
    yield Case("backbone without classes", classifier(num_classes=0))
    yield Case("classifier, pixels", classifier(), options=["--normalize"])
    yield Case("classifier, fixed batch and size", classifier(padding="reflect"), ((2, 45, 67),),
               ["--batch-size", 2, "--img-size", "45x67"])
    wide = ((1, 96, 160), (2, 75, 101))
    for kind in ("mask_rcnn", "cascade", "faster_rcnn", "cascade_rcnn"):
        yield Case(f"detector {kind}", detector(kind), wide)
    yield Case("detector, convolutional backbone", detector("faster_rcnn", stem="conv", downsample="conv"), wide)
    yield Case("detector, pixels", detector("mask_rcnn"), wide, ["--normalize"])
    yield Case("segmentor", segmentor(), wide + ((1, 33, 20),))
    yield Case("segmentor, circular and serial", segmentor(padding="circular", connection="serial"), wide)
    yield Case("segmentor, pixels", segmentor(), wide, ["--normalize"])
    yield Case("segmentor, fixed size", segmentor(), ((2, 75, 101),), ["--img-size", "75x101"])


def trained_cases():
    yield Case("trained on Fashion-MNIST", ROOT / "models/asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors",
               ((8, 28, 28), (1, 31, 45)))
    for name in ("mask_rcnn", "upernet"):
        yield Case(f"{name} trained on scenes", ROOT / f"tests/data/models/{name}_scenes.safetensors",
                   ((1, 128, 192), (2, 75, 101)))


def zoo_cases():
    for name in ("mobile_patch4_shift5_224", "tiny_patch4_shift5_224", "small_patch4_shift5_224",
                 "base_patch4_shift5_224", "base_patch4_shift5_384"):
        yield Case(f"asmlp_{name}", f"asmlp_{name}", ((2, 96, 96), (1, 75, 101)))
    yield Case("asmlp_tiny_patch4_shift5_224 at its size", "asmlp_tiny_patch4_shift5_224", ((1, 224, 224),))
    for size in ("tiny", "small", "base"):
        yield Case(f"upernet_asmlp_{size}", f"upernet_asmlp_{size}", ((2, 96, 96), (1, 75, 101)))
    detectors = [f"mask_rcnn_asmlp_{size}" for size in ("tiny", "small")]
    detectors += [f"{kind}_asmlp_{size}" for kind in ("cascade", "faster_rcnn", "cascade_rcnn")
                  for size in ("tiny", "small", "base")]
    for name in detectors:
        yield Case(name, name, ((2, 160, 224), (1, 133, 203)), limit=DETECTOR_LIMIT)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--zoo", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--openvino", action="store_true")
    arguments = parser.parse_args()
    cases = [*small_cases(), *trained_cases()] + (list(zoo_cases()) if arguments.zoo else [])
    cases = [case for case in cases if arguments.only in case.name]
    failures = 0 if cases else 1
    if arguments.table:
        print("| network | inputs (N x H x W) | difference |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        tester = Tester(arguments.program, folder, run_openvino if arguments.openvino else run_onnxruntime)
        for case in cases:
            shapes = ", ".join("x".join(map(str, shape)) for shape in case.shapes)
            try:
                worst = tester.compare(case)
                line = f"| {case.name} | {shapes} | {worst:.1e} |" if arguments.table else f"{worst:.1e}  {case.name}"
            except Exception as error:  # of the checker, of the runtime, of a comparison
                failures += 1
                line = f"FAILED  {case.name}: {error}"
            print(line, flush=True)
        if not arguments.only and not arguments.openvino:
            tester.try_page()
    print(f"{len(cases)} networks, {failures} failures; level by level at most {tester.worst_level:.1e}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
