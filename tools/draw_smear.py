#!/usr/bin/env python3
"""Draws a blood smear: red cells, two white cells, platelets. The bundled detector knows such photographs, and
this repository holds none. Needs NumPy and Pillow.

    tools/draw_smear.py tests/data/photos/drawn_smear.png
"""
import sys

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 640, 480
random = np.random.default_rng(3)
y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
picture[:] = (232, 222, 226)


def blend(mask, color, strength=1.0):
    """Lays `color` over the picture where the mask, of 0 to 1, says so."""
    global picture
    share = (mask * strength)[..., None]
    picture = picture * (1 - share) + np.array(color, np.float32) * share


def blob(cx, cy, radius, wobble=0.05, edge=2.0):
    """A disk with a wavy rim and a soft edge."""
    angle, distance = np.arctan2(y - cy, x - cx), np.hypot(y - cy, x - cx)
    rim = radius * (1 + wobble * np.sin(2 * angle + random.uniform(0, 6)) + wobble / 2 * np.sin(
        3 * angle + random.uniform(0, 6)))
    return np.clip((rim - distance) / edge, 0, 1)


def red_cell(cx, cy):
    radius = random.uniform(45, 55)
    color = np.array((218, 168, 172)) + random.normal(0, 5, 3)
    blend(blob(cx, cy, radius), color, 0.9)
    blend(blob(cx, cy, radius, edge=9) - blob(cx, cy, radius - 8, edge=9), color - 25, 0.5)
    blend(blob(cx, cy, radius * 0.45, edge=14), (232, 210, 214), 0.8)


def white_cell(cx, cy):
    blend(blob(cx, cy, 92, edge=8), (200, 180, 214), 0.9)
    for turn in np.arange(3) * 2.1 + random.uniform(0, 6):
        blend(blob(cx + 32 * np.cos(turn), cy + 32 * np.sin(turn), 40, 0.1, 6), (116, 72, 150), 0.95)


def platelet(cx, cy):
    radius = random.uniform(17, 21)
    blend(blob(cx, cy, radius, 0.1, 7), (176, 148, 192), 0.9)
    blend(blob(cx, cy, radius * 0.6, 0.3, 8), (138, 98, 160), 0.8)


places = []
for kind, count, gap in ((white_cell, 2, 100), (red_cell, 13, 52), (platelet, 4, 30)):
    while count:
        cx, cy = random.uniform(20, WIDTH - 20), random.uniform(20, HEIGHT - 20)
        if all(np.hypot(cx - px, cy - py) > gap + other - 8 for px, py, other in places):
            places.append((cx, cy, gap))
            kind(cx, cy)
            count -= 1
picture += random.normal(0, 3, picture.shape)
image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))
image.quantize(160).save(sys.argv[1], optimize=True)
