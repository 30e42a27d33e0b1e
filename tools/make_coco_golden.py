#!/usr/bin/env python3
"""Writes tests/data/coco/*.json: small generated data sets and what pycocotools makes of them.

    python3 -m venv VENV && VENV/bin/pip install numpy pycocotools
    VENV/bin/python tools/make_coco_golden.py

<case>.json is an annotation file, <case>_bbox.json and <case>_segm.json are result files of it,
expected.json has their twelve numbers and the AP of every category (by rising id) in full precision.
masks.json holds polygons with their mask (compressed counts), area and box, and sets of masks with their
overlaps, union and intersection. Everything is generated from a fixed seed.
"""

import contextlib
import io
import json
import math
import random
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "coco"


def write(name, value):
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    (OUT / name).write_text(text + "\n", encoding="ascii")


def counts_of(rle):
    return rle["counts"].decode("ascii")


def uncompressed(rle):
    """Compressed run lengths as a list of counts."""
    pixels = mask_utils.decode(rle).flatten(order="F")
    counts, value, run = [], 0, 0
    for pixel in pixels:
        if pixel != value:
            counts.append(run)
            value, run = pixel, 0
        run += 1
    return counts + [run]


# ---- masks.json

def polygon(rng, height, width):
    """Polygons of every kind: beyond the image, self-crossing, with repeated points, on the grid."""
    kind = rng.choice(["free", "hundredths", "whole", "tenths", "star", "thin", "repeated", "beyond"])
    points = rng.randint(3, 12)
    xy = []
    for i in range(points):
        if kind == "star":
            angle = 2 * math.pi * i / points
            radius = rng.uniform(0.1, 0.6) * max(height, width)
            x, y = width / 2 + radius * math.cos(angle), height / 2 + radius * math.sin(angle)
        elif kind == "beyond":
            x, y = rng.uniform(-2 * width, 3 * width), rng.uniform(-2 * height, 3 * height)
        elif kind == "thin":
            x, y = rng.uniform(0, width), height / 2 + rng.uniform(-0.6, 0.6)
        else:
            x, y = rng.uniform(-1, width + 1), rng.uniform(-1, height + 1)
        digits = {"hundredths": 2, "star": 2, "tenths": 1, "whole": 0}.get(kind, 15)
        xy += [round(x, digits), round(y, digits)]
        if kind == "repeated" and rng.random() < 0.5:
            xy += xy[-2:]
    return xy


def make_masks(rng):
    polygons = []
    for _ in range(240):
        height, width = rng.randint(1, 40), rng.randint(1, 40)
        xy = polygon(rng, height, width)
        rle = mask_utils.frPyObjects([xy], height, width)[0]
        polygons.append({"size": [height, width], "xy": xy, "counts": counts_of(rle),
                         "area": int(mask_utils.area(rle)),
                         "bbox": mask_utils.toBbox(rle).tolist()})
    sets = []
    for _ in range(12):
        height, width = rng.randint(2, 40), rng.randint(2, 40)
        masks = [mask_utils.frPyObjects([polygon(rng, height, width)], height, width)[0]
                 for _ in range(rng.randint(2, 9))]
        split = rng.randint(1, len(masks) - 1)
        crowd = [rng.randint(0, 1) for _ in masks[split:]]
        sets.append({"size": [height, width], "counts": [counts_of(m) for m in masks],
                     "split": split, "crowd": crowd,
                     "iou": np.asarray(mask_utils.iou(masks[:split], masks[split:], crowd)).tolist(),
                     "union": counts_of(mask_utils.merge(masks)),
                     "intersection": counts_of(mask_utils.merge(masks, intersect=True))})
    write("masks.json", {"polygons": polygons, "sets": sets})


# ---- the evaluation cases

def blob(rng, box):
    """A polygon of 6 to 9 points that fills a box (x, y, width, height)."""
    x, y, w, h = box
    points = rng.randint(6, 9)
    xy = []
    for i in range(points):
        angle = 2 * math.pi * (i + rng.uniform(-0.1, 0.1)) / points
        r = rng.uniform(0.95, 1.1)
        xy += [round(x + w / 2 + r * w / 2 * math.cos(angle), 2),
               round(y + h / 2 + r * h / 2 * math.sin(angle), 2)]
    return xy


def jitter(rng, box, amount):
    x, y, w, h = box
    return [x + rng.uniform(-amount, amount) * w, y + rng.uniform(-amount, amount) * h,
            w * math.exp(rng.uniform(-amount, amount)), h * math.exp(rng.uniform(-amount, amount))]


class Case:
    def __init__(self, name, seed, categories):
        self.name, self.rng = name, random.Random(seed)
        self.images, self.annotations, self.categories = [], [], categories
        self.bbox, self.segm = [], []

    def add_image(self, image_id, height, width):
        self.images.append({"id": image_id, "file_name": f"{image_id:06d}.jpg", "height": height,
                            "width": width})
        return self.images[-1]

    def add_object(self, image, category, box, crowd=0, area=None, segmentation=None):
        size = image["height"], image["width"]
        if segmentation is None:
            segmentation = [blob(self.rng, box)]
            if self.rng.random() < 0.2:  # of two parts
                segmentation.append(blob(self.rng, jitter(self.rng, box, 0.3)))
        rle = mask_utils.merge(mask_utils.frPyObjects(segmentation, *size))
        if crowd:
            form = {"size": list(size), "counts": uncompressed(rle)}
            segmentation = form if self.rng.random() < 0.7 else {"size": list(size),
                                                                 "counts": counts_of(rle)}
        self.annotations.append({
            "id": 1000 + 7 * len(self.annotations), "image_id": image["id"],
            "category_id": category, "iscrowd": crowd, "bbox": [round(v, 2) for v in box],
            "area": float(mask_utils.area(rle)) if area is None else area,
            "segmentation": segmentation})

    def add_detection(self, image, category, box, score):
        record = {"image_id": image["id"], "category_id": category, "score": score}
        self.bbox.append(record | {"bbox": [round(v, 3) for v in box]})
        size = image["height"], image["width"]
        rle = mask_utils.frPyObjects([blob(self.rng, box)], *size)[0]
        self.segm.append(record | {"segmentation": {"size": list(size), "counts": counts_of(rle)}})

    def finish(self):
        write(f"{self.name}.json", {"info": {"description": "generated"}, "images": self.images,
                                    "annotations": self.annotations, "categories": self.categories})
        expected = {}
        for task, results in (("bbox", self.bbox), ("segm", self.segm)):
            write(f"{self.name}_{task}.json", results)
            with contextlib.redirect_stdout(io.StringIO()):
                truth = COCO(str(OUT / f"{self.name}.json"))
                evaluation = COCOeval(truth, truth.loadRes(str(OUT / f"{self.name}_{task}.json")),
                                      task)
                evaluation.evaluate()
                evaluation.accumulate()
                evaluation.summarize()
            category_ap = []
            for k in range(len(self.categories)):
                values = evaluation.eval["precision"][:, :, k, 0, 2]
                values = values[values > -1]
                category_ap.append(float(values.mean()) if values.size else -1.0)
            expected[task] = {"stats": [float(v) for v in evaluation.stats],
                              "category_ap": category_ap}
            print(self.name, task, [round(v, 3) for v in expected[task]["stats"]])
        return expected


def random_box(rng, image, low=4, high=200):
    side = math.exp(rng.uniform(math.log(low), math.log(high)))
    ratio = math.exp(rng.uniform(-0.7, 0.7))
    w = min(side * ratio, image["width"] - 2)
    h = min(side / ratio, image["height"] - 2)
    return [rng.uniform(0, image["width"] - w), rng.uniform(0, image["height"] - h), w, h]


def mixed():
    """Crowds, all area ranges, equal scores, empty images, categories without truth or detections."""
    case = Case("mixed", 11, [{"id": i, "name": f"class {i}"} for i in (90, 3, 17, 4, 62, 5)])
    rng = case.rng
    ids = rng.sample(range(1, 500000), 26)
    for n, image_id in enumerate(ids):
        image = case.add_image(image_id, rng.randint(100, 320), rng.randint(100, 320))
        if n % 9 == 4:
            continue  # neither truth nor detections
        if n % 9 != 5:
            for _ in range(rng.randint(1, 8)):
                category = rng.choice([3, 3, 4, 17, 90])
                box = random_box(rng, image)
                crowd = int(rng.random() < 0.15)
                case.add_object(image, category, box, crowd)
                for _ in range(rng.choice([0, 1, 1, 2])):
                    if category != 90 or rng.random() < 0.3:
                        found = category if rng.random() < 0.9 else 5
                        case.add_detection(image, found, jitter(rng, box, rng.choice([0.03, 0.15, 0.4])),
                                           round(rng.random(), 1))
        if n % 9 != 7:
            for _ in range(rng.randint(0, 4)):
                case.add_detection(image, rng.choice([3, 4, 5, 17, 62]), random_box(rng, image),
                                   round(0.7 * rng.random(), 1))
    order = list(range(len(case.bbox)))
    rng.shuffle(order)  # result files need not be grouped by image
    case.bbox = [case.bbox[i] for i in order]
    case.segm = [case.segm[i] for i in order]
    return case


def many():
    """More than 100 detections of one category in an image."""
    case = Case("many", 12, [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}])
    rng = case.rng
    for image_id in (8, 2, 5):
        image = case.add_image(image_id, 100, 90)
        boxes = [random_box(rng, image, 5, 40) for _ in range(25)]
        for n, box in enumerate(boxes):
            case.add_object(image, 1 + n % 2, box, int(n == 6))
        for n in range(150):
            # Good ones at low scores too, so that the cut at 100 leaves some out.
            box = jitter(rng, rng.choice(boxes), 0.1) if n % 3 == 0 else random_box(rng, image, 5, 40)
            case.add_detection(image, 1 if n % 7 else 2, box, round(rng.random(), 2))
    return case


def borders():
    """Boxes without area, areas on the borders of the ranges, equal overlaps, an area that is not the
    box's, detections outside of the image, zero and negative scores."""
    case = Case("borders", 13, [{"id": i, "name": f"class {i}"} for i in (7, 8, 9, 10)])
    rng = case.rng
    for image_id in range(1, 9):
        image = case.add_image(image_id, 128, 144)
        for box, area in (([10, 10, 32, 32], 1024.0), ([50, 20, 96, 96], 9216.0),
                          ([5, 60, 20, 0], 0.0), ([70, 70, 0, 0], 0), ([10, 10, 32, 32], 1024.01),
                          ([3, 3, 20, 20], 1e10), ([3, 3, 20, 20], 2e10), ([60, 2, 30, 30], 1023.99)):
            if rng.random() < 0.75:
                case.add_object(image, rng.choice([7, 8]), box, int(rng.random() < 0.1), area)
        for box in ([10, 10, 32, 32], [10, 10, 32, 32], [50, 20, 96, 96], [5, 60, 20, 0],
                    [70, 70, 0, 0], [3, 3, 20, 20], [-30, -30, 20, 20], [140, 120, 30, 30],
                    [60, 2, 30, 30], [60, 2, 15, 30], [60, 2, 30, 60]):
            case.add_detection(image, rng.choice([7, 7, 8, 9]), box,
                               rng.choice([0.0, -1.5, 0.25, 0.5, 0.5, 3.0]))
        # Category 10 has crowds only: nothing to find in it.
        case.add_object(image, 10, [20, 20, 60, 60], 1)
        case.add_detection(image, 10, jitter(rng, [20, 20, 60, 60], 0.1), 0.5)
    return case


def nothing():
    """No object that could be found: all numbers are -1."""
    case = Case("nothing", 14, [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}])
    image = case.add_image(1, 60, 60)
    case.add_image(2, 60, 60)
    case.add_object(image, 1, [10, 10, 30, 30], 1)
    case.add_detection(image, 1, [10, 10, 30, 30], 0.5)
    case.add_detection(image, 2, [10, 10, 30, 30], 0.5)
    return case


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    make_masks(random.Random(10))
    write("expected.json", {case.name: case.finish() for case in (mixed(), many(), borders(), nothing())})


if __name__ == "__main__":
    main()
