"""What Classifier, Backbone, Detector, and Segmentor have in common."""

from __future__ import annotations

import os
import threading
from typing import Any, Callable, Tuple, Union

import numpy as np

from ._inputs import as_input
from ._models import Model


class Runner:
    """A model, with threads and memory of its own.

    Calls from several threads take turns. In a child of fork(), whose threads stayed in the parent, the
    library's object is made again at the first call, of the same model.
    """

    def __init__(self, model: Model, make: Callable[[Any], Any], exif: str) -> None:
        self._model = model
        self._make = make
        self._upright = exif == "apply"
        self._state = self._start()

    @property
    def model(self) -> Model:
        """The model that it runs."""
        return self._model

    def _start(self) -> Tuple[int, threading.Lock, Any]:
        return os.getpid(), threading.Lock(), self._make(self._model._native)

    def _call(self, method: str, *arguments: Any) -> Any:
        state = self._state
        if state[0] != os.getpid():
            state = self._state = self._start()
        _, lock, native = state
        with lock:
            return getattr(native, method)(*arguments)

    def _input(self, images: Any) -> Tuple[Union[list, np.ndarray], bool]:
        return as_input(images, self._upright)

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} cannot be pickled: make one in each process, of the same file")

    def __repr__(self) -> str:
        return f"<asmlp.{type(self).__name__} of {self._model.name!r}>"
