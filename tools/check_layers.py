#!/usr/bin/env python3
"""Checks the rules that the compiler does not: rooms and their levels, third-party includes, file length, ASCII.

    tools/check_layers.py              check this project; exit code 1 and one line per violation
    tools/check_layers.py --root DIR   check another copy
    tools/check_layers.py --self-test  prove that every rule catches what it is for

docs/design/architecture.md explains the rooms, docs/design/decisions/0011-rooms.md why they are these.
"""

import argparse
import collections
import re
import sys
import tempfile
from pathlib import Path

# Rooms from the lowest level to the highest, one level a line. A file may include its own room and
# rooms of a strictly lower level. A room is a folder of asmlp/ without its sub-rooms; "dataset" is
# asmlp/dataset itself, "dataset/coco" the folder below it.
ROOMS = [
    ["core"],
    ["core/files", "schema", "kernels", "metrics"],
    ["kernels/arm", "model", "torch/kernels"],
    ["detection", "model/baselines"],
    ["model/description", "weights/pytorch"],
    ["image", "weights"],
    ["image/labels", "image/opencv", "onnx"],
    ["dataset", "segmentation"],
    ["dataset/cache", "dataset/coco", "dataset/ade20k", "dataset/shards"],
    ["dataset/classification", "dataset/synthetic"],
    ["engine", "report"],
    ["engine/heads"],
    ["api", "quantize", "report/draw", "study", "torch/ops", "torch/distributed"],
    ["torch/ops/conv", "server/protocol", "server/queue"],
    ["torch/nn", "server"],
    ["torch/baselines", "torch/io", "torch/data/augment", "torch/optim"],
    ["torch/data"],
    ["torch/detect/ops", "torch/segment"],
    ["torch/detect/roi", "torch/detect/data"],
    ["torch/detect/model"],
    ["torch/detect"],
    ["torch/train"],
    ["torch/train/tasks"],
    ["cli/terminal"],
    ["cli/options", "cli/draw"],
    ["cli/images"],
    ["cli/bench", "cli/dense"],
    ["cli/commands"],
    ["cli"],
    ["cli_torch", "cli_serve"],
    ["cli_torch/train"],
]
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
MAX_FILES_OF_A_ROOM = 40

# What the levels alone would allow, but the design does not: the two execution paths meet in tests.
FORBIDDEN = {("torch", "engine"), ("torch", "api"), ("torch", "onnx"), ("api", "onnx"), ("torch", "quantize"), ("torch", "study")}

# The installed headers (include/) and the layers that implement them. They include one another and the
# standard library, nothing else; examples/ includes nothing else of ours.
PUBLIC_HEADERS = {"asmlp/export.h": "core", "asmlp/error.hpp": "core", "asmlp/enums.hpp": "core",
                  "asmlp/asmlp.h": "api", "asmlp/asmlp.hpp": "api", "asmlp/dense.hpp": "api",
                  "asmlp/weights.hpp": "api"}
PUBLIC_FOLDERS = {"include", "examples"}
STANDARD_HEADER = re.compile(r"[a-z_]+$|(stddef|stdint)\.h$")

# Headers of tests/support/ that rest on a room above core: for the tests that may include that room.
HELPERS = {
    "ade_files.h": "torch/data/augment",
    "boxes.h": "torch/detect/ops",
    "coco_layouts.h": "dataset/coco",
    "command.h": "cli",
    "dense_files.h": "engine/heads",
    "dense_input.h": "model",
    "detectors.h": "torch/detect/model",
    "golden.h": "engine",
    "gradients.h": "torch/ops",
    "images.h": "torch/data/augment",
    "kernel_sets.h": "kernels",
    "model_files.h": "api",
    "modules.h": "torch/nn",
    "networks.h": "weights",
    "quantized.h": "model",
    "random_config.h": "model",
    "ranks.h": "torch/distributed",
    "segmentors.h": "torch/segment",
    "small_specs.h": "model",
    "tar.h": "dataset/shards",
    "trainer_runs.h": "torch/train/tasks",
}

LAYERS = {room.split("/")[0] for room in LEVELS}

# Third-party headers by their path, and the only layers that may know them.
THIRD_PARTY = [
    (re.compile(r"(torch|ATen|c10|caffe2)/"), {"torch", "cli_torch"}),
    (re.compile(r"cairo"), {"report"}),
    (re.compile(r"CLI/"), {"cli", "cli_torch", "cli_serve"}),
    (re.compile(r"(onnx|google/protobuf)/"), {"onnx"}),
    (re.compile(r"httplib\.h"), {"server"}),
    (re.compile(r"(jpeglib|jerror|spng|libdeflate)\.h|webp/"), {"image"}),
    (re.compile(r"archive(_entry)?\.h"), {"dataset"}),
    (re.compile(r"yaml\.h$"), {"schema"}),
    (re.compile(r"nlohmann/"),
     set(LAYERS) - {"core", "kernels", "metrics", "image", "detection", "segmentation", "api"}),
]

# The library reports by exception and callback only; the commands, tests and fuzz mains may print.
PRINTING_LAYERS = {"cli", "cli_torch", "cli_serve"}
FORKING_FILES = {Path("asmlp/study/child.cc")}  # whose child ends by _exit when it cannot start
PRINTING = re.compile(r"std::(cout|cerr|clog|exit|abort|terminate|quick_exit)\b|"
                      r"\b(?<!\.)(printf|puts|fprintf|putchar|perror|_exit)\s*\(|\bfmt::print\b")

MAX_LINES, WARN_LINES = 600, 400
HEADER_SUFFIXES = {".h", ".hpp"}
CPP_SUFFIXES = HEADER_SUFFIXES | {".cc", ".inc"}
TEXT_SUFFIXES = CPP_SUFFIXES | {".c", ".map", ".py", ".sh", ".cmake", ".txt", ".yaml", ".json"}
SOURCE_FOLDERS = ["asmlp", "include", "examples", "tests", "benchmarks", "cmake", "scripts", "tools", "recipes"]
DATA_FOLDERS = [("tests", "data"), ("tests", "fuzz", "corpus"), ("benchmarks", "results")]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CMAKE_LAYER = re.compile(r"asmlp_layer\s*\(\s*(\w+)([^)]*)\)")
COMMENTS_AND_STRINGS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'',
    re.DOTALL)


def is_test(path):
    return path.name.endswith(("_test.cc", "_fuzz.cc"))


def layer_of(path):
    """The first folder of a path below asmlp/, or None outside asmlp/."""
    return path.parts[1] if path.parts[0] == "asmlp" and len(path.parts) > 2 else None


def room_of(path):
    """The folder of a path below asmlp/, as ROOMS names it, or None outside asmlp/."""
    return "/".join(path.parts[1:-1]) if layer_of(path) else None


def check_own_include(path, included):
    """Why `path` may not include the project's header `included`, or None."""
    target = Path(included)
    if path.parts[0] in PUBLIC_FOLDERS:
        return None if included in PUBLIC_HEADERS else f"includes {included}, which is not installed"
    if included in PUBLIC_HEADERS:
        target = Path("asmlp") / PUBLIC_HEADERS[included] / target.name
    if target.parts[0] == "tests":
        if path.parts[0] == "asmlp" and not is_test(path):
            return f"includes {included}: only *_test.cc and *_fuzz.cc files may include tests/"
        if target.parts[1] != "support":
            return f"includes {included}: helpers of tests stand in tests/support/"
        if target.name not in HELPERS or layer_of(path) is None:
            return None
        target = Path("asmlp") / HELPERS[target.name] / target.name  # as if it stood in that room
    room, other = room_of(path), room_of(target)
    if other not in LEVELS:
        return f"includes {included}, which is in no room (known: {', '.join(LEVELS)})"
    if room is None:
        # tests/support/*.h serve the tests of every room, so they may rest on the lowest one only, or
        # see what the room sees that HELPERS names; the other folders of tests/ and benchmarks/ hold
        # programs that see everything.
        if path.parts[:2] == ("tests", "support") and path.suffix == ".h":
            serves = HELPERS.get(path.name, "core")
            if other != serves and LEVELS[other] >= LEVELS[serves]:
                return (f"includes {included}: a header for the tests of {serves} may include "
                        f"{serves} and lower levels only")
        return None
    if other == room:
        return None
    if (layer_of(path), layer_of(target)) in FORBIDDEN:
        return (f"includes {included}: {layer_of(path)} must know nothing of {layer_of(target)} "
                f"(they meet in tests/)")
    if is_test(path) and other.startswith(room + "/"):
        return None  # what a room does is often seen only with what its sub-rooms make of it
    if LEVELS[other] >= LEVELS[room]:
        return (f"includes {included}: room {room} (level {LEVELS[room]}) may include lower "
                f"levels only, {other} is at level {LEVELS[other]}")
    return None


def check_third_party(path, included):
    if path.parts[0] == "include" and not STANDARD_HEADER.match(included):
        return f"includes <{included}>: installed headers need the standard library only"
    layer = layer_of(path)
    if layer is None:
        if path.parts[:2] != ("tests", "support") or path.suffix != ".h":
            return None
        layer = HELPERS.get(path.name, "core").split("/")[0]
    for pattern, allowed in THIRD_PARTY:
        if pattern.match(included) and layer not in allowed:
            return f"includes <{included}>: only {', '.join(sorted(allowed))} may"
    return None


def check_cpp(path, text):
    """Yields (line, message) for a C++ file."""
    layer = layer_of(path)
    if path.parts[0] == "asmlp" and room_of(path) not in LEVELS:
        yield 1, "is in no room: add its folder to ROOMS in tools/check_layers.py"
        return
    for number, line in enumerate(text.split("\n"), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, included = match.groups()
        if included.split("/")[0] in ("asmlp", "tests"):
            problem = check_own_include(path, included)
        elif bracket == '"' and path.parts[0] == "asmlp":
            problem = f'includes "{included}": write project headers from the root (asmlp/...)'
        else:
            problem = check_third_party(path, included)
        if problem:
            yield number, problem

    if path.suffix in HEADER_SUFFIXES and not re.search(r"^#pragma once$", text, re.MULTILINE):
        yield 1, "is a header without #pragma once"
    code = COMMENTS_AND_STRINGS.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)
    if layer is not None:
        for match in re.finditer(r"\bnamespace\s+(asmlp::torch\b|torch\b)", code):
            yield code.count("\n", 0, match.start()) + 1, \
                "opens a namespace called torch, which hides LibTorch's ::torch"
        if layer not in PRINTING_LAYERS and not is_test(path) and path not in FORKING_FILES:
            for match in PRINTING.finditer(code):
                yield code.count("\n", 0, match.start()) + 1, \
                    f"uses {match.group().strip('( ')}: library code never prints, exits or aborts"


def check_cmake(text):
    """Yields (line, message) for a CMakeLists.txt of a layer."""
    for match in CMAKE_LAYER.finditer(text):
        name, rest = match.groups()
        words = rest.split()
        depends = words[words.index("DEPENDS") + 1:] if "DEPENDS" in words else []
        for other in depends:
            if other.isupper():
                break
            if lowest(other) >= highest(name) or (name, other) in FORBIDDEN:
                yield text.count("\n", 0, match.start()) + 1, f"layer {name} depends on {other}"


def levels_of(layer):
    return [level for room, level in LEVELS.items() if room.split("/")[0] == layer]


def lowest(layer):
    return min(levels_of(layer), default=99)


def highest(layer):
    return max(levels_of(layer), default=-1)


def source_files(root):
    for folder in SOURCE_FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            relative = path.relative_to(root)
            if any(relative.parts[:len(data)] == data for data in DATA_FOLDERS):
                continue
            if path.suffix in TEXT_SUFFIXES and path.is_file():
                yield path, relative
    if (root / "CMakeLists.txt").is_file():
        yield root / "CMakeLists.txt", Path("CMakeLists.txt")


def check_tree(root):
    """All violations and warnings under `root`, as lines "file:line: message"."""
    errors, warnings, files = [], [], 0
    rooms = collections.Counter()
    for path, relative in source_files(root):
        files += 1
        if room_of(relative):
            rooms[room_of(relative)] += 1
        raw = path.read_bytes()
        for number, line in enumerate(raw.split(b"\n"), 1):
            if not line.isascii():
                errors.append(f"{relative}:{number}: is not ASCII")
        text = raw.decode("utf-8", errors="replace")
        found = []
        if path.suffix in CPP_SUFFIXES:
            found = check_cpp(relative, text)
        elif path.name == "CMakeLists.txt":
            found = check_cmake(text)
        errors += [f"{relative}:{number}: {message}" for number, message in found]
        lines = text.count("\n")
        if lines > MAX_LINES:
            errors.append(f"{relative}:{MAX_LINES + 1}: has {lines} lines; {MAX_LINES} are allowed")
        elif lines > WARN_LINES:
            warnings.append(f"{relative}:{WARN_LINES + 1}: warning: has {lines} lines; split it?")
    for room, count in rooms.items():
        if count > MAX_FILES_OF_A_ROOM:
            errors.append(f"asmlp/{room}: has {count} files; a room has at most "
                          f"{MAX_FILES_OF_A_ROOM}: split it by purpose")
    if files == 0:
        errors.append(f"{root}: holds no sources")
    return errors, warnings, files, rooms


# Every line: a file, its content, and what the message about it must contain (None: no message).
SELF_TEST = [
    ("asmlp/core/a.h", "#pragma once\n#include <vector>\n", None),
    ("asmlp/core/up.cc", '#include "asmlp/model/a.h"\n', "lower levels only"),
    ("asmlp/model/down.cc", '#include "asmlp/core/a.h"\n', None),
    ("asmlp/schema/beside.cc", '#include "asmlp/kernels/a.h"\n', "lower levels only"),
    ("asmlp/torch/nn/path.cc", '#include "asmlp/engine/engine.h"\n', "nothing of engine"),
    ("asmlp/torch/nn/own.cc", '#include "asmlp/torch/ops/a.h"\n#include <torch/torch.h>\n', None),
    ("asmlp/torch/ops/up.cc", '#include "asmlp/torch/nn/a.h"\n', "lower levels only"),
    ("asmlp/torch/nn/data.cc", '#include "asmlp/report/a.h"\n', None),
    ("asmlp/engine/aten.cc", "// line\n#include <ATen/ATen.h>\n", "aten.cc:2: includes <ATen/ATen.h>"),
    ("asmlp/engine/torch.cc", "  #  include <torch/torch.h>\n", "only cli_torch, torch may"),
    ("asmlp/image/draw.cc", "#include <cairo.h>\n", "only report may"),
    ("asmlp/report/draw.cc", "#include <cairo.h>\n", None),
    ("asmlp/cli/parse.cc", "#include <CLI/CLI.hpp>\n", None),
    ("asmlp/weights/uses_tests.cc", '#include "tests/support/support.h"\n', "may include tests/"),
    ("asmlp/weights/a_test.cc", '#include "tests/support/support.h"\n', None),
    ("asmlp/weights/b_test.cc", '#include "asmlp/engine/engine.h"\n', "lower levels only"),
    ("asmlp/weights/relative.cc", '#include "pth.h"\n', "from the root"),
    ("asmlp/weights/nowhere.cc", '#include "asmlp/wieghts/pth.h"\n', "in no room"),
    ("asmlp/stray/a.cc", "\n", "in no room"),
    ("asmlp/core/bare.h", "struct A {};\n", "without #pragma once"),
    ("asmlp/core/loud.cc", "\n\nvoid f() { std::cerr << 1; }\n", "loud.cc:3: uses std::cerr"),
    ("asmlp/core/quiet.cc", '// std::cout\nauto s = "printf(";\nint n = std::snprintf(0, 0, s);\n',
     None),
    ("asmlp/cli/loud.cc", "void f() { std::cout << 1; }\n", None),
    ("asmlp/torch/nn/space.cc", "namespace asmlp::torch {}\n", "hides LibTorch"),
    ("asmlp/core/accent.cc", "// na\u00efve\n", "not ASCII"),
    ("asmlp/core/long.cc", "\n" * (MAX_LINES + 1), "lines; 600 are allowed"),
    ("asmlp/core/longish.cc", "\n" * MAX_LINES, None),
    ("asmlp/weights/CMakeLists.txt", "asmlp_layer(weights DEPENDS core engine LIBRARIES x)\n",
     "weights depends on engine"),
    ("asmlp/dataset/CMakeLists.txt", "asmlp_layer(dataset DEPENDS core image)\n", None),
    ("tests/support/support.h", '#pragma once\n#include "asmlp/engine/engine.h"\n', "for the tests of core"),
    ("tests/support/random_config.h", '#pragma once\n#include "asmlp/model/config.h"\n', None),
    ("tests/support/trainer_runs.h", '#pragma once\n#include "asmlp/weights/a.h"\n', None),
    ("asmlp/engine/h_test.cc", '#include "tests/support/random_config.h"\n', None),
    ("asmlp/kernels/h_test.cc", '#include "tests/support/random_config.h"\n', "lower levels only"),
    ("tests/parity/a_test.cc", '#include <torch/torch.h>\n#include "asmlp/engine/engine.h"\n', None),
    ("include/asmlp/asmlp.hpp", '#pragma once\n#include <vector>\n#include "asmlp/error.hpp"\n', None),
    ("include/asmlp/asmlp.h", '#pragma once\n#include <stdint.h>\n#include "asmlp/export.h"\n', None),
    ("include/asmlp/error.hpp", "#pragma once\n#include <fmt/format.h>\n", "standard library only"),
    ("include/asmlp/enums.hpp", "enum class A {};\n", "without #pragma once"),
    ("include/asmlp/export.h", '#pragma once\n#include "asmlp/core/a.h"\n', "not installed"),
    ("examples/a.cc", "#include <asmlp/asmlp.h>\n#include <asmlp/asmlp.hpp>\n", None),
    ("examples/b.cc", '#include "asmlp/engine/engine.h"\n', "not installed"),
    ("asmlp/core/public.cc", '#include "asmlp/error.hpp"\n#include "asmlp/enums.hpp"\n', None),
    ("asmlp/engine/public.cc", '#include "asmlp/asmlp.hpp"\n', "lower levels only"),
    ("asmlp/api/c_api.cc", '#include "asmlp/asmlp.h"\n#include "asmlp/asmlp.hpp"\n', None),
    ("tests/data/golden/x.json", "{\u00e9}\n", None),
]


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, content, _ in SELF_TEST:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        errors, _, _, _ = check_tree(root)
    failures = []
    for name, _, expected in SELF_TEST:
        messages = [e for e in errors if e.startswith(name + ":")]
        if expected is None and messages:
            failures.append(f"self-test: reported without cause: {messages[0]}")
        if expected is not None and not any(expected in m for m in messages):
            failures.append(f"self-test: {name}: expected '{expected}', got {messages}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--rooms", action="store_true", help="also print the rooms by level with "
                        "their numbers of files")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        errors, warnings, checked, rooms = self_test(), [], len(SELF_TEST), {}
    else:
        errors, warnings, checked, rooms = check_tree(arguments.root)
    if arguments.rooms:
        for level, names in enumerate(ROOMS):
            print(f"{level:3}  " + "  ".join(f"{name} ({rooms.get(name, 0)})" for name in names))
    for line in warnings + errors:
        print(line)
    print(f"{checked} files checked: {len(errors)} errors, {len(warnings)} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
