"""What the tests of `asmlp serve` share: a server of their own, and ways to talk to it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent
CLASSIFIER = SOURCE / "models" / "asmlp_imagenette.safetensors"
DETECTOR = SOURCE / "tests" / "data" / "models" / "mask_rcnn_scenes.safetensors"
SEGMENTOR = SOURCE / "tests" / "data" / "models" / "upernet_scenes.safetensors"
PHOTOS = SOURCE / "tests" / "data" / "photos"
SCENE = SOURCE / "tests" / "data" / "coco_base" / "val2017" / "000000000001.jpg"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Server:
    """`asmlp serve` on a port that the system picks."""

    def __init__(self, asmlp, *options, models=(CLASSIFIER,), environment=None):
        self.log = tempfile.TemporaryFile()
        words = [asmlp, "serve", "--port", "0", *options]
        for model in models:
            words += ["--model", str(model)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=self.log,
                                        env={**os.environ, **(environment or {})})
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)/\n", line)
        if not found:
            raise RuntimeError(f"the server said {line!r} and {self.errors()}")
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()

    def errors(self):
        self.log.seek(0)
        return self.log.read().decode()

    def ask(self, method, path, body=None, headers=None, timeout=60):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout)) as one:
            one.request(method, path, body, headers or {})
            return Answer(one.getresponse())

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body, headers=None, **more):
        return self.ask("POST", path, body, headers, **more)

    def connect(self, timeout=60):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, data, end=True):
        """What comes back for these bytes until the server closes."""
        with self.connect() as one:
            one.sendall(data)
            if end:
                one.shutdown(socket.SHUT_WR)
            return read_all(one)

    def terminate(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def memory(self):
        """Resident bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def read_all(one):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while block := one.recv(65536):
            data += block
    return data


def form(*files):
    """A body of multipart/form-data and its headers; files are (name, bytes)."""
    boundary = "f7a1c0de"
    body = b"".join(b'--%s\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'
                    % (boundary.encode(), name.encode(), data) for name, data in files)
    return (body + f"--{boundary}--\r\n".encode(),
            {"Content-Type": f"multipart/form-data; boundary={boundary}"})


def picture(name="rocket.jpg"):
    return (PHOTOS / name).read_bytes()


def binary_infer(inputs, outputs=None):
    """A request with binary tensors: inputs are (name, datatype, shape, bytes)."""
    root = {"inputs": [{"name": n, "datatype": t, "shape": s,
                        "parameters": {"binary_data_size": len(b)}} for n, t, s, b in inputs],
            "parameters": {"binary_data_output": True}}
    if outputs:
        root["outputs"] = [{"name": n} for n in outputs]
    head = json.dumps(root).encode()
    return (head + b"".join(one[3] for one in inputs),
            {"Inference-Header-Content-Length": str(len(head))})


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.02)
