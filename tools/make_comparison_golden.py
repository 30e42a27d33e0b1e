#!/usr/bin/env python3
"""Writes tests/data/comparisons/*.safetensors: what torchvision and timm compute for small Swin,
MLP-Mixer and ResMLP models, and for the whole Swin-T.

    apt-get install python3-torchvision
    python3 -m venv --system-site-packages VENV && VENV/bin/pip install --no-deps timm==0.4.12
    VENV/bin/python tools/make_comparison_golden.py        # VENV made with /usr/bin/python3

Weights and inputs are not stored: they follow the fill rule of asmlp/weights/fill.h by the official
names. Everything is computed in float64 and rounded once. A file holds "logits", for Swin
"feature.k" (k = 0 after the patch embedding, else after stage k - 1, N x h x w x C), and in its
metadata the description that architecture_from_json reads and the shape of the input.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
from timm.models import mlp_mixer, swin_transformer

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "comparisons"


def fill(name, shape):
    """fill_tensor of asmlp/weights/fill.h."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        h = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        h = h ^ (h >> np.uint64(31))
    unit = 2.0 * ((h >> np.uint64(40)).astype(np.float64) * 2.0**-24) - 1.0
    if name.startswith("input"):
        values = 1.7 * unit
    elif name.endswith("bias"):
        values = 0.1 * unit
    elif len(shape) <= 1:
        values = 1.0 + 0.2 * unit
    else:
        values = np.sqrt(3.0 / (count // shape[0])) * unit
    return torch.from_numpy(values.astype(np.float32).reshape(shape)).double()


def official_swin_name(name):
    """torchvision's name of a parameter of Swin to the authors'."""
    parts = name.split(".")
    if parts[0] != "features":
        return name
    index = int(parts[1])
    if index == 0:
        return ".".join(["patch_embed", {"0": "proj", "2": "norm"}[parts[2]], *parts[3:]])
    if index % 2 == 0:
        return ".".join(["layers", str(index // 2 - 1), "downsample", *parts[2:]])
    rest = ".".join(parts[3:]).replace("mlp.0.", "mlp.fc1.").replace("mlp.3.", "mlp.fc2.")
    return f"layers.{index // 2}.blocks.{parts[2]}.{rest}"


def write(name, architecture, model, input_shape, rename=lambda n: n, features=()):
    """Fills `model`, runs it on the filled input and writes the figures. `features` are modules
    whose outputs are kept, as N x h x w x C."""
    model = model.double().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(fill(rename(key), tuple(parameter.shape)))
    figures, hooks = {}, []
    for k, module in enumerate(features):
        hooks.append(module.register_forward_hook(
            lambda _m, _i, out, k=k: figures.__setitem__(f"feature.{k}", out)))
    with torch.no_grad():
        figures["logits"] = model(fill("input", input_shape))
    header = {"__metadata__": {
        "asmlp_architecture": json.dumps(architecture), "input": json.dumps(input_shape),
        "made_by": f"torchvision {torchvision.__version__}, timm {timm.__version__}, "
                   f"torch {torch.__version__}"}}
    blobs, offset = [], 0
    for key, tensor in sorted(figures.items()):
        blob = tensor.float().contiguous().numpy().tobytes()
        header[key] = {"dtype": "F32", "shape": list(tensor.shape),
                       "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = OUT / f"{name}.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(f"{path.name}: {path.stat().st_size} bytes, "
          f"{sum(p.numel() for p in model.parameters())} parameters")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    # Odd maps: windows and merging are padded, the shifted windows masked.
    model = torchvision.models.SwinTransformer(
        patch_size=[4, 4], embed_dim=18, depths=[2, 3, 1], num_heads=[3, 9, 2],
        window_size=[4, 4], num_classes=11)
    write("swin_odd_maps",
          {"family": "swin", "embed_dim": 18, "depths": [2, 3, 1], "num_heads": [3, 9, 2],
           "window_size": 4, "num_classes": 11, "img_size": 100},
          model, [2, 3, 52, 44], official_swin_name,
          [model.features[0], model.features[2], model.features[4], model.features[5]])
    # Maps of 12, 6 and 3 tokens: the last two are one window each, the last a smaller one.
    model = swin_transformer.SwinTransformer(
        img_size=48, embed_dim=12, depths=(2, 2, 2), num_heads=(2, 3, 4), window_size=6,
        num_classes=5, mlp_ratio=2.0)
    write("swin_small_maps",
          {"family": "swin", "embed_dim": 12, "depths": [2, 2, 2], "num_heads": [2, 3, 4],
           "window_size": 6, "mlp_ratio": 2.0, "num_classes": 5, "img_size": 48},
          model, [1, 3, 48, 48])
    model = torchvision.models.swin_t()
    write("swin_tiny", {"model": "swin_tiny_patch4_window7_224"}, model, [1, 3, 224, 224],
          official_swin_name)
    model = mlp_mixer.MlpMixer(num_classes=7, img_size=24, patch_size=4, num_blocks=2,
                               embed_dim=20, mlp_ratio=(0.5, 4.0))
    write("mlp_mixer",
          {"family": "mlp_mixer", "embed_dim": 20, "depth": 2, "patch_size": 4, "num_classes": 7,
           "img_size": 24}, model, [2, 3, 24, 24])
    model = mlp_mixer.MlpMixer(
        num_classes=7, img_size=24, patch_size=4, num_blocks=2, embed_dim=20, mlp_ratio=3,
        block_layer=mlp_mixer.ResBlock, norm_layer=mlp_mixer.Affine)
    write("res_mlp",
          {"family": "res_mlp", "embed_dim": 20, "depth": 2, "patch_size": 4, "mlp_ratio": 3.0,
           "num_classes": 7, "img_size": 24}, model, [2, 3, 24, 24])


if __name__ == "__main__":
    sys.exit(main())
