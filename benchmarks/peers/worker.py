"""What runs inside of the virtual environment: python worker.py JOB, a JSON object with the key "job".

    versions  prints the versions of the installed peers
    weights   writes a zoo model's deterministic weights and inputs
    pictures  writes images to calibrate on
    export    writes ONNX files
    quantize  writes an int8 ONNX file for ONNX Runtime
    serve     loads a model in one peer, then answers requests, a line of JSON each: {"warmup", "runs"} with
              {"ms": [...]}. The first line that it prints says {"ready", "logits", ...} or {"error"}.
"""

import gc
import importlib.metadata
import json
import os
import sys
import time

import numpy as np

import tensors


def versions(job):
    found = {}
    for name in job["packages"]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    if "openvino" in found:
        import openvino

        found["openvino capabilities"] = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def weights(job):
    tensors.write(job["weights"], {p["name"]: tensors.filled(p["name"], p["shape"]) for p in job["params"]})
    size, channels = job["size"], job["channels"]
    sides = size if isinstance(size, list) else [size, size]
    for batch in job["batches"]:
        tensors.write(job["input"].format(batch=batch), {"input": tensors.filled("input", [batch, channels, *sides])})
    return {}


def pictures(job):
    """Noise as PPM files, for `asmlp quantize`."""
    for k in range(job["count"]):
        pixels = (127.5 * (1 + tensors.signed_units(f"picture.{k}", 3 * job["size"] ** 2))).astype(np.uint8)
        with open(os.path.join(job["folder"], f"{k}.ppm"), "wb") as file:
            file.write(f"P6 {job['size']} {job['size']} 255\n".encode() + pixels.tobytes())
    return {}


def torch_module(job):
    import torch

    from as_mlp import AsMlp
    from detector import DetectorMaps

    values, metadata = tensors.read(job["model"])
    config = json.loads(metadata["asmlp"])["config"]
    network = DetectorMaps if "rpn" in config else AsMlp
    module = network(config, {k: torch.from_numpy(v.copy()) for k, v in values.items()},
                   job["layout"], job["shift"], job["norm"])
    return module.eval()


def flat(outputs):
    """One array of a network's outputs, one after the other."""
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    return np.concatenate([np.ravel(x) for x in outputs]) if len(outputs) > 1 else np.array(outputs[0])


def images(job):
    return tensors.read(job["input"])[0]["input"]


def export(job):
    import torch

    torch.set_num_threads(job["threads"])
    with torch.no_grad():
        torch.onnx.export(torch_module(job), (torch.from_numpy(images(job)[: job["images"]].copy()),), job["onnx"],
                          input_names=["input"], dynamo=True, external_data=False,
                          verbose=False)
    return {}


def calibration(job, count=16):
    """Different inputs like the measured one, one image each."""
    shape = (1,) + images(job).shape[1:]
    return [tensors.filled(f"input.calibration.{k}", shape) for k in range(count)]


def quantize(job):
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = job["onnx"] + ".prepared"
    quant_pre_process(job["float"], prepared, skip_symbolic_shape=True)
    if job["method"] == "dynamic":
        quantization.quantize_dynamic(prepared, job["onnx"], per_channel=True, reduce_range=job["reduce_range"])
        return {}

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            batch = job["images"]
            inputs = calibration(job)
            self.left = [np.concatenate([inputs[(k + i) % len(inputs)] for i in range(batch)])
                         for k in range(0, len(inputs), batch)]

        def get_next(self):
            return {"input": self.left.pop()} if self.left else None

    quantization.quantize_static(
        prepared, job["onnx"], Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        reduce_range=job["reduce_range"], op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)
    return {}


def serve_torch(job, x):
    import torch

    torch.set_num_threads(job["threads"])
    module = torch_module(job)
    inputs = torch.from_numpy(x.copy())
    if job["format"] == "channels_last":
        module = module.to(memory_format=torch.channels_last)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    if job["compile"]:
        import torch._inductor.config

        torch._inductor.config.freezing = True  # constants folded, weights packed
        module = torch.compile(module)

    def run():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=job["precision"] == "bf16"):
            return module(inputs)

    def result():
        outputs = run()
        return flat([x.float().numpy() for x in outputs] if isinstance(outputs, tuple) else outputs.float().numpy())

    return run, result


def serve_openvino(job, x):
    import openvino as ov

    core = ov.Core()
    streams = job["streams"]
    batch = x.shape[0] // streams
    if job["source"] == "torch":
        import torch

        model = ov.convert_model(torch_module(job), example_input=torch.from_numpy(x[:batch].copy()))
    else:
        model = core.read_model(job["onnx"])
    model.reshape({model.inputs[0]: [batch, *x.shape[1:]]})
    if job["precision"] == "int8":
        import nncf

        data = [np.concatenate([c] * batch) for c in calibration(job)]
        model = nncf.quantize(model, nncf.Dataset(data), preset=nncf.QuantizationPreset.MIXED, subset_size=len(data))
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": job["threads"], "NUM_STREAMS": streams,
        "INFERENCE_PRECISION_HINT": "bf16" if job["precision"] == "bf16" else "f32"})
    if streams == 1:
        request = compiled.create_infer_request()
        tensor = ov.Tensor(x)
        request.set_input_tensor(tensor)
        return request.infer, lambda: flat([t.data for t in request.output_tensors])
    queue = [compiled.create_infer_request() for _ in range(streams)]
    for k, request in enumerate(queue):
        request.set_input_tensor(ov.Tensor(np.ascontiguousarray(x[k * batch:(k + 1) * batch])))

    def run():
        for request in queue:
            request.start_async()
        for request in queue:
            request.wait()

    return run, lambda: np.concatenate([request.get_output_tensor().data for request in queue])


def serve_onnxruntime(job, x):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, x)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return (lambda: session.run_with_iobinding(binding)), lambda: flat(binding.copy_outputs_to_cpu())


def serve_training(job, x):
    import train_step

    return train_step.serve(job, x)


PEERS = {"torch": serve_torch, "openvino": serve_openvino, "onnxruntime": serve_onnxruntime, "training": serve_training}


def serve(job, answer):
    x = np.ascontiguousarray(images(job))
    run, logits = PEERS[job["peer"]](job, x)
    run()
    result = logits()
    tensors.write(job["logits"], {"logits": result})
    gc.collect()
    gc.disable()
    answer({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        for _ in range(request["warmup"]):
            run()
        ms = []
        for _ in range(request["runs"]):
            begin = time.perf_counter()
            run()
            ms.append(1e3 * (time.perf_counter() - begin))
        answer({"ms": ms})


def main():
    # Libraries print to standard output too: it becomes standard error, answers keep the old one.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        out.write(json.dumps(value) + "\n")
        out.flush()

    job = json.loads(sys.argv[1])
    try:
        if job["job"] == "serve":
            serve(job, answer)
        else:
            jobs = {"versions": versions, "weights": weights, "pictures": pictures, "export": export, "quantize": quantize}
            answer(jobs[job["job"]](job))
    except Exception as error:  # whatever a peer throws is its answer
        import traceback

        traceback.print_exc()
        answer({"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
