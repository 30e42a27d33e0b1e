"""The blocks of docs/guide/python.md, in order, and the example, as they are written."""

import re
import runpy
import shutil
import subprocess
import sys

import pytest

from conftest import DETECTOR, PHOTOS, ROOT, SCENES, SEGMENTOR


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, source in [("photo.jpg", PHOTOS[0]), ("street.jpg", SCENES[0]), ("detector.safetensors", DETECTOR),
                         ("segmentor.safetensors", SEGMENTOR)]:
        shutil.copy(source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_guide(folder):
    text = (ROOT / "docs" / "guide" / "python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 10
    names = {}
    for block in blocks:
        try:
            exec(compile(block, "docs/guide/python.md", "exec"), names)
        except ModuleNotFoundError as error:
            assert error.name == "torch", block


def test_the_commands_of_the_guide(folder):
    text = (ROOT / "docs" / "guide" / "python.md").read_text()
    lines = re.findall(r"^asmlp (.+)$", text, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        subprocess.run([sys.executable, "-m", "asmlp", *line.split()], check=True, stdout=subprocess.DEVNULL)


def test_the_example(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tour.py", "photo.jpg", "street.jpg", "detector.safetensors",
                                      "segmentor.safetensors"])
    runpy.run_path(str(ROOT / "python" / "examples" / "tour.py"), run_name="__main__")
    assert "most alike" in capsys.readouterr().out
