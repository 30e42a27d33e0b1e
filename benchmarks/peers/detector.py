"""The convolutional part of a detector in plain PyTorch, for the peers: AS-MLP's backbone, feature pyramid (Lin et
al., CVPR 2017), and region proposal network (Ren et al., NeurIPS 2015), with the keys of the authors' checkpoints.
What follows them, regions and their heads, depends on the image and is in no exported graph.
"""

import torch
import torch.nn.functional as F

from as_mlp import AsMlp


class DetectorMaps(AsMlp):
    """The maps that `asmlp forward` writes: per level the pyramid's, the RPN's logits and deltas."""

    def __init__(self, config, tensors, layout="nchw", shift="slice", norm="group"):
        backbone, prefix = config["backbone"], "backbone."
        own = {name[len(prefix):]: value for name, value in tensors.items() if name.startswith(prefix)}
        heads = {name: value for name, value in tensors.items() if name.startswith(("neck.", "rpn_head."))}
        super().__init__(backbone, {**own, **heads}, layout, shift, norm)
        self.stages, self.levels = len(backbone["depths"]), len(config["rpn"]["anchors"]["strides"])

    def convolve(self, x, name, padding):
        weight = self.get(name + ".weight")
        if weight.dim() == 2:  # a 1 x 1 convolution of the channels-last form
            weight = weight[:, :, None, None]
        return F.conv2d(x, weight, self.get(name + ".bias"), padding=padding)

    def forward(self, images):
        x = F.conv2d(images, self.get("patch_embed.proj.weight"), self.get("patch_embed.proj.bias"), self.patch)
        if self.channels_last:
            x = x.permute(0, 2, 3, 1)
        x = self.normalize(x, "patch_embed.norm")
        sums = []
        for stage, depth in enumerate(self.depths):
            for k in range(depth):
                x = self.block(x, f"layers.{stage}.blocks.{k}", stage)
            y = self.normalize(x, f"norm{stage}")
            y = y.permute(0, 3, 1, 2) if self.channels_last else y
            sums.append(self.convolve(y, f"neck.lateral_convs.{stage}.conv", 0))
            if stage + 1 < len(self.depths):
                x = self.merge(x, f"layers.{stage}.downsample")
        for k in range(self.stages - 1, 0, -1):
            sums[k - 1] = sums[k - 1] + F.interpolate(sums[k], size=sums[k - 1].shape[2:], mode="nearest")
        pyramid = [self.convolve(s, f"neck.fpn_convs.{k}.conv", 1) for k, s in enumerate(sums)]
        while len(pyramid) < self.levels:
            pyramid.append(F.max_pool2d(pyramid[-1], 1, 2))
        outputs = []
        for level in pyramid:
            hidden = torch.relu(self.convolve(level, "rpn_head.rpn_conv", 1))
            outputs += [level, self.convolve(hidden, "rpn_head.rpn_cls", 0), self.convolve(hidden, "rpn_head.rpn_reg", 0)]
        return tuple(outputs)
