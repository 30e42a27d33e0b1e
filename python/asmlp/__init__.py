"""AS-MLP vision models on a CPU: classify, detect, segment, and take features.

    import asmlp

    for p in asmlp.Classifier().classify("photo.jpg", top_k=3):
        print(p.label, p.probability)

Classifier, Backbone, Detector, and Segmentor take a weight file (.safetensors, or PyTorch's .pth), or a
Model of load_model, which several of them may share. Images are paths, the bytes of image files, PIL images,
or uint8 arrays of height x width x 3 (RGB, or BGR with channel_order="bgr") or height x width (gray); a list
or tuple of them, or an array of batch x height x width x 3, stands for several. Float arrays of
batch x channels x height x width, also PyTorch's and everything else with __dlpack__, are tensors that were
resized and normalized by the caller; fp32 ones are read where they are, without a copy.

Results are numpy arrays and small classes, with the same bits as the command `asmlp` gives, for any number
of threads and any batch. What cannot be done is an asmlp.Error that says what to do; what is no image at
all a TypeError.

Threads: the GIL is released while the library works. Calls of one object take turns; make one object per
thread, of one Model, to run side by side. In a child of fork(), objects start their own threads when they
are first used.
"""

from ._classify import Backbone, Classifier, Features
from ._dense import Detector, Segmentor
from ._models import FeatureInfo, Model, ModelInfo, bundled_models, info, load_model
from ._native import version
from ._results import ClassShare, Detection, Detections, Prediction, Segmentation
from ._weights import Weights, load_weights, save_weights, to_torch
from .errors import Error

__version__ = version()

__all__ = [
    "Backbone", "ClassShare", "Classifier", "Detection", "Detections", "Detector", "Error", "FeatureInfo",
    "Features", "Model", "ModelInfo", "Prediction", "Segmentation", "Segmentor", "Weights", "__version__",
    "bundled_models", "info", "load_model", "load_weights", "save_weights", "to_torch", "version",
]
