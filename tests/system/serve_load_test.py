#!/usr/bin/env python3
"""tools/serve_load.py against a small server for a moment: no request is lost, every answer is the
same, memory stays bounded. Argument: the command asmlp."""

import json
import subprocess
import sys

from serve_common import CLASSIFIER, SOURCE, Server


def main():
    with Server(sys.argv[1], "--max-queue", "4", "--max-batch", "2", "--log", "off") as server:
        def load(*words):
            done = subprocess.run([sys.executable, SOURCE / "tools" / "serve_load.py",
                                   f"http://127.0.0.1:{server.port}", "--model", CLASSIFIER.stem,
                                   "--size", "128", "--pid", str(server.process.pid), *words],
                                  check=True, capture_output=True, timeout=120)
            return json.loads(done.stdout)
        for words in (["--clients", "3", "--seconds", "2"],
                      ["--clients", "40", "--seconds", "3", "--impatient"],
                      ["--clients", "30", "--seconds", "3", "--rate", "400"]):
            result = load(*words)
            print(words, result)
            assert set(result["codes"]) <= {"200", "503"}, result
            assert result["codes"]["200"] > 0 and result["lost"] == 0, result
            assert result["different_answers"] == 1, result
            assert result["memory_mb"]["most"] < result["memory_mb"]["before"] + 150, result
        assert server.terminate() == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
