"""State dicts out and in."""

import numpy as np
import pytest

import asmlp
from conftest import CLASSIFIER, DATA, DETECTOR, PHOTOGRAPHS, PHOTOS, SEGMENTOR


@pytest.mark.parametrize("file", [CLASSIFIER, PHOTOGRAPHS, DETECTOR, SEGMENTOR])
def test_round_trip(file, tmp_path):
    weights = asmlp.load_weights(file)
    assert all(a.dtype == np.float32 for a in weights.values())
    assert any(name.endswith("patch_embed.proj.weight") for name in weights)
    assert asmlp.save_weights(tmp_path / "copy.safetensors", weights, config=weights.description) == ()
    again = asmlp.load_weights(tmp_path / "copy.safetensors")
    assert again.description == weights.description and list(again) == list(weights)
    assert all(np.array_equal(again[name], array) for name, array in weights.items())
    assert repr(weights) == f"<{len(weights)} tensors of {weights.description['name']!r}>"


def test_the_same_model(tmp_path):
    weights = asmlp.load_weights(CLASSIFIER)
    asmlp.save_weights(tmp_path / "copy.safetensors", weights, config=weights.description)
    expected = asmlp.Classifier(CLASSIFIER).logits(PHOTOS[:2])
    assert np.array_equal(asmlp.Classifier(tmp_path / "copy.safetensors").logits(PHOTOS[:2]), expected)


def test_int8_becomes_fp32(tmp_path):
    assert asmlp.info(PHOTOGRAPHS).precision == "int8"
    weights = asmlp.load_weights(PHOTOGRAPHS)
    assert any("int8" in note for note in weights.notes)
    asmlp.save_weights(tmp_path / "fp32.safetensors", weights, config=weights.description)
    found = asmlp.Classifier(tmp_path / "fp32.safetensors")
    assert found.model.info.precision == "fp32"
    best = [[p[0].index for p in c.classify(PHOTOS)] for c in (found, asmlp.Classifier(PHOTOGRAPHS))]
    assert best[0] == best[1]


def test_official_checkpoint(tmp_path):
    file = DATA / "golden" / "checkpoints" / "bare_state_dict_half.pth"
    weights = asmlp.load_weights(file, shift=3)
    notes = asmlp.save_weights(tmp_path / "m.safetensors", {f"module.{n}": a for n, a in weights.items()}, shift=(3, 7))
    assert any("shift size" in note for note in notes)
    described = asmlp.info(tmp_path / "m.safetensors").description
    assert "[3, 7]" in str(described)


def test_what_is_refused(tmp_path):
    weights = asmlp.load_weights(CLASSIFIER)
    out = tmp_path / "m.safetensors"

    def code(tensors, file=out, **options):
        with pytest.raises(asmlp.Error) as caught:
            asmlp.save_weights(file, tensors, **{"config": weights.description, **options})
        assert not out.exists()
        return caught.value.code

    name = next(iter(weights))
    assert code({n: a for n, a in weights.items() if n != name}) == "mismatch"
    assert code({**weights, name: weights[name][:1]}) == "mismatch"
    assert code({**weights, name: np.full_like(weights[name], np.nan)}) == "bad_format"
    assert code(weights, tmp_path / "m.pth") == "invalid_argument"
    assert code(weights, tmp_path / "nowhere" / "m.safetensors") in ("io", "not_found")
    assert code({}) == "mismatch"
    for bad in [{3: weights[name]}, {**weights, name: "text"}, {**weights, name: np.array([b"x"])}]:
        with pytest.raises(TypeError):
            asmlp.save_weights(out, bad, config=weights.description)


def test_other_layouts_and_types(tmp_path):
    weights = asmlp.load_weights(CLASSIFIER)
    strange = {n: np.asfortranarray(a.astype(np.float64)) for n, a in weights.items()}
    asmlp.save_weights(tmp_path / "m.safetensors", strange, config=weights.description)
    assert all(np.array_equal(a, weights[n]) for n, a in asmlp.load_weights(tmp_path / "m.safetensors").items())


def test_torch(tmp_path):
    torch = pytest.importorskip("torch")
    state = asmlp.to_torch(CLASSIFIER)
    weights = asmlp.load_weights(CLASSIFIER)
    assert all(isinstance(t, torch.Tensor) and np.array_equal(t.numpy(), weights[n]) for n, t in state.items())
    halves = {n: t.half().requires_grad_() for n, t in state.items()}
    asmlp.save_weights(tmp_path / "m.safetensors", halves, config=weights.description)
    for name, array in asmlp.load_weights(tmp_path / "m.safetensors").items():
        assert np.array_equal(array, halves[name].detach().float().numpy())
