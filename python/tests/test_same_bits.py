"""Results have the bits of the command's."""

import subprocess

import numpy as np
import pytest

import asmlp
from conftest import (CLASSIFIER, DETECTOR, PHOTOGRAPHS, PHOTOS, SCENES, SEGMENTOR, read_safetensors)


def predictions(found):
    return [(p.index, p.label, p.probability) for p in found]


@pytest.mark.parametrize("model", [CLASSIFIER, PHOTOGRAPHS])
def test_predict(command, model):
    report = command("predict", "--json", "--model", model, "--topk", 10, *PHOTOS)
    expected = [[(p["index"], p["label"], p["prob"]) for p in image["predictions"]] for image in report["images"]]
    for threads, max_batch in [(0, 8), (1, 3)]:
        classifier = asmlp.Classifier(model, threads=threads, max_batch=max_batch)
        assert [predictions(p) for p in classifier.classify(PHOTOS, 10)] == expected
        assert predictions(classifier.classify(str(PHOTOS[0]), 10)) == expected[0]
        assert predictions(classifier.classify(PHOTOS[1].read_bytes(), 10)) == expected[1]


def test_detect(command, tmp_path):
    report = command("detect", "--json", "--model", DETECTOR, "--output", tmp_path, *SCENES)
    detector = asmlp.Detector(DETECTOR)
    for image, found in zip(report["images"], detector.detect(SCENES)):
        assert len(found) == len(image["detections"]) > 0
        assert found.size == (image["height"], image["width"])
        for one, d in zip(found, image["detections"]):
            x, y, width, height = d["bbox"]
            assert one.box[:2] == (x, y)
            assert np.float32(one.box[2]) - np.float32(one.box[0]) == np.float32(width)
            assert np.float32(one.box[3]) - np.float32(one.box[1]) == np.float32(height)
            assert (one.score, one.name, one.mask_area) == (d["score"], d["label"], d["area"])
            assert one.rle == d["segmentation"]
            assert one.mask.shape == found.size and one.mask.sum() == one.mask_area


def test_segment(command, tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    report = command("segment", "--json", "--model", SEGMENTOR, "--output", tmp_path, *SCENES)
    for image, found in zip(report["images"], asmlp.Segmentor(SEGMENTOR).segment(SCENES)):
        expected = np.asarray(image_module.open(image["label_map"]))
        assert np.array_equal(found.labels, expected)
        assert [s.label for s in found.shares] == [c["index"] for c in image["classes"]]
        assert abs(sum(s.share for s in found.shares) - 1) < 1e-9


def test_deep_pixels(command, tmp_path):
    """16 bits: a classifier sees the pixels of Pillow's style, a detector and a segmentor those of OpenCV's."""
    ramp = np.add.outer(np.arange(0, 65536, 512), np.arange(0, 65536, 256)).clip(0, 65535).astype(">u2")
    file = tmp_path / "deep.pgm"
    file.write_bytes(f"P5\n{ramp.shape[1]} {ramp.shape[0]}\n65535\n".encode() + ramp.tobytes())
    gray = (ramp >> 8).astype(np.uint8)
    found = asmlp.Segmentor(SEGMENTOR)
    assert np.array_equal(found.segment(file).labels, found.segment(gray).labels)
    detector = asmlp.Detector(DETECTOR)
    assert [d.score for d in detector.detect(file.read_bytes())] == [d.score for d in detector.detect(gray)]
    report = command("predict", "--json", "--model", PHOTOGRAPHS, "--topk", 10, file)
    expected = [(p["index"], p["label"], p["prob"]) for p in report["images"][0]["predictions"]]
    assert predictions(asmlp.Classifier(PHOTOGRAPHS).classify(file, 10)) == expected


def test_forward(command, tmp_path):
    """Logits and feature maps of a tensor: from Python to a file, through the command, and back."""
    import json

    tensor = np.random.default_rng(7).standard_normal((3, 3, 75, 130), np.float32)
    header = json.dumps({"input": {"dtype": "F32", "shape": tensor.shape, "data_offsets": [0, tensor.nbytes]}}).encode()
    (tmp_path / "in.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + tensor.tobytes())
    subprocess.run([command.program, "forward", "--model", PHOTOGRAPHS, "--input", tmp_path / "in.safetensors",
                    "--output", tmp_path / "out.safetensors"], check=True, stderr=subprocess.DEVNULL)
    expected = read_safetensors(tmp_path / "out.safetensors")
    assert np.array_equal(asmlp.Classifier(PHOTOGRAPHS, max_batch=2).logits(tensor), expected["logits"])
    features = asmlp.Backbone(PHOTOGRAPHS, threads=1).features(tensor)
    for k, array in enumerate(features.maps.values()):
        assert np.array_equal(array, expected[f"feature.{k}"])


def test_console_script(command, tmp_path, capsys):
    import json

    from asmlp._command import main

    assert main(["predict", "--json", "--model", str(CLASSIFIER), *map(str, PHOTOS)]) == 0
    ours = json.loads(capsys.readouterr().out)
    theirs = command("predict", "--json", "--model", CLASSIFIER, *PHOTOS)
    assert [i["predictions"] for i in ours["images"]] == [i["predictions"] for i in theirs["images"]]
    assert ours["model"]["name"] == theirs["model"]["name"]
