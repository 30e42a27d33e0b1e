"""Objects and regions on images."""

from __future__ import annotations

from typing import Any, List, Optional, Union

import numpy as np

from . import _native
from ._models import Model, PathLike, as_model
from ._results import Detections, Segmentation
from ._runner import Runner
from .errors import Error


class Detector(Runner):
    """Which objects are on an image, and where?"""

    def __init__(self, model: Union[PathLike, Model, None] = None, *, threads: int = 0, max_batch: int = 1,
                 short_side: int = 0, long_side: int = 0, score_threshold: float = 0, max_detections: int = 0,
                 masks: bool = True, tile: int = 0, tile_overlap: int = 0, tile_whole: bool = False,
                 exif: str = "apply", max_pixels: int = 0) -> None:
        """model: a weight file, a Model, or None for the bundled detector. Zeros are the model's own values.

        short_side, long_side: what images are resized to. score_threshold: objects are found above it.
        max_detections: the best of each image. masks: False computes none, which is faster. tile: large images
        are cut into tiles of so many pixels a side, which share tile_overlap; with tile_whole the whole image is
        looked at, too. The others: as Classifier. Error("unsupported") for a model that is no detector.
        """
        def make(native: Any) -> Any:
            return _native.Detector(native, threads, max_batch, short_side, long_side, score_threshold,
                                    max_detections, masks, tile, tile_overlap, tile_whole, exif, max_pixels)

        super().__init__(as_model(model, "detect"), make, exif)

    def detect(self, images: Any, *, channel_order: str = "rgb") -> Union[Detections, List[Detections]]:
        """The objects of an image, or a list for several images or a tensor (whose pixels are the coordinates).

        Error("invalid_argument") when the network's outputs are not finite.
        """
        source, single = self._input(images)
        if isinstance(source, np.ndarray):
            found = self._call("detect_tensor", source)
        else:
            found = self._call("detect", source, channel_order)
        results = [Detections(one, self.model.info.classes) for one in found]
        return results[0] if single else results


class Segmentor(Runner):
    """What is at every pixel of an image?"""

    def __init__(self, model: Union[PathLike, Model, None] = None, *, threads: int = 0, short_side: int = 0,
                 long_side: int = 0, multi_scale: bool = False, flip: bool = False, window: int = 0,
                 window_stride: int = 0, full_size: bool = False, exif: str = "apply", max_pixels: int = 0) -> None:
        """model: a weight file, a Model, or None for the bundled segmentor.

        multi_scale: the mean of six sizes; flip: and of mirrored images. window: a window of so many pixels slides
        over the image, window_stride (0: two thirds) at a time, so that memory does not grow with it. full_size: images keep their own size. The others: as Detector.
        Error("unsupported") for a model that is no segmentor.
        """
        def make(native: Any) -> Any:
            return _native.Segmentor(native, threads, short_side, long_side, multi_scale, flip, window,
                                     window_stride, full_size, exif, max_pixels)

        super().__init__(as_model(model, "segment"), make, exif)

    def segment(self, images: Any, *, channel_order: str = "rgb") -> Union[Segmentation, List[Segmentation]]:
        """The classes of an image's pixels, or a list for several images or a tensor."""
        source, single = self._input(images)
        if isinstance(source, np.ndarray):
            found = self._call("segment_tensor", source)
        else:
            found = self._call("segment", source, channel_order)
        results = [Segmentation(labels, shares, self.model.info.classes) for labels, shares in found]
        return results[0] if single else results

    def segment_into(self, image: Any, out: np.ndarray, *, channel_order: str = "rgb") -> None:
        """The labels of one image into `out`: a uint8 array of the image's size that can be written to.

        Its rows may be apart, its pixels not. Error("mismatch") for another size; nothing has run then.
        """
        source, single = self._input(image)
        if isinstance(source, np.ndarray) or not single:
            raise Error("invalid_argument", "segment_into takes one image")
        problem: Optional[str] = None
        if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.ndim != 2:
            problem = "must be a uint8 array of height x width"
        elif out.size == 0 or not out.flags.writeable:
            problem = "is empty" if out.size == 0 else "cannot be written to"
        elif (out.shape[1] > 1 and out.strides[1] != 1) or (out.shape[0] > 1 and out.strides[0] < out.shape[1]):
            problem = "must have its pixels side by side (numpy.empty makes such)"
        if problem:
            raise Error("invalid_argument", f"out {problem}")
        self._call("segment_into", source, channel_order, out)
