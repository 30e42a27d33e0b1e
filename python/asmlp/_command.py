"""The console script `asmlp` of the Python package: predict, detect, segment, info, and version.

A small command for who installed the package alone, with the same results as the command of the project,
which has many more commands and options (training, validation, conversion, quantization, benchmarks).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

from . import _models, _native
from ._classify import Classifier
from ._dense import Detector, Segmentor
from .errors import Error

Report = Dict[str, Any]


def printable(text: str) -> str:
    """Text of files as it may go to a terminal: what could control one is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _predict(runner: Classifier, file: str, options: argparse.Namespace) -> Report:
    found = runner.classify(file, options.topk)
    return {"predictions": [{"index": p.index, "label": p.label, "prob": p.probability} for p in found]}


def _detect(runner: Detector, file: str, options: argparse.Namespace) -> Report:
    found = runner.detect(file)
    entries = []
    for d in found:
        x1, y1, x2, y2 = d.box
        entry = {"label": d.name, "index": d.label, "score": d.score, "box": [x1, y1, x2, y2]}
        if d.rle is not None:
            entry.update(area=d.mask_area, segmentation=d.rle)
        entries.append(entry)
    return {"height": found.size[0], "width": found.size[1], "detections": entries}


def _segment(runner: Segmentor, file: str, options: argparse.Namespace) -> Report:
    found = runner.segment(file)
    height, width = found.labels.shape
    classes = [{"index": s.label, "label": s.name, "share": s.share} for s in found.shares]
    return {"height": height, "width": width, "classes": classes}


def _lines(entry: Report, threshold: float) -> Iterator[str]:
    """A result for people."""
    for p in entry.get("predictions", ()):
        yield f"{p['prob']:9.2%}  {printable(p['label'])}"
    for d in entry.get("detections", ()):
        if d["score"] >= threshold:
            yield f"{d['score']:9.1%}  {printable(d['label'])}  {' '.join(f'{x:.0f}' for x in d['box'])}"
    for c in entry.get("classes", ()):
        yield f"{c['share']:9.2%}  {printable(c['label'])}"


def _run(make: Callable[..., Any], run: Callable[..., Report], options: argparse.Namespace) -> int:
    """Looks at every image; one that cannot be read is named, the others are done, and the exit code is 1."""
    runner = make(options.model, threads=options.threads)
    report: Report = {"model": {"name": runner.model.name}, "images": [], "failed": []}
    start = time.perf_counter()
    for file in options.images:
        try:
            entry = {"file": file, **run(runner, file, options)}
        except Error as error:
            print(f"asmlp: error: {printable(error.message)}", file=sys.stderr)
            report["failed"].append({"file": file, "code": error.code, "message": error.message})
            continue
        report["images"].append(entry)
        if not options.json:
            print(printable(file))
            for line in _lines(entry, getattr(options, "threshold", 0.0)):
                print(line)
    report["seconds"] = time.perf_counter() - start
    if options.json:
        print(json.dumps(report, indent=2))
    return 1 if report["failed"] else 0


def _info(options: argparse.Namespace) -> int:
    known = dataclasses.asdict(_models.as_model(options.model).info)
    known["features"] = [dict(zip(("name", "channels", "stride"), f)) for f in known["features"]]
    if options.json:
        print(json.dumps(known, indent=2))
        return 0
    known.update(classes=", ".join(known["classes"]), features=", ".join(f["name"] for f in known["features"]))
    del known["description"]
    for key, value in known.items():
        print(f"{key:16}{printable(str(value))}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="asmlp", description="AS-MLP vision models on a CPU (the Python package's "
                                     "command; that of the project has more).")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("images", nargs="+", metavar="IMG", help="image files")
        command.add_argument("-m", "--model", metavar="FILE", help="weight file (default: the bundled one of the task)")
        command.add_argument("-j", "--threads", type=int, default=0, metavar="N", help="threads (default: all cores)")
        command.add_argument("--json", action="store_true", help="print one JSON document")
        return command

    predict = add("predict", "What is on these images?")
    predict.add_argument("-k", "--topk", type=int, default=5, metavar="K", help="classes per image (default: 5)")
    predict.set_defaults(run=lambda options: _run(Classifier, _predict, options))
    detect = add("detect", "Which objects are on these images, and where?")
    detect.add_argument("--threshold", type=float, default=0.3, metavar="X",
                        help="least score that is printed (default: 0.3); --json has all")
    detect.set_defaults(run=lambda options: _run(Detector, _detect, options))
    segment = add("segment", "How much of these images has which class?")
    segment.set_defaults(run=lambda options: _run(Segmentor, _segment, options))
    info = commands.add_parser("info", help="What is known of a model", description="What is known of a model")
    info.add_argument("model", nargs="?", metavar="FILE", help="weight file (default: the bundled one)")
    info.add_argument("--json", action="store_true", help="print one JSON document")
    info.set_defaults(run=_info)
    version = commands.add_parser("version", help="The version of the library")
    version.set_defaults(run=lambda options: print(_native.version()) or 0)
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    """The exit code: 0 when all is done, 1 after an error, 2 after wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except (Error, MemoryError) as error:
        print(f"asmlp: error: {printable(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader has gone: asmlp | head
        sys.stdout = None
        return 141
