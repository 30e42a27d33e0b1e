"""What the tests share. ASMLP_COMMAND names the command whose results are compared; tests that need it are
skipped without it, as with a wheel alone."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import asmlp

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
CLASSIFIER = ROOT / "models" / "asmlp_nano_patch2_shift5_28.fashion_mnist.safetensors"
PHOTOGRAPHS = ROOT / "models" / "asmlp_imagenette.safetensors"
DETECTOR = DATA / "models" / "mask_rcnn_scenes.safetensors"
SEGMENTOR = DATA / "models" / "upernet_scenes.safetensors"
SCENES = sorted((DATA / "coco_base" / "val2017").glob("*.jpg"))[:3]
PHOTOS = sorted((DATA / "photos").glob("*.jpg")) + sorted((DATA / "photos").glob("*.png"))


@pytest.fixture(scope="session")
def command():
    """Runs the command and returns the document that it prints."""
    program = os.environ.get("ASMLP_COMMAND")
    if not program:
        pytest.skip("ASMLP_COMMAND is not set: there is no command to compare with")

    def run(*arguments):
        done = subprocess.run([program, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    run.program = program
    return run


@pytest.fixture(scope="session")
def classifier():
    return asmlp.Classifier(PHOTOGRAPHS)


@pytest.fixture(scope="session")
def detector():
    return asmlp.Detector(DETECTOR)


@pytest.fixture(scope="session")
def segmentor():
    return asmlp.Segmentor(SEGMENTOR)


def read_safetensors(file):
    """Arrays by name, of an fp32 file."""
    data = Path(file).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        assert entry["dtype"] == "F32", name
        arrays[name] = np.frombuffer(data[8 + size + first:8 + size + last], np.float32).reshape(entry["shape"])
    return arrays


def pixels(height=40, width=60, seed=1):
    """A random image in color."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
