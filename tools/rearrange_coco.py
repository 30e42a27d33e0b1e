#!/usr/bin/env python3
"""Writes a small set in COCO's layout as five annotation tools export it: docs/results/own_data.md.

usage: tools/rearrange_coco.py DATA OUT

DATA has val2017/ and annotations/instances_val2017.json, which serve as both splits. OUT gets the
folders coco, roboflow, cvat, labelme and label_studio. Ids, their order, and the forms of values
differ as they do between the tools; the objects are the same.
"""
import json
import shutil
import sys
from pathlib import Path

data, out = Path(sys.argv[1]), Path(sys.argv[2])
images = sorted((data / "val2017").iterdir())
coco = json.loads((data / "annotations/instances_val2017.json").read_text())


def write(path: Path, text: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(text))


def copy(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        shutil.copy(image, folder)


def renumbered(first: int, reverse: bool) -> dict:
    """The set with category ids that count from `first`, in the file's or the reverse order."""
    categories = list(reversed(coco["categories"])) if reverse else coco["categories"]
    new = {c["id"]: first + i for i, c in enumerate(categories)}
    return {
        "images": coco["images"],
        "categories": [{**c, "id": new[c["id"]]} for c in categories],
        "annotations": [{**a, "category_id": new[a["category_id"]]} for a in coco["annotations"]],
    }


for split in ("train", "val"):
    copy(out / "coco" / f"{split}2017")
    write(out / "coco/annotations" / f"instances_{split}2017.json", coco)

roboflow = renumbered(1, reverse=True)
roboflow["categories"] = [{**c, "supercategory": "things"} for c in roboflow["categories"]]
roboflow["categories"].insert(0, {"id": 0, "name": "things", "supercategory": "none"})
for split in ("train", "valid"):
    copy(out / "roboflow" / split)
    write(out / "roboflow" / split / "_annotations.coco.json", roboflow)

copy(out / "cvat/images")
cvat = renumbered(1, reverse=False)
for annotation in cvat["annotations"]:
    annotation["attributes"] = {"occluded": False}
write(out / "cvat/annotations/instances_default.json", cvat)

copy(out / "labelme/JPEGImages")
labelme = renumbered(0, reverse=False)
labelme["images"] = [{**i, "file_name": "JPEGImages/" + i["file_name"]} for i in labelme["images"]]
write(out / "labelme/annotations.json", labelme)

copy(out / "label_studio/images")
studio = renumbered(0, reverse=True)
studio["images"] = [{**i, "file_name": "images\\" + i["file_name"]} for i in studio["images"]]
write(out / "label_studio/result.json", studio)
