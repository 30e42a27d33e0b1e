#!/usr/bin/env python3
"""Writes tests/data/detect/*.safetensors: what torchvision computes for RoIAlign (with its gradient),
NMS, generalized IoU and box offsets.

    apt-get install python3-torchvision
    /usr/bin/python3 tools/make_detect_golden.py

roi_align.safetensors holds, for every case, `<case>.map` (B x C x H x W), `<case>.rois` (R x 5),
`<case>.pooled`, `<case>.d_pooled` (a made-up gradient) and `<case>.d_map`; its metadata the scale, the
bins and the sampling ratio. Everything there is computed in float32, as the number of samples and the
edges of the map are decided in it. boxes.safetensors holds the rest. Numbers are random, but the seed
is not.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from torchvision import ops

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "detect"
TYPES = {torch.float32: "F32", torch.int64: "I64"}


def write(name, tensors, metadata):
    header = {"__metadata__": dict(
        metadata, made_by=f"torchvision {torchvision.__version__}, torch {torch.__version__}")}
    blobs, offset = [], 0
    for key, tensor in sorted(tensors.items()):
        blob = tensor.detach().contiguous().numpy().tobytes()
        header[key] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape),
                       "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = OUT / f"{name}.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(f"{path.name}: {path.stat().st_size} bytes")


def awkward_rois(images, height, width, scale, generator):
    """RoIs inside, over every edge, outside, tiny, without area, turned round, and huge."""
    h, w = height / scale, width / scale  # pixels
    rows = [
        [0, 0.1 * w, 0.2 * h, 0.7 * w, 0.8 * h],
        [0, 0, 0, w, h],
        [0, -0.3 * w, 0.1 * h, 0.4 * w, 0.5 * h],
        [0, 0.6 * w, -0.5 * h, 1.4 * w, 1.5 * h],
        [0, 1.2 * w, 1.2 * h, 1.5 * w, 1.5 * h],
        [0, 0.99 * w, 0.99 * h, w, h],
        [0, 3.25, 3.5, 3.75, 4.0],
        [0, 5.0, 5.0, 5.0, 9.0],
        [0, 5.0, 5.0, 5.0, 5.0],
        [0, 0.6 * w, 0.7 * h, 0.3 * w, 0.2 * h],
        [0, -20 * w, -20 * h, 20 * w, 20 * h],
        [0, -0.25, -0.25, 0.25, 0.25],
    ]
    for index, row in enumerate(rows):
        row[0] = index % images
    more = torch.rand(6, 4, generator=generator) * torch.tensor([w, h, 0.6 * w, 0.6 * h])
    more[:, 2:] += more[:, :2]
    image = torch.arange(6) % images
    return torch.cat([torch.tensor(rows), torch.cat([image[:, None].float(), more], 1)])


def roi_align_cases():
    generator = torch.Generator().manual_seed(1)
    tensors, metadata = {}, {}
    # name, B, C, H, W, scale, bins, sampling ratio
    for name, b, c, h, w, scale, bins, ratio in [
            ("adaptive", 2, 5, 13, 17, 0.25, (7, 7), 0),
            ("mask", 1, 2, 9, 24, 0.125, (14, 14), 0),
            ("two_samples", 2, 3, 12, 10, 0.25, (5, 3), 2),
            ("channels", 1, 70, 8, 7, 0.0625, (2, 3), 0),
            ("one_cell", 3, 2, 1, 1, 0.03125, (3, 3), 0)]:
        features = torch.randn(b, c, h, w, generator=generator).requires_grad_()
        rois = awkward_rois(b, h, w, scale, generator)
        pooled = ops.roi_align(features, rois, bins, scale, ratio, aligned=True)
        d_pooled = torch.randn(pooled.shape, generator=generator)
        pooled.backward(d_pooled)
        tensors.update({f"{name}.map": features, f"{name}.rois": rois, f"{name}.pooled": pooled,
                        f"{name}.d_pooled": d_pooled, f"{name}.d_map": features.grad})
        metadata[name] = json.dumps({"scale": scale, "bins": bins, "sampling_ratio": ratio})
    write("roi_align", tensors, metadata)


def box_cases():
    generator = torch.Generator().manual_seed(2)
    tensors = {}
    # Boxes in clusters, so that many overlap; some without area; scores without ties.
    centers = torch.rand(30, 2, generator=generator).repeat(10, 1) * 200
    centers = centers + torch.randn(300, 2, generator=generator) * 8
    sizes = torch.rand(300, 2, generator=generator) * 60
    sizes[::37] = 0
    boxes = torch.cat([centers - sizes / 2, centers + sizes / 2], 1).clamp(0, 200)
    scores = torch.randperm(300, generator=generator).float() / 300
    classes = torch.randint(0, 80, (300,), generator=generator) // 20 * 20
    tensors.update({"nms.boxes": boxes, "nms.scores": scores, "nms.classes": classes})
    for threshold in (0.3, 0.5, 0.7):
        percent = round(threshold * 100)
        tensors[f"nms.kept.{percent}"] = ops.nms(boxes, scores, threshold)
        tensors[f"nms.kept_by_class.{percent}"] = ops.batched_nms(boxes, scores, classes, threshold)
    wide = (boxes[:, 2:] - boxes[:, :2]).min(1).values > 2
    first = boxes[wide][:60]
    second = first[torch.randperm(60, generator=generator)] + torch.rand(
        60, 4, generator=generator) * torch.tensor([0, 0, 4, 4])
    tensors.update({
        "pairs.first": first, "pairs.second": second,
        "pairs.iou": ops.box_iou(first.double(), second.double()).float(),
        "pairs.giou": ops.generalized_box_iou(first.double(), second.double()).diag().float()})
    # Deltas that no limit touches: torchvision has none below. Weights are 1 / std.
    coder = torchvision.models.detection._utils.BoxCoder((10.0, 10.0, 5.0, 5.0))
    deltas = torch.randn(60, 12, generator=generator) * 2
    tensors.update({
        "coder.encoded": coder.encode_single(second.double(), first.double()).float(),
        "coder.deltas": deltas,
        "coder.decoded": coder.decode_single(deltas.double(), first.double()).float()})
    write("boxes", tensors, {})


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    roi_align_cases()
    box_cases()


if __name__ == "__main__":
    sys.exit(main())
