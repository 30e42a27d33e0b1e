#!/usr/bin/env python3
"""Loads a running `asmlp serve` over loopback: throughput, latency, what was refused.

    tools/serve_load.py http://127.0.0.1:8080 --model NAME --clients 16 --seconds 10
    tools/serve_load.py http://127.0.0.1:8080 --file photo.jpg --path /v1/predict --rate 500

With --clients alone, each client sends the next request when it has its answer (a closed loop).
With --rate, that many requests a second are begun, whatever becomes of them, by at most --clients
connections. Without --file, requests hold one FP32 tensor of --size pixels a side. Prints one JSON
document. A request that gets neither an answer nor a refusal is counted as lost.
"""

import argparse
import collections
import http.client
import json
import re
import struct
import sys
import threading
import time
import urllib.parse


def tensor_request(size, channels):
    values = channels * size * size
    data = struct.pack(f"<{values}f", *[(k * 37 % 101) / 25 - 2 for k in range(values)])
    head = json.dumps({"inputs": [{"name": "input", "datatype": "FP32",
                                   "shape": [1, channels, size, size],
                                   "parameters": {"binary_data_size": len(data)}}],
                       "outputs": [{"name": "logits", "parameters": {"binary_data": True}}]}).encode()
    return head + data, {"Inference-Header-Content-Length": str(len(head))}


class Load:
    def __init__(self, arguments, body, headers):
        self.arguments, self.body, self.headers = arguments, body, headers
        self.url = urllib.parse.urlsplit(arguments.url)
        self.lock = threading.Lock()
        self.codes, self.bodies = collections.Counter(), set()
        self.seconds = []
        self.start = time.monotonic()
        self.end = self.start + arguments.seconds
        self.begun = 0

    def due(self):
        """When this client's next request is due; None when the time is over."""
        if not self.arguments.rate:
            return time.monotonic() if time.monotonic() < self.end else None
        with self.lock:
            at = self.start + self.begun / self.arguments.rate
            self.begun += 1
        return at if at < self.end else None

    def client(self):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=120)
        while (at := self.due()) is not None and time.monotonic() < self.end:
            time.sleep(max(0, at - time.monotonic()))
            start = time.monotonic()
            try:
                connection.request("POST", self.arguments.path, self.body, self.headers)
                response = connection.getresponse()
                data, code = response.read(), response.status
                if response.getheader("Connection") == "close":
                    connection.close()
            except OSError:
                # Refused at the door: the server closes connections beyond --max-connections.
                code, data = "no connection", b""
                connection.close()
            except http.client.HTTPException:
                code, data = "lost", b""
                connection.close()
            with self.lock:
                self.codes[str(code)] += 1
                if code == 200:
                    self.seconds.append(time.monotonic() - start)
                    if self.arguments.file is None:
                        self.bodies.add(data)
            if code == 503 and not self.arguments.rate and not self.arguments.impatient:
                time.sleep(0.01)

    def run(self):
        threads = [threading.Thread(target=self.client) for _ in range(self.arguments.clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.monotonic() - self.start


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--model", help="of /v2/models/MODEL/infer")
    parser.add_argument("--path", help="instead of that")
    parser.add_argument("--file", help="a picture to send instead of a tensor")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rate", type=float, default=0, help="requests a second")
    parser.add_argument("--impatient", action="store_true", help="do not wait after a 503")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pid", type=int, help="of asmlp-serve: its memory before and after")
    arguments = parser.parse_args()
    if not arguments.path:
        if not arguments.model:
            parser.error("give --model or --path")
        arguments.path = f"/v2/models/{arguments.model}/infer"
    if arguments.file:
        with open(arguments.file, "rb") as file:
            body, headers = file.read(), {}
    else:
        body, headers = tensor_request(arguments.size, arguments.channels)

    most, over = 0.0, threading.Event()

    def watch():
        nonlocal most
        while not over.is_set():
            most = max(most, resident(arguments.pid))
            over.wait(0.1)
    if arguments.pid:
        watcher = threading.Thread(target=watch)
        before = resident(arguments.pid)
        watcher.start()
    load = Load(arguments, body, headers)
    took = load.run()
    times = sorted(load.seconds)

    def quantile(share):
        return round(1000 * times[min(len(times) - 1, int(share * len(times)))], 1) if times else None
    result = {"seconds": round(took, 2), "requests": sum(load.codes.values()),
              "codes": dict(load.codes), "answers_per_second": round(len(times) / took, 1),
              "p50_ms": quantile(0.5), "p99_ms": quantile(0.99),
              "lost": load.codes["lost"]}
    if not arguments.file:
        result["different_answers"] = len(load.bodies)
    if arguments.pid:
        over.set()
        watcher.join()
        result["memory_mb"] = {"before": round(before), "most": round(most),
                               "after": round(resident(arguments.pid))}
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
