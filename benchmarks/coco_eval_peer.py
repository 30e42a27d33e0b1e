#!/usr/bin/env python3
"""Compares the COCO evaluation with pycocotools: the same files, in turn, medians and their ratio.

    python3 -m venv VENV && VENV/bin/pip install numpy pycocotools
    cmake -B build-bench -G Ninja -DASMLP_TORCH=OFF -DASMLP_BENCHMARKS=ON
    cmake --build build-bench --target asmlp_coco_eval_bench
    VENV/bin/python benchmarks/coco_eval_peer.py build-bench/bin/asmlp_coco_eval_bench FOLDER

The generated set is like COCO's val2017: 5,000 images of 480 x 640, 80 categories (a few common, most
rare), 7 objects per image, 100 detections per image, of which about a fifth lie on objects. FOLDER keeps
the files for the next run. The twelve numbers of both must agree to 1e-9. pycocotools has one thread;
--threads sets ours.
"""

import argparse
import contextlib
import io
import json
import math
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

HEIGHT, WIDTH, CATEGORIES = 480, 640, 80


def outline(rng, box):
    """A polygon of 12 to 40 points around a box x, y, width, height."""
    x, y, w, h = box
    angles = np.sort(rng.uniform(0, 2 * math.pi, rng.integers(12, 41)))
    radius = rng.uniform(0.8, 1.05, angles.size) / 2
    xy = np.stack([x + w / 2 + radius * w * np.cos(angles), y + h / 2 + radius * h * np.sin(angles)], 1)
    return np.round(xy, 2).ravel().tolist()


def random_box(rng):
    w = min(math.exp(rng.normal(4.2, 0.9)), WIDTH - 1.0)
    h = min(w * math.exp(rng.normal(0, 0.4)), HEIGHT - 1.0)
    return [rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h), w, h]


def generate(folder, images, detections):
    rng = np.random.default_rng(2017)
    share = 1 / np.arange(1, CATEGORIES + 1)
    share /= share.sum()
    truth, results = [], {"bbox": [], "segm": []}
    for image in range(1, images + 1):
        objects = []
        for category in rng.choice(CATEGORIES, rng.poisson(7), p=share):
            box, crowd = random_box(rng), int(rng.random() < 0.01)
            objects.append((category, box))
            polygon = outline(rng, box)
            rle = mask_utils.frPyObjects([polygon], HEIGHT, WIDTH)[0]
            rle["counts"] = rle["counts"].decode()
            truth.append({"id": len(truth) + 1, "image_id": image, "category_id": int(category) + 1,
                          "bbox": [round(v, 2) for v in box], "area": float(mask_utils.area(rle)),
                          "iscrowd": crowd, "segmentation": rle if crowd else [polygon]})
        for n in range(detections):
            if objects and n < detections // 5:
                category, box = objects[rng.integers(len(objects))]
                box = [v + rng.normal(0, 0.08) * box[2 + k % 2] for k, v in enumerate(box)]
                box[2:] = [max(v, 1.0) for v in box[2:]]
                score = rng.random()
            else:
                category, box, score = rng.choice(CATEGORIES, p=share), random_box(rng), rng.random() ** 3
            head = {"image_id": image, "category_id": int(category) + 1, "score": round(float(score), 4)}
            results["bbox"].append(head | {"bbox": [round(float(v), 2) for v in box]})
            rle = mask_utils.frPyObjects([outline(rng, box)], HEIGHT, WIDTH)[0]
            rle["counts"] = rle["counts"].decode()
            results["segm"].append(head | {"segmentation": rle})
    for task, records in results.items():
        (folder / f"{task}.json").write_text(json.dumps(records))
    (folder / "truth.json").write_text(json.dumps({
        "images": [{"id": i, "file_name": f"{i}.jpg", "height": HEIGHT, "width": WIDTH}
                   for i in range(1, images + 1)],
        "annotations": truth,
        "categories": [{"id": i, "name": str(i)} for i in range(1, CATEGORIES + 1)]}))


def run_peer(folder, task):
    with contextlib.redirect_stdout(io.StringIO()):
        begin = time.perf_counter()
        truth = COCO(str(folder / "truth.json"))
        found = truth.loadRes(str(folder / f"{task}.json"))
        loaded = time.perf_counter()
        evaluation = COCOeval(truth, found, task)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return loaded - begin, time.perf_counter() - loaded, list(evaluation.stats)


def run_ours(program, folder, task, threads):
    text = subprocess.run([program, task, folder / "truth.json", folder / f"{task}.json", "1",
                           str(threads)], check=True, capture_output=True, text=True).stdout
    times, stats = text.strip().split("\n")
    return *map(float, times.split()), list(map(float, stats.split()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tasks", nargs="+", default=["bbox", "segm"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--detections", type=int, default=100, help="per image")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if not (options.folder / "truth.json").exists():
        generate(options.folder, options.images, options.detections)
    for task in options.tasks:
        peer, ours = [], []
        for _ in range(options.rounds):
            ours.append(run_ours(options.program, options.folder, task, options.threads))
            peer.append(run_peer(options.folder, task))
            difference = max(abs(a - b) for a, b in zip(ours[-1][2], peer[-1][2]))
            assert difference < 1e-9, (ours[-1][2], peer[-1][2])
        for part, name in enumerate(("read", "evaluate")):
            times = [statistics.median(run[part] for run in runs) for runs in (peer, ours)]
            print(f"{task} {name}: pycocotools {times[0]:.2f} s, asmlp {times[1]:.2f} s, "
                  f"ratio {times[0] / times[1]:.1f}", flush=True)
        print(f"{task} AP {ours[-1][2][0]:.6f}, largest difference of the last round {difference:.1e}")


if __name__ == "__main__":
    main()
