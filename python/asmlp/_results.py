"""What the models say."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union, overload

import numpy as np

from . import _native


class Prediction(NamedTuple):
    """A class that an image may be of."""

    index: int
    probability: float  #: softmax over all classes
    label: str

    def __repr__(self) -> str:
        return f"<{self.label} {self.probability:.1%}>"


class ClassShare(NamedTuple):
    """The part of an image's pixels that a class has."""

    label: int
    share: float  #: above 0, at most 1
    name: str

    def __repr__(self) -> str:
        return f"<{self.name} {self.share:.1%}>"


class Detection:
    """An object, in pixels of the image. Its mask is made of run lengths when it is asked for."""

    __slots__ = ("box", "label", "name", "score", "_counts", "_size")

    def __init__(self, box: Tuple[float, float, float, float], score: float, label: int, name: str,
                 counts: Optional[np.ndarray], size: Tuple[int, int]) -> None:
        self.box = box  #: x1, y1, x2, y2
        self.score = score  #: probability of its class
        self.label = label  #: index of its class
        self.name = name  #: of its class
        self._counts = counts
        self._size = size

    @property
    def mask(self) -> Optional[np.ndarray]:
        """Booleans, height x width of the image; None of a detector of boxes."""
        return None if self._counts is None else _native.mask_bitmap(self._counts, *self._size)

    @property
    def mask_area(self) -> Optional[int]:
        """How many pixels are inside of the mask."""
        return None if self._counts is None else _native.mask_area(self._counts, *self._size)

    @property
    def rle(self) -> Optional[Dict[str, Any]]:
        """The mask as pycocotools and COCO's files have it."""
        if self._counts is None:
            return None
        return {"size": list(self._size), "counts": _native.mask_text(self._counts, *self._size)}

    def __repr__(self) -> str:
        corners = ", ".join(f"{x:.0f}" for x in self.box)
        return f"<{self.name} {self.score:.1%} at {corners}{', mask' if self._counts is not None else ''}>"


class Detections(Sequence[Detection]):
    """The objects of one image, by falling score; also all of them at once, as arrays."""

    def __init__(self, found: Tuple[Any, ...], classes: Sequence[str]) -> None:
        height, width, self.boxes, self.scores, self.labels, self._counts = found
        #: The image's height and width.
        self.size: Tuple[int, int] = (height, width)
        self._classes = classes
        self.boxes: np.ndarray  #: float32, n x 4: x1, y1, x2, y2
        self.scores: np.ndarray  #: float32, n
        self.labels: np.ndarray  #: int32, n: indices of classes

    @property
    def names(self) -> List[str]:
        """The names of the classes."""
        return [self._classes[label] for label in self.labels]

    @property
    def masks(self) -> Optional[np.ndarray]:
        """Booleans, n x height x width, made now; None of a detector of boxes."""
        if self._counts is None:
            return None
        masks = np.zeros((len(self), *self.size), dtype=bool)
        for mask, counts in zip(masks, self._counts):
            mask[:] = _native.mask_bitmap(counts, *self.size)
        return masks

    def __len__(self) -> int:
        return len(self.scores)

    @overload
    def __getitem__(self, index: int) -> Detection: ...
    @overload
    def __getitem__(self, index: slice) -> List[Detection]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[Detection, List[Detection]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        x1, y1, x2, y2 = self.boxes[i].tolist()
        label = int(self.labels[i])
        counts = None if self._counts is None else self._counts[i]
        return Detection((x1, y1, x2, y2), float(self.scores[i]), label, self._classes[label], counts, self.size)

    def __iter__(self) -> Iterator[Detection]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        shown = ", ".join(repr(d) for d in self[:3]) + (", ..." if len(self) > 3 else "")
        return f"<{len(self)} objects{': ' if len(self) else ''}{shown}>"


class Segmentation:
    """The class of every pixel of an image, at the image's own size."""

    def __init__(self, labels: np.ndarray, shares: Sequence[Tuple[int, float]], classes: Sequence[str]) -> None:
        self.labels = labels  #: uint8, height x width: indices of classes
        #: Of the classes that occur, the largest first.
        self.shares = tuple(ClassShare(label, share, classes[label]) for label, share in shares)

    def __repr__(self) -> str:
        height, width = self.labels.shape
        shown = ", ".join(repr(s) for s in self.shares[:3]) + (", ..." if len(self.shares) > 3 else "")
        return f"<{height} x {width} pixels: {shown}>"
