#!/usr/bin/env python3
"""`asmlp serve` as its clients meet it: all endpoints, the bits of the commands, overload, the end.
Argument: the command asmlp, with asmlp-serve beside it."""

import base64
import http.client
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from serve_common import (CLASSIFIER, DETECTOR, PHOTOS, SCENE, SEGMENTOR, Server, binary_infer, form,
                          picture, read_all, wait_for)

ASMLP = sys.argv.pop(1) if len(sys.argv) > 1 else "asmlp"


def command(*words):
    return json.loads(subprocess.run([ASMLP, *map(str, words), "--json", "--quiet"], check=True,
                                     capture_output=True).stdout)


def binary_outputs(answer):
    length = int(answer.headers["Inference-Header-Content-Length"])
    root, rest, outputs = json.loads(answer.body[:length]), answer.body[length:], {}
    for output in root["outputs"]:
        size = output["parameters"]["binary_data_size"]
        outputs[output["name"]] = (output, rest[:size])
        rest = rest[size:]
    assert rest == b"", rest
    return outputs


class SameAsCommands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(ASMLP, models=[CLASSIFIER, f"det={DETECTOR}", f"seg={SEGMENTOR}"])
        cls.addClassCleanup(cls.server.__exit__)

    def test_predict(self):
        names = ["rocket.jpg", "chelsea.png", "grace_hopper.jpg"]
        files = [PHOTOS / name for name in names]
        wanted = command("predict", *files, "--topk", 4, "--model", CLASSIFIER)
        body, headers = form(*[(str(file), file.read_bytes()) for file in files])
        document = self.server.post("/v1/predict?topk=4", body, headers).json()
        self.assertEqual(document["images"], wanted["images"])
        self.assertEqual(document.keys(), wanted.keys())
        self.assertEqual(document["model"].keys(), wanted["model"].keys())
        for file, entry in zip(files, wanted["images"]):
            alone = self.server.post("/v1/predict?topk=4", file.read_bytes()).json()["images"][0]
            self.assertEqual(alone["predictions"], entry["predictions"])

    def test_detect(self):
        with tempfile.TemporaryDirectory() as folder:
            wanted = command("detect", SCENE, "--model", DETECTOR, "--output", folder)["images"][0]
        found = self.server.post("/v1/detect?model=det", SCENE.read_bytes()).json()["images"][0]
        self.assertGreater(len(found["detections"]), 0)
        for entry in (wanted, found):
            entry.pop("file"), entry.pop("picture", None)
        self.assertEqual(found, wanted)
        few = self.server.post("/v1/detect?threshold=0.5&masks=false", SCENE.read_bytes()).json()
        kept = [d for d in wanted["detections"] if d["score"] >= 0.5]
        for detection in kept:
            del detection["segmentation"]
        self.assertEqual(few["images"][0]["detections"], kept)

    def test_segment(self):
        with tempfile.TemporaryDirectory() as folder:
            wanted = command("segment", SCENE, "--model", SEGMENTOR, "--output", folder)["images"][0]
            png = Path(wanted["label_map"]).read_bytes()
        found = self.server.post("/v1/segment", SCENE.read_bytes()).json()["images"][0]
        self.assertEqual(base64.b64decode(found["label_map"]), png)
        self.assertEqual([{k: v for k, v in c.items() if k != "color"} for c in found["classes"]],
                         wanted["classes"])
        answer = self.server.post("/v1/segment?format=png", SCENE.read_bytes())
        self.assertEqual((answer.headers["Content-Type"], answer.body), ("image/png", png))

    def test_infer_of_pictures(self):
        body = picture()
        request, headers = binary_infer([("image", "BYTES", [1], struct.pack("<I", len(body)) + body)])
        answer = self.server.post(f"/v2/models/{CLASSIFIER.stem}/versions/1/infer", request, headers)
        self.assertEqual(answer.status, 200, answer.body)
        outputs = binary_outputs(answer)
        self.assertEqual(outputs.keys(), {"logits", "probabilities"})
        output, data = outputs["probabilities"]
        self.assertEqual(output["shape"], [1, 10])
        found = dict(enumerate(struct.unpack("<10f", data)))
        wanted = command("predict", PHOTOS / "rocket.jpg", "--topk", 10, "--model", CLASSIFIER)
        for entry in wanted["images"][0]["predictions"]:
            self.assertEqual(found[entry["index"]], entry["prob"])

    def test_infer_of_tensors(self):
        values = [(i * 37 % 101) / 25 - 2 for i in range(2 * 3 * 128 * 128)]
        data = struct.pack(f"<{len(values)}f", *values)
        path = f"/v2/models/{CLASSIFIER.stem}/infer"
        request, headers = binary_infer([("input", "FP32", [2, 3, 128, 128], data)], ["logits"])
        answer = self.server.post(path, request, headers)
        self.assertEqual(answer.status, 200, answer.body)
        binary = struct.unpack("<20f", binary_outputs(answer)["logits"][1])
        exact = list(struct.unpack(f"<{len(values)}f", data))
        request = {"id": "a7", "outputs": [{"name": "logits"}],
                   "inputs": [{"name": "input", "datatype": "FP32", "shape": [2, 3, 128, 128],
                               "data": exact}]}
        text = self.server.post(path, json.dumps(request)).json()
        self.assertEqual(text["id"], "a7")
        self.assertEqual(tuple(text["outputs"][0]["data"]), binary)
        # Each image alone has the same bits.
        for k in range(2):
            half = data[k * len(data) // 2:(k + 1) * len(data) // 2]
            request, headers = binary_infer([("input", "FP32", [1, 3, 128, 128], half)], ["logits"])
            alone = binary_outputs(self.server.post(path, request, headers))["logits"][1]
            self.assertEqual(struct.unpack("<10f", alone), binary[10 * k:10 * k + 10])

    def test_infer_of_detectors_and_segmentors(self):
        scene = SCENE.read_bytes()
        element = struct.pack("<I", len(scene)) + scene
        request, headers = binary_infer([("image", "BYTES", [2], element * 2)])
        outputs = binary_outputs(self.server.post("/v2/models/det/infer", request, headers))
        counts = struct.unpack("<2i", outputs["num_detections"][1])
        wanted = self.server.post("/v1/detect", scene).json()["images"][0]["detections"]
        self.assertEqual(counts, (len(wanted),) * 2)
        scores = struct.unpack(f"<{sum(counts)}f", outputs["scores"][1])
        self.assertEqual(list(scores), [d["score"] for d in wanted] * 2)
        boxes = struct.unpack(f"<{4 * sum(counts)}f", outputs["boxes"][1])
        self.assertEqual(list(boxes[:2]), wanted[0]["bbox"][:2])
        masks, rest = [], outputs["masks"][1]
        while rest:
            length, = struct.unpack_from("<I", rest)
            masks.append(rest[4:4 + length].decode())
            rest = rest[4 + length:]
        self.assertEqual(masks, [d["segmentation"]["counts"] for d in wanted] * 2)

        request, headers = binary_infer([("image", "BYTES", [1], element)])
        outputs = binary_outputs(self.server.post("/v2/models/seg/infer", request, headers))
        png = self.server.post("/v1/segment?format=png", scene).body
        self.assertEqual(outputs["label_map"][1], struct.pack("<I", len(png)) + png)
        pixels = struct.unpack("<11q", outputs["pixels"][1])
        self.assertEqual(sum(pixels), 160 * 160)

    def test_what_there_is(self):
        self.assertEqual(self.server.get("/v2/health/live").json(), {"live": True})
        self.assertEqual(self.server.get("/v2/health/ready").json(), {"ready": True})
        about = self.server.get("/v2").json()
        self.assertEqual(about["name"], "asmlp")
        self.assertIn("binary_tensor_data", about["extensions"])
        for path in ("/v2/models/det", "/v2/models/det/versions/1"):
            self.assertEqual(self.server.get(path).json()["inputs"][0]["name"], "image")
        self.assertEqual(self.server.get("/v2/models/seg/ready").json(),
                         {"name": "seg", "ready": True})
        self.assertEqual([m["task"] for m in self.server.get("/v1/models").json()["models"]],
                         ["classify", "detect", "segment"])
        self.assertEqual(self.server.get("/v2/models/none").status, 404)
        page = self.server.get("/")
        self.assertEqual(page.status, 200)
        self.assertIn(b"<canvas", page.body)
        self.assertNotRegex(page.body, rb"https?://")  # it loads nothing
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
        head = self.server.ask("HEAD", "/")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(int(head.headers["Content-Length"]), len(page.body))

    def test_connections_are_kept(self):
        one = http.client.HTTPConnection("127.0.0.1", self.server.port, 60)
        one.connect()
        first = one.sock
        for _ in range(5):
            one.request("POST", "/v1/predict", picture())
            self.assertEqual(one.getresponse().read()[:1], b"{")
            self.assertIs(one.sock, first)
        one.close()
        # Two requests in one packet, then the end.
        data = self.server.raw(b"GET /v2/health/live HTTP/1.1\r\n\r\n" * 2)
        self.assertEqual(data.count(b'{"live":true}'), 2)
        # Version 1.0 closes.
        self.assertIn(b"Connection: close", self.server.raw(b"GET /v2 HTTP/1.0\r\n\r\n", end=False))

    def test_chunked_and_expect(self):
        body = picture()
        wanted = self.server.post("/v1/predict", body).json()["images"]
        chunks = (body[i:i + 1000] for i in range(0, len(body), 1000))
        found = self.server.post("/v1/predict", chunks).json()  # http.client sends them as chunks
        self.assertEqual(found["images"], wanted)
        with self.server.connect() as one:
            one.sendall(b"POST /v1/predict HTTP/1.1\r\nExpect: 100-continue\r\nConnection: close\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body))
            self.assertIn(b"100 Continue", one.recv(100))
            one.sendall(body)
            self.assertIn(b"200 OK", read_all(one))
            self.assertIn(b"404", self.server.raw(
                b"POST /none HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"))

    def test_metrics(self):
        before = self.server.get("/metrics").body.decode()
        self.assertEqual(self.server.post("/v1/predict", picture()).status, 200)
        self.assertEqual(self.server.post("/v1/predict", b"no picture").status, 415)
        def value(text, name):
            found = re.search(f"^{re.escape(name)} (.+)$", text, re.M)
            return float(found[1]) if found else 0.0
        labels = f'model="{CLASSIFIER.stem}"'
        wanted = {}
        for name, more in [(f'asmlp_requests_total{{{labels},endpoint="predict",code="200"}}', 1),
                           (f'asmlp_requests_total{{{labels},endpoint="predict",code="415"}}', 1),
                           (f"asmlp_images_total{{{labels}}}", 1),
                           (f"asmlp_queue_duration_seconds_count{{{labels}}}", 1),
                           (f"asmlp_compute_duration_seconds_count{{{labels}}}", 1),
                           (f"asmlp_batch_size_count{{{labels}}}", 1)]:
            wanted[name] = value(before, name) + more

        def counted():  # a request is counted when it has been answered
            text = self.server.get("/metrics").body.decode()
            return {name: value(text, name) for name in wanted} == wanted
        wait_for(counted)
        text = self.server.get("/metrics").body.decode()
        self.assertEqual(value(text, "asmlp_ready"), 1)
        self.assertGreater(value(text, "process_resident_memory_bytes"), 1e6)


class Operation(unittest.TestCase):
    def test_overload(self):
        """Far more clients than places: each request is answered, by the right bits or by 503."""
        with Server(ASMLP, "--max-queue", "2", "--max-batch", "2", "--log", "json",
                    models=[DETECTOR]) as server:
            scene = SCENE.read_bytes()
            wanted = server.post("/v1/detect", scene).json()["images"][0]["detections"]
            codes, wrong, lock = [], [], threading.Lock()

            def client():
                for _ in range(4):
                    answer = server.post("/v1/detect", scene)
                    with lock:
                        codes.append(answer.status)
                        if answer.status == 200:
                            if answer.json()["images"][0]["detections"] != wanted:
                                wrong.append(answer.body)
                        elif answer.status != 503 or int(answer.headers["Retry-After"]) < 1:
                            wrong.append(answer.body)
            threads = [threading.Thread(target=client) for _ in range(20)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])
            self.assertEqual(len(codes), 80)
            self.assertGreater(codes.count(503), 0)
            self.assertGreater(codes.count(200), 0)
            self.assertEqual(server.terminate(), 0)
            lines = [json.loads(line) for line in server.errors().splitlines()
                     if line.startswith("{")]
            self.assertEqual(sum(line["status"] == 200 for line in lines), codes.count(200) + 1)
            self.assertTrue(all(line["model"] == DETECTOR.stem for line in lines))
            self.assertTrue(all(line["batch"] <= 2 for line in lines))

    def test_sigterm_drains(self):
        """What has been accepted is answered; what comes then is refused; the exit code is 0."""
        with Server(ASMLP, "--max-batch", "1", models=[SEGMENTOR]) as server:
            body, headers = form(*[("a", SCENE.read_bytes())] * 60)
            answers = []
            long = threading.Thread(
                target=lambda: answers.append(server.post("/v1/segment", body, headers)))
            long.start()

            def queued():
                text = server.get("/metrics").body.decode()
                return re.search(r"^asmlp_queue_images\{.*\} [1-9]", text, re.M)
            wait_for(queued)
            server.process.send_signal(signal.SIGTERM)
            wait_for(lambda: server.get("/v2/health/ready").status == 503)
            self.assertEqual(server.get("/v2/health/live").status, 200)
            refused = server.post("/v1/segment", SCENE.read_bytes())
            self.assertEqual(refused.status, 503)
            self.assertIn("Retry-After", refused.headers)
            long.join()
            self.assertEqual(answers[0].status, 200)
            self.assertEqual(len(answers[0].json()["images"]), 60)
            self.assertEqual(server.process.wait(30), 0)
            self.assertIn("all accepted requests are answered", server.errors())

    def test_deadline(self):
        """What is not computed in time is given up, and its places are free again."""
        with Server(ASMLP, "--max-batch", "1", "--timeout", "0.5", models=[SEGMENTOR]) as server:
            body, headers = form(*[("a", SCENE.read_bytes())] * 60)
            answer = server.post("/v1/segment", body, headers)
            self.assertEqual(answer.status, 504)
            self.assertEqual(answer.json()["error"]["code"], "interrupted")
            wait_for(lambda: b"asmlp_queue_images{model=\"upernet_scenes\"} 0\n"
                     in server.get("/metrics").body)
            self.assertEqual(server.post("/v1/segment", SCENE.read_bytes()).status, 200)

    def test_api_key(self):
        with Server(ASMLP, environment={"ASMLP_API_KEY": "k-7"}) as server:
            self.assertEqual(server.get("/v2/health/ready").status, 200)
            self.assertEqual(server.get("/").status, 200)
            for headers in ({}, {"Authorization": "Bearer k-8"}, {"Authorization": "k-7"}):
                answer = server.post("/v1/predict", picture(), headers)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
            key = {"Authorization": "Bearer k-7"}
            self.assertEqual(server.post("/v1/predict", picture(), key).status, 200)
            self.assertEqual(server.get("/v2/models/" + CLASSIFIER.stem, headers=key).status, 200)

    def test_wrong_usage(self):
        def fails(code, *words):
            done = subprocess.run([ASMLP, "serve", *map(str, words)], capture_output=True, timeout=60)
            self.assertEqual(done.returncode, code, done)
            return done.stderr.decode()
        with Server(ASMLP) as server:
            text = fails(1, "--model", CLASSIFIER, "--port", server.port)
            self.assertIn("Address already in use", text)
        self.assertIn("two models are called", fails(2, "-m", CLASSIFIER, "-m", CLASSIFIER))
        self.assertIn("none.safetensors", fails(1, "--model", "none.safetensors"))
        self.assertIn("--max-batch", fails(2, "--max-batch", 0))
        self.assertIn("--host", fails(1, "--model", CLASSIFIER, "--host", "no host"))

    def test_two_workers_have_the_same_bits(self):
        with Server(ASMLP, "--workers", "2", "--threads", "1", "--max-delay", "0") as server:
            names = ["rocket.jpg", "chelsea.png", "coffee.png"]
            wanted = {n: command("predict", PHOTOS / n, "--model", CLASSIFIER)["images"][0]
                      ["predictions"] for n in names}
            found = []

            def client(name):
                answer = server.post("/v1/predict", picture(name))
                found.append((name, answer.json()["images"][0]["predictions"]))
            threads = [threading.Thread(target=client, args=[names[k % 3]]) for k in range(12)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len(found), 12)
            for name, predictions in found:
                self.assertEqual(predictions, wanted[name])


if __name__ == "__main__":
    socket.setdefaulttimeout(60)
    unittest.main()
