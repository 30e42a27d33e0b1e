"""Models: loading them, and what is known of them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Union

from . import _native
from ._inputs import file_name
from .errors import Error

PathLike = Union[str, "os.PathLike[str]"]
Shift = Union[int, Tuple[int, int], None]


class FeatureInfo(NamedTuple):
    """A feature map that a Backbone gives."""

    name: str  #: "patch_embed", then "layers.0", "layers.1", ...
    channels: int
    stride: int  #: pixels of the input per pixel of the map; sizes are rounded up


@dataclass(frozen=True)
class ModelInfo:
    """Everything that is known of a model."""

    name: str
    task: str  #: "classify", "detect", or "segment"
    is_classifier: bool  #: Classifier takes it: it has a head. Backbone takes every model.
    in_channels: int
    num_classes: int  #: 0 for a model without head
    image_size: int  #: side of the square that Classifier and Backbone crop images to
    embedding_size: int
    features: Tuple[FeatureInfo, ...]
    classes: Tuple[str, ...]
    parameters: int
    multiply_adds: int  #: of one image of image_size; of a detector's or segmentor's input
    precision: str  #: "fp32", "bf16", "bf16x3", or "int8"
    isa: str
    description: Mapping[str, Any]  #: task, config, preprocessing, classes, origin (docs/guide/formats.md)
    short_side: int  #: sides that a detector's or segmentor's images are resized to; 0 of other models
    long_side: int


class Model:
    """A network with its weights: immutable, shared by any number of objects, threads, and children of fork().

    load_model makes it.
    """

    def __init__(self, native: _native.Model, notes: List[str]) -> None:
        self._native = native
        known = native.info()
        known["features"] = tuple(FeatureInfo(*f) for f in known["features"])
        known["classes"] = tuple(known["classes"])
        known["description"] = json.loads(known["description"])
        #: What is known of it.
        self.info = ModelInfo(**known)
        #: A sentence for everything that had to be assumed, because the file does not say it.
        self.notes: Tuple[str, ...] = tuple(notes)

    @property
    def name(self) -> str:
        return self.info.name

    def feature_shape(self, feature: int, height: int, width: int) -> Tuple[int, int, int]:
        """Channels, height, and width of feature map `feature` for an input of height x width."""
        channels, rows, columns = self._native.feature_shape(feature, height, width)
        return channels, rows, columns

    def __repr__(self) -> str:
        i = self.info
        return f"<asmlp.Model {i.name!r}: {i.task}, {i.num_classes} classes, {i.precision} on {i.isa}>"


def load_model(file: PathLike, *, precision: str = "fp32", isa: str = "auto", shift: Shift = None,
               config: Union[str, Mapping[str, Any], None] = None) -> Model:
    """Loads a .safetensors or PyTorch .pth file; nothing in it is executed.

    precision is "fp32", "bf16", or "bf16x3"; a file of `asmlp quantize` computes in int8. isa forces an
    instruction set ("avx2", ...). shift is the shift size (one number, or height and width) of files that do
    not say it, as the authors' .pth files. config, a dict or JSON text, describes the model instead of the
    file (docs/guide/formats.md). Errors: "not_found", "io", "bad_format", "mismatch" (weights that are no
    such model), "invalid_argument", "unsupported".
    """
    native, notes = _native.load_model(file_name(file), precision, isa, shift_pair(shift), config_text(config))
    return Model(native, notes)


def info(model: Union[PathLike, Model]) -> ModelInfo:
    """What is known of a model or of the model in a file."""
    return (model if isinstance(model, Model) else load_model(model)).info


def bundled_models() -> Dict[str, Path]:
    """The weight files that come with the package, by name: classifiers of photographs and of clothes,
    a detector of blood cells.

    With ASMLP_MODEL_DIR in the environment, the *.safetensors of that folder instead.
    """
    folder = Path(os.environ.get("ASMLP_MODEL_DIR") or Path(__file__).parent / "models")
    return {file.stem: file for file in sorted(folder.glob("*.safetensors"))}


def as_model(model: Union[PathLike, Model, None], task: str = "classify") -> Model:
    """The model that an object was given; None is the first bundled one of the task."""
    if isinstance(model, Model):
        return model
    if model is not None:
        return load_model(model)
    kind = {"classify": "classifier", "detect": "detector", "segment": "segmentor"}[task]
    for file in bundled_models().values():
        loaded = load_model(file)
        if loaded.info.task == task and (loaded.info.is_classifier or task != "classify"):
            return loaded
    raise Error("not_found", f"there is no bundled {kind}; name a weight file, or its folder with ASMLP_MODEL_DIR")


def shift_pair(shift: Shift) -> Tuple[int, int]:
    if shift is None:
        return 0, 0
    pair = (shift, shift) if isinstance(shift, int) else tuple(shift)
    if len(pair) != 2 or not all(isinstance(n, int) and 1 <= n <= 255 for n in pair):
        raise Error("invalid_argument", f"shift is {shift!r}, must be 1..255, or two of them (height, width)")
    return pair[0], pair[1]


def config_text(config: Union[str, Mapping[str, Any], None]) -> str:
    if config is None:
        return ""
    return config if isinstance(config, str) else json.dumps(config)
