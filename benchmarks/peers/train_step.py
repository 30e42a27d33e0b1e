"""A training step of AS-MLP in PyTorch: what `asmlp bench --train` measures of ours."""

import json

import numpy as np
import tensors
import torch
import torch.nn.functional as F
from as_mlp import AsMlp
from torch.utils.checkpoint import checkpoint


class TrainedAsMlp(AsMlp):
    """AsMlp whose tensors are trained, with the authors' stochastic depth."""

    def __init__(self, config, values, checkpointing=False, **form):
        super().__init__(config, values, **form)
        for name in self.names.values():
            value = getattr(self, name)
            delattr(self, name)
            self.register_parameter(name, torch.nn.Parameter(value))
        self.checkpointing, self.drop_path = checkpointing, config.get("drop_path", 0.0)
        self.dropping = True

    def drop(self, x, rate):
        if not self.dropping or rate == 0:
            return x
        return x * x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(1 - rate).div_(1 - rate)

    def block(self, x, name, stage):
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(self.dropped_block, x, name, stage, use_reentrant=False)
        return self.dropped_block(x, name, stage)

    def dropped_block(self, x, name, stage):
        number = sum(self.depths[:stage]) + int(name.rsplit(".", 1)[1])
        rate = self.drop_path * number / max(1, sum(self.depths) - 1)
        moved = self.axial_shift(self.normalize(x, name + ".norm1"), name + ".axial_shift", stage)
        x = x + self.drop(moved, rate)
        hidden = F.gelu(self.project(self.normalize(x, name + ".norm2"), name + ".mlp.fc1"))
        return x + self.drop(self.project(hidden, name + ".mlp.fc2"), rate)


def labels_of(count, classes):
    """Labels that both programs use: image k shows class 7 k."""
    return np.arange(count) * 7 % classes


def smoothed_loss(logits, labels, smoothing=0.1):
    """The cross entropy of asmlp's logits as PyTorch computes it, in double."""
    logits = logits.astype(np.float64)
    logits = logits - logits.max(1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    of_label = logs[np.arange(len(labels)), labels]
    return float(-((1 - smoothing) * of_label + smoothing * logs.mean(1)).mean())


def serve(job, x):
    """(one step, the loss before the first step without dropped paths) for worker.py."""
    torch.set_num_threads(job["threads"])
    values, metadata = tensors.read(job["model"])
    config = json.loads(metadata["asmlp"])["config"]
    module = TrainedAsMlp(config, {k: torch.from_numpy(v.copy()) for k, v in values.items()}, job["checkpointing"],
                          layout=job["layout"], shift=job["shift"], norm=job["norm"])
    images = torch.from_numpy(x.copy())
    if job["format"] == "channels_last":
        module, images = (value.to(memory_format=torch.channels_last) for value in (module, images))
    labels = torch.from_numpy(labels_of(len(x), config["num_classes"]))
    parameters = list(module.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.05, fused=job["fused"])

    def loss(network):
        with torch.autocast("cpu", torch.bfloat16, enabled=job["precision"] == "bf16"):
            logits = network(images)
        return F.cross_entropy(logits.float(), labels, label_smoothing=0.1)

    module.dropping = False
    with torch.no_grad():
        first = float(loss(module)) if job["check"] else 0.0
    module.dropping = True
    network = torch.compile(module) if job["compile"] else module

    def step():
        loss(network).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step, lambda: np.array([first])
