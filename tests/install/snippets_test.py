#!/usr/bin/env python3
"""Every C and C++ snippet of docs/guide/api.md stands, verbatim, in one of the programs of examples/.

Those are compiled and run by examples_test.sh. Argument: the root of the project. Indentation may
differ by the depth that the snippet has in the program.
"""

import re
import sys
import textwrap
from pathlib import Path

root = Path(sys.argv[1])
sources = {path.name: path.read_text() for path in sorted((root / "examples").glob("*.c*"))}
document = (root / "docs" / "guide" / "api.md").read_text()
snippets = re.findall(r"^```(?:c|cpp)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def stands_in(snippet, source):
    lines = snippet.rstrip("\n").split("\n")
    all_lines = source.split("\n")
    for start in range(len(all_lines) - len(lines) + 1):
        part = "\n".join(all_lines[start:start + len(lines)])
        if textwrap.dedent(part) == textwrap.dedent("\n".join(lines)):
            return True
    return False


failed = len(snippets) == 0
for snippet in snippets:
    if not any(stands_in(snippet, source) for source in sources.values()):
        print(f"docs/guide/api.md: in none of examples/ ({', '.join(sources)}):\n{snippet}")
        failed = True
unmentioned = [name for name in sources if f"examples/{name}" not in document]
if unmentioned:
    print(f"docs/guide/api.md does not mention {unmentioned}")
print(f"{len(snippets)} snippets checked")
sys.exit(1 if failed or unmentioned else 0)
