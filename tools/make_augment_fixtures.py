#!/usr/bin/env python3
"""Writes tests/data/augment/expected.safetensors: what Pillow makes of small images with the
operations of RandAugment, and the CRC-32 of what it makes of a photo.

    apt-get install python3-pil python3-numpy
    /usr/bin/python3 tools/make_augment_fixtures.py

Run it with Debian 12's Python (Pillow 9.4). Tensors "rgb", "grey" and "tiny" are the inputs;
"rgb/rotate/12.5/bicubic" is the result of that operation, argument and interpolation. The metadata
hold "photo/..." keys: CRC-32, in hexadecimal, of the RGB bytes made of tests/data/photos/chelsea.png.
"""

import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps, __version__

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
FILL = (124, 116, 104)
BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR

PLAIN = {
    "auto_contrast": [0],
    "equalize": [0],
    "invert": [0],
    "posterize": [0, 1, 2, 3, 4],
    "solarize": [0, 1, 26, 128, 200, 256],
    "solarize_add": [0, 55, 99, 110],
    "color": [0.1, 0.5, 0.19, 1.0, 1.45, 1.9],
    "contrast": [0.1, 0.5, 0.19, 1.0, 1.45, 1.9],
    "brightness": [0.1, 0.5, 0.19, 1.0, 1.45, 1.9],
    "sharpness": [0.1, 0.5, 0.19, 1.0, 1.45, 1.9],
}
WARPS = {
    "rotate": [-30.0, -27.123456789, -0.001, 0.0, 1e-9, 5.5, 26.8, 30.0],
    "shear_x": [-0.3, -0.27123, 0.0, 0.1, 0.2999],
    "shear_y": [-0.3, -0.27123, 0.0, 0.1, 0.2999],
    "translate_x": [-0.45, -0.3999, 0.0, 0.1, 0.411],
    "translate_y": [-0.45, -0.3999, 0.0, 0.1, 0.411],
}


def applied(image, op, value, resample):
    if op == "auto_contrast":
        return ImageOps.autocontrast(image)
    if op in ("equalize", "invert"):
        return getattr(ImageOps, op)(image)
    if op in ("posterize", "solarize"):
        return getattr(ImageOps, op)(image, value)
    if op == "solarize_add":
        table = [min(255, i + value) if i < 128 else i for i in range(256)]
        return image.point(table * len(image.getbands()))
    if op in ("color", "contrast", "brightness", "sharpness"):
        return getattr(ImageEnhance, op.capitalize())(image).enhance(value)
    fill = FILL if image.mode == "RGB" else FILL[0]
    if op == "rotate":
        return image.rotate(value, resample=resample, fillcolor=fill)
    matrix = {
        "shear_x": (1, value, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, value, 1, 0),
        "translate_x": (1, 0, value * image.size[0], 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, value * image.size[1]),
    }[op]
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=resample, fillcolor=fill)


def cases(every):
    """(operation, argument, interpolation); every: all arguments, else some of them."""
    for op, values in PLAIN.items():
        for value in values if every else values[:: max(1, len(values) // 2)]:
            yield op, value, "none"
    for op, values in WARPS.items():
        for value in values if every else values[1::3]:
            for name in ("bilinear", "bicubic"):
                yield op, value, name


def scene(height, width):
    """Gradients, an edge and noise, over less than the full range."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.RandomState(height).uniform(-30, 30, (height, width, 3))
    planes = [110 + 70 * np.sin(x / (3 + c)) + 40 * np.cos(y / (5 - c)) + 40 * (x > y) for c in range(3)]
    return np.clip(np.stack(planes, -1) + noise, 9, 247).astype(np.uint8)


def write_safetensors(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, array in sorted(tensors.items()):
        end = len(data) + array.nbytes
        header[name] = {"dtype": "U8", "shape": list(array.shape), "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    rgb = scene(13, 11)
    images = {
        "rgb": Image.fromarray(rgb),
        "grey": Image.fromarray(scene(9, 14)[..., 0]),
        "tiny": Image.fromarray(rgb[4:6, 3:5]),
    }
    tensors = {name: np.asarray(image) for name, image in images.items()}
    for name, image in images.items():
        for op, value, resample in cases(name == "rgb"):
            result = applied(image, op, value, BICUBIC if resample == "bicubic" else BILINEAR)
            tensors[f"{name}/{op}/{value!r}/{resample}"] = np.asarray(result)
    metadata = {"source": f"Pillow {__version__}; tools/make_augment_fixtures.py"}
    photo = Image.open(DATA / "photos" / "chelsea.png").convert("RGB")
    for op, value, resample in cases(True):
        result = applied(photo, op, value, BICUBIC if resample == "bicubic" else BILINEAR)
        metadata[f"photo/{op}/{value!r}/{resample}"] = f"{zlib.crc32(result.tobytes()):08x}"
    path = DATA / "augment" / "expected.safetensors"
    path.parent.mkdir(exist_ok=True)
    write_safetensors(path, tensors, metadata)
    print(f"{len(tensors)} tensors, {path.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
