"""Threads, children of fork(), and the GIL."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import asmlp
from conftest import CLASSIFIER, PHOTOGRAPHS, PHOTOS


def test_one_object_serves_threads_in_turn(classifier):
    expected = [classifier.logits(photo) for photo in PHOTOS]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = list(pool.map(classifier.logits, PHOTOS))
            assert all(np.array_equal(a, b) for a, b in zip(found, expected))


def test_threads_with_objects_of_their_own():
    model = asmlp.load_model(PHOTOGRAPHS)
    expected = asmlp.Classifier(model).logits(PHOTOS)

    def work(_):
        return asmlp.Classifier(model, threads=1).logits(PHOTOS)

    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(work, range(8)))


def test_the_gil_is_released(classifier):
    """Another thread of Python goes on while the library works."""
    tensor = np.zeros((8, 3, 512, 512), np.float32)
    ticks, done = [], threading.Event()

    def count():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    counter = threading.Thread(target=count)
    counter.start()
    time.sleep(0.05)
    first = time.perf_counter()
    classifier.logits(tensor)
    last = time.perf_counter()
    done.set()
    counter.join()
    during = sum(first < tick < last for tick in ticks)
    assert during >= 5, f"{during} ticks in {last - first:.3f} s"


CHILDREN = """
import os, sys, threading
import numpy as np
import asmlp

model, photo = sys.argv[1:]
classifier = asmlp.Classifier(model)
expected = classifier.logits(photo)
# A thread holds the object's lock while the process forks.
busy = threading.Thread(target=lambda: [classifier.logits(photo) for _ in range(20)])
busy.start()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        same = np.array_equal(classifier.logits(photo), expected)
        more = np.array_equal(asmlp.Classifier(classifier.model).logits(photo), expected)
        os._exit(0 if same and more else 3)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
busy.join()
assert np.array_equal(classifier.logits(photo), expected)
sys.exit(0 if codes == [0] * 4 else f"children ended with {codes}")
"""


def test_children_of_fork():
    done = subprocess.run([sys.executable, "-c", CHILDREN, str(CLASSIFIER), str(PHOTOS[0])], timeout=120,
                          stderr=subprocess.PIPE, env=dict(os.environ, PYTHONWARNINGS="ignore"))
    assert done.returncode == 0, done.stderr.decode()


def test_interpreter_end_while_threads_work():
    """Neither a crash nor a hang when Python ends with objects alive."""
    code = "import asmlp, sys; c = asmlp.Classifier(sys.argv[1]); c.logits(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(CLASSIFIER), str(PHOTOS[0])], check=True, timeout=60)
