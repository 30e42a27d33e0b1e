#!/usr/bin/env python3
"""Every C and C++ snippet of README.md and docs/guide/api.md stands, verbatim, in a program of examples/, and every
CMake snippet of docs/guide/embed.md in a project of tests/install/.

The programs are compiled and run by examples_test.sh, the projects built by variants_test.sh. Argument: the root of the project. Indentation may
differ by the depth that the snippet has in the program.
"""

import re
import sys
import textwrap
from pathlib import Path

root = Path(sys.argv[1])
sources = {path.name: path.read_text() for path in sorted((root / "examples").glob("*.c*"))}
documents = {name: (root / name).read_text() for name in ("README.md", "docs/guide/api.md")}


def stands_in(snippet, source):
    lines = snippet.rstrip("\n").split("\n")
    all_lines = source.split("\n")
    for start in range(len(all_lines) - len(lines) + 1):
        part = "\n".join(all_lines[start:start + len(lines)])
        if textwrap.dedent(part) == textwrap.dedent("\n".join(lines)):
            return True
    return False


failed = False
for name, document in documents.items():
    snippets = re.findall(r"^```(?:c|cpp)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    failed |= len(snippets) == 0
    for snippet in snippets:
        if not any(stands_in(snippet, source) for source in sources.values()):
            print(f"{name}: in none of examples/ ({', '.join(sources)}):\n{snippet}")
            failed = True
    print(f"{name}: {len(snippets)} snippets checked")
projects = {path.parent.name: path.read_text() for path in (root / "tests" / "install").glob("embed*/CMakeLists.txt")}
snippets = re.findall(r"^```cmake\n(.*?)^```$", (root / "docs/guide/embed.md").read_text(), re.MULTILINE | re.DOTALL)
failed |= len(snippets) < 2
for snippet in snippets:
    if not any(stands_in(snippet, project) for project in projects.values()):
        print(f"docs/guide/embed.md: in none of tests/install/ ({', '.join(projects)}):\n{snippet}")
        failed = True
print(f"docs/guide/embed.md: {len(snippets)} snippets checked")
unmentioned = [name for name in sources if f"examples/{name}" not in documents["docs/guide/api.md"]]
if unmentioned:
    print(f"docs/guide/api.md does not mention {unmentioned}")
sys.exit(1 if failed or unmentioned else 0)
