#!/usr/bin/env python3
"""docs/guide/serve.md as it is written. Argument: the command asmlp, with asmlp-serve beside it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from serve_common import CLASSIFIER, DETECTOR, PHOTOS, SCENE, SOURCE, Server

ASMLP = str(Path(sys.argv.pop(1) if len(sys.argv) > 1 else "asmlp").resolve())
PAGE = (SOURCE / "docs/guide/serve.md").read_text()


class Docs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory())
                          if hasattr(cls, "enterClassContext") else tempfile.mkdtemp())
        for name, file in (("mask_rcnn.safetensors", DETECTOR), ("model.safetensors", CLASSIFIER),
                           ("photo.jpg", PHOTOS / "china.jpg"), ("a.jpg", SCENE), ("b.png", PHOTOS / "chelsea.png")):
            (cls.folder / name).symlink_to(file)
        before = os.getcwd()
        cls.addClassCleanup(os.chdir, before)
        os.chdir(cls.folder)
        cls.first = re.search(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1].splitlines()
        words = shlex.split(cls.first[0])
        assert words[:2] == ["asmlp", "serve"], words
        assert "--port" not in words
        models = [word for word in words[2:] if word != "--model"]
        cls.server = Server(ASMLP, models=models)
        cls.addClassCleanup(cls.server.__exit__)

    def test_curl(self):
        if not shutil.which("curl"):
            self.skipTest("there is no curl")
        commands = [line for line in self.first if line.startswith("curl ")]
        self.assertGreaterEqual(len(commands), 2)
        for command in commands:
            words = shlex.split(command.replace(":8080/", f":{self.server.port}/"))
            done = subprocess.run([words[0], "-sS", "--fail", "--noproxy", "*", *words[1:]], stdout=subprocess.PIPE)
            self.assertEqual(done.returncode, 0, command)
            self.assertIn(b'"images"', done.stdout)

    def test_paths(self):
        block = re.search(r"^GET  /v2 .*?^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
        paths = re.findall(r"(/v2\S*)", block.split("POST")[0])
        self.assertGreaterEqual(len(paths), 5)
        for path in paths:
            path = path.replace("NAME", "classes")
            for wanted in (path.replace("[/versions/1]", ""), path.replace("[", "").replace("]", "")):
                self.assertEqual(self.server.get(wanted).status, 200, wanted)
        self.assertEqual(self.server.get("/v1/models").status, 200)

    def test_metrics(self):
        table = PAGE[PAGE.index("| metric | labels | what |"):]
        table = table[:table.index("\n\n")]
        names = re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))
        self.assertGreaterEqual(len(names), 7)
        answer = self.server.post("/v1/predict", (PHOTOS / "china.jpg").read_bytes())
        self.assertEqual(answer.status, 200)
        shown = set(re.findall(r"^# TYPE (\w+)", self.server.get("/metrics").body.decode(), re.MULTILINE))
        self.assertEqual(set(names), shown)

    def test_options(self):
        """Every option that the page names, with the default that it names."""
        text = subprocess.run([ASMLP, "serve", "--help"], stdout=subprocess.PIPE, check=True, text=True).stdout
        for option in set(re.findall(r"`asmlp serve[^`]*?(--[a-z-]+)|`(--[a-z-]+)", PAGE)):
            name = option[0] or option[1]
            if name not in ("--clients",):
                self.assertIn(name, text)


if __name__ == "__main__":
    unittest.main()
