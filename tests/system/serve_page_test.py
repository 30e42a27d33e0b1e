#!/usr/bin/env python3
"""The page of `asmlp serve` in headless Chromium: photos are chosen, results are drawn. Exit code 77
where there is no chromium. Arguments: the command asmlp; optionally a folder for screenshots."""

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serve_common import CLASSIFIER, DETECTOR, PHOTOS, SCENE, SEGMENTOR, Server

SKIPPED = 77


class Browser:
    """Chromium over its pipe: JSON messages that end with a zero byte, on descriptors 3 and 4."""

    def __init__(self, program, folder):
        to_read, self.to = os.pipe()
        self.from_, from_write = os.pipe()

        def connect():
            high = [os.dup(to_read), os.dup(from_write)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
        words = [program, "--headless=new", "--remote-debugging-pipe", "--no-first-run",
                 "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                 f"--user-data-dir={folder}", "--window-size=1000,760"]
        if os.geteuid() == 0:
            words.append("--no-sandbox")
        self.process = subprocess.Popen(words, preexec_fn=connect, close_fds=False,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read), os.close(from_write)
        self.data, self.number, self.session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            while b"\0" not in self.data:
                if not select.select([self.from_], [], [], max(0, end - time.monotonic()))[0]:
                    raise TimeoutError(method)
                block = os.read(self.from_, 1 << 20)
                if not block:
                    raise RuntimeError("chromium has ended")
                self.data += block
            text, self.data = self.data.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, script):
        end = time.monotonic() + 60
        while not self.run(script):
            if time.monotonic() > end:
                error = self.run("document.getElementById('error').textContent")
                raise TimeoutError(f"{script} stays false; the page says '{error}'")
            time.sleep(0.05)

    def choose(self, file):
        self.run("delete document.body.dataset.done")
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def screenshot(self, file):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        Path(file).write_bytes(base64.b64decode(data))

    def end(self):
        self.session = None
        try:  # so that its processes have left their folder
            self.call("Browser.close")
            self.process.wait(20)
        except (OSError, RuntimeError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.to), os.close(self.from_)


# The share of the canvas that differs from the photo alone.
PAINTED = """(() => {
  const canvas = document.getElementById("canvas"), plain = document.createElement("canvas");
  plain.width = canvas.width; plain.height = canvas.height;
  const context = plain.getContext("2d");
  context.drawImage(photo.bitmap, 0, 0, plain.width, plain.height);
  const size = [0, 0, plain.width, plain.height];
  const a = canvas.getContext("2d").getImageData(...size).data, b = context.getImageData(...size).data;
  let changed = 0;
  for (let i = 0; i < a.length; i += 4) if (a[i] !== b[i] || a[i + 1] !== b[i + 1]) ++changed;
  return 4 * changed / a.length;
})()"""
ROWS = "document.querySelectorAll('#side tr').length"


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def main():
    asmlp, *folder = sys.argv[1:]
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        print("skipped: no chromium (Debian: apt-get install chromium)")
        return SKIPPED
    models = [CLASSIFIER, f"detector={DETECTOR}", f"segmentor={SEGMENTOR}"]
    with Server(asmlp, models=models) as server, tempfile.TemporaryDirectory(
            ignore_cleanup_errors=True) as home:
        browser = Browser(program, home)
        try:
            def shot(name):
                if folder:
                    browser.screenshot(Path(folder[0]) / name)
            browser.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
            browser.wait("document.readyState === 'complete' && models.length === 3")
            browser.choose(PHOTOS / "rocket.jpg")
            browser.wait("document.body.dataset.done === 'classify'")
            check(browser.run(ROWS) >= 5, "five classes are listed")
            check(browser.run(PAINTED) == 0, "the photo alone")
            shot("serve_classify.png")

            for task, name in [("detect", "detector"), ("segment", "segmentor")]:
                browser.run(f"at('model').value = '{name}'; at('model').onchange()")
                browser.wait(f"document.body.dataset.done === '{task}'")
                if task == "detect":  # the same file again would be no change
                    browser.choose(SCENE)
                browser.wait(f"document.body.dataset.done === '{task}'")
                painted = browser.run(PAINTED)
                check(painted > 0.02, f"{task}: something is drawn, {painted}")
                check(browser.run(ROWS) >= 1, f"{task}: something is listed")
                check(browser.run("document.getElementById('error').textContent") == "", "an error")
                shot(f"serve_{task}.png")
            # The runs of every mask end at the last pixel, and hold its area.
            check(browser.run("""(async () => {
              const body = photo.blob;
              const found = await (await fetch("v1/detect", {method: "POST", body})).json();
              return found.images[0].detections.every(d => {
                const runs = maskRuns(d.segmentation.counts), sum = (a, b) => a + b;
                return runs.reduce(sum, 0) === d.segmentation.size[0] * d.segmentation.size[1] &&
                    runs.filter((_, k) => k % 2).reduce(sum, 0) === d.area;
              });
            })()"""), "the masks are decoded")
            with tempfile.NamedTemporaryFile(suffix=".png") as text:
                text.write(b"no picture")
                text.flush()
                browser.choose(text.name)
                browser.wait("document.getElementById('error').textContent.includes('no picture')")
        finally:
            browser.end()
    print("the page classifies, detects, and segments")
    return 0


if __name__ == "__main__":
    sys.exit(main())
