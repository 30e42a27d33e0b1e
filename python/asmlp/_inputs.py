"""What callers give as images, made into what the library takes: without copies where that is possible."""

from __future__ import annotations

import os
import sys
from typing import Any, List, Sequence, Tuple, Union

import numpy as np

from .errors import Error

Items = List[Any]  # paths (str), files in memory (buffers), pixels (uint8 arrays)

KINDS = ("an image is a path, the bytes of an image file, a PIL image, or a uint8 array of height x width x 3 "
         "or height x width; a tensor is a float array of batch x channels x height x width")


def as_input(images: Any, upright: bool) -> Tuple[Union[Items, np.ndarray], bool]:
    """What a call was given: a tensor, or a list of images; and whether it was one image by itself.

    upright turns PIL images by their EXIF tag, as the library turns files.
    """
    if isinstance(images, (list, tuple)):
        return [_single(image, upright, f"image {i}: ") for i, image in enumerate(images)], False
    array = _array(images)
    if array is not None and array.ndim == 4:
        if array.dtype.kind == "f":
            return _tensor(array), False
        return [_pixels(image, f"image {i}: ") for i, image in enumerate(array)], False
    return [_single(images, upright, "")], True


def file_name(path: Union[str, os.PathLike]) -> bytes:
    """The name as the system has it."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise Error("invalid_argument", f"the file name {os.fspath(path)!r} has a null character")
    return name


def _single(image: Any, upright: bool, what: str) -> Any:
    if isinstance(image, (str, os.PathLike)):
        return os.fsdecode(file_name(image))
    pil = sys.modules.get("PIL.Image")
    if pil is not None and isinstance(image, pil.Image):
        return _pil_pixels(image, upright)
    if isinstance(image, (bytes, bytearray)):
        return image
    if isinstance(image, memoryview) and image.ndim == 1 and image.itemsize == 1 and image.contiguous:
        return image
    array = _array(image)
    if array is None:
        raise TypeError(f"{what}{type(image).__name__} is no image; {KINDS}")
    if array.ndim == 1 and array.dtype == np.uint8:  # a file, as numpy.fromfile reads it
        return memoryview(np.ascontiguousarray(array))
    return _pixels(array, what)


def _pil_pixels(image: Any, upright: bool) -> np.ndarray:
    if upright:
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image) or image
    return np.asarray(image.convert("RGB"))


def _array(value: Any) -> Any:
    """numpy's view of an array of any library, or None."""
    if isinstance(value, np.ma.MaskedArray):
        raise Error("invalid_argument", "a masked array is no image; use its .filled()")
    if isinstance(value, np.ndarray):
        return np.asarray(value)  # without its subclass
    if isinstance(value, (bytes, bytearray, str)):
        return None
    if hasattr(value, "__dlpack__"):
        return _of_dlpack(value)
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        return np.asarray(value) if hasattr(value, "__array__") and not _is_pil(value) else None


def _is_pil(value: Any) -> bool:
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def _of_dlpack(value: Any) -> np.ndarray:
    device = value.__dlpack_device__()
    if device[0] not in (1, 3, 11, 13):  # memory of the CPU, also such as CUDA and ROCm can read
        raise Error("invalid_argument", f"the tensor is on device {tuple(map(int, device))} (DLPack's numbers); "
                    "bring it to the CPU first (PyTorch: x.cpu())")
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise Error("invalid_argument", f"numpy cannot see this tensor: {error} (PyTorch: "
                    "x.detach().float().contiguous())") from error


def _shape_text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "no axes"


def _pixels(array: np.ndarray, what: str) -> np.ndarray:
    """A uint8 image whose pixels lie side by side, its rows maybe apart; the array itself if it is one."""
    shape = _shape_text(array.shape)
    if array.dtype != np.uint8:
        hint = "images are uint8 of 0..255 (x.astype(numpy.uint8))"
        if array.dtype.kind == "f":
            hint += ", tensors batch x channels x height x width (x[None] adds the batch)"
        raise Error("invalid_argument", f"{what}an array of {array.dtype}, {shape}: {hint}")
    if array.ndim not in (2, 3):
        raise Error("invalid_argument", f"{what}an array of {shape}: an image is height x width x 3 or height x width")
    if array.size == 0:
        raise Error("invalid_argument", f"{what}an array of {shape} is empty")
    channels = array.shape[2] if array.ndim == 3 else 1
    if channels not in (1, 3):
        hint = "leave alpha out by x[..., :3]" if channels == 4 else "3 (color) or 1 (gray) are accepted"
        if array.ndim == 3 and array.shape[0] in (1, 3):
            hint = "channels come last: numpy.moveaxis(x, 0, -1)"
        raise Error("invalid_argument", f"{what}an array of {shape} has {channels} channels; {hint}")
    width = array.shape[1]
    side_by_side = (channels == 1 or array.strides[2] == 1) and (width == 1 or array.strides[1] == channels)
    apart = array.shape[0] == 1 or array.strides[0] >= width * channels
    return array if side_by_side and apart else np.ascontiguousarray(array)


def _tensor(array: np.ndarray) -> np.ndarray:
    """The fp32 values of floats of batch x channels x height x width; a view where it can be."""
    if array.size == 0:
        raise Error("invalid_argument", f"a tensor of {_shape_text(array.shape)} is empty")
    tensor = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(tensor).all():
        raise Error("invalid_argument", f"a tensor of {_shape_text(array.shape)} holds numbers that are not finite")
    return tensor
