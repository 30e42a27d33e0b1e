"""AS-MLP in plain PyTorch, for the peers: the formulas of the paper (Lian et al., ICLR 2022, section 3), the keys
of the authors' checkpoints. Every part is written in the ways that runtimes may like best; they compute the same:

    layout   nchw    feature maps N x C x H x W, projections as 1 x 1 convolutions
             nhwc    feature maps N x H x W x C, projections as matrix products
    shift    roll       pad, roll each group of channels, cut the middle out: the authors' code
             slice      pad once, then a slice of each group
             depthwise  a depthwise convolution with one weight of 1 per channel (nchw)
    norm     group      group_norm (nchw), layer_norm over the whole map (nhwc)
             moments    mean and mean square difference, then scale and offset

Inputs must be a multiple of patch_size << (stages - 1), so that nothing needs padding but the shifts.
"""

import torch
import torch.nn.functional as F

EPSILON = 1e-5


class AsMlp(torch.nn.Module):
    def __init__(self, config, tensors, layout="nchw", shift="slice", norm="group"):
        """`config` is the JSON of asmlp's description, `tensors` maps the checkpoint's keys to tensors."""
        super().__init__()
        if config.get("connection", "parallel") != "parallel" or config.get("padding", "zero") not in ("zero", "zeros"):
            raise ValueError("only the published models: parallel connection, zero padding")
        if config.get("dilation", 1) != 1 or not config.get("patch_norm", True):
            raise ValueError("only the published models: dilation 1, a norm after the patch embedding")
        if shift == "depthwise" and layout != "nchw":
            raise ValueError("a depthwise shift needs nchw")
        self.depths = config["depths"]
        self.patch = config["patch_size"]
        size = config["shift_size"]
        self.positions = {"h": size[0], "w": size[1]} if isinstance(size, list) else {"h": size, "w": size}
        self.channels_last = layout == "nhwc"
        self.shift_kind, self.norm_kind = shift, norm
        self.names = {}
        for name, value in tensors.items():
            if self.channels_last and value.dim() == 4 and value.shape[2:] == (1, 1):
                value = value.reshape(value.shape[:2])
            self.names[name] = name.replace(".", "_")
            self.register_buffer(self.names[name], value.clone())
        if shift == "depthwise":
            for stage in range(len(self.depths)):
                for axis, positions in self.positions.items():
                    kernels = self.one_hot(config["embed_dim"] << stage, positions, axis)
                    self.register_buffer(f"one_hot_{axis}{stage}", kernels)

    def get(self, name):
        return getattr(self, self.names[name]) if name in self.names else None

    def axis(self, axis):
        return {"h": 1, "w": 2}[axis] if self.channels_last else {"h": 2, "w": 3}[axis]

    @staticmethod
    def one_hot(channels, positions, axis):
        """Kernels that move channel group g by g - positions // 2 pixels: out[p] = in[p - that]."""
        group = -(-channels // positions)
        kernels = torch.zeros(channels, 1, positions)
        for c in range(channels):
            kernels[c, 0, positions - 1 - c // group] = 1
        return kernels.unsqueeze(2 if axis == "w" else 3).contiguous()

    def project(self, x, name):
        weight, bias = self.get(name + ".weight"), self.get(name + ".bias")
        return F.linear(x, weight, bias) if self.channels_last else F.conv2d(x, weight, bias)

    def normalize(self, x, name):
        weight, bias = self.get(name + ".weight"), self.get(name + ".bias")
        if self.norm_kind == "group" and not self.channels_last:
            return F.group_norm(x, 1, weight, bias, EPSILON)
        if self.norm_kind == "group":
            return F.layer_norm(x, x.shape[1:], None, None, EPSILON) * weight + bias
        if not self.channels_last:
            weight, bias = weight.view(1, -1, 1, 1), bias.view(1, -1, 1, 1)
        difference = x - x.mean((1, 2, 3), keepdim=True)
        variance = difference.square().mean((1, 2, 3), keepdim=True)
        return difference * torch.rsqrt(variance + EPSILON) * weight + bias

    def shift(self, x, axis, stage):
        positions, dim = self.positions[axis], self.axis(axis)
        border, extent, channels = positions // 2, x.shape[dim], 3 if self.channels_last else 1
        if self.shift_kind == "depthwise":
            kernels = getattr(self, f"one_hot_{axis}{stage}")
            padding = (0, border) if axis == "w" else (border, 0)
            return F.conv2d(x, kernels, padding=padding, groups=kernels.shape[0])
        sides = [0, 0] * 4
        sides[2 * (3 - dim)] = sides[2 * (3 - dim) + 1] = border
        chunks = F.pad(x, sides).chunk(positions, channels)
        moved = []
        for k, chunk in enumerate(chunks):
            if self.shift_kind == "roll":
                moved.append(torch.roll(chunk, k - border, dim).narrow(dim, border, extent))
            else:
                moved.append(chunk.narrow(dim, 2 * border - k, extent))
        return torch.cat(moved, channels)

    def axial_shift(self, x, name, stage):
        x = F.gelu(self.normalize(self.project(x, name + ".conv1"), name + ".norm1"))
        horizontal = F.gelu(self.project(self.shift(x, "w", stage), name + ".conv2_1"))
        vertical = F.gelu(self.project(self.shift(x, "h", stage), name + ".conv2_2"))
        return self.project(self.normalize(horizontal + vertical, name + ".norm2"), name + ".conv3")

    def block(self, x, name, stage):
        x = x + self.axial_shift(self.normalize(x, name + ".norm1"), name + ".axial_shift", stage)
        hidden = F.gelu(self.project(self.normalize(x, name + ".norm2"), name + ".mlp.fc1"))
        return x + self.project(hidden, name + ".mlp.fc2")

    def merge(self, x, name):
        def part(row, column):
            if self.channels_last:
                return x[:, row::2, column::2]
            return x[:, :, row::2, column::2]

        x = torch.cat([part(0, 0), part(1, 0), part(0, 1), part(1, 1)], 3 if self.channels_last else 1)
        return self.project(self.normalize(x, name + ".norm"), name + ".reduction")

    def forward(self, images):
        x = F.conv2d(images, self.get("patch_embed.proj.weight"), self.get("patch_embed.proj.bias"), self.patch)
        if self.channels_last:
            x = x.permute(0, 2, 3, 1)
        x = self.normalize(x, "patch_embed.norm")
        for stage, depth in enumerate(self.depths):
            for k in range(depth):
                x = self.block(x, f"layers.{stage}.blocks.{k}", stage)
            if stage + 1 < len(self.depths):
                x = self.merge(x, f"layers.{stage}.downsample")
        x = self.normalize(x, "norm").mean((1, 2) if self.channels_last else (2, 3))
        return F.linear(x, self.get("head.weight"), self.get("head.bias"))
