#!/usr/bin/env python3
"""Clients of `asmlp serve` that mean no good. Argument: the command asmlp, with asmlp-serve beside it."""

import re
import socket
import struct
import sys
import time
import unittest
import zlib

from serve_common import CLASSIFIER, Server, binary_infer, form, picture, read_all, wait_for

ASMLP = sys.argv.pop(1) if len(sys.argv) > 1 else "asmlp"


class Hostile(unittest.TestCase):
    """Each case ends with a clear answer or a closed connection, and the server goes on."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(ASMLP, "--max-body", "0.5", "--max-pixels", "400000", "--timeout", "1",
                            "--keep-alive", "1", "--max-connections", "8", "--max-queue", "4")
        cls.addClassCleanup(cls.server.__exit__)

    def tearDown(self):
        wait_for(lambda: self.server.get("/v2/health/live").status == 200)
        self.assertIsNone(self.server.process.poll())

    def status(self, data, end=True):
        answer = self.server.raw(data, end)
        found = re.match(rb"HTTP/1\.1 (\d+) ", answer)
        self.assertTrue(found, answer[:200])
        return int(found[1])

    def test_slow_heads(self):
        """Slow loris: all connections send a byte now and then. They end after --timeout."""
        start = time.monotonic()
        slow = [self.server.connect() for _ in range(8)]
        for one in slow:
            one.sendall(b"GET /v2 HTTP/1.1\r\n")

        def all_taken():
            with self.server.connect() as one:
                one.sendall(b"GET /v2 HTTP/1.1\r\n\r\n")
                return b" 503 " in read_all(one)
        wait_for(all_taken, 5)
        refused = self.server.raw(b"", end=False)
        self.assertIn(b"Retry-After", refused)
        for k in range(5):
            for one in slow:
                try:
                    one.sendall(b"X")
                except OSError:
                    pass
            time.sleep(0.1)
        for one in slow:
            self.assertIn(b" 408 ", read_all(one))
            one.close()
        self.assertLess(time.monotonic() - start, 20)

    def test_idle_connections(self):
        """They make room for others at once when there is little, and end after --keep-alive."""
        idle = [self.server.connect() for _ in range(8)]
        wait_for(lambda: self.server.get("/v2").status == 200, 10)
        answers = [read_all(one) for one in idle]
        for one in idle:
            one.close()
        # One that came while a connection of the test before was still there was refused at once.
        self.assertIn(b"", answers)
        self.assertTrue(all(a == b"" or a.startswith(b"HTTP/1.1 503 ") for a in answers), answers)

    def test_slow_bodies(self):
        head = b"POST /v1/predict HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"
        self.assertEqual(self.status(head + b"x" * 10, end=False), 408)
        self.assertEqual(self.status(head + b"x" * 10), 400)  # the client has gone

    def test_reader_that_does_not_read(self):
        """Its answers fill the buffers of the system; then the connection is closed."""
        with self.server.connect() as one:
            one.setblocking(False)
            end = time.monotonic() + 30
            with self.assertRaises((ConnectionResetError, BrokenPipeError)):
                while time.monotonic() < end:
                    try:
                        one.send(b"GET / HTTP/1.1\r\n\r\n" * 100)
                    except BlockingIOError:
                        time.sleep(0.02)

    def test_heads(self):
        get = b"GET /v2 HTTP/1.1\r\n"
        self.assertEqual(self.status(get + b"a: " + b"x" * 100_000 + b"\r\n\r\n", end=False), 431)
        self.assertEqual(self.status(get + b"a: b\r\n" * 200 + b"\r\n"), 431)
        self.assertEqual(self.status(b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n"), 414)
        self.assertEqual(self.status(b"PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), 405)
        self.assertEqual(self.status(b"nonsense\r\n\r\n"), 400)
        self.assertEqual(self.status(b"GET /v2 HTTP/3\r\n\r\n"), 505)
        self.assertEqual(self.status(bytes(range(256)) + b"\r\n\r\n"), 400)
        self.assertEqual(self.server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), b"")  # TLS
        self.assertEqual(self.server.raw(b""), b"")
        for both in (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
                     b"Content-Length: 4\r\nContent-Length: 5\r\n"):
            self.assertEqual(self.status(b"POST /v1/predict HTTP/1.1\r\n" + both + b"\r\n0\r\n\r\n"), 400)
        # A path that a regular expression would recur on, and encoded marks.
        for path in (b"/" + b"a" * 2000, b"/%00", b"/%2e%2e/%2e%2e/etc/passwd", b"/v2/models/%ff%fe",
                     b"//v2", b"/v1/predict?" + b"a=b&" * 400):
            self.assertIn(self.status(b"GET " + path + b" HTTP/1.1\r\n\r\n"), (404, 405))
        ranges = b"Range: bytes=" + b"0-1," * 1000 + b"2-3\r\nAccept-Encoding: br\r\n\r\n"
        answer = self.server.raw(b"GET / HTTP/1.1\r\n" + ranges)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer[:100])
        self.assertNotIn(b"Content-Encoding", answer)

    def test_bodies(self):
        post = b"POST /v1/predict HTTP/1.1\r\n"
        self.assertEqual(self.status(post + b"\r\n"), 411)
        self.assertEqual(self.status(post + b"Content-Length: 600000\r\n\r\n", end=False), 413)
        self.assertEqual(self.status(post + b"Content-Length: 9999999999999999999999\r\n\r\n"), 413)
        chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
        self.assertEqual(self.status(chunked + b"100000\r\n" + b"x" * 0x100000 + b"\r\n0\r\n\r\n"), 413)
        self.assertEqual(self.status(chunked + b"1\r\nx\r\n" * 300_000), 413)
        for wrong in (b"-1\r\nx\r\n0\r\n\r\n", b"zz\r\n", b"ffffffffffffffff\r\nx", b"5\r\nab",
                      b"1\r\nxyz\r\n0\r\n\r\n", b"1" * 4000):
            self.assertEqual(self.status(chunked + wrong), 400, wrong)
        gzip = post + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
        self.assertEqual(self.status(gzip), 415)

    def test_forms(self):
        body, headers = form(("a.jpg", picture()))
        self.assertEqual(self.server.post("/v1/predict", body, headers).status, 200)
        for cut in (0, 1, 30, 100, len(body) // 2, len(body) - 5):
            self.assertEqual(self.server.post("/v1/predict", body[:cut], headers).status, 400, cut)
        self.assertEqual(self.server.post("/v1/predict", body,
                                          {"Content-Type": "multipart/form-data"}).status, 400)
        disposition = b'name="' + b'"a;' * 1300 + b"\r\n\r\nx"
        hostile = body.replace(b'name="file"', disposition)
        self.assertIn(self.server.post("/v1/predict", hostile, headers).status, (400, 413, 415))
        many, headers = form(*[(str(k), b"x") for k in range(100)])
        self.assertEqual(self.server.post("/v1/predict", many, headers).status, 413)
        five, headers = form(*[(str(k), b"x") for k in range(5)])  # more than the queue has places
        self.assertEqual(self.server.post("/v1/predict", five, headers).status, 413)

    def test_infer(self):
        path = f"/v2/models/{CLASSIFIER.stem}/infer"

        def refused(body, headers=None, status=400):
            answer = self.server.post(path, body, headers)
            self.assertEqual(answer.status, status, body[:100])
            self.assertIsInstance(answer.json()["error"], str)
        for body in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"inputs":[{}]}', b"[" * 100_000,
                     b'{"inputs":' + b"[" * 5000, b'{"a":' * 5000, b'{"inputs":[{"name":1}]}',
                     b'{"id":7,"inputs":[]}'):
            refused(body, status=413 if body.startswith(b'{"inputs":[[') or b'{"a":{' in body else 400)
        data = struct.pack("<12f", *range(12))
        good, headers = binary_infer([("input", "FP32", [1, 3, 2, 2], data)])
        self.assertEqual(self.server.post(path, good, headers).status, 200)
        refused(good[:-1], headers)
        refused(good + b"x", headers)
        for length in ("0", "-1", "x", "99999", "18446744073709551616", str(len(good))):
            refused(good, {"Inference-Header-Content-Length": length})
        refused(good.replace(b"[1, 3, 2, 2]", b"[1, 3, 2, 9]"), headers)
        self.assertEqual(self.server.post(path, good.replace(b"[1, 3, 2, 2]", b"[4, 3, 1, 1]"),
                                          headers).status, 200)
        refused(good.replace(b"FP32", b"INT8"), headers, 415)
        lying = struct.pack("<I", 0xffffffff) + b"x"
        refused(*binary_infer([("image", "BYTES", [1], lying)]))
        refused(*binary_infer([("image", "BYTES", [1000000], b"\0\0\0\0" * 100_000)]))

    def test_bombs(self):
        def png(width, height, data):
            def chunk(kind, body):
                return (struct.pack(">I", len(body)) + kind + body +
                        struct.pack(">I", zlib.crc32(kind + body)))
            return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2,
                                                                      0, 0, 0)) +
                    chunk(b"IDAT", data) + chunk(b"IEND", b""))
        before = self.server.memory()
        self.assertEqual(self.server.post("/v1/predict", png(30000, 30000, b"")).status, 413)
        bomb = zlib.compress(bytes(100_000_000), 9)
        self.assertEqual(self.server.post("/v1/predict", png(5770, 5770, bomb)).status, 413)
        self.assertEqual(self.server.post("/v1/predict", png(600, 600, bomb[:200])).status, 400)
        self.assertIn(self.server.post("/v1/predict", picture()[:20_000]).status, (400,))
        for k in range(0, 2000, 97):
            broken = bytearray(picture())
            broken[k] ^= 0x55
            self.assertIn(self.server.post("/v1/predict", bytes(broken)).status, (200, 400, 413, 415))
        self.assertLess(self.server.memory() - before, 100e6)


if __name__ == "__main__":
    socket.setdefaulttimeout(60)
    unittest.main()
