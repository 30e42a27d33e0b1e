#!/usr/bin/env python3
"""Writes tests/data/images: small image files of every kind that asmlp decodes, and
expected.safetensors with their pixels as Pillow's Image.open(file).convert("RGB") gives them.

Run it with Debian 12's Python (Pillow 9.4, libjpeg-turbo 2.1.5, libwebp 1.2.4; NumPy), because
other versions may decode differently:

    apt-get install python3-pil python3-numpy
    /usr/bin/python3 tools/make_image_fixtures.py

The PNG files are written chunk by chunk here, since Pillow cannot write every pixel format; each
filter type and Adam7 interlacing occur. The content is synthetic, so the files have no author.
"""

import io
import json
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "images"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def scene(height, width, channels):
    """Gradients, a disc and noise: smooth parts, edges and full range, as uint8."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        plane = 128 + 90 * np.sin(x / (5 + c) + c) + 60 * np.cos(y / (7 - c) + 2 * c)
        plane[(x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(height, width) / (3 + c)) ** 2] += 70
        planes.append(plane + np.random.RandomState(c).uniform(-12, 12, plane.shape))
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def filtered(rows, pixel_bytes):
    """PNG scan lines with the filter types 0 to 4 in turn."""
    out, above = b"", np.zeros(rows.shape[1], np.int32)
    for index, row in enumerate(rows.astype(np.int32)):
        left = np.concatenate([np.zeros(pixel_bytes, np.int32), row])[: len(row)]
        corner = np.concatenate([np.zeros(pixel_bytes, np.int32), above])[: len(row)]
        p = left + above - corner
        distance = np.stack([abs(p - left), abs(p - above), abs(p - corner)])
        paeth = np.choose(np.argmin(distance, 0), [left, above, corner])
        kind = index % 5
        guess = [0, left, above, (left + above) // 2, paeth][kind]
        out += bytes([kind]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        above = row
    return out


def packed(samples, depth):
    """H x W x C samples to rows of bytes, most significant bit first."""
    height = samples.shape[0]
    flat = samples.reshape(height, -1)
    if depth == 16:
        return flat.astype(">u2").view(np.uint8).reshape(height, -1)
    bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth:]
    return np.packbits(bits.reshape(height, -1), axis=-1)


def png(samples, depth, kind, extra=b"", interlaced=False):
    height, width, channels = samples.shape
    pixel_bytes = max(1, channels * depth // 8)
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    data = b""
    for x, y, dx, dy in passes:
        part = samples[y::dy, x::dx]
        if part.size:
            data += filtered(packed(part, depth), pixel_bytes)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def saved(array, file_format, **options):
    buffer = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_files():
    rgb = scene(21, 29, 3)
    wide = np.random.RandomState(9).randint(0, 65536, (13, 17, 4))
    wide[0, :, :] = np.arange(17)[:, None] * 64  # 16-bit gray near and below 255
    for interlaced in (False, True):
        name = "adam7" if interlaced else "plain"
        yield f"png_rgb8_{name}.png", png(rgb, 8, 2, interlaced=interlaced)
        yield f"png_rgba8_{name}.png", png(scene(19, 23, 4), 8, 6, interlaced=interlaced)
        yield f"png_la8_{name}.png", png(scene(19, 23, 2), 8, 4, interlaced=interlaced)
        for depth in (1, 2, 4, 8, 16):
            gray = wide[..., :1] if depth == 16 else scene(15, 19, 1) >> (8 - depth)
            yield f"png_grey{depth}_{name}.png", png(gray, depth, 0, interlaced=interlaced)
        for depth in (1, 2, 4, 8):
            palette = chunk(b"PLTE", np.random.RandomState(depth).bytes(3 << depth))
            index = scene(15, 19, 1) >> (8 - depth)
            yield f"png_palette{depth}_{name}.png", png(index, depth, 3, palette, interlaced)
        yield f"png_rgb16_{name}.png", png(wide[..., :3], 16, 2, interlaced=interlaced)
        yield f"png_rgba16_{name}.png", png(wide, 16, 6, interlaced=interlaced)
        yield f"png_la16_{name}.png", png(wide[..., :2], 16, 4, interlaced=interlaced)
    transparent = chunk(b"PLTE", bytes(range(48))) + chunk(b"tRNS", bytes([0, 128, 255, 7]))
    yield "png_palette4_trns.png", png(scene(15, 19, 1) >> 4, 4, 3, transparent)
    short = chunk(b"PLTE", bytes(range(30)))  # 10 entries, indices up to 15
    yield "png_palette4_short.png", png(scene(15, 19, 1) >> 4, 4, 3, short)
    yield "png_rgb8_trns_gamma.png", png(
        rgb, 8, 2, chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tRNS", bytes(6)))
    yield "png_grey8_trns.png", png(scene(15, 19, 1), 8, 0, chunk(b"tRNS", bytes([0, 200])))
    yield "png_one_pixel.png", png(rgb[:1, :1], 8, 2)


def exif_rotated():
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees", to be ignored
    return exif.tobytes()


def jpeg_files():
    rgb = scene(37, 51, 3)
    yield "jpeg_420.jpg", saved(rgb, "JPEG", quality=80)
    yield "jpeg_422.jpg", saved(rgb, "JPEG", quality=80, subsampling=1)
    yield "jpeg_444.jpg", saved(rgb, "JPEG", quality=90, subsampling=0)
    yield "jpeg_420_even.jpg", saved(scene(32, 48, 3), "JPEG", quality=60)
    yield "jpeg_420_narrow.jpg", saved(scene(33, 3, 3), "JPEG")
    yield "jpeg_one_pixel.jpg", saved(rgb[:1, :1], "JPEG")
    yield "jpeg_grey.jpg", saved(scene(37, 51, 1)[..., 0], "JPEG")
    yield "jpeg_progressive.jpg", saved(rgb, "JPEG", progressive=True)
    yield "jpeg_progressive_grey.jpg", saved(scene(25, 31, 1)[..., 0], "JPEG", progressive=True)
    yield "jpeg_exif_rotated.jpg", saved(rgb, "JPEG", exif=exif_rotated())
    cmyk = Image.fromarray(scene(37, 51, 4), "CMYK")
    yield "jpeg_cmyk_adobe.jpg", saved(cmyk, "JPEG", quality=90)
    plain = saved(cmyk, "JPEG", quality=90)
    start = plain.index(b"\xff\xee")  # APP14 "Adobe", without which the file is no less inverted
    length = struct.unpack(">H", plain[start + 2:start + 4])[0]
    yield "jpeg_cmyk_plain.jpg", plain[:start] + plain[start + 2 + length:]
    # The same marker with transform 2 says YCCK; the samples are then read as such.
    ycck = bytearray(plain)
    ycck[start + 15] = 2
    yield "jpeg_ycck.jpg", bytes(ycck)
    # Transform 0 with three components says RGB.
    three = saved(rgb, "JPEG", quality=90, subsampling=0)
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
    app0 = 4 + struct.unpack(">H", three[4:6])[0]
    yield "jpeg_rgb_adobe.jpg", three[:2] + adobe + three[app0:]
    corrupt = bytearray(saved(rgb, "JPEG", quality=95))
    corrupt[-200] ^= 0x10
    yield "jpeg_corrupt_tolerated.jpg", bytes(corrupt)


def webp_files():
    rgb = scene(37, 51, 3)
    yield "webp_lossy.webp", saved(rgb, "WEBP", quality=70)
    yield "webp_lossless.webp", saved(scene(17, 23, 3), "WEBP", lossless=True)
    yield "webp_lossy_alpha.webp", saved(scene(37, 51, 4), "WEBP", quality=70)
    yield "webp_lossless_alpha.webp", saved(scene(17, 23, 4), "WEBP", lossless=True, exact=True)


def refused_files():
    frames = [Image.fromarray(scene(8, 8, 3)), Image.fromarray(scene(8, 8, 3)[::-1].copy())]
    yield "refused_animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield "refused_gif.png", saved(frames[0], "GIF")
    yield "refused_bmp.jpg", saved(frames[0], "BMP")
    yield "refused_tiff.webp", saved(frames[0], "TIFF")


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
    warnings.simplefilter("ignore")
    FOLDER.mkdir(parents=True, exist_ok=True)
    expected = {}
    for files in (png_files(), jpeg_files(), webp_files()):
        for name, content in files:
            (FOLDER / name).write_bytes(content)
            expected[name] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    for name, content in refused_files():
        (FOLDER / name).write_bytes(content)
    from PIL import __version__ as version
    write_safetensors(FOLDER / "expected.safetensors", expected,
                      {"source": f"Pillow {version} convert(\"RGB\"), HWC uint8; "
                                 "tools/make_image_fixtures.py"})
    size = sum(f.stat().st_size for f in FOLDER.iterdir())
    print(f"{len(expected)} images in {FOLDER}, {size} bytes in all", file=sys.stderr)


if __name__ == "__main__":
    main()
