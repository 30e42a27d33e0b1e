#!/usr/bin/env python3
"""Writes tests/data/pictures: small synthetic files of many formats, depths and EXIF blocks, some
of them damaged, and what Pillow and OpenCV make of each.

    python3 -m venv venv && venv/bin/pip install pillow==13.0.0 opencv-python-headless==5.0.0.93 numpy
    venv/bin/python tools/make_picture_fixtures.py

expected.txt has a line per file: its name, then for Pillow (ImageOps.exif_transpose, then
convert("RGB")) and for OpenCV (imread with IMREAD_COLOR, as RGB) height, width and CRC-32 of the
pixels; "refused"; or "-" where the library itself is wrong or has no support.
"""
import io
import os
import pathlib
import random
import struct
import warnings
import zlib

import cv2
import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
OUT = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "pictures"
H, W = 11, 13
yy, xx = np.mgrid[0:H, 0:W]
rng = np.random.default_rng(7)
RGB = np.stack([(xx * 17 + yy) % 256, (yy * 21) % 256, (xx * 7 + yy * 15) % 256], -1).astype(np.uint8)
RGB[3:6, 2:9] = rng.integers(0, 256, (3, 7, 3))
GRAY = RGB[:, :, 0]
GRAY16 = (yy * 1997 + xx * 631).astype(np.uint16)
GRAY16[:3] = xx[:3] * 19
ALPHA = ((xx * 19 + yy * 7) % 256).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
RGB16 = ((RGB.astype(np.int64) * 257 + rng.integers(0, 200, RGB.shape)) % 65536).astype(np.uint16)
RGBA16 = np.dstack([RGB16, (ALPHA.astype(np.int64) * 257).astype(np.uint16)])
INDEX = (xx // 3 + yy) % 16
I = Image.fromarray


def put(name, data):
    (OUT / name).write_bytes(data)


def bits_of(rows, bits, align=8):
    out = b""
    for row in rows:
        text = "".join(format(int(v), f"0{bits}b") for v in row)
        text += "0" * (-len(text) % align)
        out += int(text, 2).to_bytes(len(text) // 8, "big")
    return out


# ---- BMP ----
PALETTE = b"".join(bytes([i * 16 % 256, i * 37 % 256, i * 11 % 256, 0]) for i in range(16))


def bmp(name, bits, rows, palette=b"", compression=0, height=H, masks=b"", colors=0):
    offset = 54 + len(masks) + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, W, height, 1, bits, compression, len(rows), 2835, 2835, colors, 0)
    put(name, b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + info + masks + palette + rows)


def rows16(pixels):
    return b"".join(r.astype("<u2").tobytes() + b"\0" * (-2 * W % 4) for r in pixels[::-1])


def run_lengths(indices, four):
    out = b""
    for n, row in enumerate(indices[::-1]):
        i = 0
        while i < W:
            if n % 3 == 1 and W - i >= 5:  # values as they are
                some = [int(v) for v in row[i:i + 5]]
                if four:
                    out += bytes([0, 5, some[0] << 4 | some[1], some[2] << 4 | some[3], some[4] << 4, 0])
                else:
                    out += bytes([0, 5] + some + [0])
                i += 5
                continue
            if four:
                k = min(2, W - i)
                out += bytes([k, int(row[i]) << 4 | (int(row[i + 1]) if k > 1 else 0)])
            else:
                k = 1
                while i + k < W and row[i + k] == row[i]:
                    k += 1
                out += bytes([k, int(row[i])])
            i += k
        out += b"\0\0"
    return out + b"\0\1"


def make_bmp():
    I(RGB).save(OUT / "bmp_24.bmp")
    I(GRAY).save(OUT / "bmp_8_gray.bmp")
    I(RGBA).save(OUT / "bmp_32_alpha.bmp")
    rows4 = bits_of(INDEX[::-1], 4, 32)
    bmp("bmp_4.bmp", 4, rows4, PALETTE)
    bmp("bmp_4_top_down.bmp", 4, bits_of(INDEX, 4, 32), PALETTE, height=-H)
    bmp("bmp_4_few_colors.bmp", 4, rows4, PALETTE[:40], colors=10)
    bmp("bmp_1_colors.bmp", 1, bits_of((INDEX & 1)[::-1], 1, 32), bytes([200, 30, 10, 0, 5, 60, 250, 0]))
    red, green, blue = (RGB[..., c].astype(np.uint16) for c in range(3))
    p555 = (red >> 3) << 10 | (green >> 3) << 5 | blue >> 3
    p565 = (red >> 3) << 11 | (green >> 2) << 5 | blue >> 3
    bmp("bmp_16_555.bmp", 16, rows16(p555))
    bmp("bmp_16_565.bmp", 16, rows16(p565), masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F), compression=3)
    bgrx = np.dstack([RGB[..., ::-1], ALPHA])[::-1].tobytes()
    bmp("bmp_32_raw.bmp", 32, bgrx)
    bmp("bmp_32_fields.bmp", 32, bgrx, masks=struct.pack("<III", 0xFF0000, 0xFF00, 0xFF), compression=3)
    bmp("bmp_rle8.bmp", 8, run_lengths(INDEX, False), PALETTE, compression=1, colors=16)
    bmp("bmp_rle4.bmp", 4, run_lengths(INDEX, True), PALETTE, compression=2)
    os2 = struct.pack("<IHHHH", 12, W, H, 1, 24)
    rows = b"".join(r[:, ::-1].tobytes() + b"\0" * (-3 * W % 4) for r in RGB[::-1])
    put("bmp_os2.bmp", b"BM" + struct.pack("<IHHI", 0, 0, 0, 26) + os2 + rows)
    put("bad_truncated.bmp", (OUT / "bmp_24.bmp").read_bytes()[:-9])


# ---- PNM ----
def make_pnm():
    size = b"%d %d\n" % (W, H)

    def words(values):
        return b"\n".join(b" ".join(b"%d" % v for v in row.reshape(-1)) for row in values) + b"\n"

    put("pnm_p6.ppm", b"P6\n# a comment\n" + size + b"255\n" + RGB.tobytes())
    put("pnm_p6_100.ppm", b"P6\n" + size + b"100\n" + (RGB % 101).tobytes())
    put("pnm_p6_16.ppm", b"P6\n" + size + b"65535\n" + RGB16.astype(">u2").tobytes())
    put("pnm_p5.pgm", b"P5 " + size + b"255 " + GRAY.tobytes())
    put("pnm_p5_16.pgm", b"P5\n" + size + b"65535\n" + GRAY16.astype(">u2").tobytes())
    put("pnm_p5_1000.pgm", b"P5\n" + size + b"1000\n" + (GRAY16 % 1001).astype(">u2").tobytes())
    put("pnm_p4.pbm", b"P4\n" + size + np.packbits(GRAY > 100, axis=1).tobytes())
    put("pnm_p1.pbm", b"P1\n# a comment\n" + size + words((GRAY > 100).astype(int)))
    put("pnm_p2.pgm", b"P2\n" + size + b"255\n" + words(GRAY))
    put("pnm_p2_9.pgm", b"P2\n" + size + b"9\n" + words(GRAY % 10))
    put("pnm_p2_16.pgm", b"P2\n" + size + b"65535\n" + words(GRAY16))
    put("pnm_p3.ppm", b"P3\n" + size + b"255\n" + words(RGB))
    put("bad_truncated.ppm", b"P6\n" + size + b"255\n" + RGB.tobytes()[:-1])


# ---- TIFF ----
def tiff(name, chunks, bits, photometric, samples=1, tags={}, fmt=1, order="<", planar=1, tile=None, compression=1):
    fields = {256: (4, [W]), 257: (4, [H]), 258: (3, [bits] * samples), 259: (3, [compression]),
              262: (3, [photometric]), 277: (3, [samples]), 284: (3, [planar]), 339: (3, [fmt] * samples)}
    sizes, places = (325, 324) if tile else (279, 273)
    if tile:
        fields[322] = fields[323] = (4, [tile])
    else:
        fields[278] = (4, [H])
    fields.update(tags)
    fields[sizes] = (4, [len(c) for c in chunks])
    fields[places] = (4, [0] * len(chunks))

    def encoded(kind, values):
        return b"".join(struct.pack(order + {3: "H", 4: "I"}[kind], v) for v in values)

    start = 14 + 12 * len(fields)
    at = start + sum(len(e) for e in (encoded(*f) for f in fields.values()) if len(e) > 4)
    for i, chunk in enumerate(chunks):
        fields[places][1][i] = at
        at += len(chunk)
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, len(fields))
    extra = b""
    for tag in sorted(fields):
        kind, values = fields[tag]
        content = encoded(kind, values)
        out += struct.pack(order + "HHI", tag, kind, len(values))
        if len(content) > 4:
            out += struct.pack(order + "I", start + len(extra))
            extra += content
        else:
            out += content.ljust(4, b"\0")
    put(name, out + struct.pack(order + "I", 0) + extra + b"".join(chunks))


def make_tiff():
    for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd"):
        I(RGB).save(OUT / f"tiff_rgb_{c.replace('tiff_', '')}.tif", compression=c)
    I(GRAY > 100).save(OUT / "tiff_group4.tif", compression="group4")
    I(RGBA, "CMYK").save(OUT / "tiff_cmyk_lzw.tif", compression="tiff_lzw")
    I(RGB).save(OUT / "tiff_two_pages.tif", save_all=True, append_images=[I(255 - RGB)])
    for photometric, white in ((0, "_white"), (1, "")):
        for bits in (1, 2, 4):
            tiff(f"tiff_gray{bits}{white}.tif", [bits_of(GRAY >> (8 - bits), bits)], bits, photometric)
        tiff(f"tiff_gray8{white}.tif", [GRAY.tobytes()], 8, photometric)
        tiff(f"tiff_gray16{white}.tif", [GRAY16.tobytes()], 16, photometric)
    tiff("tiff_gray16_big.tif", [GRAY16.astype(">u2").tobytes()], 16, 1, order=">")
    tiff("tiff_gray16_signed.tif", [(GRAY16.astype(int) - 2000).astype("<i2").tobytes()], 16, 1, fmt=2)
    tiff("tiff_gray32.tif", [GRAY16.astype("<u4").tobytes()], 32, 1)
    tiff("tiff_float.tif", [(GRAY16 / 77.0 - 9).astype("<f4").tobytes()], 32, 1, fmt=3)
    tiff("tiff_rgb16.tif", [RGB16.tobytes()], 16, 2, 3)
    tiff("tiff_rgb16_big.tif", [RGB16.astype(">u2").tobytes()], 16, 2, 3, order=">")
    tiff("tiff_rgba8.tif", [RGBA.tobytes()], 8, 2, 4, {338: (3, [2])})
    tiff("tiff_rgba8_premultiplied.tif", [RGBA.tobytes()], 8, 2, 4, {338: (3, [1])})
    tiff("tiff_rgba16.tif", [RGBA16.tobytes()], 16, 2, 4, {338: (3, [2])})
    tiff("tiff_cmyk16.tif", [RGBA16.tobytes()], 16, 5, 4)
    tiff("tiff_planar.tif", [RGB[..., c].tobytes() for c in range(3)], 8, 2, 3, planar=2)
    colors = [i * f * 257 % 65536 for f in (16, 37, 11) for i in range(16)]
    tiff("tiff_palette4.tif", [bits_of(INDEX, 4)], 4, 3, tags={320: (3, colors)})
    tiles = []
    for x in (0,):
        tile = np.zeros((16, 16, 3), np.uint8)
        tile[:H, :W] = RGB
        tiles.append(zlib.compress(tile.tobytes()))
    tiff("tiff_tiled.tif", tiles, 8, 2, 3, tile=16, compression=8)
    put("bad_truncated.tif", (OUT / "tiff_rgb_lzw.tif").read_bytes()[:-40])


# ---- EXIF ----
def exif_block(orientation, order="<", kind=3):
    value = struct.pack(order + "HH", orientation, 0) if kind == 3 else struct.pack(order + "I", orientation)
    return ((b"II" if order == "<" else b"MM") + struct.pack(order + "HIH", 42, 8, 2) +
            struct.pack(order + "HHI", 0x10F, 2, 4) + b"abc\0" + struct.pack(order + "HHI", 0x112, kind, 1) +
            value + struct.pack(order + "I", 0))


# The pixels that `orientation` turns into RGB.
def stored(orientation):
    image = I(RGB)
    turn = {2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM, 5: Image.TRANSPOSE,
            6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270}.get(orientation)
    return image if turn is None else image.transpose(turn)


def segment(marker, content):
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def make_exif():
    for o in range(1, 9):
        order = "<>"[o % 2]
        stored(o).save(OUT / f"turned_{o}.png", exif=exif_block(o, order))
        stored(o).save(OUT / f"turned_{o}.tif", tiffinfo={274: o}, compression="tiff_lzw")
        stored(o).save(OUT / f"turned_{o}.webp", exif=b"Exif\0\0" + exif_block(o), lossless=True)
    for o in (0, 3, 6, 9):
        I(RGB).save(OUT / f"exif_{o}.jpg", exif=b"Exif\0\0" + exif_block(o, "<>"[o % 2]), quality=90)
    plain = io.BytesIO()
    I(RGB).save(plain, "JPEG", quality=90)
    plain = plain.getvalue()
    head, tail = plain[:20], plain[20:]  # JFIF's segment and the rest
    six = b"Exif\0\0" + exif_block(6)
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x "
    put("exif_long.jpg", head + segment(0xE1, b"Exif\0\0" + exif_block(6, kind=4)) + tail)
    put("exif_late.jpg", head + segment(0xE2, b"junk" * 5) + segment(0xFE, b"comment") + segment(0xE1, six) + tail)
    put("exif_after_xmp.jpg", head + segment(0xE1, xmp + b"/>") + segment(0xE1, six) + tail)
    put("exif_xmp.jpg", head + segment(0xE1, xmp + b'tiff:Orientation="6"/>') + tail)
    put("exif_bad_offset.jpg", head + segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f\0\0") + tail)
    put("exif_junk.jpg", head + segment(0xE1, b"Exif\0\0garbage garbage") + tail)
    put("exif_fill_bytes.jpg", head + b"\xff\xff" + segment(0xE1, six) + tail)


# ---- PNG and JPEG ----
def make_others():
    I(GRAY16).save(OUT / "png_gray16.png")
    I(np.dstack([GRAY, ALPHA]), "LA").save(OUT / "png_gray_alpha.png")
    I(RGB).quantize(16).save(OUT / "png_palette_alpha.png", transparency=bytes(range(0, 240, 15)))
    cv2.imwrite(str(OUT / "png_rgba16.png"), RGBA16)
    I(RGBA, "CMYK").save(OUT / "jpeg_cmyk.jpg", quality=95)
    png = io.BytesIO()
    I(RGB).save(png, "PNG")
    png = png.getvalue()
    at = png.index(b"IDAT")
    size = struct.unpack(">I", png[at - 4:at])[0]
    crc = at + 4 + size

    def changed(i, value=0x55):
        return png[:i] + bytes([png[i] ^ value]) + png[i + 1:]

    def with_chunk(kind, content, bad=0):
        sum_ = struct.pack(">I", zlib.crc32(kind + content) ^ bad)
        return png[:at - 4] + struct.pack(">I", len(content)) + kind + content + sum_ + png[at - 4:]

    put("png_bad_pixel_crc.png", changed(crc))  # Pillow does not look at it
    put("png_trailing_garbage.png", png + b"garbage")
    put("png_no_end.png", png[:crc + 4])
    put("bad_pixels.png", changed(at + 4 + size // 2))
    put("bad_header_crc.png", changed(29))
    put("bad_text_crc.png", with_chunk(b"tEXt", b"key\0text", 1))
    put("png_text.png", with_chunk(b"tEXt", b"key\0text"))
    put("bad_truncated.png", png[:crc - 20])
    jpeg = io.BytesIO()
    noise = np.clip(np.kron(RGB, np.ones((4, 4, 1))) + rng.integers(-9, 9, (4 * H, 4 * W, 3)), 0, 255)
    I(noise.astype(np.uint8)).save(jpeg, "JPEG", quality=80, restart_marker_blocks=3)
    jpeg = jpeg.getvalue()
    scan = jpeg.index(b"\xff\xda") + 40
    put("jpeg_trailing_garbage.jpg", jpeg + b"garbage")
    put("jpeg_no_end.jpg", jpeg[:-2])
    put("jpeg_bytes_before_marker.jpg", jpeg[:20] + b"\0\1\2" + jpeg[20:])
    put("bad_truncated.jpg", jpeg[:-60])
    put("bad_marker_in_scan.jpg", jpeg[:scan] + b"\xff\xc4" + jpeg[scan:])
    put("bad_second_start.jpg", jpeg[:scan] + b"\xff\xd8" + jpeg[scan:])


def line_of(name):
    def key(pixels):
        return "{} {} {:08x}".format(*pixels.shape[:2], zlib.crc32(np.ascontiguousarray(pixels).tobytes()))

    try:
        with Image.open(OUT / name) as image:
            pillow = key(np.asarray(ImageOps.exif_transpose(image).convert("RGB")))
    except Exception:
        pillow = "refused"
    # OpenCV's plain PNM needs a byte behind the last number, its TIFF loader refuses pictures that it
    # turns by 90 degrees, and some compressions and depths are not built into the wheel. Damaged
    # files are refused in either style.
    pixels = cv2.imread(str(OUT / name), cv2.IMREAD_COLOR)
    opencv = "-" if pixels is None or pillow == "refused" else key(pixels[:, :, ::-1])
    return f"{name} | {pillow} | {opencv}\n"


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        if old.is_file() and old.suffix != ".md":
            old.unlink()
    make_bmp()
    make_pnm()
    make_tiff()
    make_exif()
    make_others()
    names = sorted(p.name for p in OUT.iterdir() if p.is_file() and p.suffix != ".md")
    (OUT / "expected.txt").write_text("".join(line_of(name) for name in names))
    print(len(names), "files,", sum(p.stat().st_size for p in OUT.iterdir()), "bytes")


main()
