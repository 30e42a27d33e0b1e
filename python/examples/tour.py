# %% [markdown]
# # A tour of asmlp
#
#     python tour.py PHOTO SCENE DETECTOR SEGMENTOR
#
# Editors that know `# %%` (VS Code, Spyder, PyCharm, Jupytext) run it cell by cell.

# %%
import sys

import numpy as np

import asmlp

photo, scene, detector_file, segmentor_file = sys.argv[1:]

# %% What is on the photo?
classifier = asmlp.Classifier()
print(classifier.model)
for p in classifier.classify(photo, top_k=3):
    print(f"{p.probability:7.2%}  {p.label}")

# %% Which objects are in the scene, and where?
detector = asmlp.Detector(detector_file)
found = detector.detect(scene)
print(found)
for d in found[:5]:
    print(f"{d.score:7.1%}  {d.name}, {d.mask_area} pixels, box {np.round(d.box)}")

# %% Which pixel is what? The labels of the scene as a picture of characters.
segmentation = asmlp.Segmentor(segmentor_file).segment(scene)
print(segmentation)
rows, columns = (np.linspace(0, side - 1, n).astype(int) for side, n in zip(segmentation.labels.shape, (16, 32)))
for row in segmentation.labels[np.ix_(rows, columns)]:
    print("".join(".ABCDEFGHIJKLMNOPQRSTUVWXYZ"[label % 27] for label in row))

# %% Which of some images are most alike? The photo, the scene, and noise, by their embeddings.
pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
backbone = asmlp.Backbone(classifier.model)
embeddings = backbone.embed([photo, scene, pixels])
embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
similarity = embeddings @ embeddings.T - 2 * np.eye(3)
first, second = np.unravel_index(np.argmax(similarity), similarity.shape)
names = ["the photo", "the scene", "noise"]
print(f"most alike: {names[first]} and {names[second]} ({similarity[first, second]:.2f})")
