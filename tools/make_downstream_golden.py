#!/usr/bin/env python3
"""Writes tests/data/downstream/: what small detectors and a small segmentor over AS-MLP compute, and
checkpoints in the layout of mmdet and mmseg.

    apt-get install python3-torchvision
    /usr/bin/python3 tools/make_downstream_golden.py

The backbone and UPerNet are composed here from functions of torch; feature pyramid, RPN, box and mask
heads are torchvision's modules. Weights and inputs follow the fill rule of asmlp/weights/fill.h by the
official state-dict keys, which this script lists by itself. Computed in float64, rounded once.

<kind>.safetensors, kind = mask_rcnn, cascade, upernet: figures; in the metadata "config" (of
detector_from_json or segmentor_from_json) and "keys" (every key with its shape).
mmdet.pth, mmseg.pth: {"meta", "state_dict", "optimizer"} of the same mask_rcnn and upernet with two
backbone stages of one block, in the new and in the old format of torch.save.
"""

import json
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torchvision.models.detection import faster_rcnn, mask_rcnn, rpn
from torchvision.ops import feature_pyramid_network as pyramid

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "downstream"


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


class Keys(dict):
    """Name -> shape of a state dict."""

    def conv(self, name, out, inner, kernel, bias=True):
        self[name + ".weight"] = [out, inner, kernel, kernel]
        if bias:
            self[name + ".bias"] = [out]

    def pair(self, name, shape):
        """weight and bias of a norm ([C]) or a linear layer ([out, in])."""
        self[name + ".weight"] = shape
        self[name + ".bias"] = shape[:1]

    def conv_bn(self, name, out, inner, kernel):
        self.conv(name + ".conv", out, inner, kernel, bias=False)
        self.pair(name + ".bn", [out])
        self[name + ".bn.running_mean"] = self[name + ".bn.running_var"] = [out]
        self[name + ".bn.num_batches_tracked"] = []


def backbone_keys(keys, c, depths, ratio):
    keys.conv("backbone.patch_embed.proj", c, 3, 4)
    keys.pair("backbone.patch_embed.norm", [c])
    for i, depth in enumerate(depths):
        for j in range(depth):
            block = f"backbone.layers.{i}.blocks.{j}."
            for norm in ("norm1", "norm2", "axial_shift.norm1", "axial_shift.norm2"):
                keys.pair(block + norm, [c])
            for conv in ("conv1", "conv2_1", "conv2_2", "conv3"):
                keys.conv(block + "axial_shift." + conv, c, c, 1)
            keys.conv(block + "mlp.fc1", ratio * c, c, 1)
            keys.conv(block + "mlp.fc2", c, ratio * c, 1)
        keys.pair(f"backbone.norm{i}", [c])
        if i + 1 < len(depths):
            keys.conv(f"backbone.layers.{i}.downsample.reduction", 2 * c, 4 * c, 1, bias=False)
            keys.pair(f"backbone.layers.{i}.downsample.norm", [4 * c])
        c *= 2


def detector_keys(config):
    keys = Keys()
    backbone, f, classes = config["backbone"], config["fpn_channels"], config["num_classes"]
    backbone_keys(keys, backbone["embed_dim"], backbone["depths"], backbone["mlp_ratio"])
    for i in range(len(backbone["depths"])):
        keys.conv(f"neck.lateral_convs.{i}.conv", f, backbone["embed_dim"] * 2**i, 1)
        keys.conv(f"neck.fpn_convs.{i}.conv", f, f, 3)
    r, box, mask = config["rpn"]["channels"], config["box_head"], config["mask_head"]
    keys.conv("rpn_head.rpn_conv", r, f, 3)
    keys.conv("rpn_head.rpn_cls", 3, r, 1)
    keys.conv("rpn_head.rpn_reg", 12, r, 1)
    for stage in stage_names(config):
        channels = f
        for i in range(box["convs"]):
            keys.conv_bn(f"roi_head.bbox_head{stage}.shared_convs.{i}", box["conv_channels"], channels, 3)
            channels = box["conv_channels"]
        features = channels * config["roi"]["box_size"] ** 2
        for i in range(box["fcs"]):
            keys.pair(f"roi_head.bbox_head{stage}.shared_fcs.{i}", [box["fc_channels"], features])
            features = box["fc_channels"]
        keys.pair(f"roi_head.bbox_head{stage}.fc_cls", [classes + 1, features])
        keys.pair(f"roi_head.bbox_head{stage}.fc_reg", [4 * classes, features])
        channels = f
        for i in range(mask["convs"]):
            keys.conv(f"roi_head.mask_head{stage}.convs.{i}.conv", mask["channels"], channels, 3)
            channels = mask["channels"]
        keys.conv(f"roi_head.mask_head{stage}.upsample", channels, channels, 2)
        keys.conv(f"roi_head.mask_head{stage}.conv_logits", classes, channels, 1)
    return keys


def segmentor_keys(config):
    keys = Keys()
    backbone, head, auxiliary = config["backbone"], config["decode_head"], config["auxiliary_head"]
    e, stages, c = backbone["embed_dim"], len(backbone["depths"]), head["channels"]
    backbone_keys(keys, e, backbone["depths"], backbone["mlp_ratio"])
    top = e * 2 ** (stages - 1)
    keys.conv("decode_head.conv_seg", config["num_classes"], c, 1)
    for k in range(len(head["pool_scales"])):
        keys.conv_bn(f"decode_head.psp_modules.{k}.1", c, top, 1)
    keys.conv_bn("decode_head.bottleneck", c, top + len(head["pool_scales"]) * c, 3)
    for k in range(stages - 1):
        keys.conv_bn(f"decode_head.lateral_convs.{k}", c, e * 2**k, 1)
        keys.conv_bn(f"decode_head.fpn_convs.{k}", c, c, 3)
    keys.conv_bn("decode_head.fpn_bottleneck", c, stages * c, 3)
    keys.conv("auxiliary_head.conv_seg", config["num_classes"], auxiliary["channels"], 1)
    inner = e * 2 ** auxiliary["stage"]
    for k in range(auxiliary["convs"]):
        keys.conv_bn(f"auxiliary_head.convs.{k}", auxiliary["channels"], inner, 3)
        inner = auxiliary["channels"]
    return keys


def stage_names(config):
    return [""] if config["kind"] == "mask_rcnn" else [f".{k}" for k in range(len(config["stages"]))]


def weights_of(keys):
    return {name: torch.tensor(7) if name.endswith("num_batches_tracked") else fill(name, shape)
            for name, shape in keys.items()}


# ---------------------------------------------------------------- AS-MLP from functions

def norm(w, name, x):
    return F.group_norm(x, 1, w[name + ".weight"], w[name + ".bias"])


def conv(w, name, x, **options):
    return F.conv2d(x, w[name + ".weight"], w.get(name + ".bias"), **options)


def shifted(x, size, axis):
    """Channel group k moves by k - size // 2 pixels along the axis, zeros come in."""
    pad = size // 2
    padded = F.pad(x, (pad, pad, pad, pad))
    groups = [torch.roll(g, k - pad, axis) for k, g in enumerate(torch.chunk(padded, size, 1))]
    h, width = x.shape[2:]
    return torch.cat(groups, 1)[:, :, pad:pad + h, pad:pad + width]


def backbone_maps(w, config, image):
    x = F.pad(image, (0, -image.shape[3] % 4, 0, -image.shape[2] % 4))
    x = norm(w, "backbone.patch_embed.norm", conv(w, "backbone.patch_embed.proj", x, stride=4))
    maps = []
    for i, depth in enumerate(config["depths"]):
        for j in range(depth):
            block = f"backbone.layers.{i}.blocks.{j}."
            shift = block + "axial_shift."
            t = conv(w, shift + "conv1", norm(w, block + "norm1", x))
            t = F.gelu(norm(w, shift + "norm1", t))
            t = (F.gelu(conv(w, shift + "conv2_1", shifted(t, config["shift_size"], 3)))
                 + F.gelu(conv(w, shift + "conv2_2", shifted(t, config["shift_size"], 2))))
            x = x + conv(w, shift + "conv3", norm(w, shift + "norm2", t))
            t = F.gelu(conv(w, block + "mlp.fc1", norm(w, block + "norm2", x)))
            x = x + conv(w, block + "mlp.fc2", t)
        maps.append(norm(w, f"backbone.norm{i}", x))
        if i + 1 < len(config["depths"]):
            x = F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
            x = torch.cat([x[:, :, a::2, b::2] for a, b in ((0, 0), (1, 0), (0, 1), (1, 1))], 1)
            down = f"backbone.layers.{i}.downsample."
            x = conv(w, down + "reduction", norm(w, down + "norm", x))
    return maps


# ---------------------------------------------------------------- torchvision's detector parts

def load(module, w, name):
    """The weights called `name` into a convolution or linear layer."""
    module.weight.copy_(w[name + ".weight"])
    if module.bias is not None:
        module.bias.copy_(w[name + ".bias"])
    return module


def load_conv_bn(block, w, name):
    load(block[0], w, name + ".conv")
    load(block[1], w, name + ".bn")
    block[1].running_mean.copy_(w[name + ".bn.running_mean"])
    block[1].running_var.copy_(w[name + ".bn.running_var"])


def detector_figures(config, w):
    figures = {}
    f, classes, box, mask = (config[k] for k in ("fpn_channels", "num_classes", "box_head", "mask_head"))
    maps = backbone_maps(w, config["backbone"], fill("input.image", [1, 3, 43, 35]))
    for k, m in enumerate(maps):
        figures[f"map.{k}"] = m
    fpn = pyramid.FeaturePyramidNetwork(
        [m.shape[1] for m in maps], f, extra_blocks=pyramid.LastLevelMaxPool()).double()
    for k in range(len(maps)):
        load(fpn.inner_blocks[k][0], w, f"neck.lateral_convs.{k}.conv")
        load(fpn.layer_blocks[k][0], w, f"neck.fpn_convs.{k}.conv")
    levels = list(fpn(OrderedDict((str(k), m) for k, m in enumerate(maps))).values())
    head = rpn.RPNHead(f, 3).double()
    load(head.conv[0][0], w, "rpn_head.rpn_conv")
    load(head.cls_logits, w, "rpn_head.rpn_cls")
    load(head.bbox_pred, w, "rpn_head.rpn_reg")
    for k, (level, logits, deltas) in enumerate(zip(levels, *head(levels))):
        figures[f"pyramid.{k}"], figures[f"rpn.logits.{k}"] = level, logits
        figures[f"rpn.deltas.{k}"] = deltas
    s = config["roi"]["box_size"]
    boxes = fill("input.box", [3, f, s, s])
    masks = fill("input.mask", [2, f, config["roi"]["mask_size"], config["roi"]["mask_size"]])
    for k, stage in enumerate(stage_names(config)):
        name = f"roi_head.bbox_head{stage}."
        if box["convs"] == 0:
            shared = faster_rcnn.TwoMLPHead(f * s * s, box["fc_channels"]).double()
            load(shared.fc6, w, name + "shared_fcs.0")
            load(shared.fc7, w, name + "shared_fcs.1")
        else:
            shared = faster_rcnn.FastRCNNConvFCHead(
                (f, s, s), [box["conv_channels"]] * box["convs"], [box["fc_channels"]] * box["fcs"],
                norm_layer=torch.nn.BatchNorm2d).double().eval()
            for i in range(box["convs"]):
                load_conv_bn(shared[i], w, f"{name}shared_convs.{i}")
            for i in range(box["fcs"]):
                load(shared[box["convs"] + 1 + 2 * i], w, f"{name}shared_fcs.{i}")
        x = shared(boxes)
        for part, key, width in (("logits", "fc_cls", classes + 1), ("deltas", "fc_reg", 4 * classes)):
            layer = load(torch.nn.Linear(box["fc_channels"], width).double(), w, name + key)
            figures[f"box.{k}.{part}"] = layer(x)
        name = f"roi_head.mask_head{stage}."
        convs = mask_rcnn.MaskRCNNHeads(f, [mask["channels"]] * mask["convs"], 1).double()
        for i in range(mask["convs"]):
            load(convs[i][0], w, f"{name}convs.{i}.conv")
        predictor = mask_rcnn.MaskRCNNPredictor(mask["channels"], mask["channels"], classes).double()
        load(predictor.conv5_mask, w, name + "upsample")
        load(predictor.mask_fcn_logits, w, name + "conv_logits")
        figures[f"mask.{k}"] = predictor(convs(masks))
    return figures


# ---------------------------------------------------------------- UPerNet from functions

def resize(x, like):
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def conv_bn(w, name, x, training):
    weight = w[name + ".conv.weight"]
    x = F.conv2d(x, weight, padding=weight.shape[2] // 2)
    mean, var = w[name + ".bn.running_mean"].clone(), w[name + ".bn.running_var"].clone()
    return F.relu(F.batch_norm(x, mean, var, w[name + ".bn.weight"], w[name + ".bn.bias"], training))


def segmentor_figures(config, w):
    """Logits in evaluation and, with dropout 0, in training."""
    figures = {}
    maps = backbone_maps(w, config["backbone"], fill("input.image", [2, 3, 43, 35]))
    top, d = maps[-1], "decode_head."
    for mode in ("eval", "train"):
        training = mode == "train"
        parts = [top] + [resize(conv_bn(w, f"{d}psp_modules.{k}.1", F.adaptive_avg_pool2d(top, s), training),
                                top) for k, s in enumerate(config["decode_head"]["pool_scales"])]
        sums = [conv_bn(w, f"{d}lateral_convs.{k}", m, training) for k, m in enumerate(maps[:-1])]
        sums.append(conv_bn(w, d + "bottleneck", torch.cat(parts, 1), training))
        for k in range(len(maps) - 1, 0, -1):
            sums[k - 1] = sums[k - 1] + resize(sums[k], sums[k - 1])
        outputs = [conv_bn(w, f"{d}fpn_convs.{k}", m, training) for k, m in enumerate(sums[:-1])]
        outputs.append(sums[-1])
        x = torch.cat([resize(m, outputs[0]) for m in outputs], 1)
        figures[mode + ".decode"] = conv(w, d + "conv_seg", conv_bn(w, d + "fpn_bottleneck", x, training))
    x = maps[config["auxiliary_head"]["stage"]]
    for k in range(config["auxiliary_head"]["convs"]):
        x = conv_bn(w, f"auxiliary_head.convs.{k}", x, True)
    figures["train.auxiliary"] = conv(w, "auxiliary_head.conv_seg", x)
    return figures


def write(name, config, keys, figures):
    header = {"__metadata__": {
        "config": json.dumps({"name": name, "config": config}), "keys": json.dumps(keys),
        "made_by": f"torchvision {torchvision.__version__}, torch {torch.__version__}"}}
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
    print(f"{path.name}: {path.stat().st_size} bytes, {len(keys)} tensors")


def write_checkpoint(name, keys, meta, new_format):
    w = weights_of(keys)
    state = OrderedDict((key, v if key.endswith("tracked") else v.float()) for key, v in w.items())
    path = OUT / f"{name}.pth"
    torch.save({"meta": {"epoch": 12, "iter": 7, **meta}, "state_dict": state,
                "optimizer": {"state": {}, "param_groups": [{"lr": 1e-6, "params": [0, 1]}]}}, path,
               _use_new_zipfile_serialization=new_format)
    print(f"{path.name}: {path.stat().st_size} bytes")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    backbone = {"embed_dim": 6, "depths": [1, 2, 1], "shift_size": 5, "mlp_ratio": 2}
    detector = {
        "num_classes": 3, "fpn_channels": 8, "backbone": backbone,
        "rpn": {"channels": 8, "anchors": {"strides": [4, 8, 16, 32]}},
        "roi": {"levels": 3, "box_size": 3, "mask_size": 4},
        "mask_head": {"convs": 2, "channels": 5}}
    mask = {"kind": "mask_rcnn", **detector,
            "box_head": {"convs": 0, "conv_channels": 8, "fcs": 2, "fc_channels": 9}}
    cascade = {"kind": "cascade", **detector, "stages": [{}, {}],
               "backbone": {**backbone, "shift_size": 3},
               "box_head": {"convs": 2, "conv_channels": 6, "fcs": 1, "fc_channels": 9}}
    upernet = {"num_classes": 4, "backbone": backbone,
               "decode_head": {"channels": 6, "pool_scales": [1, 2, 3], "dropout": 0},
               "auxiliary_head": {"stage": 1, "channels": 5, "convs": 1, "dropout": 0}}
    with torch.no_grad():
        for config in (mask, cascade):
            keys = detector_keys(config)
            write(config["kind"], config, keys, detector_figures(config, weights_of(keys)))
        keys = segmentor_keys(upernet)
        write("upernet", upernet, keys, segmentor_figures(upernet, weights_of(keys)))
    small = {**backbone, "depths": [1, 1]}
    write_checkpoint("mmdet", detector_keys({**mask, "backbone": small}),
                     {"mmdet_version": "2.11.0", "config": "model = dict()",
                      "CLASSES": ("a", "b", "c")}, True)
    write_checkpoint("mmseg", segmentor_keys({**upernet, "backbone": small}),
                     {"mmseg_version": "0.11.0", "CLASSES": ("a", "b", "c", "d"),
                      "PALETTE": [[0, 0, 0], [9, 9, 9], [1, 2, 3], [4, 5, 6]]}, False)


if __name__ == "__main__":
    main()
