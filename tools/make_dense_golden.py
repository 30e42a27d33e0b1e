#!/usr/bin/env python3
"""Writes tests/data/dense/cv.safetensors: what OpenCV makes of small images with the operations of the
authors' detection and segmentation pipelines, and the CRC-32 of what it makes of a photo.

    apt-get install python3-opencv python3-numpy python3-pil
    /usr/bin/python3 tools/make_dense_golden.py

Run it with Debian 12's Python (OpenCV 4.6). Tensors without a slash in their name are the inputs;
"rgb/bilinear/26x34" is the result of that operation and argument (height x width). The metadata hold
"photo/..." keys: CRC-32, in hexadecimal, of the RGB bytes made of tests/data/photos/chelsea.png.
"normalised" is every value 0..255 in each of R, G, B, normalized by cv2.subtract and cv2.multiply.
"""

import json
import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
TYPES = {"uint8": "U8", "float32": "F32"}
METHODS = {"bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}

SIZES = {
    "rgb": [(13, 18), (26, 36), (7, 9), (6, 9), (1, 1), (1, 50), (50, 1), (40, 31), (12, 61), (96, 7)],
    "grey": [(9, 14), (18, 28), (3, 5), (33, 29)],
    "even": [(8, 12), (4, 6), (2, 3), (8, 6), (32, 48)],  # exact halves, quarters and doubles
    "row": [(1, 23), (1, 80), (3, 46), (1, 5)],
    "pixel": [(1, 1), (5, 7)],
}
SCALES = [0.5, 0.77, 1.0, 1.25, 1.499]
SHIFTS = [-32.0, -7.3, 0.0, 0.5, 31.99]
HUES = [-18, -1, 0, 9, 17]


def scene(height, width):
    """Gradients, an edge, saturated colors and noise."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.RandomState(height).uniform(-30, 30, (height, width, 3))
    planes = [120 + 90 * np.sin(x / (3 + c)) + 50 * np.cos(y / (5 - c)) + 40 * (x > y) for c in range(3)]
    return np.clip(np.stack(planes, -1) + noise, 0, 255).astype(np.uint8)


def resized(rgb, size, method):
    return cv2.resize(rgb, (size[1], size[0]), interpolation=METHODS[method])


def converted(values, alpha=1.0, beta=0.0):
    """In float32, cut off to 8 bits."""
    return np.clip(values.astype(np.float32) * alpha + beta, 0, 255).astype(np.uint8)


def in_hsv(rgb, change):
    # The pipelines hold BGR; only the order of the channels differs.
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb[..., ::-1]), cv2.COLOR_BGR2HSV)
    change(hsv)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[..., ::-1]


def saturated(rgb, factor):
    def change(hsv):
        hsv[..., 1] = converted(hsv[..., 1], alpha=factor)
    return in_hsv(rgb, change)


def hue_shifted(rgb, hue):
    def change(hsv):
        hsv[..., 0] = (hsv[..., 0].astype(int) + hue) % 180
    return in_hsv(rgb, change)


def color_cases(rgb):
    for value in SCALES:
        yield f"contrast/{value!r}", converted(rgb, alpha=value)
        yield f"saturation/{value!r}", saturated(rgb, value)
    for value in SHIFTS:
        yield f"brightness/{value!r}", converted(rgb, beta=value)
    for value in HUES:
        yield f"hue/{value}", hue_shifted(rgb, value)


def fitted(height, width, short, long):
    factor = min(long / max(height, width), short / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


def photo_cases(photo):
    shorts = [400, 500, 600] + list(range(480, 801, 32))
    sizes = [fitted(*photo.shape[:2], short, 1333) for short in shorts]
    sizes += [fitted(*photo.shape[:2], 512, 2048), (photo.shape[0] // 2, photo.shape[1] // 2), (64, 64)]
    for size in sizes:
        for method in METHODS:
            yield f"{method}/{size[0]}x{size[1]}", resized(photo, size, method)
    yield from color_cases(photo)


def normalized():
    mean = np.array([123.675, 116.28, 103.53], dtype=np.float32)
    std = np.array([58.395, 57.12, 57.375], dtype=np.float32)
    image = np.repeat(np.arange(256, dtype=np.float32).reshape(16, 16, 1), 3, axis=2)
    cv2.subtract(image, np.float64(mean.reshape(1, -1)), image)
    cv2.multiply(image, 1 / np.float64(std.reshape(1, -1)), image)
    return image


def write_safetensors(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    for name, array in sorted(tensors.items()):
        end = len(data) + array.nbytes
        header[name] = {"dtype": TYPES[str(array.dtype)], "shape": list(array.shape),
                        "data_offsets": [len(data), end]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    rgb = scene(13, 18)
    images = {
        "rgb": rgb,
        "grey": np.ascontiguousarray(scene(9, 14)[..., 0]),
        "even": scene(16, 24),
        "row": scene(1, 23),
        "pixel": np.ascontiguousarray(rgb[4:5, 3:4]),
    }
    tensors = dict(images, normalized=normalized())
    for name, image in images.items():
        for size in SIZES[name]:
            for method in METHODS:
                tensors[f"{name}/{method}/{size[0]}x{size[1]}"] = resized(image, size, method)
    for name, result in color_cases(rgb):
        tensors[f"rgb/{name}"] = result
    metadata = {"source": f"OpenCV {cv2.__version__}; tools/make_dense_golden.py"}
    photo = np.asarray(Image.open(DATA / "photos" / "chelsea.png").convert("RGB"))
    for name, result in photo_cases(photo):
        metadata[f"photo/{name}"] = f"{zlib.crc32(result.tobytes()):08x}"
    path = DATA / "dense" / "cv.safetensors"
    path.parent.mkdir(exist_ok=True)
    write_safetensors(path, tensors, metadata)
    print(f"{len(tensors)} tensors, {len(metadata)} metadata, {path.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
