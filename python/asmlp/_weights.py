"""Weights from and to other libraries, under the names of the official state dict."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Mapping, Tuple, Union

import numpy as np

from . import _native
from ._inputs import _array, file_name
from ._models import PathLike, Shift, config_text, shift_pair


class Weights(Dict[str, np.ndarray]):
    """A state dict: fp32 arrays by their official names."""

    def __init__(self, tensors: Mapping[str, np.ndarray], description: Mapping[str, Any], notes: List[str]) -> None:
        super().__init__(tensors)
        self.description = description  #: task, config, preprocessing, classes, origin (docs/guide/formats.md)
        self.notes: Tuple[str, ...] = tuple(notes)  #: a sentence for everything that was assumed

    def __repr__(self) -> str:
        return f"<{len(self)} tensors of {self.description.get('name')!r}>"


def load_weights(file: PathLike, *, shift: Shift = None,
                 config: Union[str, Mapping[str, Any], None] = None) -> Weights:
    """Reads the weights of a .safetensors or .pth file of any task, checked against its description.

    Halves, bf16, and int8 become fp32. shift and config: as load_model.
    """
    text, tensors, notes = _native.load_weights(file_name(file), shift_pair(shift), config_text(config))
    return Weights(tensors, json.loads(text), notes)


def save_weights(file: PathLike, tensors: Mapping[str, Any], *, shift: Shift = None,
                 config: Union[str, Mapping[str, Any], None] = None) -> Tuple[str, ...]:
    """Writes a state dict of numpy arrays or PyTorch tensors as a self-describing .safetensors file.

    config describes the model: {"model": "asmlp_tiny_patch4_shift5_224", "num_classes": 7}, or the description
    of load_weights. Without it the architecture is found from the shapes, and the shift size is `shift`, else 5.
    Returns a sentence for everything that was assumed. Errors: "mismatch" (tensors that are no such model),
    "bad_format" (values that are not finite), "invalid_argument", "io"; `file` stays as it was then.
    """
    arrays = [(name, _fp32(name, tensor)) for name, tensor in tensors.items()]
    return tuple(_native.save_weights(file_name(file), arrays, shift_pair(shift), config_text(config)))


def to_torch(file: PathLike, *, shift: Shift = None, config: Union[str, Mapping[str, Any], None] = None) -> Dict[str, Any]:
    """The same as load_weights, as PyTorch's tensors, for load_state_dict. Needs PyTorch."""
    import torch

    weights = load_weights(file, shift=shift, config=config)
    return {name: torch.from_numpy(array) for name, array in weights.items()}


def _fp32(name: str, tensor: Any) -> np.ndarray:
    if not isinstance(name, str):
        raise TypeError(f"a state dict has names, not {name!r}")
    if hasattr(tensor, "detach"):  # PyTorch, of any type and device
        tensor = tensor.detach().cpu().float()
    array = _array(tensor)
    if array is None or array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: {type(tensor).__name__} is no array of numbers")
    shape = array.shape  # ascontiguousarray makes a vector of a scalar
    return np.ascontiguousarray(array, dtype=np.float32).reshape(shape)
