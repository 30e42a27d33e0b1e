#!/usr/bin/env python3
"""The training transform of asmlp against timm's (torchvision, Pillow), one thread each, in turn.

    python3 -m venv peer && peer/bin/pip install torch torchvision pillow timm
    cmake --preset release -DASMLP_BENCHMARKS=ON && cmake --build build --target asmlp_data_bench
    peer/bin/python benchmarks/data_peer.py --ours build/bin/asmlp_data_bench --photos PHOTOS

Both decode the same files from memory and apply the authors' recipe: random resized crop
(bicubic), flip, rand-m9-mstd0.5-inc1, normalize, random erasing 0.25 (pixel). Prints images per
second of processor time (which other programs disturb less than the clock's): the median of the
rounds of each, and of the ratio of neighboring rounds, as a Markdown table. timm has no fast
decoding; the rows of asmlp's other modes are against the same rounds of timm.

`--photos FOLDER` makes sets of the same pictures: JPEG and PNG of ImageNet's usual size (500 x 375),
and JPEG of a camera's (4000 x 3000, enlarged). Without, tests/data/photos. More folders of files can
be named.
"""

import argparse
import io
import platform
import statistics
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import PIL
import timm
import torch
import torchvision
from PIL import Image, ImageOps, features
from timm.data import create_transform

PHOTOS = Path(__file__).resolve().parent.parent / "tests" / "data" / "photos"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def make_sets(photos, folder, count):
    """The sets' folders by their titles; pictures are turned as they are, not cropped."""
    sets = {"JPEG, 500 x 375": ("jpeg", (500, 375), {"quality": 90}),
            "PNG, 500 x 375": ("png", (500, 375), {}),
            "JPEG, 4000 x 3000": ("large", (4000, 3000), {"quality": 90})}
    paths = [p for p in sorted(photos.rglob("*")) if p.suffix.lower() in SUFFIXES]
    step = max(len(paths) // count, 1)
    for name, size, options in sets.values():
        (folder / name).mkdir(parents=True, exist_ok=True)
        some = paths[::step][:count if name != "large" else min(count, 8)]
        for path in some:
            image = Image.open(path).convert("RGB")
            wanted = size if image.width >= image.height else size[::-1]
            suffix = ".png" if name == "png" else ".jpg"
            image.resize(wanted, Image.BICUBIC).save(folder / name / (path.stem + suffix), **options)
    return {title: folder / name for title, (name, _, _) in sets.items()}


# timm asks for 0 bits at times, which Pillow took up to its version 11.
posterize = ImageOps.posterize
ImageOps.posterize = lambda image, bits: posterize(image, max(bits, 1))


class Peer:
    def __init__(self, folder, size):
        files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
        self.files = [path.read_bytes() for path in files]
        self.transform = create_transform(
            size, is_training=True, color_jitter=0.4, auto_augment="rand-m9-mstd0.5-inc1",
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
    parser.add_argument("--photos", type=Path, default=PHOTOS, help="pictures of which the sets are made")
    parser.add_argument("--count", type=int, default=40, help="pictures of a set")
    parser.add_argument("--size", type=int, default=224, help="of the network's input")
    parser.add_argument("--images", type=int, default=200, help="per round; large ones a fifth")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    print(f"timm {timm.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__} "
          f"(libjpeg-turbo {features.version('libjpeg_turbo')}), torch {torch.__version__}, "
          f"Python {platform.python_version()}; {args.rounds} rounds, {args.size} pixels\n")
    print("| files | timm, images/s | asmlp | images/s | ratio |\n|---|---:|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        sets = make_sets(args.photos, Path(folder), args.count)
        for title, path in [*sets.items(), *((str(f), f) for f in args.folders)]:
            compare(title, path, args)


def compare(title, folder, args):
    images = args.images // 5 if title.endswith("4000 x 3000") else args.images
    peer = Peer(folder, args.size)
    peer.images_per_second(10)
    modes = ["exact", "cached"] if "PNG" in title else ["exact", "fast", "cached"]
    ours, theirs = {mode: [] for mode in modes}, []
    for _ in range(args.rounds):
        theirs.append(peer.images_per_second(images))
        for mode in modes:
            run = subprocess.run([args.ours, str(folder), str(images), "1", mode, str(args.size)],
                                 check=True, capture_output=True, text=True)
            ours[mode].append(float(run.stdout))
    for mode in modes:
        ratio = statistics.median(a / b for a, b in zip(ours[mode], theirs))
        print(f"| {title} | {statistics.median(theirs):.1f} | {mode} | "
              f"{statistics.median(ours[mode]):.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
