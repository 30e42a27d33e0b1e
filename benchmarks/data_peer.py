#!/usr/bin/env python3
"""The training transform of asmlp against timm's (torchvision, Pillow), one thread each, in turn.

    apt-get install python3-torchvision
    python3 -m venv --system-site-packages peer
    peer/bin/pip install --no-deps timm==0.4.12
    cmake --preset release -DASMLP_BENCHMARKS=ON && cmake --build build --target asmlp_data_bench
    peer/bin/python benchmarks/data_peer.py --ours build/bin/asmlp_data_bench FOLDER...

Both decode the same files from memory and apply the authors' recipe: random resized crop to 224
(bicubic), flip, rand-m9-mstd0.5-inc1, normalize, random erasing 0.25 (pixel). Prints images per
second of processor time (which other programs disturb less than the clock's): the median of the
rounds of each, and of the ratio of neighboring rounds, as a Markdown table.
`--make FOLDER` first writes JPEG files of ImageNet's usual size there, from tests/data/photos.
"""

import argparse
import io
import platform
import statistics
import subprocess
import time
import warnings
from pathlib import Path

import PIL
import timm
import torch
import torchvision
from PIL import Image, features
from timm.data import create_transform

PHOTOS = Path(__file__).resolve().parent.parent / "tests" / "data" / "photos"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def make_imagenet_like(folder):
    """Every photo at 500 x 375 or 375 x 500, as JPEG of quality 90."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(PHOTOS.iterdir()):
        if path.suffix in SUFFIXES:
            image = Image.open(path).convert("RGB")
            size = (500, 375) if image.width >= image.height else (375, 500)
            image.resize(size, Image.BICUBIC).save(folder / (path.stem + ".jpg"), quality=90)


class Peer:
    def __init__(self, folder):
        files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
        self.files = [path.read_bytes() for path in files]
        self.transform = create_transform(
            224, is_training=True, color_jitter=0.4, auto_augment="rand-m9-mstd0.5-inc1",
            interpolation="bicubic", re_prob=0.25, re_mode="pixel", re_count=1)

    def images_per_second(self, images):
        begin = time.process_time()
        for i in range(images):
            data = self.files[i % len(self.files)]
            self.transform(Image.open(io.BytesIO(data)).convert("RGB"))
        return images / (time.process_time() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--ours", required=True, help="the program asmlp_data_bench")
    parser.add_argument("--make", type=Path, help="write ImageNet-like files here and measure them, too")
    parser.add_argument("--images", type=int, default=300, help="per round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if args.make:
        make_imagenet_like(args.make)
    print(f"timm {timm.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__} "
          f"(libjpeg-turbo {features.version('libjpeg_turbo')}), torch {torch.__version__}, "
          f"Python {platform.python_version()}; {args.rounds} rounds of {args.images} images\n")
    print("| files | asmlp, images/s | timm, images/s | ratio |\n|---|---|---|---|")
    for folder in args.folders + ([args.make] if args.make else []):
        peer = Peer(folder)
        peer.images_per_second(20)
        ours, theirs = [], []
        for _ in range(args.rounds):
            run = subprocess.run([args.ours, str(folder), str(args.images)], check=True,
                                 capture_output=True, text=True)
            ours.append(float(run.stdout))
            theirs.append(peer.images_per_second(args.images))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"| {folder} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | {ratio:.2f} |",
              flush=True)


if __name__ == "__main__":
    main()
