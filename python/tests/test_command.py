"""The console script."""

import json
import subprocess
import sys

import asmlp
from asmlp._command import main, printable
from conftest import CLASSIFIER, DETECTOR, PHOTOS, SCENES, SEGMENTOR


def test_for_people(capsys):
    assert main(["predict", "-k", "2", str(PHOTOS[0])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(PHOTOS[0]) and len(lines) == 3 and "%" in lines[1]
    assert main(["detect", "-m", str(DETECTOR), str(SCENES[0])]) == 0
    assert "%" in capsys.readouterr().out
    assert main(["segment", "-m", str(SEGMENTOR), str(SCENES[0])]) == 0
    assert "%" in capsys.readouterr().out
    assert main(["info", str(CLASSIFIER)]) == 0
    assert "embedding_size" in capsys.readouterr().out
    assert main(["version"]) == 0
    assert capsys.readouterr().out.strip() == asmlp.__version__


def test_json(capsys):
    assert main(["detect", "--json", "-m", str(DETECTOR), *map(str, SCENES)]) == 0
    report = json.loads(capsys.readouterr().out)
    found = asmlp.Detector(DETECTOR).detect(SCENES)
    assert [[d["box"] for d in image["detections"]] for image in report["images"]] == [d.boxes.tolist() for d in found]
    assert main(["segment", "--json", "-m", str(SEGMENTOR), str(SCENES[0])]) == 0
    assert json.loads(capsys.readouterr().out)["images"][0]["classes"]
    assert main(["info", "--json", str(CLASSIFIER)]) == 0
    assert json.loads(capsys.readouterr().out)["num_classes"] == 10


def test_failures(capsys):
    assert main(["predict", "--json", "nowhere.jpg", str(PHOTOS[0])]) == 1
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert len(report["images"]) == 1 and report["failed"][0]["code"] == "not_found" and "nowhere.jpg" in err
    assert main(["predict", "-m", str(DETECTOR), str(PHOTOS[0])]) == 1
    assert printable("a\x1b[31m\u202eb") == "a\\x1b[31m\\u202eb"


def test_as_a_program():
    done = subprocess.run([sys.executable, "-m", "asmlp", "version"], stdout=subprocess.PIPE, check=True)
    assert done.stdout.decode().strip() == asmlp.__version__
    assert subprocess.run([sys.executable, "-m", "asmlp"], stderr=subprocess.DEVNULL).returncode == 2
