"""The classes that results are."""

import pickle

import numpy as np
import pytest

import asmlp
from conftest import CLASSIFIER, DETECTOR, PHOTOGRAPHS, PHOTOS, SCENES, SEGMENTOR, pixels


def test_predictions(classifier):
    found = classifier.classify(PHOTOS[0], 3)
    assert len(found) == 3 and found[0].probability >= found[1].probability >= found[2].probability
    assert found[0].label == classifier.model.info.classes[found[0].index]
    assert repr(found[0]) == f"<{found[0].label} {found[0].probability:.1%}>"
    everything = classifier.probabilities([PHOTOS[0]])
    assert everything.shape == (1, 10) and everything.dtype == np.float32
    assert everything[0, found[0].index] == np.float32(found[0].probability) == everything.max()
    assert abs(everything.sum() - 1) < 1e-5
    assert classifier.probabilities([]).shape == (0, 10)
    assert np.array_equal(classifier.probabilities(PHOTOS[0]), everything)
    assert len(classifier.classify(PHOTOS[0], 99)) == 10


def test_features():
    backbone = asmlp.Backbone(CLASSIFIER, max_batch=2)
    assert backbone.model.info.in_channels == 1
    tensor = np.random.default_rng(1).standard_normal((5, 1, 75, 130), np.float32)
    features = backbone.features(tensor)
    for k, (name, array) in enumerate(features.maps.items()):
        assert name == backbone.model.info.features[k].name
        assert array.shape == (5, *backbone.model.feature_shape(k, 75, 130))
    assert features.embedding.shape == (5, backbone.model.info.embedding_size)
    assert "layers.1 5x160x10x17" in repr(features)
    one = backbone.features(tensor, ["layers.1"])
    assert list(one.maps) == ["layers.1"]
    assert np.array_equal(one.maps["layers.1"], features.maps["layers.1"])
    assert np.array_equal(backbone.embed(tensor), features.embedding)
    assert np.array_equal(backbone.embed(PHOTOS[:3])[1:2], backbone.embed(PHOTOS[1]))
    with pytest.raises(asmlp.Error, match="no map 'layers.9'; it has patch_embed"):
        backbone.features(tensor, ["layers.9"])
    for file in [DETECTOR, SEGMENTOR]:
        assert asmlp.Backbone(file).embed(SCENES[0]).shape == (1, asmlp.info(file).embedding_size)


def test_detections(detector):
    found = detector.detect(SCENES[0])
    n = len(found)
    assert found.boxes.shape == (n, 4) and found.scores.shape == found.labels.shape == (n,)
    assert found.masks.shape == (n, *found.size) and found.masks.dtype == bool
    assert found.names == [d.name for d in found]
    assert np.array_equal(found[-1].mask, found.masks[-1]) and len(found[:2]) == 2
    assert repr(found).startswith(f"<{n} objects: <{found[0].name} ") and "mask" in repr(found[0])
    with pytest.raises(IndexError):
        found[n]
    boxes = asmlp.Detector(DETECTOR, masks=False, max_detections=1).detect(SCENES[0])
    assert len(boxes) == 1 and boxes.masks is None and boxes[0].mask is None and boxes[0].rle is None
    assert repr(asmlp.Detector(DETECTOR, score_threshold=0.9999).detect(pixels())) == "<0 objects>"
    tiled = asmlp.Detector(DETECTOR, tile=64).detect([SCENES[0]])
    assert len(tiled) == 1
    tensors = detector.detect(np.zeros((2, 3, 64, 96), np.float32))
    assert len(tensors) == 2 and tensors[1].size == (64, 96)


def test_segmentation(segmentor):
    found = segmentor.segment(SCENES[0])
    height, width = found.labels.shape
    out = np.full((height, width + 7), 255, np.uint8)
    segmentor.segment_into(SCENES[0], out[:, :width])
    assert np.array_equal(out[:, :width], found.labels) and (out[:, width:] == 255).all()
    assert repr(found).startswith(f"<{height} x {width} pixels: <{found.shares[0].name} ")
    counts = np.bincount(found.labels.ravel(), minlength=found.shares[0].label + 1)
    assert counts[found.shares[0].label] == round(found.shares[0].share * height * width) == counts.max()
    assert found.labels.flags.writeable  # nobody else's
    read_only = np.zeros((height, width), np.uint8)
    read_only.flags.writeable = False
    for bad in [read_only, np.zeros((height, width), int), np.zeros((width, height), np.uint8).T[:, :0],
                np.zeros((height, width, 1), np.uint8), np.zeros((width, height), np.uint8).T, None]:
        with pytest.raises(asmlp.Error, match="^out "):
            segmentor.segment_into(SCENES[0], bad)
    with pytest.raises(asmlp.Error) as caught:
        segmentor.segment_into(SCENES[0], np.zeros((height, width + 1), np.uint8))
    assert caught.value.code == "mismatch"
    with pytest.raises(asmlp.Error, match="takes one image"):
        segmentor.segment_into([SCENES[0]], out)
    assert segmentor.segment(np.zeros((2, 3, 64, 96), np.float32))[1].labels.shape == (64, 96)


def test_models():
    model = asmlp.load_model(CLASSIFIER, precision="bf16", isa="reference")
    info = model.info
    assert (info.task, info.num_classes, info.precision, info.isa) == ("classify", 10, "bf16", "reference")
    assert info.description["config"]["num_classes"] == 10
    assert len(info.classes) == 10 and info.features[0].name == "patch_embed" and model.notes == ()
    assert info.name in repr(model) and asmlp.info(CLASSIFIER).parameters == info.parameters
    assert set(asmlp.bundled_models()) >= {"asmlp_imagenette"}
    for wrong, code in [({"precision": "fp7"}, "invalid_argument"), ({"isa": "avx9"}, "invalid_argument"),
                        ({"shift": 0}, "invalid_argument"), ({"config": "{"}, "invalid_argument")]:
        with pytest.raises(asmlp.Error) as caught:
            asmlp.load_model(CLASSIFIER, **wrong)
        assert caught.value.code == code
    for kind, file in [(asmlp.Classifier, DETECTOR), (asmlp.Detector, CLASSIFIER), (asmlp.Segmentor, DETECTOR)]:
        with pytest.raises(asmlp.Error) as caught:
            kind(file)
        assert caught.value.code == "unsupported"
    with pytest.raises(asmlp.Error, match="nowhere"):
        asmlp.load_model("nowhere.safetensors")


def test_the_default_models(monkeypatch, tmp_path):
    assert asmlp.Classifier().model.info == asmlp.info(PHOTOGRAPHS)
    assert asmlp.Detector().model.info.classes == ("RBC", "WBC", "Platelets")
    monkeypatch.setenv("ASMLP_MODEL_DIR", str(tmp_path))
    for kind, name in [(asmlp.Classifier, "classifier"), (asmlp.Detector, "detector"), (asmlp.Segmentor, "segmentor")]:
        with pytest.raises(asmlp.Error, match=f"no bundled {name}"):
            kind()
    (tmp_path / "a.safetensors").symlink_to(DETECTOR)
    (tmp_path / "b.safetensors").symlink_to(CLASSIFIER)
    (tmp_path / "c.safetensors").symlink_to(SEGMENTOR)
    assert asmlp.Classifier().model.info.in_channels == 1
    assert asmlp.Detector().model.info == asmlp.info(DETECTOR)
    assert asmlp.Segmentor().model.info == asmlp.info(SEGMENTOR)


def test_errors_travel():
    error = pickle.loads(pickle.dumps(asmlp.Error("not_found", "no such file")))
    assert (error.code, str(error)) == ("not_found", "no such file")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(asmlp.Classifier(CLASSIFIER))


def test_everything_is_described():
    for name in asmlp.__all__:
        value = getattr(asmlp, name)
        if callable(value):
            assert value.__doc__, name
            for part, member in vars(value).items() if isinstance(value, type) else ():
                if callable(member) and not part.startswith("_"):
                    assert member.__doc__, f"{name}.{part}"
    assert asmlp.version() == asmlp.__version__
