#!/usr/bin/env python3
"""torchvision's RoIAlign and NMS on the RoIs of asmlp_roi_align_bench.

    /usr/bin/python3 benchmarks/roi_align_peer.py [THREADS]
"""

import statistics
import sys
import time

import torch
import torchvision


def report(name, body):
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        body()
        times.append(1000 * (time.perf_counter() - begin))
    print(f"{name:40} {statistics.median(times):8.1f} ms (from {min(times):.1f} to {max(times):.1f})")


def rois(largest):
    i = torch.arange(512, dtype=torch.float64)
    w = 16 + (i * 0.6180339887).frac() * (largest - 16)
    h = 16 + (i * 0.7548776662).frac() * (largest - 16)
    x, y = (i * 0.5698402910).frac() * (1088 - w), (i * 0.8191725134).frac() * (800 - h)
    return torch.stack([torch.zeros_like(x), x, y, x + w, y + h], 1).float()


def main():
    if len(sys.argv) > 1:
        torch.set_num_threads(int(sys.argv[1]))
    print(f"{torch.get_num_threads()} threads, torchvision {torchvision.__version__}")
    features = torch.randn(1, 256, 200, 272).requires_grad_()
    pool = lambda: torchvision.ops.roi_align(features, rois(112), 7, 0.25, 0, aligned=True)
    report("planes, forward", pool)
    pooled = pool()
    gradient = torch.randn_like(pooled)
    report("planes, backward",
           lambda: torch.autograd.grad(pooled, features, gradient, retain_graph=True))
    boxes = rois(500)[:, 1:]
    many = torch.cat([boxes, boxes + 3, boxes + 9]).repeat(6, 1)
    many = (many + torch.rand(len(many), 4) * 60)[:8600]
    scores = torch.rand(len(many))
    report("suppress 8600 boxes (keep all)", lambda: torchvision.ops.nms(many, scores, 0.7))


if __name__ == "__main__":
    main()
