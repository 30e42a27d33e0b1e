#!/usr/bin/env python3
"""Checks that what the documentation points at exists.

    tools/check_links.py              check this project; exit code 1 and one line per broken reference
    tools/check_links.py --root DIR   check another copy
    tools/check_links.py --self-test  prove that every rule catches what it is for

Three kinds of references are checked, all without a network:
- links of Markdown files to files and headings of this project;
- names of C++ files in code spans of Markdown files (`core/error.h`): some file must end in that path;
- pages named in any text, comments and messages included (docs/NAME.md): the page must exist.
"""

import argparse
import re
import sys
import tempfile
from pathlib import Path

SKIPPED_FOLDERS = re.compile(r"^(\.|build|out$|output$|runs$|__pycache__)")
TEXT_SUFFIXES = {".md", ".h", ".hpp", ".cc", ".c", ".inc", ".py", ".sh", ".cmake", ".txt", ".yaml"}

FENCE = re.compile(r"^\s*(```|~~~)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+(?:\([^()]*\))?)\)")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
CPP_FILE = re.compile(r"[\w*/.-]+\.(?:h|hpp|cc|inc)$")
PAGE = re.compile(r"(?<![\w/(])docs/[\w/-]+\.md\b")
EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def project_files(root):
    """All files below root, as paths relative to it, without build folders and hidden ones."""
    found, folders = [], [root]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_dir() and not path.is_symlink():
                if not SKIPPED_FOLDERS.match(path.name):
                    folders.append(path)
            elif path.is_file():
                found.append(path.relative_to(root))
    return found


def prose_lines(text):
    """(number, line) of a Markdown text without its fenced blocks."""
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(text):
    """The anchors that GitHub gives to the headings of a Markdown text."""
    found = set()
    for _, line in prose_lines(text):
        match = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if not match:
            continue
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match.group(1))
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        name, count = slug, 0
        while name in found:
            count += 1
            name = f"{slug}-{count}"
        found.add(name)
    return found


def check_link(root, page, target):
    """Why the link of `page` is broken, or None."""
    if EXTERNAL.match(target):
        return None
    name, _, anchor = target.partition("#")
    path = (root / page).parent / name if name else root / page
    if not path.resolve().is_relative_to(root.resolve()):
        return f"{target} leads out of the project"
    if not path.exists():
        return f"{target}: no such file"
    if anchor and path.suffix == ".md" and anchor not in anchors(path.read_text(encoding="utf-8")):
        return f"{target}: {path.name} has no such heading"
    return None


def check_page(root, page, text, files):
    """Yields (line, message) for a Markdown file."""
    for number, line in prose_lines(text):
        for target in LINK.findall(CODE_SPAN.sub("", line)):
            problem = check_link(root, page, target)
            if problem:
                yield number, f"link {problem}"
        for span in CODE_SPAN.findall(line):
            if CPP_FILE.match(span) and not any(file.match(span) for file in files):
                yield number, f"`{span}`: no such source file"


def check_project(root):
    """The messages of all broken references, and the number of files read."""
    problems, files = [], project_files(root)
    sources = [file for file in files if file.suffix in {".h", ".hpp", ".cc", ".inc"}]
    texts = [file for file in files if file.suffix in TEXT_SUFFIXES]
    for file in texts:
        text = (root / file).read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".md":
            problems += [f"{file}:{line}: {message}"
                         for line, message in check_page(root, file, text, sources)]
        if file.name == Path(__file__).name:
            continue  # its self-test names pages that do not exist
        for number, line in enumerate(text.split("\n"), 1):
            problems += [f"{file}:{number}: names {name}: no such page"
                         for name in PAGE.findall(line) if not (root / name).is_file()]
    return problems, len(texts)


def self_test():
    """Each file holds one fault, which must be found; good.md holds none."""
    good = ("# Title: `a` & b\n[file](docs/page.md) [part](docs/page.md#one-two) [self](#title-a--b)\n"
            "[web](https://example.org/x.md) `page.h` `src/page.h` `*_test.cc`\n```\n[no](link.md)\n```\n")
    faults = {"missing.md": "[x](docs/none.md)\n", "heading.md": "[x](docs/page.md#three)\n",
              "outside.md": "[x](../secret.md)\n", "source.md": "see `src/none.h`\n",
              "comment.cc": "// docs/none.md\n", "block.md": "```\n# docs/none.md\n```\n"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        pages = {"good.md": good, "docs/page.md": "## One two\n## One two\n", "src/page.h": "\n",
                 "src/page_test.cc": "// docs/page.md\n", "build/ignored.md": "[x](none.md)\n", **faults}
        for name, text in pages.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        problems, _ = check_project(root)
    found = sorted(problem.split(":")[0] for problem in problems)
    if found != sorted(faults):
        print(f"self-test: faults found in {found}, expected in {sorted(faults)}")
        return 1
    print(f"self-test: {len(faults)} faults found")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    problems, files = check_project(arguments.root)
    for problem in problems:
        print(problem)
    print(f"{files} files checked: {len(problems)} broken references")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
