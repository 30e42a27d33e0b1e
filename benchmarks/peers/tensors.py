"""safetensors files without a library, and the deterministic weights of asmlp/weights/fill.h."""

import json
import math
import struct

import numpy as np


def read(path):
    """The float32 tensors of a file by name, and its metadata."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, not F32")
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors, metadata


def write(path, tensors):
    """Writes float32 tensors."""
    header, offset = {}, 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [offset, offset + value.nbytes]}
        offset += value.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value, np.float32).tobytes())


def signed_units(name, count):
    """`count` numbers in [-1, 1) that depend on the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        h = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = h ^ (h >> np.uint64(31))
    return 2.0 * ((h >> np.uint64(40)).astype(np.float64) * 2.0**-24) - 1.0


def filled(name, shape):
    """The tensor of that name and shape by the rule of asmlp/weights/fill.h."""
    count = math.prod(shape)
    if name.startswith("input"):
        offset, scale = 0.0, 1.7
    elif name.endswith("bias"):
        offset, scale = 0.0, 0.1
    elif len(shape) <= 1:
        offset, scale = 1.0, 0.2
    else:
        offset, scale = 0.0, math.sqrt(3.0 / (count // shape[0]))
    return (offset + scale * signed_units(name, count)).astype(np.float32).reshape(shape)
