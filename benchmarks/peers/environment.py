"""The virtual environment of the peers, allocators to preload, and what is known of the machine."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Peer: what has to be installed for it. ONNX files come from PyTorch's exporter.
PACKAGES = {"torch": ["torch"], "openvino": ["openvino", "nncf"], "onnxruntime": ["onnxruntime", "onnx", "onnxscript"]}
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"  # a tenth of the size of PyPI's


def say(text):
    print(text, file=sys.stderr, flush=True)


class Environment:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.python = self.folder / "venv" / "bin" / "python"
        self.skipped = []  # what could not be had, and why

    def skip(self, what, why):
        self.skipped.append(f"{what}: {why}")
        say(f"skipped: {what}: {why}")

    def worker(self, job):
        """One job of worker.py that ends; its answer."""
        done = subprocess.run([self.python, HERE / "worker.py", json.dumps(job)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        answer = json.loads(done.stdout) if done.stdout.strip() else {"error": done.stderr.strip()[-300:] or "died"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def pip(self, *words):
        return subprocess.run([self.python, "-m", "pip", "install", "--disable-pip-version-check", *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def prepare(self, peers):
        """Makes the environment; the peers among `peers` that are there now, and the versions."""
        if not self.python.exists():
            say(f"making {self.folder}/venv")
            self.folder.mkdir(parents=True, exist_ok=True)
            made = subprocess.run([sys.executable, "-m", "venv", self.python.parent.parent])
            if made.returncode != 0:
                sys.exit("peers.sh: cannot make a virtual environment; on Debian: apt-get install python3-venv")
        have = self.versions(["numpy"]) if self.pip("numpy").returncode == 0 else {}
        if "numpy" not in have:
            sys.exit("peers.sh: cannot install numpy from PyPI, nothing can be measured without it")
        for peer in ["torch"] + [peer for peer in peers if peer != "torch"]:
            missing = [p for p in PACKAGES[peer] if p not in self.versions(PACKAGES[peer])]
            for package in missing:
                say(f"installing {package}")
                done = None
                if package == "torch":
                    done = self.pip("--retries", "0", "--timeout", "10", "--index-url", CPU_WHEELS, package)
                if done is None or done.returncode != 0:
                    done = self.pip(package)
                if done.returncode != 0:
                    why = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["pip failed"]
                    self.skip(package, f"cannot be installed: {why[-1]}")
        versions = self.versions(["numpy"] + [p for names in PACKAGES.values() for p in names])
        if "torch" not in versions:
            self.skip("all peers", "PyTorch makes the ONNX files and is not there")
            return [], versions
        for peer in list(peers):
            lacking = [p for p in PACKAGES[peer] if p not in versions and p != "nncf"]
            if lacking:
                self.skip(peer, f"{', '.join(lacking)} not installed")
        return [p for p in peers if all(n in versions or n == "nncf" for n in PACKAGES[p])], versions

    def versions(self, packages):
        return self.worker({"job": "versions", "packages": packages}) if self.has_numpy() else {}

    def has_numpy(self):
        return subprocess.run([self.python, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode == 0

    def allocators(self):
        """Allocators as variables of PyTorch's environment: glibc as it is and tuned, and Debian's others."""
        found = {"glibc": {}, "MALLOC_ tuned": {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "67108864",
                                                "MALLOC_MMAP_THRESHOLD_": "4294967296"}}
        for name, package, library in [("tcmalloc", "libtcmalloc-minimal4", "libtcmalloc_minimal.so.4"),
                                       ("jemalloc", "libjemalloc2", "libjemalloc.so.2")]:
            path = self.library(package, library)
            if path:
                found[name] = {"LD_PRELOAD": str(path)}
            else:
                self.skip(name, f"neither installed nor downloadable; apt-get install {package}")
        return found

    def thread_runtimes(self):
        """OpenMP libraries as variables of PyTorch's environment: its own, whose waiting threads spin or sleep, and
        Intel's."""
        found = {"libgomp, passive": {"OMP_WAIT_POLICY": "passive"}, "libgomp": {}}
        if platform.machine() != "x86_64":
            return found
        done = self.pip("intel-openmp")
        hits = sorted((self.folder / "venv").glob("lib/**/libiomp5.so")) if done.returncode == 0 else []
        if hits:
            found = {"Intel OpenMP": {"LD_PRELOAD": str(hits[0]), "KMP_BLOCKTIME": "1"}, **found}
        else:
            self.skip("intel-openmp", "cannot be installed")
        return found

    def library(self, package, library):
        """A library of the system, else of Debian's package, unpacked into the environment's folder."""
        unpacked = self.folder / "debian"
        for root in [Path("/usr/lib"), unpacked]:
            hits = sorted(root.glob(f"**/{library}"))
            if hits:
                return hits[0]
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            return None
        unpacked.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", package], cwd=unpacked, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
        files = sorted(unpacked.glob(f"{package}_*.deb"))
        if done.returncode != 0 or not files:
            return None
        subprocess.run(["dpkg", "-x", files[0], unpacked], check=True)
        hits = sorted(unpacked.glob(f"**/{library}"))
        return hits[0] if hits else None


def processor_seconds():
    """Seconds that all processors have been busy since the start of the machine."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, words)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def process_seconds(pid):
    """Seconds of processor time of a process."""
    words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
