"""What may be an image or a tensor, and what is said of the rest."""

import array

import numpy as np
import pytest

import asmlp
from asmlp._inputs import as_input
from conftest import CLASSIFIER, DATA, PHOTOS, pixels


def same(a, b):
    return np.array_equal(a, b)


def as_tensor(tensor):
    """What the library gets to see of it."""
    return as_input(tensor, True)[0]


def message(code, call):
    with pytest.raises(asmlp.Error) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value)


def test_layouts_of_pixels(classifier):
    """Whatever the strides, the result is that of the plain copy; and without a copy where rows are apart."""
    image = pixels(50, 70)
    expected = classifier.logits(image)
    padded = np.zeros((50, 90, 3), np.uint8)
    padded[:, 10:80] = image
    apart = padded[:, 10:80]
    views = [apart, np.asfortranarray(image), image[::-1][::-1], image[:, ::-1][:, ::-1], np.repeat(image, 2, 1)[:, ::2],
             np.moveaxis(np.ascontiguousarray(np.moveaxis(image, -1, 0)), 0, -1), image.view(np.ndarray)]
    read_only = image.copy()
    read_only.flags.writeable = False
    for view in [*views, read_only]:
        assert same(classifier.logits(view), expected)
    assert as_input(apart, True)[0][0].base is not None and np.shares_memory(as_input(apart, True)[0][0], padded)
    assert same(classifier.logits(image[..., ::-1], channel_order="bgr"), expected)
    assert same(classifier.logits(image[::-1]), classifier.logits(np.ascontiguousarray(image[::-1])))
    assert same(classifier.logits(np.stack([image, image])), np.concatenate([expected, expected]))
    assert same(classifier.logits([image, apart]), np.concatenate([expected, expected]))


def test_gray(classifier):
    gray = pixels(33, 44)[..., 0]
    expected = classifier.logits(np.repeat(gray[..., None], 3, -1))
    for view in [gray, gray[..., None], np.asfortranarray(gray), gray[::-1][::-1]]:
        assert same(classifier.logits(view), expected)


def test_one_row_and_one_pixel(classifier):
    for height, width in [(1, 1), (1, 9), (9, 1)]:
        image = pixels(height, width)
        assert same(classifier.logits(np.asfortranarray(image)), classifier.logits(image))


def test_files_in_memory(classifier):
    data = PHOTOS[0].read_bytes()
    expected = classifier.logits(PHOTOS[0])
    for file in [data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8), str(PHOTOS[0])]:
        assert same(classifier.logits(file), expected)
    assert same(classifier.logits([PHOTOS[0], data]), np.concatenate([expected, expected]))


def test_pillow(classifier, tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    for file in [*PHOTOS[:2], DATA / "images" / "jpeg_exif_rotated.jpg", DATA / "images" / "png_palette8_plain.png"]:
        assert same(classifier.logits(image_module.open(file)), classifier.logits(file))
    stored = asmlp.Classifier(classifier.model, exif="ignore")
    turned = DATA / "images" / "jpeg_exif_rotated.jpg"
    assert same(stored.logits(image_module.open(turned)), stored.logits(turned))
    assert not same(stored.logits(turned), classifier.logits(turned))


def test_names_that_are_no_utf8(classifier, tmp_path):
    import os
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(name, "wb") as file:
        file.write((DATA / "images" / "png_rgb8_plain.png").read_bytes())
    assert classifier.logits(os.fsdecode(name)).shape == (1, 10)
    assert "null character" in message("invalid_argument", lambda: classifier.classify("a\0b.png"))


@pytest.mark.parametrize("image,words", [
    (np.zeros((8, 8, 4), np.uint8), "alpha"),
    (np.zeros((8, 8, 2), np.uint8), "2 channels"),
    (np.zeros((3, 8, 9), np.uint8), "moveaxis"),
    (np.zeros((0, 8, 3), np.uint8), "empty"),
    (np.zeros((8, 8, 0), np.uint8), "empty"),
    (np.zeros((8, 8, 3)), "float64"),
    (np.zeros((8, 8, 3), np.int64), "astype(numpy.uint8)"),
    (np.zeros((8, 8), bool), "bool"),
    (np.zeros((2, 8, 8, 3), np.int32), "int32"),
    (np.zeros((1, 1, 1, 1, 1), np.uint8), "1 x 1 x 1 x 1 x 1"),
    (np.zeros((), np.uint8), "no axes"),
    (np.zeros((0, 3, 8, 8), np.float32), "empty"),
    (np.zeros((1, 3, 8, 0), np.float32), "empty"),
    (np.ma.masked_array(np.zeros((8, 8, 3), np.uint8)), "filled"),
    (np.array([["a", "b"]]), "astype"),
    (array.array("f", [1.0, 2.0]), "float32"),
])
def test_wrong_arrays(classifier, image, words):
    assert words in message("invalid_argument", lambda: classifier.classify(image))


@pytest.mark.parametrize("image", [None, 3, 2.5, object(), {"a": 1}, [[1, 2]], [None]])
def test_no_images(classifier, image):
    with pytest.raises(TypeError, match="is no image"):
        classifier.classify(image)


def test_wrong_files(classifier):
    assert "nowhere.jpg" in message("not_found", lambda: classifier.classify("nowhere.jpg"))
    message("bad_format", lambda: classifier.classify(b"\xff\xd8\xff"))
    message("invalid_argument", lambda: classifier.classify(PHOTOS[0], 0))
    message("invalid_argument", lambda: classifier.classify(PHOTOS[0], channel_order="gbr"))
    message("too_large", lambda: asmlp.Classifier(classifier.model, max_pixels=100).classify(PHOTOS[0]))
    for bad in [{"exif": "turn"}, {"threads": 1000}, {"max_batch": 0}, {"image_size": -3}]:
        message("invalid_argument", lambda: asmlp.Classifier(classifier.model, **bad))
    assert classifier.classify([]) == []


def test_tensors(classifier):
    tensor = np.random.default_rng(2).standard_normal((2, 3, 64, 48), np.float32)
    expected = classifier.logits(tensor)
    assert np.shares_memory(as_tensor(tensor), tensor)
    wide = tensor.astype(np.float64)
    read_only = tensor.copy()
    read_only.flags.writeable = False
    swapped = tensor.astype(tensor.dtype.newbyteorder())
    channels_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(tensor, 1, -1)), -1, 1)
    for view in [np.asfortranarray(tensor), tensor[:, :, ::-1][:, :, ::-1], wide, read_only, swapped, channels_last,
                 memoryview(tensor)]:
        assert same(classifier.logits(view), expected)
    assert np.shares_memory(as_tensor(memoryview(tensor)), tensor)
    assert np.shares_memory(as_tensor(read_only), read_only)
    message("mismatch", lambda: classifier.logits(tensor[:, :2]))
    message("invalid_argument", lambda: as_tensor(tensor[0]))


class Dlpack:
    """Somebody else's tensor, which numpy knows by DLPack only."""

    def __init__(self, values, device=(1, 0)):
        self.values, self.device = values, device

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device


def test_dlpack(classifier):
    tensor = np.random.default_rng(3).standard_normal((1, 3, 40, 40), np.float32)
    assert np.shares_memory(as_tensor(Dlpack(tensor)), tensor)
    assert same(classifier.logits(Dlpack(tensor)), classifier.logits(tensor))
    assert same(classifier.logits(Dlpack(pixels())), classifier.logits(pixels()))
    assert "cpu()" in message("invalid_argument", lambda: classifier.logits(Dlpack(tensor, (2, 0))))


def test_torch(classifier):
    torch = pytest.importorskip("torch")
    tensor = torch.randn(2, 3, 40, 40)
    assert np.shares_memory(as_tensor(tensor), tensor.numpy())
    assert same(classifier.logits(tensor), classifier.logits(tensor.numpy()))
    assert same(classifier.logits(tensor.to(memory_format=torch.channels_last)), classifier.logits(tensor))
    assert "detach" in message("invalid_argument", lambda: classifier.logits(tensor.requires_grad_()))
    message("invalid_argument", lambda: classifier.logits(tensor.detach().bfloat16()))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_numbers_that_are_none(classifier, detector, value):
    """An int8 model would make some number of them; 1e300 is none in fp32."""
    tensor = np.zeros((1, 3, 64, 64))
    tensor[0, 1, 5, 5] = value
    for call in [classifier.logits, classifier.classify, detector.detect]:
        with np.errstate(over="ignore"):
            assert "not finite" in message("invalid_argument", lambda: call(tensor))


def test_numbers_that_are_too_large():
    """Outputs that are not finite cannot be ranked."""
    model = asmlp.Classifier(CLASSIFIER)
    tensor = np.full((1, 1, 28, 28), 3e38, np.float32) * np.sign(np.random.default_rng(4).standard_normal((28, 28), np.float32))
    if not np.isfinite(model.logits(tensor)).all():
        assert "not finite" in message("invalid_argument", lambda: model.classify(tensor))
