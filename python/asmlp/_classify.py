"""Classes and features of images."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

import numpy as np

from . import _native
from ._models import Model, PathLike, as_model
from ._results import Prediction
from ._runner import Runner
from .errors import Error


class Classifier(Runner):
    """What is on these images?

    Images are resized, cropped, and normalized as the model's description says, with Pillow's bits.
    """

    def __init__(self, model: Union[PathLike, Model, None] = None, *, threads: int = 0, image_size: int = 0,
                 max_batch: int = 8, exif: str = "apply", max_pixels: int = 0) -> None:
        """model: a weight file, a Model, or None for the bundled classifier of photographs.

        threads: 0 is every core that the process may use. image_size: the side that images are resized and
        cropped to, 0 is the model's own. max_batch: images computed at once; it bounds the memory and changes no
        bit. exif: "apply" turns files and PIL images upright, "ignore" takes them as stored. max_pixels: larger
        files are refused, 0 is 89,478,485. Error("unsupported") for a model without head.
        """
        def make(native: Any) -> Any:
            return _native.Classifier(native, threads, image_size, max_batch, exif, max_pixels)

        super().__init__(as_model(model), make, exif)

    def classify(self, images: Any, top_k: int = 5, *,
                 channel_order: str = "rgb") -> Union[List[Prediction], List[List[Prediction]]]:
        """The most probable classes, best first: a list of an image, a list of lists of several or of a tensor.

        channel_order, "rgb" or "bgr", is that of arrays with 3 channels. Error("invalid_argument") for a tensor
        whose outputs are not finite.
        """
        source, single = self._input(images)
        if isinstance(source, np.ndarray):
            found = self._call("classify_tensor", source, top_k)
        else:
            found = self._call("classify", source, channel_order, top_k)
        classes = self.model.info.classes
        for i, image in enumerate(found):
            if not all(np.isfinite(probability) for _, probability in image):
                raise Error("invalid_argument", f"the outputs of image {i} are not finite: the tensor's numbers are too large")
        results = [[Prediction(index, probability, classes[index]) for index, probability in image] for image in found]
        return results[0] if single else results

    def probabilities(self, images: Any, *, channel_order: str = "rgb") -> np.ndarray:
        """float32, images x classes: those that classify gives, by the index of the class."""
        found = self.classify(images, self.model.info.num_classes, channel_order=channel_order)
        several = [found] if found and isinstance(found[0], Prediction) else found
        result = np.zeros((len(several), self.model.info.num_classes), dtype=np.float32)
        for row, predictions in zip(result, several):
            for p in predictions:
                row[p.index] = p.probability
        return result

    def logits(self, images: Any, *, channel_order: str = "rgb") -> np.ndarray:
        """float32, images x classes: the head's outputs before softmax."""
        source, _ = self._input(images)
        if isinstance(source, np.ndarray):
            return self._call("logits_tensor", source)
        return self._call("logits", source, channel_order)


class Features:
    """Feature maps of images, and an embedding of each."""

    def __init__(self, maps: Dict[str, np.ndarray], embedding: np.ndarray) -> None:
        self.maps = maps  #: by name ("patch_embed", "layers.0", ...), float32, batch x channels x height x width
        self.embedding = embedding  #: float32, batch x embedding_size: the last map normalized and averaged

    def __repr__(self) -> str:
        maps = ", ".join(f"{name} {'x'.join(map(str, m.shape))}" for name, m in self.maps.items())
        return f"<embedding {'x'.join(map(str, self.embedding.shape))}{'; ' if maps else ''}{maps}>"


class Backbone(Runner):
    """Feature maps and embeddings, for search or as input of other networks. Takes every model."""

    def __init__(self, model: Union[PathLike, Model, None] = None, *, threads: int = 0, image_size: int = 0,
                 max_batch: int = 8, exif: str = "apply", max_pixels: int = 0) -> None:
        """As Classifier; models without head, detectors, and segmentors are taken, too."""
        def make(native: Any) -> Any:
            return _native.Backbone(native, threads, image_size, max_batch, exif, max_pixels)

        super().__init__(as_model(model), make, exif)

    def features(self, images: Any, maps: Optional[Sequence[str]] = None, *, channel_order: str = "rgb") -> Features:
        """The maps that are named (None: all) and the embedding. Tensors have any size, images are cropped."""
        names = [f.name for f in self.model.info.features]
        unknown = sorted(set(maps or ()) - set(names))
        if unknown:
            raise Error("not_found", f"the model has no map {unknown[0]!r}; it has {', '.join(names)}")
        wanted = [maps is None or name in maps for name in names]
        source, _ = self._input(images)
        if isinstance(source, np.ndarray):
            arrays, embedding = self._call("features_tensor", source, wanted)
        else:
            arrays, embedding = self._call("features", source, channel_order, wanted)
        return Features({n: a for n, a, w in zip(names, arrays, wanted) if w}, embedding)

    def embed(self, images: Any, *, channel_order: str = "rgb") -> np.ndarray:
        """float32, images x embedding_size."""
        return self.features(images, (), channel_order=channel_order).embedding
