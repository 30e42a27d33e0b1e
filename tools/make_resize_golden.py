#!/usr/bin/env python3
"""Writes tests/data/golden/pil_resize.json: size and CRC-32 of what Pillow makes of the photos.

    apt-get install python3-pil
    /usr/bin/python3 tools/make_resize_golden.py

Run it with Pillow 9.4, Debian 12's. `<photo>.resize<R>.<filter>.crop<C>` is torchvision's Resize(R)
and CenterCrop(C): the short side becomes R, the long one is rounded down. `<photo>.exact<H>x<W>` is
resized to that size. The checksum is of the 8-bit RGB bytes, rows from the top.
"""

import json
import re
import sys
import zlib
from pathlib import Path

from PIL import Image, __version__

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
CASES = """astronaut.png.resize256.bicubic.crop224 chelsea.png.resize256.bicubic.crop224
chelsea.png.resize256.bilinear.crop224 china.jpg.resize256.bicubic.crop224
china.jpg.resize256.bilinear.crop224 coffee.png.resize256.bicubic.crop224
coffee.png.resize438.bicubic.crop384 flower.jpg.resize256.bicubic.crop224
grace_hopper.jpg.resize256.bicubic.crop224 rocket.jpg.resize256.bicubic.crop224
rocket.jpg.resize438.bicubic.crop384 chelsea.png.exact1x1.bicubic chelsea.png.exact53x37.bicubic
chelsea.png.exact9x700.bicubic chelsea.png.exact300x451.bicubic chelsea.png.exact800x1000.bicubic""".split()
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


def made(case):
    photo, kind, numbers, resample, crop = re.fullmatch(
        r"(.*)\.(resize|exact)([0-9x]+)\.(\w+?)(?:\.crop(\d+))?", case).groups()
    image = Image.open(DATA / "photos" / photo).convert("RGB")
    if kind == "exact":
        height, width = map(int, numbers.split("x"))
        return image.resize((width, height), FILTERS[resample])
    side, size = int(numbers), int(crop)
    short = min(image.size)
    width, height = (side if edge == short else int(side * edge / short) for edge in image.size)
    image = image.resize((width, height), FILTERS[resample])
    left, top = int(round((width - size) / 2)), int(round((height - size) / 2))
    return image.crop((left, top, left + size, top + size))


def main():
    if __version__ != "9.4.0":
        sys.exit(f"Pillow {__version__} is here; the tests compare with 9.4.0")
    images = {}
    for case in CASES:
        image = made(case)
        images[case] = {"shape": [image.height, image.width, 3], "crc32": f"{zlib.crc32(image.tobytes()):08x}"}
    rows = ",\n".join(f"  {json.dumps(case)}: {json.dumps(images[case])}" for case in sorted(images))
    source = "Pillow 9.4.0; Resize and CenterCrop as in torchvision 0.14.1; CRC-32 of the RGB bytes"
    (DATA / "golden" / "pil_resize.json").write_text(f'{{"source": "{source}", "images": {{\n{rows}\n}}}}\n')


if __name__ == "__main__":
    main()
